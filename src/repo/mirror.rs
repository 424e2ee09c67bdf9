//! The local copy of the config repo: a bare repository that only the fetching child grows and only snapshots read.
//!
//! Guarantees: the accepted commit moves forward only (unless the operator follows rewritten history); a damaged or untidy mirror is made
//! anew beside the old one and swapped, so that a dead server never leaves the host without a copy; a killed fetch leaves nothing that
//! stops the next one.
//! Assumptions: one agent uses the directory at a time.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::child::{self, Fetch, Fetched, Task};
use super::follow::{Followed, Leave};
use super::pace::Breakers;
use super::reference::Tip;
use super::remote::Remote;
use super::store::{Health, Store};
use super::{CommitId, RepoConfig, RepoError, Snapshot};

/// The newest commit that was taken from the remote.
const ACCEPTED: &str = "refs/hop3/accepted";
/// The newest commit that was applied to this host.
const APPLIED: &str = "refs/hop3/applied";
/// What was followed when the accepted commit was taken.
const FOLLOWED: &str = "hop3-followed.json";
/// Each fetch adds a pack; above this many a new mirror is cheaper to read.
const PACK_LIMIT: usize = 50;

/// What a fetch did. A commit that is refused is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchOutcome {
    /// The first commit of this mirror.
    First,
    /// The commit was here already.
    Unchanged,
    /// The commit descends from the accepted one.
    FastForward,
    /// It does not, and was taken nevertheless: the operator follows rewritten history, or follows something else than before.
    Rewritten {
        /// The commit that was accepted before.
        from: CommitId,
        /// The one that is now.
        to: CommitId,
    },
}

