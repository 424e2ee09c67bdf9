//! Node: which package manager installs, what is built, how it starts; and the same for the assets of an app in another language.
//!
//! Guarantees: installs from the lock file with the manager that wrote it, development dependencies included, because builds need
//! them; they are taken away at the end. `node_modules` is a layer that releases clone, unless a script of the package, or a package
//! beside it, may read more of the source than the manifests: then it is installed in the release, and a note says why.

mod manager;
mod modules;
mod package;
mod site;
mod start;
mod workspace;

use hop3_plugin_api::{
    ArtifactKind, BuildPlan, BuildStep, Evidence, LayerPlan, PlanContext, Rank, Result,
    RuntimeSpec, ToolRequirement, ToolchainDescription,
};

use crate::language::{Language, first_of, needed_by};
use crate::lift::lift;
use crate::place::{Place, Subtree, join, upwards};
use crate::steps::{env, step, tool, web};
use crate::version::{self, Pin, PinFile, Places, is_open};
use modules::Modules;
use package::Package;

const NAME: &str = "node";
const MANIFEST: &str = "package.json";

const PLACES: Places = Places {
    language: NAME,
    names: &["node", "nodejs"],
    own_files: &[(".nvmrc", PinFile::Word), (".node-version", PinFile::Word)],
};

/// Names of the lines of long-term support, and their versions.
const LONG_TERM: [(&str, &str); 9] = [
    ("carbon", "8"),
    ("dubnium", "10"),
    ("erbium", "12"),
    ("fermium", "14"),
    ("gallium", "16"),
    ("hydrogen", "18"),
    ("iron", "20"),
    ("jod", "22"),
    ("krypton", "24"),
];

/// Node.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Node;

impl Language for Node {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            tools: &["node", "npm", "pnpm", "yarn", "bun"],
            detects: &[MANIFEST],
            locks: manager::LOCKS,
            pins: &[
                "`node-version` in `[build]`",
                ".nvmrc",
                ".node-version",
                ".tool-versions",
                "mise.toml",
                "`volta.node` or `engines.node` in package.json",
                "`packageManager` in package.json, for the package manager: the same major version, at least that one",
            ],
            builds: &["the `build` script, unless `[build] build` says otherwise"],
            starts: &[
                "the `start` script",
                "a server of Next, Nuxt, NestJS, SvelteKit, Astro or Remix",
                "a site that Vite or another generator builds: its output is published",
                "`main`, server.js, app.js or index.js",
            ],
            writes: &[".next/cache"],
            remarks: &[
                "dependencies are installed in a layer and cloned into each release; where a script of the package or a package beside it may read the source, in each release",
                "development dependencies are there for the build and its tests, and are taken away at the end",
            ],
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        Ok(first_of(cx, Rank::Companion, &[MANIFEST]))
    }

    fn lacks(&self) -> &'static str {
        "there is no package.json"
    }

    /// A package without a lock belongs to the workspace above that names it.
    fn root(&self, cx: &PlanContext<'_>, directory: &str) -> Result<String> {
        for above in upwards(directory).skip(1) {
            let view = Subtree {
                whole: cx.source,
                directory: above,
            };
            let view = PlanContext {
                source: &view,
                ..*cx
            };
            let member = directory.strip_prefix(above).unwrap_or(directory);
            let members = workspace::members(&view)?;
            if members
                .iter()
                .any(|it| it == member.trim_start_matches('/'))
            {
                return Ok(above.to_owned());
            }
        }
        Ok(directory.to_owned())
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let Some(package) = Package::read(place, &place.own(MANIFEST))? else {
            return Ok(without_manifest(place, version(place, &[])?));
        };
        let mut modules = modules::of(place, &package)?;
        let site = site::publish(place, &package)?;
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
        let built = build_steps(place, &package, &modules);
        if built.is_none() && !start::needs_manager(&package) {
            modules.forget_unused_manager();
        }
        let kept = if site.is_some() {
            modules.removal()
        } else {
            modules.prune(&package)
        };
        modules.add_to(&mut plan);
        plan.steps.extend(built);
        plan.finish = kept;
        plan.runtime = match site {
            Some(directory) => {
                plan.kind = ArtifactKind::Static;
                published(directory)
            }
            None => server(place, &package),
        };
        Ok(plan)
    }

    fn takes_assets(&self) -> bool {
        false
    }
}

/// A lone script.
fn without_manifest(place: &Place<'_>, node: ToolRequirement) -> BuildPlan {
    let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
    plan.tools.push(node);
    plan.runtime.env = env(&[("NODE_ENV", "production")]);
    plan.runtime.workers = start::script(place, None).map(web).unwrap_or_default();
    plan
}

fn published(directory: String) -> RuntimeSpec {
    RuntimeSpec {
        publish: Some(directory),
        ..RuntimeSpec::default()
    }
}

/// The binaries of dependencies are on the path, so that a command of the spec may name them.
fn server(place: &Place<'_>, package: &Package) -> RuntimeSpec {
    let mut path = vec![join("${app}", &place.own("node_modules/.bin"))];
    if !place.member().is_empty() {
        path.push("${app}/node_modules/.bin".to_owned());
    }
    let next = package.depends_on("next");
    RuntimeSpec {
        env: env(&[("NODE_ENV", "production")]),
        path,
        workers: start::guess(place, package).map(web).unwrap_or_default(),
        writable: next.then(|| place.own(".next/cache")).into_iter().collect(),
        ..RuntimeSpec::default()
    }
}

