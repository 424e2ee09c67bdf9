//! The file that says that a database is ours. A database without it is refused, not adopted.

use std::path::{Path, PathBuf};

use hop3_plugin_api::serde_json::{self, Value};
use hop3_plugin_api::{
    Abort, AddonInstance, AddonName, AppName, AppPaths, Context, FileWrite, Host, HostContext,
    Owned, PluginError, Result, Timestamp,
};
use serde::{Deserialize, Serialize};

/// What we know of a database that we made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Stamp {
    pub(crate) install: String,
    pub(crate) app: AppName,
    pub(crate) addon: AddonName,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) created: Timestamp,
    /// Whether the file was there once. From then on a missing file is a loss, not a beginning.
    pub(crate) ready: bool,
}

impl Stamp {
    pub(crate) fn new(cx: &Context<'_>, addon: &AddonInstance) -> Self {
        Self {
            install: cx.install.to_owned(),
            app: cx.plan.app.clone(),
            addon: addon.name.clone(),
            kind: crate::NAME.to_owned(),
            created: cx.host.now(),
            ready: false,
        }
    }

    pub(crate) async fn write(&self, host: &dyn Host, paths: &AppPaths) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| PluginError::other("could not write an addon's stamp", e))?;
        let file = FileWrite::private(path(paths, &self.addon), text);
        Ok(host.write_atomic(file).await?)
    }
}

pub(crate) fn path(paths: &AppPaths, addon: &AddonName) -> PathBuf {
    paths.state.join(format!("addon-{addon}.json"))
}

/// The stamp of an addon of this installation. One of another installation, app or type is an error: its data is not ours to touch.
pub(crate) async fn read(cx: &Context<'_>, addon: &AddonInstance) -> Result<Option<Stamp>> {
    let path = path(cx.paths, &addon.name);
    let Some(value) = load(cx.host, &path).await? else {
        return Ok(None);
    };
    let stamp = of(value).filter(|stamp| {
        let ours = Stamp::new(cx, addon);
        stamp.install == ours.install && stamp.app == ours.app && stamp.addon == ours.addon
    });
    if stamp.is_some() {
        return Ok(stamp);
    }
    let message = format!(
        "the addon `{}` of `{}` was made by another installation or as another type",
        addon.name, cx.plan.app
    );
    let hint = format!(
        "look at `{}`, and give the new addon another name",
        path.display()
    );
    Err(Abort::new(message).hint(hint).into())
}

/// Every database of this installation, by app.
pub(crate) async fn observe(cx: &HostContext<'_>) -> Result<Vec<Owned>> {
    let apps = cx.dirs.data.join("apps");
    let mut owned = Vec::new();
    for app in cx.host.list(&apps).await? {
        let state = apps.join(app.name).join("state");
        for entry in cx.host.list(&state).await? {
            if !is_stamp(&entry.name) {
                continue;
            }
            let stamp = load(cx.host, &state.join(entry.name)).await?.and_then(of);
            let ours = stamp.filter(|stamp| stamp.install == cx.install);
            owned.extend(ours.map(|stamp| Owned {
                app: stamp.app,
                release: None,
                what: format!("sqlite database {}", stamp.addon),
            }));
        }
    }
    Ok(owned)
}

fn is_stamp(name: &str) -> bool {
    let inner = name.strip_prefix("addon-");
    inner.is_some_and(|inner| inner.strip_suffix(".json").is_some())
}

/// The stamp of a database; other types of addons keep theirs beside it.
fn of(value: Value) -> Option<Stamp> {
    let stamp = serde_json::from_value::<Stamp>(value).ok()?;
    (stamp.kind == crate::NAME).then_some(stamp)
}

/// What cannot be read is unknown, and nothing is done on that ground.
async fn load(host: &dyn Host, path: &Path) -> Result<Option<Value>> {
    let Some(text) = host.read(path).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&text).map(Some).map_err(|e| {
        PluginError::other(format!("could not read the stamp `{}`", path.display()), e)
    })
}
