//! The toolchain of apps that know best: nothing but the spec's own commands. It never accepts a source that did not ask for it.

use hop3_plugin_api::{
    ArtifactKind, BuildPlan, LanguageToolchain, PlanContext, Result, RuntimeSpec, Verdict,
};

use crate::source;

const NAME: &str = "generic";

/// `[build] toolchain = "generic"`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Generic;

impl LanguageToolchain for Generic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn detects(&self) -> &'static [&'static str] {
        &["`toolchain = \"generic\"` in `[build]`"]
    }

    fn accept(&self, cx: &PlanContext<'_>) -> Verdict {
        Verdict::when(
            source::is_named(cx, NAME),
            "it is only used where `[build] toolchain = \"generic\"` asks for it",
        )
    }

    fn plan(&self, _cx: &PlanContext<'_>) -> Result<BuildPlan> {
        Ok(BuildPlan {
            toolchain: NAME.to_owned(),
            kind: ArtifactKind::Native,
            tools: Vec::new(),
            layers: Vec::new(),
            steps: Vec::new(),
            env: source::no_env(),
            runtime: RuntimeSpec::default(),
            notes: Vec::new(),
        })
    }
}
