//! The control loop: takes triggers one at a time, brings desired and observed together, and hands changes to their lanes. Serial; it
//! never waits for a step, a fetch or a person.

mod answer;
mod dispatch;
mod message;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{AppName, Digest, HostError, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::desired::{ConfigTree, Desired, Loader, LoaderCache, RevisionTree};
use crate::execute::Executor;
use crate::lanes::Lanes;
use crate::observe::{ObservedApp, Overview, Scanner};
use crate::plan::Held;
use crate::registry::disabled;
use crate::repo::{CommitId, Look as RepoLook, Mirror, RepoError, StandIn, Urgency};
use crate::schema::Schemas;
use crate::state::{Attempt, EventKind};

pub use message::{Message, Reply, Request};

/// What the loop is made from.
pub struct Parts {
    /// This host's name.
    pub host: String,
    /// Runs changes.
    pub executor: Executor,
    /// Composed schemas.
    pub schemas: Arc<Schemas>,
    /// The config repo.
    pub repo: Arc<Mirror>,
    /// Its directory that holds `apps/`, from the repo's root.
    pub repo_path: String,
    /// Its address, for people.
    pub repo_url: String,
    /// Between two looks at what runs.
    pub drift: Duration,
}

/// Whether the config repo is being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetch {
    Idle,
    UnderWay {
        /// How urgently somebody asked again meanwhile.
        again: Option<Urgency>,
    },
}

/// Longer than any look takes: the look itself says when the next one is.
const LONG: Duration = Duration::from_hours(24);

/// Whether the machine is being looked at, and whether it ever was.
#[derive(Debug, Clone, Default)]
struct Look {
    under_way: bool,
    done_once: bool,
    /// Why the last look failed, if it did.
    problem: Option<String>,
}

/// A person or program that waits until nothing is under way.
type Waiter = oneshot::Sender<Reply>;

/// The loop's own state. Everything in it can be found again by looking.
pub struct Control {
    parts: Parts,
    sender: mpsc::Sender<Message>,
    inbox: mpsc::Receiver<Message>,
    tree: Option<Arc<RevisionTree>>,
    desired: Desired,
    cache: LoaderCache,
    observed: BTreeMap<AppName, ObservedApp>,
    attempts: BTreeMap<(AppName, Digest), Attempt>,
    lanes: Lanes,
    fetch: Fetch,
    /// When the config repo is looked at next, if nobody asks before.
    next_look: Instant,
    look: Look,
    /// Counts beginnings and ends of changes, by app: what was seen before one of them is no longer true.
    epochs: BTreeMap<AppName, u64>,
    epochs_seen: BTreeMap<AppName, u64>,
    retry_at: Instant,
    repo_problem: Option<RepoError>,
    /// The mirror that answered at the last look, if it was one.
    stand_in: Option<StandIn>,
    last_contact: Option<Timestamp>,
    waiters: Vec<Waiter>,
    listens: Vec<String>,
}

impl Control {
    /// A loop with its inbox.
    pub fn new(parts: Parts) -> (Self, mpsc::Sender<Message>) {
        let (sender, inbox) = mpsc::channel(64);
        let control = Self {
            parts,
            sender: sender.clone(),
            inbox,
            tree: None,
            desired: Desired {
                everything_held: Some("the config repo was not read yet".to_owned()),
                ..Desired::default()
            },
            cache: LoaderCache::default(),
            observed: BTreeMap::new(),
            attempts: BTreeMap::new(),
            lanes: Lanes::default(),
            fetch: Fetch::Idle,
            next_look: Instant::now(),
            look: Look::default(),
            epochs: BTreeMap::new(),
            epochs_seen: BTreeMap::new(),
            retry_at: Instant::now(),
            repo_problem: None,
            stand_in: None,
            last_contact: None,
            waiters: Vec::new(),
            listens: Vec::new(),
        };
        (control, sender)
    }

