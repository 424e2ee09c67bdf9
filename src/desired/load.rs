//! Reads a config repo at one revision into [`Desired`]. An app whose tree did not change since the last load is neither read nor parsed
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use hop3_plugin_api::{
    Abort, AppName, ArtifactKind, Digest, PlanContext, PluginError, SourceTree, Verdict,
};

use super::cache::LoaderCache;
use super::choose::Chooser;
use super::parallel::in_parallel;
use super::walk::{AppDir, Candidate, Walk, cut_off_by};
use super::{ConfigTree, Desired, DesiredApp, Placement, Recorded};
use crate::config::HostConfig;
use crate::contain::contained;
use crate::plan::{Held, HoldKind};
use crate::registry::{Registry, disabled};
use crate::release::{Choice, Route, Target};
use crate::schema::Schemas;
use crate::spec::{AppSpec, Diagnostic, Position, Surroundings, repo_checks};

/// Files that are no part of an app's source: what they say is in the target, key by key, so that a changed domain builds nothing. A
/// Procfile is a part of it, since other programs read it too.
const SPEC_FILES: [&str; 2] = ["hop3/hop3.toml", "hop3.toml"];

/// What stays the same from load to load.
pub struct Loader<'a> {
    /// Linked plugins.
    pub registry: &'a Registry,
    /// Composed schemas.
    pub schemas: &'a Schemas,
    /// This host's name.
    pub host: &'a str,
    /// Plugins that agent.toml switches off.
    pub disabled: &'a [String],
}

/// The apps of a host, and the names of those that the repo has for others.
struct AppDirs {
    here: Vec<AppDir>,
    elsewhere: BTreeSet<AppName>,
}

