//! Asking a supervisor.

use std::path::Path;
use std::time::Duration;

use hop3_plugin_api::{Host, PluginError, Result};

use crate::protocol::{Act, Reply};

/// For one exchange: a supervisor answers between two other things that it does, all of them short.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the supervisor answers; `None` when nobody listens there.
pub(super) async fn ask(host: &dyn Host, socket: &Path, act: Act) -> Result<Option<Reply>> {
    let Some(line) = host.ask(socket, &act.line(), TIMEOUT).await? else {
        return Ok(None);
    };
    let reply: Reply = serde_json::from_str(&line)
        .map_err(|e| PluginError::other("could not understand the supervisor's answer", e))?;
    match reply.error {
        None => Ok(Some(reply)),
        Some(error) => Err(PluginError::other(
            "the supervisor refused a request",
            error,
        )),
    }
}

/// The same where there must be one.
pub(super) async fn require(host: &dyn Host, socket: &Path, act: Act) -> Result<Reply> {
    ask(host, socket, act).await?.ok_or_else(|| {
        PluginError::other(
            "could not reach the supervisor",
            format!("nobody answers at `{}`", socket.display()),
        )
    })
}
