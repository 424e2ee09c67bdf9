//! Package managers: which one wrote the lock file, and its commands. One table row each. Pure.

use hop3_plugin_api::{Abort, PlanContext, PluginError, Result, ToolRequirement};

use super::package::Package;
use crate::place::Place;
use crate::source;
use crate::steps::{tool, two_managers};
use crate::version::Pin;

/// For people.
pub(super) const LOCKS: &[(&str, &str)] = &[
    ("package-lock.json, npm-shrinkwrap.json", "npm ci"),
    ("pnpm-lock.yaml", "pnpm install --frozen-lockfile"),
    ("yarn.lock of Yarn 1", "yarn install --frozen-lockfile"),
    ("yarn.lock of Yarn 2 and newer", "yarn install --immutable"),
    ("bun.lock, bun.lockb", "bun install --frozen-lockfile"),
];

/// A package manager. Its commands begin after its own name; a command of another program begins with `!`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Manager {
    /// Its name in `packageManager`, and its program.
    pub(super) program: &'static str,
    /// For messages.
    pub(super) title: &'static str,
    locks: &'static [&'static str],
    /// How a person makes the lock file.
    pub(super) lock_command: &'static str,
    pub(super) install: &'static [&'static str],
    /// The same where no lock file is asked for.
    pub(super) unlocked: &'static [&'static str],
    /// Takes development dependencies away.
    pub(super) prune: &'static [&'static [&'static str]],
    /// Makes it work on the workspace's root from another directory; its first word.
    pub(super) at_root: &'static str,
    pub(super) env: &'static [(&'static str, &'static str)],
    /// Its own settings that decide what is installed.
    pub(super) settings: &'static [&'static str],
}

pub(super) const NPM: Manager = Manager {
    program: "npm",
    title: "npm",
    locks: &["npm-shrinkwrap.json", "package-lock.json"],
    lock_command: "npm install --package-lock-only",
    install: &["ci", "--include=dev"],
    unlocked: &["install", "--no-package-lock", "--include=dev"],
    prune: &[&["prune", "--omit=dev", "--ignore-scripts"]],
    at_root: "--prefix=${app}",
    env: &[
        ("NPM_CONFIG_AUDIT", "false"),
        ("NPM_CONFIG_CACHE", "${cache}/npm"),
        ("NPM_CONFIG_FUND", "false"),
        ("NPM_CONFIG_UPDATE_NOTIFIER", "false"),
    ],
    settings: &[".npmrc"],
};

/// Files are copied out of its store: a link would be changed where the store is.
const PNPM: Manager = Manager {
    program: "pnpm",
    title: "pnpm",
    locks: &["pnpm-lock.yaml"],
    lock_command: "pnpm install --lockfile-only",
    install: &[
        "install",
        "--frozen-lockfile",
        "--prod=false",
        "--store-dir=${cache}/pnpm",
        "--package-import-method=copy",
    ],
    unlocked: &[
        "install",
        "--no-lockfile",
        "--prod=false",
        "--store-dir=${cache}/pnpm",
        "--package-import-method=copy",
    ],
    prune: &[&[
        "install",
        "--frozen-lockfile",
        "--prod",
        "--prefer-offline",
        "--ignore-scripts",
        "--store-dir=${cache}/pnpm",
        "--package-import-method=copy",
        "--config.confirmModulesPurge=false",
    ]],
    at_root: "--dir=${app}",
    env: &[
        ("NPM_CONFIG_MANAGE_PACKAGE_MANAGER_VERSIONS", "false"),
        ("NPM_CONFIG_UPDATE_NOTIFIER", "false"),
    ],
    settings: &[".npmrc", ".pnpmfile.cjs", "pnpm-workspace.yaml"],
};

const YARN_CLASSIC: Manager = Manager {
    program: "yarn",
    title: "Yarn 1",
    locks: &["yarn.lock"],
    lock_command: "yarn install",
    install: &[
        "install",
        "--frozen-lockfile",
        "--production=false",
        "--non-interactive",
        "--cache-folder=${cache}/yarn",
    ],
    unlocked: &[
        "install",
        "--no-lockfile",
        "--production=false",
        "--non-interactive",
        "--cache-folder=${cache}/yarn",
    ],
    prune: &[&[
        "install",
        "--frozen-lockfile",
        "--production",
        "--ignore-scripts",
        "--prefer-offline",
        "--non-interactive",
        "--cache-folder=${cache}/yarn",
    ]],
    at_root: "--cwd=${app}",
    env: &[("DISABLE_V8_COMPILE_CACHE", "1")],
    settings: &[".npmrc", ".yarnrc"],
};

/// Packages are files on disk, not archives beside them: what a release runs must be in it.
const YARN_BERRY: Manager = Manager {
    program: "yarn",
    title: "Yarn 2 or newer",
    locks: &["yarn.lock"],
    lock_command: "yarn install --mode=update-lockfile",
    install: &["install", "--immutable"],
    unlocked: &["install", "--no-immutable"],
    prune: &[&["workspaces", "focus", "--all", "--production"]],
    at_root: "--cwd=${app}",
    env: &[
        ("YARN_ENABLE_TELEMETRY", "0"),
        ("YARN_GLOBAL_FOLDER", "${cache}/yarn-berry"),
        ("YARN_NODE_LINKER", "node-modules"),
        ("YARN_NM_MODE", "classic"),
    ],
    settings: &[".npmrc", ".yarnrc.yml"],
};

