//! The addon: a file `<name>.sqlite3` in the app's data directory, which belongs to the app's user.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hop3_plugin_api::{
    Abort, Addon, AddonInfo, AddonInstance, BackupId, Context, EnvKey, FileKind, FileWrite,
    HostContext, Owned, PluginError, Result, Secret, Verdict, async_trait,
};

use crate::backup::Backup;
use crate::engine::{Refusal, Report, Request};
use crate::helper;
use crate::settings::{JournalMode, SqliteSettings};
use crate::stamp::{self, Stamp};

const URL: &str = "DATABASE_URL";
const PATH: &str = "DATABASE_PATH";

/// What SQLite keeps beside a database file.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The addon.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqliteAddon;

#[async_trait]
impl Addon for SqliteAddon {
    fn name(&self) -> &'static str {
        crate::NAME
    }

    fn accept(&self, addon: &AddonInstance) -> Verdict {
        match SqliteSettings::of(&addon.settings) {
            Ok(_) => Verdict::Accept,
            Err(reason) => Verdict::Reject(reason),
        }
    }

    fn variables(&self) -> &'static [&'static str] {
        &[URL, PATH]
    }

    async fn create(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<()> {
        let there = database_exists(cx, addon).await?;
        match (stamp::read(cx, addon).await?, there) {
            (Some(Stamp { ready: true, .. }), true) => Ok(()),
            (Some(Stamp { ready: true, .. }), false) => Err(lost(cx, addon)),
            (None, true) => Err(not_ours(cx, addon)),
            (Some(stamp), true) => {
                remove_candidate(cx, addon).await?;
                mark_ready(cx, stamp).await
            }
            (None, false) => {
                let stamp = Stamp::new(cx, addon);
                stamp.write(cx.host, cx.paths).await?;
                make_database(cx, addon).await?;
                mark_ready(cx, stamp).await
            }
            (Some(stamp), false) => {
                make_database(cx, addon).await?;
                mark_ready(cx, stamp).await
            }
        }
    }

    /// Only what carries our stamp; without one there is nothing of ours.
    async fn destroy(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<()> {
        if stamp::read(cx, addon).await?.is_none() {
            return Ok(());
        }
        for suffix in COMPANIONS.into_iter().chain([""]) {
            let path = cx.paths.data.join(file_name(addon) + suffix);
            cx.host.remove_beneath(&cx.paths.data, &path).await?;
        }
        let stamp = stamp::path(cx.paths, &addon.name);
        Ok(cx.host.remove_beneath(&cx.paths.state, &stamp).await?)
    }

    async fn connection_details(
        &self,
        cx: &Context<'_>,
        addon: &AddonInstance,
    ) -> Result<BTreeMap<EnvKey, Secret>> {
        let path = database(cx, addon).display().to_string();
        Ok(BTreeMap::from([
            (
                EnvKey::parse(URL)?,
                Secret::new(format!("sqlite:///{path}")),
            ),
            (EnvKey::parse(PATH)?, Secret::new(path)),
        ]))
    }

    async fn backup(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<BackupId> {
        require_stamp(cx, addon).await?;
        let backup = Backup::new(cx, addon);
        backup.prepare(cx, addon).await?;
        let request = Request::Backup {
            from: database(cx, addon),
            to: backup.partial(),
        };
        let writable = vec![cx.paths.data.clone(), backup.directory.clone()];
        match helper::ask(cx, &request, writable).await? {
            Ok(report) => backup.finish(cx, addon, report).await?,
            Err(refusal) => {
                backup.prepare(cx, addon).await?;
                return Err(refused("back up", addon, refusal));
            }
        }
        Ok(backup.id)
    }

    async fn restore(
        &self,
        cx: &Context<'_>,
        addon: &AddonInstance,
        backup: &BackupId,
    ) -> Result<()> {
        let stamp = require_stamp(cx, addon).await?;
        let backup = Backup::named(cx, backup)?;
        let record = backup.record(cx).await?;
        if !database_exists(cx, addon).await? {
            make_database(cx, addon).await?;
            mark_ready(cx, stamp).await?;
        }
        let request = Request::Restore {
            from: backup.file(),
            to: database(cx, addon),
            sha256: record.sha256,
            journal: journal(addon)?,
        };
        let writable = vec![cx.paths.data.clone(), backup.directory.clone()];
        let restored = helper::ask(cx, &request, writable).await?;
        restored
            .map(drop)
            .map_err(|refusal| refused("restore", addon, refusal))
    }

    async fn info(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<AddonInfo> {
        if stamp::read(cx, addon).await?.is_none() || !database_exists(cx, addon).await? {
            return Ok(with_status("missing"));
        }
        let path = database(cx, addon);
        let address = Some(path.display().to_string());
        let request = Request::Inspect { path };
        Ok(
            match helper::ask(cx, &request, vec![cx.paths.data.clone()]).await? {
                Ok(Report { size, version, .. }) => AddonInfo {
                    version: Some(version),
                    address,
                    size: Some(size),
                    ..with_status("ready")
                },
                Err(refusal) => AddonInfo {
                    address,
                    ..with_status(&reason(refusal))
                },
            },
        )
    }

    async fn rotate(&self, _cx: &Context<'_>, addon: &AddonInstance) -> Result<()> {
        Err(Abort::new(format!(
            "the sqlite database `{}` has no credentials to replace",
            addon.name
        ))
        .into())
    }

    /// Nothing to take away: the file can be reached by the app's own user alone, and goes or stays with the app's data.
    async fn detach(&self, _cx: &Context<'_>, _addon: &AddonInstance) -> Result<()> {
        Ok(())
    }

    async fn observe(&self, cx: &HostContext<'_>) -> Result<Vec<Owned>> {
        stamp::observe(cx).await
    }
}

fn file_name(addon: &AddonInstance) -> String {
    format!("{}.sqlite3", addon.name)
}

fn database(cx: &Context<'_>, addon: &AddonInstance) -> PathBuf {
    cx.paths.data.join(file_name(addon))
}

/// Anything at its place counts, also a link: it is not ours to replace.
async fn database_exists(cx: &Context<'_>, addon: &AddonInstance) -> Result<bool> {
    let name = file_name(addon);
    let entries = cx.host.list(&cx.paths.data).await?;
    let entry = entries.into_iter().find(|entry| entry.name == name);
    match entry.map(|entry| entry.kind) {
        None => Ok(false),
        Some(FileKind::File) => Ok(true),
        Some(_) => Err(Abort::new(format!(
            "`{}` is not a regular file",
            database(cx, addon).display()
        ))
        .into()),
    }
}

/// Made where the app cannot reach it, then put in place as a whole: the app's directory is never written to by name.
async fn make_database(cx: &Context<'_>, addon: &AddonInstance) -> Result<()> {
    let candidate = candidate(cx, addon);
    remove_candidate(cx, addon).await?;
    let request = Request::Create {
        path: candidate.clone(),
        journal: journal(addon)?,
    };
    let made = helper::ask(cx, &request, vec![cx.paths.state.clone()]).await?;
    made.map_err(|refusal| refused("create", addon, refusal))?;
    let content = cx.host.read(&candidate).await?.unwrap_or_default();
    let file = FileWrite {
        owner: cx.user,
        ..FileWrite::private(database(cx, addon), content)
    };
    cx.host.write_atomic(file).await?;
    remove_candidate(cx, addon).await
}

fn candidate(cx: &Context<'_>, addon: &AddonInstance) -> PathBuf {
    cx.paths.state.join(format!("addon-{}.new", addon.name))
}

/// Also one that a crash left behind after the database was put in place.
async fn remove_candidate(cx: &Context<'_>, addon: &AddonInstance) -> Result<()> {
    let candidate = candidate(cx, addon);
    Ok(cx.host.remove_beneath(&cx.paths.state, &candidate).await?)
}

async fn mark_ready(cx: &Context<'_>, stamp: Stamp) -> Result<()> {
    let stamp = Stamp {
        ready: true,
        ..stamp
    };
    stamp.write(cx.host, cx.paths).await
}

async fn require_stamp(cx: &Context<'_>, addon: &AddonInstance) -> Result<Stamp> {
    let stamp = stamp::read(cx, addon).await?;
    stamp.ok_or_else(|| {
        Abort::new(format!(
            "`{}` has no sqlite database `{}`",
            cx.plan.app, addon.name
        ))
        .into()
    })
}

fn journal(addon: &AddonInstance) -> Result<JournalMode> {
    let settings = SqliteSettings::of(&addon.settings);
    let settings = settings.map_err(|message| PluginError::Config {
        message,
        hint: Some("write `wal` or `delete`".to_owned()),
    })?;
    Ok(settings.journal_mode)
}

fn not_ours(cx: &Context<'_>, addon: &AddonInstance) -> PluginError {
    let path = database(cx, addon);
    Abort::new(format!(
        "`{}` exists and was not made by this agent",
        path.display()
    ))
    .hint("move it away, create the addon, then import the data; or give the addon another name")
    .into()
}

fn lost(cx: &Context<'_>, addon: &AddonInstance) -> PluginError {
    let path = database(cx, addon);
    Abort::new(format!("the database `{}` is gone", path.display()))
        .hint("restore a backup of it, or destroy the addon to begin anew")
        .into()
}

fn with_status(status: &str) -> AddonInfo {
    AddonInfo {
        status: status.to_owned(),
        ..AddonInfo::default()
    }
}

fn refused(doing: &str, addon: &AddonInstance, refusal: Refusal) -> PluginError {
    let name = &addon.name;
    match refusal {
        Refusal::NotEmpty => Abort::new(format!(
            "the database `{name}` holds data, so no backup is restored into it"
        ))
        .hint("restore into a new addon, or destroy this one first")
        .into(),
        Refusal::Damaged(reason) => Abort::new(format!(
            "could not {doing} the database `{name}`, it is damaged: {reason}"
        ))
        .into(),
        Refusal::Failed(reason) => {
            PluginError::other(format!("could not {doing} the database `{name}`"), reason)
        }
    }
}

fn reason(refusal: Refusal) -> String {
    match refusal {
        Refusal::NotEmpty => "not empty".to_owned(),
        Refusal::Damaged(reason) => format!("damaged: {reason}"),
        Refusal::Failed(reason) => reason,
    }
}
