//! A person's pause: nothing is done to the app, and everything says so.

use super::super::cli::assert_valid;
use super::super::support::until;
use super::{TestHost, holds, page_of, row, server_of, text_of, told, until_says};

fn host() -> TestHost {
    let mut host = TestHost::of_files(&[("README.md", "Apps")]);
    host.configure(|text| text + "\n[drift]\ninterval = \"1s\"\n");
    server_of(&host, "shop", ("serve", "one"), "");
    page_of(&host, "page", "one");
    host.commit("The first release");
    host.start();
    host.assert_settled(&["shop", "page"]);
    host
}

fn commit(host: &TestHost, text: &str) {
    server_of(host, "shop", ("serve", text), "");
    page_of(host, "page", text);
    host.commit(text);
    host.done(&["sync"]);
    until_says(host, "page", text);
    host.sync();
}

#[test]
fn f34_a_paused_app_is_neither_changed_nor_mended_until_a_person_resumes() {
    let mut host = host();
    let said = host.done(&["pause", "shop", "--for", "2h", "--why", "a hotfix by hand"]);
    assert!(
        said.contains("nothing is done to `shop` until 20"),
        "{said}"
    );
    commit(&host, "two");
    let supervisor = &host.app_processes()["shop 1 supervisor"].clone();
    supervisor.kill();
    // Twice round everything, and one more agent.
    host.kill();
    host.start();
    commit(&host, "three");
    assert!(
        host.app_processes()
            .keys()
            .all(|name| !name.starts_with("shop"))
    );
    let shop = host.app("shop");
    assert_eq!(shop["paused"]["why"], "a hotfix by hand");
    assert_eq!(shop["held"][0]["hold"], "paused", "{shop:#}");
    let plan = host.run(&["plan"]);
    assert_eq!(plan.code, 3, "{plan:#?}");
    assert!(
        plan.out.contains("a person paused it: a hotfix by hand"),
        "{plan:#?}"
    );
    for text in [host.done(&["status"]), host.done(&["why", "shop"])] {
        assert!(
            text.contains("paused until 20") && text.contains("a hotfix by hand"),
            "{text}"
        );
    }
    assert_eq!(told(&host, "shop", "paused until"), 1);
    let json = |arguments: &[&str]| serde_json::from_str(&host.done(arguments)).unwrap();
    assert_valid("status", &json(&["status", "--json"]));
    let plan = host.run(&["plan", "--json"]);
    assert_valid("plan", &serde_json::from_str(&plan.out).unwrap());
    host.done(&["resume", "shop"]);
    host.assert_settled(&["shop", "page"]);
    assert_eq!(text_of(&host, "shop"), "three");
    row(
        "F34",
        "1 pause held 2 commits and 1 dead supervisor over 1 restart, 1 resume brought all of it",
    );
}

#[test]
fn a_pause_ends_by_itself() {
    let host = host();
    host.done(&["pause", "shop", "--for", "4s", "--why", "a moment"]);
    commit(&host, "two");
    assert!(holds(&host, "shop").contains("a moment") || text_of(&host, "shop") == "two");
    until_says(&host, "shop", "two");
    host.assert_settled(&["shop", "page"]);
    assert_eq!(told(&host, "shop", "the pause is over"), 1);
}

#[test]
fn a_pause_ends_a_build_that_is_under_way() {
    let host = host();
    server_of(&host, "shop", ("serve", "two"), "");
    host.edit("apps/shop/hop3.toml", |text| {
        text.replace("[build]\n", "[build]\nbuild = \"sleep 86391\"\n")
    });
    host.commit("A long build");
    host.done(&["sync"]);
    let building = || {
        let processes = host.processes();
        processes.iter().any(|it| it.command == ["sleep", "86391"])
    };
    until("the build", building, |is| *is);
    host.done(&["pause", "shop", "--for", "1h", "--why", "too long"]);
    until("the end of the build", building, |is| !is);
    until(
        "the end of the change",
        || host.app("shop"),
        |app| app["state"] != "changing",
    );
    assert_eq!(text_of(&host, "shop"), "one");
}

#[test]
fn a_pause_that_cannot_be_is_refused_with_what_would_be_right() {
    let host = host();
    let refused = |arguments: &[&str]| host.run(arguments);
    let unbuilt = refused(&[
        "pause",
        "shop",
        "--for",
        "1h",
        "--why",
        "x",
        "--maintenance",
    ]);
    assert_eq!(unbuilt.code, 1);
    assert!(unbuilt.err.contains("not built yet"), "{unbuilt:#?}");
    let long = refused(&["pause", "shop", "--for", "40d", "--why", "x"]);
    assert_eq!(long.code, 1);
    assert!(long.err.contains("31 days"), "{long:#?}");
    for arguments in [
        &["pause", "shop", "--for", "soon", "--why", "x"][..],
        &["pause", "shop", "--for", "1h"],
        &["pause", "shop", "--why", "x"],
        &["pause", "--for", "1h", "--why", "x"],
    ] {
        assert_eq!(refused(arguments).code, 64, "{arguments:?}");
    }
    let stranger = refused(&["pause", "nobody", "--for", "1h", "--why", "x"]);
    assert_eq!(stranger.code, 1);
    assert!(stranger.err.contains("`nobody`"), "{stranger:#?}");
    let nothing = refused(&["resume"]);
    assert_eq!(nothing.code, 1);
    assert!(
        nothing.err.contains("nothing is held for the whole host"),
        "{nothing:#?}"
    );
}
