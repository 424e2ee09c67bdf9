//! The agent's memory lost, damaged, brought back from a backup, or from a later version.

use std::fs;
use std::path::PathBuf;

use super::super::support::until;
use super::{TestHost, holds, page_of, pages, row, text_of, until_says};
use crate::support::APPS;

/// The store's files.
fn store(host: &TestHost) -> [PathBuf; 3] {
    ["state.db", "state.db-wal", "state.db-shm"].map(|name| host.path("data/agent").join(name))
}

/// What becomes of a store's bytes.
type Damage<'a> = &'a dyn Fn(Vec<u8>) -> Vec<u8>;

fn problem(host: &TestHost) -> String {
    let status = host.status();
    status["state-problem"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn f31_a_lost_state_costs_no_process_no_row_and_no_secret() {
    let mut host = TestHost::running_example();
    let secret = host.path("data/apps/guestbook/state/secrets/MODERATOR_TOKEN");
    let before = (host.app_processes(), fs::read(&secret).unwrap());
    for whole in [false, true] {
        host.stop();
        if whole {
            fs::remove_dir_all(host.path("data/agent")).unwrap();
        } else {
            drop(store(&host).map(fs::remove_file));
        }
        host.start();
        host.assert_settled(&APPS);
        assert_eq!((host.app_processes(), fs::read(&secret).unwrap()), before);
        let problem = problem(&host);
        assert!(problem.contains("the state was lost"), "{problem}");
        assert!(problem.contains("`hop3-agent resume`"), "{problem}");
    }
    // Removals and data steps wait; everything else goes on.
    host.repo.git(&["rm", "-rq", "apps/echo"]);
    host.commit_guestbook("after the loss");
    host.until_version("after the loss");
    assert_eq!(host.sync().code, 3);
    assert!(holds(&host, "echo").contains("waits for a person's word"));
    host.until_answers("echo", "/", |answer| answer.status == 200);
    let said = host.done(&["resume"]);
    assert!(said.contains("the state counts as it is"), "{said}");
    host.assert_settled(&["site", "guestbook"]);
    assert_eq!(problem(&host), "");
    row(
        "F31",
        "2 losses (the store, all of the agent's directory), 0 processes restarted, 1 removal held until a person's word",
    );
}

#[test]
fn f32_a_state_that_must_not_be_believed_is_set_aside_and_decides_nothing() {
    let mut host = pages(&["a", "b", "c"]);
    host.start();
    host.assert_settled(&["a", "b", "c"]);
    host.stop();
    let backup = fs::read(&store(&host)[0]).unwrap();
    host.start();
    page_of(&host, "a", "two");
    host.commit("Two");
    host.assert_settled(&["a", "b", "c"]);
    let damages: [(&str, Damage<'_>); 3] = [
        ("older than what it describes", &|_| backup.clone()),
        ("damaged", &|_| vec![0; 8192]),
        ("damaged", &|bytes| bytes[..bytes.len() / 2].to_vec()),
    ];
    for (round, (word, damage)) in damages.iter().enumerate() {
        host.stop();
        let [db, wal, shm] = store(&host);
        fs::write(&db, damage(fs::read(&db).unwrap())).unwrap();
        drop([wal, shm].map(fs::remove_file));
        host.start();
        host.assert_settled(&["a", "b", "c"]);
        assert!(problem(&host).contains(word), "{}", problem(&host));
        let told = host.done(&["history"]);
        assert!(
            told.contains(word) && told.contains("state.db.aside-"),
            "{told}"
        );
        let aside = fs::read_dir(host.path("data/agent")).unwrap().flatten();
        let aside = aside.filter(|it| {
            it.file_name()
                .to_string_lossy()
                .starts_with("state.db.aside-")
        });
        assert!(aside.count() > round);
    }
    assert_eq!(text_of(&host, "a"), "two");
    row(
        "F32",
        "3 states (1 older, 2 damaged) set aside, 0 believed, 3 apps as before",
    );
}

#[test]
fn f30_a_state_of_a_later_version_is_refused_with_both_versions_and_nothing_is_touched() {
    let mut host = pages(&["page"]);
    host.start();
    host.assert_settled(&["page"]);
    host.stop();
    let [db, ..] = store(&host);
    let later = rusqlite::Connection::open(&db).unwrap();
    later
        .execute_batch("UPDATE meta SET value = '9.1.0' WHERE name = 'agent'; PRAGMA user_version = 7; PRAGMA wal_checkpoint(TRUNCATE);")
        .unwrap();
    drop(later);
    let before = fs::read(&db).unwrap();
    let refused = host.run(&["run"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    for word in ["9.1.0", env!("CARGO_PKG_VERSION"), "format 7", "hint: "] {
        assert!(refused.err.contains(word), "`{word}`: {refused:#?}");
    }
    assert_eq!(fs::read(&db).unwrap(), before);
    assert_eq!(text_of(&host, "page"), "one");
    row(
        "F30",
        "1 state of a later version refused, 0 bytes changed, 1 app served on",
    );
}

#[test]
fn f33_after_a_reboot_everything_comes_up_although_the_forge_is_gone() {
    let mut host = TestHost::running_example();
    host.kill();
    for process in host.processes() {
        process.kill();
    }
    assert!(host.app_processes().is_empty());
    fs::rename(host.repo.bare(), host.path("gone.git")).unwrap();
    host.start();
    for app in APPS {
        host.until_answers(app, "/", |answer| answer.status == 200);
    }
    host.until_running(&APPS);
    let problem = || host.status()["repo"]["problem"].is_string();
    until("word of the forge", problem, |is| *is);
    fs::rename(host.path("gone.git"), host.repo.bare()).unwrap();
    host.assert_settled(&APPS);
    row(
        "F33",
        "1 host without any process and without its forge, 3 of 3 apps up again",
    );
}

#[test]
fn f15_a_bad_commit_changes_nothing_over_a_restart_and_its_fix_or_revert_clears_it() {
    let mut host = pages(&["victim", "other"]);
    host.start();
    host.assert_settled(&["victim", "other"]);
    let bad = [
        "[domains]\nlist = [\"victim.localhost\"\n",
        "[run]\nstrat = \"x\"\n",
        "[build]\ntoolchain = \"cobol\"\n",
    ];
    for (round, spec) in bad.iter().enumerate() {
        let text = format!("round {round}");
        page_of(&host, "victim", "never seen");
        fs::write(host.path("work/apps/victim/hop3.toml"), spec).unwrap();
        page_of(&host, "other", &text);
        host.commit("A bad commit");
        host.done(&["sync"]);
        until_says(&host, "other", &text);
        assert!(holds(&host, "victim").contains("apps/victim/hop3.toml:"));
        host.kill();
        host.start();
        assert_eq!(host.sync().code, 1);
        assert!(holds(&host, "victim").contains("apps/victim/hop3.toml:"));
        assert_ne!(text_of(&host, "victim"), "never seen");
        if round % 2 == 0 {
            page_of(&host, "victim", &text);
            host.commit("The fix");
            host.done(&["sync"]);
            until_says(&host, "victim", &text);
        } else {
            host.repo.git(&["revert", "--no-edit", "HEAD"]);
            host.repo.push_head();
        }
        host.assert_settled(&["victim", "other"]);
        assert_eq!(holds(&host, "victim"), "");
    }
    row(
        "F15",
        &format!(
            "{} bad commits, {0} restarts amid them, 0 changes of their app, {0} cleared by a fix or a revert",
            bad.len()
        ),
    );
}
