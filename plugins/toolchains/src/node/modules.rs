//! Installing packages: what decides what is installed, where it goes, and the steps. Pure.

use std::collections::BTreeMap;

use hop3_plugin_api::{BuildPlan, BuildStep, EnvKey, LayerPlan, Result, ToolRequirement};

use super::manager::{self, Choice, Manager};
use super::package::Package;
use super::{version, workspace};
use crate::place::{Place, join};
use crate::source;
use crate::steps::{env, fetch, missing_lock, step};

/// Scripts that managers run while they install.
const SCRIPTS: [&str; 5] = [
    "preinstall",
    "install",
    "postinstall",
    "prepublish",
    "prepare",
];

/// Programs of such scripts that read nothing of the source, or nothing but patches.
const HARMLESS: [&str; 6] = [
    "husky",
    "lefthook",
    "patch-package",
    "simple-git-hooks",
    "is-ci",
    "only-allow",
];

/// Directories whose files change what is installed.
const PATCHES: [&str; 5] = [
    "patches",
    ".yarn/patches",
    ".yarn/plugins",
    ".yarn/releases",
    ".yarn/cache",
];

/// The packages of a project.
pub(super) struct Modules {
    manager: &'static Manager,
    node: Option<ToolRequirement>,
    tool: Option<ToolRequirement>,
    /// How the manager is called in a release, in the app's directory and for the root of its workspace.
    call: Vec<String>,
    call_at_root: Vec<String>,
    layer: Option<LayerPlan>,
    steps: Vec<BuildStep>,
    /// Directories that hold the packages.
    directories: Vec<String>,
    locked: bool,
    env: BTreeMap<EnvKey, String>,
    notes: Vec<String>,
}

/// Plans the installation.
pub(super) fn of(place: &Place<'_>, package: &Package) -> Result<Modules> {
    let members = workspace::members(&place.cx)?;
    let packages = all_packages(place, package, &members)?;
    let head = packages.first().unwrap_or(package);
    let choice = manager::choose(place, head)?;
    let empty = members.is_empty() && packages.iter().all(|it| it.dependencies().next().is_none());
    let locked = !choice.locks.is_empty();
    if !locked && !empty && !place.allows_unlocked() {
        return Err(missing_lock(
            &place.shown(&package.path),
            choice.manager.lock_command,
        ));
    }
    let mut modules = Modules {
        manager: choice.manager,
        node: Some(version(place, &[package, head])?),
        tool: choice.tool.clone(),
        call_at_root: at_root(place, &choice),
        call: call(&choice, "${app}"),
        layer: None,
        steps: Vec::new(),
        directories: directories(&members),
        locked,
        env: env(choice.manager.env),
        notes: notes(&choice, locked || empty),
    };
    if choice.manager.program == "bun" && !uses_node(modules.node.as_ref(), package) {
        modules.node = None;
    }
    if !empty {
        modules.install(place, (&choice, &packages), &members);
    }
    Ok(modules)
}

/// The root's manifest, those of members, and the app's own.
fn all_packages(place: &Place<'_>, package: &Package, members: &[String]) -> Result<Vec<Package>> {
    let own = package.path.clone();
    let members = members.iter().map(|member| join(member, "package.json"));
    let paths = std::iter::once("package.json".to_owned()).chain(members);
    let mut all = Vec::new();
    for path in paths.chain([own]) {
        if all.iter().any(|it: &Package| it.path == path) {
            continue;
        }
        all.extend(Package::read(place, &path)?);
    }
    Ok(all)
}

fn directories(members: &[String]) -> Vec<String> {
    let members = members.iter().map(|member| join(member, "node_modules"));
    std::iter::once("node_modules".to_owned())
        .chain(members)
        .collect()
}

fn notes(choice: &Choice, locked: bool) -> Vec<String> {
    let title = choice.manager.title;
    let note =
        || format!("packages of {title} are not locked: two builds may install different versions");
    (!locked).then(note).into_iter().collect()
}

/// Bun runs most programs itself.
fn uses_node(node: Option<&ToolRequirement>, package: &Package) -> bool {
    let pinned = node.is_some_and(|node| node.version.is_some());
    let calls = |name| {
        package
            .script(name)
            .is_some_and(|it| it.starts_with("node "))
    };
    pinned || calls("start") || calls("build")
}

/// The manager's program, or Node and the copy of it that lies in the source.
fn call(choice: &Choice, root: &str) -> Vec<String> {
    match &choice.bundled {
        Some(path) => vec!["node".to_owned(), format!("{root}/{path}")],
        None => vec![choice.manager.program.to_owned()],
    }
}

/// In a directory of a workspace a manager would work on that package alone.
fn at_root(place: &Place<'_>, choice: &Choice) -> Vec<String> {
    let mut call = call(choice, "${app}");
    if !place.member().is_empty() {
        call.push(choice.manager.at_root.to_owned());
    }
    call
}

impl Modules {
    /// A command of the manager, in a release.
    pub(super) fn words(&self, args: &[&str]) -> Vec<String> {
        command(&self.call, args)
    }

