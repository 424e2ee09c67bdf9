//! The local copy of the config repo: a bare repository that only the fetching child grows and only snapshots read.
//!
//! Guarantees: the accepted commit moves forward only (unless the operator follows rewritten history); a damaged or untidy mirror is made
//! anew beside the old one and swapped, so that a dead server never leaves the host without a copy; a killed fetch leaves nothing that
//! stops the next one.
//! Assumptions: one agent uses the directory at a time.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::child::{self, FetchRequest, Fetched};
use super::remote::Remote;
use super::store::{Health, Store};
use super::{CommitId, History, RepoConfig, RepoError, Snapshot};

/// The newest commit that was taken from the remote.
const ACCEPTED: &str = "refs/hop3/accepted";
/// The newest commit that was applied to this host.
const APPLIED: &str = "refs/hop3/applied";
/// Each fetch adds a pack; above this many a new mirror is cheaper to read.
const PACK_LIMIT: usize = 50;

/// What a fetch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchOutcome {
    /// The first commit of this mirror.
    First,
    /// The commit was here already.
    Unchanged,
    /// The commit descends from the accepted one.
    FastForward,
    /// History was rewritten. Unless the operator follows such history, the accepted commit stays.
    Rewound {
        /// The accepted commit.
        from: CommitId,
        /// The tip of the remote.
        to: CommitId,
    },
}

/// The bare copy of a config repo.
pub struct Mirror {
    directory: PathBuf,
    remote: Remote,
    program: PathBuf,
    health: Arc<Health>,
    /// Held during a fetch; remembers a commit that was refused, so that it is not fetched again at every poll.
    refused: Mutex<Option<CommitId>>,
}

impl Mirror {
    /// Uses the mirror in a directory, which is made by the first fetch. Asks no server.
    pub fn open_or_init(
        directory: impl Into<PathBuf>,
        mut config: RepoConfig,
    ) -> Result<Self, RepoError> {
        let failed = |e| RepoError::internal("prepare the mirror's directory", e);
        // The child works in another directory.
        let directory = std::path::absolute(directory.into()).map_err(failed)?;
        config.ca = config
            .ca
            .map(std::path::absolute)
            .transpose()
            .map_err(failed)?;
        if config.token.is_some() && config.url.is_cleartext() {
            return Err(RepoError::ClearText {
                url: config.url.to_string(),
            });
        }
        prepare(&directory).map_err(failed)?;
        Ok(Self {
            directory,
            remote: Remote::new(config),
            program: PathBuf::from("/proc/self/exe"),
            health: Arc::default(),
            refused: Mutex::default(),
        })
    }

    /// Fetches through another program than this one, which must answer to `internal-fetch`.
    #[must_use]
    pub fn with_fetch_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// The newest commit of the remote: one request on a kept connection.
    pub async fn tip(&self) -> Result<CommitId, RepoError> {
        self.remote.tip().await
    }

    /// Brings a commit into the mirror and accepts it. Costs nothing when it is there.
    pub async fn fetch(&self, commit: &CommitId) -> Result<FetchOutcome, RepoError> {
        let mut refused = self.refused.lock().await;
        let from = self.accepted();
        if !self.health.is_damaged() {
            match from {
                Some(from) if from == *commit => return Ok(FetchOutcome::Unchanged),
                Some(from) if *refused == Some(*commit) => {
                    return Ok(FetchOutcome::Rewound { from, to: *commit });
                }
                _ => {}
            }
        }
        let fetched = self.bring(commit, from).await?;
        let takes = fetched.descends || self.remote.config().history == History::Follow;
        *refused = (!takes).then_some(*commit);
        if takes {
            self.write_ref(ACCEPTED, commit)?;
        }
        Ok(match from {
            None => FetchOutcome::First,
            Some(from) if from == *commit => FetchOutcome::Unchanged,
            Some(from) if !fetched.descends => FetchOutcome::Rewound { from, to: *commit },
            Some(_) => FetchOutcome::FastForward,
        })
    }

    async fn bring(&self, commit: &CommitId, base: Option<CommitId>) -> Result<Fetched, RepoError> {
        if !self.directory.exists() || self.health.is_damaged() {
            return self.renew(commit, base).await;
        }
        if self.pack_count() > PACK_LIMIT
            && let Ok(fetched) = self.renew(commit, base).await
        {
            return Ok(fetched);
        }
        match child::run(&self.program, &self.request(&self.directory, commit, base)?).await {
            Err(RepoError::Corrupt { .. }) => self.renew(commit, base).await,
            other => other,
        }
    }

