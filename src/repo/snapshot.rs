//! One commit of the config repo, to be read. Nothing is written, nothing is followed out of the commit.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use serde::{Deserialize, Serialize};

use super::store::Store;
use super::{BlobId, CommitId, GitTree, RepoError, RepoListing, TreePath, history, listing};

/// The largest spec, Procfile, host file or secret that is read: 256 KiB.
pub const SPEC_LIMIT: u64 = 256 * 1024;

/// A commit as people see it. The texts are raw: whoever shows them escapes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitInfo {
    /// Its name.
    pub id: CommitId,
    /// Who wrote it.
    pub author: String,
    /// When it was committed, in seconds since 1970, as the committer's clock said.
    pub time: i64,
    /// The first line of its message.
    pub subject: String,
}

/// One commit, opened for reading. Cheap to clone; drop it to give its memory back.
#[derive(Clone)]
pub struct Snapshot {
    store: Arc<Store>,
    commit: CommitInfo,
    tree: ObjectId,
    path: TreePath,
}

impl Snapshot {
    pub(super) fn new(store: Store, commit: CommitId, path: TreePath) -> Result<Self, RepoError> {
        let commit = history::commit(&store.reader(), commit)?;
        Ok(Self {
            store: Arc::new(store),
            tree: commit.tree,
            commit: commit.info,
            path,
        })
    }

    /// The commit.
    pub fn commit(&self) -> &CommitInfo {
        &self.commit
    }

    /// What the configured directory holds. A listing of an earlier commit spares reading what has not changed since.
    pub fn entries(&self, previous: Option<&RepoListing>) -> Result<RepoListing, RepoError> {
        let reader = self.store.reader();
        let found = reader.entry_at(self.tree, self.path.as_str())?;
        match found.filter(|entry| entry.kind == EntryKind::Tree) {
            Some(entry) => {
                let base = listing::Base {
                    commit: self.commit.id,
                    tree: entry.id,
                    path: &self.path,
                };
                listing::read(&reader, &base, previous)
            }
            None => Err(RepoError::PathMissing {
                path: self.path.as_str().to_owned(),
                commit: self.commit.id.short(),
            }),
        }
    }

    /// The content of a listed file, at most [`SPEC_LIMIT`] bytes.
    pub fn blob(&self, id: &BlobId) -> Result<Vec<u8>, RepoError> {
        self.store.reader().blob(id.0, SPEC_LIMIT)
    }

    /// The directory at a path of the repo, `None` when there is none. Symbolic links and submodules are not directories.
    pub fn tree(&self, path: &str) -> Result<Option<GitTree>, RepoError> {
        let found = self.store.reader().entry_at(self.tree, path)?;
        let directory = found.filter(|entry| entry.kind == EntryKind::Tree);
        Ok(directory.map(|entry| GitTree::new(Arc::clone(&self.store), entry.id)))
    }

    /// The directories in a directory of the repo, by name; those whose name is not UTF-8 are left out.
    pub fn trees(&self, path: &str) -> Result<HashMap<String, GitTree>, RepoError> {
        let entries = self.store.reader().entries_at(self.tree, path)?;
        let directories = entries
            .into_iter()
            .filter(|entry| entry.kind == EntryKind::Tree);
        let named = directories.filter_map(|entry| {
            let tree = GitTree::new(Arc::clone(&self.store), entry.id);
            Some((String::from_utf8(entry.name.into()).ok()?, tree))
        });
        Ok(named.collect())
    }

    /// For each of these entries of a directory of the repo the newest commit that touched it, looking at most at so many commits.
    pub fn last_changes(
        &self,
        directory: &str,
        names: &[&str],
        at_most: usize,
    ) -> Result<Vec<CommitId>, RepoError> {
        let reader = self.store.reader();
        history::last_changes(&reader, self.commit.id, (directory, names), at_most)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({})", self.commit.id)
    }
}
