//! Numbers that a seed determines, on every machine and for ever: a walk that failed is walked again by its seed.

/// A stream of numbers: `SplitMix64`.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(self.next() % bound).unwrap()
    }

    /// One of several.
    pub(crate) fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// `HOP3_TEST_SEED`, else one that no other run has.
    pub(crate) fn seed() -> u64 {
        if let Ok(text) = std::env::var("HOP3_TEST_SEED") {
            return text.parse().expect("HOP3_TEST_SEED is a number");
        }
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        now.as_secs() % 1_000_000_000
    }
}
