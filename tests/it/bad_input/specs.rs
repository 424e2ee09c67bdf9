//! What a commit can say wrongly.

use std::collections::BTreeSet;
use std::fs;

use super::{assert_says, holds, page};
use crate::support::TestHost;

/// Paths with contents.
type Files = &'static [(&'static str, &'static str)];

/// What a case's commit says beside `good`, and what it comes to.
struct Case {
    name: &'static str,
    files: Files,
    /// Apps that are held, with what is said of each.
    held: &'static [(&'static str, &'static [&'static str])],
}

const VICTIM: &str = "[domains]\nlist = [\"victim.localhost\"]\n[build]\ntoolchain = \"static\"\n";

const CASES: &[Case] = &[
    Case {
        name: "broken TOML",
        files: &[(
            "apps/victim/hop3.toml",
            "[domains]\nlist = [\"victim.localhost\"\n",
        )],
        held: &[("victim", &["apps/victim/hop3.toml:", "unclosed array"])],
    },
    Case {
        name: "broken TOML of an app that is not named like its directory",
        files: &[
            ("apps/victim/hop3.toml", VICTIM),
            (
                "apps/other/hop3.toml",
                "[metadata]\nid = \"elsewhere\"\n[build\n",
            ),
        ],
        held: &[("elsewhere", &["apps/other/hop3.toml:3:"])],
    },
    Case {
        name: "an unknown key",
        files: &[(
            "apps/victim/hop3.toml",
            "[run]\n\nstrat = \"x\"\n[domains]\nlist = [\"victim.localhost\"]\n",
        )],
        held: &[(
            "victim",
            &[
                "apps/victim/hop3.toml:3:1: unknown key `strat`",
                "did you mean `start`?",
            ],
        )],
    },
    Case {
        name: "a value of the wrong type, twice",
        files: &[(
            "apps/victim/hop3.toml",
            "[domains]\nlist = 3\n[healthcheck]\npath = 4\n",
        )],
        held: &[("victim", &["apps/victim/hop3.toml:2:8: ", "(and 1 more)"])],
    },
    Case {
        name: "two apps of one name",
        files: &[
            ("apps/victim/hop3.toml", VICTIM),
            ("apps/twin/hop3.toml", "[metadata]\nid = \"victim\"\n"),
        ],
        held: &[("victim", &["apps/twin/hop3.toml", "apps/victim/hop3.toml"])],
    },
    Case {
        name: "a claimant of a host name that another app holds",
        files: &[
            ("apps/victim/hop3.toml", VICTIM),
            (
                "apps/rival/hop3.toml",
                "[build]\ntoolchain = \"static\"\n[domains]\nlist = [\"victim.localhost\"]\n",
            ),
        ],
        held: &[(
            "rival",
            &[
                "apps/rival/hop3.toml:4:9: the host name `victim.localhost` is held by `victim` (apps/victim/hop3.toml:2) already",
            ],
        )],
    },
    Case {
        name: "a claimant of a host name whose holder is broken by the same commit",
        files: &[
            ("apps/victim/hop3.toml", "[domains]\nlst = []\n"),
            (
                "apps/rival/hop3.toml",
                "[build]\ntoolchain = \"static\"\n[domains]\nlist = [\"victim.localhost\"]\n",
            ),
        ],
        held: &[
            (
                "rival",
                &[
                    "apps/rival/hop3.toml:4:9: the host name `victim.localhost` is held by `victim` already",
                ],
            ),
            ("victim", &["apps/victim/hop3.toml:2:1: unknown key `lst`"]),
        ],
    },
    Case {
        name: "two claimants of a host name that nobody holds",
        files: &[
            ("apps/victim/hop3.toml", VICTIM),
            (
                "apps/left/hop3.toml",
                "[domains]\nlist = [\"new.localhost\"]\n",
            ),
            (
                "apps/right/hop3.toml",
                "[domains]\nlist = [\"new.localhost\"]\n",
            ),
        ],
        held: &[
            (
                "left",
                &[
                    "apps/left/hop3.toml:2:9: ",
                    "`right` (apps/right/hop3.toml:2)",
                ],
            ),
            (
                "right",
                &[
                    "apps/right/hop3.toml:2:9: ",
                    "`left` (apps/left/hop3.toml:2)",
                ],
            ),
        ],
    },
    Case {
        name: "apps that wait for each other",
        files: &[
            (
                "apps/victim/hop3.toml",
                "[domains]\nlist = [\"victim.localhost\"]\n[deploy]\nafter = [\"rival\"]\n",
            ),
            ("apps/rival/hop3.toml", "[deploy]\nafter = [\"victim\"]\n"),
        ],
        held: &[
            (
                "rival",
                &["apps/rival/hop3.toml:2:10: ", "rival → victim → rival"],
            ),
            (
                "victim",
                &["apps/victim/hop3.toml:4:10: ", "victim → rival → victim"],
            ),
        ],
    },
    Case {
        name: "a plugin that is not linked",
        files: &[(
            "apps/victim/hop3.toml",
            "[build]\ntoolchain = \"cobol\"\n[domains]\nlist = [\"victim.localhost\"]\n",
        )],
        held: &[("victim", &["apps/victim/hop3.toml:", "`cobol`"])],
    },
    Case {
        name: "nothing that says how to build it",
        files: &[(
            "apps/victim/hop3.toml",
            "[build]\ntoolchain = \"python\"\n[domains]\nlist = [\"victim.localhost\"]\n[run]\n",
        )],
        held: &[("victim", &["apps/victim/hop3.toml:"])],
    },
];

