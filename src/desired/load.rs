//! Reads a config repo at one revision into [`Desired`]. An app whose tree did not change since the last load is neither read nor parsed
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use hop3_plugin_api::{
    Abort, AppName, ArtifactKind, Digest, PlanContext, PluginError, SourceKind, SourceTree, Verdict,
};

use super::choose::Chooser;
use super::{ConfigTree, Desired, DesiredApp, Placement, Recorded};
use crate::config::HostConfig;
use crate::contain::contained;
use crate::plan::{Held, HoldKind};
use crate::registry::{Registry, disabled};
use crate::release::{Choice, Route, Target};
use crate::schema::Schemas;
use crate::spec::{
    AppFiles, AppSpec, Diagnostic, LoadedApp, Position, Sources, Surroundings, app_name_of,
    load_app, repo_checks,
};

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

/// Parsed specs by the digest of their app's tree.
#[derive(Debug, Default)]
pub struct LoaderCache {
    parsed: BTreeMap<String, (Digest, Arc<Parsed>)>,
}

/// One app directory.
struct AppDir {
    path: String,
    tree: Arc<dyn SourceTree>,
    loaded: Arc<Parsed>,
}

/// What an app's files came to; the name is known even when they are not valid.
#[derive(Debug)]
struct Parsed {
    name: Option<AppName>,
    app: LoadedApp,
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
        let Some(hosts) = repo.tree("hosts")? else {
            return Ok(HostConfig::default());
        };
        let name = format!("{}.toml", self.host);
        let path = format!("hosts/{name}");
        let content = hosts.read(&name).map_err(|e| e.to_string())?;
        let Some(content) = content else {
            return Err(format!(
                "the config repo has a `hosts` directory but no `{path}`: this host runs nothing of it"
            ));
        };
        let content = String::from_utf8(content).map_err(|_| format!("`{path}` is not UTF-8"))?;
        HostConfig::parse(&content, &path, self.schemas).map_err(|errors| {
            let first = errors.first().map_or_else(String::new, |e| {
                format!("{}: {}", place(&e.position), e.message)
            });
            diagnostics.extend(errors);
            format!("`{path}` is not valid: {first}")
        })
    }

    fn load_apps(
        &self,
        repo: &dyn ConfigTree,
        host: &HostConfig,
        recorded: &Recorded,
        (desired, cache): (&mut Desired, &mut LoaderCache),
    ) {
        let dirs = match self.app_dirs(repo, host, cache) {
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
        let conflicts = conflicts(&dirs, recorded, desired);
        let registry = self
            .registry
            .without(&[self.disabled, &disabled(&host.plugin)].concat());
        for dir in dirs.iter().filter(|dir| !conflicts.contains(&dir.path)) {
            let Some(spec) = &dir.loaded.app.spec else {
                continue;
            };
            let commit = repo.touched(&dir.path);
            let choice = recorded.choices.get(&spec.name);
            let chosen = contained(|| app(&registry, host, (dir, spec), choice));
            match chosen.unwrap_or_else(|words| Err(Abort::new(cut_off_by(&words)).into())) {
                Ok(target) => {
                    let app = DesiredApp {
                        target,
                        placement: Placement::new(spec, commit),
                        directory: dir.path.clone(),
                    };
                    desired.apps.insert(spec.name.clone(), Arc::new(app));
                }
                Err(error) => desired.held.push(refused(spec, &error)),
            }
        }
    }

    /// The app directories of this host, with their specs; parsed ones come from the cache when their tree is the same.
    fn app_dirs(
        &self,
        repo: &dyn ConfigTree,
        host: &HostConfig,
        cache: &mut LoaderCache,
    ) -> Result<Option<Vec<AppDir>>, String> {
        let Some(apps) = repo.tree("apps")? else {
            return Ok(None);
        };
        let mut dirs = Vec::new();
        let mut parsed = BTreeMap::new();
        for entry in apps.list("").map_err(|e| e.to_string())? {
            if entry.kind != SourceKind::Directory || !host.runs(&entry.name) {
                continue;
            }
            let path = format!("apps/{}", entry.name);
            let Some(tree) = repo.tree(&path)? else {
                continue;
            };
            let parsed_now = contained(|| self.parse(&path, &tree, cache));
            let loaded = parsed_now.unwrap_or_else(|words| Ok(Some(cut_off(&path, &words))))?;
            let Some(loaded) = loaded else {
                continue;
            };
            parsed.insert(path.clone(), (tree.digest(), Arc::clone(&loaded)));
            dirs.push(AppDir { path, tree, loaded });
        }
        cache.parsed = parsed;
        Ok(Some(dirs))
    }

    fn parse(
        &self,
        path: &str,
        tree: &Arc<dyn SourceTree>,
        cache: &LoaderCache,
    ) -> Result<Option<Arc<Parsed>>, String> {
        if let Some((_, loaded)) = cache
            .parsed
            .get(path)
            .filter(|(digest, _)| *digest == tree.digest())
        {
            return Ok(Some(Arc::clone(loaded)));
        }
        let (specs, procfiles) = (
            ["hop3/hop3.toml", "hop3.toml"],
            ["hop3/Procfile", "Procfile"],
        );
        if let Some(refused) = link_among(path, tree.as_ref(), &[specs, procfiles].concat())? {
            return Ok(Some(Arc::new(refused)));
        }
        let spec = first_of(tree.as_ref(), &specs)?;
        let procfile = first_of(tree.as_ref(), &procfiles)?;
        if spec.is_none() && procfile.is_none() {
            return Ok(None);
        }
        let named = |found: &Option<(&str, Vec<u8>)>| {
            found.as_ref().map(|(file, _)| format!("{path}/{file}"))
        };
        let (spec_path, procfile_path) = (named(&spec), named(&procfile));
        let files = AppFiles {
            directory: path,
            spec: spec_path
                .as_deref()
                .zip(spec.as_ref().map(|(_, bytes)| bytes.as_slice())),
            procfile: procfile_path
                .as_deref()
                .zip(procfile.as_ref().map(|(_, bytes)| bytes.as_slice())),
        };
        Ok(Some(Arc::new(Parsed {
            name: app_name_of(&files),
            app: load_app(self.schemas, &files),
        })))
    }
}