/// The bare copy of a config repo.
pub struct Mirror {
    directory: PathBuf,
    pub(super) config: Arc<RepoConfig>,
    /// The config repo's own address, then its mirrors.
    pub(super) remotes: Vec<Remote>,
    pub(super) program: PathBuf,
    pub(super) health: Arc<Health>,
    pub(super) breakers: Breakers,
    /// Held during a fetch; remembers what was refused from which remote, so that it is not fetched again at every poll.
    refused: Mutex<BTreeMap<usize, (CommitId, RepoError)>>,
    pub(super) news: std::sync::Mutex<super::look::News>,
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
        let config = Arc::new(config);
        let urls = std::iter::once(&config.url).chain(&config.mirrors);
        let remotes = urls.map(|url| Remote::new(url.clone(), Arc::clone(&config)));
        Ok(Self {
            directory,
            remotes: remotes.collect(),
            program: PathBuf::from("/proc/self/exe"),
            health: Arc::default(),
            breakers: Breakers::new(config.poll),
            config,
            refused: Mutex::default(),
            news: std::sync::Mutex::default(),
        })
    }

    /// Fetches through another program than this one, which must answer to `internal-fetch`.
    #[must_use]
    pub fn with_fetch_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// The newest commit at the config repo's own address: one request on a kept connection.
    pub async fn tip(&self) -> Result<CommitId, RepoError> {
        Ok(self.remotes[0].tip(&self.program).await?.commit)
    }

    /// Brings a commit of the config repo's own address into the mirror and accepts it. Costs nothing when it is there.
    pub async fn fetch(&self, commit: &CommitId) -> Result<FetchOutcome, RepoError> {
        self.take(0, &Tip::at(*commit)).await
    }

    /// Brings what a remote has into the mirror and accepts it, if it may be accepted from there.
    pub(super) async fn take(&self, remote: usize, tip: &Tip) -> Result<FetchOutcome, RepoError> {
        let mut refused = self.refused.lock().await;
        let from = self.accepted();
        let followed = Followed::now(&self.config.reference, tip);
        if !self.health.is_damaged() {
            if from == Some(tip.commit) {
                self.remember(&followed)?;
                return Ok(FetchOutcome::Unchanged);
            }
            if let Some((commit, error)) = refused.get(&remote)
                && *commit == tip.commit
            {
                return Err(error.clone());
            }
        }
        let leave = if remote == 0 {
            followed.leave(self.followed().as_ref(), self.config.history)
        } else {
            Leave::Descendants
        };
        let errand = Errand {
            remote: &self.remotes[remote],
            tip,
            base: from,
            leave,
        };
        let fetched = self.bring(&errand).await;
        match &fetched {
            Err(error) if error.is_refusal() => refused.insert(remote, (tip.commit, error.clone())),
            _ => refused.remove(&remote),
        };
        let fetched = fetched?;
        self.write_ref(ACCEPTED, &tip.commit)?;
        self.remember(&followed)?;
        Ok(match from {
            None => FetchOutcome::First,
            Some(from) if from == tip.commit => FetchOutcome::Unchanged,
            Some(_) if fetched == Fetched::Descends => FetchOutcome::FastForward,
            Some(from) => FetchOutcome::Rewritten {
                from,
                to: tip.commit,
            },
        })
    }

    async fn bring(&self, errand: &Errand<'_>) -> Result<Fetched, RepoError> {
        if !self.directory.exists() || self.health.is_damaged() {
            return self.renew(errand).await;
        }
        if self.pack_count() > PACK_LIMIT
            && let Ok(fetched) = self.renew(errand).await
        {
            return Ok(fetched);
        }
        match self.run(&self.directory, errand).await {
            Err(RepoError::Corrupt { .. }) => self.renew(errand).await,
            other => other,
        }
    }

    /// Makes a new mirror beside this one and swaps them once it is whole and may be taken.
    async fn renew(&self, errand: &Errand<'_>) -> Result<Fetched, RepoError> {
        let beside = self.beside("new");
        let failed = |e: std::io::Error| RepoError::internal("make the mirror anew", e);
        remove(&beside).map_err(failed)?;
        let fetched = self.run(&beside, errand).await;
        if fetched.is_ok() {
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
        if let Some(followed) = self.followed() {
            write_durably(beside, FOLLOWED, &followed.to_string())?;
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

    /// Has the child fetch into a directory, and judges how what came stands to what was accepted.
    async fn run(&self, directory: &Path, errand: &Errand<'_>) -> Result<Fetched, RepoError> {
        let order = errand.remote.order(Task::Fetch(Fetch {
            directory: directory.to_owned(),
            tip: errand.tip.clone(),
            base: errand.base,
            keep: errand.base.into_iter().chain(self.last_applied()).collect(),
            relate: errand.leave == Leave::Relatives,
        }))?;
        let fetched = child::fetch(&self.program, &order).await?;
        errand.judge(fetched)
    }

    fn remember(&self, followed: &Followed) -> Result<(), RepoError> {
        if self.followed().as_ref() == Some(followed) {
            return Ok(());
        }
        write_durably(&self.directory, FOLLOWED, &followed.to_string())
            .map_err(|e| RepoError::internal("record what is followed", e))
    }

    fn followed(&self) -> Option<Followed> {
        let text = std::fs::read(self.directory.join(FOLLOWED)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Opens a fetched commit for reading.
    pub fn snapshot(&self, commit: &CommitId) -> Result<Snapshot, RepoError> {
        let store = Store::open(&self.directory, Arc::clone(&self.health))?;
        Snapshot::new(store, *commit, self.config.path.clone())
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

    /// Whether a commit is here, if only because it was here once.
    pub(super) fn knows(&self, commit: &CommitId) -> bool {
        let store = Store::open(&self.directory, Arc::default());
        store.is_ok_and(|store| store.reader().has(commit.0))
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

/// One commit to bring from one remote.
struct Errand<'a> {
    remote: &'a Remote,
    tip: &'a Tip,
    base: Option<CommitId>,
    leave: Leave,
}

impl Errand<'_> {
    fn judge(&self, fetched: Fetched) -> Result<Fetched, RepoError> {
        let Some(from) = self.base.filter(|_| fetched != Fetched::Descends) else {
            return Ok(fetched);
        };
        let (from, to) = (from.to_string(), self.tip.commit.to_string());
        match (self.leave, fetched) {
            (Leave::Descendants, _) => Err(RepoError::NonFastForward { from, to }),
            (Leave::Relatives, Fetched::Strange) => Err(RepoError::AnotherRepository { from, to }),
            (Leave::Relatives, _) => Ok(fetched),
        }
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
    write_durably(mirror, name, &commit.to_string())
}

fn write_durably(mirror: &Path, name: &str, line: &str) -> std::io::Result<()> {
    let path = mirror.join(name);
    std::fs::create_dir_all(path.parent().unwrap_or(mirror))?;
    let temporary = beside(&path, "lock");
    let mut file = std::fs::File::create(&temporary)?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    std::fs::rename(&temporary, &path)?;
    sync_parent(&path)
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent()
        .map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all())
}
