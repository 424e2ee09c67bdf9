//! Each effect of an apply fails once, or happens and is reported as failed; afterwards, without faults, everything is as if nothing had
//! been. FAULTS.md's invariants I1, I2, I3, I5, I8 and I9 are checked after every case.
//!
//! The short form takes a sample of the effects, spread over all of them; `HOP3_TEST_LONG=1` takes every one, in both ways.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test plays the forge, the visitor and the person who looks at the files"
)]

mod log;
mod oracle;
mod stage;
mod visitor;

#[path = "../support/git_repo.rs"]
#[expect(dead_code, reason = "only some of the shared support is used here")]
mod git_repo;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hop3_plugin_testing::{FaultHost, FaultMode};
use tokio::runtime::Runtime;

use stage::{Process, Stage};

/// How many installations are under test at once.
const AT_ONCE: usize = 3;
/// How many cases the short form of a sweep takes.
const SAMPLE: u64 = 24;

/// One fault: which effect, and how it goes wrong.
type Fault = (u64, FaultMode);

#[test]
fn the_first_apply_survives_a_fault_at_every_effect() {
    let effects = counted(first_apply_alone);
    let faults = chosen(effects);
    let failed = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let runtime = runtime();
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let complaints = runtime.block_on(first_apply(*fault));
                    note(&failed, *fault, &complaints);
                }
            });
        }
    });
    conclude(
        "first apply",
        effects,
        faults.len(),
        &failed.into_inner().unwrap(),
    );
}

#[test]
fn the_old_release_serves_whatever_fails_in_the_next_apply() {
    let effects = counted(second_apply_alone);
    let faults = chosen(effects);
    let failed = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let runtime = runtime();
                let stage = runtime.block_on(deployed());
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let complaints = runtime.block_on(second_apply(&stage, *fault));
                    note(&failed, *fault, &complaints);
                }
                let left = runtime.block_on(stage.strike());
                assert!(left.is_empty(), "these could not be ended: {left:?}");
            });
        }
    });
    conclude(
        "second apply",
        effects,
        faults.len(),
        &failed.into_inner().unwrap(),
    );
}

/// A fresh installation whose first apply meets a fault.
async fn first_apply(fault: Fault) -> Vec<String> {
    let stage = Stage::set();
    let (struck, mut complaints) = meet(&stage, fault).await;
    let left = stage.strike().await;
    complaints.extend(
        left.iter()
            .map(|process| format!("I5 it could not be ended: {process:?}")),
    );
    placed(&struck, complaints)
}

/// A deployed installation whose next commit meets a fault, while visitors keep asking.
async fn second_apply(stage: &Stage, fault: Fault) -> Vec<String> {
    let others = processes_of(stage, &["echo", "site"]);
    let visitors = [
        stage.visitor("guestbook").keep_asking("/health"),
        stage.visitor("echo").keep_asking("/"),
    ];
    let edition = format!("edition {} {:?}", fault.0, fault.1);
    stage.publish(&edition);
    let (struck, mut complaints) = meet(stage, fault).await;
    for visitor in visitors {
        let (asked, failed) = visitor.end();
        if let Some(first) = failed.first() {
            complaints.push(format!(
                "I3 {} of {asked} requests failed, the first: {first}",
                failed.len()
            ));
        }
    }
    if processes_of(stage, &["echo", "site"]) != others {
        complaints.push("I2 processes of other apps were replaced".to_owned());
    }
    match stage.visitor("guestbook").ask("/health") {
        Ok(answer) if answer.contains(&edition) => {}
        other => complaints.push(format!("I1 the new edition does not answer: {other:?}")),
    }
    placed(&struck, complaints)
}

/// Complaints with the effect that went wrong.
fn placed(struck: &str, mut complaints: Vec<String>) -> Vec<String> {
    if !complaints.is_empty() {
        complaints.insert(0, struck.to_owned());
    }
    complaints
}

