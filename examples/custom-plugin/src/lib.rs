//! A plugin with one toolchain: apps that a `Makefile` builds. `make` builds them, and what comes out runs on the host.
//!
//! It reads the source and describes the build; the `local` builder carries it out. It never runs anything itself.

use std::sync::Arc;

use hop3_plugin_api::schemars::{self, JsonSchema};
use hop3_plugin_api::serde::{self, Deserialize, Serialize};
use hop3_plugin_api::{
    ArtifactKind, BuildCommand, BuildPlan, BuildStep, LanguageToolchain, PlanContext, Plugin,
    Result, RuntimeSpec, Section, SectionDescriptor, Slot, ToolRequirement, Verdict, WorkerName,
};

const NAME: &str = "makefile";
const FILE: &str = "Makefile";

/// The plugin: what it is called and what it brings.
#[derive(Debug, Clone, Copy, Default)]
pub struct MakefilePlugin;

impl Plugin for MakefilePlugin {
    fn name(&self) -> &'static str {
        NAME
    }

    fn description(&self) -> &'static str {
        "builds apps with make"
    }

    fn sections(&self) -> Vec<SectionDescriptor> {
        vec![SectionDescriptor::of::<MakefileSettings>()]
    }

    fn toolchains(&self) -> Vec<Arc<dyn LanguageToolchain>> {
        vec![Arc::new(Makefile)]
    }
}

/// `[plugin.makefile]` of an app's spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    crate = "serde",
    default,
    deny_unknown_fields,
    rename_all = "kebab-case"
)]
#[schemars(crate = "schemars", rename = "makefile.MakefileSettings")]
pub struct MakefileSettings {
    /// The target that builds the app.
    pub target: String,
}

impl Default for MakefileSettings {
    fn default() -> Self {
        Self {
            target: "all".to_owned(),
        }
    }
}

impl Section for MakefileSettings {
    const SLOT: Slot = Slot::App;
    const NAME: &'static str = NAME;
}

/// The toolchain.
#[derive(Debug, Clone, Copy, Default)]
pub struct Makefile;

impl LanguageToolchain for Makefile {
    fn name(&self) -> &'static str {
        NAME
    }

    fn detects(&self) -> &'static [&'static str] {
        &["a `Makefile` with a target `serve`"]
    }

    /// Many sources hold a Makefile for their developers; one with `serve` says how it is started.
    fn accept(&self, cx: &PlanContext<'_>) -> Verdict {
        let named = cx.config.build.toolchain.as_ref();
        let asked = named.is_some_and(|name| name.as_str() == NAME);
        Verdict::when(
            asked || serves(cx),
            "it has no `Makefile` with a target `serve`",
        )
    }

    fn plan(&self, cx: &PlanContext<'_>) -> Result<BuildPlan> {
        let MakefileSettings { target } = cx.section()?;
        Ok(BuildPlan {
            tools: vec![make()],
            steps: vec![build(target)],
            runtime: runtime(cx)?,
            ..BuildPlan::new(NAME, ArtifactKind::Native)
        })
    }
}

/// Whether the Makefile has a rule `serve:`. One that cannot be read has none.
fn serves(cx: &PlanContext<'_>) -> bool {
    let text = cx.source.text(FILE).ok().flatten().unwrap_or_default();
    text.lines()
        .any(|line| line.starts_with("serve:") && !line.starts_with("serve:="))
}

fn make() -> ToolRequirement {
    ToolRequirement {
        program: "make".to_owned(),
        version: None,
        pinned_by: None,
    }
}

fn build(target: String) -> BuildStep {
    BuildStep {
        name: format!("make {target}"),
        command: BuildCommand::Argv(vec!["make".to_owned(), "--".to_owned(), target]),
        network: false,
    }
}

/// The guess of how it is started; the spec's and the Procfile's commands go first.
fn runtime(cx: &PlanContext<'_>) -> Result<RuntimeSpec> {
    let mut runtime = RuntimeSpec::default();
    if serves(cx) {
        let command = "exec make --silent serve".to_owned();
        runtime.workers.insert(WorkerName::parse("web")?, command);
    }
    Ok(runtime)
}
