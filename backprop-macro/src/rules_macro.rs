//! Expands the table in `rules.rs`. Each row is normalised to `Op, [operands], syntax, evaluation, builder, columns,
//! domain, cost`, and all rows are emitted at once: one row is one primitive everywhere.

macro_rules! rules {
    (@row $y:ident $dy:ident [$($done:tt)*]) => { rules!(@emit $y $dy $($done)*); };
    // prefix operator
    (@row $y:ident $dy:ident [$($done:tt)*] $Op:ident = - $a:ident => [$($d:expr),+] on [$($dom:expr),+] cost $c:literal; $($rest:tt)*) => {
        rules!(@row $y $dy [$($done)* { $Op [$a] Syntax::Prefix("-"), (-$a), [], [$($d),+], [$($dom),+], $c }] $($rest)*);
    };
    // method
    (@row $y:ident $dy:ident [$($done:tt)*] $Op:ident = $a:ident . $m:ident ( $($b:ident),* ) => [$($d:expr),+] on [$($dom:expr),+] cost $c:literal; $($rest:tt)*) => {
        rules!(@row $y $dy [$($done)* { $Op [$a $(, $b)*] Syntax::Method(stringify!($m)), ($a.$m($($b),*)), [$m($($b),*)], [$($d),+], [$($dom),+], $c }] $($rest)*);
    };
    // a form with a syntax of its own, evaluated by the function of that name
    (@row $y:ident $dy:ident [$($done:tt)*] $Op:ident = $f:ident ( $a:ident $(, $b:ident)* ) => [$($d:expr),+] on [$($dom:expr),+] cost $c:literal; $($rest:tt)*) => {
        rules!(@row $y $dy [$($done)* { $Op [$a $(, $b)*] Syntax::Form(stringify!($f)), ($f($a $(, $b)*)), [$f($($b),*)], [$($d),+], [$($dom),+], $c }] $($rest)*);
    };
    // infix operator
    (@row $y:ident $dy:ident [$($done:tt)*] $Op:ident = $a:ident $o:tt $b:ident => [$($d:expr),+] on [$($dom:expr),+] cost $c:literal; $($rest:tt)*) => {
        rules!(@row $y $dy [$($done)* { $Op [$a, $b] Syntax::Infix(stringify!($o)), ($a $o $b), [], [$($d),+], [$($dom),+], $c }] $($rest)*);
    };
    (@emit $y:ident $dy:ident $({ $Op:ident [$a:ident $(, $b:ident)*] $syn:expr, ($f:expr), [$($m:ident($($p:ident),*))?], [$($d:expr),+], [$($dom:expr),+], $c:literal })*) => {
        /// A primitive: one row of the table.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Op { $($Op),* }

        impl Op {
            /// Every primitive, in the order of the table.
            pub const ALL: &[Op] = &[$(Op::$Op),*];

            /// How it is written in Rust.
            pub fn syntax(self) -> Syntax { match self { $(Op::$Op => $syn),* } }

            /// For each operand, the interval on which the tests sample the row.
            pub fn domain(self) -> &'static [[f64; 2]] { match self { $(Op::$Op => &[$($dom),+]),* } }

            /// Roughly how many additions it takes.
            pub fn cost(self) -> u32 { match self { $(Op::$Op => $c),* } }

            /// Its value.
            pub fn eval(self, args: &[f64]) -> f64 {
                match (self, args) { $((Op::$Op, &[$a $(, $b)*]) => $f,)* _ => f64::NAN }
            }

            fn columns<'g>(self, args: &[Ex<'g>], $y: Ex<'g>, $dy: Ex<'g>) -> Vec<Ex<'g>> {
                #[allow(unused_variables)]
                match (self, args) { $((Op::$Op, &[$a $(, $b)*]) => vec![$(IntoEx::into_ex($d, $y)),+],)* _ => Vec::new() }
            }
        }

        // `from_integer` is a row like any other.
        #[allow(dead_code, clippy::wrong_self_convention)]
        impl<'g> Ex<'g> {
            $($(pub fn $m(self $(, $p: impl IntoEx<'g>)*) -> Ex<'g> { self.apply(Op::$Op, &[self $(, $p.into_ex(self))*]) })?)*
        }
    };
    ($y:ident, $dy:ident => $($rows:tt)*) => { rules!(@row $y $dy [] $($rows)*); };
}
