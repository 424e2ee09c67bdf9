//! When a server is asked again: oftener after news, more rarely without, and hardly at all while it fails. Pure but for the dice.
//!
//! With `poll = "60s"`: every 15 s for ten minutes after a new commit, every 60 s within the next hour, every 2 minutes after an hour without
//! one, every 4 minutes after a day. Each pause is up to a tenth longer, so that hosts that were started together do not ask together. After a
//! failure the server rests 10 s, then twice as long each time up to 5 minutes, a fifth more or less; longer if it says so itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The shortest pause between two looks.
const SHORTEST: Duration = Duration::from_secs(1);
/// For how long after a new commit one looks oftener.
const LIVELY: Duration = Duration::from_mins(10);
/// After how long without a new commit one looks more rarely, and after how long still more so.
const QUIET: [Duration; 2] = [Duration::from_hours(1), Duration::from_hours(24)];
/// No pause grows beyond this for quiet alone, unless the operator's own is longer.
const LONGEST_QUIET: Duration = Duration::from_mins(5);
/// The rest after the first failure, and the longest that failures alone lead to.
const REST: [Duration; 2] = [Duration::from_secs(10), Duration::from_mins(5)];

/// The pause before the next look.
pub(super) fn pause(poll: Duration, since_news: Duration) -> Duration {
    let poll = poll.max(SHORTEST);
    let slower = |times: u32| (poll * times).min(LONGEST_QUIET).max(poll);
    let pause = match since_news {
        short if short < LIVELY => poll / 4,
        long if long >= QUIET[1] => slower(4),
        long if long >= QUIET[0] => slower(2),
        _ => poll,
    };
    pause.max(SHORTEST)
}

/// A pause that is up to a tenth longer.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause + pause * (dice() % 100) / 1000
}

/// A number that differs from host to host and from time to time.
fn dice() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness all hosts ask together, which is a pity and no fault.
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK).ok();
    u32::from_le_bytes(bytes)
}

/// One server's failures.
#[derive(Debug, Clone, Copy)]
struct Rest {
    failures: u32,
    until: Instant,
}

/// Which servers rest after failures, by scheme, host and port: a server that fails is not asked until its rest is over.
#[derive(Debug)]
pub(super) struct Breakers {
    first: Duration,
    resting: Mutex<BTreeMap<String, Rest>>,
}

impl Breakers {
    /// For a host that looks this often: the first rest is no longer than the usual pause.
    pub(super) fn new(poll: Duration) -> Self {
        Self {
            first: poll.clamp(SHORTEST, REST[0]),
            resting: Mutex::default(),
        }
    }

    /// How long a server still rests.
    pub(super) fn rest(&self, host: &str, now: Instant) -> Option<Duration> {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let left = resting.get(host)?.until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Notes a failure; the server may have said how long it wants to be left alone.
    pub(super) fn failed(&self, host: &str, retry_after: Option<Duration>, now: Instant) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = resting
            .get(host)
            .map_or(0, |rest| rest.failures)
            .saturating_add(1);
        let rest = after(self.first, failures, dice() % 400).max(retry_after.unwrap_or_default());
        let until = now + rest;
        resting.insert(host.to_owned(), Rest { failures, until });
    }

    /// Notes that a server answered.
    pub(super) fn answered(&self, host: &str) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.remove(host);
    }
}

/// The rest after so many failures in a row, 20 % more or less by 400 thousandths.
fn after(first: Duration, failures: u32, thousandths: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    let rest = first.saturating_mul(doubled).min(REST[1]);
    rest * (800 + thousandths) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn one_looks_oftener_after_news_and_more_rarely_without() {
        for (since, seconds) in [
            (0, 15),
            (599, 15),
            (600, 60),
            (3599, 60),
            (3600, 120),
            (86_399, 120),
            (86_400, 240),
            (8_640_000, 240),
        ] {
            assert_eq!(
                pause(MINUTE, Duration::from_secs(since)).as_secs(),
                seconds,
                "{since}"
            );
        }
    }

    #[test]
    fn the_operators_own_pause_bounds_every_other() {
        let hour = Duration::from_hours(1);
        assert_eq!(
            pause(hour, Duration::from_hours(50)),
            hour,
            "quiet never shortens a pause"
        );
        assert_eq!(
            pause(Duration::from_secs(90), Duration::from_hours(50)),
            LONGEST_QUIET
        );
        assert_eq!(pause(Duration::ZERO, Duration::ZERO), SHORTEST);
        for _ in 0..100 {
            let jittered = jittered(MINUTE);
            assert!(
                jittered >= MINUTE && jittered < MINUTE * 11 / 10,
                "{jittered:?}"
            );
        }
    }

    #[test]
    fn rests_double_up_to_five_minutes() {
        let seconds: Vec<_> = (1..9)
            .map(|failures| after(REST[0], failures, 200).as_secs())
            .collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(after(REST[0], u32::MAX, 399), REST[1] * 1199 / 1000);
        assert_eq!(after(REST[0], 1, 0), Duration::from_secs(8));
    }

    #[test]
    fn a_server_that_fails_rests_and_one_answer_ends_it() {
        let breakers = Breakers::new(MINUTE);
        let start = Instant::now();
        assert_eq!(breakers.rest("https://a", start), None);
        breakers.failed("https://a", None, start);
        assert!(breakers.rest("https://a", start).unwrap() <= Duration::from_secs(12));
        assert_eq!(
            breakers.rest("https://b", start),
            None,
            "another server rests with it"
        );
        let later = start + Duration::from_secs(12);
        assert_eq!(breakers.rest("https://a", later), None);
        breakers.failed("https://a", None, later);
        assert!(breakers.rest("https://a", later).unwrap() > Duration::from_secs(15));
        breakers.answered("https://a");
        assert_eq!(breakers.rest("https://a", later), None);
    }

    #[test]
    fn f10_a_server_that_asks_for_more_rest_gets_it() {
        let breakers = Breakers::new(Duration::from_secs(1));
        let start = Instant::now();
        breakers.failed("https://a", Some(Duration::from_mins(10)), start);
        assert!(
            breakers
                .rest("https://a", start + Duration::from_mins(9))
                .is_some()
        );
        assert_eq!(
            breakers.rest("https://a", start + Duration::from_mins(10)),
            None
        );
    }
}
