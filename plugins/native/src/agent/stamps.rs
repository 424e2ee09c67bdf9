//! Reading the stamps that supervisors leave.

use std::path::Path;

use hop3_plugin_api::{AppName, Host, HostContext, Level, Owned, Result};

use crate::place::stamped_release;
use crate::stamp::Stamp;

/// A stamp, `None` when there is none or it cannot be read: what it says is then found out by asking.
pub(super) async fn read(host: &dyn Host, path: &Path) -> Result<Option<Stamp>> {
    let content = host.read(path).await?;
    Ok(content.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// What this installation has running or left, by the stamps of all apps, or of one.
pub(super) async fn owned(cx: &HostContext<'_>, app: Option<&AppName>) -> Result<Vec<Owned>> {
    let mut owned = Vec::new();
    for path in cx
        .stamps(app, |name| stamped_release(name).is_some())
        .await?
    {
        match read(cx.host, &path).await? {
            Some(stamp) if stamp.install == cx.install => owned.push(describe(cx.host, stamp)),
            Some(_) => {}
            None => cx.log.say(
                Level::Warn,
                &format!("Ignored the unreadable stamp `{}`.", path.display()),
            ),
        }
    }
    Ok(owned)
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
