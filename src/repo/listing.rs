//! What the config repo declares: its apps, host files and secrets, as names and object ids. No content is read.
//!
//! One hostile entry costs one app, never the listing; only a repo that is too large as a whole is refused.

use std::collections::BTreeMap;
use std::fmt;

use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::objs::tree::EntryKind;
use hop3_plugin_api::Digest;
use serde::{Deserialize, Serialize};

use super::store::{Entry, Reader};
use super::tree::{is_file, safe_name};
use super::{BlobId, CommitId, RepoError, TreePath};

/// The most entries of `apps/`, `hosts/` and `secrets/`.
const ENTRY_BUDGET: usize = 200_000;
/// The most apps.
const APP_LIMIT: usize = 20_000;
/// The most bytes of directories that one listing decodes.
const TREE_BUDGET: u64 = 256 * 1024 * 1024;
/// The deepest directory below `secrets/`.
const DEPTH_LIMIT: usize = 32;
/// The longest path.
const PATH_LIMIT: usize = 1024;

/// A file of the repo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path from the root of the repo.
    pub path: String,
    /// Its content's name.
    pub blob: BlobId,
}

/// Why an entry cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The entry's path from the root of the repo.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.path.escape_debug(), self.message)
    }
}

/// A file, or why it is none.
pub type Found = Result<FileEntry, Problem>;

/// A directory below `apps/` that is an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppEntry {
    /// The directory's name.
    pub directory: String,
    /// Its path from the root of the repo.
    pub path: String,
    /// Digest of everything in it; `None` when it is no directory.
    pub tree: Option<Digest>,
    /// `hop3/hop3.toml`, else `hop3.toml`.
    pub spec: Option<FileEntry>,
    /// `hop3/Procfile`, else `Procfile`.
    pub procfile: Option<FileEntry>,
    /// Why this app must be held.
    pub problems: Vec<Problem>,
}

/// What a commit declares.
#[derive(Debug, Clone, Default)]
pub struct RepoListing {
    /// Apps by directory name.
    pub apps: BTreeMap<String, AppEntry>,
    /// `hosts/<name>.toml` by name; `None` when there is no `hosts/`.
    pub hosts: Option<BTreeMap<String, Found>>,
    /// Files below `secrets/` by their path in it.
    pub secrets: BTreeMap<String, Found>,
    scans: BTreeMap<ObjectId, Scan>,
}

/// What was found in one directory of `apps/`. Depends on nothing but the directory's content, so an unchanged one is not read again.
#[derive(Debug, Clone, Default)]
struct Scan {
    spec: Option<(&'static str, ObjectId)>,
    procfile: Option<(&'static str, ObjectId)>,
    problems: Vec<(String, String)>,
}

impl Scan {
    fn is_app(&self) -> bool {
        self.spec.is_some() || self.procfile.is_some() || !self.problems.is_empty()
    }
}

/// The configured directory of a commit.
pub(super) struct Base<'a> {
    pub(super) commit: CommitId,
    pub(super) tree: ObjectId,
    pub(super) path: &'a TreePath,
}

/// Lists what is in it.
pub(super) fn read(
    reader: &Reader<'_>,
    base: &Base<'_>,
    previous: Option<&RepoListing>,
) -> Result<RepoListing, RepoError> {
    let path = base.path;
    let mut walk = Walk {
        reader,
        path,
        previous,
        entries: 0,
        bytes: 0,
        listing: RepoListing::default(),
    };
    for entry in walk.open(base.tree)? {
        match (entry.name.as_slice(), entry.kind) {
            (b"apps", EntryKind::Tree) => walk.apps(entry.id)?,
            (b"hosts", EntryKind::Tree) => walk.hosts(entry.id)?,
            (b"secrets", EntryKind::Tree) => walk.secrets(entry.id, "", 0)?,
            (name @ (b"apps" | b"hosts" | b"secrets"), _) => {
                let path = path.join(&name.to_str_lossy());
                return Err(RepoError::PathMissing {
                    path,
                    commit: base.commit.short(),
                });
            }
            _ => {}
        }
    }
    Ok(walk.listing)
}

struct Walk<'a> {
    reader: &'a Reader<'a>,
    path: &'a TreePath,
    previous: Option<&'a RepoListing>,
    entries: usize,
    bytes: u64,
    listing: RepoListing,
}

