//! Commands that ask a running agent how things are: `status`, `why`, `history`, `sync`.

use hop3_plugin_api::AppName;
use serde_json::Value;

use super::output::{CliError, Exit, harmless, json, out};
use super::{Global, settings};
use crate::control::{Reply, Request};
use crate::plan::{Change, HoldKind, Plan};
use crate::registry::Registry;
use crate::report::{AppState, AppStatus, RepoStatus, Status};
use crate::socket;
use crate::state::{Event, EventKind, date};

/// Asks the agent; a refusal is the command's error.
pub(super) fn ask(
    request: &Request,
    global: &Global,
    registry: &Registry,
) -> Result<Value, CliError> {
    let settings = settings::load(global, registry)?;
    match socket::ask(&settings.config.run_dir, request) {
        Ok(Reply::Done(value)) => Ok(value),
        Ok(Reply::Refused { message, hints }) => Err(CliError::refused(message, hints)),
        Err(error) => Err(CliError::new(crate::execute::chain(&error))
            .hint("start it with `hop3-agent run`; apps run without it")),
    }
}

/// `status`.
pub(super) fn status(
    as_json: bool,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    let value = ask(&Request::Status, global, registry)?;
    if as_json {
        json(&value);
        return Ok(Exit::Success);
    }
    show_status(&value, true)?;
    Ok(Exit::Success)
}

/// Prints a status; the exit code says whether all apps run what they should.
pub(super) fn show_status(value: &Value, always_success: bool) -> Result<Exit, CliError> {
    let status: Status = read(value)?;
    out(&format!(
        "host {}  revision {}\n",
        status.host,
        status.revision.as_deref().map_or("none", short)
    ));
    out(&repo_text(&status.repo));
    let problems = status.everything_held.iter().chain(&status.state_problem);
    let problems = problems.chain(&status.host_problem);
    for problem in problems.chain(&status.errors) {
        out(&format!("! {}\n", harmless(problem)));
    }
    for app in &status.apps {
        out(&app_text(app));
    }
    Ok(if always_success {
        Exit::Success
    } else {
        exit_code(&status)
    })
}

/// What is wrong with the config repo; nothing when nothing is.
fn repo_text(repo: &RepoStatus) -> String {
    let mut text = String::new();
    if let Some(problem) = &repo.problem {
        text += &format!("config repo {}: {}\n", repo.url, harmless(problem));
    }
    if let Some(hint) = &repo.hint {
        text += &format!("hint: {}\n", harmless(hint));
    }
    if let Some(mirror) = &repo.mirror {
        text += &format!(
            "config repo {}: served by {}: {}\n",
            repo.url,
            mirror.url,
            harmless(&mirror.because)
        );
    }
    text
}

/// Faults first, then what waits for a person or another app; an app that a person pinned is as it should be.
fn exit_code(status: &Status) -> Exit {
    let is = |state: &[AppState]| status.apps.iter().any(|app| state.contains(&app.state));
    let mut holds = status.apps.iter().flat_map(|app| &app.held);
    let faulty = holds.clone().any(|held| held.hold.is_fault());
    if status.repo.problem.is_some()
        || !status.errors.is_empty()
        || faulty
        || is(&[AppState::Failing, AppState::Down, AppState::Unknown])
    {
        Exit::Error
    } else if status.everything_held.is_some() || holds.any(|held| held.hold != HoldKind::Pinned) {
        Exit::Held
    } else {
        Exit::Success
    }
}

fn app_text(app: &AppStatus) -> String {
    let release = app
        .release
        .map_or_else(String::new, |number| format!("release {number}"));
    let step = app
        .step
        .as_ref()
        .map_or_else(String::new, |step| format!(" ({step})"));
    let (name, state) = (app.app.as_str(), app.state.as_str());
    let mut lines = vec![format!(
        "  {name:<20} {state:<9}{step} {release:<12} {}",
        app.urls.join(" ")
    )];
    // A pause has a line of its own, with its end.
    let held = app.held.iter().filter(|it| it.hold != HoldKind::Paused);
    lines.extend(held.map(|held| format!("      held: {}", harmless(&held.message))));
    let paused = app.paused.iter();
    lines.extend(paused.map(|pause| {
        let until = date(pause.until);
        format!("      paused until {until}: {}", harmless(&pause.why))
    }));
    let failure = app.failure.iter();
    lines.extend(
        failure.map(|failure| format!("      {}: {}", failure.step, harmless(&failure.message))),
    );
    lines.join("\n") + "\n"
}

