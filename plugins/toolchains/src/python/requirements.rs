//! pip's requirements files, as far as a plan must understand them: which other files they include, whether hashes and versions pin
//! them, and whether they install something of the source itself. Pure; pip remains the judge of their grammar.

use std::collections::BTreeSet;

use hop3_plugin_api::{PlanContext, Result};

use crate::source::{self, config};

/// A requirements file with everything that it includes.
#[derive(Debug, Default)]
pub(super) struct Requirements {
    /// It and the files that it includes, in reading order.
    pub(super) files: Vec<String>,
    /// Names of its packages, normalised.
    pub(super) names: BTreeSet<String>,
    /// Whether any entry carries a hash.
    pub(super) hashed: bool,
    /// The first entry that is installed from the source.
    pub(super) local: Option<String>,
    unpinned: Vec<String>,
    /// Names that a constraints file pins.
    constrained: BTreeSet<String>,
    entries: usize,
}

/// One logical line.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// `-r other.txt`.
    Include(&'a str),
    /// `-c constraints.txt`: versions for what is installed anyway.
    Constrain(&'a str),
    /// `-e .`, `./package`, `--find-links wheels`.
    Local(&'a str),
    /// A package by name or address.
    Package,
    /// Any other option.
    Option,
}

impl Requirements {
    /// Whether there is nothing to install.
    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// A remark on entries without an exact version; hashes pin by themselves.
    pub(super) fn unpinned_note(&self) -> Option<String> {
        let loose = self.unpinned.iter();
        let loose: Vec<&str> = loose
            .filter(|name| !self.constrained.contains(*name))
            .map(String::as_str)
            .collect();
        if loose.is_empty() || self.hashed {
            return None;
        }
        let shown = loose[..loose.len().min(5)].join(", ");
        let more = match loose.len().saturating_sub(5) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!(
            "`requirements.txt` does not pin {shown}{more}: two builds may install different versions"
        ))
    }

    fn constrain(&mut self, line: &str) {
        if line.contains("==") || line.contains("://") {
            self.constrained.insert(name(line));
        }
    }

    fn add_local(&mut self, what: &str) {
        self.entries += 1;
        self.local.get_or_insert_with(|| what.to_owned());
    }

    fn add_package(&mut self, line: &str) {
        self.entries += 1;
        self.hashed |= line.contains("--hash=");
        let name = name(line);
        let pinned = line.contains("==") || line.contains("://");
        if !pinned {
            self.unpinned.push(name.clone());
        }
        self.names.insert(name);
    }
}

/// Reads a requirements file and all that it includes.
pub(super) fn read(cx: &PlanContext<'_>, path: &str) -> Result<Requirements> {
    let mut read = Requirements::default();
    let mut waiting = vec![(path.to_owned(), false)];
    while let Some((path, constrains)) = waiting.pop() {
        if read.files.contains(&path) {
            continue;
        }
        let text = source::text(cx, &path)?.unwrap_or_default();
        for (number, line) in logical_lines(&text) {
            let at = (path.as_str(), number);
            match classify(&line) {
                Line::Include(other) => waiting.push((included(cx, at, other)?, constrains)),
                Line::Constrain(other) => waiting.push((included(cx, at, other)?, true)),
                _ if constrains => read.constrain(&line),
                Line::Local(what) => read.add_local(what),
                Line::Package => read.add_package(&line),
                Line::Option => {}
            }
        }
        read.files.push(path);
    }
    Ok(read)
}

/// An included file's path in the source; pip reads it relative to the file that includes it.
fn included(cx: &PlanContext<'_>, at: (&str, usize), other: &str) -> Result<String> {
    let (file, line) = at;
    let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
    let path = source::normalised(&format!("./{directory}/{other}"));
    path.filter(|path| cx.source.has(path)).ok_or_else(|| {
        config(
            format!("`{file}:{line}` includes `{other}`, which is not in the source"),
            None,
        )
    })
}

/// Lines with their numbers, without comments, joined where a backslash continues them.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let (number, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        let (part, continues) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        joined.push_str(without_comment(part));
        if continues {
            open = Some((number, joined));
        } else {
            lines.push((number, joined));
        }
    }
    lines.extend(open);
    lines.retain(|(_, line)| !line.trim().is_empty());
    lines
}

