//! Commits as people see them, and which one touched a path last.

use gix::ObjectId;
use gix::objs::CommitRef;

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

/// The newest commit that gave a path its present content, along first parents. The end of a shallow history and the bound end the walk at
/// the oldest commit that is known to have that content.
pub(super) fn last_change(
    reader: &Reader<'_>,
    from: CommitId,
    path: &str,
    at_most: usize,
) -> Result<CommitInfo, RepoError> {
    let mut newest = commit(reader, from)?;
    let content = |tree| {
        reader
            .entry_at(tree, path)
            .map(|found| found.map(|entry| (entry.id, entry.kind)))
    };
    let present = content(newest.tree)?;
    for _ in 0..at_most {
        let Some(parent) = newest.parent.filter(|parent| reader.has(*parent)) else {
            break;
        };
        let parent = commit(reader, CommitId(parent))?;
        if content(parent.tree)? != present {
            break;
        }
        newest = parent;
    }
    Ok(newest.info)
}

fn clipped(text: &str) -> String {
    text.trim().chars().take(TEXT_LIMIT).collect()
}
