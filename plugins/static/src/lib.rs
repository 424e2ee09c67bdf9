//! The deployer of files: a release's directory is what the proxy serves, so nothing is started, and no process ever belongs to it.
//!
//! What is deployed is known by a stamp; the switch to a new release is the proxy's alone. One-off commands of a static site run in its
//! release directory like those of any app.

mod deployer;
mod stamp;

use std::sync::Arc;

use hop3_plugin_api::{Deployer, Plugin};

pub use deployer::StaticDeployer;

/// The plugin `static`.
#[derive(Debug, Clone, Copy, Default)]
pub struct StaticPlugin;

impl Plugin for StaticPlugin {
    fn name(&self) -> &'static str {
        "static"
    }

    fn description(&self) -> &'static str {
        "deploys directories of files that the proxy serves"
    }

    fn deployers(&self) -> Vec<Arc<dyn Deployer>> {
        vec![Arc::new(StaticDeployer)]
    }
}
