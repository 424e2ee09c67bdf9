//! The walk over a config repo that the agent and `validate` share, so that they cannot differ: which directories of `apps/` are apps, which
//! of their files count, and what is refused unread. It never follows anything: not a symbolic link, not a submodule.
//!
//! Guarantees: a file that cannot be used is a mistake of its app, with the file's path, and of no other app.

use std::sync::Arc;

use hop3_plugin_api::{AppName, SourceEntry, SourceKind, SourceTree};

use super::ConfigTree;
use crate::config::HostConfig;
use crate::contain::contained;
use crate::schema::Schemas;
use crate::spec::{
    AppFiles, Diagnostic, LoadedApp, Position, app_name_of, directory_name, load_app,
};

/// The files that make a directory an app.
const SPEC: &str = "hop3.toml";
const PROCFILE: &str = "Procfile";
/// The directory in which they are looked for first.
const HOP3: &str = "hop3";
/// What a repository has in its root.
const GIT: &str = ".git";

/// So few apps are not worth a thread of their own.
const FEW: usize = 64;

/// Something in `apps/` that is an app, or stands where one could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name in `apps/`.
    pub name: String,
    kind: SourceKind,
}

impl Candidate {
    /// Its path from the repo's root.
    pub fn path(&self) -> String {
        format!("apps/{}", self.name)
    }
}

/// What an app's files came to; the name is known even when they are not valid.
#[derive(Debug)]
pub struct Parsed {
    /// The app's name, or the best guess at it.
    pub name: Option<AppName>,
    /// The files' meaning.
    pub app: LoadedApp,
    /// Whether something could not be read, so that the same tree may come to something else next time.
    pub unread: bool,
}

/// One app directory.
#[derive(Debug, Clone)]
pub struct AppDir {
    /// Its path from the repo's root.
    pub path: String,
    /// Its files; none when it is refused as a whole.
    pub tree: Option<Arc<dyn SourceTree>>,
    /// What its files came to.
    pub loaded: Arc<Parsed>,
}

/// What was parsed of an unchanged tree before.
pub type Known<'a> = &'a (dyn Fn(&str, &dyn SourceTree) -> Option<Arc<Parsed>> + Sync);

/// A config repo, to be read.
pub struct Walk<'a> {
    /// The repo.
    pub repo: &'a dyn ConfigTree,
    /// Composed schemas.
    pub schemas: &'a Schemas,
    /// Whether the texts of specs are kept, for excerpts.
    pub texts: bool,
}

impl Walk<'_> {
    /// Everything in `apps/` but plain files, by name; none when there is no `apps/`.
    pub fn candidates(&self) -> Result<Option<Vec<Candidate>>, String> {
        let Some(apps) = self.repo.tree("apps")? else {
            return Ok(None);
        };
        let entries = apps.list("").map_err(|error| error.to_string())?;
        let candidate = |entry: SourceEntry| match entry.kind {
            SourceKind::File { .. } => None,
            kind => Some(Candidate {
                kind: self.kind(&format!("apps/{}", entry.name), kind),
                name: entry.name,
            }),
        };
        Ok(Some(entries.into_iter().filter_map(candidate).collect()))
    }

    fn kind(&self, path: &str, kind: SourceKind) -> SourceKind {
        if kind == SourceKind::Directory && self.repo.is_submodule(path) {
            SourceKind::Submodule
        } else {
            kind
        }
    }

    /// Reads all of them, on all processors. The order stays.
    pub fn apps(&self, candidates: &[Candidate]) -> Result<Vec<Option<AppDir>>, String> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let part = candidates.len().div_ceil(threads).max(FEW);
        let read = |part: &[Candidate]| -> Result<Vec<Option<AppDir>>, String> {
            part.iter().map(|it| self.app(it, &|_, _| None)).collect()
        };
        let read = &read;
        let parts: Vec<_> = std::thread::scope(|scope| {
            let parts = candidates.chunks(part);
            let running: Vec<_> = parts.map(|part| scope.spawn(move || read(part))).collect();
            let joined = running
                .into_iter()
                .map(|it| it.join().expect("reading does not panic"));
            joined.collect()
        });
        let parts: Result<Vec<_>, String> = parts.into_iter().collect();
        Ok(parts?.into_iter().flatten().collect())
    }

    /// Reads a candidate; none when it holds no app. `Err` only when the repo itself cannot be read.
    pub fn app(&self, candidate: &Candidate, known: Known<'_>) -> Result<Option<AppDir>, String> {
        let path = candidate.path();
        if candidate.kind != SourceKind::Directory {
            let loaded = Arc::new(refused(&path, candidate.kind));
            return Ok(Some(AppDir {
                path,
                tree: None,
                loaded,
            }));
        }
        let Some(tree) = self.repo.tree(&path)? else {
            return Ok(None);
        };
        let loaded = known(&path, tree.as_ref());
        let parse = || {
            let parsed = contained(|| self.parse(&path, tree.as_ref()));
            parsed.unwrap_or_else(|words| Some(cut_off(&path, &words)))
        };
        let loaded = loaded.or_else(|| parse().map(|parsed| self.kept(parsed)));
        Ok(loaded.map(|loaded| AppDir {
            path,
            tree: Some(tree),
            loaded,
        }))
    }

    fn parse(&self, path: &str, tree: &dyn SourceTree) -> Option<Parsed> {
        let mut found = Found::open(path, tree);
        if found.is_repository() {
            return Some(refused(path, SourceKind::Submodule));
        }
        found.take_all(self.repo.is_submodule(&format!("{path}/hop3")));
        found.parsed(self.schemas)
    }

    fn kept(&self, mut parsed: Parsed) -> Arc<Parsed> {
        if !self.texts {
            parsed.app.sources.clear();
        }
        Arc::new(parsed)
    }

    /// The names of hosts that have a file in `hosts/`; none without such a directory.
    pub fn hosts(&self) -> Result<Option<Vec<String>>, String> {
        let Some(hosts) = self.repo.tree("hosts")? else {
            return Ok(None);
        };
        let entries = hosts.list("").map_err(|error| error.to_string())?;
        let names = entries
            .iter()
            .filter_map(|entry| entry.name.strip_suffix(".toml"));
        Ok(Some(names.map(str::to_owned).collect()))
    }

    /// The bytes of a host's file, or what is wrong with it; none when the host has no file.
    pub fn host_file(&self, host: &str) -> Result<Option<Result<Vec<u8>, Diagnostic>>, String> {
        let Some(hosts) = self.repo.tree("hosts")? else {
            return Ok(None);
        };
        let name = format!("{host}.toml");
        let entries = hosts.list("").map_err(|error| error.to_string())?;
        let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
            return Ok(None);
        };
        let file = (format!("hosts/{name}"), entry.kind);
        Ok(Some(content(hosts.as_ref(), &name, &file)))
    }

    /// A host's settings, or what is wrong with them; none when the host has no file.
    pub fn host(&self, host: &str) -> Result<Option<Result<HostConfig, Vec<Diagnostic>>>, String> {
        let path = format!("hosts/{host}.toml");
        let found = self.host_file(host)?;
        Ok(found.map(|content| {
            let bytes = content.map_err(|problem| vec![problem])?;
            HostConfig::read(&bytes, &path, self.schemas)
        }))
    }
}