impl Walk<'_> {
    /// A directory's entries, paid for from the budget.
    fn open(&mut self, id: ObjectId) -> Result<Vec<Entry>, RepoError> {
        let (entries, bytes) = self.reader.tree_sized(id)?;
        self.bytes += bytes;
        if self.bytes > TREE_BUDGET {
            return Err(RepoError::too_large(
                "the directories of the config repo",
                "256 MiB",
            ));
        }
        Ok(entries)
    }

    fn open_counted(&mut self, id: ObjectId) -> Result<Vec<Entry>, RepoError> {
        let entries = self.open(id)?;
        self.entries += entries.len();
        if self.entries > ENTRY_BUDGET {
            return Err(RepoError::too_large(
                "the number of entries",
                ENTRY_BUDGET.to_string(),
            ));
        }
        Ok(entries)
    }

    fn apps(&mut self, id: ObjectId) -> Result<(), RepoError> {
        for entry in self.open_counted(id)? {
            if let Some(app) = self.app(&entry)? {
                self.listing.apps.insert(app.directory.clone(), app);
            }
            if self.listing.apps.len() > APP_LIMIT {
                return Err(RepoError::too_large(
                    "the number of apps",
                    APP_LIMIT.to_string(),
                ));
            }
        }
        Ok(())
    }

    fn app(&mut self, entry: &Entry) -> Result<Option<AppEntry>, RepoError> {
        let name = entry.name.to_str_lossy().into_owned();
        let path = self.path.join(&format!("apps/{name}"));
        let refused = |message: String| {
            let problems = vec![Problem {
                path: path.clone(),
                message,
            }];
            let (directory, path) = (name.clone(), path.clone());
            AppEntry {
                directory,
                path,
                tree: None,
                spec: None,
                procfile: None,
                problems,
            }
        };
        if let Err(message) = safe_name(entry.name.as_bstr(), entry.kind) {
            return Ok(Some(refused(format!("cannot be an app: {message}"))));
        }
        match entry.kind {
            EntryKind::Blob | EntryKind::BlobExecutable => Ok(None),
            EntryKind::Link | EntryKind::Commit => Ok(Some(refused(not_followed(entry.kind)))),
            EntryKind::Tree => match self.scan(entry.id) {
                Ok(scan) => Ok(scan
                    .is_app()
                    .then(|| described(name, &path, entry.id, &scan))),
                Err(RepoError::TooLarge { limit, .. }) if self.bytes <= TREE_BUDGET => {
                    Ok(Some(refused(format!(
                        "has too many entries: a directory may take {limit}"
                    ))))
                }
                Err(error) => Err(error),
            },
        }
    }

    fn scan(&mut self, id: ObjectId) -> Result<Scan, RepoError> {
        let known = self.listing.scans.get(&id);
        let known = known.or_else(|| self.previous.and_then(|listing| listing.scans.get(&id)));
        if let Some(scan) = known.cloned() {
            self.listing.scans.insert(id, scan.clone());
            return Ok(scan);
        }
        let mut scan = Scan::default();
        let entries = self.open(id)?;
        if let Some(hop3) = entries.iter().find(|entry| entry.name == "hop3") {
            match hop3.kind {
                EntryKind::Tree => look(
                    &mut scan,
                    &self.open(hop3.id)?,
                    ["hop3/hop3.toml", "hop3/Procfile"],
                ),
                EntryKind::Link | EntryKind::Commit => {
                    scan.problems.push(("hop3".into(), not_followed(hop3.kind)));
                }
                EntryKind::Blob | EntryKind::BlobExecutable => {}
            }
        }
        look(&mut scan, &entries, ["hop3.toml", "Procfile"]);
        self.listing.scans.insert(id, scan.clone());
        Ok(scan)
    }

    fn hosts(&mut self, id: ObjectId) -> Result<(), RepoError> {
        let mut hosts = BTreeMap::new();
        for entry in self.open_counted(id)? {
            let name = entry.name.to_str_lossy();
            if let Some(host) = name.strip_suffix(".toml") {
                hosts.insert(host.to_owned(), self.file(&entry, &format!("hosts/{name}")));
            }
        }
        self.listing.hosts = Some(hosts);
        Ok(())
    }

    fn secrets(&mut self, id: ObjectId, prefix: &str, depth: usize) -> Result<(), RepoError> {
        if depth > DEPTH_LIMIT || prefix.len() > PATH_LIMIT {
            return Err(RepoError::too_large(
                "the depth of `secrets/`",
                DEPTH_LIMIT.to_string(),
            ));
        }
        for entry in self.open_counted(id)? {
            let path = format!("{prefix}{}", entry.name.to_str_lossy());
            if entry.kind == EntryKind::Tree {
                self.secrets(entry.id, &format!("{path}/"), depth + 1)?;
            } else {
                let found = self.file(&entry, &format!("secrets/{path}"));
                self.listing.secrets.insert(path, found);
            }
        }
        Ok(())
    }

    fn file(&self, entry: &Entry, path: &str) -> Found {
        let path = self.path.join(path);
        match safe_name(entry.name.as_bstr(), entry.kind) {
            Err(message) => Err(Problem { path, message }),
            Ok(_) if is_file(entry.kind) => Ok(FileEntry {
                path,
                blob: BlobId(entry.id),
            }),
            Ok(_) => Err(Problem {
                path,
                message: not_followed(entry.kind),
            }),
        }
    }
}

