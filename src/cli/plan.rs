//! `plan`: what would be done, asked of the agent, or computed for a work tree as if on a fresh host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hop3_plugin_api::AppName;

use super::output::{CliError, Exit, json, out, say};
use super::{Global, doctor, inspect, settings};
use crate::control::Request;
use crate::desired::{DirectoryRepo, Loader, LoaderCache, Recorded};
use crate::plan::{HoldKind, Holds, Parts, Plan, PlanInput, Settled, plan as make_plan, render};
use crate::registry::Registry;
use crate::release::Target;

/// Options of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct PlanArgs {
    /// A config repo's work tree to plan for, as if this host were fresh; without it the agent is asked.
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// The host to plan for, with `--repo`; the only one of the repo by default.
    #[arg(long, requires = "repo", default_value = "")]
    host: String,
    /// Only this app.
    #[arg(long)]
    app: Option<AppName>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Write the JSON to a file instead.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Shows the plan; exit 2 when it holds changes, 3 when policy holds something, 1 when a spec is at fault.
pub(super) fn plan(
    args: &PlanArgs,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    let whole = match &args.repo {
        Some(directory) => as_if_fresh(directory, &args.host, registry)?,
        None => asked(global, registry)?,
    };
    let plan = only(whole, args.app.as_ref());
    if let Some(file) = &args.out {
        let text = serde_json::to_string_pretty(&plan).expect("a plan serialises");
        write(file, &text)?;
    } else if args.json {
        json(&plan);
    } else {
        out(&render(&plan));
        if args.repo.is_none() {
            doctor::remark(&plan, global, registry)?;
        }
    }
    Ok(exit_code(&plan))
}

/// The agent's plan of everything on this host.
pub(super) fn asked(global: &Global, registry: &Registry) -> Result<Plan, CliError> {
    let value = inspect::ask(&Request::Plan, global, registry)?;
    serde_json::from_value(value)
        .map_err(|error| CliError::new(format!("the agent's plan cannot be read: {error}")))
}

/// What a fresh host would do for a work tree.
pub(super) fn as_if_fresh(
    directory: &Path,
    host: &str,
    registry: &Registry,
) -> Result<Plan, CliError> {
    if !directory.join("apps").is_dir() {
        return Err(
            CliError::new(format!("`{}` has no `apps` directory", directory.display()))
                .hint("name a config repo's work tree"),
        );
    }
    let host = &host_of(directory, host)?;
    say("as if on a fresh host: nothing here is compared with what runs");
    let schemas = settings::schemas(registry);
    let loader = Loader {
        registry,
        schemas: &schemas,
        host,
        disabled: &[],
    };
    let desired = loader.load(
        &DirectoryRepo::new(directory),
        &Recorded::default(),
        &mut LoaderCache::default(),
    );
    if let Some(why) = desired
        .everything_held
        .as_ref()
        .or(desired.vanished.as_ref())
    {
        return Err(CliError::new(why.clone()).hint(hosts_hint(&hosts(directory))));
    }
    Ok(make_plan(&PlanInput {
        host,
        data_dir: Path::new("/"),
        desired: &desired,
        observed: &BTreeMap::new(),
        busy: &BTreeSet::new(),
        holds: &Holds::default(),
        settled: &Settled::default(),
        overlaps: &|_: &Target| true,
    }))
}

/// The host that was named, else the only one that the repo has a file for; a repo without hosts is the same for all of them.
fn host_of(directory: &Path, named: &str) -> Result<String, CliError> {
    let hosts = hosts(directory);
    match hosts.as_slice() {
        _ if !named.is_empty() => Ok(named.to_owned()),
        [] => Ok(String::new()),
        [only] => Ok(only.clone()),
        _ => Err(CliError::new("the config repo has several hosts").hint(hosts_hint(&hosts))),
    }
}

fn hosts_hint(hosts: &[String]) -> String {
    format!("name one with `--host`: {}", hosts.join(", "))
}

/// The hosts that have a file, by name.
fn hosts(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory.join("hosts"));
    let names = files.into_iter().flatten().flatten().filter_map(|file| {
        let name = file.file_name().into_string().ok()?;
        name.strip_suffix(".toml").map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn only(plan: Plan, app: Option<&AppName>) -> Plan {
    let Some(app) = app else { return plan };
    let parts = Parts {
        changes: plan
            .changes
            .into_iter()
            .filter(|change| change.app == *app)
            .collect(),
        held: plan
            .held
            .into_iter()
            .filter(|held| held.app == *app)
            .collect(),
        unchanged: plan
            .unchanged
            .into_iter()
            .filter(|name| name == app)
            .collect(),
        errors: plan.errors,
        notes: plan.notes,
    };
    Plan::assemble(&plan.host, plan.revision, parts)
}

fn exit_code(plan: &Plan) -> Exit {
    let held = |kinds: &[HoldKind]| plan.held.iter().any(|held| kinds.contains(&held.hold));
    let faulty = plan.held.iter().any(|held| held.hold.is_fault());
    if faulty || !plan.errors.is_empty() {
        Exit::Error
    } else if !plan.is_empty() {
        Exit::Changes
    } else if held(&[
        HoldKind::Policy,
        HoldKind::Paused,
        HoldKind::Flapping,
        HoldKind::Host,
        HoldKind::Quarantined,
        HoldKind::Unknown,
        HoldKind::Waiting,
    ]) {
        Exit::Held
    } else {
        Exit::Success
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the person named this file to be written, away from everything the agent owns"
)]
fn write(file: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(file, text)
        .map_err(|error| CliError::new(format!("could not write `{}`: {error}", file.display())))
}
