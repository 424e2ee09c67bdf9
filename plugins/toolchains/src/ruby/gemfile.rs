//! Gemfile and Gemfile.lock, as far as a plan must understand them. A Gemfile is a program: what it reads beside the usual is looked for
//! by its words. Pure.

use std::collections::BTreeSet;

use hop3_plugin_api::Result;

use crate::place::Place;
use crate::source;
use crate::version::Pin;

pub(super) const NAME: &str = "Gemfile";
const LOCK: &str = "Gemfile.lock";

/// What a plan needs to know of an app's gems.
pub(super) struct Gemfile {
    pub(super) lock: Option<String>,
    /// Names of all gems: of the lock, else of the Gemfile.
    pub(super) names: BTreeSet<String>,
    pub(super) asks_for_gems: bool,
    /// The Ruby that it asks for.
    pub(super) ruby: Option<Pin>,
    /// The Bundler that can use the lock.
    pub(super) bundler: Option<Pin>,
    /// Files that decide which gems are installed.
    pub(super) files: Vec<String>,
    /// Why these files do not suffice.
    pub(super) reads_the_source: Option<String>,
}

impl Gemfile {
    pub(super) fn has(&self, gem: &str) -> bool {
        self.names.contains(gem)
    }
}

/// Reads both files; `None` where there is no Gemfile.
pub(super) fn read(place: &Place<'_>) -> Result<Option<Gemfile>> {
    let Some(text) = source::text(&place.cx, NAME)? else {
        return Ok(None);
    };
    let lock = source::lock_text(&place.cx, LOCK)?;
    let asked: BTreeSet<String> = lines(&text).filter_map(|(_, line)| gem(line)).collect();
    let (mut files, reads_the_source) = files(place, &text);
    files.extend(lock.is_some().then(|| LOCK.to_owned()));
    let locked = lock.as_deref().map(locked_names);
    let ruby = asked_ruby(place, &text);
    let ruby = ruby.or_else(|| locked_ruby(place, lock.as_deref()?));
    Ok(Some(Gemfile {
        asks_for_gems: !asked.is_empty(),
        names: locked.unwrap_or(asked),
        ruby,
        bundler: lock.as_deref().and_then(|lock| bundler(place, lock)),
        files,
        reads_the_source,
        lock,
    }))
}

/// Lines with their numbers, without comments and white space around them.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines
        .map(|(index, line)| {
            (
                index + 1,
                line.split(" #").next().unwrap_or_default().trim(),
            )
        })
        .filter(|(_, line)| !line.starts_with('#'))
}

fn gem(line: &str) -> Option<String> {
    let rest = line
        .strip_prefix("gem ")
        .or_else(|| line.strip_prefix("gem("))?;
    quoted(rest).next().map(str::to_owned)
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split(['"', '\'']).skip(1).step_by(2)
}

/// The files that it includes, and the first thing that it takes from elsewhere in the source.
fn files(place: &Place<'_>, text: &str) -> (Vec<String>, Option<String>) {
    let mut files = vec![NAME.to_owned()];
    let mut reads = None;
    for (number, line) in lines(text) {
        let at = format!("{}:{number}", place.shown(NAME));
        let takes = line.starts_with("path ") || line.contains("path:") || line.contains(":path");
        if line.starts_with("gemspec") {
            reads.get_or_insert(format!("`{at}` reads a gemspec"));
        } else if takes {
            reads.get_or_insert(format!("`{at}` takes a gem from the source"));
        } else if line.starts_with("eval_gemfile") {
            let included = quoted(line).next().and_then(source::normalised);
            match included.filter(|path| place.cx.source.has(path)) {
                Some(path) => files.push(path),
                None => drop(reads.get_or_insert(format!("`{at}` reads another file"))),
            }
        } else if line.contains("File.") && !line.contains(".ruby-version") {
            reads.get_or_insert(format!("`{at}` reads another file"));
        }
    }
    (files, reads)
}

/// `ruby "3.2.2"`, `ruby ">= 3.1", "< 3.4"`; `ruby file: ".ruby-version"` says nothing of its own.
fn asked_ruby(place: &Place<'_>, text: &str) -> Option<Pin> {
    let (number, line) =
        lines(text).find(|(_, line)| line.starts_with("ruby ") || line.starts_with("ruby("))?;
    let before_options = line.split([':', '{']).next().unwrap_or_default();
    let versions: Vec<&str> = quoted(before_options)
        .filter(|version| version.starts_with(|c: char| c.is_ascii_digit() || "<>=~!".contains(c)))
        .collect();
    let at = format!("{}:{number}", place.shown(NAME));
    (!versions.is_empty()).then(|| Pin::new(versions.join(","), at))
}

/// `ruby 3.2.2p53` below `RUBY VERSION`: Bundler does not insist on more than the line of versions.
fn locked_ruby(place: &Place<'_>, lock: &str) -> Option<Pin> {
    let (line, text) = below(lock, "RUBY VERSION")?;
    let version: Vec<&str> = text.strip_prefix("ruby ")?.split('.').take(2).collect();
    let at = format!("{}:{line}", place.shown(LOCK));
    Some(Pin::new(version.join("."), at))
}

/// From 2.3 on Bundler switches to the version that wrote the lock; an older lock is read by any Bundler 2.
fn bundler(place: &Place<'_>, lock: &str) -> Option<Pin> {
    let (line, version) = below(lock, "BUNDLED WITH")?;
    let parts: Vec<u32> = version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    let least = if parts >= vec![2, 3] { ">=2.3" } else { ">=2" };
    Some(Pin::new(least, format!("{}:{line}", place.shown(LOCK))))
}

fn below<'a>(lock: &'a str, heading: &str) -> Option<(usize, &'a str)> {
    let mut lines = lock
        .lines()
        .enumerate()
        .skip_while(|(_, line)| *line != heading);
    let (index, line) = lines.nth(1)?;
    Some((index + 1, line.trim()))
}

/// Gems are indented by four spaces below `specs:`, what they need by six.
fn locked_names(lock: &str) -> BTreeSet<String> {
    let gems = lock.lines().filter_map(|line| line.strip_prefix("    "));
    let gems = gems.filter(|line| !line.starts_with(' ') && line.contains('('));
    gems.filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}