/// One agent that meets the fault, then agents without faults: the second of them at the latest finds nothing to do.
async fn meet(stage: &Stage, (at, mode): Fault) -> (String, Vec<String>) {
    let before = oracle::migrations(stage);
    let host = Arc::new(FaultHost::failing(stage.host(), at, mode));
    let first = stage.settle(host.clone()).await.err();
    let struck = host.struck().unwrap_or("nothing").to_owned();
    stage.end_rests();
    let mut complaints = clean_life(stage).await;
    if !complaints.is_empty() {
        // Two cycles are allowed: on a busy machine the first may find that something does not answer, and then it holds.
        println!(
            "{at} {mode:?} takes a second cycle: {}",
            complaints.join("; ")
        );
        complaints = clean_life(stage).await;
    }
    let again = struck.contains("migrate.py") || struck.contains("once");
    for (release, count) in oracle::migrations(stage) {
        if !before.contains_key(&release) && count > 1 + u32::from(again) {
            complaints.push(format!(
                "the release command of {release} ran {count} times"
            ));
        }
    }
    (format!("at `{struck}` (first life: {first:?})"), complaints)
}

/// An agent without faults; what is wrong when it has come to rest.
async fn clean_life(stage: &Stage) -> Vec<String> {
    match stage.settle(stage.host()).await {
        Ok(control) => oracle::complaints(stage, &control),
        Err(why) => vec![format!("I1 the agent did not start again: {why}")],
    }
}

/// An installation on which the example runs.
async fn deployed() -> Stage {
    let stage = Stage::set();
    let control = stage.settle(stage.host()).await.unwrap();
    let complaints = oracle::complaints(&stage, &control);
    assert!(complaints.is_empty(), "{complaints:#?}");
    stage
}

async fn first_apply_alone() -> u64 {
    let stage = Stage::set();
    let host = Arc::new(FaultHost::counting(stage.host()));
    let control = stage.settle(host.clone()).await.unwrap();
    let complaints = oracle::complaints(&stage, &control);
    let left = stage.strike().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(left.is_empty(), "these could not be ended: {left:?}");
    host.count()
}

async fn second_apply_alone() -> u64 {
    let stage = deployed().await;
    stage.publish("another edition");
    let host = Arc::new(FaultHost::counting(stage.host()));
    let control = stage.settle(host.clone()).await.unwrap();
    let complaints = oracle::complaints(&stage, &control);
    stage.strike().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
    host.count()
}

fn processes_of(stage: &Stage, apps: &[&str]) -> BTreeSet<Process> {
    let mut processes = stage.processes();
    // What a worker starts for a moment comes and goes by itself.
    processes.retain(|process| {
        apps.iter()
            .any(|app| process.place.starts_with(&format!("apps/{app}")))
            && !process.command.starts_with("sleep")
    });
    processes
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn counted<F: Future<Output = u64>>(apply: impl FnOnce() -> F) -> u64 {
    log::keep();
    hop3_agent::repo::install_tls_provider();
    runtime().block_on(apply())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the caller chooses the long form"
)]
fn long() -> bool {
    std::env::var_os("HOP3_TEST_LONG").is_some()
}

/// All effects in both ways, or a sample in alternating ways.
fn chosen(effects: u64) -> Vec<Fault> {
    if long() {
        return (1..=effects)
            .flat_map(|at| [(at, FaultMode::Before), (at, FaultMode::After)])
            .collect();
    }
    let stride = effects.div_ceil(SAMPLE).max(1);
    // An odd stride would tie the way to the parity of the effect.
    let way = |index: usize| {
        if index.is_multiple_of(2) {
            FaultMode::Before
        } else {
            FaultMode::After
        }
    };
    (1..=effects)
        .step_by(usize::try_from(stride).unwrap())
        .enumerate()
        .map(|(index, at)| (at, way(index)))
        .collect()
}

fn note(failed: &Mutex<Vec<String>>, fault: Fault, complaints: &[String]) {
    if !complaints.is_empty() {
        let text = format!("{fault:?} {}", complaints.join("\n    "));
        println!("{text}");
        failed.lock().unwrap().push(text);
    }
}

fn conclude(what: &str, effects: u64, cases: usize, failed: &[String]) {
    println!(
        "{what}: effects: {effects}, cases: {cases}, converged: {}{}",
        cases - failed.len(),
        if long() {
            ""
        } else {
            " (a sample in alternating ways; HOP3_TEST_LONG=1 takes every effect in both)"
        },
    );
    assert!(
        failed.is_empty(),
        "{} cases failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}