/// What is known of an app that cannot even be read: its directory.
fn cut_off(path: &str, words: &str) -> Parsed {
    let at = Position {
        file: path.to_owned(),
        line: 1,
        column: 1,
    };
    Parsed {
        name: AppName::parse(directory_name(path)).ok(),
        app: LoadedApp {
            diagnostics: vec![Diagnostic::error_at(at, cut_off_by(words))],
            ..LoadedApp::default()
        },
        unread: true,
    }
}

/// Why an app cannot be read: what a panic said.
pub(super) fn cut_off_by(words: &str) -> String {
    format!("a mistake in the agent or in a plugin cut off its reading: {words}")
}

/// Reads the app in a directory that belongs to no config repo; none when it holds no app.
pub fn parse_app(schemas: &Schemas, path: &str, tree: &dyn SourceTree) -> Option<Parsed> {
    let mut found = Found::open(path, tree);
    found.take_all(false);
    found.parsed(schemas)
}

/// The files of one app, as far as they can be read.
struct Found<'a> {
    path: &'a str,
    tree: &'a dyn SourceTree,
    top: Vec<SourceEntry>,
    spec: Option<(String, Vec<u8>)>,
    procfile: Option<(String, Vec<u8>)>,
    problems: Vec<Diagnostic>,
    unread: bool,
}

impl<'a> Found<'a> {
    fn open(path: &'a str, tree: &'a dyn SourceTree) -> Self {
        Self {
            path,
            tree,
            top: entries(tree, ""),
            spec: None,
            procfile: None,
            problems: Vec::new(),
            unread: false,
        }
    }

    /// Whether a work tree has a repository of its own here, which is committed as a submodule.
    fn is_repository(&self) -> bool {
        self.top.iter().any(|entry| entry.name == GIT)
    }

    /// Takes the files in `hop3/`, then those beside the code.
    fn take_all(&mut self, hop3_is_submodule: bool) {
        let hop3 = self.top.iter().find(|entry| entry.name == HOP3);
        match hop3.map(|entry| entry.kind) {
            Some(SourceKind::Directory) => {
                let inner = entries(self.tree, HOP3);
                if hop3_is_submodule || inner.iter().any(|entry| entry.name == GIT) {
                    self.refuse(HOP3, SourceKind::Submodule);
                } else {
                    self.take("hop3/", &inner);
                }
            }
            Some(SourceKind::File { .. }) | None => {}
            Some(kind) => self.refuse(HOP3, kind),
        }
        let top = std::mem::take(&mut self.top);
        self.take("", &top);
    }

