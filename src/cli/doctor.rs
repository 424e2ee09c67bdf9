//! `doctor`: what this host has of what apps need, and what it lacks, with the package that brings it. It looks, and changes nothing.
//!
//! What is missing is a fault where an app of this host needs it by the agent's plan; else it is only told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use hop3_plugin_api::{BuildPlan, Finding, FindingState, Host, HostContext, HostDirs};
use serde_json::Value;

use super::output::{CliError, Exit, harmless, out, say};
use super::{Global, plan, settings};
use crate::compose::{Settings, operating_system};
use crate::execute::chain;
use crate::host::{HostConfig, SystemHost};
use crate::machine::TracingLog;
use crate::plan::{Action, Plan};
use crate::registry::Registry;

/// Apps by the program that they need.
type Needs = BTreeMap<String, BTreeSet<String>>;

/// A host without the agent's effects: what plugins are shown to look around.
struct Place {
    host: Arc<dyn Host>,
    dirs: HostDirs,
    settings: BTreeMap<String, Value>,
}

impl Place {
    /// As the settings have it; without settings, as the agent would by itself.
    fn of(settings: Option<&Settings>) -> Self {
        let Some(settings) = settings else {
            return Self::usual();
        };
        let mut dirs = settings.dirs();
        // Before the agent's first run there is none, and programs are started in it.
        if !dirs.data.is_dir() {
            dirs.data = "/".into();
        }
        Self {
            host: settings.system_host(),
            dirs,
            settings: settings.plugin_settings(),
        }
    }

    fn usual() -> Self {
        let root = PathBuf::from("/");
        Self {
            host: Arc::new(SystemHost::new(HostConfig::default())),
            dirs: HostDirs {
                run: root.clone(),
                sites: root.clone(),
                addons: root.clone(),
                log: root.clone(),
                data: root,
            },
            settings: BTreeMap::new(),
        }
    }

    fn context<'a>(&'a self, registry: &'a Registry) -> HostContext<'a> {
        HostContext {
            install: "",
            host: self.host.as_ref(),
            services: &registry.services,
            log: &TracingLog,
            dirs: &self.dirs,
            settings: &self.settings,
        }
    }
}

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// A config repo's work tree whose apps this host is to run; without it the agent is asked what it has to build.
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// The host of the repo that this one is, with `--repo`; the only one by default.
    #[arg(long, requires = "repo", default_value = "")]
    host: String,
}

/// Exit 1 when the settings are at fault, git is missing, or an app lacks what its plan needs.
pub(super) fn doctor(
    args: &DoctorArgs,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    let (settings, about) = match settings::load(global, registry) {
        Ok(settings) => {
            let says = format!("`{}` is valid", global.config.display());
            (Some(settings), Finding::fine("settings", says))
        }
        Err(error) => (None, error.finding("settings")),
    };
    let place = Place::of(settings.as_ref());
    let (agent, asked) = match settings.as_ref().map(|_| plan::asked(global, registry)) {
        Some(Ok(plan)) => (Finding::fine("agent", "answers"), Some(plan)),
        Some(Err(error)) => (error.finding("agent"), None),
        None => (
            Finding::faulty("agent", "is not asked without settings"),
            None,
        ),
    };
    let plan = match &args.repo {
        Some(directory) => Some(plan::as_if_fresh(directory, &args.host, registry)?),
        None => asked,
    };
    let needs = plan.as_ref().map(tools_of).unwrap_or_default();
    let runtime = runtime()?;
    let git = BTreeSet::from(["git".to_owned()]);
    let git = runtime.block_on(tools(&place, registry, &git));
    out("this host\n");
    for finding in [&about, &agent].into_iter().chain(&git) {
        out(&line(finding, &Needs::new()));
    }
    let mut bad = is_bad(&about) || git.iter().any(is_bad);
    bad |= runtime.block_on(languages(&place, registry, &needs));
    bad |= runtime.block_on(engines(&place, registry, &needs));
    let needs = plan.as_ref().map(packages_of).unwrap_or_default();
    bad |= runtime.block_on(packages(&place, registry, &needs))?;
    Ok(if bad { Exit::Error } else { Exit::Success })
}

fn is_bad(finding: &Finding) -> bool {
    finding.state != FindingState::Fine
}

/// Prints the tools of every language; tells whether an app lacks one.
async fn languages(place: &Place, registry: &Registry, needs: &Needs) -> bool {
    let found = tools(place, registry, &every_tool(registry, needs)).await;
    let told: BTreeMap<String, Finding> = found
        .into_iter()
        .map(|finding| (finding.name.clone(), finding))
        .collect();
    for toolchain in registry.toolchains.iter() {
        let about = toolchain.describe();
        let found = about.tools.iter().filter_map(|tool| told.get(*tool));
        let lines: Vec<String> = found.map(|finding| line(finding, needs)).collect();
        if !lines.is_empty() {
            out(&format!("{}\n{}", toolchain.name(), lines.concat()));
        }
    }
    let known: BTreeSet<&str> = described(registry).collect();
    for finding in told.values().filter(|it| !known.contains(it.name.as_str())) {
        out(&line(finding, needs));
    }
    told.values()
        .any(|it| is_bad(it) && needs.contains_key(&it.name))
}

