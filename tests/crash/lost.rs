//! The state is lost, damaged, or old, while apps run: they are the same afterwards, and nothing of theirs is lost.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use crate::proof::deployed::{Deployed, template};
use crate::proof::effects::{Sweep, Verdict};
use crate::proof::{Process, Random};

/// How many bits the long form turns.
const BITS: usize = 500;

/// What is lost of the directory `agent`.
#[derive(Debug, Clone, Copy)]
enum Lost {
    Database,
    Everything,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[test]
fn f31_apps_are_the_same_after_the_state_was_lost_and_can_be_deployed_again() {
    let template = template();
    let sweep = Sweep {
        row: |_| "F31",
        what: "rm -rf of the state while apps run",
        sample: 2,
        at_once: 2,
        seed: None,
    };
    let lost = vec![Lost::Database, Lost::Everything];
    sweep.run(
        lost,
        || Deployed::new(&template),
        |deployed, lost| {
            deployed.publish();
            let mut complaints = deployed.recover(Vec::new());
            let before = all_processes(deployed);
            let secret = secret(deployed);
            let visitors = deployed.visitors();
            lose(deployed, *lost);
            complaints.extend(deployed.recover(visitors));
            complaints.extend(same(deployed, &before));
            if self::secret(deployed) != secret {
                complaints.push("I4 the generated secret is another one".to_owned());
            }
            // It is an installation like any other: the next commit goes live.
            deployed.publish();
            complaints.extend(deployed.recover(deployed.visitors()));
            Verdict::Struck(complaints)
        },
    );
}

#[test]
fn f32_a_state_with_a_bit_turned_costs_no_app_and_plans_nothing() {
    let template = template();
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let bits: Vec<usize> = (0..BITS).map(|_| random.below(1 << 40)).collect();
    let sweep = Sweep {
        row: |_| "F32",
        what: "a bit of the state is turned",
        sample: 8,
        at_once: 2,
        seed: Some(seed),
    };
    sweep.run(
        bits,
        || Deployed::new(&template),
        |deployed, bit| {
            let before = all_processes(deployed);
            let path = deployed.ground.data().join("agent/state.db");
            let mut bytes = fs::read(&path).unwrap();
            let at = bit % (bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            fs::write(&path, bytes).unwrap();
            let mut complaints = deployed.recover(Vec::new());
            complaints.extend(same(deployed, &before));
            Verdict::Struck(complaints)
        },
    );
}

#[test]
fn f32_a_state_of_last_week_changes_nothing() {
    let template = template();
    let sweep = Sweep {
        row: |_| "F32",
        what: "an old copy of the state is put back",
        sample: 1,
        at_once: 1,
        seed: None,
    };
    sweep.run(
        vec!["the first day"],
        || Deployed::new(&template),
        |deployed, _| {
            let path = deployed.ground.data().join("agent/state.db");
            let old = fs::read(&path).unwrap();
            let mut complaints = Vec::new();
            for _ in 0..2 {
                deployed.publish();
                complaints.extend(deployed.recover(Vec::new()));
            }
            let before = all_processes(deployed);
            fs::write(&path, &old).unwrap();
            complaints.extend(deployed.recover(deployed.visitors()));
            complaints.extend(same(deployed, &before));
            Verdict::Struck(complaints)
        },
    );
}

/// Everything that serves.
fn all_processes(deployed: &Deployed) -> BTreeSet<Process> {
    let apps = deployed.expected().apps.into_keys();
    let of_apps = apps.flat_map(|app| deployed.ground.processes_of(&app));
    of_apps.chain(deployed.ground.proxies()).collect()
}

fn same(deployed: &Deployed, before: &BTreeSet<Process>) -> Option<String> {
    let now = all_processes(deployed);
    (now != *before).then(|| format!("I2 processes were replaced: {before:#?} are now {now:#?}"))
}

fn secret(deployed: &Deployed) -> String {
    let path = deployed
        .ground
        .app("guestbook")
        .join("state/secrets/MODERATOR_TOKEN");
    fs::read_to_string(path).unwrap()
}

/// Effect: what an operator in a hurry removes.
fn lose(deployed: &Deployed, lost: Lost) {
    let agent = deployed.ground.data().join("agent");
    match lost {
        Lost::Everything => fs::remove_dir_all(agent).unwrap(),
        Lost::Database => {
            for entry in fs::read_dir(agent).unwrap().flatten() {
                if entry.file_name().to_string_lossy().starts_with("state.db") {
                    fs::remove_file(entry.path()).unwrap();
                }
            }
        }
    }
}
