//! Whether what was fetched is whole, and whether what was there before still is. Reads only; lives in the fetching child.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::bstr::BString;
use gix::objs::tree::EntryKind;

use super::store::{Entry, Health, Reader};
use super::{CommitId, RepoError, history};

/// The most entries that are looked at in one commit. Equal directories count once.
const ENTRY_LIMIT: usize = 5_000_000;

/// Whether a commit and its root directory are here and are what they are called.
pub(super) fn readable(repo: &gix::Repository, commit: CommitId) -> Result<(), RepoError> {
    let health = Health::default();
    let reader = Reader::of(repo.clone(), &health);
    let tree = history::commit(&reader, commit)?.tree;
    reader.tree(tree).map(drop)
}

/// The root directory of a commit.
pub(super) fn root(repo: &gix::Repository, commit: CommitId) -> Result<ObjectId, RepoError> {
    let health = Health::default();
    Ok(history::commit(&Reader::of(repo.clone(), &health), commit)?.tree)
}

/// Whether everything that a commit needs is here. What a commit that is known to be whole has at the same place is not looked at again.
pub(super) fn complete(
    repo: &gix::Repository,
    commit: CommitId,
    whole: Option<CommitId>,
) -> Result<(), RepoError> {
    let health = Health::default();
    let reader = Reader::of(repo.clone(), &health);
    let whole = whole.and_then(|whole| history::commit(&reader, whole).ok());
    let mut walk = Walk {
        reader,
        seen: HashSet::new(),
        open: Vec::new(),
        entries: 0,
    };
    let root = history::commit(&walk.reader, commit)?.tree;
    walk.enter(root, whole.map(|commit| commit.tree));
    while let Some((tree, whole)) = walk.open.pop() {
        walk.directory(tree, whole)?;
    }
    Ok(())
}

struct Walk<'a> {
    reader: Reader<'a>,
    seen: HashSet<ObjectId>,
    /// Directories to look at, each with the whole one in its place.
    open: Vec<(ObjectId, Option<ObjectId>)>,
    entries: usize,
}

impl Walk<'_> {
    fn enter(&mut self, tree: ObjectId, whole: Option<ObjectId>) {
        if Some(tree) != whole && self.seen.insert(tree) {
            self.open.push((tree, whole));
        }
    }

    fn directory(&mut self, tree: ObjectId, whole: Option<ObjectId>) -> Result<(), RepoError> {
        let before = whole
            .map(|whole| self.named(whole))
            .transpose()?
            .unwrap_or_default();
        for entry in self.counted(tree)? {
            let whole = before
                .get(&entry.name)
                .filter(|found| found.kind == entry.kind)
                .map(|found| found.id);
            match entry.kind {
                _ if whole == Some(entry.id) => {}
                EntryKind::Commit => {}
                EntryKind::Tree => self.enter(entry.id, whole),
                _ if self.reader.has(entry.id) => {}
                _ => {
                    return Err(RepoError::corrupt(format!(
                        "object {} is missing",
                        entry.id
                    )));
                }
            }
        }
        Ok(())
    }

    fn named(&self, tree: ObjectId) -> Result<BTreeMap<BString, Entry>, RepoError> {
        let entries = self.reader.tree(tree)?.into_iter();
        Ok(entries.map(|entry| (entry.name.clone(), entry)).collect())
    }

    fn counted(&mut self, tree: ObjectId) -> Result<Vec<Entry>, RepoError> {
        let entries = self.reader.tree(tree)?;
        self.entries += entries.len();
        if self.entries > ENTRY_LIMIT {
            return Err(RepoError::too_large(
                "the number of entries of a commit",
                ENTRY_LIMIT.to_string(),
            ));
        }
        Ok(entries)
    }
}

/// Compares every pack with its checksums.
pub(super) fn intact(repo: &gix::Repository) -> Result<(), RepoError> {
    let options = gix::odb::pack::index::verify::integrity::Options {
        verify_mode: gix::odb::pack::index::verify::Mode::HashCrc32,
        ..Default::default()
    };
    let store = repo.objects.store_ref();
    let verified = store.verify_integrity(
        &mut gix::progress::Discard,
        &AtomicBool::new(false),
        options,
    );
    verified.map(drop).map_err(RepoError::corrupt)
}
