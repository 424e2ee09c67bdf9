//! The toolchain of apps that know best: nothing but the spec's own commands. It never accepts a source that did not ask for it.

use hop3_plugin_api::{
    ArtifactKind, BuildPlan, Evidence, PlanContext, Result, ToolchainDescription,
};

use crate::language::Language;
use crate::place::Place;

const NAME: &str = "generic";

/// `[build] toolchain = "generic"`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Generic;

impl Language for Generic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            detects: &["`toolchain = \"generic\"` in `[build]`"],
            remarks: &["it runs nothing but the commands of `[build]`, `[run]` and the Procfile"],
            ..ToolchainDescription::default()
        }
    }

    fn evidence(&self, _cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        Ok(None)
    }

    fn lacks(&self) -> &'static str {
        "it is only used where `[build] toolchain = \"generic\"` asks for it"
    }

    fn plan(&self, _place: &Place<'_>) -> Result<BuildPlan> {
        Ok(BuildPlan::new(NAME, ArtifactKind::Native))
    }

    fn takes_assets(&self) -> bool {
        false
    }
}
