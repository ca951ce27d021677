//! The pseudo-random numbers of the generator: the same on every machine, for the same seed.

#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of one program: independent of how many others there are.
    pub fn new(seed: u64, index: u64) -> Random {
        let mut random = Random(
            seed.wrapping_mul(0xd1b5_4a32_d192_ed03) ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        );
        random.next();
        random
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// One of the items whose weight is not zero.
    pub fn weighted<T: Copy>(&mut self, items: &[(usize, T)]) -> T {
        let mut at = self.below(items.iter().map(|(w, _)| w).sum());
        items
            .iter()
            .find(|(w, _)| {
                let here = at < *w;
                at = at.saturating_sub(*w);
                here
            })
            .expect("a weight above zero")
            .1
    }

    pub fn float(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
