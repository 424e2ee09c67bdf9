//! Reading the stamps that supervisors leave.

use std::path::Path;

use hop3_plugin_api::{AppName, FileKind, Host, HostContext, Level, Owned, Result};

use crate::place::stamped_release;
use crate::stamp::Stamp;

/// A stamp, `None` when there is none or it cannot be read: what it says is then found out by asking.
pub(super) async fn read(host: &dyn Host, path: &Path) -> Result<Option<Stamp>> {
    let content = host.read(path).await?;
    Ok(content.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Everything of this installation, by the stamps in all apps' state directories.
pub(super) async fn owned(cx: &HostContext<'_>) -> Result<Vec<Owned>> {
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
pub(super) async fn owned_of(cx: &HostContext<'_>, app: &AppName) -> Result<Vec<Owned>> {
    let state = cx.dirs.data.join("apps").join(app.as_str()).join("state");
    let mut owned = Vec::new();
    collect(cx, &state, &mut owned).await?;
    Ok(owned)
}

async fn collect(cx: &HostContext<'_>, state: &Path, owned: &mut Vec<Owned>) -> Result<()> {
    for entry in cx.host.list(state).await? {
        if stamped_release(&entry.name).is_none() {
            continue;
        }
        let path = state.join(&entry.name);
        match read(cx.host, &path).await? {
            Some(stamp) if stamp.install == cx.install => owned.push(describe(cx.host, stamp)),
            Some(_) => {}
            None => cx.log.say(
                Level::Warn,
                &format!("Ignored the unreadable stamp `{}`.", path.display()),
            ),
        }
    }
    Ok(())
}

fn describe(host: &dyn Host, stamp: Stamp) -> Owned {
    let pid = stamp.supervisor.pid;
    let what = if host.is_running(&stamp.supervisor) {
        format!("supervisor {pid}")
    } else {
        format!("what supervisor {pid} left, which is gone")
    };
    Owned {
        app: stamp.release.app.clone(),
        release: Some(stamp.release),
        what,
    }
}
