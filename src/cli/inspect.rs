//! Commands that ask a running agent: `status`, `why`, `history`, `rollback`, `resume`, `sync`.

use hop3_plugin_api::AppName;
use serde_json::Value;

use super::output::{CliError, Exit, harmless, json, out};
use super::{Global, settings};
use crate::control::{Reply, Request};
use crate::plan::{Change, HoldKind, Plan};
use crate::registry::Registry;
use crate::report::{AppState, AppStatus, RepoStatus, Status};
use crate::socket;
use crate::state::{Event, EventKind};

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
    let url = &repo.url;
    let problem = repo
        .problem
        .as_ref()
        .map(|it| format!("config repo {url}: {}\n", harmless(it)));
    let hint = repo
        .hint
        .as_ref()
        .map(|it| format!("hint: {}\n", harmless(it)));
    let mirror = repo.mirror.as_ref().map(|it| {
        let because = harmless(&it.because);
        format!("config repo {url}: served by {}: {because}\n", it.url)
    });
    [problem, hint, mirror].into_iter().flatten().collect()
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
    lines.extend(
        app.held
            .iter()
            .map(|held| format!("      held: {}", harmless(&held.message))),
    );
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
        EventKind::Held { message } => format!("held: {message}"),
        EventKind::Pinned { release, why } => format!("pinned to release {release}: {why}"),
        EventKind::Resumed => "resumed".to_owned(),
    };
    format!("  {}  {app:<16} {}\n", clock(event.time.0), harmless(&what))
}

/// `rollback`.
pub(super) fn rollback(
    app: &AppName,
    to: Option<u32>,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    let value = ask(
        &Request::Rollback {
            app: app.clone(),
            to,
        },
        global,
        registry,
    )?;
    out(&format!(
        "`{app}` goes back to release {} and stays there until a commit changes it, or `resume`\n",
        value["release"]
    ));
    Ok(Exit::Success)
}

/// `resume`.
pub(super) fn resume(
    app: &AppName,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    ask(&Request::Resume { app: app.clone() }, global, registry)?;
    out(&format!("`{app}` follows the config repo again\n"));
    Ok(Exit::Success)
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

/// A time of day and date in UTC.
fn clock(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// The date of a day since 1970-01-01, by the calendar's 400-year cycle of 146 097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day_of_year - (153 * month_index + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_dates_in_utc() {
        assert_eq!(clock(0), "1970-01-01 00:00:00Z");
        assert_eq!(clock(951_868_799), "2000-02-29 23:59:59Z");
        assert_eq!(clock(1_795_359_600), "2026-11-22 15:00:00Z");
    }
}