const BUN: Manager = Manager {
    program: "bun",
    title: "Bun",
    locks: &["bun.lock", "bun.lockb"],
    lock_command: "bun install --lockfile-only",
    install: &["install", "--frozen-lockfile", "--backend=copyfile"],
    unlocked: &["install", "--no-save", "--backend=copyfile"],
    prune: &[
        &["!rm", "-rf", "--", "${app}/node_modules"],
        &[
            "install",
            "--frozen-lockfile",
            "--production",
            "--ignore-scripts",
            "--backend=copyfile",
        ],
    ],
    at_root: "--cwd=${app}",
    env: &[("BUN_INSTALL_CACHE_DIR", "${cache}/bun")],
    settings: &[".npmrc", "bunfig.toml"],
};

/// The manager of a project, and what it installs from.
pub(super) struct Choice {
    pub(super) manager: &'static Manager,
    /// The lock files that are there.
    pub(super) locks: Vec<String>,
    /// The program that is part of the source, where it is: run by Node.
    pub(super) bundled: Option<String>,
    /// The program on the host, with the version that is asked for.
    pub(super) tool: Option<ToolRequirement>,
}

/// Finds it by the lock file, else by `packageManager`.
pub(super) fn choose(place: &Place<'_>, package: &Package) -> Result<Choice> {
    let found = locked_by(&place.cx)?;
    let named = package
        .string("/packageManager")
        .and_then(|text| text.split_once('@'));
    if let [(lock, first), (other, second), ..] = found[..]
        && first != second
    {
        return Err(two_managers((lock, first.title), (other, second.title)));
    }
    let manager = match (found.first(), named) {
        (Some((lock, manager)), Some((name, _))) if manager.program != name => {
            return Err(disagreement(place, package, (lock, manager)));
        }
        (Some((_, manager)), _) => *manager,
        (None, Some((name, version))) => by_name(name, version),
        (None, None) => &NPM,
    };
    let bundled = bundled(&place.cx, manager)?;
    let tool = match &bundled {
        Some(_) => None,
        None => Some(requirement(place, package, manager)),
    };
    Ok(Choice {
        manager,
        locks: found.iter().map(|(lock, _)| (*lock).to_owned()).collect(),
        bundled,
        tool,
    })
}

/// Lock files with the managers that wrote them.
fn locked_by(cx: &PlanContext<'_>) -> Result<Vec<(&'static str, &'static Manager)>> {
    let mut found = Vec::new();
    for manager in [&NPM, &PNPM, &YARN_CLASSIC, &BUN] {
        let locks = manager.locks.iter().filter(|lock| cx.source.has(lock));
        let manager = match manager.program {
            "yarn" if is_berry(cx)? => &YARN_BERRY,
            _ => manager,
        };
        found.extend(locks.map(|lock| (*lock, manager)));
    }
    Ok(found)
}

fn is_berry(cx: &PlanContext<'_>) -> Result<bool> {
    let text = source::lock_text(cx, "yarn.lock")?.unwrap_or_default();
    Ok(text.lines().any(|line| line.starts_with("__metadata:")))
}

fn by_name(name: &str, version: &str) -> &'static Manager {
    match name {
        "pnpm" => &PNPM,
        "yarn" if version.starts_with("1.") => &YARN_CLASSIC,
        "yarn" => &YARN_BERRY,
        "bun" => &BUN,
        _ => &NPM,
    }
}

fn disagreement(
    place: &Place<'_>,
    package: &Package,
    (lock, manager): (&str, &Manager),
) -> PluginError {
    let named = package.string("/packageManager").unwrap_or_default();
    let at = package.place_of(place, "packageManager");
    Abort::new(format!(
        "`{at}` names `{named}`, and `{lock}` was written by {}",
        manager.title
    ))
    .hint("remove the lock file, or correct `packageManager`")
    .into()
}

/// `yarnPath` of .yarnrc.yml, where it lies in the source.
fn bundled(cx: &PlanContext<'_>, manager: &Manager) -> Result<Option<String>> {
    if *manager != YARN_BERRY {
        return Ok(None);
    }
    let settings = source::text(cx, ".yarnrc.yml")?.unwrap_or_default();
    let path = settings
        .lines()
        .find_map(|line| line.strip_prefix("yarnPath:"));
    let path = path.map(|path| path.trim().trim_matches(['"', '\'']));
    let path = path.and_then(source::normalised);
    Ok(path.filter(|path| cx.source.has(path)))
}

/// The same major version, at least the one that is named: what can read the lock file.
fn requirement(place: &Place<'_>, package: &Package, manager: &Manager) -> ToolRequirement {
    let named = package.string("/packageManager").and_then(|text| {
        let (_, version) = text.split_once('@')?;
        let version = version.split('+').next()?;
        let at = package.place_of(place, "packageManager");
        Some(Pin::new(format!("^{version}"), at))
    });
    let pointer = format!("/engines/{}", manager.program);
    let needle = format!("\"{}\"", manager.program);
    let pin = named.or_else(|| package.pin(place, &pointer, &needle));
    tool(manager.program, pin)
}