/// Takes a directory's spec and Procfile, unless an earlier directory had them.
fn look(scan: &mut Scan, entries: &[Entry], [spec, procfile]: [&'static str; 2]) {
    for (slot, path) in [(&mut scan.spec, spec), (&mut scan.procfile, procfile)] {
        let name = path.rsplit('/').next().unwrap_or(path);
        match entries.iter().find(|entry| entry.name == name) {
            Some(entry) if is_file(entry.kind) => *slot = slot.or(Some((path, entry.id))),
            Some(entry) if entry.kind == EntryKind::Tree && name == "Procfile" => {}
            Some(entry) => scan
                .problems
                .push((path.to_owned(), not_followed(entry.kind))),
            None => {}
        }
    }
}

fn described(directory: String, path: &str, tree: ObjectId, scan: &Scan) -> AppEntry {
    let below = |name: &str| format!("{path}/{name}");
    let file = |found: &Option<(&'static str, ObjectId)>| {
        found.map(|(name, id)| FileEntry {
            path: below(name),
            blob: BlobId(id),
        })
    };
    let problem = |(name, message): &(String, String)| Problem {
        path: below(name),
        message: message.clone(),
    };
    AppEntry {
        directory,
        path: path.to_owned(),
        tree: Digest::from_hex(&tree.to_hex().to_string()),
        spec: file(&scan.spec),
        procfile: file(&scan.procfile),
        problems: scan.problems.iter().map(problem).collect(),
    }
}

fn not_followed(kind: EntryKind) -> String {
    match kind {
        EntryKind::Link => "is a symbolic link, which is never followed; commit the file itself",
        EntryKind::Commit => {
            "is a submodule, which is never fetched; name its repository under [source] of a spec"
        }
        EntryKind::Tree => "is a directory where a file is expected",
        EntryKind::Blob | EntryKind::BlobExecutable => "is a file where a directory is expected",
    }
    .to_owned()
}
