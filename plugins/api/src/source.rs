//! An app's source as a tree that is read, never checked out: a git tree, or a directory in tests.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::Digest;

/// The largest file that [`SourceTree::read`] returns whole: 1 MiB. Manifests and lock files are below it.
pub const READ_LIMIT: u64 = 1024 * 1024;

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A regular file.
    File {
        /// Whether its executable bit is set.
        executable: bool,
    },
    /// A directory.
    Directory,
    /// A symbolic link; its target is its content.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceEntry {
    /// Its name without any path.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
}

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
#[error("could not read `{path}` of the source: {message}")]
pub struct SourceError {
    /// The path within the tree.
    pub path: String,
    /// What went wrong.
    pub message: String,
}

/// A tree of files. Paths are relative, use `/`, and are empty for the root.
///
/// Guarantees: immutable; equal [`SourceTree::digest`]s mean equal content; symbolic links are never followed.
pub trait SourceTree: Send + Sync + fmt::Debug {
    /// The content's digest, for instance git's tree id.
    fn digest(&self) -> Digest;

    /// The digest of everything but these files, for a source whose spec lies beside it.
    fn digest_without(&self, files: &[&str]) -> Digest;

    /// A file's content, `None` when there is no regular file at the path. A file over [`READ_LIMIT`] is an error.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError>;

    /// A file's content of any size up to `limit` bytes, for exporting.
    fn read_up_to(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError>;

    /// The target of a symbolic link.
    fn link_target(&self, path: &str) -> Result<Option<String>, SourceError>;

    /// A directory's entries by name, empty when there is no directory at the path.
    fn list(&self, directory: &str) -> Result<Vec<SourceEntry>, SourceError>;

    /// Whether there is a regular file at the path.
    fn has(&self, path: &str) -> bool {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.list(directory).is_ok_and(|entries| {
            entries
                .iter()
                .any(|e| e.name == name && matches!(e.kind, SourceKind::File { .. }))
        })
    }

    /// A file's content as text, `None` when it is missing or not UTF-8.
    fn text(&self, path: &str) -> Result<Option<String>, SourceError> {
        Ok(self
            .read(path)?
            .and_then(|bytes| String::from_utf8(bytes).ok()))
    }
}

/// A directory of the machine as a source: for tests and for `validate` on a work tree.
#[derive(Debug, Clone)]
pub struct DirectoryTree {
    root: PathBuf,
}

impl DirectoryTree {
    /// A tree of the files beneath `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn at(&self, path: &str) -> Result<PathBuf, SourceError> {
        let inside = Path::new(path)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if inside {
            Ok(self.root.join(path))
        } else {
            Err(error(path, "the path leaves the tree"))
        }
    }

    fn entries(&self, directory: &str) -> Result<Vec<SourceEntry>, SourceError> {
        let listed = match std::fs::read_dir(self.at(directory)?) {
            Err(e) if is_absent(&e) => return Ok(Vec::new()),
            listed => listed.map_err(|e| error(directory, e))?,
        };
        let mut entries = Vec::new();
        for entry in listed {
            let entry = entry.map_err(|e| error(directory, e))?;
            let name = entry
                .file_name()
                .into_string()
                .map_err(|_| error(directory, "a name is not UTF-8"))?;
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => SourceKind::Directory,
                _ => kind_of(&entry.metadata().map_err(|e| error(directory, e))?),
            };
            entries.push(SourceEntry { name, kind });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn fold(
        &self,
        directory: &str,
        without: &[&str],
        sum: &mut Vec<(String, String)>,
    ) -> Result<(), SourceError> {
        for entry in self.entries(directory)? {
            let path = if directory.is_empty() {
                entry.name.clone()
            } else {
                format!("{directory}/{}", entry.name)
            };
            match entry.kind {
                _ if without.contains(&path.as_str()) => {}
                SourceKind::Directory if entry.name == ".git" => {}
                SourceKind::Directory => self.fold(&path, without, sum)?,
                SourceKind::File { executable } => {
                    let content = self.read_up_to(&path, u64::MAX)?.unwrap_or_default();
                    sum.push((path, format!("{executable} {}", Digest::of_bytes(&content))));
                }
                SourceKind::Symlink | SourceKind::Submodule => {
                    let target = self.link_target(&path)?.unwrap_or_default();
                    sum.push((path, format!("link {target}")));
                }
            }
        }
        Ok(())
    }
}

impl SourceTree for DirectoryTree {
    fn digest(&self) -> Digest {
        self.digest_without(&[])
    }

    fn digest_without(&self, files: &[&str]) -> Digest {
        let mut sum = Vec::new();
        match self.fold("", files, &mut sum) {
            Ok(()) => Digest::of(&sum),
            Err(error) => Digest::of(&error.to_string()),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        self.read_up_to(path, READ_LIMIT)
    }

    fn read_up_to(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let at = self.at(path)?;
        match std::fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_file() && meta.len() <= limit => {
                std::fs::read(&at).map(Some).map_err(|e| error(path, e))
            }
            Ok(meta) if meta.is_file() => Err(error(
                path,
                format!("{} bytes are over the limit of {limit}", meta.len()),
            )),
            Ok(_) => Ok(None),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(error(path, e)),
        }
    }

    fn link_target(&self, path: &str) -> Result<Option<String>, SourceError> {
        Ok(std::fs::read_link(self.at(path)?)
            .ok()
            .and_then(|target| target.into_os_string().into_string().ok()))
    }

    fn list(&self, directory: &str) -> Result<Vec<SourceEntry>, SourceError> {
        self.entries(directory)
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

fn kind_of(meta: &std::fs::Metadata) -> SourceKind {
    use std::os::unix::fs::PermissionsExt as _;
    if meta.is_symlink() {
        SourceKind::Symlink
    } else if meta.is_dir() {
        SourceKind::Directory
    } else {
        SourceKind::File {
            executable: meta.permissions().mode() & 0o111 != 0,
        }
    }
}

fn error(path: &str, message: impl fmt::Display) -> SourceError {
    SourceError {
        path: path.to_owned(),
        message: message.to_string(),
    }
}