/// Apps that stand in each other's way, by directory. The holder of a host name keeps it.
fn conflicts(dirs: &[AppDir], recorded: &Recorded, desired: &mut Desired) -> BTreeSet<String> {
    let specs: Vec<AppSpec> = dirs
        .iter()
        .filter_map(|dir| dir.loaded.app.spec.clone())
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
    (dir, spec): (&AppDir, &AppSpec),
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
        source: dir.tree.as_ref(),
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
        &dir.tree.digest_without(&SPEC_FILES),
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

/// The first of these files that is there.
fn first_of<'p>(
    tree: &dyn SourceTree,
    paths: &[&'p str],
) -> Result<Option<(&'p str, Vec<u8>)>, String> {
    for path in paths {
        if let Some(bytes) = tree.read(path).map_err(|e| e.to_string())? {
            return Ok(Some((path, bytes)));
        }
    }
    Ok(None)
}

/// A symbolic link in the place of one of these files is a mistake, not a file: its target is never read.
fn link_among(path: &str, tree: &dyn SourceTree, names: &[&str]) -> Result<Option<Parsed>, String> {
    for name in names {
        if tree.link_target(name).map_err(|e| e.to_string())?.is_none() {
            continue;
        }
        let at = Position {
            file: format!("{path}/{name}"),
            line: 1,
            column: 1,
        };
        let error =
            Diagnostic::error_at(at, "this file is a symbolic link").hint("commit a regular file");
        let directory = path.rsplit('/').next().unwrap_or(path);
        return Ok(Some(Parsed {
            name: AppName::parse(directory).ok(),
            app: LoadedApp {
                spec: None,
                diagnostics: vec![error],
                sources: Sources::default(),
            },
        }));
    }
    Ok(None)
}

/// What is known of an app that the agent cannot even read: its directory.
fn cut_off(path: &str, words: &str) -> Arc<Parsed> {
    let at = Position {
        file: path.to_owned(),
        line: 1,
        column: 1,
    };
    let directory = path.rsplit('/').next().unwrap_or(path);
    Arc::new(Parsed {
        name: AppName::parse(directory).ok(),
        app: LoadedApp {
            spec: None,
            diagnostics: vec![Diagnostic::error_at(at, cut_off_by(words))],
            sources: Sources::default(),
        },
    })
}

fn cut_off_by(words: &str) -> String {
    format!("a mistake in the agent or in a plugin cut off its reading: {words}")
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
