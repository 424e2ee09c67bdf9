//! Language toolchains: what an app's source is written in, and how it is built and started. One module per language.
//!
//! Detection reads the pinned source and never runs anything; a plan is a value. What a plan says is done by the `local` builder.

mod clojure;
mod dotnet;
mod elixir;
mod generic;
mod glob;
mod go;
mod java;
mod language;
mod lift;
mod node;
mod php;
mod place;
mod python;
mod ruby;
mod rust;
mod settings;
mod source;
mod static_site;
mod steps;
mod version;
mod xml;

use std::sync::Arc;

use hop3_plugin_api::{LanguageToolchain, Plugin, SectionDescriptor};

pub use language::Toolchain;
pub use settings::ToolchainSettings;

/// Every toolchain, in the order in which they are asked. It decides between sources that hold no manifest but signs of several
/// languages, and at last between what stands beside another language's app.
pub const ALL: [Toolchain; 12] = [
    Toolchain(&php::Php),
    Toolchain(&go::Go),
    Toolchain(&java::Java),
    Toolchain(&clojure::Clojure),
    Toolchain(&rust::Rust),
    Toolchain(&ruby::Ruby),
    Toolchain(&elixir::Elixir),
    Toolchain(&dotnet::Dotnet),
    Toolchain(&python::Python),
    Toolchain(&node::Node),
    Toolchain(&static_site::StaticSite),
    Toolchain(&generic::Generic),
];

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

    fn sections(&self) -> Vec<SectionDescriptor> {
        vec![SectionDescriptor::of::<ToolchainSettings>()]
    }

    fn toolchains(&self) -> Vec<Arc<dyn LanguageToolchain>> {
        let all = ALL.into_iter();
        all.map(|toolchain| Arc::new(toolchain) as Arc<dyn LanguageToolchain>)
            .collect()
    }
}
