//! The embedded deployer: runs what a builder left in a directory as plain processes of the host.
//!
//! Two halves that share three documents. `agent` is called by the agent and does everything through the Host seam; `supervisor` is the
//! helper process, one per release, that outlives the agent. Between them stand `document` (what is launched, in through standard
//! input), `protocol` (one JSON line to and fro on a unix socket) and `stamp` (what a later agent needs to find the supervisor again).
//!
//! Secrets cross from one half to the other through pipes only: never in an argument, never in a file.

mod agent;
mod document;
mod place;
mod protocol;
mod settings;
mod stamp;
mod supervisor;

use std::sync::Arc;

use hop3_plugin_api::{Deployer, Entrypoint, Plugin, SectionDescriptor};

pub use agent::NativeDeployer;
pub use settings::NativeConfig;

/// The plugin `native`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativePlugin;

impl Plugin for NativePlugin {
    fn name(&self) -> &'static str {
        "native"
    }

    fn description(&self) -> &'static str {
        "runs apps as processes of the host under one small supervisor per release"
    }

    fn sections(&self) -> Vec<SectionDescriptor> {
        vec![SectionDescriptor::of::<NativeConfig>()]
    }

    fn deployers(&self) -> Vec<Arc<dyn Deployer>> {
        vec![Arc::new(NativeDeployer)]
    }

    fn entrypoints(&self) -> Vec<Entrypoint> {
        supervisor::entrypoints()
    }
}