impl Loader<'_> {
    /// Everything that the repo says about this host's apps.
    pub fn load(
        &self,
        repo: &dyn ConfigTree,
        recorded: &Recorded,
        cache: &mut LoaderCache,
    ) -> Desired {
        let mut desired = Desired {
            revision: repo.revision(),
            ..Desired::default()
        };
        match self.host_config(repo, &mut desired.diagnostics) {
            Ok(host) => self.load_apps(repo, &host, recorded, (&mut desired, cache)),
            Err(why) => desired.everything_held = Some(why),
        }
        desired
    }

    /// The host's file. Without a `hosts` directory a host runs all apps.
    fn host_config(
        &self,
        repo: &dyn ConfigTree,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<HostConfig, String> {
        let walk = self.walk(repo);
        if walk.hosts()?.is_none() {
            return Ok(HostConfig::default());
        }
        let path = format!("hosts/{}.toml", self.host);
        let Some(read) = walk.host(self.host)? else {
            return Err(format!(
                "the config repo has a `hosts` directory but no `{path}`: this host runs nothing of it"
            ));
        };
        read.map_err(|errors| {
            let first = errors.first().map_or_else(String::new, |e| {
                format!("{}: {}", place(&e.position), e.message)
            });
            diagnostics.extend(errors);
            format!("`{path}` is not valid: {first}")
        })
    }

    fn walk<'a>(&'a self, repo: &'a dyn ConfigTree) -> Walk<'a> {
        Walk {
            repo,
            schemas: self.schemas,
            texts: false,
        }
    }

    fn load_apps(
        &self,
        repo: &dyn ConfigTree,
        host: &HostConfig,
        recorded: &Recorded,
        (desired, cache): (&mut Desired, &mut LoaderCache),
    ) {
        let AppDirs {
            here: dirs,
            elsewhere,
        } = match self.app_dirs(repo, host, cache) {
            Ok(Some(dirs)) => dirs,
            Ok(None) => {
                desired.vanished = Some("the config repo has no `apps` directory".to_owned());
                return;
            }
            Err(why) => {
                desired.everything_held = Some(why);
                return;
            }
        };
        for dir in &dirs {
            desired
                .diagnostics
                .extend(dir.loaded.app.diagnostics.iter().cloned());
            if dir.loaded.app.spec.is_none() {
                match invalid(dir) {
                    Ok(held) => desired.held.push(held),
                    Err(message) => desired.nameless.push(message),
                }
            }
        }
        let conflicts = conflicts(&dirs, elsewhere, recorded, desired);
        let registry = self
            .registry
            .without(&[self.disabled, &disabled(&host.plugin)].concat());
        cache.under(host, self.disabled);
        let mut fresh = Vec::new();
        for dir in dirs.iter().filter(|dir| !conflicts.contains(&dir.path)) {
            let Some(spec) = &dir.loaded.app.spec else {
                continue;
            };
            let choice = recorded.choices.get(&spec.name);
            match cache.planned(dir, choice) {
                Some(app) => drop(desired.apps.insert(spec.name.clone(), Arc::clone(app))),
                None => fresh.push((dir, spec, choice)),
            }
        }
        let names: Vec<&str> = fresh.iter().map(|(dir, ..)| dir.name()).collect();
        let commits = repo.touched(&names);
        let planned = in_parallel(&fresh, |(dir, spec, choice)| {
            let source = dir.tree.as_ref()?.as_ref();
            let planned = contained(|| app(&registry, host, (source, spec), *choice));
            Some(planned.unwrap_or_else(|words| Err(Abort::new(cut_off_by(&words)).into())))
        });
        for (((dir, spec, choice), commit), planned) in fresh.into_iter().zip(commits).zip(planned)
        {
            match planned {
                Some(Ok(target)) => {
                    let app = Arc::new(DesiredApp {
                        target: target.into(),
                        placement: Placement::new(spec, commit),
                        directory: dir.path.clone(),
                    });
                    cache.plan(dir, choice, &app);
                    desired.apps.insert(spec.name.clone(), app);
                }
                Some(Err(error)) => desired.held.push(refused(spec, &error)),
                None => {}
            }
        }
    }

    /// The app directories of this host, with their specs; parsed ones come from the cache when their tree is the same.
    fn app_dirs(
        &self,
        repo: &dyn ConfigTree,
        host: &HostConfig,
        cache: &mut LoaderCache,
    ) -> Result<Option<AppDirs>, String> {
        let walk = self.walk(repo);
        let Some(candidates) = walk.candidates()? else {
            return Ok(None);
        };
        let runs = |candidate: &Candidate| host.runs(&candidate.name);
        let (wanted, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(runs);
        let known = |path: &str, tree: &dyn SourceTree| cache.known(path, tree);
        let read = walk.apps(&wanted, &known)?;
        let here: Vec<AppDir> = read.into_iter().flatten().collect();
        cache.renew(&here);
        let names = others
            .iter()
            .filter_map(|other| AppName::parse(&other.name).ok());
        Ok(Some(AppDirs {
            here,
            elsewhere: names.collect(),
        }))
    }
}

/// Apps that stand in each other's way, by directory. The holder of a host name keeps it.
fn conflicts(
    dirs: &[AppDir],
    elsewhere: BTreeSet<AppName>,
    recorded: &Recorded,
    desired: &mut Desired,
) -> BTreeSet<String> {
    let specs: Vec<&AppSpec> = dirs
        .iter()
        .filter_map(|dir| dir.loaded.app.spec.as_ref())
        .collect();
    let broken = dirs
        .iter()
        .filter(|dir| dir.loaded.app.spec.is_none())
        .filter_map(|dir| dir.loaded.name.clone())
        .collect();
    let found = repo_checks(
        &specs,
        &Surroundings {
            holders: recorded.holders.clone(),
            broken,
            known: Arc::new(elsewhere),
            ..Surroundings::default()
        },
    );
    for (directory, diagnostics) in &found {
        let spec = specs.iter().find(|spec| spec.directory == *directory);
        if let (Some(spec), Some(first)) = (spec, diagnostics.first()) {
            desired
                .held
                .push(hold(spec.name.clone(), HoldKind::Conflict, first));
        }
        desired.diagnostics.extend(diagnostics.iter().cloned());
    }
    found.into_keys().collect()
}

fn hold(app: AppName, kind: HoldKind, error: &Diagnostic) -> Held {
    Held {
        app,
        hold: kind,
        message: format!("{}: {}", place(&error.position), error.message),
        hints: error.hint.iter().cloned().collect(),
        at: Some(error.position.clone()),
    }
}

/// A valid spec's target, or why this host cannot carry it out.
fn app(
    registry: &Registry,
    host: &HostConfig,
    (source, spec): (&dyn SourceTree, &AppSpec),
    recorded: Option<&Choice>,
) -> Result<Target, PluginError> {
    if let Some(unbuilt) = spec.unbuilt.first() {
        let all: Vec<_> = spec
            .unbuilt
            .iter()
            .map(|unbuilt| format!("`{}`", unbuilt.what))
            .collect();
        let refusal = Abort::new(format!(
            "{} cannot be carried out by this version of hop3-agent",
            all.join(", ")
        ));
        return Err(refusal
            .hint(format!(
                "remove it at {}:{} to deploy this app",
                unbuilt.at.file, unbuilt.at.line
            ))
            .into());
    }
    let registry = registry.without(&disabled(&spec.config.plugin));
    for addon in &spec.addons {
        if let Verdict::Reject(reason) = registry.addons.require(addon.kind.as_str())?.accept(addon)
        {
            return Err(Abort::new(format!("addon `{}`: {reason}", addon.name)).into());
        }
    }
    let cx = PlanContext {
        app: &spec.name,
        source,
        config: &spec.config,
    };
    resolve(
        &Chooser {
            registry: &registry,
            host,
            recorded,
            spec,
            cx,
        },
        &source.digest_without(&SPEC_FILES),
    )
}

/// Makes all choices of an app.
fn resolve(chooser: &Chooser<'_>, source: &Digest) -> Result<Target, PluginError> {
    let spec = chooser.spec;
    let (choice, build) = chooser.choose()?;
    let workers = chooser.workers(&build)?;
    if let Some(unknown) = spec
        .scale
        .keys()
        .find(|worker| !workers.contains_key(*worker))
    {
        let names: Vec<_> = workers.keys().map(ToString::to_string).collect();
        let refusal = Abort::new(format!(
            "`[scale]` names the worker `{unknown}`, which this app does not have"
        ));
        return Err(refusal
            .hint(format!("its workers: {}", names.join(", ")))
            .into());
    }
    let counts = workers
        .keys()
        .map(|w| (w.clone(), spec.scale.get(w).copied().unwrap_or(1)))
        .collect();
    let routed = workers.values().any(|worker| worker.routed) && !spec.hosts.is_empty();
    let route = routed.then(|| Route {
        hosts: spec.hosts.clone(),
        static_paths: if build.kind == ArtifactKind::DockerImage {
            BTreeMap::new()
        } else {
            spec.config.static_paths.clone()
        },
        settings: spec.proxy.clone(),
    });
    Ok(Target {
        app: spec.name.clone(),
        source: source.clone(),
        choice,
        build,
        config: spec.config.clone(),
        workers,
        counts,
        env: spec.env.clone(),
        release_commands: spec.release_commands.clone(),
        health: spec.health.clone(),
        limits: spec.limits.clone(),
        addons: spec.addons.clone(),
        route,
        deploy: spec.deploy.clone(),
    })
}

/// The hold of an app whose files are not valid; only the message when not even its name is.
fn invalid(dir: &AppDir) -> Result<Held, String> {
    let mut errors = dir.loaded.app.diagnostics.iter().filter(|d| d.is_error());
    let Some(first) = errors.next() else {
        return Err(format!("{}: it cannot be read", dir.path));
    };
    let mut message = format!("{}: {}", place(&first.position), first.message);
    let more = errors.count();
    if more > 0 {
        write!(message, " (and {more} more)").expect("writing to a string cannot fail");
    }
    let Some(app) = dir.loaded.name.clone() else {
        return Err(message);
    };
    Ok(Held {
        message,
        ..hold(app, HoldKind::Spec, first)
    })
}

fn refused(spec: &AppSpec, error: &PluginError) -> Held {
    let at = spec
        .unbuilt
        .first()
        .map_or_else(|| spec.position("/build"), |unbuilt| unbuilt.at.clone());
    Held {
        app: spec.name.clone(),
        hold: HoldKind::Spec,
        message: format!("{}: {error}", place(&at)),
        hints: error.hints(),
        at: Some(at),
    }
}

fn place(at: &Position) -> String {
    format!("{}:{}:{}", at.file, at.line, at.column)
}
