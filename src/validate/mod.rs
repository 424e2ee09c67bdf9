//! Checks everything that people write: specs, host files, `agent.toml`, what lies in `secrets/`; alone, and against each other for every
//! host. Without a network, an agent or a key: it reads files, and changes nothing.
//!
//! Guarantees: apps are read by the walk that the agent reads them by ([`crate::desired`]), so both have the same verdict. No remark shows
//! what looks like a credential, and none shows what lies in `secrets/`.

mod hosts;
mod recipients;
mod repo;
mod report;
mod secrets;

use std::collections::BTreeSet;

use hop3_plugin_api::{SourceEntry, SourceTree};

use crate::config::AgentConfig;
use crate::desired::walk::{AppDir, content, parse_app};
use crate::schema::Schemas;
use crate::spec::{AppFiles, AppSpec, Diagnostic, LoadedApp, Position, Sources, Unbuilt, load_app};

pub use report::{Remark, Report};

/// What the binary knows.
pub struct Validator<'a> {
    /// Composed schemas, which know what is linked.
    pub schemas: &'a Schemas,
}

/// What kind of file one is, told by its name and its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Agent,
    Host,
    Procfile,
    Recipients,
    Secret,
    Spec,
}

/// What was found in all files.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many files were looked at.
    pub files: usize,
    /// Errors and notes.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts of files, for excerpts.
    pub sources: Sources,
    /// The apps as they were read.
    pub apps: Vec<AppDir>,
}

impl Findings {
    /// Takes others in, whose paths start with `from`; here they start with `to`.
    pub fn add(&mut self, others: Self, from: &str, to: &str) {
        let renamed = |file: &str| {
            let rest = file.strip_prefix(from).unwrap_or(file);
            match (to, rest.trim_start_matches('/')) {
                ("", rest) => rest.to_owned(),
                (to, "") => to.to_owned(),
                (to, rest) => format!("{to}/{rest}"),
            }
        };
        self.files += others.files;
        self.apps.extend(others.apps);
        let diagnostics = others.diagnostics.into_iter();
        self.diagnostics.extend(diagnostics.map(|mut found| {
            found.position.file = renamed(&found.position.file);
            if let Some(related) = &mut found.related {
                related.position.file = renamed(&related.position.file);
            }
            found
        }));
        let sources = others.sources.into_iter();
        self.sources
            .extend(sources.map(|(file, text)| (renamed(&file), text)));
    }

    /// Notes that a path itself cannot be used.
    pub fn unusable(&mut self, path: &str, message: impl Into<String>, hint: Option<&str>) {
        let problem = Diagnostic::error_at(Position::start(path), message);
        self.diagnostics.push(problem.hint(hint.map(str::to_owned)));
    }

    /// Marks what remarks are about, hides what may be a credential, drops what is said twice, and puts errors before notes, each in the
    /// order of files.
    #[must_use]
    pub fn settled(mut self) -> Self {
        for found in &mut self.diagnostics {
            found.settle(&self.sources);
        }
        let rank = |found: &Diagnostic| (found.severity, found.position.clone(), found.key.clone());
        self.diagnostics.sort_by_cached_key(rank);
        let mut told = BTreeSet::new();
        self.diagnostics
            .retain(|found| told.insert((found.position.clone(), found.message.clone())));
        self
    }

    /// How many errors and how many notes there are.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.diagnostics.iter().filter(|d| d.is_error()).count();
        (errors, self.diagnostics.len() - errors)
    }

    /// Takes what was found in an app, and what a valid one still has to be told; its spec stays.
    fn take(&mut self, loaded: &mut LoadedApp) {
        self.files += loaded.sources.len();
        self.diagnostics.append(&mut loaded.diagnostics);
        self.diagnostics
            .extend(loaded.spec.iter().flat_map(unbuilt));
        self.sources.extend(std::mem::take(&mut loaded.sources));
    }
}

