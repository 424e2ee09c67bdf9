//! Following the config repo: looking at it, reading what a commit says, and forgetting what that supersedes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{AppName, Digest};
use tokio::time::Instant;

use super::answer::Deployed;
use super::{Control, Fetch, Message};
use crate::contain::contained_async;
use crate::desired::{ConfigTree, Loader, RevisionTree};
use crate::plan::Held;
use crate::registry::disabled;
use crate::repo::{CommitId, Look, RepoError, Urgency};
use crate::state::EventKind;

/// Longer than any look takes: the look itself says when the next one is.
const LONG: Duration = Duration::from_hours(24);
/// Until the next look when a mistake in the agent has ended one.
const AFTER_A_MISTAKE: Duration = Duration::from_mins(1);

/// What a look is worth that a mistake in the agent has ended: the loop must not wait for its answer for ever.
fn cut_off(words: &str) -> Look {
    let trouble = RepoError::Internal {
        doing: "look at the config repo".to_owned(),
        detail: format!("a mistake in the agent cut it off: {words}"),
    };
    Look {
        found: Some(Err(trouble)),
        rewritten: None,
        stand_in: None,
        next: AFTER_A_MISTAKE,
    }
}

impl Control {
    /// Looks at the config repo, unless that is under way: only somebody with news needs another look after it, and whoever waits for the
    /// loop to come to rest would wait as long as looks take longer than the pause between them.
    pub(super) fn poll(&mut self) {
        self.next_look = Instant::now() + LONG;
        if self.fetch == Fetch::Idle {
            self.look_at_repo(Urgency::Routine);
        }
    }

    /// Looks at the config repo; if that is under way, once more after it.
    pub(super) fn look_at_repo(&mut self, urgency: Urgency) {
        if urgency == Urgency::Person {
            self.look_for_packages();
        }
        if let Fetch::UnderWay { again } = &mut self.fetch {
            *again = Some(again.map_or(urgency, |before| before.max(urgency)));
            return;
        }
        self.fetch = Fetch::UnderWay { again: None };
        let (repo, sender) = (Arc::clone(&self.parts.repo), self.sender.clone());
        let known = self.tree.as_ref().and_then(|tree| tree.commit());
        tokio::spawn(async move {
            let look = contained_async(repo.look(known, urgency)).await;
            let look = look.unwrap_or_else(|words| cut_off(&words));
            if sender.send(Message::Looked(Box::new(look))).await.is_err() {
                tracing::debug!("The loop ended before the config repo answered.");
            }
        });
    }

    pub(super) fn looked(&mut self, look: Look) {
        let before = std::mem::replace(&mut self.fetch, Fetch::Idle);
        self.next_look = Instant::now() + look.next;
        if let Some((from, to)) = look.rewritten {
            self.record_rewritten(&from.to_string(), &to.to_string(), true);
        }
        match look.found {
            Some(Ok(commit)) => {
                self.repo_problem = None;
                self.stand_in = look.stand_in;
                self.last_contact = Some(self.now());
                self.take_up(commit);
            }
            Some(Err(error)) => self.repo_failed(error),
            // Every server rests after failures: what was true before the look still is.
            None => {}
        }
        if let Fetch::UnderWay {
            again: Some(urgency),
        } = before
        {
            self.look_at_repo(urgency);
        }
    }

    /// Brings the host to a commit, if it is a new one.
    fn take_up(&mut self, commit: Option<CommitId>) {
        let Some(commit) = commit else {
            return;
        };
        let revision = commit.to_string();
        self.store().record(None, &EventKind::Fetched { revision });
        self.load(&commit);
        self.reconcile();
    }

    fn record_rewritten(&self, from: &str, to: &str, taken: bool) {
        tracing::warn!(from, to, taken, "The config repo's history was rewritten.");
        let (from, to) = (from.to_owned(), to.to_owned());
        self.store()
            .record(None, &EventKind::HistoryRewritten { from, to, taken });
    }

    fn repo_failed(&mut self, error: RepoError) {
        let message = crate::execute::chain(&error);
        self.store().distrust_words(&message);
        tracing::warn!(url = %self.parts.repo_url, error = %message, "The config repo could not be read.");
        if self.repo_problem.as_ref() != Some(&error) {
            match &error {
                RepoError::NonFastForward { from, to }
                | RepoError::AnotherRepository { from, to } => {
                    self.record_rewritten(from, to, false);
                }
                _ => self
                    .store()
                    .record(None, &EventKind::FetchFailed { message }),
            }
        }
        self.repo_problem = Some(error);
    }

