//! When a failed change is tried again. Pure, but for what the store keeps of it.

use std::time::Duration;

use hop3_plugin_api::{AppName, Digest, Fault, Timestamp};
use serde::{Deserialize, Serialize};

use super::Store;
use super::memo::Kind;
use crate::execute::Failure;

/// Seconds after the first failure; doubled with each further one.
const FIRST_PAUSE: u64 = 10;
/// The longest pause after failures of the host or the network.
const LONGEST_PAUSE: u64 = 300;
/// Failures of the app itself after which it is quarantined.
const TRIES: u32 = 3;
/// Seconds between tries in quarantine.
const QUARANTINE_PAUSE: u64 = 3600;

/// Failed attempts at one target of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Attempt {
    /// The target, by what decides whether trying again may come out differently.
    pub key: Digest,
    /// How often it failed in a row.
    pub count: u32,
    /// The last failure.
    pub failure: Failure,
    /// When it is tried again; never by itself when absent.
    pub next: Option<Timestamp>,
    /// How many seconds it rests from the failure on.
    pub pause: u64,
}

/// The moment of a failure.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock.
    pub now: Timestamp,
    /// A random number; it spreads retries over a tenth of the pause.
    pub jitter: u64,
    /// Whether another try takes the serving release down: a target at fault is then not tried again by itself.
    pub costs_service: bool,
}

impl Attempt {
    /// The attempts after one more failure.
    pub fn after(previous: Option<&Self>, key: Digest, failure: Failure, moment: Moment) -> Self {
        let count = previous
            .filter(|previous| previous.key == key)
            .map_or(0, |previous| previous.count)
            + 1;
        let growing = FIRST_PAUSE
            .saturating_mul(1 << (count - 1).min(16))
            .min(LONGEST_PAUSE);
        let quarantined = failure.fault == Fault::App && count >= TRIES;
        let pause = if quarantined {
            QUARANTINE_PAUSE
        } else {
            growing
        };
        let pause = pause + moment.jitter % (pause / 10 + 1);
        let by_itself = !(quarantined && moment.costs_service);
        Self {
            key,
            count,
            failure,
            next: by_itself.then_some(Timestamp(moment.now.0.saturating_add(pause))),
            pause,
        }
    }

    /// How much longer it rests; `None` for ever. A clock that was set never makes the rest longer than it was at first.
    pub fn rest(&self, now: Timestamp) -> Option<Duration> {
        let left = self.next?.0.saturating_sub(now.0).min(self.pause);
        Some(Duration::from_secs(left))
    }

    /// Whether the target itself is at fault and only a commit or much time helps.
    pub fn is_quarantined(&self) -> bool {
        self.failure.fault == Fault::App && self.count >= TRIES
    }

    /// What happened and what comes next, for people.
    pub fn message(&self) -> String {
        let tries = self.count;
        let state = match (self.is_quarantined(), self.next) {
            (true, Some(_)) => format!(
                "this release failed {tries} times and is quarantined: only once an hour it is tried again, a commit that changes it at once"
            ),
            (true, None) => format!(
                "this release failed {tries} times and is quarantined until a commit changes it"
            ),
            (false, _) => format!("try {tries} failed and is repeated later"),
        };
        format!("{}: {}; {state}", self.failure.step, self.failure.message)
    }
}

impl Store {
    /// All failed attempts that no success has ended.
    pub fn attempts(&self) -> Vec<(AppName, Attempt)> {
        let kept = self.recall(Kind::Attempt).into_iter();
        kept.map(|(app, _, attempt)| (app, attempt)).collect()
    }

    /// Remembers failed attempts at a target of an app.
    pub fn set_attempt(&self, app: &AppName, attempt: &Attempt) {
        self.keep((Kind::Attempt, app, attempt.key.as_str()), attempt);
    }

    /// Forgets every failed attempt.
    pub(super) fn forget_attempts(&self) {
        for (app, attempt) in self.attempts() {
            self.forget_attempt(&app, &attempt.key);
        }
    }

    /// Forgets failed attempts at a target of an app.
    pub fn forget_attempt(&self, app: &AppName, target: &Digest) {
        self.forget((Kind::Attempt, app, target.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(fault: Fault) -> Failure {
        Failure {
            app: AppName::parse("shop").unwrap(),
            step: "build".to_owned(),
            fault,
            message: "it failed".to_owned(),
            hints: Vec::new(),
            output: String::new(),
        }
    }

    fn at(now: u64) -> Moment {
        Moment {
            now: Timestamp(now),
            jitter: 0,
            costs_service: false,
        }
    }

    fn pauses(fault: Fault, tries: usize) -> Vec<u64> {
        let mut attempt: Option<Attempt> = None;
        let mut pauses = Vec::new();
        for _ in 0..tries {
            let next = Attempt::after(attempt.as_ref(), Digest::of("k"), failure(fault), at(1000));
            pauses.push(next.next.unwrap().0 - 1000);
            attempt = Some(next);
        }
        pauses
    }

    #[test]
    fn failures_of_the_host_back_off_to_five_minutes() {
        assert_eq!(
            pauses(Fault::Infrastructure, 7),
            [10, 20, 40, 80, 160, 300, 300]
        );
    }

    #[test]
    fn the_third_failure_of_the_app_itself_quarantines_the_target() {
        assert_eq!(pauses(Fault::App, 4), [10, 20, 3600, 3600]);
    }

    #[test]
    fn a_quarantined_target_whose_try_costs_service_waits_for_a_person() {
        let mut attempt: Option<Attempt> = None;
        for _ in 0..3 {
            let moment = Moment {
                costs_service: true,
                ..at(0)
            };
            attempt = Some(Attempt::after(
                attempt.as_ref(),
                Digest::of("k"),
                failure(Fault::App),
                moment,
            ));
        }
        assert_eq!(attempt.unwrap().rest(Timestamp(1_000_000)), None);
    }

    #[test]
    fn another_target_starts_afresh() {
        let old = Attempt::after(None, Digest::of("old"), failure(Fault::App), at(0));
        let new = Attempt::after(Some(&old), Digest::of("new"), failure(Fault::App), at(0));
        assert_eq!(new.count, 1);
    }

    #[test]
    fn f07_no_clock_makes_a_rest_longer_than_it_was_or_less_than_nothing() {
        let attempt = Attempt::after(None, Digest::of("k"), failure(Fault::App), at(1_000_000));
        let rest = |now: u64| attempt.rest(Timestamp(now)).unwrap().as_secs();
        assert_eq!(rest(1_000_004), 6);
        // Backwards by an hour and by ten years.
        assert_eq!(rest(1_000_000 - 3600), 10);
        assert_eq!(rest(0), 10);
        // Forwards by ten years, and to the end of time.
        assert_eq!(rest(1_000_000 + 315_360_000), 0);
        assert_eq!(rest(u64::MAX), 0);
    }
}
