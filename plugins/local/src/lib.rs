//! The `local` builder: builds on the host itself, by what a language toolchain plans, in the release's own directory.
//!
//! Dependencies go into layers, which are built once per content of their inputs; everything else into the release. Every command runs
//! as the app's user in a sandbox, with nothing of the agent's environment, and ends at the build's deadline with its whole process group.

mod build;
mod examine;
mod failure;
mod layer;
mod own;
mod packages;
mod plan;
mod settings;
mod tools;
mod versions;
mod workshop;

use std::collections::BTreeSet;
use std::sync::Arc;

use hop3_plugin_api::{
    Abort, BuildArtifact, BuildPlan, Builder, Context, Finding, HostContext, LanguageToolchain,
    PlanContext, Plugin, Result, SectionDescriptor, Verdict, async_trait,
};

pub use settings::{LocalSettings, NetworkPolicy, SandboxPolicy};

/// The plugin.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalPlugin;

impl Plugin for LocalPlugin {
    fn name(&self) -> &'static str {
        "local"
    }

    fn description(&self) -> &'static str {
        "builds on the host, with the toolchain of the app's language"
    }

    fn sections(&self) -> Vec<SectionDescriptor> {
        vec![SectionDescriptor::of::<LocalSettings>()]
    }

    fn builders(&self) -> Vec<Arc<dyn Builder>> {
        vec![Arc::new(LocalBuilder)]
    }
}

/// The builder.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalBuilder;

#[async_trait]
impl Builder for LocalBuilder {
    fn name(&self) -> &'static str {
        "local"
    }

    fn accept(&self, _cx: &PlanContext<'_>) -> Verdict {
        Verdict::Accept
    }

    fn uses_toolchain(&self) -> bool {
        true
    }

    fn plan(
        &self,
        cx: &PlanContext<'_>,
        toolchain: Option<&dyn LanguageToolchain>,
    ) -> Result<BuildPlan> {
        let toolchain = toolchain.ok_or_else(|| {
            Abort::new("no language toolchain recognises the source")
                .hint("name one as `toolchain` in `[build]`; `generic` runs nothing but your own commands")
        })?;
        Ok(plan::merged(toolchain.plan(cx)?, cx.config))
    }

    async fn build(&self, cx: &Context<'_>, plan: &BuildPlan) -> Result<BuildArtifact> {
        build::build(cx, plan).await
    }

    async fn examine(&self, machine: HostContext<'_>, tools: &BTreeSet<String>) -> Vec<Finding> {
        examine::examine(machine, tools).await
    }
}