    /// Reads what a commit says. A commit that cannot be read changes nothing.
    pub(super) fn load(&mut self, commit: &CommitId) {
        let began = Instant::now();
        let tree = match RevisionTree::open(&self.parts.repo, commit, &self.parts.repo_path) {
            Ok(tree) => Arc::new(tree),
            Err(error) => return self.repo_failed(error),
        };
        let machine = &self.parts.executor.machine;
        let off = disabled(&machine.settings);
        let loader = Loader {
            registry: &machine.registry,
            schemas: &self.parts.schemas,
            host: &self.parts.host,
            disabled: &off,
        };
        let past = Deployed(&self.observed);
        let desired = loader.load(tree.as_ref() as &dyn ConfigTree, &past, &mut self.cache);
        let before = std::mem::replace(&mut self.desired, desired).held;
        self.parts.schemas.rest();
        for (app, observed) in &mut self.observed {
            let wanted = self.desired.apps.get(app);
            if let Some((observed, desired)) = Arc::get_mut(observed).zip(wanted) {
                observed.share(&desired.target);
            }
        }
        self.forget_superseded();
        self.tell_holds(&before);
        self.tree = Some(tree);
        self.look_for_new_packages();
        let microseconds = began.elapsed().as_micros();
        tracing::debug!(%commit, microseconds, "The commit was read.");
    }

    /// Tells of apps that the commit holds, unless the one before did so in the same words.
    fn tell_holds(&self, before: &[Held]) {
        for held in self.desired.held.iter().filter(|it| !before.contains(it)) {
            tracing::warn!(app = %held.app, "Held: {}", held.message);
            let message = held.message.clone();
            self.store()
                .record(Some(&held.app), &EventKind::Held { message });
        }
    }

    /// A commit that asks for something else ends the rest of what failed before, and of repairs that were undone; that of the current release
    /// goes on. An app that the config repo has again is not one that may be removed.
    pub(super) fn forget_superseded(&mut self) {
        let failed = self.attempts.apps();
        let flapping = self.repairs.flapping().into_iter().map(|(app, _)| app);
        let apps: BTreeSet<AppName> = failed.into_iter().chain(flapping).collect();
        for app in apps {
            let wanted = self.desired.apps.get(&app);
            let wanted = wanted.map(|desired| desired.target.trial().clone());
            let current = self
                .observed
                .get(&app)
                .and_then(|observed| observed.current())
                .map(|release| release.target.trial().clone());
            let gone = !self.desired.mentions(&app) && !self.observed.contains_key(&app);
            if wanted.is_some() || gone {
                let live = |trial: &Digest| {
                    Some(trial) == wanted.as_ref() || Some(trial) == current.as_ref()
                };
                self.forget_failures(&app, |trial| !live(trial));
                let store = Arc::clone(&self.parts.executor.store);
                // A repair serves the current release; only another one to come ends it.
                self.repairs
                    .forget(&app, |trial| Some(trial) != wanted.as_ref(), &store);
            }
        }
        self.disapprove(|control, app| control.desired.mentions(app));
    }

    /// Forgets failed attempts of an app at some targets.
    pub(super) fn forget_failures(&mut self, app: &AppName, which: impl Fn(&Digest) -> bool) {
        let store = Arc::clone(&self.parts.executor.store);
        self.attempts
            .forget(app, |attempt| which(&attempt.key), &store);
    }

    /// Remembers in the mirror which commit is fully applied; later tips must descend from it.
    pub(super) fn record_applied(&self) {
        let done = self.lanes.is_idle() && self.attempts.is_empty() && self.desired.held.is_empty();
        let commit = self
            .tree
            .as_ref()
            .and_then(|tree| tree.commit())
            .filter(|_| done);
        if let Some(Err(error)) = commit.map(|commit| self.parts.repo.record_applied(&commit)) {
            tracing::warn!(%error, "The applied commit could not be recorded.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_that_a_mistake_ends_says_so_and_is_not_the_last_one() {
        let look = contained_async::<Look>(async { panic!("no such thing") }).await;
        let look = look.unwrap_or_else(|words| cut_off(&words));
        let Some(Err(trouble)) = look.found else {
            panic!("it found something");
        };
        assert!(trouble.to_string().ends_with("cut it off: no such thing"));
        assert_eq!(look.next, AFTER_A_MISTAKE);
    }
}
