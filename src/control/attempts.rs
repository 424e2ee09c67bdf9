//! Failed attempts in memory: each with the moment of its next try by a clock that nobody sets, and each written down for the next agent.

use std::collections::BTreeMap;
use std::time::Duration;

use hop3_plugin_api::{AppName, Digest, Fault, Timestamp};
use tokio::time::Instant;

use crate::plan::Resting;
use crate::state::{Attempt, Store};

/// What was tried: an app and [`crate::release::Target::trial`].
type Tried = (AppName, Digest);

struct Kept {
    attempt: Attempt,
    /// When it is tried again; never by itself when absent.
    due: Option<Instant>,
}

/// Failed attempts that no success has ended.
#[derive(Default)]
pub(super) struct Attempts(BTreeMap<Tried, Kept>);

/// A moment by both clocks: by the one that people set, and by the one that measures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) date: Timestamp,
    pub(super) instant: Instant,
}

impl Now {
    /// This moment, which people's clock calls so.
    pub(super) fn at(date: Timestamp) -> Self {
        Self {
            date,
            instant: Instant::now(),
        }
    }
}

impl Attempts {
    /// What a store remembers.
    pub(super) fn recalled(store: &Store, now: Now) -> Self {
        let mut attempts = Self::default();
        for (app, attempt) in store.attempts() {
            attempts.insert(app, attempt, now);
        }
        attempts
    }

    fn insert(&mut self, app: AppName, attempt: Attempt, now: Now) {
        let due = attempt.rest(now.date).map(|rest| now.instant + rest);
        let tried = (app, attempt.key.clone());
        self.0.insert(tried, Kept { attempt, due });
    }

    /// Takes in a failure.
    pub(super) fn note(&mut self, app: &AppName, attempt: Attempt, (now, store): (Now, &Store)) {
        store.set_attempt(app, &attempt);
        self.insert(app.clone(), attempt, now);
    }

    pub(super) fn get(&self, app: &AppName, trial: &Digest) -> Option<&Attempt> {
        let kept = self.0.get(&(app.clone(), trial.clone()));
        kept.map(|kept| &kept.attempt)
    }

    /// All of an app.
    pub(super) fn of(&self, app: &AppName) -> impl Iterator<Item = &Attempt> {
        let of_app = self.0.iter().filter(move |((of, _), _)| of == app);
        of_app.map(|(_, kept)| &kept.attempt)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Attempt> {
        self.0.values().map(|kept| &kept.attempt)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Apps of which something failed.
    pub(super) fn apps(&self) -> Vec<AppName> {
        let mut apps: Vec<AppName> = self.0.keys().map(|(app, _)| app.clone()).collect();
        apps.dedup();
        apps
    }

    /// Targets whose next try is still to come.
    pub(super) fn resting(&self, now: Instant) -> BTreeMap<Tried, Resting> {
        let rests = |kept: &&Kept| kept.due.is_none_or(|due| now < due);
        let resting = self.0.iter().filter(|(_, kept)| rests(kept));
        resting
            .map(|(tried, kept)| (tried.clone(), rest(&kept.attempt)))
            .collect()
    }

    /// When the first of them is due. Kept as a moment: however often the loop turns meanwhile, it is not missed.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let due = self.0.values().filter_map(|kept| kept.due);
        due.filter(|due| now < *due).min()
    }

    /// Forgets those of an app that led to some targets.
    pub(super) fn forget(
        &mut self,
        app: &AppName,
        which: impl Fn(&Attempt) -> bool,
        store: &Store,
    ) {
        self.0.retain(|(of, trial), kept| {
            let gone = of == app && which(&kept.attempt);
            if gone {
                store.forget_attempt(app, trial);
            }
            !gone
        });
    }

    /// The host can do again what it could not: its failures are tried again at once.
    pub(super) fn end_rests_of_the_host(&mut self, now: Instant) {
        let of_host = |kept: &&mut Kept| kept.attempt.failure.fault == Fault::Infrastructure;
        for kept in self.0.values_mut().filter(of_host) {
            kept.due = Some(now);
        }
    }
}

fn rest(attempt: &Attempt) -> Resting {
    Resting {
        message: attempt.message(),
        hints: attempt.failure.hints.clone(),
    }
}

/// A moment at most this far away, for the loop's next turn.
pub(super) fn soonest(moments: impl IntoIterator<Item = Option<Instant>>) -> Instant {
    let farthest = Instant::now() + Duration::from_hours(1);
    let known = moments.into_iter().flatten();
    known.min().unwrap_or(farthest).min(farthest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hop3_plugin_testing::FakeHost;

    use super::*;
    use crate::execute::Failure;
    use crate::state::Moment;

    fn shop() -> AppName {
        AppName::parse("shop").unwrap()
    }

    fn failed(fault: Fault, now: u64) -> Attempt {
        let failure = Failure {
            app: shop(),
            step: "build".to_owned(),
            fault,
            message: "it failed".to_owned(),
            hints: Vec::new(),
            output: String::new(),
        };
        let moment = Moment {
            now: Timestamp(now),
            jitter: 0,
            costs_service: false,
        };
        Attempt::after(None, Digest::of("k"), failure, moment)
    }

    fn store() -> Store {
        Store::in_memory(Arc::new(FakeHost::new())).unwrap()
    }

    fn at(date: u64) -> Now {
        Now::at(Timestamp(date))
    }

    #[test]
    fn f07_a_rest_ends_by_the_clock_that_nobody_sets_also_after_a_restart() {
        let (store, now) = (store(), at(1_000_000));
        let mut attempts = Attempts::default();
        attempts.note(&shop(), failed(Fault::App, 1_000_000), (now, &store));
        assert_eq!(attempts.resting(now.instant).len(), 1);
        // The next agent starts with a clock that went back by ten years.
        let back = Now {
            date: Timestamp(700_000),
            ..now
        };
        let recalled = Attempts::recalled(&store, back);
        for attempts in [&attempts, &recalled] {
            let due = attempts.next_due(now.instant).unwrap();
            assert_eq!(due - now.instant, Duration::from_secs(10));
            let later = now.instant + Duration::from_secs(11);
            assert!(attempts.resting(later).is_empty());
            assert_eq!(attempts.next_due(later), None);
            assert!(!attempts.is_empty(), "a success forgets it, not time");
        }
        // One that went ahead by ten years ends every rest once, not again and again.
        let ahead = Now {
            date: Timestamp(316_360_000),
            ..now
        };
        let mut recalled = Attempts::recalled(&store, ahead);
        assert!(recalled.resting(now.instant).is_empty());
        recalled.note(&shop(), failed(Fault::App, ahead.date.0), (ahead, &store));
        assert_eq!(recalled.resting(now.instant).len(), 1);
        println!(
            "row F07: 2 clocks set by ten years amid a rest, 0 rests prolonged, 1 ended early, 0 storms"
        );
    }

    #[test]
    fn what_the_host_could_not_do_is_tried_at_once_when_it_can_again() {
        let (store, now) = (store(), at(5));
        let mut attempts = Attempts::default();
        attempts.note(&shop(), failed(Fault::Infrastructure, 5), (now, &store));
        let other = AppName::parse("other").unwrap();
        attempts.note(&other, failed(Fault::App, 5), (now, &store));
        attempts.end_rests_of_the_host(now.instant);
        let resting = attempts.resting(now.instant).into_keys();
        let resting: Vec<_> = resting.map(|(app, _)| app).collect();
        assert_eq!(resting, [other]);
    }
}
