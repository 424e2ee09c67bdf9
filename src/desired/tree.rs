//! A config repo at one revision, and a directory in its place.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use hop3_plugin_api::{DirectoryTree, SourceTree};

use super::ConfigTree;
use crate::execute::chain;
use crate::repo::{CommitId, GitTree, Mirror, RepoError, Snapshot};

/// Where the apps are.
const APPS: &str = "apps";
/// How many commits are looked at to find the newest that touched an app.
const HISTORY: usize = 200;

/// A commit of the mirror.
pub struct RevisionTree {
    snapshot: Snapshot,
    path: String,
    /// What `apps/` holds: in a repo of many apps it is large, and they are asked for one by one.
    apps: OnceLock<HashMap<String, GitTree>>,
}

impl RevisionTree {
    /// Opens a commit; `path` is the directory that holds `apps/`.
    pub fn open(mirror: &Mirror, commit: &CommitId, path: &str) -> Result<Self, RepoError> {
        Ok(Self {
            snapshot: mirror.snapshot(commit)?,
            path: path.to_owned(),
            apps: OnceLock::new(),
        })
    }

    /// The commit.
    pub fn commit(&self) -> Option<CommitId> {
        Some(self.snapshot.commit().id)
    }

    fn find(&self, path: &str) -> Result<Option<GitTree>, RepoError> {
        match path.split_once('/') {
            Some((APPS, name)) if !name.contains('/') => Ok(self.apps()?.get(name).cloned()),
            _ => self.snapshot.tree(&self.below(path)),
        }
    }

    fn apps(&self) -> Result<&HashMap<String, GitTree>, RepoError> {
        if let Some(apps) = self.apps.get() {
            return Ok(apps);
        }
        let found = self.snapshot.trees(&self.below(APPS))?;
        Ok(self.apps.get_or_init(|| found))
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
        let found = self.find(path).map_err(|error| chain(&error))?;
        Ok(found.map(|tree| Arc::new(tree) as Arc<dyn SourceTree>))
    }

    fn touched(&self, names: &[&str]) -> Vec<Option<String>> {
        let found = self
            .snapshot
            .last_changes(&self.below(APPS), names, HISTORY);
        let found = found.unwrap_or_default();
        let name = |commit: &CommitId| Some(commit.to_string());
        let known = found.iter().map(name);
        known
            .chain(std::iter::repeat(None))
            .take(names.len())
            .collect()
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

    fn touched(&self, names: &[&str]) -> Vec<Option<String>> {
        vec![None; names.len()]
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
