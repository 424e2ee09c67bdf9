//! The effects of an apply by their names, the moments to kill the agent at, and a sweep over all of them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ground::Ground;
use super::life::{Life, Program};
use super::rows::{row, sample};

/// How often a question that is asked until the answer is good counts: how often it is needed differs from run to run.
const POLLS: u64 = 2;

/// A moment at which the agent is killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    way: &'static str,
    occurrence: u64,
    effect: String,
}

impl Moment {
    /// The agent that dies then.
    pub(crate) fn program(&self, ground: &Ground) -> Program {
        Program::mortal()
            .env("HOP3_FAULT", self.to_string())
            .env("HOP3_FAULT_ROOT", ground.root().to_str().unwrap())
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.way, self.occurrence, self.effect)
    }
}

/// The effects of one whole life on a ground, by name, in their order.
pub(crate) fn journal_of(ground: &Ground) -> Vec<String> {
    let journal = ground.path("journal");
    drop(std::fs::remove_file(&journal));
    let program = Program::mortal()
        .env("HOP3_FAULT_JOURNAL", journal.to_str().unwrap())
        .env("HOP3_FAULT_ROOT", ground.root().to_str().unwrap());
    let life = Life::start_as(ground, &program);
    life.settled().unwrap();
    assert!(life.stop().success());
    let text = std::fs::read_to_string(&journal).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Each effect with which of its name it is, from 1; of a question that is repeated until the answer is good only the first few.
pub(crate) fn named(journal: &[String]) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut named = Vec::new();
    for effect in journal {
        let count = counts.entry(effect).or_default();
        *count += 1;
        if !effect.starts_with("ask ") || *count <= POLLS {
            named.push((effect.clone(), *count));
        }
    }
    named
}

/// Before and after each effect; those that take a while also within.
pub(crate) fn all_moments(journal: &[String]) -> Vec<Moment> {
    let mut moments = Vec::new();
    for (effect, occurrence) in named(journal) {
        let takes_a_while = ["run ", "spawn ", "export ", "clone ", "ask "]
            .iter()
            .any(|start| effect.starts_with(start));
        let ways = ["kill-before", "kill-after", "kill-within"];
        let ways = &ways[..if takes_a_while { 3 } else { 2 }];
        moments.extend(ways.iter().map(|way| Moment {
            way,
            occurrence,
            effect: effect.clone(),
        }));
    }
    moments
}

/// What became of one case.
pub(crate) enum Verdict {
    /// The fault came; what is wrong afterwards.
    Struck(Vec<String>),
    /// This time the fault did not come: the effect was not needed so often.
    Missed,
}

/// Cases of one kind that are tried one after the other, several at once.
pub(crate) struct Sweep<C> {
    /// The row of the table of faults that a case belongs to.
    pub(crate) row: fn(&C) -> &'static str,
    /// In words.
    pub(crate) what: &'static str,
    /// How many cases the short form takes.
    pub(crate) sample: usize,
    /// How many are under way at once.
    pub(crate) at_once: usize,
    /// What the cases were chosen by, where chance did.
    pub(crate) seed: Option<u64>,
}

/// How the cases of one row came out.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    tried: usize,
    missed: usize,
    failed: usize,
}

impl<C: Send + Sync + std::fmt::Display> Sweep<C> {
    /// Tries all cases (or a sample of them); each worker has a place of its own. Panics when one went wrong, after all were tried.
    pub(crate) fn run<P>(
        &self,
        cases: Vec<C>,
        place: impl Fn() -> P + Sync,
        each: impl Fn(&mut P, &C) -> Verdict + Sync,
    ) {
        let all = cases.len();
        let cases = chosen(cases, self.sample);
        let next = AtomicUsize::new(0);
        let tallies: Mutex<BTreeMap<&str, Tally>> = Mutex::default();
        let failed = Mutex::new(Vec::new());
        let work = || {
            let mut own = None;
            while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                let verdict = attempt(&mut own, &place, |own| each(own, case));
                let mut tallies = tallies.lock().unwrap();
                let tally = tallies.entry((self.row)(case)).or_default();
                tally.tried += 1;
                match verdict {
                    Verdict::Missed => tally.missed += 1,
                    Verdict::Struck(complaints) if complaints.is_empty() => {}
                    Verdict::Struck(complaints) => {
                        tally.failed += 1;
                        let text = format!("at `{case}`:\n    {}", complaints.join("\n    "));
                        println!("{text}");
                        failed.lock().unwrap().push(text);
                        // What one case left must not be taken for the next one's.
                        own = None;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            (0..self.at_once).for_each(|_| drop(scope.spawn(work)));
        });
        self.conclude(
            all,
            &tallies.into_inner().unwrap(),
            &failed.into_inner().unwrap(),
        );
    }

    fn conclude(&self, all: usize, tallies: &BTreeMap<&str, Tally>, failed: &[String]) {
        for (name, tally) in tallies {
            let reached = tally.tried - tally.missed;
            let mut counts = vec![(reached, "points"), (reached - tally.failed, "converged")];
            if tally.missed > 0 {
                counts.push((tally.missed, "not reached"));
            }
            row(&format!("{name} ({})", self.what), &counts, self.seed);
        }
        let tried: usize = tallies.values().map(|tally| tally.tried).sum();
        let missed: usize = tallies.values().map(|tally| tally.missed).sum();
        println!("{}: {tried} of {all} cases tried", self.what);
        assert!(
            failed.is_empty(),
            "{} cases of `{}` failed:\n{}",
            failed.len(),
            self.what,
            failed.join("\n")
        );
        assert!(missed * 10 <= tried, "too many effects were not reached");
    }
}

/// The cases to try: those whose words contain `HOP3_TEST_CASE`, each `HOP3_TEST_TIMES` times in a row; else all, or a sample of them.
fn chosen<C: std::fmt::Display>(mut cases: Vec<C>, most: usize) -> Vec<Arc<C>> {
    let Ok(wanted) = std::env::var("HOP3_TEST_CASE") else {
        return sample(cases, most).into_iter().map(Arc::new).collect();
    };
    cases.retain(|case| case.to_string().contains(&wanted));
    let times = std::env::var("HOP3_TEST_TIMES").map_or(1, |text| text.parse().unwrap());
    let cases = cases.into_iter().map(Arc::new);
    cases.flat_map(|case| vec![case; times]).collect()
}

/// One case; a panic in it is a complaint.
fn attempt<P>(
    own: &mut Option<P>,
    place: impl Fn() -> P,
    each: impl FnOnce(&mut P) -> Verdict,
) -> Verdict {
    let tried = AssertUnwindSafe(|| each(own.get_or_insert_with(place)));
    catch_unwind(tried).unwrap_or_else(|panic| Verdict::Struck(vec![words_of(&*panic)]))
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().cloned();
    let words = words.or_else(|| panic.downcast_ref::<&str>().map(|&it| it.to_owned()));
    format!("the test itself: {}", words.unwrap_or_default())
}
