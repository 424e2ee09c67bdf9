//! A config repo at one revision, and a directory in its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hop3_plugin_api::{DirectoryTree, SourceTree};

use super::ConfigTree;
use crate::execute::chain;
use crate::repo::{CommitId, Mirror, RepoError, Snapshot};

/// How many commits are looked at to find the newest that touched an app.
const HISTORY: usize = 200;

/// A commit of the mirror.
pub struct RevisionTree {
    snapshot: Snapshot,
    path: String,
}

impl RevisionTree {
    /// Opens a commit; `path` is the directory that holds `apps/`.
    pub fn open(mirror: &Mirror, commit: &CommitId, path: &str) -> Result<Self, RepoError> {
        Ok(Self {
            snapshot: mirror.snapshot(commit)?,
            path: path.to_owned(),
        })
    }

    /// The commit.
    pub fn commit(&self) -> Option<CommitId> {
        Some(self.snapshot.commit().id)
    }

    fn below(&self, path: &str) -> String {
        if self.path.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.path)
        }
    }
}

impl ConfigTree for RevisionTree {
    fn revision(&self) -> Option<String> {
        Some(self.snapshot.commit().id.to_string())
    }

    fn tree(&self, path: &str) -> Result<Option<Arc<dyn SourceTree>>, String> {
        let found = self
            .snapshot
            .tree(&self.below(path))
            .map_err(|error| chain(&error))?;
        Ok(found.map(|tree| Arc::new(tree) as Arc<dyn SourceTree>))
    }

    fn touched(&self, path: &str) -> Option<String> {
        self.snapshot
            .last_change(&self.below(path), HISTORY)
            .ok()
            .map(|commit| commit.id.to_string())
    }
}

/// A directory with `apps/`, for `validate` and `plan --repo` on a work tree. It shows what a commit of it would hold.
pub struct DirectoryRepo {
    root: PathBuf,
    /// What `.gitmodules` names: a fresh checkout has an empty directory there.
    submodules: BTreeSet<String>,
}

impl DirectoryRepo {
    /// The config repo in a directory.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            submodules: submodules(root),
        }
    }
}

impl ConfigTree for DirectoryRepo {
    fn revision(&self) -> Option<String> {
        None
    }

    fn tree(&self, path: &str) -> Result<Option<Arc<dyn SourceTree>>, String> {
        let mut directory = self.root.clone();
        for step in path.split('/') {
            directory.push(step);
            if !is_directory(&directory) {
                return Ok(None);
            }
        }
        Ok(Some(Arc::new(DirectoryTree::new(directory))))
    }

    fn touched(&self, _path: &str) -> Option<String> {
        None
    }

    fn is_submodule(&self, path: &str) -> bool {
        self.submodules.contains(path)
    }
}

/// Whether a path is a directory itself: a commit does not follow links either.
fn is_directory(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.is_dir())
}

/// The paths of the work tree's submodules. Lines of `.gitmodules` that are anything else mean nothing here.
fn submodules(root: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root.join(".gitmodules")).unwrap_or_default();
    let path = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "path").then(|| value.trim().trim_matches('"').to_owned())
    };
    text.lines().filter_map(path).collect()
}
