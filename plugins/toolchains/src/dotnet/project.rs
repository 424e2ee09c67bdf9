//! Projects and solutions of .NET: which project is the app. Pure.

use std::path::Path;

use hop3_plugin_api::{Abort, PlanContext, Result};

use crate::place::{Place, join};
use crate::source;
use crate::steps::{choose_one, no_such};
use crate::xml::{Element, elements};

/// Projects further down than this are not looked for.
const DEPTH: usize = 4;

const PROJECTS: [&str; 3] = ["csproj", "fsproj", "vbproj"];
const SOLUTIONS: [&str; 2] = ["sln", "slnx"];

/// A project.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts, each read from an element of its own"
)]
pub(super) struct Project {
    pub(super) path: String,
    /// What its assembly is called.
    pub(super) assembly: String,
    /// Its newest framework and the line.
    pub(super) framework: Option<(String, usize)>,
    pub(super) has_packages: bool,
    runs: bool,
    serves: bool,
    tests: bool,
}

impl Project {
    pub(super) fn directory(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory)
    }
}

/// Whether a file is a project or a solution.
pub(super) fn is_manifest(file: &str) -> bool {
    has_extension(file, &PROJECTS) || has_extension(file, &SOLUTIONS)
}

fn has_extension(file: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(file).extension();
    extension.is_some_and(|it| extensions.iter().any(|known| it == *known))
}

/// The project that the spec names, else the only one of the root that runs, else of the source: one that serves before one that does
/// not; never one of tests.
pub(super) fn choose(place: &Place<'_>) -> Result<Project> {
    let all = projects(&place.cx)?;
    if let Some(named) = &place.settings.package {
        return by_name(all, named);
    }
    let (own, others): (Vec<Project>, Vec<Project>) =
        all.into_iter().partition(|it| it.directory().is_empty());
    let candidates = |projects: Vec<Project>| {
        let runs: Vec<Project> = projects
            .into_iter()
            .filter(|it| it.runs && !it.tests)
            .collect();
        let (serving, rest): (Vec<Project>, Vec<Project>) =
            runs.into_iter().partition(|it| it.serves);
        if serving.is_empty() { rest } else { serving }
    };
    let own = candidates(own);
    let mut found = if own.is_empty() {
        candidates(others)
    } else {
        own
    };
    match found.len() {
        0 => Err(Abort::new("the source has no project that makes a program")
            .hint("name it: `package = \"src/Web\"` in `[plugin.toolchains]`")
            .into()),
        1 => Ok(found.remove(0)),
        _ => {
            let paths: Vec<String> = found.iter().map(|it| it.path.clone()).collect();
            Err(choose_one("projects", &paths, &paths[0]))
        }
    }
}

fn by_name(all: Vec<Project>, named: &str) -> Result<Project> {
    let path = source::normalised(named).unwrap_or_default();
    let paths: Vec<String> = all.iter().map(|project| project.path.clone()).collect();
    let is_it = |project: &Project| {
        project.path == path || project.directory() == path || project.assembly == named
    };
    all.into_iter()
        .find(is_it)
        .ok_or_else(|| no_such("project", named, &paths))
}

fn projects(cx: &PlanContext<'_>) -> Result<Vec<Project>> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), 0)];
    while let Some((directory, depth)) = open.pop() {
        for file in source::files(cx, &directory)? {
            if has_extension(&file, &PROJECTS) {
                let path = join(&directory, &file);
                let text = source::text(cx, &path)?.unwrap_or_default();
                found.push(project(path, &text));
            }
        }
        let below = source::directories(cx, &directory)?.into_iter();
        let below = below.filter(|name| {
            depth < DEPTH
                && !name.starts_with('.')
                && !matches!(name.as_str(), "bin" | "obj" | "node_modules")
        });
        open.extend(below.map(|name| (join(&directory, &name), depth + 1)));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn project(path: String, text: &str) -> Project {
    let elements = elements(text);
    let sdk = elements
        .first()
        .and_then(|root| root.attribute("Sdk"))
        .unwrap_or_default();
    let property = |name: &str| {
        let path = format!("Project/PropertyGroup/{name}");
        elements
            .iter()
            .find(|it| it.path == path && !it.text.is_empty())
    };
    let references: Vec<&str> = elements
        .iter()
        .filter(|it| it.path.ends_with("/PackageReference"))
        .filter_map(|it| it.attribute("Include"))
        .collect();
    let stem = Path::new(&path)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let named = property("AssemblyName")
        .map(|it| it.text.clone())
        .filter(|name| !name.contains("$("));
    let serves = sdk.starts_with("Microsoft.NET.Sdk.Web")
        || sdk.starts_with("Microsoft.NET.Sdk.BlazorWebAssembly");
    let worker = sdk.starts_with("Microsoft.NET.Sdk.Worker");
    let executable = property("OutputType").is_some_and(|it| it.text.eq_ignore_ascii_case("exe"));
    Project {
        assembly: named.unwrap_or(stem),
        framework: framework(property("TargetFramework").or_else(|| property("TargetFrameworks"))),
        has_packages: !references.is_empty(),
        runs: serves || worker || executable,
        serves,
        tests: references.contains(&"Microsoft.NET.Test.Sdk"),
        path,
    }
}

/// `net8.0`, or the highest of `net6.0;net8.0`.
fn framework(element: Option<&Element>) -> Option<(String, usize)> {
    let element = element?;
    let versions = element
        .text
        .split(';')
        .filter_map(|name| name.trim().strip_prefix("net"));
    let versions = versions.map(|version| version.split('-').next().unwrap_or_default());
    let numeric = versions.filter_map(|version| {
        let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
        parts
            .filter(|parts| parts.len() > 1)
            .map(|parts| (parts, version))
    });
    numeric
        .max()
        .map(|(_, version)| (version.to_owned(), element.line))
}
