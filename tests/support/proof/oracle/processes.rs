//! I5, I6 and I7 for processes: exactly those that the stamps of current releases name, as the agent says, and none that grows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::ground::Ground;
use super::super::process::{Process, use_of};
use super::{Expectation, Report};

/// The most memory that an agent without optimisation may hold, in KiB, and the most files open.
const MEMORY: u64 = 160 * 1024;
const FILES: usize = 160;

pub(super) fn complaints(ground: &Ground, report: &Report, expected: &Expectation) -> Vec<String> {
    let processes = ground.processes();
    let mut found = proxies(&processes);
    let mut accounted = BTreeSet::new();
    for (app, wanted) in &expected.apps {
        let stamped = Stamped::of(ground, app);
        found.extend(stamped.complaints(app, wanted.instances, &processes));
        found.extend(told(report, app, &stamped));
        accounted.extend(stamped.numbers());
    }
    found.extend(orphans(&processes, accounted, report.agent));
    found.extend(report.agent.into_iter().flat_map(bounded));
    found
}

/// I5: one holder of the listeners, one worker.
fn proxies(processes: &BTreeSet<Process>) -> Vec<String> {
    let count = |name: &str| processes.iter().filter(|it| it.is_helper(name)).count();
    let helpers = ["internal-proxy", "internal-proxy-worker"];
    let wrong = helpers.iter().filter(|name| count(name) != 1);
    wrong
        .map(|name| format!("I5 {} processes `{name}`: {processes:#?}", count(name)))
        .collect()
}

/// The supervisor and the instances of an app's current release, each by its number and start time: a process may still become another program.
pub(crate) fn serving(ground: &Ground, app: &str) -> BTreeSet<(u64, u64)> {
    Stamped::of(ground, app).identities
}

/// The processes of an app's current release, as its supervisor stamped them.
struct Stamped {
    supervisor: Option<u64>,
    /// Name and number.
    instances: Vec<(String, u64)>,
    /// Number and start time of all of them.
    identities: BTreeSet<(u64, u64)>,
}

impl Stamped {
    fn of(ground: &Ground, app: &str) -> Self {
        let state = ground.app(app).join("state");
        let read = |name: &str| {
            let text = std::fs::read_to_string(state.join(name)).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        };
        let current = read("current.json").and_then(|number| number.as_u64());
        let stamp = current.and_then(|number| read(&format!("native-{number}.json")));
        let stamp = stamp.unwrap_or_default();
        let instances = || stamp["instances"].as_array().into_iter().flatten();
        let identity = |it: &Value| Some((it["pid"].as_u64()?, it["start-time"].as_u64()?));
        let of_instances = instances().filter_map(|it| identity(&it["process"]));
        let identities = identity(&stamp["supervisor"]).into_iter();
        let identities = identities.chain(of_instances).collect();
        let named = |instance: &Value| {
            let (worker, index) = (instance["worker"].as_str()?, &instance["index"]);
            let pid = instance["process"]["pid"].as_u64()?;
            Some((format!("{worker}.{index}"), pid))
        };
        let mut instances: Vec<_> = instances().filter_map(named).collect();
        instances.sort();
        Self {
            identities,
            supervisor: stamp["supervisor"]["pid"].as_u64(),
            instances,
        }
    }

    fn numbers(&self) -> impl Iterator<Item = u64> {
        let instances = self.instances.iter().map(|(_, pid)| *pid);
        self.supervisor.into_iter().chain(instances)
    }

    /// I5: exactly the wanted instances, each a living process.
    fn complaints(&self, app: &str, wanted: &[&str], processes: &BTreeSet<Process>) -> Vec<String> {
        let mut found = Vec::new();
        let names: Vec<&str> = self.instances.iter().map(|(name, _)| &**name).collect();
        if names != wanted {
            found.push(format!(
                "I5 {app} should have the instances {wanted:?}, and has {names:?}"
            ));
        }
        if self.supervisor.is_some() == wanted.is_empty() {
            found.push(format!("I5 {app} has the supervisor {:?}", self.supervisor));
        }
        let lives = |pid: &u64| processes.iter().any(|it| u64::from(it.pid) == *pid);
        let dead: Vec<u64> = self.numbers().filter(|pid| !lives(pid)).collect();
        if !dead.is_empty() {
            found.push(format!("I5 of {app} these do not live: {dead:?}"));
        }
        found
    }
}

/// I6: the agent tells of the instances that there are, and of no other.
fn told(report: &Report, app: &str, stamped: &Stamped) -> Vec<String> {
    let status = report.app(app).cloned().unwrap_or_default();
    let instances = status["instances"].as_array().into_iter().flatten();
    let of = |status: &Value| {
        let (worker, index) = (&status["instance"]["worker"], &status["instance"]["index"]);
        (status["liveness"] == "running").then(|| format!("{}.{index}", worker.as_str().unwrap()))
    };
    let mut told: Vec<_> = instances.filter_map(of).collect();
    told.sort();
    let names = stamped.instances.iter().map(|(name, _)| name.clone());
    let mut there: Vec<String> = names.collect();
    if there.is_empty() {
        // Files are told of as the one thing that serves.
        there.push("web.0".to_owned());
    }
    if told == there {
        return Vec::new();
    }
    vec![format!(
        "I6 of {app} the agent tells {told:?}, and there is {there:?}: {status}"
    )]
}

/// I5: nothing runs that is not accounted for, or a descendant of what is.
fn orphans(
    processes: &BTreeSet<Process>,
    mut accounted: BTreeSet<u64>,
    agent: Option<u32>,
) -> Vec<String> {
    accounted.extend(agent.map(u64::from));
    let is_proxy =
        |it: &Process| it.is_helper("internal-proxy") || it.is_helper("internal-proxy-worker");
    let proxies = processes.iter().filter(|process| is_proxy(process));
    accounted.extend(proxies.map(|process| u64::from(process.pid)));
    loop {
        let heirs: BTreeSet<u64> = processes
            .iter()
            .filter(|it| accounted.contains(&u64::from(it.parent)))
            // An agent's own children are at work; at rest there are none.
            .filter(|it| Some(it.parent) != agent)
            .map(|it| u64::from(it.pid))
            .collect();
        if heirs.is_subset(&accounted) {
            break;
        }
        accounted.extend(heirs);
    }
    let strangers = processes
        .iter()
        .filter(|it| !accounted.contains(&u64::from(it.pid)));
    strangers
        .map(|process| format!("I5 an orphan: {process:?}"))
        .collect()
}

/// I7: the agent's memory and open files.
fn bounded(agent: u32) -> Vec<String> {
    let (memory, files) = use_of(agent);
    if memory <= MEMORY && files <= FILES {
        return Vec::new();
    }
    vec![format!(
        "I7 the agent holds {memory} KiB and has {files} files open"
    )]
}
