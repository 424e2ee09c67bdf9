//! Elixir: a release of Mix, with the assets of Phoenix.
//!
//! Guarantees: mix.lock is only read. Dependencies are fetched and compiled in a layer that releases clone; a mix.exs that reads other
//! files gets them in the release, and a note says so.

mod mixfile;

use hop3_plugin_api::{
    ArtifactKind, BuildPlan, BuildStep, Evidence, LayerPlan, PlanContext, Rank, Result,
    RuntimeSpec, ToolchainDescription,
};

use crate::language::{Language, first_of};
use crate::place::Place;
use crate::steps::{UNLOCKED_NOTE, env, fetch, missing_lock, step, tool, web};
use crate::version::{self, Pin, PinFile, Places};
use mixfile::Mixfile;

const NAME: &str = "elixir";
const PLACES: Places = Places {
    language: NAME,
    names: &[NAME],
    own_files: &[
        (".elixir-version", PinFile::Word),
        (".exenv-version", PinFile::Word),
    ],
};

/// Elixir.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Elixir;

impl Language for Elixir {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            tools: &["elixir", "mix", "git"],
            detects: &[mixfile::MANIFEST],
            locks: &[(
                mixfile::LOCK,
                "mix deps.get --only prod --check-locked, then mix deps.compile",
            )],
            pins: &[
                "`elixir-version` in `[build]`",
                ".elixir-version",
                ".exenv-version",
                ".tool-versions",
                "mise.toml",
                "`elixir:` in mix.exs",
            ],
            builds: &[
                "mix assets.setup and mix assets.deploy, where mix.exs has them",
                "mix release --overwrite",
            ],
            starts: &["the release's `bin/<name> start`"],
            remarks: &[
                "Hex and Rebar are installed where mix.lock names a package of Hex, or speaks of rebar",
                "dependencies are fetched and compiled in a layer and cloned into each release; where mix.exs reads other files, in each release",
                "PHX_SERVER is set, and a release needs no name server of Erlang",
                "`package = \"web\"` in `[plugin.toolchains]` chooses between several releases",
            ],
            ..ToolchainDescription::default()
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        Ok(first_of(cx, Rank::Manifest, &[mixfile::MANIFEST]))
    }

    fn lacks(&self) -> &'static str {
        "there is no mix.exs"
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let mix = mixfile::read(place)?;
        if mix.depends && !mix.locked && !place.allows_unlocked() {
            let path = place.shown(mixfile::MANIFEST);
            return Err(missing_lock(&path, "mix deps.get"));
        }
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
        plan.tools
            .push(tool(NAME, version(place, mix.elixir.clone())?));
        plan.tools.push(tool("mix", None));
        plan.env = env(&[
            ("HEX_HOME", "${cache}/hex"),
            ("MIX_ENV", "prod"),
            ("MIX_HOME", "${cache}/mix"),
        ]);
        dependencies(&mut plan, &mix);
        if !place.builds_itself() {
            let release = mix.release(place)?;
            plan.steps.extend(assets(&mix));
            let named = mix.releases.len() > 1;
            let words = ["mix", "release", "--overwrite"].into_iter();
            plan.steps.push(step(
                "build the release",
                words.chain(named.then_some(release.as_str())),
            ));
            plan.runtime = runtime(&release);
        }
        Ok(plan)
    }
}

fn version(place: &Place<'_>, manifest: Option<Pin>) -> Result<Option<Pin>> {
    let pin = version::pinned(place, &PLACES, manifest)?;
    // `1.16.0-otp-26` names the Erlang that it was built with.
    Ok(pin.map(|pin| {
        let version = pin
            .version
            .split("-otp")
            .next()
            .unwrap_or_default()
            .to_owned();
        pin.reworded(version)
    }))
}

fn dependencies(plan: &mut BuildPlan, mix: &Mixfile) {
    if !mix.depends {
        return;
    }
    let mut get = vec!["mix", "deps.get", "--only", "prod"];
    get.extend(mix.locked.then_some("--check-locked"));
    plan.tools
        .extend(mix.fetched_by.git.then(|| tool("git", None)));
    let install = |name: &str, task: &str| fetch(name, ["mix", task, "--force", "--if-missing"]);
    let mut steps = Vec::new();
    if mix.fetched_by.hex {
        steps.push(install("install Hex", "local.hex"));
    }
    if mix.fetched_by.rebar {
        steps.push(install("install Rebar", "local.rebar"));
    }
    steps.push(fetch("fetch dependencies", get));
    steps.push(step("compile dependencies", ["mix", "deps.compile"]));
    if !mix.locked {
        plan.notes.push(UNLOCKED_NOTE.to_owned());
    }
    if let Some(why) = &mix.reads_the_source {
        plan.notes.push(format!(
            "{why}, so dependencies are fetched anew in each release"
        ));
    }
    if mix.reads_the_source.is_some() || !mix.locked {
        plan.steps.extend(steps);
        return;
    }
    let clones = ["deps", "_build"].map(str::to_owned).to_vec();
    let parts = (mix.files.clone(), steps);
    plan.layers.push(LayerPlan::cloned("deps", clones, parts));
}

/// Phoenix downloads the programs that make its assets.
fn assets(mix: &Mixfile) -> Vec<BuildStep> {
    let setup = mix
        .has_alias("assets.setup")
        .then(|| fetch("install asset tools", ["mix", "assets.setup"]));
    let deploy = mix
        .has_alias("assets.deploy")
        .then(|| step("build assets", ["mix", "assets.deploy"]));
    setup.into_iter().chain(deploy).collect()
}

/// The release's own files are read-only, and it writes some of its own at each start.
fn runtime(release: &str) -> RuntimeSpec {
    RuntimeSpec {
        env: env(&[
            ("LANG", "C.UTF-8"),
            ("MIX_ENV", "prod"),
            ("PHX_SERVER", "true"),
            ("RELEASE_DISTRIBUTION", "none"),
            ("RELEASE_TMP", "${data}/.release"),
        ]),
        workers: web(format!(
            "exec _build/prod/rel/{release}/bin/{release} start"
        )),
        ..RuntimeSpec::default()
    }
}
