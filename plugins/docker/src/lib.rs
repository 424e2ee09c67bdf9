//! The plugin `docker`: builder `docker` (a Dockerfile, a compose file or a pinned image) and deployer `docker-compose`.
//!
//! Everything goes through the `docker` command line, with a deadline each; the engine's API, its socket and its files are never touched.
//! Of a release: its compose project `hop3_<app>_<release>` and its network. Of the app: named volumes, the services that hold them
//! (project `hop3_<app>`) and the network that leads to them. Releases run beside each other; what holds data is never doubled.
//!
//! Caveats: each release takes one of the engine's networks and an app with volumes one more; an engine with its stock
//! `default-address-pools` has about thirty.

mod builder;
mod compose;
mod containers;
mod deployer;
mod dockerfile;
mod engine;
mod examine;
mod failure;
mod image;
mod logs;
mod names;
mod safety;
mod session;
mod settings;
mod source_file;

use std::sync::Arc;

use hop3_plugin_api::{Builder, Deployer, Plugin, SectionDescriptor};

pub use builder::DockerBuilder;
pub use deployer::ComposeDeployer;
pub use settings::{AppSettings, HostSettings};

/// Builds images and runs them with compose.
#[derive(Debug, Clone, Copy, Default)]
pub struct Docker;

impl Plugin for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn description(&self) -> &'static str {
        "builds images with a Docker engine and runs them with docker compose"
    }

    fn sections(&self) -> Vec<SectionDescriptor> {
        vec![
            SectionDescriptor::of::<HostSettings>(),
            SectionDescriptor::of::<AppSettings>(),
        ]
    }

    fn builders(&self) -> Vec<Arc<dyn Builder>> {
        vec![Arc::new(DockerBuilder)]
    }

    fn deployers(&self) -> Vec<Arc<dyn Deployer>> {
        vec![Arc::new(ComposeDeployer)]
    }
}
