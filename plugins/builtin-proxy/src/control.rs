//! The words of the control socket: one JSON line asks, one answers. Shared by the agent's side, the holder and the worker.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hop3_plugin_api::{AppName, Digest, ReleaseId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest path of a unix socket that the kernel takes.
pub(crate) const SOCKET_PATH_LIMIT: usize = 107;

/// The longest line that either side reads.
pub(crate) const LINE_LIMIT: usize = 4 * 1024 * 1024;

/// The socket of the worker that serves new connections.
pub(crate) fn current_socket(run: &Path) -> PathBuf {
    run.join("proxy.sock")
}

/// The socket of one worker, current or retired.
pub(crate) fn worker_socket(run: &Path, pid: u32) -> PathBuf {
    run.join(format!("proxy-{pid}.sock"))
}

/// Whether a file name is that of a worker's socket.
pub(crate) fn is_worker_socket(name: &str) -> bool {
    name.strip_prefix("proxy-")
        .and_then(|rest| rest.strip_suffix(".sock"))
        .is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()))
}

/// What a worker can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// What it does.
    Status {
        /// The apps of which the digests of sites are told; of all when absent, as older agents ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<BTreeSet<AppName>>,
    },
    /// To read `config.json` and use it. Answers with the status, or refuses and keeps what it had.
    Reload {
        /// The same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<BTreeSet<AppName>>,
    },
    /// How many requests to a release it has in flight.
    Drain {
        /// The release.
        release: ReleaseId,
    },
    /// For its listening sockets, which come along with the answer.
    Listeners,
    /// To accept nothing more, finish what it has, and end. Asked again, the shorter time counts.
    Retire {
        /// After so many seconds it ends anyway.
        grace: u64,
    },
}

/// What a worker answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// What it does.
    Status(Box<Status>),
    /// So many requests.
    InFlight(usize),
    /// The addresses that were asked for, in the order of the sockets that come along.
    Listeners(Vec<SocketAddr>),
    /// It will end.
    Retiring,
    /// It does not, and why.
    Refused(String),
}

/// What a worker does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Status {
    /// The version of its binary.
    pub(crate) version: String,
    /// What it was started with, untyped: another version may have written it.
    pub(crate) launch: Value,
    /// Its process.
    pub(crate) worker: u32,
    /// Its holder, while that lives.
    pub(crate) holder: Option<u32>,
    /// How many documents it has taken since it started.
    pub(crate) generation: u64,
    /// The digest of the document in use.
    pub(crate) config: Option<Digest>,
    /// The digest of each site in use, of the apps that were asked for.
    pub(crate) sites: BTreeMap<AppName, Digest>,
    /// Its listeners.
    pub(crate) listeners: Vec<ListenerStatus>,
    /// Open connections of clients, web sockets among them.
    pub(crate) connections: usize,
    /// Requests in flight by release.
    pub(crate) in_flight: BTreeMap<String, usize>,
    /// What is wrong.
    pub(crate) problem: Option<String>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ListenerStatus {
    /// The address as set.
    pub(crate) asked: SocketAddr,
    /// The address in use, which differs for port 0.
    pub(crate) bound: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line_of_json() {
        let release = ReleaseId {
            app: AppName::parse("shop").unwrap(),
            number: 3,
        };
        assert_eq!(
            serde_json::to_string(&Request::Drain { release }).unwrap(),
            r#"{"op":"drain","release":{"app":"shop","number":3}}"#
        );
        assert_eq!(
            serde_json::to_string(&Request::Status { of: None }).unwrap(),
            r#"{"op":"status"}"#
        );
        assert_eq!(
            serde_json::from_str::<Request>(r#"{"op":"status"}"#).unwrap(),
            Request::Status { of: None }
        );
    }

    #[test]
    fn only_a_workers_socket_has_the_name_of_one() {
        assert!(is_worker_socket("proxy-12.sock"));
        for other in [
            "proxy.sock",
            "proxy-.sock",
            "proxy-a.sock",
            "proxy-1.sock.new",
        ] {
            assert!(!is_worker_socket(other), "{other}");
        }
    }
}
