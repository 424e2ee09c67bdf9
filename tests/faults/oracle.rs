//! The invariants that hold when the faults are over. One complaint per broken one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hop3_agent::control::Control;
use hop3_agent::report::AppState;
use rusqlite::{Connection, OpenFlags};

use crate::stage::{APPS, Process, Stage};

/// What is wrong with an installation that should have converged.
pub(crate) fn complaints(stage: &Stage, control: &Control) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(converged(control));
    found.extend(answers(stage));
    found.extend(orphans(stage));
    found.extend(half_releases(stage));
    found.extend(leftover_files(stage));
    found.extend(told_secrets(stage, control));
    found
}

/// I1, I8: every app runs, and nothing is left to be done.
fn converged(control: &Control) -> Vec<String> {
    let (plan, status) = (control.plan(), control.status());
    let mut found = Vec::new();
    if !plan.is_empty() || !plan.held.is_empty() {
        found.push(format!(
            "I8 the plan is not empty: {}",
            hop3_agent::plan::render(&plan)
        ));
    }
    for app in status
        .apps
        .iter()
        .filter(|app| app.state != AppState::Running)
    {
        found.push(format!(
            "I1 {} is {:?}: {:?}",
            app.app, app.state, app.failure
        ));
    }
    if status.apps.len() != APPS.len() {
        found.push(format!("I1 {} apps are known", status.apps.len()));
    }
    found
}

/// I1, I6: every app answers over HTTP.
fn answers(stage: &Stage) -> Vec<String> {
    let silent = |app: &&str| {
        let answer = stage.visitor(app).ask("/");
        answer
            .err()
            .map(|why| format!("I1 {app} does not answer: {why}"))
    };
    APPS.iter().filter_map(silent).collect()
}

/// I5: one supervisor per app that has processes, instances of the current release only, one proxy.
fn orphans(stage: &Stage) -> Vec<String> {
    let mut found = Vec::new();
    let processes = stage.processes();
    let count = |place: &str, word: &str| {
        let is =
            |process: &&Process| process.place.starts_with(place) && process.command.contains(word);
        processes.iter().filter(is).count()
    };
    for (app, wanted) in [("echo", 1), ("guestbook", 1), ("site", 0)] {
        let supervisors = count(&format!("apps/{app}/log"), "internal-supervise");
        if supervisors != wanted {
            found.push(format!(
                "I5 {app} has {supervisors} supervisors: {processes:#?}"
            ));
        }
    }
    for word in ["internal-proxy ", "internal-proxy-worker "] {
        let proxies = count("sites", word);
        if proxies != 1 {
            found.push(format!("I5 {proxies} processes `{word}`"));
        }
    }
    for process in &processes {
        let current = current_of(stage, &process.place);
        let expected = process.place.starts_with("sites")
            || process.command.contains("internal-supervise")
            || current.is_some_and(|place| process.place.starts_with(&place));
        if !expected {
            found.push(format!("I5 an orphan: {process:?}"));
        }
    }
    found
}

/// The directory of the current release of the app that a process works for.
fn current_of(stage: &Stage, place: &str) -> Option<String> {
    let app = place.strip_prefix("apps/")?.split('/').next()?;
    let link = std::fs::read_link(stage.data().join("apps").join(app).join("current")).ok()?;
    Some(format!("apps/{app}/{}", link.display()))
}

/// I5: every release directory is whole, and the link and the number of the current one agree.
fn half_releases(stage: &Stage) -> Vec<String> {
    let mut found = Vec::new();
    for app in APPS {
        let home = stage.data().join("apps").join(app);
        for release in entries(&home.join("releases")) {
            if !release.join("release.json").is_file() {
                found.push(format!("I5 half a release: {}", release.display()));
            }
        }
        let number = std::fs::read_to_string(home.join("state/current.json")).unwrap_or_default();
        let link = std::fs::read_link(home.join("current")).unwrap_or_default();
        if link != Path::new("releases").join(&number) {
            found.push(format!(
                "I5 {app}: `current` leads to {}, the number is {number}",
                link.display()
            ));
        }
    }
    found
}

/// I5: no half written file, and no layer that nothing uses.
fn leftover_files(stage: &Stage) -> Vec<String> {
    let mut found = Vec::new();
    for app in APPS {
        let home = stage.data().join("apps").join(app);
        let stamps: String = entries(&home.join("releases"))
            .iter()
            .filter_map(|release| std::fs::read_to_string(release.join("release.json")).ok())
            .collect();
        for layer in entries(&home.join("layers")) {
            let name = layer.file_name().unwrap().to_string_lossy().into_owned();
            if !stamps.contains(&format!("layers/{name}")) {
                found.push(format!("I5 a layer of nobody: {}", layer.display()));
            }
        }
    }
    found
}

/// I9: the generated secret is nowhere but in its file and in the app.
fn told_secrets(stage: &Stage, control: &Control) -> Vec<String> {
    let path = stage
        .data()
        .join("apps/guestbook/state/secrets/MODERATOR_TOKEN");
    let Ok(canary) = std::fs::read_to_string(path) else {
        return vec!["I9 the generated secret is not there".to_owned()];
    };
    let status = serde_json::to_string(&control.status()).unwrap();
    let plan = serde_json::to_string(&control.plan()).unwrap();
    let log = crate::log::text();
    let mut outputs = vec![("status", status), ("plan", plan), ("the agent's log", log)];
    for name in [
        "agent/log",
        "apps/guestbook/log",
        "agent/state.db",
        "agent/state.db-wal",
        "sites",
    ] {
        outputs.push((name, everything(&stage.data().join(name))));
    }
    outputs
        .into_iter()
        .filter(|(_, text)| text.contains(&canary))
        .map(|(name, _)| format!("I9 the secret is told in {name}"))
        .collect()
}

/// How often the release command ran, by release.
pub(crate) fn migrations(stage: &Stage) -> BTreeMap<u32, u32> {
    let Some(database) = database(stage) else {
        return BTreeMap::new();
    };
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut query = db
        .prepare("SELECT release, count(*) FROM migrations_run GROUP BY release")
        .unwrap();
    let rows = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

fn database(stage: &Stage) -> Option<PathBuf> {
    let mut open = vec![
        stage.data().join("apps/guestbook/data"),
        stage.data().join("addons"),
    ];
    while let Some(directory) = open.pop() {
        for path in entries(&directory) {
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|e| e == "db" || e == "sqlite" || e == "sqlite3")
            {
                return Some(path);
            }
        }
    }
    None
}

fn entries(directory: &Path) -> BTreeSet<PathBuf> {
    std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

fn everything(path: &Path) -> String {
    if path.is_dir() {
        return entries(path).iter().map(|path| everything(path)).collect();
    }
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