/// `why`.
pub(super) fn why(
    app: AppName,
    as_json: bool,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    let value = ask(&Request::Why { app }, global, registry)?;
    if as_json {
        json(&value);
        return Ok(Exit::Success);
    }
    out(&repo_text(&read(&value["repo"])?));
    let status: AppStatus = read(&value["status"])?;
    for problem in read::<Vec<String>>(&value["problems"])? {
        out(&format!("! {}\n", harmless(&problem)));
    }
    out(&app_text(&status));
    for hint in status.held.iter().flat_map(|held| &held.hints) {
        out(&format!("      hint: {}\n", harmless(hint)));
    }
    if let Some(failure) = &status.failure {
        for line in failure.output.lines() {
            out(&format!("      | {}\n", harmless(line)));
        }
        for hint in &failure.hints {
            out(&format!("      hint: {}\n", harmless(hint)));
        }
    }
    if let Ok(change) = read::<Change>(&value["change"]) {
        let plan = Plan::assemble(
            "",
            None,
            crate::plan::Parts {
                changes: vec![change],
                ..Default::default()
            },
        );
        out(&format!("  next:\n{}", crate::plan::render(&plan)));
    }
    for event in read::<Vec<Event>>(&value["events"])? {
        out(&event_text(&event));
    }
    Ok(Exit::Success)
}

/// `history`.
pub(super) fn history(
    (app, most): (Option<AppName>, usize),
    as_json: bool,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    let value = ask(&Request::History { app, most }, global, registry)?;
    if as_json {
        json(&value);
        return Ok(Exit::Success);
    }
    for event in read::<Vec<Event>>(&value)? {
        out(&event_text(&event));
    }
    Ok(Exit::Success)
}

/// Events that are no part of following the config repo.
fn by_itself_or_by_a_person(kind: &EventKind) -> String {
    match kind {
        EventKind::Held { message } => format!("held: {message}"),
        EventKind::Pinned { release, why } => format!("pinned to release {release}: {why}"),
        EventKind::Resumed => "resumed".to_owned(),
        EventKind::Paused { until, why } => format!("paused until {}: {why}", date(*until)),
        EventKind::PauseEnded => "the pause is over".to_owned(),
        EventKind::Returned { from, to, why } => {
            format!("went back from release {from} to release {to}: {why}")
        }
        EventKind::Flapping { what } => {
            format!("its repair is undone each time and no longer made: {what}")
        }
        EventKind::Interrupted { step } => format!("the agent ended in the middle of {step}"),
        EventKind::StateRebuilt { reason } => reason.clone(),
        EventKind::Hampered { reason } => format!("nothing can be changed: {reason}"),
        EventKind::Unhampered => "changes can be made again".to_owned(),
        other => unreachable!("{other:?} has words of its own"),
    }
}

fn event_text(event: &Event) -> String {
    let app = event.app.as_ref().map_or("", AppName::as_str);
    let what = match &event.kind {
        EventKind::Started { version } => format!("agent {version} started"),
        EventKind::Fetched { revision } => format!("fetched {}", short(revision)),
        EventKind::FetchFailed { message } => {
            format!("the config repo could not be read: {message}")
        }
        EventKind::HistoryRewritten { from, to, taken } => {
            let verdict = if *taken { "taken" } else { "refused" };
            format!("history was rewritten from {from} to {to}: {verdict}")
        }
        EventKind::ChangeStarted {
            change,
            class,
            revision,
        } => {
            format!(
                "change {} begins ({class}) for {}",
                change.short(),
                revision.as_deref().map_or("no revision", short)
            )
        }
        EventKind::ChangeDone {
            change,
            milliseconds,
        } => format!("change {} done in {milliseconds} ms", change.short()),
        EventKind::ChangeFailed { change, failure } => format!(
            "change {} failed at {}: {}",
            change.short(),
            failure.step,
            failure.message
        ),
        EventKind::ChangeCancelled { change } => {
            format!("change {} gave way to a newer one", change.short())
        }
        other => by_itself_or_by_a_person(other),
    };
    format!("  {}  {app:<16} {}\n", date(event.time), harmless(&what))
}

/// `sync`.
pub(super) fn sync(wait: bool, global: &Global, registry: &Registry) -> Result<Exit, CliError> {
    let value = ask(&Request::Sync { wait }, global, registry)?;
    if wait {
        show_status(&value, false)
    } else {
        Ok(Exit::Success)
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, CliError> {
    serde_json::from_value(value.clone()).map_err(|error| {
        CliError::new(format!("the agent's answer cannot be read: {error}"))
            .hint("use a client of the agent's version")
    })
}

fn short(revision: &str) -> &str {
    revision.get(..8).unwrap_or(revision)
}
