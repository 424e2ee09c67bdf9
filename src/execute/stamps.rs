//! Writes the stamped files that `observe` reads.

use hop3_plugin_api::serde::Serialize;
use hop3_plugin_api::{FileWrite, Host, PluginError, Result};
use std::path::PathBuf;

use crate::machine::Machine;
use crate::observe::{StateFiles, read_json};
use crate::release::Release;

/// Effect: writes a value as a file that only the agent reads.
pub(crate) async fn write<T: Serialize + Sync>(
    host: &dyn Host,
    path: PathBuf,
    value: &T,
) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| PluginError::other(format!("could not write `{}`", path.display()), e))?;
    host.write_atomic(FileWrite::private(path, bytes)).await?;
    Ok(())
}

/// Effect: makes the directories of an app.
pub(crate) async fn directories(
    machine: &Machine,
    files: &StateFiles,
    user: Option<hop3_plugin_api::UserId>,
) -> Result<()> {
    let host = machine.host.as_ref();
    let group = user.map(|user| hop3_plugin_api::UserId {
        uid: 0,
        gid: user.gid,
    });
    host.ensure_dir(files.app(), 0o750, group).await?;
    for (name, mode, owner) in [
        ("releases", 0o755, None),
        ("layers", 0o755, None),
        ("data", 0o700, user),
        ("cache", 0o700, user),
        ("log", 0o750, None),
        ("state", 0o700, None),
    ] {
        host.ensure_dir(&files.app().join(name), mode, owner)
            .await?;
    }
    host.remove_beneath(files.app(), &files.tombstone()).await?;
    Ok(())
}

/// Effect: takes the next release number; none is ever used twice.
pub(crate) async fn next_number(host: &dyn Host, files: &StateFiles, highest: u32) -> Result<u32> {
    let counted: Option<u32> = read_json(host, &files.counter()).await?;
    let number = counted.unwrap_or(0).max(highest) + 1;
    write(host, files.counter(), &number).await?;
    Ok(number)
}

/// Effect: makes a release the current one.
pub(crate) async fn set_current(
    host: &dyn Host,
    files: &StateFiles,
    release: &Release,
) -> Result<()> {
    // The link is for people; the number says that both are done.
    host.ensure_link(
        &files.current(),
        &PathBuf::from("releases").join(release.id.number.to_string()),
    )
    .await?;
    write(host, files.current_number(), &release.id.number).await
}
