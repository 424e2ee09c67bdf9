//! Random walks over the real agent: commits good and bad, deaths, losses and full disks in any order. Whenever the faults are over, everything is
//! as promised: the invariants I1 to I9.
//!
//! A seed determines a walk; it is printed, and `HOP3_TEST_SEED` walks that way again. `HOP3_TEST_WALKS` and `HOP3_TEST_STEPS` say how many
//! walks and how long; the long form takes 500 of 40 actions.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test plays the forge, the visitor, fate, and the person who looks at the files"
)]

mod action;
mod apps;
mod clock;
mod commits;
mod disk;
mod harms;
mod patrol;
#[path = "../support/proof/mod.rs"]
mod proof;
mod rest;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proof::{Random, is_long, row};
use world::World;

/// How many walks are under way at once. They wait more than they work: two processors are busy with about six of them.
const AT_ONCE: (usize, usize) = (4, 6);

#[test]
fn model_after_any_walk_through_commits_and_faults_everything_is_as_promised() {
    let replayed = std::env::var_os("HOP3_TEST_SEED").is_some();
    let first = Random::seed();
    let walks = if replayed {
        1
    } else {
        number("HOP3_TEST_WALKS", 2, 500)
    };
    let steps = number("HOP3_TEST_STEPS", 12, 40);
    println!(
        "seeds {first} to {}, {steps} actions each",
        first + walks as u64 - 1
    );
    tell_what_is_left_out();
    let at_once = number("HOP3_TEST_AT_ONCE", AT_ONCE.0, AT_ONCE.1);
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::SeqCst);
            if index >= walks {
                return;
            }
            let seed = first + index as u64;
            let walked = walk(seed, steps);
            tally.lock().unwrap().note(seed, &walked);
        }
    };
    std::thread::scope(|scope| {
        (0..at_once.min(walks)).for_each(|_| drop(scope.spawn(work)));
    });
    tally.into_inner().unwrap().conclude(first);
}

fn number(variable: &str, short: usize, long: usize) -> usize {
    let given = std::env::var(variable).ok();
    let given = given.map(|text| text.parse().expect("it is a number"));
    given.unwrap_or(if is_long() { long } else { short })
}

/// What this machine cannot do is said, not passed over.
fn tell_what_is_left_out() {
    if !clock::is_there() {
        println!("no clock jumps: faketime is not installed");
    }
    if !disk::is_there() {
        println!("no full disks: only root can give a walk a disk of its own");
    }
}

/// How a walk went.
struct Walked {
    actions: usize,
    rests: usize,
    late: usize,
    took: Duration,
    complaints: Vec<String>,
}

fn walk(seed: u64, steps: usize) -> Walked {
    let started = Instant::now();
    let mut world = World::new(seed);
    let walked = catch_unwind(AssertUnwindSafe(|| world.walk(steps)));
    let mut complaints = walked.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|&it| it.to_owned()));
        vec![format!("the walk itself: {}", words.unwrap_or_default())]
    });
    if !complaints.is_empty() {
        complaints.push(format!("the way: {}", world.way()));
        complaints.push(format!("the agent's last words:\n{}", world.last_words()));
    }
    Walked {
        actions: world.actions(),
        rests: world.rests(),
        late: world.late(),
        took: started.elapsed(),
        complaints,
    }
}

/// All walks together.
#[derive(Default)]
struct Tally {
    walks: usize,
    actions: usize,
    rests: usize,
    late: usize,
    took: Duration,
    failed: Vec<String>,
}

impl Tally {
    fn note(&mut self, seed: u64, walked: &Walked) {
        self.walks += 1;
        self.actions += walked.actions;
        self.rests += walked.rests;
        self.late += walked.late;
        self.took += walked.took;
        if self.walks.is_multiple_of(25) {
            println!("{} walks, {} failed", self.walks, self.failed.len());
        }
        if !walked.complaints.is_empty() {
            let text = format!(
                "the walk of HOP3_TEST_SEED={seed} failed after {} actions:\n    {}",
                walked.actions,
                walked.complaints.join("\n    ")
            );
            println!("{text}");
            self.failed.push(text);
        }
    }

    fn conclude(&self, seed: u64) {
        let per_walk = self.took.as_secs_f64() / f64::from(u32::try_from(self.walks).unwrap());
        println!(
            "{} walks, {} actions, {} rests, {} of them only after a person's word, {per_walk:.1} s for one walk",
            self.walks, self.actions, self.rests, self.late
        );
        let counts = [
            (self.walks, "points"),
            (self.walks - self.failed.len(), "converged"),
            (self.actions, "actions"),
            (self.rests, "rests"),
        ];
        row("MODEL (random walks)", &counts, Some(seed));
        assert!(
            self.failed.is_empty(),
            "{} walks failed:\n{}",
            self.failed.len(),
            self.failed.join("\n")
        );
    }
}
