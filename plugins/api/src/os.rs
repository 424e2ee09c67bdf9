//! Operating systems.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{HostContext, Result, UserId, async_trait};

/// `/etc/os-release` as key and value.
pub type OsRelease = BTreeMap<String, String>;

/// A user of the system that has no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemUser {
    /// Its name.
    pub name: String,
    /// Its primary group.
    pub group: String,
    /// Its home directory.
    pub home: PathBuf,
    /// Its login shell.
    pub shell: PathBuf,
}

/// Knows one family of operating systems. Stateless.
#[async_trait]
pub trait Os: Send + Sync {
    /// The release that it speaks for: `debian12`, `rhel9`.
    fn name(&self) -> &'static str;

    /// Its name for people.
    fn display_name(&self) -> &'static str;

    /// Packages that the agent itself needs.
    fn packages(&self) -> &'static [&'static str];

    /// Whether it speaks for this system. Pure.
    fn detect(&self, release: &OsRelease) -> bool;

    /// Effect: makes directories, users and services that the agent needs.
    async fn setup_server(&self, cx: &HostContext<'_>) -> Result<()>;

    /// Effect: installs packages; every name is resolved before any is installed.
    async fn ensure_packages(
        &self,
        cx: &HostContext<'_>,
        names: &[String],
        update: bool,
    ) -> Result<()>;

    /// Effect: ensures a system user.
    async fn ensure_user(&self, cx: &HostContext<'_>, user: &SystemUser) -> Result<UserId>;
}
