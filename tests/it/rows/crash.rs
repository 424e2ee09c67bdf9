//! Releases that do not stay up, and apps that take the agent down.

use super::super::support::{until, until_within};
use super::{holds, page_of, row, server_of, text_of, told, until_says};
use crate::support::{TestHost, is_long};

fn host(more: &str) -> TestHost {
    let mut host = TestHost::of_files(&[("README.md", "Apps")]);
    host.configure(|text| text + "\n[drift]\ninterval = \"2s\"\n");
    server_of(&host, "shop", ("serve", "one"), more);
    page_of(&host, "page", "one");
    host.commit("The first release");
    host.start();
    host.assert_settled(&["shop", "page"]);
    host
}

/// The seconds after which a release ends again and again, once it serves.
fn lives() -> Vec<&'static str> {
    if is_long() {
        vec!["1.5", "5", "61"]
    } else {
        vec!["1.5"]
    }
}

#[test]
fn f28_a_new_release_that_does_not_stay_up_gives_way_to_the_one_before_once() {
    for life in lives() {
        let mut host = host("");
        server_of(&host, "shop", (life, "two"), "");
        host.commit("It ends after a while");
        host.done(&["sync"]);
        // Three of the longest lives, and the pauses between them.
        until_within(
            600,
            "the return to the release before",
            || told(&host, "shop", "went back from release"),
            |count| *count == 1,
        );
        until_says(&host, "shop", "one");
        host.sync();
        let shop = host.app("shop");
        assert_eq!(shop["state"], "failing", "{shop:#}");
        let held = holds(&host, "shop");
        assert!(
            held.contains("`web.0` of release") && held.contains("back at release"),
            "{held}"
        );
        assert!(host.done(&["why", "shop"]).contains("back at release"));
        assert_eq!(host.run(&["plan"]).code, 3);
        // Neither time nor the next agent takes the bad release up again.
        host.kill();
        host.start();
        page_of(&host, "page", life);
        host.commit("Another app's commit");
        host.done(&["sync"]);
        until_says(&host, "page", life);
        host.sync();
        assert_eq!(text_of(&host, "shop"), "one");
        assert_eq!(told(&host, "shop", "went back from release"), 1);
        // A commit that changes the app is taken at once.
        server_of(&host, "shop", ("serve", "one"), "# mended\n");
        host.commit("Mended");
        host.assert_settled(&["shop", "page"]);
    }
    let tried = lives().len();
    row(
        "F28",
        &format!(
            "{tried} releases that end after {} s, {tried} returns, 0 repeated",
            lives().join(", ")
        ),
    );
}

#[test]
fn f28_a_release_whose_release_command_ran_gives_way_only_where_its_spec_says_so() {
    let commands = "[deploy]\ndrain-timeout = \"1s\"\n";
    let host = host(commands);
    let spec = |text: String| text.replace("[run]\n", "[run]\nbefore-run = \"true\"\n");
    server_of(&host, "shop", ("1.5", "two"), commands);
    host.edit("apps/shop/hop3.toml", spec);
    host.commit("With a release command");
    host.done(&["sync"]);
    until(
        "word that there is no way back",
        || holds(&host, "shop"),
        |held| held.contains("there is no way back: its release command has run"),
    );
    assert_eq!(told(&host, "shop", "went back from release"), 0);
    let allowed = format!("{commands}return-after-release-command = true\n");
    server_of(&host, "shop", ("1.5", "three"), &allowed);
    host.edit("apps/shop/hop3.toml", spec);
    host.commit("It may go back");
    host.done(&["sync"]);
    until(
        "the return",
        || told(&host, "shop", "went back from release"),
        |count| *count == 1,
    );
    row(
        "F28",
        "1 release command without leave kept its release and said so, 1 with leave returned",
    );
}

#[test]
fn f28_a_wrong_health_check_is_corrected_at_once_by_a_commit_that_changes_nothing_else() {
    let host = host("");
    let correct = |text: String| text.replace("/nowhere", "/");
    server_of(&host, "shop", ("serve", "two"), "start-timeout = 1\n");
    host.edit("apps/shop/hop3.toml", |text| {
        let wrong = "path = \"/nowhere\"\ncontains = \"three\"\n";
        text.replace("path = \"/\"\n", wrong)
            .replace("start-timeout = 1\n", "")
            .replace("[run]\n", "[run]\nstart-timeout = 1\n")
    });
    host.commit("A check that never holds");
    host.done(&["sync"]);
    until(
        "the failure",
        || host.app("shop"),
        |app| app["state"] == "failing",
    );
    assert_eq!(text_of(&host, "shop"), "one");
    host.edit("apps/shop/hop3.toml", |text| {
        correct(text).replace("contains = \"three\"\n", "")
    });
    host.commit("The right check");
    host.done(&["sync"]);
    until_says(&host, "shop", "two");
    host.assert_settled(&["shop", "page"]);
}

#[test]
fn t40_an_app_in_whose_build_the_agent_dies_three_times_rests_and_all_others_go_on() {
    let mut host = host("");
    let building = |host: &TestHost| {
        let sleeping = host.processes();
        let sleeping = sleeping.iter().any(|it| it.command == ["sleep", "86392"]);
        sleeping && host.app("shop")["step"] == "build"
    };
    server_of(&host, "shop", ("serve", "two"), "");
    let poison = "[build]\nbuild = \"sleep 86392\"\n";
    host.edit("apps/shop/hop3.toml", |text| {
        text.replace("[build]\n", poison)
    });
    host.commit("A build in which the agent dies");
    for _ in 0..3 {
        until("the build", || building(&host), |is| *is);
        host.kill();
        host.start();
    }
    until(
        "the app to rest",
        || holds(&host, "shop"),
        |held| held.contains("the agent died 3 times in a row in the middle of it"),
    );
    page_of(&host, "page", "two");
    host.commit("Another app's commit");
    host.done(&["sync"]);
    until_says(&host, "page", "two");
    assert!(!building(&host));
    assert_eq!(text_of(&host, "shop"), "one");
    let why = host.done(&["why", "shop"]);
    assert!(
        why.contains("quarantined") && why.contains("hint: "),
        "{why}"
    );
    assert_eq!(
        told(&host, "shop", "the agent ended in the middle of build"),
        3
    );
    server_of(&host, "shop", ("serve", "three"), "");
    host.commit("Without the poison");
    host.done(&["sync"]);
    until_says(&host, "shop", "three");
    host.assert_settled(&["shop", "page"]);
    row(
        "T40",
        "1 app with 3 deaths of the agent in its build, 1 quarantined, 1 other app went live, 1 fix went live",
    );
}
