//! What is said on a supervisor's control socket: one JSON line there, one back, then the connection ends.
//!
//! Versioned and additive: unknown fields are ignored, missing ones have defaults, and an agent of another version may ask.

use hop3_plugin_api::{Counts, ProcessId, WorkerName};
use serde::{Deserialize, Serialize};

use crate::document::Ports;

/// The version that both sides write.
pub(crate) const VERSION: u32 = 1;

/// The longest request or reply that is read.
pub(crate) const LINE_LIMIT: usize = 256 * 1024;

/// What the agent asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// [`VERSION`].
    pub(crate) v: u32,
    /// What to do.
    #[serde(flatten)]
    pub(crate) act: Act,
}

/// What a supervisor can be asked to do. It answers each with its state afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Act {
    /// Nothing: is anybody there?
    Ping,
    /// Nothing: how are the instances?
    Status,
    /// Have exactly so many instances; new routed ones listen on these ports.
    Scale {
        /// By worker; those left out have none.
        counts: Counts,
        /// Of instances that do not exist yet.
        #[serde(default)]
        ports: Ports,
    },
    /// End everything and then itself. Answered at once.
    Stop,
}

impl Act {
    /// The line to send, without its newline.
    pub(crate) fn line(self) -> String {
        serde_json::to_string(&Request {
            v: VERSION,
            act: self,
        })
        .expect("a request serialises")
    }
}

/// What the supervisor answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Reply {
    /// [`VERSION`].
    pub(crate) v: u32,
    /// Why it did not do what it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The supervisor itself.
    pub(crate) supervisor: Option<ProcessId>,
    /// Milliseconds between TERM and KILL.
    pub(crate) stop_grace_ms: u64,
    /// Whether it is ending.
    pub(crate) stopping: bool,
    /// Its instances by worker and index.
    pub(crate) instances: Vec<InstanceReport>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct InstanceReport {
    /// Its worker.
    pub(crate) worker: WorkerName,
    /// Its index.
    pub(crate) index: u16,
    /// Its port, when it is routed.
    #[serde(default)]
    pub(crate) port: Option<u16>,
    /// Its process, while it has one.
    #[serde(default)]
    pub(crate) process: Option<ProcessId>,
    /// What it is doing.
    pub(crate) state: InstanceState,
    /// How often it was started again after a crash.
    #[serde(default)]
    pub(crate) restarts: u32,
    /// How it ended last, if it did.
    #[serde(default)]
    pub(crate) last_exit: Option<String>,
}

/// What an instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InstanceState {
    /// It runs.
    Running,
    /// It ended and will be started again.
    Waiting,
    /// It is being ended and will not come back.
    Ending,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn requests_have_these_very_lines() {
        assert_eq!(Act::Status.line(), r#"{"v":1,"do":"status"}"#);
        let scale = Act::Scale {
            counts: BTreeMap::from([(WorkerName::parse("web").unwrap(), 2)]),
            ports: BTreeMap::from([("web.1".to_owned(), 4711)]),
        };
        assert_eq!(
            scale.line(),
            r#"{"v":1,"do":"scale","counts":{"web":2},"ports":{"web.1":4711}}"#
        );
    }

    #[test]
    fn a_request_of_a_later_version_is_understood_as_far_as_it_is_known() {
        let later = r#"{"v":9,"do":"scale","counts":{"web":1},"surge":true}"#;
        let request: Request = serde_json::from_str(later).unwrap();
        assert!(matches!(request.act, Act::Scale { .. }));
        assert!(serde_json::from_str::<Request>(r#"{"v":1,"do":"dance"}"#).is_err());
    }

    #[test]
    fn a_reply_of_an_earlier_version_lacks_nothing_that_matters() {
        let earlier = r#"{"v":1,"instances":[{"worker":"web","index":0,"state":"running"}]}"#;
        let reply: Reply = serde_json::from_str(earlier).unwrap();
        assert_eq!(reply.instances[0].restarts, 0);
        assert_eq!(reply.error, None);
    }
}
