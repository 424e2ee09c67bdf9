//! What is deployed, as a file in the app's state directory.

use std::path::{Path, PathBuf};

use hop3_plugin_api::{
    AppName, FileKind, FileWrite, Host, HostContext, Owned, PluginError, ReleaseId, Result,
};
use serde::{Deserialize, Serialize};

/// The version of [`Stamp`].
const FORMAT: u32 = 1;

/// One deployed release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Stamp {
    /// [`FORMAT`].
    format: u32,
    /// The installation.
    install: String,
    /// The release.
    pub(crate) release: ReleaseId,
    /// What the proxy serves.
    pub(crate) directory: PathBuf,
    /// How many instances were asked for; they are all the same directory.
    pub(crate) instances: u16,
}

impl Stamp {
    pub(crate) fn new(
        install: &str,
        release: &ReleaseId,
        directory: PathBuf,
        instances: u16,
    ) -> Self {
        Self {
            format: FORMAT,
            install: install.to_owned(),
            release: release.clone(),
            directory,
            instances,
        }
    }

    /// Effect: puts it in place.
    pub(crate) async fn write(&self, host: &dyn Host, state: &Path) -> Result<()> {
        let content = serde_json::to_vec(self)
            .map_err(|e| PluginError::other("could not write down what is deployed", e))?;
        let file = FileWrite::private(path(state, &self.release), content);
        Ok(host.write_atomic(file).await?)
    }
}

/// Where the stamp of a release is. The prefix keeps it apart from those of other deployers.
pub(crate) fn path(state: &Path, release: &ReleaseId) -> PathBuf {
    state.join(format!("static-{}.json", release.number))
}

/// A stamp; `None` when there is none that can be read, and the next deploy makes it anew.
pub(crate) async fn read(host: &dyn Host, path: &Path) -> Result<Option<Stamp>> {
    let content = host.read(path).await?;
    Ok(content.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Everything of this installation, by the stamps in all apps' state directories.
pub(crate) async fn owned(cx: &HostContext<'_>) -> Result<Vec<Owned>> {
    let apps = cx.dirs.data.join("apps");
    let mut owned = Vec::new();
    for app in cx.host.list(&apps).await? {
        if app.kind == FileKind::Directory {
            collect(cx, &apps.join(app.name).join("state"), &mut owned).await?;
        }
    }
    Ok(owned)
}

/// The same of one app.
pub(crate) async fn owned_of(cx: &HostContext<'_>, app: &AppName) -> Result<Vec<Owned>> {
    let state = cx.dirs.data.join("apps").join(app.as_str()).join("state");
    let mut owned = Vec::new();
    collect(cx, &state, &mut owned).await?;
    Ok(owned)
}

async fn collect(cx: &HostContext<'_>, state: &Path, owned: &mut Vec<Owned>) -> Result<()> {
    for entry in cx.host.list(state).await? {
        let name = entry.name.strip_prefix("static-");
        if name.and_then(|name| name.strip_suffix(".json")).is_none() {
            continue;
        }
        let stamp = read(cx.host, &state.join(&entry.name)).await?;
        if let Some(stamp) = stamp.filter(|stamp| stamp.install == cx.install) {
            owned.push(Owned {
                app: stamp.release.app.clone(),
                what: format!("files of {}", stamp.release),
                release: Some(stamp.release),
            });
        }
    }
    Ok(())
}
