//! What runs on a test's host, as stamps and the system say.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::host::TestHost;
use super::processes::{self, Process};
use super::wait::until_some;

impl TestHost {
    /// Supervisors and instances by app and name, as their stamps say: `guestbook web.0`. Only those that live.
    pub(crate) fn app_processes(&self) -> BTreeMap<String, Process> {
        let mut found = BTreeMap::new();
        for app in fs::read_dir(self.path("data/apps"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = app.file_name().into_string().unwrap();
            for stamp in native_stamps(&app.path().join("state")) {
                note_processes(&name, &stamp, &mut found);
            }
        }
        found
    }

    /// All processes of this host, the agent and the proxy among them.
    pub(crate) fn processes(&self) -> Vec<Process> {
        processes::of_directory(self.root())
    }

    /// The process that holds the proxy's listeners.
    pub(crate) fn proxy_holder(&self) -> Process {
        self.one_process("internal-proxy")
    }

    /// The process that answers requests.
    pub(crate) fn proxy_worker(&self) -> Process {
        self.one_process("internal-proxy-worker")
    }

    fn one_process(&self, helper: &str) -> Process {
        let only = || {
            let mut processes = self.processes();
            processes.retain(|process| process.is_helper(helper));
            (processes.len() == 1).then(|| processes.remove(0))
        };
        until_some(&format!("exactly one `{helper}`"), only)
    }
}

fn native_stamps(state: &Path) -> Vec<Value> {
    let files = fs::read_dir(state).into_iter().flatten().flatten();
    files
        .filter(|file| file.file_name().to_string_lossy().starts_with("native-"))
        .filter_map(|file| serde_json::from_slice(&fs::read(file.path()).ok()?).ok())
        .collect()
}

fn note_processes(app: &str, stamp: &Value, found: &mut BTreeMap<String, Process>) {
    let mut note = |name: String, stamped: &Value| {
        let pid = stamped["pid"].as_u64().and_then(|pid| pid.try_into().ok());
        let process = pid.and_then(Process::find);
        if let Some(process) = process.filter(|it| stamped["start-time"] == it.start_time) {
            found.insert(name, process);
        }
    };
    let release = &stamp["release"]["number"];
    note(format!("{app} {release} supervisor"), &stamp["supervisor"]);
    for instance in stamp["instances"].as_array().into_iter().flatten() {
        let (worker, index) = (instance["worker"].as_str().unwrap(), &instance["index"]);
        note(
            format!("{app} {release} {worker}.{index}"),
            &instance["process"],
        );
    }
}
