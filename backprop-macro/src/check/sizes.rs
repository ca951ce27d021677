//! The lengths of the axes of arrays, where the user does not say them: found by running the function.
//!
//! In: which axes are of one length, as far as that is known, and the lengths that are given. Out: lengths with which the function
//! does not panic, the most general first: what may differ differs. With `driver.rs` this file is copied into the tests of
//! functions of tensors.

std::thread_local! {
    static QUIET: core::cell::Cell<bool> = const { core::cell::Cell::new(false) };
}

/// What `run` gives, or what it says where it panics; nothing is printed.
pub fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: std::sync::Once = std::sync::Once::new();
    // Tests that run at the same time go on printing.
    HOOK.call_once(|| {
        let printing = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.with(core::cell::Cell::get) {
                printing(info);
            }
        }));
    });
    let before = QUIET.with(|quiet| quiet.replace(true));
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    QUIET.with(|quiet| quiet.set(before));
    found.map_err(|said| match said.downcast_ref::<&str>() {
        Some(text) => (*text).to_string(),
        None => said
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| "something that is no text".to_string()),
    })
}

/// The axes of all arguments, one after another.
pub struct Axes<'a> {
    pub name: &'a str,
    /// For each axis its class: those of one class are of one length. What leads to nothing gives way to the next.
    pub classes: &'a [&'a [usize]],
    /// For each axis the length that the user gives.
    pub given: &'a [Option<usize>],
}

/// Runs after which a way to tell classes is given up.
const RUNS: usize = 20_000;
const ROUNDS: usize = 16;
/// Samples after one with which the function runs; integers among them may be too large for some.
const MORE: usize = 8;

impl Axes<'_> {
    /// Lengths with which `run` does not panic.
    pub fn find(&self, run: &mut dyn FnMut(&[usize])) -> Vec<usize> {
        if let Some(all) = self.given.iter().copied().collect() {
            return all;
        }
        let mut last = (Vec::new(), String::new());
        for classes in self.classes {
            let count = classes.iter().map(|class| class + 1).max().unwrap_or(0);
            let mut left = RUNS;
            let mut found = None;
            // As many different lengths as possible; more than once, as integers are sampled too.
            let rounds = (0..ROUNDS).flat_map(|_| (1..=count.max(1)).rev());
            for blocks in rounds {
                let stopped = merge(count, blocks, &mut Vec::new(), &mut |merged| {
                    for length in LENGTHS {
                        if left == 0 {
                            return true;
                        }
                        left -= 1;
                        let lengths = |block| length(block, blocks);
                        let sizes = self.sizes(classes, merged, &lengths);
                        match runs(run, &sizes) {
                            Ok(()) => {
                                found = Some(sizes);
                                return true;
                            }
                            Err(said) => last = (sizes, said),
                        }
                    }
                    false
                });
                if stopped {
                    break;
                }
            }
            if let Some(found) = found {
                return found;
            }
        }
        std::panic!(
            "`{}` runs with none of the shapes that were tried, the last of which have the lengths {:?}, where it says: {}. Say what \
             shapes its arguments have: `check(shape(x = [3, 4]))`",
            self.name,
            last.0,
            last.1
        )
    }

    /// For each axis its length, where classes have been merged to blocks.
    fn sizes(
        &self,
        classes: &[usize],
        merged: &[usize],
        lengths: &dyn Fn(usize) -> usize,
    ) -> Vec<usize> {
        let given = |axis: usize| self.given[axis];
        let block = |axis: usize| merged[classes[axis]];
        let all = 0..classes.len();
        let of = |axis: usize| {
            let same = all.clone().filter(|&other| block(other) == block(axis));
            given(axis)
                .or_else(|| same.into_iter().find_map(given))
                .unwrap_or_else(|| lengths(block(axis)))
        };
        all.clone().map(of).collect()
    }
}

/// Whether a function runs with some lengths, or what it says; a loop that one sample does not run says nothing.
fn runs(run: &mut dyn FnMut(&[usize]), sizes: &[usize]) -> Result<(), String> {
    quietly(|| run(sizes))?;
    let mut failed = (0..MORE).filter_map(|_| quietly(|| run(sizes)).err());
    // Two are enough.
    failed.nth(MORE - 2).map_or(Ok(()), Err)
}

/// The length of a block of so many: different ones, in either order; even ones; and long ones, for windows and fixed indices. Of a
/// single block these are 3, 4, 2, 2, 7 and 5.
const LENGTHS: [fn(usize, usize) -> usize; 6] = [
    |block, _| block + 3,
    |block, blocks| blocks - block + 3,
    |block, blocks| blocks - block + 1,
    |block, _| 2 * block + 2,
    |block, blocks| blocks - block + 6,
    |block, _| block + 5,
];

/// Calls `each` with every way to put some classes into exactly so many blocks, until it returns `true`.
fn merge(
    count: usize,
    blocks: usize,
    merged: &mut Vec<usize>,
    each: &mut dyn FnMut(&[usize]) -> bool,
) -> bool {
    let used = merged.iter().map(|block| block + 1).max().unwrap_or(0);
    let left = count - merged.len();
    if left == 0 {
        return (used == blocks || count == 0) && each(merged);
    }
    // Each that is left could open a block.
    if used + left < blocks {
        return false;
    }
    for block in 0..(used + 1).min(blocks) {
        merged.push(block);
        let stopped = merge(count, blocks, merged, each);
        merged.pop();
        if stopped {
            return true;
        }
    }
    false
}