/// The `build` script, unless the spec says itself how the app is built.
fn build_steps(place: &Place<'_>, package: &Package, modules: &Modules) -> Option<BuildStep> {
    let builds = package.script("build").is_some() && !place.builds_itself();
    builds.then(|| {
        let words = modules.words(&["run", "build"]);
        step("build", words.iter().map(String::as_str))
    })
}

/// The interpreter with the version that is asked for.
fn version(place: &Place<'_>, packages: &[&Package]) -> Result<ToolRequirement> {
    let manifest = packages.iter().find_map(|package| {
        let volta = package.pin(place, "/volta/node", "\"node\"");
        volta.or_else(|| package.pin(place, "/engines/node", "\"node\""))
    });
    let pin = version::pinned(place, &PLACES, manifest)?;
    Ok(tool(NAME, pin.and_then(plain_version)))
}

/// `lts/iron` is 20; `lts/*`, `node` and the like ask for nothing in particular.
fn plain_version(pin: Pin) -> Option<Pin> {
    let text = pin.version.trim().to_lowercase();
    let text = text.strip_prefix("node-").unwrap_or(&text);
    if let Some(name) = text
        .strip_prefix("lts/")
        .or_else(|| text.strip_prefix("lts-"))
    {
        let line = LONG_TERM.iter().find(|(known, _)| *known == name);
        return line.map(|(_, version)| pin.reworded(*version));
    }
    let open = is_open(text) || matches!(text, "lts" | "node" | "current");
    let version = text.strip_prefix('v').unwrap_or(text).to_owned();
    (!open).then(|| pin.reworded(version))
}

/// Lets Node build the assets of an app in another language, where its package.json has a `build` script or a hook calls Node.
pub(crate) fn add_assets(place: &Place<'_>, plan: &mut BuildPlan) -> Result<()> {
    let view = Subtree {
        whole: place.cx.source,
        directory: place.member(),
    };
    let own = Place {
        cx: PlanContext {
            source: &view,
            ..place.cx
        },
        root: place.directory,
        ..*place
    };
    let Some(package) = Package::read(&own, MANIFEST)? else {
        return Ok(());
    };
    let hooks = hooks_call_node(&place.cx);
    if package.script("build").is_none() && !hooks {
        return Ok(());
    }
    let mut assets = assets(&own, &package, hooks)?;
    needed_by(&mut assets.tools, &own.shown(MANIFEST));
    merge(plan, lift(assets, place.member(), ""));
    Ok(())
}

/// Whether Node runs the `build` script beside another language.
pub(crate) fn builds_assets(place: &Place<'_>) -> Result<bool> {
    let package = Package::read(place, &place.own(MANIFEST))?;
    let script = package.is_some_and(|package| package.script("build").is_some());
    Ok(script && !hooks_call_node(&place.cx))
}

/// What Node does beside another language. Directories that a site publishes are that language's business.
fn assets(place: &Place<'_>, package: &Package, hooks: bool) -> Result<BuildPlan> {
    let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
    let modules = modules::of(place, package)?;
    plan.finish = modules.prune(package);
    let built = (!hooks).then(|| modules.words(&["run", "build"]));
    modules.add_to(&mut plan);
    let built = built.filter(|_| package.script("build").is_some());
    plan.steps
        .extend(built.map(|words| step("build assets", words.iter().map(String::as_str))));
    Ok(plan)
}

/// Puts Node's part before the language's own: what it collects or embeds must be there. Each layer keeps the tools that it is made with.
fn merge(plan: &mut BuildPlan, assets: BuildPlan) {
    let programs = |plan: &BuildPlan| {
        plan.tools
            .iter()
            .map(|tool| tool.program.clone())
            .collect::<Vec<_>>()
    };
    let (own, theirs) = (programs(plan), programs(&assets));
    let unmarked = |layer: &&mut LayerPlan| layer.tools.is_empty();
    plan.layers
        .iter_mut()
        .filter(unmarked)
        .for_each(|layer| layer.tools.clone_from(&own));
    plan.layers
        .extend(assets.layers.into_iter().map(|mut layer| {
            layer.tools.clone_from(&theirs);
            layer
        }));
    let new = assets
        .tools
        .into_iter()
        .filter(|tool| !own.contains(&tool.program));
    plan.tools.extend(new);
    plan.steps.splice(0..0, assets.steps);
    plan.finish.extend(assets.finish);
    for (key, value) in assets.env {
        plan.env.entry(key).or_insert(value);
    }
    plan.notes.extend(assets.notes);
}

/// Whether a command of the spec needs Node's packages.
fn hooks_call_node(cx: &PlanContext<'_>) -> bool {
    const CALLS: [&str; 7] = ["npm", "npx", "pnpm", "yarn", "bun", "bunx", "node"];
    let build = &cx.config.build;
    let hooks = [&build.before_build, &build.build, &build.after_build];
    let mut words = hooks
        .into_iter()
        .flatten()
        .flat_map(|hook| hook.split(|c: char| c.is_whitespace() || ";&|()".contains(c)));
    words.any(|word| CALLS.contains(&word))
}

/// The site that Node builds for `static`, with the directory that its generator makes.
pub(crate) fn static_site(place: &Place<'_>, plan: &mut BuildPlan) -> Result<Option<String>> {
    let Some(package) = Package::read(place, MANIFEST)? else {
        return Ok(None);
    };
    let hooks = hooks_call_node(&place.cx);
    if package.script("build").is_none() && !hooks {
        return Ok(None);
    }
    let modules = modules::of(place, &package)?;
    let removal = modules.removal();
    merge(plan, assets(place, &package, hooks)?);
    plan.finish = removal;
    site::generated(place, &package)
}
