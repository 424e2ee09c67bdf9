//! mix.exs, as far as a plan must understand it. It is a program: what it says is looked for by its words. Pure.

use hop3_plugin_api::{PlanContext, Result};

use crate::place::{Place, join};
use crate::source::{self, line_with};
use crate::steps::{choose_one, no_such};
use crate::version::Pin;

pub(super) const MANIFEST: &str = "mix.exs";
pub(super) const LOCK: &str = "mix.lock";

/// Words of a program that reads files or runs others.
const READS: [&str; 5] = [
    "File.",
    "Code.eval",
    "Code.require_file",
    "System.cmd",
    "Path.wildcard",
];

/// What a plan needs to know of a project.
pub(super) struct Mixfile {
    text: String,
    /// The app, or the only app of an umbrella that could be it.
    app: Option<String>,
    /// Names of declared releases.
    pub(super) releases: Vec<String>,
    /// Whether it depends on packages that are not in the source.
    pub(super) depends: bool,
    pub(super) locked: bool,
    pub(super) fetched_by: FetchedBy,
    pub(super) elixir: Option<Pin>,
    /// Files that decide how dependencies are compiled.
    pub(super) files: Vec<String>,
    /// Why these do not suffice.
    pub(super) reads_the_source: Option<String>,
}

/// What dependencies are had from, and what builds them: each is a download of its own, which is left out where nothing needs it.
#[derive(Default)]
pub(super) struct FetchedBy {
    pub(super) hex: bool,
    pub(super) rebar: bool,
    pub(super) git: bool,
}

impl FetchedBy {
    /// By the lock, which names every package with its origin; without one anything may be needed.
    fn of(lock: Option<&str>, manifest: &str) -> Self {
        let Some(lock) = lock else {
            return Self {
                hex: true,
                rebar: true,
                git: false,
            };
        };
        let hex = !lock.contains("{:git,") || lock.contains("{:hex,");
        Self {
            hex,
            rebar: hex || lock.contains("rebar") || manifest.contains("rebar"),
            git: lock.contains("{:git,"),
        }
    }
}

/// Reads the project and the projects of an umbrella.
pub(super) fn read(place: &Place<'_>) -> Result<Mixfile> {
    let text = source::text(&place.cx, MANIFEST)?.unwrap_or_default();
    let mut files = vec![MANIFEST.to_owned()];
    let mut depends = has_packages(&text);
    let mut reads = READS
        .iter()
        .any(|word| text.contains(word))
        .then(|| MANIFEST.to_owned());
    if text.contains("apps_path") {
        for app in source::directories(&place.cx, "apps")? {
            let path = join(&join("apps", &app), MANIFEST);
            let Some(text) = source::text(&place.cx, &path)? else {
                continue;
            };
            depends |= has_packages(&text);
            reads = reads.or_else(|| {
                READS
                    .iter()
                    .any(|word| text.contains(word))
                    .then(|| path.clone())
            });
            files.push(path);
        }
    }
    let lock = source::lock_text(&place.cx, LOCK)?;
    files.extend(lock.is_some().then(|| LOCK.to_owned()));
    files.extend(settings(&place.cx)?);
    Ok(Mixfile {
        app: atom_after(&text, "app:"),
        releases: releases(&text),
        depends,
        locked: lock.is_some(),
        fetched_by: FetchedBy::of(lock.as_deref(), &text),
        elixir: elixir(place, &text),
        files,
        reads_the_source: reads.map(|path| format!("`{}` reads other files", place.shown(&path))),
        text,
    })
}

/// What dependencies may be compiled with; what is read at each start is not among it.
fn settings(cx: &PlanContext<'_>) -> Result<Vec<String>> {
    const OTHERS: [&str; 3] = ["dev.exs", "runtime.exs", "test.exs"];
    let files = source::files(cx, "config")?.into_iter();
    let files =
        files.filter(|file| source::has_ending(file, "exs") && !OTHERS.contains(&file.as_str()));
    Ok(files.map(|file| join("config", &file)).collect())
}

