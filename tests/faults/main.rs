//! Each effect of the agent fails once, or happens and is reported as failed, or meets a full, failing or read-only disk; afterwards, without
//! faults, everything is as if nothing had been: the invariants I1 to I9 are checked after every case.
//!
//! The short form takes a sample of the cases, spread over all of them; `HOP3_TEST_LONG=1` takes every effect in every way.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test plays the forge, the visitor and the person who looks at the files"
)]

mod case;
mod log;
mod stage;

#[path = "../support/proof/mod.rs"]
mod proof;

use std::sync::Arc;
use std::sync::Mutex;

use hop3_plugin_testing::FaultHost;

use case::{Case, cases};
use proof::deployed::{BYSTANDER, first_commit, migrated, one_life, template};
use proof::{Deployed, EDITIONS_WENT_BACK, Ground, Sweep, Verdict};
use stage::{Stage, end_rests};

/// How many installations are under test at once. A life that meets a fault waits more than it works.
const AT_ONCE: usize = 6;

fn sweep(what: &'static str, sample: usize) -> Sweep<Case> {
    Sweep {
        row: Case::row,
        what,
        sample,
        at_once: AT_ONCE,
        seed: None,
    }
}

#[test]
fn f01_the_first_apply_survives_a_fault_at_every_effect() {
    log::keep();
    let template = template();
    let journal = journal_of(&template.ground(), |stage, host| stage.live(host));
    sweep("faults in the first apply", 16).run(
        cases(&journal),
        || (),
        |(), case| {
            let ground = template.ground();
            let Some(struck) = met(&ground, case, |stage, host| stage.live(host)) else {
                return Verdict::Missed;
            };
            let mut complaints = one_life(&ground, &first_commit());
            complaints.extend(migrated(&ground, 1, 0));
            complaints.extend(told(&ground));
            placed(&struck, complaints)
        },
    );
}

#[test]
fn f01_every_app_serves_whatever_fails_in_the_next_apply() {
    log::keep();
    let template = template();
    let mut counted = Deployed::new(&template);
    counted.publish();
    let journal = journal_of(&counted.ground, |stage, host| stage.live(host));
    drop(counted);
    sweep("faults in the next apply", 16).run(
        cases(&journal),
        || Deployed::new(&template),
        |deployed, case| {
            deployed.publish();
            let visitors = deployed.visitors();
            let struck = met(&deployed.ground, case, |stage, host| stage.live(host));
            let mut complaints = deployed.recover(visitors);
            if struck.as_deref().is_some_and(is_amid_a_switch) {
                complaints.retain(|complaint| !complaint.contains(EDITIONS_WENT_BACK));
            }
            complaints.extend(told(&deployed.ground));
            struck.map_or(Verdict::Missed, |struck| placed(&struck, complaints))
        },
    );
}

/// Whether an effect belongs to the switch from one release to the next. A switch that fails halfway is taken back until its next try, so that
/// visitors see the former edition once more; none of their requests fails.
fn is_amid_a_switch(struck: &str) -> bool {
    let of_switch = ["/sites/", "/proxy.sock", "/state/site.json", "/current"];
    of_switch.iter().any(|part| struck.contains(part))
}

#[test]
fn f01_an_app_is_removed_with_its_data_kept_whatever_fails_meanwhile() {
    log::keep();
    let template = template();
    let mut counted = Deployed::new(&template);
    counted.remove_guestbook();
    let journal = journal_of(&counted.ground, |stage, host| stage.live(host));
    drop(counted);
    sweep("faults in a removal", 5).run(
        cases(&journal),
        || Deployed::new(&template),
        |deployed, case| {
            deployed.publish();
            assert_eq!(deployed.recover(Vec::new()), Vec::<String>::new());
            deployed.remove_guestbook();
            let visitors = deployed.visitors_of(&["echo", "site", BYSTANDER]);
            let struck = met(&deployed.ground, case, |stage, host| stage.live(host));
            let mut complaints = deployed.recover(visitors);
            complaints.extend(told(&deployed.ground));
            deployed.bring_guestbook_back();
            complaints.extend(deployed.recover(Vec::new()));
            struck.map_or(Verdict::Missed, |struck| placed(&struck, complaints))
        },
    );
}

#[test]
fn f01_a_rollback_leads_to_the_former_release_or_to_none_whatever_fails_meanwhile() {
    log::keep();
    let template = template();
    let mut counted = Deployed::new(&template);
    counted.publish();
    assert_eq!(counted.recover(Vec::new()), Vec::<String>::new());
    let journal = journal_of(&counted.ground, |stage, host| {
        stage
            .roll_back(host.clone(), "guestbook", || host.arm())
            .map(drop)
    });
    drop(counted);
    let place = || {
        let mut deployed = Deployed::new(&template);
        // What is returned to is an edition, too.
        deployed.publish();
        assert_eq!(deployed.recover(Vec::new()), Vec::<String>::new());
        deployed
    };
    sweep("faults in a rollback", 6).run(cases(&journal), place, |deployed, case| {
        deployed.publish();
        assert_eq!(deployed.recover(Vec::new()), Vec::<String>::new());
        let visitors = deployed.visitors_of(&["echo", "site", BYSTANDER]);
        let mut granted = false;
        let struck = met(&deployed.ground, case, |stage, host| {
            granted = stage.roll_back(host.clone(), "guestbook", || host.arm())?;
            Ok(())
        });
        if granted {
            deployed.note_rollback();
        }
        let mut complaints = deployed.recover(visitors);
        complaints.extend(told(&deployed.ground));
        struck.map_or(Verdict::Missed, |struck| placed(&struck, complaints))
    });
}

/// The effects of a life without faults, by name. A rollback counts from the moment at which it is asked for.
fn journal_of(
    ground: &Ground,
    life: impl FnOnce(&Stage, Arc<FaultHost>) -> Result<(), String>,
) -> Vec<String> {
    let journal = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&journal);
    let stage = Stage::on(ground);
    let host = FaultHost::counting(stage.host())
        .beneath(ground.root())
        .telling(move |name| heard.lock().unwrap().push(name.to_owned()));
    life(&stage, Arc::new(host)).unwrap();
    let journal = journal.lock().unwrap();
    journal.clone()
}

/// A life that meets the fault; the effect that it struck and how that life ended. `None` when it struck none.
fn met(
    ground: &Ground,
    case: &Case,
    life: impl FnOnce(&Stage, Arc<FaultHost>) -> Result<(), String>,
) -> Option<String> {
    let stage = Stage::on(ground);
    let host = FaultHost::meeting(stage.host(), case.fault.clone()).beneath(ground.root());
    let host = Arc::new(host);
    let ended = life(&stage, Arc::clone(&host)).err();
    end_rests(ground);
    let struck = host.struck()?;
    Some(format!("struck `{struck}` (that life: {ended:?})"))
}

/// Complaints with the effect that went wrong.
fn placed(struck: &str, mut complaints: Vec<String>) -> Verdict {
    if !complaints.is_empty() {
        complaints.insert(0, struck.to_owned());
    }
    Verdict::Struck(complaints)
}

/// I9: the lives in this process have not told the secret either.
fn told(ground: &Ground) -> Option<String> {
    let path = ground
        .app("guestbook")
        .join("state/secrets/MODERATOR_TOKEN");
    let canary = std::fs::read_to_string(path).ok()?;
    let tells = log::text().contains(&canary);
    tells.then(|| "I9 the secret is told in the loop's log".to_owned())
}
