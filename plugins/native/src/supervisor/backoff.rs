//! When a crashed instance is started again. Pure.

use std::time::Duration;

/// Running this long makes earlier crashes forgotten.
const FORGIVEN_AFTER: Duration = Duration::from_mins(10);
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(5);

/// Counts crashes in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff {
    crashes: u32,
}

impl Backoff {
    /// The pause before the next start of an instance that ran for `ran`: none the first time, then 1, 2, 4, … seconds.
    pub(crate) fn pause(&mut self, ran: Duration) -> Duration {
        if ran >= FORGIVEN_AFTER {
            self.crashes = 0;
        }
        self.crashes += 1;
        match self.crashes {
            1 => Duration::ZERO,
            n => Duration::from_secs(1 << (n - 2).min(30)).min(LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(backoff: &mut Backoff, count: usize) -> Vec<u64> {
        (0..count)
            .map(|_| backoff.pause(Duration::from_secs(3)).as_secs())
            .collect()
    }

    #[test]
    fn f28_the_first_restart_is_at_once_and_pauses_double_up_to_five_minutes() {
        let mut backoff = Backoff::default();
        assert_eq!(
            pauses(&mut backoff, 12),
            [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        );
        assert_eq!(pauses(&mut backoff, 100).last(), Some(&300));
    }

    #[test]
    fn f28_ten_minutes_without_a_crash_forgive_all_earlier_ones() {
        let mut backoff = Backoff::default();
        pauses(&mut backoff, 9);
        assert_eq!(backoff.pause(Duration::from_mins(10)), Duration::ZERO);
        assert_eq!(pauses(&mut backoff, 1), [1]);
    }
}
