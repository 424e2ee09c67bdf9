//! Where backups are and what is known of them. A backup counts only with its record, which is written last.

use std::path::PathBuf;

use hop3_plugin_api::serde_json;
use hop3_plugin_api::{
    Abort, AddonInstance, AddonName, AppName, BackupId, Context, FileWrite, PluginError, Result,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::engine::Report;

/// What is recorded beside a backup's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Record {
    pub(crate) id: BackupId,
    pub(crate) app: AppName,
    pub(crate) addon: AddonName,
    pub(crate) made: Timestamp,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    pub(crate) version: String,
}

/// One backup's files.
pub(crate) struct Backup {
    pub(crate) id: BackupId,
    pub(crate) directory: PathBuf,
}

impl Backup {
    /// A new one: `<app>.<addon>.<seconds>-<random>`, unique on this host and telling what it is of.
    pub(crate) fn new(cx: &Context<'_>, addon: &AddonInstance) -> Self {
        let mut chance = [0; 3];
        cx.host.random(&mut chance);
        let [a, b, c] = chance;
        let made = cx.host.now().0;
        let id = format!(
            "{}.{}.{made}-{a:02x}{b:02x}{c:02x}",
            cx.plan.app, addon.name
        );
        Self {
            directory: directory(cx, cx.plan.app),
            id: BackupId(id),
        }
    }

    /// The one with this id, which a person may have typed.
    pub(crate) fn named(cx: &Context<'_>, id: &BackupId) -> Result<Self> {
        let app = app_of(&id.0).ok_or_else(|| {
            Abort::new(format!("`{}` is not a backup's id", id.0))
                .hint("ids look like `shop.main.1800000000-3fa2c1`")
        })?;
        Ok(Self {
            directory: directory(cx, &app),
            id: id.clone(),
        })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join(format!("{}.sqlite3", self.id.0))
    }

    /// The file while it is written.
    pub(crate) fn partial(&self) -> PathBuf {
        self.directory.join(format!("{}.partial", self.id.0))
    }

    fn record_file(&self) -> PathBuf {
        self.directory.join(format!("{}.json", self.id.0))
    }

    /// Makes the directory, which only the agent can enter, and removes what an interrupted backup of this addon left.
    pub(crate) async fn prepare(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<()> {
        let host = cx.host;
        host.ensure_dir(&cx.dirs.data.join("backups"), 0o700, None)
            .await?;
        host.ensure_dir(&self.directory, 0o700, None).await?;
        let own = format!("{}.{}.", cx.plan.app, addon.name);
        for entry in host.list(&self.directory).await? {
            if entry.name.starts_with(&own) && entry.name.contains(".partial") {
                let path = self.directory.join(entry.name);
                host.remove_beneath(&self.directory, &path).await?;
            }
        }
        Ok(())
    }

    /// Puts the finished file in its place, then the record that makes it count.
    pub(crate) async fn finish(
        &self,
        cx: &Context<'_>,
        addon: &AddonInstance,
        report: Report,
    ) -> Result<()> {
        cx.host.rename(&self.partial(), &self.file()).await?;
        let record = Record {
            id: self.id.clone(),
            app: cx.plan.app.clone(),
            addon: addon.name.clone(),
            made: cx.host.now(),
            sha256: report.sha256.unwrap_or_default(),
            size: report.size,
            version: report.version,
        };
        let text = serde_json::to_vec_pretty(&record)
            .map_err(|e| PluginError::other("could not write a backup's record", e))?;
        let file = FileWrite::private(self.record_file(), text);
        Ok(cx.host.write_atomic(file).await?)
    }

    pub(crate) async fn record(&self, cx: &Context<'_>) -> Result<Record> {
        let Some(text) = cx.host.read(&self.record_file()).await? else {
            return Err(Abort::new(format!("there is no backup `{}`", self.id.0)).into());
        };
        serde_json::from_slice(&text).map_err(|e| {
            PluginError::other(
                format!("could not read the record of the backup `{}`", self.id.0),
                e,
            )
        })
    }
}

fn directory(cx: &Context<'_>, app: &AppName) -> PathBuf {
    cx.dirs.data.join("backups").join(app.as_str())
}

/// The app of an id, if every part of it follows its grammar: an id never becomes a path that leads elsewhere.
fn app_of(id: &str) -> Option<AppName> {
    let mut parts = id.split('.');
    let (app, addon, moment) = (parts.next()?, parts.next()?, parts.next()?);
    let (seconds, chance) = moment.split_once('-')?;
    let whole = seconds.bytes().all(|b| b.is_ascii_digit())
        && chance.bytes().all(|b| b.is_ascii_hexdigit())
        && !seconds.is_empty()
        && chance.len() == 6
        && parts.next().is_none();
    AddonName::parse(addon).ok().filter(|_| whole)?;
    AppName::parse(app).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_no_id_never_becomes_a_path() {
        assert_eq!(
            app_of("shop.main.1800000000-3fa2c1").unwrap().as_str(),
            "shop"
        );
        for bad in [
            "",
            "shop",
            "../x.main.1-3fa2c1",
            "shop./etc.1-3fa2c1",
            "shop.main.1-3fa2c1/..",
            "shop.main.x-3fa2c1",
            "shop.main.1-3fa2c1.x",
            "shop.main.-3fa2c1",
        ] {
            assert!(app_of(bad).is_none(), "{bad}");
        }
    }
}
