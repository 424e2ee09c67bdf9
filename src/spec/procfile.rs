//! The Procfile: one `kind: command` per line. It knows which lines are hooks; merging with `hop3.toml` is `file`'s.

use hop3_plugin_api::WorkerName;

use super::cron;
use super::diagnostic::Diagnostic;
use super::source::{Source, text_of};
use super::suggest::shortened;

/// Workers that answer requests; only one of them can.
const WEB_KINDS: [&str; 4] = ["web", "wsgi", "jwsgi", "rwsgi"];

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
    pub(crate) fn read(file: &str, bytes: &[u8]) -> (Self, Vec<Diagnostic>) {
        let source = match text_of(file, bytes) {
            Ok(source) => source,
            Err(found) => {
                return (
                    Self {
                        source: Source::new(file, ""),
                        entries: Vec::new(),
                    },
                    found,
                );
            }
        };
        let mut reading = Reading {
            source: &source,
            entries: Vec::new(),
            found: Vec::new(),
        };
        for (index, line) in source.text.lines().enumerate() {
            reading.line(index + 1, line.trim());
        }
        reading.one_web_kind();
        let Reading { entries, found, .. } = reading;
        (Self { source, entries }, found)
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
    found: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn line(&mut self, line: usize, text: &str) {
        if text.is_empty() || text.starts_with('#') {
            return;
        }
        let Some((kind, command)) = text.split_once(':') else {
            let message = "this line has no colon";
            return self.refuse(
                line,
                message.to_owned(),
                "write `kind: command`, one per line".to_owned(),
            );
        };
        let (kind, command) = (kind.trim(), command.trim());
        if command.contains('\0') {
            return self.refuse(
                line,
                "the command holds a NUL byte".to_owned(),
                "remove it".to_owned(),
            );
        }
        match WorkerName::parse(kind) {
            Ok(kind) => self.entry(Entry {
                kind,
                command: command.to_owned(),
                line,
            }),
            Err(error) => {
                let message = format!("`{}` is not a valid {}", shortened(kind), error.what);
                self.refuse(line, message, format!("use {}", error.rule));
            }
        }
    }

    fn entry(&mut self, entry: Entry) {
        if let Some(first) = self
            .entries
            .iter()
            .find(|earlier| earlier.kind == entry.kind)
        {
            let message = format!("`{}` stands here a second time", entry.kind);
            let hint = format!(
                "the first is on line {}; remove one, or rename it",
                first.line
            );
            return self.refuse(entry.line, message, hint);
        }
        if entry.kind.as_str() == "cron" {
            let line = self.source.line(entry.line);
            let problems = cron::line_problems(self.source, line, &entry.command);
            if !problems.is_empty() {
                return self.found.extend(problems);
            }
        }
        if entry.command.is_empty() {
            let message = format!("`{}` has no command and is ignored", entry.kind);
            self.found
                .push(self.source.note(self.source.line(entry.line), message));
            return;
        }
        self.entries.push(entry);
    }

    fn one_web_kind(&mut self) {
        let mut kinds = self
            .entries
            .iter()
            .filter(|entry| WEB_KINDS.contains(&entry.kind.as_str()));
        if let (Some(first), Some(second)) = (kinds.next(), kinds.next()) {
            let message = format!(
                "`{}` and `{}` cannot both answer the app's requests",
                first.kind, second.kind
            );
            let (line, hint) = (
                second.line,
                format!(
                    "keep one of them; `{}` is on line {}",
                    first.kind, first.line
                ),
            );
            self.refuse(line, message, hint);
        }
    }

    fn refuse(&mut self, line: usize, message: String, hint: String) {
        let diagnostic = self.source.error(self.source.line(line), message);
        self.found.push(diagnostic.hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u32, String)> {
        let (_, found) = Procfile::read("Procfile", text.as_bytes());
        found
            .into_iter()
            .map(|d| (d.position.line, d.message))
            .collect()
    }

    #[test]
    fn a_command_may_hold_colons_and_comments_are_skipped() {
        let (procfile, found) = Procfile::read(
            "Procfile",
            b"# web: no\n\n web :  gunicorn -b 0.0.0.0:$PORT app:app \n",
        );
        assert!(found.is_empty(), "{found:?}");
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
                (6, "`w$` is not a valid worker name".to_owned()),
                (
                    5,
                    "`web` and `wsgi` cannot both answer the app's requests".to_owned()
                ),
            ]
        );
    }
}
