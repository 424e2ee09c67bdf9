//! Ending a run before its switch, because a newer change takes its place or the agent ends.

use std::time::Duration;

use tokio::sync::watch;

use crate::plan::Action;
use crate::spec::OnInterrupt;

/// How long a release command that may be repeated, or a start, goes on when a newer change waits: most are done by then, and one that hangs keeps
/// its own fix waiting no longer.
const GRACE: Duration = Duration::from_secs(30);

/// What a run is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    GoOn,
    /// Give way to a newer change.
    GiveWay,
    /// The agent ends.
    Leave,
}

/// Ends a run up to its switch step.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<Ask>);

/// The other end of [`Cancel`].
#[derive(Debug)]
pub struct Canceller(watch::Sender<Ask>);

/// A canceller and what it cancels.
pub fn cancellation() -> (Canceller, Cancel) {
    let (sender, receiver) = watch::channel(Ask::GoOn);
    (Canceller(sender), Cancel(receiver))
}

impl Canceller {
    /// Asks for the end, because something else is wanted now.
    pub fn give_way(&self) {
        self.0.send_if_modified(|ask| {
            let is_news = *ask == Ask::GoOn;
            if is_news {
                *ask = Ask::GiveWay;
            }
            is_news
        });
    }

    /// Asks for the end, because the agent ends.
    pub fn leave(&self) {
        self.0.send_replace(Ask::Leave);
    }
}

/// What a step that is under way makes of being asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is dropped.
    None,
    /// A newer change lets it go on for so long; the agent's end leaves it to the next agent.
    Grace(Duration),
    /// Only the agent's end ends the wait for it.
    UntilTheAgentEnds,
    /// It is done to its end.
    Endless,
}

impl Patience {
    /// Up to the switch a newer change takes over, though never in the middle of something that must be whole.
    pub(super) fn with(action: &Action) -> Self {
        match action {
            Action::ReleaseCommand { on_interrupt, .. } => match on_interrupt {
                OnInterrupt::Retry => Self::Grace(GRACE),
                OnInterrupt::Hold => Self::UntilTheAgentEnds,
            },
            Action::EnsureAddon { .. }
            | Action::EnsurePackages { .. }
            | Action::Switch { .. }
            | Action::Stop { .. }
            | Action::Unroute { .. }
            | Action::Tombstone => Self::Endless,
            // What is being started can be ended once it answers; one that is not there yet would come to life after the others are ended.
            Action::Deploy { .. } | Action::Scale { .. } => Self::Grace(GRACE),
            _ => Self::None,
        }
    }
}

impl Cancel {
    /// Waits until a step with this patience has to end; for ever when it never has.
    pub(super) async fn ends(&mut self, patience: Patience) {
        match patience {
            Patience::None => self.until(Ask::GiveWay).await,
            Patience::Grace(grace) => {
                self.until(Ask::GiveWay).await;
                // Whichever comes first: the end of the grace or that of the agent.
                drop(tokio::time::timeout(grace, self.until(Ask::Leave)).await);
            }
            Patience::UntilTheAgentEnds => self.until(Ask::Leave).await,
            Patience::Endless => std::future::pending().await,
        }
    }

    /// Whether it is the agent that ends.
    pub(super) fn is_leaving(&self) -> bool {
        *self.0.borrow() == Ask::Leave
    }

    async fn until(&mut self, wanted: Ask) {
        let is_asked = |ask: &Ask| *ask == wanted || *ask == Ask::Leave;
        if self.0.wait_for(is_asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    /// How a step with this patience fares.
    #[derive(Debug, PartialEq)]
    enum Fate {
        EndsAtOnce,
        EndsLater,
        GoesOn,
    }

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_hours(1);

    async fn fate(patience: Patience, ask: impl FnOnce(&Canceller)) -> Fate {
        let (canceller, mut cancel) = cancellation();
        ask(&canceller);
        let begun = Instant::now();
        let ended = tokio::time::timeout(SHORT * 5, cancel.ends(patience)).await;
        match ended {
            Err(_) => Fate::GoesOn,
            Ok(()) if begun.elapsed() < SHORT => Fate::EndsAtOnce,
            Ok(()) => Fate::EndsLater,
        }
    }

    #[tokio::test]
    async fn a_newer_change_waits_for_a_release_command_for_a_while_and_for_what_must_be_whole_for_ever()
     {
        let give_way = |patience| fate(patience, Canceller::give_way);
        assert_eq!(give_way(Patience::None).await, Fate::EndsAtOnce);
        assert_eq!(give_way(Patience::Grace(SHORT)).await, Fate::EndsLater);
        assert_eq!(give_way(Patience::Grace(LONG)).await, Fate::GoesOn);
        assert_eq!(give_way(Patience::UntilTheAgentEnds).await, Fate::GoesOn);
        assert_eq!(give_way(Patience::Endless).await, Fate::GoesOn);
    }

    #[tokio::test]
    async fn an_agent_that_ends_waits_for_no_release_command() {
        let leave = |patience| fate(patience, Canceller::leave);
        for patience in [
            Patience::None,
            Patience::Grace(LONG),
            Patience::UntilTheAgentEnds,
        ] {
            assert_eq!(leave(patience).await, Fate::EndsAtOnce, "{patience:?}");
        }
        assert_eq!(leave(Patience::Endless).await, Fate::GoesOn);
        assert_eq!(fate(Patience::None, |_| {}).await, Fate::GoesOn);
    }

    #[test]
    fn whoever_leaves_is_not_asked_to_give_way_again() {
        let (canceller, cancel) = cancellation();
        canceller.leave();
        canceller.give_way();
        assert!(cancel.is_leaving());
    }
}
