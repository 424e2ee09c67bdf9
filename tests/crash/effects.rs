//! SIGKILL before, within and after every effect of the first apply, and of one that changes every app.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use crate::proof::deployed::{BYSTANDER, Deployed, first_commit, migrated, one_life, template};
use crate::proof::effects::{Sweep, Verdict};
use crate::proof::{Ground, Life, Moment, all_moments, journal_of, row};

/// How many installations are under test at once.
const AT_ONCE: usize = 3;

#[test]
fn f01_an_agent_killed_at_any_effect_of_the_first_apply_completes_it_when_it_is_back() {
    let template = template();
    let moments = all_moments(&journal_of(&template.ground()));
    assert!(moments.len() >= 300, "only {} moments", moments.len());
    let sweep = Sweep {
        row: |_| "F01",
        what: "SIGKILL at every effect of the first apply",
        sample: 16,
        at_once: AT_ONCE,
        seed: None,
    };
    sweep.run(
        moments,
        || (),
        |(), moment| {
            let ground = template.ground();
            let Some(mut complaints) = killed(&ground, moment) else {
                return Verdict::Missed;
            };
            complaints.extend(one_life(&ground, &first_commit()));
            complaints.extend(migrated(&ground, 1, 0));
            let left = ground.end();
            complaints.extend(left.iter().map(|it| format!("I5 it does not end: {it:?}")));
            Verdict::Struck(complaints)
        },
    );
}

#[test]
fn f01_an_agent_killed_at_any_effect_of_the_next_apply_completes_it_while_every_app_serves() {
    let template = template();
    let mut counted = Deployed::new(&template);
    counted.publish();
    let moments = all_moments(&journal_of(&counted.ground));
    drop(counted);
    let sweep = Sweep {
        row: |_| "F01",
        what: "SIGKILL at every effect of the next apply",
        sample: 16,
        at_once: AT_ONCE,
        seed: None,
    };
    sweep.run(
        moments,
        || Deployed::new(&template),
        |deployed, moment| {
            deployed.publish();
            let visitors = deployed.visitors();
            let killed = killed(&deployed.ground, moment);
            let mut complaints = deployed.recover(visitors);
            let Some(before) = killed else {
                assert!(complaints.is_empty(), "{complaints:#?}");
                return Verdict::Missed;
            };
            complaints.extend(before);
            Verdict::Struck(complaints)
        },
    );
}

#[test]
fn f01_an_agent_killed_at_any_effect_of_a_removal_completes_it_and_the_data_stays() {
    let template = template();
    let mut counted = Deployed::new(&template);
    counted.remove_guestbook();
    let moments = all_moments(&journal_of(&counted.ground));
    drop(counted);
    let sweep = Sweep {
        row: |_| "F01",
        what: "SIGKILL at every effect of a removal",
        sample: 4,
        at_once: AT_ONCE,
        seed: None,
    };
    sweep.run(
        moments,
        || Deployed::new(&template),
        |deployed, moment| {
            deployed.publish();
            assert_eq!(deployed.recover(Vec::new()), Vec::<String>::new());
            deployed.remove_guestbook();
            let visitors = deployed.visitors_of(&["echo", "site", BYSTANDER]);
            let killed = killed(&deployed.ground, moment);
            let mut complaints = deployed.recover(visitors);
            // Whoever comes back finds what was left.
            deployed.bring_guestbook_back();
            complaints.extend(deployed.recover(Vec::new()));
            let Some(before) = killed else {
                assert!(complaints.is_empty(), "{complaints:#?}");
                return Verdict::Missed;
            };
            complaints.extend(before);
            Verdict::Struck(complaints)
        },
    );
}

#[test]
fn f01_apply_alone_completes_what_an_agent_was_killed_at() {
    let template = template();
    let ground = template.ground();
    let moments = all_moments(&journal_of(&template.ground()));
    let middle = &moments[moments.len() / 2];
    assert_eq!(killed(&ground, middle), Some(Vec::new()), "at `{middle}`");
    let half = ground.data().join("agent/.hop3-tmp-half");
    std::fs::write(&half, "x").unwrap();
    let applied = std::process::Command::new(env!("CARGO_BIN_EXE_hop3-agent"))
        .arg("--config")
        .arg(ground.path("agent.toml"))
        .arg("apply")
        .output()
        .unwrap();
    assert!(applied.status.success(), "{applied:?}");
    assert!(!half.exists());
    assert_eq!(one_life(&ground, &first_commit()), Vec::<String>::new());
    assert_eq!(migrated(&ground, 1, 0), None);
}

#[test]
fn f35_an_agent_that_finds_everything_as_it_should_be_makes_no_change() {
    let deployed = Deployed::new(&template());
    let asked = [
        "ask /run/*.sock: ",
        "ask /run/proxy.sock: ",
        "run look for what is ours: ",
    ];
    let changes: Vec<String> = journal_of(&deployed.ground)
        .into_iter()
        .filter(|effect| !asked.iter().any(|start| effect.starts_with(start)))
        // At its start it makes sure of its own directories.
        .filter(|effect| !effect.starts_with("make the directory "))
        .collect();
    assert!(changes.is_empty(), "{changes:#?}");
    row(
        "F35 (effects with nothing to do)",
        &[(1, "points"), (1, "converged")],
        None,
    );
}

/// A life that ends at this moment; what is wrong with its end. `None` when the moment did not come.
fn killed(ground: &Ground, moment: &Moment) -> Option<Vec<String>> {
    let mut life = Life::begin(ground, &moment.program(ground));
    let status: ExitStatus = life.until_dead_or_settled()?;
    let is_killed = status.signal() == Some(9);
    Some(if is_killed {
        Vec::new()
    } else {
        vec![format!(
            "the agent was to be killed, and ended with {status}"
        )]
    })
}
