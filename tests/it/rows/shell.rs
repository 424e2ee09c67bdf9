//! Text that a shell would obey, in every place of a spec that takes text: it is refused or handed on as it is, and no shell ever sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::{Table, Value};

use super::{TestHost, not_run, page_of, row, text_of};
use crate::support::is_long;

/// Good cases in which every key of a spec occurs.
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/spec");

/// The app's own commands: a shell is what they are written for.
const COMMANDS: [&str; 14] = [
    "admin/create",
    "admin/verify",
    "build/before-build",
    "build/build",
    "build/after-build",
    "build/test",
    "jobs/*/command",
    "probe/create",
    "probe/verify",
    "run/before-run",
    "run/start",
    "run/workers/*",
    "build/pre-build",
    "test",
];

/// What they are here: what must go on, and what must end.
const LASTING: &str = "exec sleep 86391";
const ENDING: &str = "true";

/// Sections that two apps cannot both have as they stand in the cases, or that need another app, a server or a secret.
const ALONE: [&str; 8] = [
    "metadata", "domains", "ports", "source", "deploy", "addons", "provider", "admin",
];

/// What a shell, a program's arguments, a format or a template would make something of. `C` is what would be made then.
const PAYLOADS: [&str; 40] = [
    "$(touch C)",
    "`touch C`",
    "; touch C",
    "| touch C",
    "|| touch C",
    "&& touch C",
    "& touch C &",
    "\ntouch C\n",
    "\r\ntouch C\r\n",
    "x\ntouch C",
    "'; touch C; '",
    "\"; touch C; \"",
    "' $(touch C) '",
    "\" `touch C` \"",
    "$(touch${IFS}C)",
    "x$(touch C)y",
    "a;touch C",
    "> C",
    ">> C",
    "x > C # ",
    "<(touch C)",
    ">(touch C)",
    "{touch,C}",
    "$'touch C'",
    "\\\ntouch C",
    "# x\ntouch C",
    "-x",
    "--",
    "-e touch C",
    "--exec=touch C",
    "-oProxyCommand=touch C",
    "${IFS}",
    "%n%s",
    "%(touch C)s",
    "{{ touch C }}",
    "${{ touch C }}",
    "../../C",
    "~/C",
    "*",
    "a\u{0}touch C",
];

/// A place for text, and a good spec that has it.
struct Place {
    path: Vec<String>,
    spec: Table,
}

/// Every place for text that occurs in a good case, but for commands.
fn places() -> Vec<Place> {
    let mut cases: Vec<PathBuf> = fs::read_dir(CASES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|case| is_good(case))
        .collect();
    cases.sort();
    let mut found = BTreeMap::new();
    for case in cases {
        let text = fs::read_to_string(case.join("hop3.toml")).unwrap_or_default();
        let spec: Table = text.parse().unwrap();
        let mut paths = Vec::new();
        texts(&Value::Table(spec.clone()), &[], &mut paths);
        for path in paths.into_iter().filter(|path| !is_command(path)) {
            let spec = spec.clone();
            found.entry(kind(&path)).or_insert(Place { path, spec });
        }
    }
    found.into_values().collect()
}

fn is_good(case: &Path) -> bool {
    let name = case.file_name().unwrap().to_string_lossy();
    name.starts_with("good-")
}

/// The paths of all text beneath a value.
fn texts(value: &Value, at: &[String], found: &mut Vec<Vec<String>>) {
    let below = |step: String| [at, &[step]].concat();
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Table(table) => {
            for (key, inner) in table {
                texts(inner, &below(key.clone()), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                texts(inner, &below(index.to_string()), found);
            }
        }
        _ => {}
    }
}

/// A path with `*` for every number: entries of one list are one place.
fn kind(path: &[String]) -> String {
    let step = |step: &String| match step.parse::<usize>() {
        Ok(_) => "*".to_owned(),
        Err(_) => step.clone(),
    };
    path.iter().map(step).collect::<Vec<_>>().join("/")
}

fn is_command(path: &[String]) -> bool {
    let kind = kind(path);
    COMMANDS.iter().any(|command| {
        let start = command.strip_suffix('*');
        start.map_or_else(
            || kind == *command || kind.strip_prefix(command) == Some("/*"),
            |start| kind.starts_with(start),
        )
    })
}

impl Place {
    /// The spec with something else in this place, so that as much of the rest as can be is carried out.
    fn spec_with(&self, payload: &str) -> String {
        let mut spec = self.spec.clone();
        let own = self.path[0].as_str();
        let stays = |section: &str| section == own || !ALONE.contains(&section);
        spec.retain(|section, _| stays(section));
        // A name is one app's alone.
        if own == "metadata" && self.path[1] != "id" {
            spec["metadata"].as_table_mut().unwrap().remove("id");
        }
        let mut spec = Value::Table(spec);
        tame(&mut spec, &[]);
        put(&mut spec, &self.path, payload);
        with_toolchain(&mut spec, &self.path);
        toml::to_string(&spec).unwrap()
    }
}

