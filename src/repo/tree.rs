//! A directory of a commit as an app's source.

use std::fmt;
use std::sync::Arc;

use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice as _};
use gix::objs::tree::EntryKind;
use gix::validate::path::component;
use hop3_plugin_api::{Digest, READ_LIMIT, SourceEntry, SourceError, SourceKind, SourceTree};

use super::store::{Entry, Store};

/// The longest target of a symbolic link.
const LINK_LIMIT: u64 = 4096;

/// A git tree. Names that would be dangerous on a file system (`..`, `.git` in any disguise, slashes) are errors, not entries.
#[derive(Clone)]
pub struct GitTree {
    store: Arc<Store>,
    root: ObjectId,
}

impl GitTree {
    pub(super) fn new(store: Arc<Store>, root: ObjectId) -> Self {
        Self { store, root }
    }

    fn entry(&self, path: &str) -> Result<Option<Entry>, SourceError> {
        let found = self.store.reader().entry_at(self.root, path);
        found.map_err(|e| error(path, e))
    }

    fn content(&self, path: &str, id: ObjectId, limit: u64) -> Result<Vec<u8>, SourceError> {
        self.store
            .reader()
            .blob(id, limit)
            .map_err(|e| error(path, e))
    }

    /// Paths with their modes and object names; directories are opened only where something in them is left out.
    fn fold(
        &self,
        directory: (&str, ObjectId),
        without: &[&str],
        sum: &mut Vec<(String, String)>,
    ) -> Result<(), SourceError> {
        let (above, id) = directory;
        let tree = self.store.reader().tree(id).map_err(|e| error(above, e))?;
        for entry in tree {
            let path = format!("{above}{}", entry.name.as_bstr().to_str_lossy());
            let below = format!("{path}/");
            if without.contains(&path.as_str()) {
                continue;
            }
            if entry.kind == EntryKind::Tree && without.iter().any(|file| file.starts_with(&below))
            {
                self.fold((&below, entry.id), without, sum)?;
            } else {
                sum.push((path, format!("{:?} {}", entry.kind, entry.id.to_hex())));
            }
        }
        Ok(())
    }
}

impl SourceTree for GitTree {
    fn digest(&self) -> Digest {
        Digest::from_hex(&self.root.to_hex().to_string())
            .expect("an object name is a digest in hex")
    }

    fn digest_without(&self, files: &[&str]) -> Digest {
        let mut sum = Vec::new();
        match self.fold(("", self.root), files, &mut sum) {
            Ok(()) => Digest::of(&sum),
            // What cannot be read is at least told apart from everything else.
            Err(_) => self.digest(),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        self.read_up_to(path, READ_LIMIT)
    }

    fn read_up_to(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        match self.entry(path)? {
            Some(entry) if is_file(entry.kind) => self.content(path, entry.id, limit).map(Some),
            _ => Ok(None),
        }
    }

    fn link_target(&self, path: &str) -> Result<Option<String>, SourceError> {
        match self.entry(path)? {
            Some(entry) if entry.kind == EntryKind::Link => {
                let target = self.content(path, entry.id, LINK_LIMIT)?;
                String::from_utf8(target)
                    .map(Some)
                    .map_err(|_| error(path, "the target of the link is not UTF-8"))
            }
            _ => Ok(None),
        }
    }

    fn list(&self, directory: &str) -> Result<Vec<SourceEntry>, SourceError> {
        let Some(found) = self
            .entry(directory)?
            .filter(|entry| entry.kind == EntryKind::Tree)
        else {
            return Ok(Vec::new());
        };
        let entries = self
            .store
            .reader()
            .tree(found.id)
            .map_err(|e| error(directory, e))?;
        let mut entries: Vec<_> = entries
            .iter()
            .map(|entry| source_entry(entry).map_err(|problem| error(directory, problem)))
            .collect::<Result<_, _>>()?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
}

impl fmt::Debug for GitTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GitTree({})", self.root.to_hex_with_len(12))
    }
}

/// Whether an entry is a regular file.
pub(super) fn is_file(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Blob | EntryKind::BlobExecutable)
}

/// An entry's name, if it is safe to use as one on a file system.
pub(super) fn safe_name(name: &BStr, kind: EntryKind) -> Result<&str, String> {
    let options = component::Options {
        protect_windows: false,
        protect_hfs: true,
        protect_ntfs: true,
    };
    let mode = (kind == EntryKind::Link).then_some(component::Mode::Symlink);
    let shown = || name.to_str_lossy().escape_debug().to_string();
    if gix::validate::path::component(name, mode, options).is_err() || name.contains_str("/") {
        return Err(format!("`{}` is not a safe name for a file", shown()));
    }
    name.to_str()
        .map_err(|_| format!("the name `{}` is not UTF-8", shown()))
}

fn source_entry(entry: &Entry) -> Result<SourceEntry, String> {
    Ok(SourceEntry {
        name: safe_name(entry.name.as_bstr(), entry.kind)?.to_owned(),
        kind: match entry.kind {
            EntryKind::Tree => SourceKind::Directory,
            EntryKind::Blob => SourceKind::File { executable: false },
            EntryKind::BlobExecutable => SourceKind::File { executable: true },
            EntryKind::Link => SourceKind::Symlink,
            EntryKind::Commit => SourceKind::Submodule,
        },
    })
}

fn error(path: &str, message: impl fmt::Display) -> SourceError {
    SourceError {
        path: path.to_owned(),
        message: message.to_string(),
    }
}
