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
mod config;
mod error;
mod failure;
mod fetch;
mod history;
mod id;
mod listing;
mod mirror;
mod pkt;
mod refs;
mod remote;
mod snapshot;
mod store;
mod tls;
mod tree;
mod url;

pub use child::internal_fetch;
pub use config::{BranchName, FetchLimits, History, Reference, RepoConfig, Token, TreePath};
pub use error::RepoError;
pub use id::{BlobId, CommitId, IdError};
pub use listing::{AppEntry, FileEntry, Found, Problem, RepoListing};
pub use mirror::{FetchOutcome, Mirror};
pub use snapshot::{CommitInfo, SPEC_LIMIT, Snapshot};
pub use tls::install_tls_provider;
pub use tree::GitTree;
pub use url::RepoUrl;
