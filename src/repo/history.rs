//! Commits as people see them, and which one touched a path last.

use std::collections::HashMap;

use gix::ObjectId;
use gix::bstr::{BStr, BString};
use gix::objs::CommitRef;
use gix::objs::tree::EntryKind;

use super::store::Reader;
use super::{CommitId, CommitInfo, RepoError};

/// The longest name or subject that is kept, in characters.
const TEXT_LIMIT: usize = 500;

/// A commit, decoded.
pub(super) struct Commit {
    pub(super) tree: ObjectId,
    pub(super) parent: Option<ObjectId>,
    pub(super) info: CommitInfo,
}

/// Reads a commit.
pub(super) fn commit(reader: &Reader<'_>, id: CommitId) -> Result<Commit, RepoError> {
    let data = reader.commit(id.0)?;
    let broken = |_| RepoError::corrupt(format!("commit {id} is not one that git would write"));
    let commit = CommitRef::from_bytes(&data, id.0.kind()).map_err(broken)?;
    let author = commit.author().map_err(broken)?;
    Ok(Commit {
        tree: commit.tree(),
        parent: commit.parents().next(),
        info: CommitInfo {
            id,
            author: clipped(&author.name.to_string()),
            time: commit.time().map_or(0, |time| time.seconds),
            subject: clipped(
                commit
                    .message
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default(),
            ),
        },
    })
}

/// The commits that a commit follows upon.
pub(super) fn parents(reader: &Reader<'_>, id: CommitId) -> Result<Vec<ObjectId>, RepoError> {
    let data = reader.commit(id.0)?;
    let broken = |_| RepoError::corrupt(format!("commit {id} is not one that git would write"));
    let commit = CommitRef::from_bytes(&data, id.0.kind()).map_err(broken)?;
    Ok(commit.parents().collect())
}

/// For each of these entries of a directory the newest commit that gave it its present content, along first parents. The end of a shallow history and
/// the bound end the walk at the oldest commit that is known to have that content.
pub(super) fn last_changes(
    reader: &Reader<'_>,
    from: CommitId,
    (directory, names): (&str, &[&str]),
    at_most: usize,
) -> Result<Vec<CommitId>, RepoError> {
    let mut newest = commit(reader, from)?;
    let mut listing = Listing::read(reader, newest.tree, directory)?;
    let mut found = vec![None; names.len()];
    let mut open: Vec<usize> = (0..names.len()).collect();
    for _ in 0..at_most {
        let parent = newest.parent.filter(|parent| reader.has(*parent));
        let Some(parent) = parent.filter(|_| !open.is_empty()) else {
            break;
        };
        let parent = commit(reader, CommitId(parent))?;
        if let Some(before) = listing.before(reader, parent.tree, directory)? {
            open.retain(|index| {
                let same = before.get(names[*index]) == listing.get(names[*index]);
                if !same {
                    found[*index] = Some(newest.info.id);
                }
                same
            });
            listing = before;
        }
        newest = parent;
    }
    let last = newest.info.id;
    Ok(found.into_iter().map(|it| it.unwrap_or(last)).collect())
}

/// What a directory holds at one commit.
struct Listing {
    tree: Option<ObjectId>,
    entries: HashMap<BString, (ObjectId, EntryKind)>,
}

impl Listing {
    fn read(reader: &Reader<'_>, root: ObjectId, directory: &str) -> Result<Self, RepoError> {
        let entry = reader.entry_at(root, directory)?;
        Self::of(
            reader,
            entry
                .filter(|it| it.kind == EntryKind::Tree)
                .map(|it| it.id),
        )
    }

    fn of(reader: &Reader<'_>, tree: Option<ObjectId>) -> Result<Self, RepoError> {
        let entries = tree.map_or(Ok(Vec::new()), |tree| reader.tree(tree))?;
        let entries = entries.into_iter().map(|it| (it.name, (it.id, it.kind)));
        Ok(Self {
            tree,
            entries: entries.collect(),
        })
    }

    /// The same directory at an older commit; none when it was the same.
    fn before(
        &self,
        reader: &Reader<'_>,
        root: ObjectId,
        directory: &str,
    ) -> Result<Option<Self>, RepoError> {
        let entry = reader.entry_at(root, directory)?;
        let tree = entry
            .filter(|it| it.kind == EntryKind::Tree)
            .map(|it| it.id);
        if tree == self.tree {
            return Ok(None);
        }
        Self::of(reader, tree).map(Some)
    }

    fn get(&self, name: &str) -> Option<&(ObjectId, EntryKind)> {
        self.entries.get(BStr::new(name))
    }
}

fn clipped(text: &str) -> String {
    text.trim().chars().take(TEXT_LIMIT).collect()
}
