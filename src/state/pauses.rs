//! Pauses: a person asks that nothing be done to an app for a while.

use std::time::Duration;

use hop3_plugin_api::{AppName, Timestamp};
use serde::{Deserialize, Serialize};

use super::Store;
use super::memo::Kind;

/// A person's pause of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pause {
    /// In which words.
    pub why: String,
    /// When it ends by itself.
    pub until: Timestamp,
    /// For how many seconds it was asked for.
    pub seconds: u64,
}

impl Pause {
    /// A pause from now on.
    pub fn new(why: String, length: Duration, now: Timestamp) -> Self {
        let seconds = length.as_secs();
        Self {
            why,
            until: Timestamp(now.0.saturating_add(seconds)),
            seconds,
        }
    }

    /// How much of it is left. A clock that was set back never makes it longer than what was asked for.
    pub fn left(&self, now: Timestamp) -> Duration {
        Duration::from_secs(self.until.0.saturating_sub(now.0).min(self.seconds))
    }
}

impl Store {
    /// All pauses, those that have run out included.
    pub fn pauses(&self) -> Vec<(AppName, Pause)> {
        let kept = self.recall(Kind::Pause).into_iter();
        kept.map(|(app, _, pause)| (app, pause)).collect()
    }

    /// Remembers an app's pause; says whether it was written.
    pub fn set_pause(&self, app: &AppName, pause: &Pause) -> bool {
        self.keep((Kind::Pause, app, ""), pause)
    }

    /// Forgets an app's pause; says whether that was written.
    pub fn end_pause(&self, app: &AppName) -> bool {
        self.forget((Kind::Pause, app, ""))
    }

    /// Apps that a person has said may be removed together with many others.
    pub fn approvals(&self) -> Vec<AppName> {
        let kept = self.recall::<()>(Kind::Approval).into_iter();
        kept.map(|(app, _, ())| app).collect()
    }

    /// Remembers that an app may be removed; says whether it was written.
    pub fn approve(&self, app: &AppName) -> bool {
        self.keep((Kind::Approval, app, ""), &())
    }

    /// Forgets that an app may be removed.
    pub fn disapprove(&self, app: &AppName) {
        self.forget((Kind::Approval, app, ""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f07_a_pause_never_lasts_longer_than_was_asked_for() {
        let pause = Pause::new(String::new(), Duration::from_hours(2), Timestamp(1_000_000));
        let left = |now: u64| pause.left(Timestamp(now)).as_secs();
        assert_eq!(left(1_000_000), 7200);
        assert_eq!(left(1_000_200), 7000);
        assert_eq!(left(0), 7200);
        assert_eq!(left(1_007_200), 0);
        assert_eq!(left(u64::MAX), 0);
    }
}