/// A comment starts at `#` at the beginning or after white space: `#egg=` of an address is none.
fn without_comment(line: &str) -> &str {
    let starts = line.match_indices('#').find(|(at, _)| {
        let before = line[..*at].chars().next_back();
        before.is_none_or(char::is_whitespace)
    });
    starts.map_or(line, |(at, _)| &line[..at])
}

fn classify(line: &str) -> Line<'_> {
    let line = line.trim();
    if let Some(path) = option(line, &["-r", "--requirement"]) {
        return Line::Include(path);
    }
    if let Some(path) = option(line, &["-c", "--constraint"]) {
        return Line::Constrain(path);
    }
    if let Some(what) = option(line, &["-e", "--editable"]) {
        return if what.contains("://") {
            Line::Package
        } else {
            Line::Local(what)
        };
    }
    if let Some(links) = option(line, &["-f", "--find-links"]) {
        return if links.contains("://") {
            Line::Option
        } else {
            Line::Local(links)
        };
    }
    if line.starts_with('-') {
        return Line::Option;
    }
    let first = line.split_whitespace().next().unwrap_or_default();
    if first.starts_with(['.', '/']) || line.contains("file:") || is_archive(first) {
        return Line::Local(first);
    }
    Line::Package
}

/// The value of one of these options: `-r x`, `-rx`, `--requirement x`, `--requirement=x`.
fn option<'a>(line: &'a str, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        let rest = line.strip_prefix(name)?;
        let joined = rest.strip_prefix('=').unwrap_or(rest);
        let separated = joined.len() < rest.len() || rest.starts_with(char::is_whitespace);
        let short = !name.starts_with("--");
        (separated || short).then(|| joined.trim())
    })
}

fn is_archive(word: &str) -> bool {
    let ends = [".whl", ".tar.gz", ".zip"]
        .iter()
        .any(|end| word.ends_with(end));
    ends && !word.contains("://")
}

/// A requirement's package name in its normal form, or the requirement itself where it starts with no name.
pub(super) fn name(requirement: &str) -> String {
    let requirement = requirement.trim();
    let end = requirement.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    let raw = &requirement[..end.unwrap_or(requirement.len())];
    if requirement.contains("://") && !requirement.contains(" @ ") {
        return requirement.to_owned();
    }
    let mut name = String::with_capacity(raw.len());
    for c in raw.to_ascii_lowercase().chars() {
        match c {
            '-' | '_' | '.' if name.ends_with('-') => {}
            '-' | '_' | '.' => name.push('-'),
            other => name.push(other),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_counted_and_freed_of_comments() {
        let text = "a==1 \\\n  --hash=sha256:x # why\n\n# only a comment\ngit+https://h/r#egg=b\n";
        let lines = logical_lines(text);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], (1, "a==1   --hash=sha256:x ".to_owned()));
        assert_eq!(lines[1], (5, "git+https://h/r#egg=b".to_owned()));
    }

    #[test]
    fn every_spelling_of_an_include_and_of_a_local_package_is_known() {
        for line in [
            "-r x.txt",
            "-rx.txt",
            "--requirement x.txt",
            "--requirement=x.txt",
        ] {
            assert_eq!(classify(line), Line::Include("x.txt"), "{line}");
        }
        assert_eq!(classify("-c x.txt"), Line::Constrain("x.txt"));
        for line in ["-e .", "--editable=.", "."] {
            assert_eq!(classify(line), Line::Local("."), "{line}");
        }
        for line in [
            "./vendor/a",
            "wheels/a-1.whl",
            "a @ file:vendor/a",
            "-f wheels",
        ] {
            assert!(matches!(classify(line), Line::Local(_)), "{line}");
        }
        for line in [
            "flask",
            "-e git+https://h/r#egg=a",
            "a @ https://h/a.whl",
            "requests[x]>=2",
        ] {
            assert_eq!(classify(line), Line::Package, "{line}");
        }
        assert_eq!(classify("--index-url https://h/simple"), Line::Option);
        assert_eq!(classify("--pre"), Line::Option);
    }

    #[test]
    fn a_name_is_normalised() {
        assert_eq!(
            name("Flask_Login.Ext[extra]>=2 ; python_version > '3'"),
            "flask-login-ext"
        );
    }
}
