//! What things are called in the engine, and the labels that say whose they are.
//!
//! App names hold no `_`, so that no name here is another app's, or another release's, or a prefix that means anything.

use std::path::PathBuf;

use hop3_plugin_api::{AppName, Context, ReleaseId};

/// The installation that made it.
pub(crate) const INSTALL: &str = "hop3.install";
/// Its app.
pub(crate) const APP: &str = "hop3.app";
/// Its release, absent on what belongs to the app as a whole.
pub(crate) const RELEASE: &str = "hop3.release";
/// Its worker.
pub(crate) const WORKER: &str = "hop3.worker";
/// Its index among the worker's instances.
pub(crate) const INDEX: &str = "hop3.index";
/// Compose's own label: the project.
pub(crate) const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// Compose's own label: whether it is a `run` rather than a service.
pub(crate) const COMPOSE_ONE_OFF: &str = "com.docker.compose.oneoff";

/// Compose project and network of one release.
pub(crate) fn release_project(release: &ReleaseId) -> String {
    format!("hop3_{}_{}", release.app, release.number)
}

/// Compose project and network of what outlives releases.
pub(crate) fn app_project(app: &AppName) -> String {
    format!("hop3_{app}")
}

/// The engine's name of an app's volume.
pub(crate) fn volume(app: &AppName, name: &str) -> String {
    format!("hop3_{app}_{name}")
}

/// The tag of the image that is built for a release.
pub(crate) fn image(app: &AppName, release: u32) -> String {
    format!("hop3/{app}:{release}")
}

/// The compose file of a release. It holds the environment in plaintext: mode 0600, in a directory of the agent alone.
pub(crate) fn release_file(cx: &Context<'_>, release: &ReleaseId) -> PathBuf {
    let name = format!("compose-{}.json", release.number);
    cx.paths.state.join(name)
}

/// The compose file for one-off commands of a release.
pub(crate) fn command_file(cx: &Context<'_>, release: &ReleaseId) -> PathBuf {
    let name = format!("compose-{}-run.json", release.number);
    cx.paths.state.join(name)
}

/// The compose file of what outlives releases.
pub(crate) fn app_file(cx: &Context<'_>) -> PathBuf {
    cx.paths.state.join("compose-app.json")
}

/// The number of the release that a call is about, from its directory.
pub(crate) fn release_number(cx: &Context<'_>) -> Option<u32> {
    cx.paths.release.file_name()?.to_str()?.parse().ok()
}
