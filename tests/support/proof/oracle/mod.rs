//! What holds when the faults are over: the invariants I1 to I9, one complaint for each broken one.
//!
//! I2 and I3 are about what happens meanwhile: whoever makes the fault compares processes and has visitors ask.

mod data;
mod files;
mod outputs;
mod processes;
mod quiet;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ground::Ground;
use super::life::Life;

pub(crate) use data::{entries, migrations};
pub(crate) use processes::serving;
pub(crate) use quiet::still;

/// What one app must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A path at which it answers.
    pub(crate) path: &'static str,
    /// What the answer contains.
    pub(crate) contains: String,
    /// Its instances, such as `web.0`.
    pub(crate) instances: &'static [&'static str],
    /// Whether it runs what the config repo asks for; else what it ran before.
    pub(crate) as_asked: bool,
}

/// What everything must be like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// Every app that must serve.
    pub(crate) apps: BTreeMap<String, Wanted>,
    /// Apps that the config repo speaks of and that cannot run: there is no good release of them.
    pub(crate) never_ran: BTreeSet<String>,
}

/// What an agent says, and what was said to people so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) status: Value,
    pub(crate) plan: Value,
    /// Whatever else was said: its name and its words.
    pub(crate) outputs: Vec<(&'static str, String)>,
    /// The agent, where it is a process of its own.
    pub(crate) agent: Option<u32>,
}

impl Report {
    /// What a living agent says.
    pub(crate) fn of(life: &Life, ground: &Ground) -> Result<Self, String> {
        let history = life.history()?.to_string();
        let log = std::fs::read_to_string(ground.path("agent.log")).unwrap_or_default();
        Ok(Self {
            status: life.settled()?,
            plan: life.plan()?,
            outputs: vec![("history", history), ("the agent's log", log)],
            agent: Some(life.pid()),
        })
    }

    fn app(&self, name: &str) -> Option<&Value> {
        let mut apps = self.status["apps"].as_array()?.iter();
        apps.find(|app| app["app"] == name)
    }
}

impl Expectation {
    /// With an app that must run as the config repo asks.
    pub(crate) fn with(
        mut self,
        app: &str,
        (path, contains): (&'static str, &str),
        instances: &'static [&'static str],
    ) -> Self {
        let wanted = Wanted {
            path,
            contains: contains.to_owned(),
            instances,
            as_asked: true,
        };
        self.apps.insert(app.to_owned(), wanted);
        self
    }

    /// The example as it is committed, at an edition of its own where it has one.
    pub(crate) fn of_example() -> Self {
        Self::default()
            .with("echo", ("/", "you asked for"), &["clock.0", "web.0"])
            .with("guestbook", ("/health", "ok"), &["web.0", "worker.0"])
            .with("site", ("/", "This page came from a commit"), &[])
    }
}

/// What is wrong with an installation that should have converged.
pub(crate) fn complaints(ground: &Ground, report: &Report, expected: &Expectation) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(converged(report, expected));
    found.extend(answers(ground, expected));
    found.extend(addresses(ground, report, expected));
    found.extend(processes::complaints(ground, report, expected));
    found.extend(files::complaints(ground, expected));
    if expected.apps.contains_key("guestbook") {
        found.extend(outputs::complaints(ground, report));
    }
    found
}

/// I1, I8: every valid app runs as asked, every other one says why not, and nothing is left to be done.
fn converged(report: &Report, expected: &Expectation) -> Vec<String> {
    let mut found = Vec::new();
    let changes = report.plan["changes"].as_array();
    if changes.is_none_or(|changes| !changes.is_empty()) {
        found.push(format!("I8 the plan is not empty: {}", report.plan));
    }
    for app in report.status["apps"].as_array().into_iter().flatten() {
        let name = app["app"].as_str().unwrap_or_default();
        let wanted = expected.apps.get(name);
        let good = match wanted {
            Some(wanted) if wanted.as_asked => app["state"] == "running",
            Some(_) => is_stuck(app),
            None => expected.never_ran.contains(name) && is_stuck(app),
        };
        if !good {
            found.push(format!("I1 {name} should be {wanted:?}, and is {app}"));
        }
    }
    for name in expected
        .apps
        .keys()
        .filter(|name| report.app(name).is_none())
    {
        found.push(format!("I1 the agent does not know {name}"));
    }
    found
}

fn is_stuck(app: &Value) -> bool {
    app["state"] == "held" || app["state"] == "failing"
}

/// I6: the agent tells where every app answers.
fn addresses(ground: &Ground, report: &Report, expected: &Expectation) -> Vec<String> {
    let mut found = Vec::new();
    let port = ground.proxy.port();
    for name in expected.apps.keys() {
        let urls = report.app(name).map(|app| app["urls"].clone());
        let wanted = serde_json::json!([format!("http://{name}.localhost:{port}/")]);
        if urls.as_ref() != Some(&wanted) {
            found.push(format!(
                "I6 {name} is told to answer at {urls:?}, not at {wanted}"
            ));
        }
    }
    found
}

/// I1, I6: every app answers over HTTP, as the release that it should run.
fn answers(ground: &Ground, expected: &Expectation) -> Vec<String> {
    let mut found = Vec::new();
    for (app, wanted) in &expected.apps {
        match ground.visitor(app).ask(wanted.path) {
            Ok(answer) if answer.contains(&wanted.contains) => {}
            Ok(answer) => found.push(format!(
                "I1 {app} should answer `{}`: {answer}",
                wanted.contains
            )),
            Err(why) => found.push(format!("I1 {app} does not answer: {why}")),
        }
    }
    found
}
