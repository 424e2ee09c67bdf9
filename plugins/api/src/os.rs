//! Operating systems.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{HostContext, Result, UserId, async_trait};

/// `/etc/os-release` as key and value.
pub type OsRelease = BTreeMap<String, String>;

/// Reads the text of an `os-release` file. Lines that are no assignment are left out, as its manual asks; quotes are taken off.
pub fn os_release(text: &str) -> OsRelease {
    let assignments = text.lines().filter_map(|line| line.trim().split_once('='));
    assignments
        .filter(|(key, _)| !key.starts_with('#'))
        .map(|(key, value)| (key.to_owned(), unquoted(value).to_owned()))
        .collect()
}

fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

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
    /// The family's name: `debian`, `redhat`.
    fn name(&self) -> &'static str;

    /// Its name for people.
    fn display_name(&self) -> &'static str;

    /// Packages that the agent itself needs.
    fn packages(&self) -> &'static [&'static str];

    /// Whether it speaks for this system. Pure.
    fn detect(&self, release: &OsRelease) -> bool;

    /// What a person types before the names of packages to install them, such as `apt-get install`.
    fn install_command(&self) -> &'static str;

    /// Effect: makes sure of what the agent itself needs on the host.
    async fn setup_server(&self, cx: &HostContext<'_>) -> Result<()>;

    /// Which of these packages are not installed, in the order given. Looks, and changes nothing. One that an installed package provides is.
    async fn missing_packages(&self, cx: &HostContext<'_>, names: &[String])
    -> Result<Vec<String>>;

    /// Effect: installs those of the packages that are missing; every name is resolved before any is installed. Removes no package, and leaves
    /// files of the administrator as they are. With `update`, lists that do not have a name are fetched anew first.
    ///
    /// It may be repeated, and finishes what a run before was cut off in. Two at a time wait for each other.
    async fn ensure_packages(
        &self,
        cx: &HostContext<'_>,
        names: &[String],
        update: bool,
    ) -> Result<()>;

    /// Effect: ensures a system user.
    async fn ensure_user(&self, cx: &HostContext<'_>, user: &SystemUser) -> Result<UserId>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_file_is_read_with_its_quotes_taken_off() {
        let text = "# a comment\nID=raspbian\nID_LIKE=\"debian ubuntu\"\n NAME='Some OS'\n\nnothing\n#X=1\n";
        let release = os_release(text);
        assert_eq!(release.len(), 3);
        assert_eq!(release["ID"], "raspbian");
        assert_eq!(release["ID_LIKE"], "debian ubuntu");
        assert_eq!(release["NAME"], "Some OS");
    }
}
