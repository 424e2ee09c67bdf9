//! The config repo: which commit is the newest, its content, and nothing else.
//!
//! Everything that knows git is in here. [`Mirror::tip`] asks the remote with one request, [`Mirror::fetch`] brings a commit into a bare
//! mirror through a child process with limits, and a [`Snapshot`] reads it straight from the object store. Nothing is ever checked out, no
//! hook, filter or configuration of a repository is obeyed, and every object that is read is compared with its name.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the mirror is the agent's own state, and the fetch runs in a child that this module starts and ends"
)]

mod child;
mod complaint;
mod config;
mod error;
mod failure;
mod fetch;
mod follow;
mod helper;
mod hint;
mod history;
mod http_wire;
mod id;
mod listing;
mod look;
mod mirror;
mod pace;
mod pipe;
mod pkt;
mod reference;
mod refs;
mod remote;
mod smart;
mod snapshot;
mod ssh;
mod store;
mod tidy;
mod tls;
mod tree;
mod url;
mod verify;
mod wire;

pub use config::{FetchLimits, History, RepoConfig, Token, TreePath};
pub use error::{Credential, RepoError};
pub use helper::internal_fetch;
pub use id::{BlobId, CommitId, IdError};
pub use listing::{AppEntry, FileEntry, Found, Problem, RepoListing};
pub use look::{Look, StandIn, Urgency};
pub use mirror::{FetchOutcome, Mirror};
pub use reference::{RefName, Reference, VersionRange};
pub use snapshot::{CommitInfo, SPEC_LIMIT, Snapshot};
pub use ssh::SshIdentity;
pub use tls::install_tls_provider;
pub use tree::GitTree;
pub use url::RepoUrl;
