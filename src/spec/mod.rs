//! `hop3.toml` and the Procfile: from bytes to [`AppSpec`], with every mistake of a file found in one go.

mod app;
pub(crate) mod check;
mod convert;
mod credentials;
mod cron;
pub(crate) mod diagnostic;
mod dialect;
mod file;
mod host_claims;
pub(crate) mod linked;
mod network;
mod order;
mod port_claims;
mod positions;
mod procfile;
mod render;
mod repo_checks;
pub(crate) mod sections;
mod settle;
mod shares;
mod source;
pub(crate) mod suggest;
mod syntax;
pub(crate) mod template;
pub(crate) mod tree;
pub(crate) mod written;

pub use app::{
    AppSpec, DeploySettings, HealthCheck, OnInterrupt, PortClaim, Position, ProxySettings,
    SecretUse, Share, SourceSpec, Strategy, Unbuilt,
};
pub use diagnostic::{Diagnostic, IntoHint, Related, Severity};
pub use file::{AppFiles, LoadedApp, app_name_of, load_app};
pub(crate) use file::{directory_name, typed};
pub use linked::Linked;
pub use network::Network;
pub use positions::Positions;
pub use render::{Sources, render};
pub use repo_checks::{Held, Surroundings, repo_checks};
pub(crate) use sections::HopFile;
pub use sections::{SecretName, Transport};
