//! I9: the secret that the agent made for the guestbook is nowhere but in its file and in the app.

use std::path::Path;

use super::super::ground::Ground;
use super::Report;
use super::files::entries;

pub(super) fn complaints(ground: &Ground, report: &Report) -> Vec<String> {
    let path = ground
        .app("guestbook")
        .join("state/secrets/MODERATOR_TOKEN");
    let Ok(canary) = std::fs::read_to_string(path) else {
        return vec!["I9 the generated secret is not there".to_owned()];
    };
    let mut outputs = report.outputs.clone();
    outputs.push(("the status", report.status.to_string()));
    outputs.push(("the plan", report.plan.to_string()));
    let commands: Vec<String> = ground
        .processes()
        .into_iter()
        .map(|it| it.command)
        .collect();
    outputs.push(("a process's arguments", commands.join("\n")));
    for name in [
        "agent/log",
        "apps/guestbook/log",
        "apps/guestbook/releases",
        "agent/state.db",
        "agent/state.db-wal",
        "sites",
    ] {
        outputs.push((name, everything(&ground.data().join(name))));
    }
    outputs
        .into_iter()
        .filter(|(_, text)| text.contains(&canary))
        .map(|(name, _)| format!("I9 the secret is told in {name}"))
        .collect()
}

fn everything(path: &Path) -> String {
    if path.is_symlink() {
        return String::new();
    }
    if path.is_dir() {
        return entries(path).iter().map(|path| everything(path)).collect();
    }
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
