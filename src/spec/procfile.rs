//! The Procfile: one `kind: command` per line. It knows which lines are hooks; merging with `hop3.toml` is `file`'s.

use std::collections::BTreeMap;

use hop3_plugin_api::WorkerName;

use super::cron;
use super::diagnostic::{Diagnostic, ENOUGH};
use super::file::Findings;
use super::source::{Source, text_of};
use super::suggest::{shortened, slug};

/// Workers that answer requests; only one of them can.
pub(crate) const WEB_KINDS: [&str; 4] = ["web", "wsgi", "jwsgi", "rwsgi"];

/// The most kinds of one file.
const MOST_KINDS: usize = 1000;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What it is.
    pub(crate) kind: WorkerName,
    /// Its command.
    pub(crate) command: String,
    /// Its line, from 1.
    pub(crate) line: usize,
}

/// A Procfile in its own order.
#[derive(Debug)]
pub(crate) struct Procfile {
    /// Its text.
    pub(crate) source: Source,
    /// Its lines, without blank ones and comments.
    pub(crate) entries: Vec<Entry>,
}

impl Procfile {
    /// Reads a Procfile, telling every bad line.
    pub(crate) fn read(file: &str, bytes: &[u8]) -> (Self, Findings) {
        let source = match text_of(file, bytes) {
            Ok(source) => source,
            Err(found) => {
                return (
                    Self {
                        source: Source::new(file, ""),
                        entries: Vec::new(),
                    },
                    Findings { found, omitted: 0 },
                );
            }
        };
        let mut reading = Reading {
            source: &source,
            entries: Vec::new(),
            lines: BTreeMap::new(),
            findings: Findings::default(),
            remarked: 0,
        };
        for (index, line) in source.text.lines().enumerate() {
            reading.line(index + 1, line.trim());
        }
        reading.one_web_kind();
        let mut findings = reading.findings;
        findings.found.sort_by_key(|d| d.position.line);
        let entries = reading.entries;
        (Self { source, entries }, findings)
    }

    /// The entry of a kind.
    pub(crate) fn entry(&self, kind: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.kind.as_str() == kind)
    }

    /// A note that marks an entry.
    pub(crate) fn note(&self, entry: &Entry, message: impl Into<String>) -> Diagnostic {
        self.source.note(self.source.line(entry.line), message)
    }
}

struct Reading<'a> {
    source: &'a Source,
    entries: Vec<Entry>,
    /// The line of each kind that was met.
    lines: BTreeMap<WorkerName, usize>,
    findings: Findings,
    /// How many of the findings are notes.
    remarked: usize,
}

impl Reading<'_> {
    fn line(&mut self, line: usize, text: &str) {
        if text.is_empty() || text.starts_with('#') {
            return;
        }
        let Some((kind, command)) = text.split_once(':') else {
            let hint = "write `kind: command` on one line, as in `web: gunicorn app:app`";
            return self.refuse(line, "this line has no colon".to_owned(), hint.to_owned());
        };
        let (kind, command) = (kind.trim(), command.trim());
        if command.contains('\0') {
            return self.refuse(
                line,
                "the command holds a NUL byte".to_owned(),
                "remove it, for no program can be given one".to_owned(),
            );
        }
        match WorkerName::parse(kind) {
            Ok(kind) => self.entry(Entry {
                kind,
                command: command.to_owned(),
                line,
            }),
            Err(error) => {
                let message = if kind.is_empty() {
                    "there is no kind before the colon".to_owned()
                } else {
                    format!("`{}` is not a valid {}", shortened(kind), error.what)
                };
                let near = slug(kind, error.what).filter(|near| WorkerName::parse(near).is_ok());
                let hint = near.map_or_else(
                    || format!("use {}", error.rule),
                    |near| format!("write `{near}`: {}", error.rule),
                );
                self.refuse(line, message, hint);
            }
        }
    }

    fn entry(&mut self, entry: Entry) {
        if let Some(first) = self.lines.get(&entry.kind).copied() {
            return self.refuse_second(&entry, first);
        }
        if self.lines.len() == MOST_KINDS {
            let message = format!("the Procfile has more than {MOST_KINDS} kinds");
            let hint = "one host runs fewer programs".to_owned();
            return self.refuse(entry.line, message, hint);
        }
        self.lines.insert(entry.kind.clone(), entry.line);
        if entry.kind.as_str() == "cron" {
            let line = self.source.line(entry.line);
            let problems = cron::line_problems(self.source, line, &entry.command);
            if !problems.is_empty() {
                return problems.into_iter().for_each(|it| self.tell(|_| it));
            }
        }
        if entry.command.is_empty() {
            let message = format!("`{}` has no command and is ignored", entry.kind);
            if self.remarked < ENOUGH {
                let note = self.source.note(self.source.line(entry.line), message);
                self.findings.found.push(note);
                self.remarked += 1;
            }
            return;
        }
        self.entries.push(entry);
    }

    fn refuse_second(&mut self, entry: &Entry, first: usize) {
        let message = format!("`{}` stands here a second time", entry.kind);
        self.tell(|source| {
            let related = source.related(source.line(first), "it stands here first");
            let found = source.error(source.line(entry.line), message);
            found
                .hint("remove one of the two, or rename it")
                .related(related)
        });
    }

    /// Beyond enough mistakes, more are only counted.
    fn tell(&mut self, diagnostic: impl FnOnce(&Source) -> Diagnostic) {
        if self.findings.found.len() - self.remarked < ENOUGH {
            self.findings.found.push(diagnostic(self.source));
        } else {
            self.findings.omitted += 1;
        }
    }

    fn one_web_kind(&mut self) {
        let mut kinds = self
            .entries
            .iter()
            .filter(|entry| WEB_KINDS.contains(&entry.kind.as_str()));
        let (Some(first), Some(second)) = (kinds.next(), kinds.next()) else {
            return;
        };
        let message = format!(
            "`{}` and `{}` cannot both answer the app's requests",
            first.kind, second.kind
        );
        let hint = "keep one of them; another program can have another kind, such as `worker`";
        let related = self
            .source
            .related(self.source.line(first.line), "the other one");
        let line = second.line;
        self.tell(|source| {
            source
                .error(source.line(line), message)
                .hint(hint)
                .related(related)
        });
    }

    fn refuse(&mut self, line: usize, message: String, hint: String) {
        self.tell(|source| source.error(source.line(line), message).hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u32, String)> {
        let (_, findings) = Procfile::read("Procfile", text.as_bytes());
        let found = findings.found.into_iter();
        found.map(|d| (d.position.line, d.message)).collect()
    }

    #[test]
    fn a_command_may_hold_colons_and_comments_are_skipped() {
        let (procfile, findings) = Procfile::read(
            "Procfile",
            b"# web: no\n\n web :  gunicorn -b 0.0.0.0:$PORT app:app \n",
        );
        assert!(findings.found.is_empty());
        assert_eq!(
            procfile.entries[0].command,
            "gunicorn -b 0.0.0.0:$PORT app:app"
        );
    }

    #[test]
    fn every_bad_line_is_told_with_its_number() {
        let found =
            lines("web: a\nno colon here\nweb: b\ncron: 0 24 * * * x\nwsgi: m:app\nw$: c\n");
        assert_eq!(
            found,
            [
                (2, "this line has no colon".to_owned()),
                (3, "`web` stands here a second time".to_owned()),
                (4, "`24` is no hour: it goes from 0 to 23".to_owned()),
                (
                    5,
                    "`web` and `wsgi` cannot both answer the app's requests".to_owned()
                ),
                (6, "`w$` is not a valid worker name".to_owned()),
            ]
        );
    }
}
