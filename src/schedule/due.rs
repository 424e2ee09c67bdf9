//! What is due, for a loop that asks now and then by a clock that may jump.

use hop3_plugin_api::Timestamp;

use super::Schedule;

/// The answer to "what is due?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When the newest run should have begun that nobody was told of yet; older ones are dropped. How late it is, is for the caller to judge.
    pub run: Option<Timestamp>,
    /// What to ask with the next time.
    pub since: Timestamp,
}

impl Schedule {
    /// What became due after an instant, up to now.
    ///
    /// Guarantees, if each question begins where the answer before it says:
    /// * However far the clock jumps forward, and however long nobody asked, there is one run at most.
    /// * A clock that is put back repeats no run, as long as that keeps back one run at most. Beyond that it was the earlier time that was wrong,
    ///   or the runs are so frequent that another one does no harm: the schedule goes on from the new time, and does not wait for the old one.
    pub fn due(&self, since: Timestamp, now: Timestamp) -> Due {
        if now < since {
            let waits = self.between(now, since).nth(1).is_none();
            return Due {
                run: None,
                since: if waits { since } else { now },
            };
        }
        Due {
            run: self.last_between(since, now),
            since: now,
        }
    }

    /// The last run after one instant, up to and including another.
    fn last_between(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut last = self.between(after, until).next()?;
        let mut high = until;
        while last < high {
            let middle = Timestamp(last.0 + (high.0 - last.0) / 2);
            match self.between(middle, until).next() {
                Some(run) => last = run,
                None => high = middle,
            }
        }
        Some(last)
    }
}
