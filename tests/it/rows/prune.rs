//! Apps that leave the config repo: one goes, many wait for a person, and whoever comes back finds his data.

use std::fs;

use super::super::support::until;
use super::{TestHost, holds, page_of, pages, row, server_of, text_of, until_says};

fn remove(host: &TestHost, apps: &[&str]) {
    for app in apps {
        fs::remove_dir_all(host.path("work/apps").join(app)).unwrap();
    }
}

#[test]
fn f14_a_mass_removal_waits_for_a_person_while_the_rest_of_the_commit_goes_live() {
    let mut host = pages(&["a", "b", "c", "d", "e"]);
    host.start();
    host.assert_settled(&["a", "b", "c", "d", "e"]);
    remove(&host, &["a", "b", "c"]);
    page_of(&host, "d", "two");
    host.commit("Three of five go");
    host.done(&["sync"]);
    until_says(&host, "d", "two");
    assert_eq!(host.sync().code, 3);
    let plan = host.run(&["plan"]);
    assert_eq!(plan.code, 3, "{plan:#?}");
    assert!(
        plan.out.contains("3 of 5 apps would be removed at once"),
        "{plan:#?}"
    );
    assert!(plan.out.contains("`hop3-agent resume`"), "{plan:#?}");
    for app in ["a", "b", "c"] {
        assert_eq!(text_of(&host, app), "one");
    }
    host.kill();
    host.start();
    assert_eq!(host.sync().code, 3, "the next agent holds them too");
    let one = host.run(&["resume", "a"]);
    let words = "`a` is still held: 3 of 5 apps would be removed at once";
    assert!(one.code == 3 && one.out.contains(words), "{one:#?}");
    let said = host.done(&["resume"]);
    assert!(said.contains("`a` is removed; its data stays"), "{said}");
    host.assert_settled(&["d", "e"]);
    for app in ["a", "b", "c"] {
        assert!(host.app(app).is_null());
        assert!(
            host.path("data/apps")
                .join(app)
                .join("state/tombstone.json")
                .exists()
        );
        assert_eq!(host.visit(app, "/").unwrap().status, 404);
    }
    // The word was for those three.
    remove(&host, &["d", "e"]);
    host.commit("And the other two");
    assert_eq!(host.sync().code, 3);
    assert!(holds(&host, "d").contains("until a person says otherwise"));
    row(
        "F14",
        "3 of 5 removals held over 1 restart, 1 other change went live, 3 removed on a person's word, 2 further ones held",
    );
}

#[test]
fn f13_an_empty_or_vanished_tree_removes_nothing_and_apps_are_mended_meanwhile() {
    let mut host = TestHost::of_files(&[("README.md", "Apps")]);
    host.configure(|text| text + "\n[drift]\ninterval = \"1s\"\n");
    server_of(&host, "shop", ("serve", "one"), "");
    host.commit("One app");
    host.start();
    host.assert_settled(&["shop"]);
    let cases = [
        ("the whole tree", &["rm", "-rq", "apps", "README.md"][..]),
        ("the only app", &["rm", "-rq", "apps/shop"]),
        ("its directory, renamed", &["mv", "apps", "services"]),
    ];
    for (what, command) in cases {
        host.repo.git(command);
        let readme = host.path("work/apps/README.md");
        if what == "the only app" {
            fs::create_dir_all(readme.parent().unwrap()).unwrap();
            fs::write(&readme, "No app any more").unwrap();
        }
        host.repo.push(&[], what);
        assert_eq!(host.sync().code, 3, "{what}");
        assert_eq!(host.run(&["plan"]).code, 3, "{what}");
        assert!(
            holds(&host, "shop").contains("until a person says otherwise"),
            "{what}"
        );
        let (_, supervisor) = host.app_processes().pop_first().unwrap();
        supervisor.kill();
        until(
            "the app to be mended",
            || host.app_processes().len(),
            |count| *count == 2,
        );
        until_says(&host, "shop", "one");
        host.repo.git(&["revert", "--no-edit", "HEAD"]);
        host.repo.push_head();
        host.assert_settled(&["shop"]);
    }
    row(
        "F13",
        &format!(
            "{} lost trees, 0 apps removed, {0} supervisors mended meanwhile",
            cases.len()
        ),
    );
}

#[test]
fn f12_an_app_that_goes_and_comes_back_finds_its_data() {
    let mut host = TestHost::running_example();
    let entry = b"author=ada&message=still+here";
    let sent = super::super::support::ask(
        host.proxy,
        "POST /entries",
        &[
            ("Host", "guestbook.localhost"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ],
        entry,
    );
    assert!(sent.unwrap().status < 400);
    let has_entry = |host: &TestHost| text_of(host, "guestbook").contains("still here");
    until("the entry", || has_entry(&host), |has| *has);
    host.repo.git(&["rm", "-rq", "apps/guestbook"]);
    host.repo.push(&[], "Without the guestbook");
    host.assert_settled(&["site", "echo"]);
    assert!(host.app("guestbook").is_null());
    assert!(
        host.app_processes()
            .keys()
            .all(|name| !name.starts_with("guestbook"))
    );
    assert_eq!(host.visit("guestbook", "/").unwrap().status, 404);
    let files = host.path("data/apps/guestbook");
    assert!(!files.join("releases").exists() && files.join("data").exists());
    host.kill();
    host.start();
    host.repo.git(&["revert", "--no-edit", "HEAD"]);
    host.repo.push_head();
    host.assert_settled(&["site", "guestbook", "echo"]);
    assert!(has_entry(&host), "the data is gone");
    assert!(!files.join("state/tombstone.json").exists());
    row(
        "F12",
        "1 app removed and brought back by a revert, 1 row of its database found again",
    );
}