impl Mixfile {
    /// Whether the project has a task of its own with this name.
    pub(super) fn has_alias(&self, name: &str) -> bool {
        self.text.contains(&format!("\"{name}\":"))
    }

    /// The release to run: the spec's choice, the only declared one, else that of the app.
    pub(super) fn release(&self, place: &Place<'_>) -> Result<String> {
        let named = place.settings.package.as_ref();
        match (named, self.releases.as_slice(), &self.app) {
            (Some(named), releases, _) if releases.contains(named) => Ok(named.clone()),
            (Some(named), releases, _) => Err(no_such("release", named, releases)),
            (None, [only], _) => Ok(only.clone()),
            (None, [], Some(app)) => Ok(app.clone()),
            (None, [first, ..], _) => Err(choose_one("releases", &self.releases, first)),
            (None, [], None) => Err(source::config(
                format!("`{}` names no app and no release", place.shown(MANIFEST)),
                Some("an umbrella needs `releases:` in its `project`"),
            )),
        }
    }
}

/// `app: :shop`.
fn atom_after(text: &str, key: &str) -> Option<String> {
    let (_, rest) = text.split_once(key)?;
    let atom = rest.trim_start().strip_prefix(':')?;
    let end = atom
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(atom.len());
    Some(atom[..end].to_owned())
}

/// The keys of `releases: [ … ]`, in place or in a function of that name.
fn releases(text: &str) -> Vec<String> {
    let inline = text.split_once("releases: [").map(|(_, rest)| rest);
    let function = ["defp releases do", "def releases do"];
    let function = function.iter().find_map(|start| text.split_once(start));
    let function = function
        .and_then(|(_, rest)| rest.split_once('['))
        .map(|(_, rest)| rest);
    let Some(rest) = inline.or(function) else {
        return Vec::new();
    };
    let mut depth = 0_u32;
    let mut names = Vec::new();
    let mut word = String::new();
    for c in rest.chars() {
        match c {
            '[' | '{' | '(' => depth += 1,
            ']' if depth == 0 => break,
            ']' | '}' | ')' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && !word.is_empty() => names.push(std::mem::take(&mut word)),
            _ => {}
        }
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
        } else {
            word.clear();
        }
    }
    names
}

/// A tuple below `deps` that names no path in the source.
fn has_packages(text: &str) -> bool {
    let starts = ["defp deps do", "def deps do", "deps: ["];
    let Some(rest) = starts
        .iter()
        .find_map(|start| text.split_once(start))
        .map(|(_, rest)| rest)
    else {
        return false;
    };
    let code: Vec<&str> = rest
        .lines()
        .take_while(|line| line.trim() != "end")
        .filter(|line| !line.trim().starts_with('#'))
        .collect();
    let code = code.join("\n");
    let mut tuples = code.split("{:").skip(1);
    tuples.any(|tuple| !tuple.contains("path:") && !tuple.contains("in_umbrella:"))
}

/// `elixir: "~> 1.14"`.
fn elixir(place: &Place<'_>, text: &str) -> Option<Pin> {
    let (_, rest) = text.split_once("elixir: \"")?;
    let range = rest.split('"').next()?;
    let range = range.replace(" and ", ",").replace(" or ", " || ");
    let line = line_with(text, "elixir: \"");
    Some(Pin::new(range, format!("{}:{line}", place.shown(MANIFEST))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_dependencies_are_found_by_their_words() {
        let text = "releases: [\n  web: [applications: [a: :permanent]],\n  worker: []\n],";
        assert_eq!(releases(text), ["web", "worker"]);
        assert_eq!(releases("app: :shop"), Vec::<String>::new());
        assert!(has_packages("defp deps do\n[{:plug, \"~> 1.0\"}]\nend"));
        assert!(!has_packages(
            "defp deps do\n[\n# {:plug, \"~> 1.0\"}\n{:core, in_umbrella: true}]\nend"
        ));
        assert!(!has_packages("defp deps do\n[]\nend\ndef x, do: {:ok, 1}"));
        assert_eq!(
            atom_after("app: :shop_web,", "app:"),
            Some("shop_web".to_owned())
        );
    }
}
