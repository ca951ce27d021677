//! Maps and sets whose keys are indices into the graph.
//!
//! They are asked for every node of every program, most of all in a compiler that was built without optimisation, which is how
//! cargo builds procedural macros in debug builds. The standard library's hash function withstands keys chosen to collide; ours are
//! counted, and a multiplication spreads them.

use std::hash::{BuildHasherDefault, Hasher};

/// A map from indices.
pub type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Spread>>;
/// A set of indices.
pub type Set<K> = std::collections::HashSet<K, BuildHasherDefault<Spread>>;

/// A multiplication for each word.
#[derive(Default)]
pub struct Spread(u64);

impl Spread {
    fn add(&mut self, word: u64) {
        // 2⁶⁴ divided by the golden ratio.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.add(b.into()));
    }

    fn write_u8(&mut self, n: u8) {
        self.add(n.into());
    }

    fn write_u32(&mut self, n: u32) {
        self.add(n.into());
    }

    fn write_u64(&mut self, n: u64) {
        self.add(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.add(n as u64);
    }

    fn finish(&self) -> u64 {
        // Tables look at the lowest and the highest bits; the product's lowest are the weakest.
        self.0.rotate_left(26)
    }
}
