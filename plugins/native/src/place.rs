//! Where a release's supervisor is found: names that follow from installation, app and release alone.

use std::path::{Path, PathBuf};

use hop3_plugin_api::{Abort, Digest, HostContext, ReleaseId, Result};

/// The longest path that a unix socket can have: `sun_path` holds 108 bytes with its final zero.
const SOCKET_PATH_LIMIT: usize = 107;

/// The names of one release's supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Twelve hex digits, different for every release of every app of every installation.
    pub(crate) id: String,
    /// The control socket.
    pub(crate) socket: PathBuf,
    /// The stamp.
    pub(crate) stamp: PathBuf,
}

impl Place {
    /// Derives the names; refuses a run directory whose path leaves no room for a socket.
    pub(crate) fn of(cx: &HostContext<'_>, state: &Path, release: &ReleaseId) -> Result<Self> {
        let id = Digest::of(&(cx.install, &release.app, release.number))
            .short()
            .to_owned();
        let socket = cx.dirs.run.join(format!("{id}.sock"));
        if socket.as_os_str().len() > SOCKET_PATH_LIMIT {
            return Err(Abort::new(format!(
                "the socket path `{}` is longer than {SOCKET_PATH_LIMIT} bytes",
                socket.display()
            ))
            .hint("set a shorter `run-dir` in agent.toml")
            .into());
        }
        let stamp = state.join(stamp_name(release.number));
        Ok(Self { id, socket, stamp })
    }
}

impl Place {
    /// What marks the release's one-off commands: apart from its instances, which have marks that begin with `id`.
    pub(crate) fn commands(&self) -> String {
        format!("command-{}", self.id)
    }
}

/// The file name of a release's stamp. The prefix keeps it apart from those of other deployers.
pub(crate) fn stamp_name(number: u32) -> String {
    format!("native-{number}.json")
}

/// The release number in a stamp's file name.
pub(crate) fn stamped_release(file_name: &str) -> Option<u32> {
    file_name
        .strip_prefix("native-")?
        .strip_suffix(".json")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stamps_own_name_is_read_as_one() {
        assert_eq!(stamped_release(&stamp_name(12)), Some(12));
        for other in [
            "12.json",
            "native-.json",
            "native-x.json",
            "native-12.json.new",
        ] {
            assert_eq!(stamped_release(other), None, "{other}");
        }
    }
}
