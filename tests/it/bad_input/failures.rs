//! What a valid spec can still get wrong: tools, builds and apps that do not do what they should.

use std::fs;

use super::{assert_says, page};
use crate::support::{TestHost, until};

const SERVER: &str = r#"
import http.server, os, sys

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[1]))
        self.end_headers()
        self.wfile.write(sys.argv[2].encode())

http.server.HTTPServer((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Page).serve_forever()
"#;

/// An app, what its second commit does wrongly, and what is said of it.
struct Case {
    app: &'static str,
    build: &'static str,
    start: &'static str,
    step: &'static str,
    says: &'static [&'static str],
}

const GOOD_START: &str = "exec python3 server.py 200 two";

const CASES: [Case; 6] = [
    Case {
        app: "tool",
        build: "no-such-compiler --release",
        start: GOOD_START,
        step: "build",
        says: &["no-such-compiler", "not found"],
    },
    Case {
        app: "build",
        build: "echo 'line 7: the reason why' >&2; exit 3",
        start: GOOD_START,
        step: "build",
        says: &["status 3", "line 7: the reason why"],
    },
    Case {
        app: "slow",
        build: "sleep 86399 & sleep 86399",
        start: GOOD_START,
        step: "build",
        says: &["sleep 86399", "3 s"],
    },
    Case {
        app: "crash",
        build: "",
        start: "echo 'cannot go on'; exit 7",
        step: "health gate",
        says: &["`web.0` did not stay up", "7", "cannot go on"],
    },
    Case {
        app: "deaf",
        build: "",
        start: "exec sleep 86398",
        step: "health gate",
        says: &["was not healthy within 5 s", "nothing answers"],
    },
    Case {
        app: "sick",
        build: "",
        start: "exec python3 server.py 500 two",
        step: "health gate",
        says: &[
            "was not healthy within 5 s",
            "`/` answered 500, wanted 200 to 399",
        ],
    },
];

fn spec(app: &str, build: &str, (start, patience): (&str, u32)) -> String {
    format!(
        "[build]\ntoolchain = \"generic\"\nbuild = {build:?}\n[run]\nstart = {start:?}\nstart-timeout = {patience}\n\
         [healthcheck]\npath = \"/\"\n[domains]\nlist = [\"{app}.localhost\"]\n"
    )
}

fn write(host: &TestHost, app: &str, spec: &str) {
    let directory = host.path("work/apps").join(app);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("server.py"), SERVER).unwrap();
    fs::write(directory.join("hop3.toml"), spec).unwrap();
}

#[test]
fn a_failing_release_is_explained_and_leaves_the_one_before_and_all_other_apps_alone() {
    let mut host = TestHost::of_files(&[("README.md", "Apps")]);
    host.configure(|text| text + "\n[limits]\nbuild-timeout = \"3s\"\n");
    let apps = CASES.map(|case| case.app);
    for app in apps.into_iter().chain(["other"]) {
        write(
            &host,
            app,
            &spec(app, "true", ("exec python3 server.py 200 one", 60)),
        );
    }
    host.commit("Everything works");
    host.start();
    host.assert_settled(&apps);
    for case in &CASES {
        write(
            &host,
            case.app,
            &spec(case.app, case.build, (case.start, 5)),
        );
    }
    write(&host, "other", &spec("other", "true", (GOOD_START, 60)));
    host.commit("All but one break");
    let sync = host.run(&["sync", "--wait"]);
    assert_eq!(sync.code, 1, "{sync:#?}");
    assert_eq!(page(&host, "other"), "two");
    for case in &CASES {
        check(&host, case);
    }
    assert_no_process(&host, "sleep 8639");
    mend(&host);
}

fn check(host: &TestHost, case: &Case) {
    assert_eq!(page(host, case.app), "one");
    let status = host.app(case.app);
    assert_eq!(status["state"], "failing", "{status:#}");
    assert_eq!(status["failure"]["step"], case.step, "{status:#}");
    let why = host.done(&["why", case.app]);
    assert_says(&why, case.says);
    assert_says(&host.done(&["history", case.app]), &[case.step]);
    let plan = host.run(&["plan", "--app", case.app]);
    // Resting until it is tried again.
    assert_eq!(plan.code, 3, "{plan:#?}");
    assert_says(&plan.out, &[case.step, "failed and is repeated later"]);
}

/// A commit that changes what failed is tried at once, whatever the pause was.
fn mend(host: &TestHost) {
    for case in &CASES {
        write(host, case.app, &spec(case.app, "true", (GOOD_START, 60)));
    }
    host.commit("Everything works again");
    host.assert_settled(&CASES.map(|case| case.app));
    for case in &CASES {
        assert_eq!(page(host, case.app), "two");
    }
}

#[track_caller]
pub(crate) fn assert_no_process(host: &TestHost, command: &str) {
    let alive = || {
        let mut processes = host.processes();
        processes.retain(|process| process.command.join(" ").contains(command));
        processes
    };
    until(&format!("the end of `{command}`"), alive, Vec::is_empty);
}
