//! What is deployed, as a file in the app's state directory.

use std::path::{Path, PathBuf};

use hop3_plugin_api::{
    AppName, FileWrite, Host, HostContext, Owned, PluginError, ReleaseId, Result,
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

/// What this installation has deployed, by the stamps of all apps, or of one.
pub(crate) async fn owned(cx: &HostContext<'_>, app: Option<&AppName>) -> Result<Vec<Owned>> {
    let mut owned = Vec::new();
    for path in cx.stamps(app, is_stamp).await? {
        let stamp = read(cx.host, &path).await?;
        if let Some(stamp) = stamp.filter(|stamp| stamp.install == cx.install) {
            owned.push(Owned {
                app: stamp.release.app.clone(),
                what: format!("files of {}", stamp.release),
                release: Some(stamp.release),
            });
        }
    }
    Ok(owned)
}

fn is_stamp(name: &str) -> bool {
    let number = name.strip_prefix("static-");
    number.is_some_and(|number| number.strip_suffix(".json").is_some())
}