#[test]
fn a_bad_spec_holds_its_app_with_its_place_and_the_others_are_deployed_by_the_same_commit() {
    let mut host = TestHost::of_files(&[
        ("apps/victim/hop3.toml", VICTIM),
        ("apps/victim/index.html", "the first edition"),
        (
            "apps/good/hop3.toml",
            "[build]\ntoolchain = \"static\"\n[domains]\nlist = [\"good.localhost\"]\n",
        ),
        ("apps/good/index.html", "the first edition"),
    ]);
    host.start();
    host.assert_settled(&["good", "victim"]);
    for case in CASES {
        eprintln!("{}", case.name);
        commit(&host, case);
        check(&host, case);
    }
    start_over(&host);
    let mended = [
        ("apps/victim/hop3.toml", VICTIM),
        ("apps/victim/index.html", "the second edition"),
    ];
    host.repo.push(&mended, "Everything is mended");
    host.assert_settled(&["good", "victim"]);
    assert_eq!(page(&host, "victim"), "the second edition");
}

/// Makes the work tree anew but for `good` and for the victim's page, which says something that must not go live.
fn start_over(host: &TestHost) {
    for app in fs::read_dir(host.path("work/apps")).unwrap() {
        let app = app.unwrap();
        if app.file_name() != "good" {
            fs::remove_dir_all(app.path()).unwrap();
        }
    }
}

fn commit(host: &TestHost, case: &Case) {
    start_over(host);
    let broken = case.held.iter().any(|(app, _)| *app == "victim");
    let edition = if broken {
        "never seen"
    } else {
        "the first edition"
    };
    let mut files = vec![
        ("apps/victim/index.html", edition),
        ("apps/good/index.html", case.name),
    ];
    files.extend(case.files);
    host.repo.push(&files, case.name);
    host.run(&["sync", "--wait"]);
}

fn check(host: &TestHost, case: &Case) {
    assert_eq!(page(host, "good"), case.name);
    assert_eq!(page(host, "victim"), "the first edition");
    let plan = host.run(&["plan"]);
    assert_eq!(plan.code, 1, "{plan:#?}");
    assert_eq!(host.run(&["sync", "--wait"]).code, 1);
    for (app, fragments) in case.held {
        let status = host.app(app);
        assert_eq!(status["state"], "held", "{status:#}");
        let place = fragments[0];
        assert!(
            holds(&status).iter().any(|message| message.contains(place)),
            "{status:#}"
        );
        assert_says(&plan.out, fragments);
        assert_says(&host.done(&["why", app]), fragments);
        assert_says(&host.done(&["history", app]), &["held: ", place]);
    }
    let held = plan.out.lines().filter_map(|line| {
        let (app, _) = line.strip_prefix("! ")?.split_once(": held")?;
        Some(app)
    });
    let expected: BTreeSet<&str> = case.held.iter().map(|(app, _)| *app).collect();
    assert_eq!(held.collect::<BTreeSet<_>>(), expected, "{}", plan.out);
}

#[test]
fn a_directory_that_can_be_no_app_is_named_and_stops_nobody() {
    let mut host = TestHost::of_files(&[
        (
            "apps/good/hop3.toml",
            "[domains]\nlist = [\"good.localhost\"]\n",
        ),
        ("apps/good/index.html", "good"),
        ("apps/Not_An_App/hop3.toml", "[domains]\nlist = []\n"),
    ]);
    host.start();
    assert_eq!(host.run(&["sync", "--wait"]).code, 1);
    host.until_running(&["good"]);
    let plan = host.run(&["plan"]);
    assert_eq!(plan.code, 1, "{plan:#?}");
    assert_says(&plan.out, &["! apps/Not_An_App"]);
    assert_says(&host.done(&["status"]), &["! apps/Not_An_App", "good"]);
}

#[test]
fn a_commit_that_loses_everything_changes_nothing() {
    let mut host = TestHost::of_files(&[
        ("hosts/demo.toml", "apps = [\"*\"]\n"),
        (
            "apps/good/hop3.toml",
            "[domains]\nlist = [\"good.localhost\"]\n",
        ),
        ("apps/good/index.html", "good"),
    ]);
    host.start();
    host.assert_settled(&["good"]);
    let cases: [(Files, &str, &str); 3] = [
        (
            &[("hosts/demo.toml", "apps = [\"*\"\n")],
            "",
            "hosts/demo.toml:",
        ),
        (
            &[("hosts/other.toml", "apps = [\"*\"]\n")],
            "hosts/demo.toml",
            "no `hosts/demo.toml`",
        ),
        (&[], "apps", "no `apps` directory"),
    ];
    for (files, removed, message) in cases {
        if !removed.is_empty() {
            host.repo.git(&["rm", "-rq", removed]);
        }
        host.repo.push(files, "Lose something");
        let sync = host.run(&["sync", "--wait"]);
        assert_eq!(sync.code, 3, "{sync:#?}");
        assert_says(&sync.out, &["! ", message]);
        assert_says(&host.done(&["why", "good"]), &[message]);
        assert_eq!(host.run(&["plan"]).code, 3);
        assert_eq!(page(&host, "good"), "good");
        host.repo.git(&["revert", "--no-edit", "HEAD"]);
    }
}
