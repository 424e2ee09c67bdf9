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

/// Whether every ref and every end of the shallow history names something that is here: git's own code gives up on one that does not.
pub(super) fn notes(repo: &gix::Repository) -> Result<(), RepoError> {
    let references = repo.references().map_err(RepoError::corrupt)?;
    for reference in references.all().map_err(RepoError::corrupt)? {
        let mut reference = reference.map_err(RepoError::corrupt)?;
        reference.peel_to_id().map_err(RepoError::corrupt)?;
    }
    let missing = ends(repo)?.into_iter().find(|end| !repo.has_object(*end));
    missing.map_or(Ok(()), |end| {
        Err(RepoError::corrupt(format!("object {end} is missing")))
    })
}

/// The commits at which a shallow history ends.
fn ends(repo: &gix::Repository) -> Result<Vec<ObjectId>, RepoError> {
    let ends = repo.shallow_commits().map_err(RepoError::corrupt)?;
    Ok(ends
        .map(|ends| ends.iter().copied().collect())
        .unwrap_or_default())
}

/// Whether the past of a commit is here, up to where a shallow history says that it ends.
pub(super) fn past(repo: &gix::Repository, commit: CommitId) -> Result<(), RepoError> {
    let health = Health::default();
    let reader = Reader::of(repo.clone(), &health);
    let ends: HashSet<_> = ends(repo)?.into_iter().collect();
    let mut seen = HashSet::from([commit.0]);
    let mut open = vec![commit.0];
    while let Some(id) = open.pop().filter(|_| seen.len() < ENTRY_LIMIT) {
        if !ends.contains(&id) {
            let parents = history::parents(&reader, CommitId(id))?.into_iter();
            open.extend(parents.filter(|parent| seen.insert(*parent)));
        }
    }
    Ok(())
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
