//! What reading specs costs, beside what nobody can go below: the bare parse of the same files. Prints one JSON document.
//!
//!     specs parse DIR      every spec of a config repo, read and parsed as TOML and nothing more, by one thread and by all
//!     specs changed DIR    one spec after the other, each changed by a line, in a process whose schema is compiled: as in a running
//!                         agent; and the first one, which compiles it

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hop3_agent::builtin;
use hop3_agent::registry::Registry;
use hop3_agent::schema::Schemas;
use hop3_agent::spec::{AppFiles, load_app};
use serde_json::json;
use toml::de::DeTable;

/// How many changed files are timed.
const CHANGES: usize = 2000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, directory] = arguments.as_slice() else {
        return usage();
    };
    let specs = specs(Path::new(directory));
    match mode.as_str() {
        "parse" => parse(&specs),
        "changed" => changed(&specs),
        _ => usage(),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "this is a program for the command line"
)]
fn usage() {
    eprintln!("usage: specs parse|changed DIR");
}

#[expect(clippy::print_stdout, reason = "its output is the result")]
fn print(document: &serde_json::Value) {
    println!("{document}");
}

/// The spec of each app of a config repo.
fn specs(repo: &Path) -> Vec<PathBuf> {
    let apps = std::fs::read_dir(repo.join("apps")).expect("the config repo has apps");
    let specs = apps.map(|app| app.expect("it can be listed").path().join("hop3.toml"));
    let mut specs: Vec<PathBuf> = specs.filter(|spec| spec.is_file()).collect();
    specs.sort();
    specs
}

fn parse(specs: &[PathBuf]) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let by_one = timed(|| parse_all(specs));
    let by_all = timed(|| {
        std::thread::scope(|scope| {
            for part in specs.chunks(specs.len().div_ceil(threads).max(1)) {
                scope.spawn(move || parse_all(part));
            }
        });
    });
    print(&json!({
        "specs": specs.len(), "threads": threads,
        "one-thread-ms": millis(by_one), "all-threads-ms": millis(by_all)
    }));
}

fn parse_all(specs: &[PathBuf]) {
    for spec in specs {
        let text = std::fs::read_to_string(spec).expect("a spec can be read");
        let table = DeTable::parse(&text).expect("a generated spec is TOML");
        std::hint::black_box(table);
    }
}

fn changed(specs: &[PathBuf]) {
    let registry = Registry::new(builtin()).expect("the builtin plugins go together");
    let names: Vec<&str> = registry.linked().iter().map(|linked| linked.name).collect();
    let schemas = Schemas::compose_for(&names, &registry.sections());
    let texts: Vec<String> = specs
        .iter()
        .take(CHANGES)
        .map(|spec| std::fs::read_to_string(spec).expect("a spec can be read"))
        .collect();
    let before = resident();
    let first = timed(|| load(&schemas, &texts[0], 0));
    let compiled = resident().saturating_sub(before);
    let mut times: Vec<Duration> = (1..=CHANGES)
        .map(|number| {
            let text = &texts[number % texts.len()];
            timed(|| load(&schemas, text, number))
        })
        .collect();
    times.sort();
    let at = |percent: usize| micros(times[(times.len() - 1) * percent / 100]);
    print(&json!({
        "changes": CHANGES, "median-us": at(50), "p99-us": at(99), "most-us": at(100),
        "first-us": micros(first), "first-kib": compiled
    }));
}

/// The memory of this process that is in use, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn load(schemas: &Schemas, text: &str, number: usize) {
    let changed = format!("{text}\n[plugin.toolchains]\n# change {number}\n");
    let files = AppFiles {
        directory: "apps/bench",
        spec: Some(("apps/bench/hop3.toml", changed.as_bytes())),
        procfile: None,
    };
    let loaded = load_app(schemas, &files);
    assert!(loaded.spec.is_some(), "{:?}", loaded.diagnostics);
}

fn timed(act: impl FnOnce()) -> Duration {
    let started = Instant::now();
    act();
    started.elapsed()
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

fn micros(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000_000.0).round() / 10.0
}
