//! Commands with which a person orders something of a running agent: `pause`, `resume`, `rollback`.

use std::time::Duration;

use hop3_plugin_api::{AppName, Timestamp};
use serde_json::Value;

use super::Global;
use super::inspect::ask;
use super::output::{CliError, Exit, harmless, out};
use crate::control::Request;
use crate::plan::Held;
use crate::registry::Registry;
use crate::state::date;

/// Options of `pause`.
#[derive(Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// The app.
    app: AppName,
    /// For how long: a number with `s`, `m`, `h` or `d`. It then ends by itself.
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    length: Duration,
    /// Why, for whoever wonders.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Show a maintenance page meanwhile. Not built yet.
    #[arg(long)]
    maintenance: bool,
}

/// `90s`, `5m`, `2h`, `1d`.
fn length(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number with `s`, `m`, `h` or `d`, such as `2h`".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number = text[..text.len() - 1].parse::<u64>().map_err(|_| wrong())?;
    let total = number.checked_mul(seconds).filter(|total| *total > 0);
    total.map(Duration::from_secs).ok_or_else(wrong)
}

/// `pause`.
pub(super) fn pause(
    args: &PauseArgs,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    if args.maintenance {
        let refusal = CliError::new("maintenance pages are not built yet");
        return Err(refusal.hint("pause without `--maintenance`: the app goes on serving"));
    }
    let app = &args.app;
    let request = Request::Pause {
        app: app.clone(),
        seconds: args.length.as_secs(),
        why: args.why.clone(),
    };
    let value = ask(&request, global, registry)?;
    let until = value["until"].as_u64().map(Timestamp).map(date);
    out(&format!(
        "nothing is done to `{app}` until {}, or `resume`\n",
        until.unwrap_or_default()
    ));
    Ok(Exit::Success)
}

/// `resume`.
pub(super) fn resume(
    app: Option<AppName>,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    let value = ask(&Request::Resume { app: app.clone() }, global, registry)?;
    let Some(app) = app else {
        out(&released(&value));
        return Ok(Exit::Success);
    };
    let held: Vec<Held> = serde_json::from_value(value["held"].clone())
        .map_err(|error| CliError::new(format!("the agent's answer cannot be read: {error}")))?;
    if held.is_empty() {
        out(&format!("`{app}` follows the config repo again\n"));
        return Ok(Exit::Success);
    }
    for hold in &held {
        out(&format!(
            "`{app}` is still held: {}\n",
            harmless(&hold.message)
        ));
        for hint in &hold.hints {
            out(&format!("  hint: {}\n", harmless(hint)));
        }
    }
    Ok(Exit::Held)
}

/// What the host was held for and is no longer.
fn released(value: &Value) -> String {
    let doubt =
        (!value["doubt"].is_null()).then_some("the state counts as it is: data steps go on\n");
    let apps = value["removed"].as_array().into_iter().flatten();
    let apps = apps.filter_map(Value::as_str);
    let removed = apps.map(|app| format!("`{app}` is removed; its data stays\n"));
    doubt
        .map(str::to_owned)
        .into_iter()
        .chain(removed)
        .collect()
}

/// `rollback`.
pub(super) fn rollback(
    app: &AppName,
    to: Option<u32>,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    let request = Request::Rollback {
        app: app.clone(),
        to,
    };
    let value = ask(&request, global, registry)?;
    out(&format!(
        "`{app}` goes back to release {} and stays there until a commit changes it, or `resume`\n",
        value["release"]
    ));
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit_and_is_never_nothing() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86_400)] {
            assert_eq!(length(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "",
            "2",
            "h",
            "0s",
            "-1h",
            "2.5h",
            "2 h",
            "2ö",
            "99999999999999999999d",
        ] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
