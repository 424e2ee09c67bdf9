//! One look at the config repo: its own address first, its mirrors while that one is down, and the moment of the next look.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::reference::Reference;
use super::{CommitId, FetchOutcome, Mirror, RepoError, pace};

/// Who wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// The clock, or a forge: a server that rests after failures is left alone.
    Routine,
    /// A person: every server is asked, whatever happened before.
    Person,
}

/// What one look found.
#[derive(Debug, Clone)]
pub struct Look {
    /// The commit to bring the host to, if it is another than the known one, or why nobody could tell. `None` when no server was asked,
    /// because all of them rest.
    pub found: Option<Result<Option<CommitId>, RepoError>>,
    /// The commits before and after, when rewritten history was taken.
    pub rewritten: Option<(CommitId, CommitId)>,
    /// The mirror that answered, and why it had to.
    pub stand_in: Option<StandIn>,
    /// How long to wait before the next look.
    pub next: Duration,
}

/// A mirror that answered in place of the config repo's own address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    /// The mirror.
    pub url: String,
    /// What is wrong with the config repo's own address.
    pub because: String,
}

/// When there was a new commit last.
#[derive(Debug)]
pub(super) struct News(Instant);

impl Default for News {
    /// A host that starts has news of its own.
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Mirror {
    /// Asks for the newest commit and brings it here. `known` is what the asker has already.
    pub async fn look(&self, known: Option<CommitId>, urgency: Urgency) -> Look {
        let mut look = Look {
            found: None,
            rewritten: None,
            stand_in: None,
            next: Duration::ZERO,
        };
        match self.pinned() {
            Some(commit) => look.found = Some(Ok((known != Some(commit)).then_some(commit))),
            None => self.ask_all(&mut look, known, urgency).await,
        }
        if matches!(look.found, Some(Ok(Some(_)))) {
            *self.news.lock().unwrap_or_else(PoisonError::into_inner) = News::default();
        }
        look.next = self.next(&look);
        look
    }

    /// The commit that is followed by its own name, once it is here: no server has anything to add.
    fn pinned(&self) -> Option<CommitId> {
        match self.config.reference {
            Reference::Commit(commit) if !self.is_damaged() => {
                self.accepted().filter(|accepted| *accepted == commit)
            }
            _ => None,
        }
    }

    async fn ask_all(&self, look: &mut Look, known: Option<CommitId>, urgency: Urgency) {
        let mut trouble = None;
        for (index, remote) in self.remotes.iter().enumerate() {
            let host = remote.url().host();
            let rests =
                urgency == Urgency::Routine && self.breakers.rest(&host, Instant::now()).is_some();
            // Nothing says of a mirror's first commit that it is the config repo's and not another one's.
            if rests || (index > 0 && self.accepted().is_none()) {
                continue;
            }
            let answer = self.ask(index, known).await;
            self.note(&host, &answer);
            match answer {
                Ok(outcome) => {
                    self.took(look, known, outcome);
                    look.stand_in = (index > 0).then(|| self.stand_in(index, trouble.as_ref()));
                    return;
                }
                Err(error) if index > 0 => {
                    tracing::warn!(mirror = %remote.url(), %error, "The mirror could not stand in.")
                }
                Err(error) => {
                    let ends_here = !error.lets_a_mirror_stand_in();
                    trouble = Some(error);
                    if ends_here {
                        break;
                    }
                }
            }
        }
        look.found = trouble.map(Err);
    }

    async fn ask(&self, index: usize, known: Option<CommitId>) -> Result<FetchOutcome, RepoError> {
        let tip = self.remotes[index].tip(&self.program).await?;
        let whole = !self.health.is_damaged();
        if whole && known == Some(tip.commit) && self.accepted() == known {
            return Ok(FetchOutcome::Unchanged);
        }
        // A mirror lags behind at times: what was here once is nothing new.
        if index > 0 && whole && self.knows(&tip.commit) {
            return Ok(FetchOutcome::Unchanged);
        }
        self.take(index, &tip).await
    }

    fn took(&self, look: &mut Look, known: Option<CommitId>, outcome: FetchOutcome) {
        if let FetchOutcome::Rewritten { from, to } = outcome {
            look.rewritten = Some((from, to));
        }
        let accepted = self.accepted();
        look.found = Some(Ok(accepted.filter(|_| accepted != known)));
    }

    fn note(&self, host: &str, answer: &Result<FetchOutcome, RepoError>) {
        match answer {
            Err(error) if !error.is_about_content() => {
                self.breakers
                    .failed(host, error.retry_after(), Instant::now())
            }
            _ => self.breakers.answered(host),
        }
    }

    fn stand_in(&self, index: usize, trouble: Option<&RepoError>) -> StandIn {
        let because =
            trouble.map_or_else(|| "it rests after failures".to_owned(), ToString::to_string);
        StandIn {
            url: self.remotes[index].url().to_string(),
            because,
        }
    }

    /// Routine after an answer; else when the first server has rested.
    fn next(&self, look: &Look) -> Duration {
        let since = self
            .news
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .elapsed();
        let routine = pace::jittered(pace::pause(self.config.poll, since));
        if matches!(look.found, Some(Ok(_))) {
            return routine;
        }
        let rests = self
            .remotes
            .iter()
            .map(|remote| self.breakers.rest(&remote.url().host(), Instant::now()));
        rests
            .map(|rest| rest.unwrap_or(routine))
            .min()
            .unwrap_or(routine)
    }
}
