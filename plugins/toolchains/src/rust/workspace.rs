//! Packages of a Cargo workspace and their binaries. Pure.

use hop3_plugin_api::{Abort, PlanContext, Result};

use super::MANIFEST;
use crate::glob::matches;
use crate::place::{Place, join};
use crate::source::{self, toml_string, toml_strings, toml_value};
use crate::steps::{choose_one, no_such};

/// A binary that can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binary {
    pub(super) name: String,
    pub(super) package: String,
    /// The package's directory.
    pub(super) directory: String,
    /// Whether it is the one of its package that is run: named so, called as the package is, or the only one.
    default: bool,
}

/// Directories of the members of the root's workspace.
pub(super) fn members(cx: &PlanContext<'_>) -> Result<Vec<String>> {
    let manifest = source::toml(cx, MANIFEST)?.unwrap_or_default();
    let excluded: Vec<&str> = toml_strings(&manifest, &["workspace", "exclude"]).collect();
    let mut found = Vec::new();
    for pattern in toml_strings(&manifest, &["workspace", "members"]) {
        let Some(pattern) = source::normalised(pattern) else {
            continue;
        };
        let candidates = expand(cx, &pattern)?.into_iter();
        found.extend(candidates.filter(|it| !excluded.contains(&it.as_str())));
    }
    found.retain(|directory| cx.source.has(&join(directory, MANIFEST)));
    Ok(found)
}

/// The directories that a pattern of `members` means: `crates/*`.
fn expand(cx: &PlanContext<'_>, pattern: &str) -> Result<Vec<String>> {
    let mut found = vec![String::new()];
    for part in pattern.split('/') {
        let mut next = Vec::new();
        for directory in found {
            if part.contains('*') {
                let names = source::directories(cx, &directory)?.into_iter();
                let names = names.filter(|name| matches(part, name));
                next.extend(names.map(|name| join(&directory, &name)));
            } else {
                next.push(join(&directory, part));
            }
        }
        found = next;
    }
    Ok(found)
}

/// The binary that is the app: the spec's choice, else the only or the default one of the app's package, else of the workspace.
pub(super) fn choose(place: &Place<'_>) -> Result<Binary> {
    let cx = &place.cx;
    let own = binaries(cx, place.member())?;
    let mut all = own.clone();
    for member in members(cx)? {
        let more = binaries(cx, &member)?;
        all.extend(more.into_iter().filter(|it| !own.contains(it)));
    }
    if let Some(named) = &place.settings.package {
        return by_name(&all, named);
    }
    let candidates = if own.is_empty() { &all } else { &own };
    let default: Vec<&Binary> = candidates.iter().filter(|binary| binary.default).collect();
    match (candidates.as_slice(), default.as_slice()) {
        ([only], _) => Ok(only.clone()),
        (_, [only]) => Ok((*only).clone()),
        ([], _) => Err(
            Abort::new("the source has no binary, so there is nothing to run")
                .hint("a package with `src/main.rs` or `[[bin]]` has one")
                .into(),
        ),
        ([first, ..], _) => Err(choose_one("binaries", &names(candidates), &first.name)),
    }
}

fn names(binaries: &[Binary]) -> Vec<String> {
    binaries.iter().map(|binary| binary.name.clone()).collect()
}

/// By the binary's name, else by its package's where that has but one.
fn by_name(all: &[Binary], named: &str) -> Result<Binary> {
    if let Some(binary) = all.iter().find(|binary| binary.name == named) {
        return Ok(binary.clone());
    }
    let of_package: Vec<&Binary> = all.iter().filter(|it| it.package == named).collect();
    let default = of_package.iter().find(|it| it.default);
    match (of_package.as_slice(), default) {
        ([only], _) | (_, Some(only)) => Ok((*only).clone()),
        ([], _) => Err(no_such("package or binary", named, &names(all))),
        ([first, ..], _) => {
            let of_package: Vec<String> = of_package.iter().map(|it| it.name.clone()).collect();
            Err(choose_one("binaries", &of_package, &first.name))
        }
    }
}

/// The binaries of the package in a directory; none where there is no package.
fn binaries(cx: &PlanContext<'_>, directory: &str) -> Result<Vec<Binary>> {
    let manifest = source::toml(cx, &join(directory, MANIFEST))?.unwrap_or_default();
    let Some(package) = toml_string(&manifest, &["package", "name"]) else {
        return Ok(Vec::new());
    };
    let run = toml_string(&manifest, &["package", "default-run"]);
    let mut names: Vec<String> = Vec::new();
    let declared = toml_value(&manifest, &["bin"]).and_then(toml::Value::as_array);
    let declared: Vec<&toml::Table> = declared
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table)
        .collect();
    let paths = declared
        .iter()
        .filter_map(|bin| toml_string(bin, &["path"]));
    let paths: Vec<&str> = paths.collect();
    names.extend(
        declared
            .iter()
            .filter_map(|bin| toml_string(bin, &["name"]))
            .map(str::to_owned),
    );
    if cx.source.has(&join(directory, "src/main.rs")) && !paths.contains(&"src/main.rs") {
        names.push(package.to_owned());
    }
    names.extend(discovered(cx, directory, &paths)?);
    names.sort();
    names.dedup();
    let single = names.len() == 1;
    Ok(names
        .into_iter()
        .map(|name| Binary {
            default: run.map_or(single || name == package, |run| run == name),
            package: package.to_owned(),
            directory: directory.to_owned(),
            name,
        })
        .collect())
}

/// `src/bin/*.rs` and `src/bin/*/main.rs` that the manifest does not name.
fn discovered(cx: &PlanContext<'_>, directory: &str, declared: &[&str]) -> Result<Vec<String>> {
    let bin = join(directory, "src/bin");
    let mut names = Vec::new();
    for file in source::files(cx, &bin)? {
        let declared = declared.contains(&format!("src/bin/{file}").as_str());
        names.extend(
            file.strip_suffix(".rs")
                .filter(|_| !declared)
                .map(str::to_owned),
        );
    }
    for name in source::directories(cx, &bin)? {
        if cx.source.has(&join(&bin, &format!("{name}/main.rs"))) {
            names.push(name);
        }
    }
    Ok(names)
}
