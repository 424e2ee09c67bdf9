//! What a supervisor is told over its standard input, and what it tells each instance over theirs. Never written to a file: these
//! documents hold plaintext, so they have no `Debug`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hop3_plugin_api::{Counts, Limits, ReleaseId, UserId, WorkerName, WorkerSpec};
use serde::{Deserialize, Serialize};

/// The version of [`LaunchDocument`]; writer and reader are the same binary.
pub(crate) const FORMAT: u32 = 1;

/// The variable that tells which instance a process belongs to, also when it has left every group.
pub(crate) const INSTANCE_VARIABLE: &str = "HOP3_INSTANCE";

/// Ports of instances, by `<worker>.<index>`.
pub(crate) type Ports = BTreeMap<String, u16>;

/// A release to supervise.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LaunchDocument {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// The installation.
    pub(crate) install: String,
    /// The release.
    pub(crate) release: ReleaseId,
    /// [`crate::place::Place::id`].
    pub(crate) id: String,
    /// The control socket; lock and FIFOs are made beside it.
    pub(crate) socket: PathBuf,
    /// Where the agent hears that an instance ended or started.
    #[serde(default)]
    pub(crate) nudge: Option<PathBuf>,
    /// The stamp.
    pub(crate) stamp: PathBuf,
    /// Where the instances' logs go.
    pub(crate) log_dir: PathBuf,
    /// The instances' working directory.
    pub(crate) dir: PathBuf,
    /// Hidden from instances, but for the next.
    pub(crate) data_dir: PathBuf,
    /// The app's own directory beneath it.
    pub(crate) app_dir: PathBuf,
    /// Who they run as; the supervisor's own user when absent.
    pub(crate) user: Option<UserId>,
    /// What each may use.
    pub(crate) limits: Limits,
    /// Between TERM and KILL.
    pub(crate) stop_grace: Duration,
    /// What all instances share of their environment.
    pub(crate) env: BTreeMap<String, String>,
    /// All workers of the release, also those that have no instance now.
    pub(crate) workers: BTreeMap<WorkerName, WorkerSpec>,
    /// How many instances to start.
    pub(crate) counts: Counts,
    /// Where the routed ones listen.
    pub(crate) ports: Ports,
}

/// One instance to become.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct InstanceDocument {
    /// The supervisor, without which the instance must not be.
    pub(crate) parent: u32,
    /// Who to become.
    pub(crate) user: Option<UserId>,
    /// What it may use.
    pub(crate) limits: Limits,
    /// The working directory.
    pub(crate) dir: PathBuf,
    /// Hidden, but for the next.
    pub(crate) data_dir: PathBuf,
    /// The app's own directory beneath it.
    pub(crate) app_dir: PathBuf,
    /// Where its output was made, which it may open again by name.
    pub(crate) run_dir: PathBuf,
    /// The app's command line.
    pub(crate) command: String,
    /// The whole environment.
    pub(crate) env: BTreeMap<String, String>,
}

/// The name of an instance within its release, of its log and of its port.
pub(crate) fn instance_name(worker: &WorkerName, index: u16) -> String {
    format!("{worker}.{index}")
}

impl LaunchDocument {
    /// The environment of one instance: the shared one, its identity, and its port if it has one.
    pub(crate) fn instance_env(&self, name: &str, port: Option<u16>) -> BTreeMap<String, String> {
        let mut env = self.env.clone();
        env.insert(INSTANCE_VARIABLE.to_owned(), format!("{}.{name}", self.id));
        if let Some(port) = port {
            env.insert("PORT".to_owned(), port.to_string());
            env.insert("BIND_ADDRESS".to_owned(), "127.0.0.1".to_owned());
        }
        env
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hop3_plugin_api::AppName;

    fn document() -> LaunchDocument {
        LaunchDocument {
            format: FORMAT,
            install: "i".to_owned(),
            release: ReleaseId {
                app: AppName::parse("shop").unwrap(),
                number: 7,
            },
            id: "0123456789ab".to_owned(),
            socket: "/run/x.sock".into(),
            nudge: None,
            stamp: "/state/native-7.json".into(),
            log_dir: "/log".into(),
            dir: "/app".into(),
            data_dir: "/data".into(),
            app_dir: "/data/apps/shop".into(),
            user: None,
            limits: Limits::default(),
            stop_grace: Duration::from_secs(10),
            env: BTreeMap::from([("PORT".to_owned(), "99".to_owned())]),
            workers: BTreeMap::new(),
            counts: Counts::new(),
            ports: Ports::new(),
        }
    }

    #[test]
    fn a_routed_instance_gets_its_own_port_whatever_the_spec_says() {
        let env = document().instance_env("web.1", Some(4711));
        assert_eq!(env["PORT"], "4711");
        assert_eq!(env["BIND_ADDRESS"], "127.0.0.1");
        assert_eq!(env["HOP3_INSTANCE"], "0123456789ab.web.1");
    }

    #[test]
    fn a_worker_without_a_route_keeps_the_variables_of_the_spec() {
        let env = document().instance_env("queue.0", None);
        assert_eq!(env["PORT"], "99");
        assert!(!env.contains_key("BIND_ADDRESS"));
    }

    #[test]
    fn every_value_survives_the_way_through_the_document() {
        let mut sent = document();
        for (index, value) in ["'\"`$HOME\\", "a\nb\r\n\t", "ü𝄞\u{202e}", "%h %%", "", " "]
            .into_iter()
            .enumerate()
        {
            sent.env.insert(format!("V{index}"), value.to_owned());
        }
        let text = serde_json::to_string(&sent).unwrap();
        let received: LaunchDocument = serde_json::from_str(&text).unwrap();
        assert_eq!(received.env, sent.env);
        assert_eq!(received.stop_grace, Duration::from_secs(10));
    }
}
