//! What the threads of a worker share: listeners, routing, the limit on connections, and whether it is time to go.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use hop3_plugin_api::{AppName, Digest, ReleaseId};
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use crate::control::{ListenerStatus, Status};
use crate::document::{Document, FILE_NAME};
use crate::routing::Routing;
use crate::settings::Launch;

use super::privileges;

/// The most connections of clients at a time, if the limit on open files allows it; further ones wait in the kernel's backlog.
const MOST_CONNECTIONS: usize = 16 * 1024;
/// The most threads, whatever is set.
const MOST_THREADS: usize = 64;
/// The largest document that is read.
const DOCUMENT_LIMIT: usize = 64 * 1024 * 1024;

/// One listening socket.
pub(super) struct Listener {
    /// The address as set.
    pub(super) asked: SocketAddr,
    /// The address in use.
    pub(super) bound: SocketAddr,
    /// The socket.
    pub(super) socket: TcpListener,
}

/// The state of a worker.
pub(super) struct State {
    /// Where requests go.
    pub(super) routing: Routing,
    /// One permit per connection.
    pub(super) connections: Arc<Semaphore>,
    most_connections: usize,
    listeners: Mutex<Arc<Vec<Listener>>>,
    retired: watch::Sender<bool>,
    launch: Launch,
    sites: OwnedFd,
    holder: u32,
    holder_lives: AtomicBool,
    taken: Mutex<Taken>,
}

/// The document in use.
#[derive(Default)]
struct Taken {
    generation: u64,
    config: Option<Digest>,
    document: Option<Document>,
    problem: Option<String>,
}

impl State {
    /// Opens the directory of the document while there are rights to do so.
    pub(super) fn new(launch: Launch, listeners: Vec<Listener>) -> Result<Self, String> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let sites = open(&launch.sites, flags, Mode::empty())
            .map_err(|e| format!("could not open `{}`: {e}", launch.sites.display()))?;
        let most_connections = MOST_CONNECTIONS.min(privileges::open_files() / 3).max(16);
        Ok(Self {
            routing: Routing::new(),
            connections: Arc::new(Semaphore::new(most_connections)),
            most_connections,
            listeners: Mutex::new(Arc::new(listeners)),
            retired: watch::Sender::new(false),
            launch,
            sites,
            holder: std::os::unix::process::parent_id(),
            holder_lives: AtomicBool::new(true),
            taken: Mutex::default(),
        })
    }

    /// How many threads serve.
    pub(super) fn threads(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let count = self.launch.threads.map_or_else(cores, usize::from);
        count.clamp(1, MOST_THREADS)
    }

    /// Reads the document and uses it; on any failure the former one stays in use. No document yet means no sites.
    pub(super) fn reload(&self) -> Result<(), String> {
        let outcome = self.read_and_replace();
        let mut taken = lock(&self.taken);
        match outcome {
            Ok((config, document)) => {
                *taken = Taken {
                    generation: taken.generation + 1,
                    config,
                    document: Some(document),
                    problem: None,
                };
                Ok(())
            }
            Err(problem) => {
                let problem = format!("refused `{FILE_NAME}`: {problem}");
                taken.problem = Some(problem.clone());
                Err(problem)
            }
        }
    }

    fn read_and_replace(&self) -> Result<(Option<Digest>, Document), String> {
        let bytes = self.read_document()?;
        let document = match &bytes {
            Some(bytes) => Document::parse(bytes)?,
            None => Document::new(Vec::new()),
        };
        self.routing.replace(&document)?;
        Ok((bytes.map(|b| Digest::of_bytes(&b)), document))
    }

    fn read_document(&self) -> Result<Option<Vec<u8>>, String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match openat(&self.sites, FILE_NAME, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut chunk))
                .map_err(|e| e.to_string())?;
            bytes.extend_from_slice(&chunk[..count]);
            if bytes.len() > DOCUMENT_LIMIT {
                return Err(format!("it is larger than {DOCUMENT_LIMIT} bytes"));
            }
            if count == 0 {
                return Ok(Some(bytes));
            }
        }
    }

    /// What this worker does.
    pub(super) fn status(&self, of: Option<&BTreeSet<AppName>>) -> Status {
        let taken = lock(&self.taken);
        let lives = self.holder_lives.load(Ordering::SeqCst);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            launch: serde_json::to_value(&self.launch).unwrap_or(Value::Null),
            worker: std::process::id(),
            holder: lives.then_some(self.holder),
            generation: taken.generation,
            config: taken.config.clone(),
            sites: taken
                .document
                .as_ref()
                .map(|document| document.digests(of))
                .unwrap_or_default(),
            listeners: self.listeners().iter().map(Listener::status).collect(),
            connections: self.open_connections(),
            in_flight: self.routing.ledger().snapshot(),
            problem: taken.problem.clone(),
        }
    }

    /// Requests in flight to a release.
    pub(super) fn in_flight(&self, release: &ReleaseId) -> usize {
        self.routing.in_flight(release)
    }

    /// The holder has died.
    pub(super) fn lose_holder(&self) {
        self.holder_lives.store(false, Ordering::SeqCst);
    }

    /// The listening sockets; none once it is retired.
    pub(super) fn listeners(&self) -> Arc<Vec<Listener>> {
        Arc::clone(&lock(&self.listeners))
    }

    /// Ends accepting and lets go of the sockets, which another worker has or nobody needs; connections end with the request they are at.
    pub(super) fn stop_accepting(&self) {
        *lock(&self.listeners) = Arc::default();
        self.retired.send_replace(true);
    }

    /// Becomes true when the worker is retired.
    pub(super) fn retirement(&self) -> watch::Receiver<bool> {
        self.retired.subscribe()
    }

    /// Connections of clients, tunnels among them.
    pub(super) fn open_connections(&self) -> usize {
        self.most_connections
            .saturating_sub(self.connections.available_permits())
    }
}

/// What is locked is replaced as a whole, so a thread that panicked has left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener {
    fn status(&self) -> ListenerStatus {
        ListenerStatus {
            asked: self.asked,
            bound: self.bound,
        }
    }
}
