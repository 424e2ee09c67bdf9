//! Which package of a Go source is the app. Pure.

use hop3_plugin_api::{Abort, PlanContext, Result};

use super::modfile::Module;
use super::script_files;
use crate::place::{Place, join};
use crate::source;
use crate::steps::{choose_one, no_such};

/// Directories whose packages are nobody's app.
const FOREIGN: [&str; 5] = ["vendor", "testdata", "node_modules", "internal", "examples"];

/// Packages further down than this are not looked for.
const DEPTH: usize = 4;

/// The package that is built.
pub(super) struct Main {
    /// What the binary is called.
    pub(super) name: String,
    /// How the package is named to `go build`, relative to the working directory.
    pub(super) packages: Vec<String>,
}

/// The one that the spec names, else the root's, else the only one in `cmd/`, else the only one there is.
pub(super) fn choose(place: &Place<'_>, modules: &[Module]) -> Result<Main> {
    let cx = &place.cx;
    if modules.is_empty() {
        return Ok(Main {
            name: "app".to_owned(),
            packages: script_files(cx)?,
        });
    }
    if let Some(named) = &place.settings.package {
        return by_name(place, modules, named);
    }
    let own = place.member();
    if is_main(cx, own)? {
        return Ok(main(place, modules, own));
    }
    let commands = commands(cx, modules, own)?;
    let found = if commands.is_empty() {
        mains_below(cx, own)?
    } else {
        commands
    };
    match found.as_slice() {
        [only] => Ok(main(place, modules, only)),
        [] => Err(Abort::new("the source has no `package main`, so there is nothing to run")
            .hint("name its directory as `package` in `[plugin.toolchains]`, or set `build` in `[build]`")
            .into()),
        [first, ..] => {
            let shown: Vec<String> = found.iter().map(|it| relative(place, it)).collect();
            Err(choose_one("main packages", &shown, &relative(place, first)))
        }
    }
}

fn by_name(place: &Place<'_>, modules: &[Module], named: &str) -> Result<Main> {
    let directory = source::normalised(&format!("./{}/{named}", place.member()));
    let directory = directory.unwrap_or_default();
    if is_main(&place.cx, &directory)? {
        return Ok(main(place, modules, &directory));
    }
    let there = mains_below(&place.cx, place.member())?;
    let there: Vec<String> = there.iter().map(|it| relative(place, it)).collect();
    Err(no_such("main package", named, &there))
}

fn relative(place: &Place<'_>, directory: &str) -> String {
    let below = directory.strip_prefix(place.member()).unwrap_or(directory);
    match below.trim_start_matches('/') {
        "" => ".".to_owned(),
        below => format!("./{below}"),
    }
}

/// A package of the module's own directory is called as the module is, any other as its directory.
fn main(place: &Place<'_>, modules: &[Module], directory: &str) -> Main {
    let module = modules.iter().find(|module| module.directory == directory);
    let last = directory.rsplit('/').next().unwrap_or_default();
    Main {
        name: module.map_or_else(|| last.to_owned(), |module| module.name.clone()),
        packages: vec![relative(place, directory)],
    }
}

/// Mains in `cmd/*` of the app's directory or, at the root of a workspace, of its modules; and modules that are mains themselves.
fn commands(cx: &PlanContext<'_>, modules: &[Module], own: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for module in modules
        .iter()
        .filter(|module| module.directory.starts_with(own))
    {
        let directory = &module.directory;
        let cmd = join(directory, "cmd");
        let below = source::directories(cx, &cmd)?.into_iter();
        let below = below.map(|name| join(&cmd, &name));
        for candidate in std::iter::once(directory.clone())
            .chain([cmd.clone()])
            .chain(below)
        {
            if is_main(cx, &candidate)? {
                found.push(candidate);
            }
        }
    }
    Ok(found)
}

fn mains_below(cx: &PlanContext<'_>, own: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![(own.to_owned(), 0)];
    while let Some((directory, depth)) = open.pop() {
        if is_main(cx, &directory)? {
            found.push(directory.clone());
        }
        let below = source::directories(cx, &directory)?.into_iter();
        let below = below.filter(|name| {
            depth < DEPTH && !FOREIGN.contains(&name.as_str()) && !name.starts_with(['.', '_'])
        });
        open.extend(below.map(|name| (join(&directory, &name), depth + 1)));
    }
    found.sort();
    Ok(found)
}

/// Whether a file of the directory begins with `package main` and is not left out of every build.
fn is_main(cx: &PlanContext<'_>, directory: &str) -> Result<bool> {
    for file in source::files(cx, directory)? {
        if !source::has_ending(&file, "go") || file.ends_with("_test.go") {
            continue;
        }
        let text = source::text(cx, &join(directory, &file))?.unwrap_or_default();
        if declares_main(&text) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn declares_main(text: &str) -> bool {
    let ignored = text.lines().any(|line| line.trim() == "//go:build ignore");
    let mut lines = text.lines().map(str::trim);
    let package = lines.find(|line| line.starts_with("package "));
    let name = package.and_then(|line| line.split_whitespace().nth(1));
    name == Some("main") && !ignored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_package_declares_itself() {
        assert!(declares_main(
            "// Shop.\npackage main // here\n\nfunc main() {}\n"
        ));
        assert!(!declares_main("package shop\n// package main\n"));
        assert!(!declares_main("//go:build ignore\n\npackage main\n"));
    }
}