    /// Makes a new mirror beside this one and swaps them once it is whole.
    async fn renew(&self, commit: &CommitId, base: Option<CommitId>) -> Result<Fetched, RepoError> {
        let beside = self.beside("new");
        let failed = |e: std::io::Error| RepoError::internal("make the mirror anew", e);
        remove(&beside).map_err(failed)?;
        let fetched = child::run(&self.program, &self.request(&beside, commit, base)?).await;
        let takes =
            |fetched: &Fetched| fetched.descends || self.remote.config().history == History::Follow;
        if fetched.as_ref().is_ok_and(takes) {
            self.swap(&beside).map_err(failed)?;
            self.health.set_damaged(false);
        } else {
            remove(&beside).map_err(failed)?;
        }
        fetched
    }

    fn swap(&self, beside: &Path) -> std::io::Result<()> {
        for name in [ACCEPTED, APPLIED] {
            if let Some(commit) = self.read_ref(name) {
                write_ref(beside, name, &commit)?;
            }
        }
        let old = self.beside("old");
        remove(&old)?;
        if self.directory.exists() {
            std::fs::rename(&self.directory, &old)?;
        }
        std::fs::rename(beside, &self.directory)?;
        sync_parent(&self.directory)?;
        remove(&old)
    }

    fn request(
        &self,
        directory: &Path,
        commit: &CommitId,
        base: Option<CommitId>,
    ) -> Result<FetchRequest, RepoError> {
        let config = self.remote.config();
        Ok(FetchRequest {
            directory: directory.to_owned(),
            url: self.remote.fetch_url(),
            commit: *commit,
            base,
            keep: base.into_iter().chain(self.last_applied()).collect(),
            authorization: self.remote.authorization()?,
            ca: config.ca.clone(),
            limits: config.limits,
        })
    }

    /// Opens a fetched commit for reading.
    pub fn snapshot(&self, commit: &CommitId) -> Result<Snapshot, RepoError> {
        let store = Store::open(&self.directory, Arc::clone(&self.health))?;
        Snapshot::new(store, *commit, self.remote.config().path.clone())
    }

    /// The newest commit that was taken from the remote; it is here even when the remote is not.
    pub fn accepted(&self) -> Option<CommitId> {
        // Whatever was applied had been accepted: it stands in should the other file be lost.
        self.read_ref(ACCEPTED).or_else(|| self.last_applied())
    }

    /// The newest commit that was applied to this host.
    pub fn last_applied(&self) -> Option<CommitId> {
        self.read_ref(APPLIED)
    }

    /// Remembers that a commit was applied, durably.
    pub fn record_applied(&self, commit: &CommitId) -> Result<(), RepoError> {
        self.write_ref(APPLIED, commit)
    }

    /// Whether something that was read did not add up; the next fetch makes the mirror anew.
    pub fn is_damaged(&self) -> bool {
        self.health.is_damaged()
    }

    /// Reads the file of a ref, which works however damaged the rest is.
    fn read_ref(&self, name: &str) -> Option<CommitId> {
        let text = std::fs::read_to_string(self.directory.join(name)).ok()?;
        text.trim_end().parse().ok()
    }

    fn write_ref(&self, name: &str, commit: &CommitId) -> Result<(), RepoError> {
        write_ref(&self.directory, name, commit)
            .map_err(|e| RepoError::internal(format!("record `{name}`"), e))
    }

    fn pack_count(&self) -> usize {
        let packs = std::fs::read_dir(self.directory.join("objects/pack"));
        let is_pack =
            |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|kind| kind == "pack");
        packs.map_or(0, |entries| entries.flatten().filter(is_pack).count())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.directory, suffix)
    }
}

fn beside(directory: &Path, suffix: &str) -> PathBuf {
    let mut name = directory.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    PathBuf::from(name)
}

/// Makes the parent, and finishes a swap that was interrupted between its two renames.
fn prepare(directory: &Path) -> std::io::Result<()> {
    if let Some(parent) = directory.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    let old = beside(directory, "old");
    if !directory.exists() && old.exists() {
        std::fs::rename(old, directory)?;
    }
    Ok(())
}

fn remove(directory: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Writes a loose ref as git would, but durably, and without a lock that a crash could leave behind.
fn write_ref(mirror: &Path, name: &str, commit: &CommitId) -> std::io::Result<()> {
    let path = mirror.join(name);
    std::fs::create_dir_all(path.parent().unwrap_or(mirror))?;
    let temporary = beside(&path, "lock");
    let mut file = std::fs::File::create(&temporary)?;
    writeln!(file, "{commit}")?;
    file.sync_all()?;
    std::fs::rename(&temporary, &path)?;
    sync_parent(&path)
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent()
        .map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all())
}
