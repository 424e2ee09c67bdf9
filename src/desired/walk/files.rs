//! The files of one app: which count, and what is refused unread. It parses what it takes, and follows nothing.

use hop3_plugin_api::{AppName, SourceEntry, SourceKind, SourceTree};

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

/// Reads the app in a directory that belongs to no config repo; none when it holds no app.
pub fn parse_app(schemas: &Schemas, path: &str, tree: &dyn SourceTree) -> Option<Parsed> {
    let mut found = Found::open(path, tree);
    found.take_all(false);
    found.parsed(schemas)
}

/// The files of one app, as far as they can be read.
pub(super) struct Found<'a> {
    path: &'a str,
    tree: &'a dyn SourceTree,
    top: Vec<SourceEntry>,
    spec: Option<(String, Vec<u8>)>,
    procfile: Option<(String, Vec<u8>)>,
    problems: Vec<Diagnostic>,
    unread: bool,
}

impl<'a> Found<'a> {
    pub(super) fn open(path: &'a str, tree: &'a dyn SourceTree) -> Self {
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
    pub(super) fn is_repository(&self) -> bool {
        self.top.iter().any(|entry| entry.name == GIT)
    }

    /// Takes the files in `hop3/`, then those beside the code.
    pub(super) fn take_all(&mut self, hop3_is_submodule: bool) {
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
                    self.problems.push(*problem);
                }
            }
        }
    }

    pub(super) fn parsed(self, schemas: &Schemas) -> Option<Parsed> {
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

/// The content of a file, or why it is not read.
pub(crate) type Content = Result<Vec<u8>, Box<Diagnostic>>;

/// The content of a file, or why it is not read. `file` is its path from the repo's root, and what it is.
pub(crate) fn content(tree: &dyn SourceTree, path: &str, file: &(String, SourceKind)) -> Content {
    let (name, kind) = file;
    if !matches!(kind, SourceKind::File { .. }) {
        return Err(Box::new(refusal(name, *kind)));
    }
    let unreadable = |message: &str| {
        let message = format!("the file could not be read: {message}");
        Box::new(Diagnostic::error_at(Position::start(name), message))
    };
    let read = tree
        .read(path)
        .map_err(|error| unreadable(&error.message))?;
    read.ok_or_else(|| unreadable("it is gone"))
}

pub(super) fn refused(path: &str, kind: SourceKind) -> Parsed {
    Parsed {
        name: AppName::parse(directory_name(path)).ok(),
        app: LoadedApp {
            diagnostics: vec![refusal(path, kind)],
            ..LoadedApp::default()
        },
        unread: false,
    }
}

/// What is known of an app that cannot even be read: its directory.
pub(super) fn cut_off(path: &str, words: &str) -> Parsed {
    Parsed {
        name: AppName::parse(directory_name(path)).ok(),
        app: LoadedApp {
            diagnostics: vec![Diagnostic::error_at(
                Position::start(path),
                cut_off_by(words),
            )],
            ..LoadedApp::default()
        },
        unread: true,
    }
}

/// Why an app cannot be read: what a panic said.
pub(in crate::desired) fn cut_off_by(words: &str) -> String {
    format!("a mistake in the agent or in a plugin cut off its reading: {words}")
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
