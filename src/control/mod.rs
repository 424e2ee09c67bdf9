//! The control loop: takes triggers one at a time, brings desired and observed together, and hands changes to their lanes. Serial; it
//! never waits for a step, a fetch or a person.

mod answer;
mod attempts;
mod dispatch;
mod fallback;
mod follow;
mod look;
mod message;
mod meter;
mod packages;
mod person;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{AppName, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::desired::{Desired, LoaderCache, RevisionTree};
use crate::execute::Executor;
use crate::lanes::Lanes;
use crate::observe::{ObservedApp, Room};
use crate::plan::Settled;
use crate::repo::{Mirror, RepoError, StandIn, Urgency};
use crate::schema::Schemas;
use crate::state::{EventKind, Repairs, Store};

use attempts::{Attempts, Now, soonest};
use look::Look;
use packages::Packages;
use person::Pauses;

pub use message::{Message, Reply, Request};

/// How often a data dir that can take nothing is looked at again.
const ROOM_AGAIN: Duration = Duration::from_secs(2);

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
    /// In this time everything that runs is looked at once.
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
    observed: BTreeMap<AppName, Arc<ObservedApp>>,
    settled: Settled,
    attempts: Attempts,
    pauses: Pauses,
    repairs: Repairs,
    /// Apps of which a person has said that they may be removed with many others.
    approved: BTreeSet<AppName>,
    /// Why the store is younger than what it describes.
    doubt: Option<String>,
    room: Room,
    packages: Packages,
    lanes: Lanes,
    fetch: Fetch,
    /// When the config repo is looked at next, if nobody asks before.
    next_look: Instant,
    look: Look,
    /// Counts beginnings and ends of changes, by app: what was seen before one of them is no longer true.
    epochs: BTreeMap<AppName, u64>,
    epochs_seen: BTreeMap<AppName, u64>,
    /// When something is due although nobody asks.
    wake_at: Instant,
    repo_problem: Option<RepoError>,
    /// The mirror that answered at the last look, if it was one.
    stand_in: Option<StandIn>,
    last_contact: Option<Timestamp>,
    waiters: Vec<Waiter>,
    listens: Vec<String>,
    stopping: bool,
}

impl Control {
    /// A loop with its inbox.
    pub fn new(parts: Parts) -> (Self, mpsc::Sender<Message>) {
        let (sender, inbox) = mpsc::channel(64);
        let store = &parts.executor.store;
        let now = Now::at(parts.executor.machine.host.now());
        let control = Self {
            sender: sender.clone(),
            inbox,
            tree: None,
            desired: Desired {
                everything_held: Some("the config repo was not read yet".to_owned()),
                ..Desired::default()
            },
            cache: LoaderCache::default(),
            observed: BTreeMap::new(),
            settled: Settled::default(),
            attempts: Attempts::recalled(store, now),
            pauses: Pauses::recalled(store, now.date),
            repairs: Repairs::recalled(store),
            approved: store.approvals().into_iter().collect(),
            doubt: store.doubt(),
            room: Room::default(),
            packages: Packages::of(&parts.executor.machine),
            lanes: Lanes::default(),
            fetch: Fetch::Idle,
            next_look: Instant::now(),
            look: Look::new(parts.drift),
            epochs: BTreeMap::new(),
            epochs_seen: BTreeMap::new(),
            wake_at: Instant::now(),
            repo_problem: None,
            stand_in: None,
            last_contact: None,
            waiters: Vec::new(),
            listens: Vec::new(),
            stopping: false,
            parts,
        };
        (control, sender)
    }

    /// Runs until told to stop; apps stay as they are. An error when the disk has shown that it is not to be trusted.
    pub async fn run(mut self) -> Result<(), String> {
        self.start();
        while !self.stopping && !self.store().is_broken() {
            let (wake, probe, repo) = (self.wake_at, self.look.due(), self.next_look);
            tokio::select! {
                message = self.inbox.recv() => match message {
                    None => break,
                    Some(message) => self.take(message).await,
                },
                () = tokio::time::sleep_until(repo) => self.poll(),
                () = tokio::time::sleep_until(probe) => self.probe(),
                () = tokio::time::sleep_until(wake) => self.wake(),
            }
        }
        self.stop().await;
        match self.store().problem().filter(|_| self.store().is_broken()) {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    /// Looks once, carries out what is to be done and returns when nothing is under way and nothing more can be done now.
    pub async fn settle(mut self) -> Self {
        self.start();
        self.look_at_repo(Urgency::Person);
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
        self.store().record(None, &EventKind::Started { version });
        self.observe_all();
    }

    async fn take(&mut self, message: Message) {
        let mut next = Some(message);
        while let Some(message) = next {
            next = self.take_one(message).await;
        }
        self.notify_waiters();
    }

    /// Takes a message; gives the one that was found behind it and is still to be taken.
    async fn take_one(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::Hook => self.look_at_repo(Urgency::Routine),
            Message::Looked(look) => self.looked(*look),
            Message::Observed(seen) => self.observed(*seen).await,
            Message::Packages(listed) => self.listed(*listed),
            Message::Nudged(app) => self.nudged(app),
            Message::Finished(finished) => return self.finished(*finished).await,
            Message::Asked(request, reply) => self.answer(request, reply).await,
            Message::Stop => self.stopping = true,
        }
        None
    }

    /// Whether something goes on that may lead to a change.
    fn is_under_way(&self) -> bool {
        self.fetch != Fetch::Idle
            || self.look.is_under_way()
            || self.packages.is_under_way()
            || !self.lanes.is_idle()
    }

    /// Something has become due by the time alone.
    fn wake(&mut self) {
        self.end_pauses();
        self.reconcile();
    }

    /// The next moment at which something becomes due by the time alone.
    fn set_wake(&mut self) {
        let now = Instant::now();
        let room = self.room.problem().map(|_| now + ROOM_AGAIN);
        let failed = self.attempts.next_due(now);
        self.wake_at = soonest([failed, self.pauses.next_end(), room]);
    }

    /// Looks whether the data dir can take changes; says whether that is news. When it can again, what failed because of it is tried at once.
    fn look_for_room(&mut self) -> bool {
        let room = Room::of(&self.parts.executor.machine.dirs.data);
        let (before, now) = (self.room.problem(), room.problem());
        let scarcer = !self.room.is_scarce() && room.is_scarce();
        self.room = room;
        match now {
            Some(reason) if before.is_none() => {
                tracing::error!("Nothing is changed for now: {reason}.");
                self.store().record(None, &EventKind::Hampered { reason });
            }
            None if before.is_some() => {
                tracing::info!("The data dir can take changes again.");
                self.store().record(None, &EventKind::Unhampered);
                self.attempts.end_rests_of_the_host(Instant::now());
            }
            _ => return scarcer,
        }
        true
    }

    fn now(&self) -> Timestamp {
        self.parts.executor.machine.host.now()
    }

    fn store(&self) -> &Store {
        &self.parts.executor.store
    }

    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.parts.executor.machine.host.random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Ends what has not switched yet, waits for the rest, and leaves every app running.
    async fn stop(&mut self) {
        self.lanes.leave();
        while !self.lanes.is_idle() {
            match self.inbox.recv().await {
                Some(Message::Finished(finished)) => self.lanes.end(&finished.app),
                Some(_) => {}
                None => break,
            }
        }
        self.inbox.close();
        self.look.leave().await;
    }
}
