//! T41: schedules that never end, never come or carry a command of their own.

use super::bombs::{PATIENCE, UNOPTIMISED, lines, timed};
use super::{spec, text};
use crate::load;
use crate::plugins::schemas;

fn job(schedule: &str, command: &str) -> String {
    let [schedule, command] = [schedule, command].map(|text| toml::Value::from(text).to_string());
    format!("[[jobs]]\nname = \"a\"\nschedule = {schedule}\ncommand = {command}\n")
}

#[test]
fn t41_a_schedule_is_five_fields_that_some_minute_fits() {
    let schemas = schemas();
    for bad in [
        "* * * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "@reboot",
        "* * * *",
        "",
        " ",
        "0 0 1 1 * touch owned",
        "0 0 * * mon\n* * * * * root touch owned",
        "0 0 * * $(id)",
        "0 0 * * -1",
        "0 0 * * 1%",
        "9999999999999999999999 * * * *",
    ] {
        let loaded = text(&schemas, "apps/a", &job(bad, "./x"));
        assert!(loaded.spec.is_none(), "{bad:?}");
        let found = &loaded.diagnostics;
        assert_eq!(found.len(), 1, "{bad:?}: {found:?}");
        assert_eq!(found[0].key, "/jobs/0/schedule", "{bad:?}");
        assert!(found[0].hint.is_some(), "{bad:?}");
    }
    for good in [
        "0 0 29 2 *",
        "0 0 30 2 mon",
        "* * * * *",
        "*/5 0-6 1,15 jan-mar mon-fri",
    ] {
        let loaded = text(&schemas, "apps/a", &job(good, "./x"));
        assert!(loaded.spec.is_some(), "{good}: {:?}", loaded.diagnostics);
    }
}

#[test]
fn t41_a_command_means_nothing_to_a_crontab() {
    let schemas = schemas();
    for command in [
        "a\n* * * * * root touch owned",
        "date +%F%n",
        "x # not a comment",
    ] {
        spec(&schemas, "apps/a", &job("0 0 * * *", command));
    }
    for blank in ["", " \n"] {
        let loaded = text(&schemas, "apps/a", &job("0 0 * * *", blank));
        assert_eq!(loaded.diagnostics[0].key, "/jobs/0/command");
    }
}

#[test]
fn t41_an_app_has_at_most_fifty_jobs() {
    let schemas = schemas();
    let jobs = |count| {
        lines(count, |i| {
            format!("[[jobs]]\nname = \"j{i}\"\nschedule = \"* * * * *\"\ncommand = \"x\"\n")
        })
    };
    assert!(text(&schemas, "apps/a", &jobs(50)).spec.is_some());
    for many in [51, 2_000] {
        let loaded = text(&schemas, "apps/a", &jobs(many));
        assert_eq!(loaded.diagnostics.len(), 1, "{:?}", loaded.diagnostics);
        let message = format!("`jobs` has {many} items, more than the 50 that are allowed");
        assert_eq!(loaded.diagnostics[0].message, message);
    }
    let (loaded, took) = timed(|| text(&schemas, "apps/a", &jobs(10_000)));
    assert!(loaded.spec.is_none() && took < PATIENCE * UNOPTIMISED);
}

#[test]
fn t41_the_procfile_s_cron_passes_the_same_grammar() {
    let schemas = schemas();
    for bad in [
        "* * * * * * ./x",
        "0 24 * * * ./x",
        "0 0 30 2 * ./x",
        "* * * * *",
        "@daily ./x",
    ] {
        let procfile = format!("web: ./web\ncron: {bad}\n");
        let loaded = load(&schemas, "apps/a", None, Some(procfile.as_bytes()));
        assert!(loaded.spec.is_none(), "{bad}");
        assert_eq!(loaded.diagnostics[0].position.line, 2, "{bad}");
        let spec = format!("[run.workers]\ncron = \"{bad}\"\n");
        let loaded = text(&schemas, "apps/a", &spec);
        assert!(loaded.spec.is_none(), "{bad}");
    }
}
