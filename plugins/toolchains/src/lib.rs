//! Language toolchains: what an app's source is written in, and how it is built and started. One module per language.
//!
//! Detection reads the pinned source and never runs anything; a plan is a value. What a plan says is done by the `local` builder.

mod generic;
mod python;
mod source;
mod static_site;
mod version;

use std::sync::Arc;

use hop3_plugin_api::{LanguageToolchain, Plugin};

pub use generic::Generic;
pub use python::Python;
pub use static_site::StaticSite;

/// The plugin.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToolchainsPlugin;

impl Plugin for ToolchainsPlugin {
    fn name(&self) -> &'static str {
        "toolchains"
    }

    fn description(&self) -> &'static str {
        "builds apps by the conventions of their language"
    }

    /// In the order in which they are asked: a language before plain files, which many sources also hold.
    fn toolchains(&self) -> Vec<Arc<dyn LanguageToolchain>> {
        vec![Arc::new(Python), Arc::new(StaticSite), Arc::new(Generic)]
    }
}