    /// Runs until told to stop; apps stay as they are.
    pub async fn run(mut self) {
        self.start();
        let mut drift = paced(self.parts.drift);
        drift.tick().await;
        loop {
            let (retry, look) = (self.retry_at, self.next_look);
            tokio::select! {
                message = self.inbox.recv() => match message {
                    None | Some(Message::Stop) => break,
                    Some(message) => self.take(message).await,
                },
                () = tokio::time::sleep_until(look) => self.poll(),
                _ = drift.tick() => self.observe(),
                () = tokio::time::sleep_until(retry) => self.reconcile(),
            }
        }
        self.stop().await;
    }

    /// Looks once, carries out what is to be done and returns when nothing is under way and nothing more can be done now.
    pub async fn settle(mut self) -> Self {
        self.start();
        self.look(Urgency::Person);
        while self.is_under_way() {
            match self.inbox.recv().await {
                Some(message) => self.take(message).await,
                None => break,
            }
        }
        self
    }

    /// Looks at what is deployed before anything else: apps are mended without network.
    fn start(&mut self) {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.parts
            .executor
            .store
            .record(None, &EventKind::Started { version });
        self.observe();
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Hook => self.look(Urgency::Routine),
            Message::Looked(look) => self.looked(*look),
            Message::Observed(result) => self.observed(*result),
            Message::Finished(finished) => self.finished(*finished),
            Message::Asked(request, reply) => self.answer(request, reply).await,
            Message::Stop => {}
        }
        self.notify_waiters();
    }

    /// Whether something goes on that may lead to a change.
    fn is_under_way(&self) -> bool {
        self.fetch != Fetch::Idle || self.look.under_way || !self.lanes.is_idle()
    }

    /// Looks at the config repo, unless that is under way: only somebody with news needs another look after it, and whoever waits for the
    /// loop to come to rest would wait as long as looks take longer than the pause between them.
    fn poll(&mut self) {
        self.next_look = Instant::now() + LONG;
        if self.fetch == Fetch::Idle {
            self.look(Urgency::Routine);
        }
    }

    /// Looks at the config repo; if that is under way, once more after it.
    fn look(&mut self, urgency: Urgency) {
        if let Fetch::UnderWay { again } = &mut self.fetch {
            *again = Some(again.map_or(urgency, |before| before.max(urgency)));
            return;
        }
        self.fetch = Fetch::UnderWay { again: None };
        let (repo, sender) = (Arc::clone(&self.parts.repo), self.sender.clone());
        let known = self.tree.as_ref().and_then(|tree| tree.commit());
        tokio::spawn(async move {
            let look = Box::new(repo.look(known, urgency).await);
            if sender.send(Message::Looked(look)).await.is_err() {
                tracing::debug!("The loop ended before the config repo answered.");
            }
        });
    }

    fn looked(&mut self, look: RepoLook) {
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
            self.look(urgency);
        }
    }

    /// Brings the host to a commit, if it is a new one.
    fn take_up(&mut self, commit: Option<CommitId>) {
        let Some(commit) = commit else {
            return;
        };
        let revision = commit.to_string();
        self.parts
            .executor
            .store
            .record(None, &EventKind::Fetched { revision });
        self.load(&commit);
        self.reconcile();
    }

    fn record_rewritten(&self, from: &str, to: &str, taken: bool) {
        tracing::warn!(from, to, taken, "The config repo's history was rewritten.");
        let (from, to) = (from.to_owned(), to.to_owned());
        self.parts
            .executor
            .store
            .record(None, &EventKind::HistoryRewritten { from, to, taken });
    }

    fn repo_failed(&mut self, error: RepoError) {
        let message = crate::execute::chain(&error);
        tracing::warn!(url = %self.parts.repo_url, error = %message, "The config repo could not be read.");
        if self.repo_problem.as_ref() != Some(&error) {
            match &error {
                RepoError::NonFastForward { from, to }
                | RepoError::AnotherRepository { from, to } => {
                    self.record_rewritten(from, to, false);
                }
                _ => self
                    .parts
                    .executor
                    .store
                    .record(None, &EventKind::FetchFailed { message }),
            }
        }
        self.repo_problem = Some(error);
    }

    /// Reads what a commit says. A commit that cannot be read changes nothing.
    fn load(&mut self, commit: &CommitId) {
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
        let recorded = answer::recorded(&self.observed);
        let desired = loader.load(tree.as_ref() as &dyn ConfigTree, &recorded, &mut self.cache);
        let before = std::mem::replace(&mut self.desired, desired).held;
        self.parts.schemas.rest();
        self.forget_superseded_attempts();
        self.tell_holds(&before);
        self.tree = Some(tree);
    }

    /// Tells of apps that the commit holds, unless the one before did so in the same words.
    fn tell_holds(&self, before: &[Held]) {
        for held in self.desired.held.iter().filter(|it| !before.contains(it)) {
            tracing::warn!(app = %held.app, "Held: {}", held.message);
            let message = held.message.clone();
            self.parts
                .executor
                .store
                .record(Some(&held.app), &EventKind::Held { message });
        }
    }

    /// Looks at everything that is deployed, beside the loop: an engine that does not answer holds up nobody.
    fn observe(&mut self) {
        if std::mem::replace(&mut self.look.under_way, true) {
            return;
        }
        self.epochs_seen.clone_from(&self.epochs);
        let (executor, sender, first) = (
            self.parts.executor.clone(),
            self.sender.clone(),
            !self.look.done_once,
        );
        tokio::spawn(async move {
            let overview = look_around(&executor, first).await;
            if sender
                .send(Message::Observed(Box::new(overview)))
                .await
                .is_err()
            {
                tracing::debug!("The loop ended before the machine was looked at.");
            }
        });
    }

    fn observed(&mut self, result: Result<Overview, HostError>) {
        self.look.under_way = false;
        match result {
            Ok(overview) => {
                self.look.problem = None;
                self.take_in(overview);
            }
            Err(error) => {
                tracing::error!(%error, "The deployed apps could not be listed.");
                self.look.problem = Some(crate::execute::chain(&error));
                return;
            }
        }
        if !std::mem::replace(&mut self.look.done_once, true) {
            self.attempts = self.parts.executor.store.attempts();
            if let Some(commit) = self.parts.repo.accepted() {
                self.load(&commit);
            }
        }
        self.reconcile();
    }

    /// Takes in what was seen of apps of which no change began or ended since the look.
    fn take_in(&mut self, overview: Overview) {
        self.listens = overview.listens;
        let busy = self.lanes.busy();
        let (epochs, seen) = (&self.epochs, &self.epochs_seen);
        let stale = |app: &AppName| busy.contains(app) || epochs.get(app) != seen.get(app);
        let there = |app: &AppName| overview.apps.contains_key(app);
        self.observed.retain(|app, _| stale(app) || there(app));
        self.observed
            .extend(overview.apps.into_iter().filter(|(app, _)| !stale(app)));
    }

    fn now(&self) -> Timestamp {
        self.parts.executor.machine.host.now()
    }

    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.parts.executor.machine.host.random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// When the first target that rests is due. Kept as a moment: however often the loop turns meanwhile, it is not missed.
    fn next_retry(&self) -> Instant {
        let now = self.now();
        let resting = self.attempts.values().filter(|attempt| attempt.rests(now));
        let next = resting
            .filter_map(|attempt| attempt.next)
            .map(|next| next.0 - now.0)
            .min();
        Instant::now() + Duration::from_secs(next.unwrap_or(3600)) + Duration::from_millis(100)
    }

    /// Ends what has not switched yet, waits for the rest, and leaves every app running.
    async fn stop(&mut self) {
        self.lanes.cancel_all();
        while !self.lanes.is_idle() {
            match self.inbox.recv().await {
                Some(Message::Finished(finished)) => self.lanes.end(&finished.app),
                Some(_) => {}
                None => break,
            }
        }
    }
}

/// Ticks with at least this pause between them: a machine too busy to keep the pace is not made busier by catching up.
fn paced(pause: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(pause);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

/// What is deployed; at the first look also what each proxy was given.
async fn look_around(executor: &Executor, first: bool) -> Result<Overview, HostError> {
    let scanner = Scanner {
        machine: &executor.machine,
    };
    let overview = scanner.all().await?;
    if first
        && let Err(error) = executor
            .sites
            .remember(&executor.machine, overview.apps.keys().cloned())
            .await
    {
        tracing::error!(%error, "The sites of deployed apps could not be read.");
    }
    Ok(overview)
}
