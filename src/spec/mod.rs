//! `hop3.toml` and the Procfile: from bytes to [`AppSpec`], with every mistake of a file found in one go.

mod app;
pub(crate) mod check;
mod convert;
mod credential;
mod cron;
pub(crate) mod diagnostic;
mod dialect;
mod file;
mod host_claims;
mod order;
mod port_claims;
mod procfile;
mod repo_checks;
pub(crate) mod sections;
mod shares;
mod source;
pub(crate) mod suggest;
pub(crate) mod tree;

pub use app::{
    AppSpec, DeploySettings, HealthCheck, OnInterrupt, PortClaim, PortProtocol, Position,
    ProxySettings, Share, SourceSpec, Strategy, Unbuilt,
};
pub use diagnostic::{Diagnostic, IntoHint, Severity, Sources, render};
pub(crate) use file::directory_name;
pub use file::{AppFiles, LoadedApp, app_name_of, load_app};
pub use repo_checks::{Held, Surroundings, repo_checks};
pub(crate) use sections::HopFile;
