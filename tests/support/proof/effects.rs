//! The effects of an apply by their names, the moments to kill the agent at, and a sweep over all of them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ground::Ground;
use super::life::{Life, Program};
use super::rows::{is_long, row, sample};

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

/// Before and after each effect; those that take a while also within.
pub(crate) fn all_moments(journal: &[String]) -> Vec<Moment> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut moments = Vec::new();
    for effect in journal {
        let count = counts.entry(effect).or_default();
        *count += 1;
        if effect.starts_with("ask ") && *count > POLLS {
            continue;
        }
        let takes_a_while = ["run ", "spawn ", "export ", "clone ", "ask "]
            .iter()
            .any(|start| effect.starts_with(start));
        let ways = ["kill-before", "kill-after", "kill-within"];
        let ways = &ways[..if takes_a_while { 3 } else { 2 }];
        moments.extend(ways.iter().map(|way| Moment {
            way,
            occurrence: *count,
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
pub(crate) struct Sweep {
    /// The row of the table of faults.
    pub(crate) row: &'static str,
    /// In words.
    pub(crate) what: &'static str,
    /// How many cases the short form takes.
    pub(crate) sample: usize,
    /// How many are under way at once.
    pub(crate) at_once: usize,
    /// What the cases were chosen by, where chance did.
    pub(crate) seed: Option<u64>,
}

impl Sweep {
    /// Tries all cases (or a sample of them); each worker has a place of its own. Panics when one went wrong, after all were tried.
    pub(crate) fn run<C: Sync + std::fmt::Display, P>(
        &self,
        cases: Vec<C>,
        place: impl Fn() -> P + Sync,
        each: impl Fn(&mut P, &C) -> Verdict + Sync,
    ) {
        let all = cases.len();
        let cases = sample(cases, self.sample);
        let (next, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let failed = Mutex::new(Vec::new());
        let work = || {
            let mut own = None;
            while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                let tried = catch_unwind(AssertUnwindSafe(|| {
                    let own = own.get_or_insert_with(&place);
                    each(own, case)
                }));
                let complaints = match tried {
                    Ok(Verdict::Struck(complaints)) => complaints,
                    Ok(Verdict::Missed) => {
                        missed.fetch_add(1, Ordering::SeqCst);
                        continue;
                    }
                    Err(panic) => vec![words_of(&*panic)],
                };
                if !complaints.is_empty() {
                    let text = format!("at `{case}`:\n    {}", complaints.join("\n    "));
                    println!("{text}");
                    failed.lock().unwrap().push(text);
                    // What one case left must not be taken for the next one's.
                    own = None;
                }
            }
        };
        std::thread::scope(|scope| {
            (0..self.at_once).for_each(|_| drop(scope.spawn(work)));
        });
        self.conclude(
            (all, cases.len(), missed.into_inner()),
            &failed.into_inner().unwrap(),
        );
    }

    fn conclude(&self, (all, tried, missed): (usize, usize, usize), failed: &[String]) {
        let converged = tried - missed - failed.len();
        let mut counts = vec![(tried - missed, "points"), (converged, "converged")];
        if missed > 0 {
            counts.push((missed, "not reached"));
        }
        if !is_long() {
            counts.push((all, "in all"));
        }
        row(&format!("{} ({})", self.row, self.what), &counts, self.seed);
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

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().cloned();
    let words = words.or_else(|| panic.downcast_ref::<&str>().map(|&it| it.to_owned()));
    format!("the test itself: {}", words.unwrap_or_default())
}