/// Prints what builders with an engine of their own found; tells whether an app needs one that does not work.
async fn engines(place: &Place, registry: &Registry, needs: &Needs) -> bool {
    let mut bad = false;
    for builder in registry
        .builders
        .iter()
        .filter(|builder| !builder.uses_toolchain())
    {
        let found = builder
            .examine(place.context(registry), &BTreeSet::new())
            .await;
        let needed = needs.contains_key(builder.name());
        bad |= needed && found.first().is_some_and(is_bad);
        out(&format!("{}\n", builder.name()));
        for finding in &found {
            out(&line(finding, needs));
        }
    }
    bad
}

/// Prints which of the packages that apps name are there; tells whether one is missing.
async fn packages(place: &Place, registry: &Registry, needs: &Needs) -> Result<bool, CliError> {
    let system = operating_system(place.host.as_ref(), registry).await?;
    let Some(system) = system.filter(|_| !needs.is_empty()) else {
        return Ok(false);
    };
    let names: Vec<String> = needs.keys().cloned().collect();
    let cx = place.context(registry);
    let missing = system.missing_packages(&cx, &names).await;
    let missing = missing.map_err(|error| CliError::new(chain(&error)))?;
    out("packages\n");
    for name in &names {
        let finding = if missing.contains(name) {
            Finding::missing(name, format!("`{} {name}`", system.install_command()))
        } else {
            Finding::fine(name, "is installed")
        };
        out(&line(&finding, needs));
    }
    Ok(!missing.is_empty())
}

/// What builders that run tools find of these.
async fn tools(place: &Place, registry: &Registry, names: &BTreeSet<String>) -> Vec<Finding> {
    let mut found = Vec::new();
    for builder in registry
        .builders
        .iter()
        .filter(|builder| builder.uses_toolchain())
    {
        found.extend(builder.examine(place.context(registry), names).await);
    }
    found
}

fn described(registry: &Registry) -> impl Iterator<Item = &'static str> {
    registry
        .toolchains
        .iter()
        .flat_map(|toolchain| toolchain.describe().tools.iter().copied())
}

/// What toolchains may need, and what plans of this host do need, `python3.12` for instance.
fn every_tool(registry: &Registry, needs: &Needs) -> BTreeSet<String> {
    let builders: Vec<&str> = registry.builders.names().collect();
    let needed = needs
        .keys()
        .filter(|name| !builders.contains(&name.as_str()));
    described(registry)
        .map(str::to_owned)
        .chain(needed.cloned())
        .collect()
}

fn line(finding: &Finding, needs: &Needs) -> String {
    let state = match finding.state {
        FindingState::Fine => "ok",
        FindingState::Missing => "missing",
        FindingState::Faulty => "faulty",
    };
    let needed = needs.get(&finding.name).filter(|_| is_bad(finding));
    let needed = needed.map_or_else(String::new, |apps| {
        let apps: Vec<&str> = apps.iter().map(String::as_str).collect();
        format!("; `{}` needs it", apps.join("`, `"))
    });
    let says = harmless(&finding.says);
    let hint = finding.hint.as_ref().filter(|_| is_bad(finding));
    let hint = hint.map_or_else(String::new, |hint| {
        format!("           hint: {}\n", harmless(hint))
    });
    format!("  {state:<8} {:<14} {says}{needed}\n{hint}", finding.name)
}

/// Which programs the builds of a plan need, and for which app.
fn tools_of(plan: &Plan) -> Needs {
    needs(plan, |build| {
        let programs = build.tools.iter().map(|tool| tool.program.clone());
        programs.collect()
    })
}

/// Which packages the host needs for a plan, and for which app.
fn packages_of(plan: &Plan) -> Needs {
    needs(plan, |build| build.packages.clone())
}

fn needs(plan: &Plan, of: impl Fn(&BuildPlan) -> Vec<String>) -> Needs {
    let mut needs = Needs::new();
    for change in &plan.changes {
        let plans = change.steps.iter().filter_map(|step| match &step.action {
            Action::Build { plan, .. } => Some(plan),
            _ => None,
        });
        for name in plans.flat_map(|plan| of(plan)) {
            let apps = needs.entry(name).or_default();
            apps.insert(change.app.to_string());
        }
    }
    needs
}

/// Says beside a plan of this host which tools of its builds are not there, before a build fails of it.
pub(super) fn remark(plan: &Plan, global: &Global, registry: &Registry) -> Result<(), CliError> {
    let needs = tools_of(plan);
    if needs.is_empty() {
        return Ok(());
    }
    let settings = settings::load(global, registry)?;
    let place = Place::of(Some(&settings));
    let names: BTreeSet<String> = needs.keys().cloned().collect();
    let absent = names
        .into_iter()
        .filter(|name| place.host.find_program(name).is_none());
    let absent: BTreeSet<String> = absent.collect();
    for finding in runtime()?.block_on(tools(&place, registry, &absent)) {
        say(line(&finding, &needs).trim_end());
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(format!("could not start: {error}")))
}