    fn refuse(&mut self, name: &str, kind: SourceKind) {
        let path = format!("{}/{name}", self.path);
        self.problems.push(refusal(&path, kind));
    }

    /// Takes the files of one directory of the app, unless an earlier one had them.
    fn take(&mut self, below: &str, entries: &[SourceEntry]) {
        for (slot, name) in [(&mut self.spec, SPEC), (&mut self.procfile, PROCFILE)] {
            let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
                continue;
            };
            // Some sources have a directory of this name, which means nothing.
            let source = entry.kind == SourceKind::Directory && name == PROCFILE;
            let second = slot.is_some() && matches!(entry.kind, SourceKind::File { .. });
            if source || second {
                continue;
            }
            let file = (format!("{}/{below}{name}", self.path), entry.kind);
            match content(self.tree, &format!("{below}{name}"), &file) {
                Ok(bytes) => *slot = Some((file.0, bytes)),
                Err(problem) => {
                    self.unread |= matches!(entry.kind, SourceKind::File { .. });
                    self.problems.push(problem);
                }
            }
        }
    }

    fn parsed(self, schemas: &Schemas) -> Option<Parsed> {
        if self.spec.is_none() && self.procfile.is_none() && self.problems.is_empty() {
            return None;
        }
        let files = AppFiles {
            directory: self.path,
            spec: named(self.spec.as_ref()),
            procfile: named(self.procfile.as_ref()),
        };
        let readable = files.spec.is_some() || files.procfile.is_some();
        let mut app = if readable {
            load_app(schemas, &files)
        } else {
            LoadedApp::default()
        };
        if !self.problems.is_empty() {
            app.spec = None;
            app.diagnostics.extend(self.problems);
        }
        let name = app.spec.as_ref().map(|spec| spec.name.clone());
        Some(Parsed {
            name: name.or_else(|| app_name_of(&files)),
            app,
            unread: self.unread,
        })
    }
}

/// What a directory of an app holds. Where its list cannot be had, for a name in it that is no name here, the files that count are looked for
/// one by one.
fn entries(tree: &dyn SourceTree, directory: &str) -> Vec<SourceEntry> {
    tree.list(directory).unwrap_or_else(|_| {
        let names = [HOP3, SPEC, PROCFILE].into_iter();
        let names = names.filter(|name| directory.is_empty() || *name != HOP3);
        names
            .filter_map(|name| probed(tree, directory, name))
            .collect()
    })
}

fn probed(tree: &dyn SourceTree, directory: &str, name: &str) -> Option<SourceEntry> {
    let path = format!("{directory}/{name}");
    let path = path.trim_start_matches('/');
    let kind = if tree.link_target(path).is_ok_and(|target| target.is_some()) {
        SourceKind::Symlink
    } else if name == HOP3 {
        SourceKind::Directory
    } else {
        tree.read(path).map_or(Some(()), |found| found.map(drop))?;
        SourceKind::File { executable: false }
    };
    let name = name.to_owned();
    Some(SourceEntry { name, kind })
}

fn named(found: Option<&(String, Vec<u8>)>) -> Option<(&str, &[u8])> {
    found.map(|(file, bytes)| (file.as_str(), bytes.as_slice()))
}

/// The content of a file, or why it is not read. `file` is its path from the repo's root, and what it is.
pub(crate) fn content(
    tree: &dyn SourceTree,
    path: &str,
    file: &(String, SourceKind),
) -> Result<Vec<u8>, Diagnostic> {
    let (name, kind) = file;
    if !matches!(kind, SourceKind::File { .. }) {
        return Err(refusal(name, *kind));
    }
    let unreadable = |message: &str| {
        let message = format!("the file could not be read: {message}");
        Diagnostic::error_at(Position::start(name), message)
    };
    let read = tree
        .read(path)
        .map_err(|error| unreadable(&error.message))?;
    read.ok_or_else(|| unreadable("it is gone"))
}

fn refused(path: &str, kind: SourceKind) -> Parsed {
    Parsed {
        name: AppName::parse(directory_name(path)).ok(),
        app: LoadedApp {
            diagnostics: vec![refusal(path, kind)],
            ..LoadedApp::default()
        },
        unread: false,
    }
}

/// Why something that is no plain file is not read.
pub(crate) fn refusal(path: &str, kind: SourceKind) -> Diagnostic {
    let (message, hint) = match kind {
        SourceKind::Symlink => (
            "this is a symbolic link, which is never followed",
            "commit in its place what it points to",
        ),
        SourceKind::Submodule => (
            "this is a submodule, which is never fetched",
            "commit its files, or name its repository in `[source]` of a spec",
        ),
        SourceKind::Directory | SourceKind::File { .. } => (
            "this is a directory where a file is expected",
            "rename it, or put the file in its place",
        ),
    };
    Diagnostic::error_at(Position::start(path), message).hint(hint)
}
