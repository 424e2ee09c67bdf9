//! Reading git's object store: sizes are checked before anything is inflated, and every object is compared with its name.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gix::bstr::BString;
use gix::objs::tree::EntryKind;
use gix::objs::{Kind, TreeRefIter};
use gix::{ObjectId, ThreadSafeRepository};

use super::failure::Asked;
use super::refs::RemoteRef;
use super::{CommitId, RepoError};

/// The largest commit that is read.
const COMMIT_LIMIT: u64 = 1024 * 1024;
/// The largest directory that is read: about 200,000 entries.
const TREE_LIMIT: u64 = 8 * 1024 * 1024;
/// The hash of every object here.
const HASH: gix::hash::Kind = gix::hash::Kind::Sha1;

/// How to open any repository: no configuration but ours is obeyed, and memory is bounded whatever an object claims to be.
pub(super) fn open_options() -> gix::open::Options {
    gix::open::Options::isolated()
        .with(gix::sec::Trust::Reduced)
        .config_overrides([
            "gitoxide.objects.allocLimit=268435456",
            "core.deltaBaseCacheLimit=8388608",
        ])
}

/// Whether the mirror was found damaged; shared by everyone who reads it.
#[derive(Debug, Default)]
pub(super) struct Health(AtomicBool);

impl Health {
    pub(super) fn is_damaged(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set_damaged(&self, damaged: bool) {
        self.0.store(damaged, Ordering::Relaxed);
    }
}

/// An opened mirror.
pub(super) struct Store {
    repo: ThreadSafeRepository,
    health: Arc<Health>,
}

impl Store {
    pub(super) fn open(directory: &Path, health: Arc<Health>) -> Result<Self, RepoError> {
        match open_options().open_path_as_is(true).open(directory) {
            Ok(repo) => Ok(Self { repo, health }),
            Err(error) => {
                health.set_damaged(true);
                Err(RepoError::corrupt(error))
            }
        }
    }

    /// A view for many reads in a row by one thread.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            repo: self.repo.to_thread_local(),
            health: &self.health,
        }
    }
}

/// One entry of a directory.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: BString,
    pub(super) kind: EntryKind,
    pub(super) id: ObjectId,
}

/// A view of a [`Store`].
pub(super) struct Reader<'a> {
    repo: gix::Repository,
    health: &'a Health,
}

impl<'a> Reader<'a> {
    /// A view of a repository that was opened by other means.
    pub(super) fn of(repo: gix::Repository, health: &'a Health) -> Self {
        Self { repo, health }
    }

    /// A file's content.
    pub(super) fn blob(&self, id: ObjectId, limit: u64) -> Result<Vec<u8>, RepoError> {
        self.object(id, Kind::Blob, limit)
    }

    /// A commit as it was written.
    pub(super) fn commit(&self, id: ObjectId) -> Result<Vec<u8>, RepoError> {
        self.object(id, Kind::Commit, COMMIT_LIMIT)
    }

    /// A directory's entries, in git's order.
    pub(super) fn tree(&self, id: ObjectId) -> Result<Vec<Entry>, RepoError> {
        self.tree_sized(id).map(|(entries, _)| entries)
    }

    /// A directory's entries and how many bytes they took.
    pub(super) fn tree_sized(&self, id: ObjectId) -> Result<(Vec<Entry>, u64), RepoError> {
        let data = if id == ObjectId::empty_tree(HASH) {
            Vec::new()
        } else {
            self.object(id, Kind::Tree, TREE_LIMIT)?
        };
        let entries = TreeRefIter::from_bytes(&data, HASH).map(|entry| {
            let entry =
                entry.map_err(|_| self.damage(id, "is not a directory that git would write"))?;
            Ok(Entry {
                name: entry.filename.to_owned(),
                kind: entry.mode.kind(),
                id: entry.oid.to_owned(),
            })
        });
        Ok((
            entries.collect::<Result<_, RepoError>>()?,
            data.len() as u64,
        ))
    }

    /// The entries of the directory at a path; none when there is no directory.
    pub(super) fn entries_at(&self, root: ObjectId, path: &str) -> Result<Vec<Entry>, RepoError> {
        match self.entry_at(root, path)? {
            Some(found) if found.kind == EntryKind::Tree => self.tree(found.id),
            _ => Ok(Vec::new()),
        }
    }

    /// The entry at a path, following directories only.
    pub(super) fn entry_at(&self, root: ObjectId, path: &str) -> Result<Option<Entry>, RepoError> {
        let mut found = Entry {
            name: BString::default(),
            kind: EntryKind::Tree,
            id: root,
        };
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if found.kind != EntryKind::Tree {
                return Ok(None);
            }
            match self
                .tree(found.id)?
                .into_iter()
                .find(|entry| entry.name == part)
            {
                Some(entry) => found = entry,
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// Whether an object is here at all; a shallow history ends where its parents are not.
    pub(super) fn has(&self, id: ObjectId) -> bool {
        self.repo.has_object(id)
    }

    fn object(&self, id: ObjectId, kind: Kind, limit: u64) -> Result<Vec<u8>, RepoError> {
        let header = self
            .repo
            .find_header(id)
            .map_err(|e| self.damage(id, &e.to_string()))?;
        if header.kind() != kind {
            return Err(self.damage(id, &format!("is a {}, not a {kind}", header.kind())));
        }
        if header.size() > limit {
            let what = format!("{kind} {id} with {} bytes", header.size());
            return Err(RepoError::too_large(what, format!("{limit} bytes")));
        }
        let object = self
            .repo
            .find_object(id)
            .map_err(|e| self.damage(id, &e.to_string()))?;
        let data = object.detach().data;
        match gix::objs::compute_hash(HASH, kind, &data) {
            Ok(computed) if computed == id => Ok(data),
            _ => Err(self.damage(id, "does not have the content that its name stands for")),
        }
    }

    fn damage(&self, id: ObjectId, detail: &str) -> RepoError {
        self.health.set_damaged(true);
        RepoError::corrupt(format!("object {id}: {detail}"))
    }
}

/// The refs of a repository on this machine, read from its files.
pub(super) fn list_refs(
    path: &Path,
    prefix: &str,
    asked: &Asked,
) -> Result<Vec<RemoteRef>, RepoError> {
    let repo = open_options()
        .open(path)
        .map_err(|e| asked.not_a_repository(e.to_string()))?;
    let repo = repo.to_thread_local();
    let unreadable = |e: &dyn std::fmt::Display| asked.bad_answer(e.to_string());
    let all = repo.references().map_err(|e| unreadable(&e))?;
    let mut refs = Vec::new();
    for reference in all.all().map_err(|e| unreadable(&e))? {
        let reference = reference.map_err(|e| unreadable(&e))?;
        let name = reference.name().as_bstr().to_string();
        if name.starts_with(prefix) {
            refs.push(described(name, reference).map_err(|e| unreadable(&e))?);
        }
    }
    Ok(refs)
}

fn described(name: String, mut reference: gix::Reference<'_>) -> Result<RemoteRef, gix::Error> {
    let target = reference.target().try_id().map(ToOwned::to_owned);
    let end = reference.peel_to_id()?.detach();
    let target = target.unwrap_or(end);
    Ok(RemoteRef {
        name,
        target: CommitId(target),
        peeled: (end != target).then_some(CommitId(end)),
    })
}