impl Validator<'_> {
    /// Checks the app in a directory; none when it holds no app. `path` is what messages call it.
    pub fn app(&self, path: &str, tree: &dyn SourceTree) -> Option<Findings> {
        let mut parsed = parse_app(self.schemas, path, tree)?;
        let mut findings = Findings::default();
        findings.take(&mut parsed.app);
        Some(findings)
    }

    /// Checks one file of a directory. `directory` is what messages call it; a spec is named after it.
    pub fn file(&self, directory: &str, tree: &dyn SourceTree, entry: &SourceEntry) -> Findings {
        let mut findings = Findings::default();
        let path = format!("{directory}/{}", entry.name);
        let bytes = match content(tree, &entry.name, &(path.clone(), entry.kind)) {
            Ok(bytes) => bytes,
            Err(problem) => {
                findings.files += 1;
                findings.diagnostics.push(*problem);
                return findings;
            }
        };
        let mut alone = |remarks: Vec<Diagnostic>| {
            findings.files += 1;
            findings.diagnostics.extend(remarks);
        };
        match kind_of(&path) {
            Kind::Agent => self.agent(&path, &bytes, &mut findings),
            Kind::Host => drop(hosts::read(&path, Ok(bytes), self, &mut findings)),
            Kind::Recipients => alone(recipients::check(&path, &bytes)),
            Kind::Secret => alone(secrets::plaintext(&path, &bytes).into_iter().collect()),
            kind => self.spec((directory, tree), (kind, &path, &bytes), &mut findings),
        }
        findings
    }

    /// Checks a spec with the Procfile beside it, or the other way round.
    fn spec(
        &self,
        (directory, tree): (&str, &dyn SourceTree),
        (kind, path, bytes): (Kind, &str, &[u8]),
        findings: &mut Findings,
    ) {
        let beside = match (kind, path.ends_with("/hop3.toml")) {
            (Kind::Procfile, _) => "hop3.toml",
            (_, true) => "Procfile",
            (_, false) => "",
        };
        let sibling = tree.read(beside).ok().flatten();
        let sibling_path = format!("{directory}/{beside}");
        let (own, other) = (
            Some((path, bytes)),
            sibling
                .as_deref()
                .map(|bytes| (sibling_path.as_str(), bytes)),
        );
        let (spec, procfile) = if kind == Kind::Procfile {
            (other, own)
        } else {
            (own, other)
        };
        let mut loaded = load_app(
            self.schemas,
            &AppFiles {
                directory,
                spec,
                procfile,
            },
        );
        findings.take(&mut loaded);
    }

    /// Checks the operator's `agent.toml`.
    pub fn agent(&self, path: &str, bytes: &[u8], findings: &mut Findings) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let remarks = AgentConfig::parse(&text, path, self.schemas)
            .map_or_else(|errors| errors, |config| config.notes);
        findings.files += 1;
        findings.diagnostics.extend(remarks);
        findings.sources.insert(path.to_owned(), text);
    }
}

/// Notes on what is valid and cannot be carried out by this version.
fn unbuilt(spec: &AppSpec) -> Vec<Diagnostic> {
    let note = |unbuilt: &Unbuilt| {
        let message = format!(
            "{} is valid but not built yet, so this app will not be planned",
            unbuilt.what
        );
        Diagnostic::note_at(unbuilt.at.clone(), message).key(&spec.pointer(&unbuilt.at))
    };
    spec.unbuilt.iter().map(note).collect()
}

fn kind_of(path: &str) -> Kind {
    let mut steps = path.rsplit('/');
    let (name, directory) = (steps.next().unwrap_or_default(), steps.next());
    match (directory, name) {
        (_, "hop3.toml") => Kind::Spec,
        (_, "agent.toml") => Kind::Agent,
        (_, "Procfile") => Kind::Procfile,
        (Some("secrets"), "recipients.txt") => Kind::Recipients,
        (Some("hosts"), name) if has_extension(name, "toml") => Kind::Host,
        (_, name) if has_extension(name, "age") => Kind::Secret,
        _ => Kind::Spec,
    }
}

/// The names that count are written in lower case.
fn has_extension(name: &str, extension: &str) -> bool {
    let found = name.rsplit_once('.');
    found.is_some_and(|(_, found)| found == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_name_and_directory() {
        for (path, kind) in [
            ("/etc/hop3-agent/agent.toml", Kind::Agent),
            ("infra/hosts/web1.toml", Kind::Host),
            ("apps/shop/Procfile", Kind::Procfile),
            ("secrets/recipients.txt", Kind::Recipients),
            ("secrets/web1/token.age", Kind::Secret),
            ("hop3.toml", Kind::Spec),
            ("apps/hosts/hop3.toml", Kind::Spec),
        ] {
            assert_eq!(kind_of(path), kind, "{path}");
        }
    }
}