    fn install(
        &mut self,
        place: &Place<'_>,
        (choice, packages): (&Choice, &[Package]),
        members: &[String],
    ) {
        let args = if self.locked {
            choice.manager.install
        } else {
            choice.manager.unlocked
        };
        let name = "install dependencies";
        if let Some(why) = reads_the_source(place, packages, members) {
            let words = command(&self.call_at_root, args);
            self.steps
                .push(fetch(name, words.iter().map(String::as_str)));
            self.notes.push(format!(
                "{why}, so dependencies are installed anew in each release"
            ));
            return;
        }
        let words = command(&call(choice, "${layer}"), args);
        let steps = vec![fetch(name, words.iter().map(String::as_str))];
        let inputs = inputs(place, choice, packages);
        self.layer = Some(LayerPlan::cloned(
            "node-modules",
            self.directories.clone(),
            (inputs, steps),
        ));
    }

    /// Without packages and without a script to run no manager is needed.
    pub(super) fn forget_unused_manager(&mut self) {
        if self.layer.is_none() && self.steps.is_empty() {
            self.tool = None;
            self.env.clear();
        }
    }

    /// Adds tools, the layer or the step that installs, and the manager's variables.
    pub(super) fn add_to(self, plan: &mut BuildPlan) {
        plan.tools.extend(self.node.into_iter().chain(self.tool));
        plan.layers.extend(self.layer);
        plan.steps.extend(self.steps);
        plan.env.extend(self.env);
        plan.env.extend(env(&[("NODE_ENV", "production")]));
        plan.notes.extend(self.notes);
    }

    /// Takes away what only the build needed.
    pub(super) fn prune(&self, package: &Package) -> Vec<BuildStep> {
        let installs = self.layer.is_some() || !self.steps.is_empty();
        if !installs || !self.locked || !package.has_development_dependencies() {
            return Vec::new();
        }
        let commands = self.manager.prune.iter();
        commands
            .map(|args| {
                let words = command(&self.call_at_root, args);
                let words = words.iter().map(String::as_str);
                let network = !args[0].starts_with('!');
                BuildStep {
                    network,
                    ..step("remove development dependencies", words)
                }
            })
            .collect()
    }

    /// Takes away all packages: a site is files.
    pub(super) fn removal(&self) -> Vec<BuildStep> {
        if self.layer.is_none() && self.steps.is_empty() {
            return Vec::new();
        }
        let paths: Vec<String> = self
            .directories
            .iter()
            .map(|it| format!("${{app}}/{it}"))
            .collect();
        let words = ["rm", "-rf", "--"]
            .into_iter()
            .chain(paths.iter().map(String::as_str));
        vec![step("remove packages that only the build needed", words)]
    }
}

fn command(call: &[String], args: &[&str]) -> Vec<String> {
    if let Some((program, rest)) = args.split_first()
        && let Some(program) = program.strip_prefix('!')
    {
        return std::iter::once(program)
            .chain(rest.iter().copied())
            .map(str::to_owned)
            .collect();
    }
    let args = args.iter().map(|arg| (*arg).to_owned());
    call.iter().cloned().chain(args).collect()
}

/// Why the manifests and locks alone do not suffice.
fn reads_the_source(place: &Place<'_>, packages: &[Package], members: &[String]) -> Option<String> {
    for package in packages {
        let at = place.shown(&package.path);
        let script = SCRIPTS
            .iter()
            .find(|name| package.script(name).is_some_and(|it| !is_harmless(it)));
        if let Some(script) = script {
            return Some(format!("`{at}` runs `{script}`, which may read the source"));
        }
        let beside = package
            .dependencies()
            .find(|(_, from)| is_beside(from, members, package));
        if let Some((name, from)) = beside {
            return Some(format!("`{at}` takes `{name}` from the source (`{from}`)"));
        }
    }
    None
}

/// All commands of the script are of programs that are known.
fn is_harmless(script: &str) -> bool {
    script.split(['&', '|', ';']).map(str::trim).all(|command| {
        let mut words = command.split_whitespace().filter(|word| *word != "npx");
        words
            .next()
            .is_none_or(|program| HARMLESS.contains(&program))
    })
}

/// A package of the source that is no member of the workspace.
fn is_beside(from: &str, members: &[String], package: &Package) -> bool {
    let schemes = ["file:", "link:", "portal:"];
    let Some(path) = schemes.iter().find_map(|scheme| from.strip_prefix(scheme)) else {
        return false;
    };
    let base = package.path.rsplit_once('/').map_or("", |(base, _)| base);
    let path = source::normalised(&format!("./{base}/{path}"));
    path.is_none_or(|path| !members.contains(&path))
}

/// Manifests, locks, settings and patches: the key of the layer.
fn inputs(place: &Place<'_>, choice: &Choice, packages: &[Package]) -> Vec<String> {
    let manifests = packages.iter().map(|package| package.path.clone());
    let mut inputs: Vec<String> = manifests.chain(choice.locks.iter().cloned()).collect();
    inputs.extend(source::present(&place.cx, choice.manager.settings));
    inputs.extend(source::present(&place.cx, &PATCHES));
    inputs.sort();
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_harmless_when_all_its_programs_are() {
        for script in [
            "husky",
            "husky install",
            "is-ci || husky install",
            "npx only-allow pnpm",
            "patch-package",
        ] {
            assert!(is_harmless(script), "{script}");
        }
        for script in [
            "prisma generate",
            "husky && node build.js",
            "npm run build",
            "./setup",
        ] {
            assert!(!is_harmless(script), "{script}");
        }
    }
}
