//! What a supervisor leaves on disk so that a later agent finds it and its instances again. Holds no secret and no command.

use std::path::PathBuf;

use hop3_plugin_api::{ProcessId, ReleaseId, WorkerName};
use serde::{Deserialize, Serialize};

/// The version of [`Stamp`]. Additive like the protocol.
pub(crate) const STAMP_FORMAT: u32 = 1;

/// A supervisor's stamp, rewritten whenever an instance starts or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Stamp {
    /// [`STAMP_FORMAT`].
    pub(crate) format: u32,
    /// The installation.
    pub(crate) install: String,
    /// The release.
    pub(crate) release: ReleaseId,
    /// The supervisor.
    pub(crate) supervisor: ProcessId,
    /// Its control socket.
    pub(crate) socket: PathBuf,
    /// Milliseconds between TERM and KILL.
    #[serde(default)]
    pub(crate) stop_grace_ms: u64,
    /// Its instances.
    #[serde(default)]
    pub(crate) instances: Vec<StampedInstance>,
}

/// One instance in a stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct StampedInstance {
    /// Its worker.
    pub(crate) worker: WorkerName,
    /// Its index.
    pub(crate) index: u16,
    /// Its process, while it has one.
    #[serde(default)]
    pub(crate) process: Option<ProcessId>,
    /// Its port, when it is routed.
    #[serde(default)]
    pub(crate) port: Option<u16>,
}