/// Effect: every command becomes a harmless one.
fn tame(value: &mut Value, at: &[String]) {
    let below = |step: String| [at, &[step]].concat();
    match value {
        Value::String(text) if is_command(at) => ENDING.clone_into(text),
        Value::Table(table) => {
            for (key, inner) in table {
                tame(inner, &below(key.clone()));
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter_mut().enumerate() {
                tame(inner, &below(index.to_string()));
            }
        }
        _ => {}
    }
}

fn put(value: &mut Value, path: &[String], payload: &str) {
    let Some((step, rest)) = path.split_first() else {
        *value = Value::String(payload.to_owned());
        return;
    };
    let inner = match value {
        Value::Table(table) => table.get_mut(step),
        Value::Array(items) => items.get_mut(step.parse::<usize>().unwrap()),
        _ => None,
    };
    put(inner.unwrap(), rest, payload);
}

/// Effect: what is not about toolchains is a program without a build.
fn with_toolchain(spec: &mut Value, path: &[String]) {
    let table = spec.as_table_mut().unwrap();
    if path[0] != "build" {
        let build = Table::from_iter([("toolchain".to_owned(), Value::from("generic"))]);
        table.insert("build".to_owned(), Value::Table(build));
    }
    let run = table.entry("run");
    let run = run.or_insert_with(|| Value::Table(Table::new()));
    if let Some(run) = run.as_table_mut() {
        run.remove("start");
        let lasting = Table::from_iter([("idle".to_owned(), Value::from(LASTING))]);
        run.insert("workers".to_owned(), Value::Table(lasting));
    }
}

/// Effect: starts the agent beneath a witness of every program that is run. False where there is none.
fn start_witnessed(host: &mut TestHost) -> bool {
    let log = host.path("executed").display().to_string();
    let witness = "strace -I 1 -f -qq --seccomp-bpf -s 4096 -e trace=execve -e signal=none -o";
    let mut words: Vec<&str> = witness.split(' ').collect();
    words.push(&log);
    let is_there = Command::new(words[0]).arg("-V").output().is_ok();
    if is_there {
        host.start_under(&words);
    }
    is_there
}

/// The lines of the programs that were run, and those among them that run a shell on something else than an app's own command.
fn executed(host: &TestHost) -> (usize, Vec<String>) {
    let text = fs::read_to_string(host.path("executed")).unwrap_or_default();
    let lines = text.lines().filter(|line| line.contains("execve("));
    let lines: BTreeSet<&str> = lines.filter(|line| !line.contains("= -1")).collect();
    let is_shell = |line: &&&str| {
        let program = line.split('"').nth(1).unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or_default();
        ["sh", "bash", "dash", "busybox"].contains(&name)
    };
    let own = [LASTING, ENDING].map(|command| format!("{command:?}]"));
    let strange = lines.iter().filter(is_shell);
    let strange = strange.filter(|line| !own.iter().any(|own| line.contains(own)));
    let strange = strange.map(|line| (*line).to_owned()).collect();
    (lines.len(), strange)
}

/// What a payload has become in the apps.
#[derive(Default)]
struct Tally {
    tried: usize,
    accepted: usize,
    programs: usize,
}

#[test]
fn t21_no_text_of_a_spec_is_obeyed_by_a_shell_wherever_it_stands() {
    let mut host = TestHost::of_files(&[("README.md", "Apps")]);
    host.configure(|text| {
        text.replace("poll = \"1s\"", "poll = \"1h\"") + "\n[plugin.docker]\nenabled = false\n"
    });
    page_of(&host, "good", "good");
    host.commit("A page");
    if !start_witnessed(&mut host) {
        return not_run("T21", "there is no `strace`");
    }
    host.assert_settled(&["good"]);
    let places = places();
    assert!(places.len() >= 150, "only {} places", places.len());
    let rounds = if is_long() { PAYLOADS.len() } else { 2 };
    let mut tally = Tally::default();
    for round in 0..rounds {
        host.repo
            .git(&["rm", "-rq", "--ignore-unmatch", "apps/place-*"]);
        for (number, place) in places.iter().enumerate() {
            // A short form meets every payload somewhere.
            let payload = PAYLOADS[(number * 7 + round * 3) % PAYLOADS.len()];
            let payload = payload.replace('C', &host.path("canary").display().to_string());
            write(&host, number, &place.spec_with(&payload));
        }
        host.commit("Payloads");
        host.sync();
        tally.tried += places.len();
        tally.accepted += accepted(&host);
        assert_eq!(text_of(&host, "good"), "good");
        assert!(
            !host.path("canary").exists(),
            "round {round}: it was obeyed"
        );
    }
    host.end_wrapper();
    let (programs, strange) = executed(&host);
    assert_eq!(strange, Vec::<String>::new());
    tally.programs = programs;
    assert!(tally.accepted > 0 && programs > 0);
    let counts = format!(
        "{} points: {} places for text, {} payloads, {} taken as they are, {} refused; {} programs run, 0 shells but for an app's own commands, 0 payloads obeyed",
        tally.tried,
        places.len(),
        PAYLOADS.len(),
        tally.accepted,
        tally.tried - tally.accepted,
        tally.programs
    );
    row("T21", &counts);
}

fn write(host: &TestHost, number: usize, spec: &str) {
    let directory = host.path(&format!("work/apps/place-{number}"));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("hop3.toml"), spec).unwrap();
    fs::write(directory.join("index.html"), "x").unwrap();
}

/// How many of the apps are not held because of what their spec says.
fn accepted(host: &TestHost) -> usize {
    let status = host.status();
    let apps = status["apps"].as_array().into_iter().flatten();
    let taken = apps.filter(|app| {
        let is_place = app["app"]
            .as_str()
            .is_some_and(|name| name.starts_with("place-"));
        let held = app["held"].as_array().into_iter().flatten();
        is_place && !held.into_iter().any(|hold| hold["hold"] == "spec")
    });
    taken.count()
}
