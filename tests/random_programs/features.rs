//! The parts of the language that can be switched off.
//!
//! In: a list such as `all,-while_loop,-data_index` or `if_stmt,for_loop`. Out: a set that the generator asks.
//! Must hold: with every feature off, what remains is `let`, `+`, `-`, `*` and one value at the end.

macro_rules! features {
    ($($name:ident: $what:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[allow(non_camel_case_types)] // The names are those of the list.
        pub enum Feature {
            $(#[doc = $what] $name,)*
        }

        /// Name and meaning of every feature.
        pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $what),)*];
    };
}

features! {
    assign: "`mut` variables, overwritten";
    compound: "`+=`, `-=`, `*=`, `/=`, `%=` (needs `assign`)";
    mut_param: "parameters declared `mut`";
    shadow: "names declared again, also with another type";
    tuple: "`let (u, mut v) = (…);`";
    tuple_assign: "`(u, a[1]) = (…);`";
    block: "nested blocks, as statements and as values";
    labelled_block: "`'b: { … break 'b; … }`";
    if_stmt: "`if` as a statement";
    if_expr: "`if` as a value";
    match_stmt: "`match` on integers as a statement";
    match_expr: "`match` on integers as a value";
    late_init: "`let z: f64;`, initialised in branches";
    bool_var: "`let b = u > v;`";
    effects: "assignments inside of blocks that are values";
    for_loop: "`for` over a range";
    range_forms: "`..=`, `.rev()`, `.step_by()`, bounds from outer loops";
    while_loop: "`while`";
    loop_loop: "`loop` with `break`";
    loop_expr: "`loop` with a value";
    leave: "`break` under a condition";
    skip: "`continue` under a condition";
    label: "labels on loops (needs `leave` or `skip`)";
    early_return: "`return` under a condition";
    operand_jump: "jumps out of an operand, as in `1.0 + if c { break } else { x }`: only if named, for the macro refuses it";
    array: "local arrays, read at constant and loop indices";
    array2: "local arrays of arrays (needs `array`)";
    array_write: "writes to elements";
    array_copy: "`let b = a;`, `b = a;`, rows, `let [u, v, ..] = a;`, arrays chosen by an `if`";
    swap: "`.swap` and swaps through a temporary";
    data_index: "indices computed from data";
    int_state: "integer variables and pseudo-random states";
    cast: "`i as f64`";
    division: "`/`";
    remainder: "`%`, `rem_euclid`";
    math: "elementary functions";
    min_max: "`min`, `max`, `abs`, `clamp`";
    steps: "`floor`, `round`, `signum` and the like";
}

/// A set of features.
#[derive(Clone, Copy, Debug)]
pub struct Features(u64);

impl Features {
    pub fn parse(list: &str) -> Result<Features, String> {
        let words = || list.split(',').map(str::trim).filter(|w| !w.is_empty());
        // A list of nothing but exceptions starts from what the macro promises.
        let promised = !(1 << Feature::operand_jump as u64);
        let exceptions = words().all(|w| w.starts_with('-'));
        let mut set = if exceptions { promised } else { 0 };
        for word in words() {
            let (name, on) = word
                .strip_prefix('-')
                .map_or((word, true), |name| (name, false));
            let bits = match ALL.iter().position(|(n, _)| *n == name) {
                Some(bit) => 1 << bit,
                None if name == "all" => promised,
                None => return Err(format!("no feature `{name}`; there are {ALL:#?}")),
            };
            set = if on { set | bits } else { set & !bits };
        }
        Ok(Features(set))
    }

    pub fn has(self, feature: Feature) -> bool {
        self.0 >> feature as u64 & 1 == 1
    }
}
