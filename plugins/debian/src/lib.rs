//! Debian and what is made from it: packages by `dpkg-query` and `apt-get`, users by `useradd`.
//!
//! Never removes a package, replaces a file of the administrator, or adds a source of packages.

mod apt;
mod installed;
mod users;

use std::sync::Arc;

use hop3_plugin_api::{
    HostContext, Os, OsRelease, Plugin, Result, SystemUser, UserId, async_trait,
};

/// The plugin `debian`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DebianPlugin;

impl Plugin for DebianPlugin {
    fn name(&self) -> &'static str {
        "debian"
    }

    fn description(&self) -> &'static str {
        "installs the packages that apps name, on Debian, Ubuntu and their like"
    }

    fn os_implementations(&self) -> Vec<Arc<dyn Os>> {
        vec![Arc::new(Debian)]
    }
}

/// Debian, Ubuntu and their like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Debian;

#[async_trait]
impl Os for Debian {
    fn name(&self) -> &'static str {
        "debian"
    }

    fn display_name(&self) -> &'static str {
        "Debian, Ubuntu and their like"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["ca-certificates", "git", "openssh-client"]
    }

    fn detect(&self, release: &OsRelease) -> bool {
        let id = release.get("ID").map_or("", String::as_str);
        let like = release.get("ID_LIKE").map_or("", String::as_str);
        std::iter::once(id)
            .chain(like.split_ascii_whitespace())
            .any(|name| matches!(name, "debian" | "ubuntu"))
    }

    fn install_command(&self) -> &'static str {
        "apt-get install"
    }

    async fn setup_server(&self, cx: &HostContext<'_>) -> Result<()> {
        let names: Vec<String> = self.packages().iter().map(ToString::to_string).collect();
        self.ensure_packages(cx, &names, true).await
    }

    async fn missing_packages(
        &self,
        cx: &HostContext<'_>,
        names: &[String],
    ) -> Result<Vec<String>> {
        installed::missing(cx, names).await
    }

    async fn ensure_packages(
        &self,
        cx: &HostContext<'_>,
        names: &[String],
        update: bool,
    ) -> Result<()> {
        let missing = installed::missing(cx, names).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let apt = apt::Apt { cx };
        apt.resolve(&missing, update).await?;
        apt.install(&missing).await
    }

    async fn ensure_user(&self, cx: &HostContext<'_>, user: &SystemUser) -> Result<UserId> {
        users::ensure(cx, user).await
    }
}

#[cfg(test)]
mod tests {
    use hop3_plugin_api::os_release;

    use super::*;

    #[test]
    fn it_speaks_for_debian_and_what_is_made_from_it() {
        for (text, expected) in [
            ("ID=debian", true),
            ("ID=ubuntu\nID_LIKE=debian", true),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"", true),
            ("ID=fedora", false),
            ("ID=rocky\nID_LIKE=\"rhel centos fedora\"", false),
            ("ID=debianish", false),
            ("", false),
        ] {
            assert_eq!(Debian.detect(&os_release(text)), expected, "{text}");
        }
    }
}
