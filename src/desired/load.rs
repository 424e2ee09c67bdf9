//! Reads a config repo at one revision into [`Desired`]. An app whose tree did not change since the last load is neither read nor parsed
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hop3_plugin_api::{
    Abort, AppName, ArtifactKind, Digest, PlanContext, PluginError, SourceTree, Verdict,
};

use super::cache::LoaderCache;
use super::choose::Chooser;
use super::held::{conflicts, place, refused, tell};
use super::parallel::in_parallel;
use super::walk::{AppDir, Candidate, Walk, cut_off_by};
use super::{ConfigTree, Desired, DesiredApp, Past, Placement};
use crate::config::HostConfig;
use crate::contain::contained;
use crate::registry::{Registry, disabled};
use crate::release::{Choice, Route, Target};
use crate::schema::Schemas;
use crate::spec::{AppSpec, Diagnostic};

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

/// An app whose spec is valid and in nobody's way.
struct Valid<'a> {
    dir: &'a AppDir,
    spec: &'a AppSpec,
    /// The choice of its current release.
    choice: Option<&'a Choice>,
}

impl Loader<'_> {
    /// Everything that the repo says about this host's apps.
    pub fn load(&self, repo: &dyn ConfigTree, past: &dyn Past, cache: &mut LoaderCache) -> Desired {
        let mut desired = Desired {
            revision: repo.revision(),
            ..Desired::default()
        };
        match self.host_config(repo, &mut desired.diagnostics) {
            Ok(host) => self.load_apps(repo, &host, past, (&mut desired, cache)),
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
        past: &dyn Past,
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
            tell(dir, desired);
        }
        let conflicts = if cache.at_peace(&elsewhere) {
            BTreeSet::new()
        } else {
            conflicts(&dirs, elsewhere, past, desired)
        };
        let all_valid = dirs.iter().all(|dir| dir.loaded.app.spec.is_some());
        cache.compared(all_valid && conflicts.is_empty());
        cache.under(host, self.disabled);
        let free = dirs.iter().filter(|dir| !conflicts.contains(&dir.path));
        let valid = free.filter_map(|dir| {
            let spec = dir.loaded.app.spec.as_ref()?;
            let choice = past.choice(&spec.name);
            Some(Valid { dir, spec, choice })
        });
        self.plan_apps(repo, host, valid, (desired, cache));
    }

    /// Makes the targets of valid apps; those of apps that are as they were come from the cache.
    fn plan_apps<'a>(
        &self,
        repo: &dyn ConfigTree,
        host: &HostConfig,
        apps: impl Iterator<Item = Valid<'a>>,
        (desired, cache): (&mut Desired, &mut LoaderCache),
    ) {
        let mut fresh = Vec::new();
        for it in apps {
            match cache.planned(it.dir, it.choice) {
                Some(app) => drop(desired.apps.insert(it.spec.name.clone(), Arc::clone(app))),
                None => fresh.push(it),
            }
        }
        let names: Vec<&str> = fresh.iter().map(|it| it.dir.name()).collect();
        let commits = repo.touched(&names);
        let registry = self
            .registry
            .without(&[self.disabled, &disabled(&host.plugin)].concat());
        let targets = in_parallel(&fresh, |it| {
            let source = it.dir.tree.as_ref()?.as_ref();
            let target = contained(|| app(&registry, host, (source, it.spec), it.choice));
            Some(target.unwrap_or_else(|words| Err(Abort::new(cut_off_by(&words)).into())))
        });
        for ((it, commit), target) in fresh.into_iter().zip(commits).zip(targets) {
            match target {
                Some(Ok(target)) => {
                    let app = Arc::new(DesiredApp {
                        target: target.into(),
                        placement: Placement::new(it.spec, commit),
                        directory: it.dir.path.clone(),
                    });
                    cache.plan(it.dir, it.choice, &app);
                    desired.apps.insert(it.spec.name.clone(), app);
                }
                Some(Err(error)) => desired.held.push(refused(it.spec, &error)),
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
