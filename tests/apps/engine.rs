//! A case with a container engine of its own: the test runs once more in a network namespace, where an engine may do what it likes.

use std::process::Command;

use hop3_plugin_testing::dockerd::{BASE, Dockerd};

use super::support::TestHost;

/// Set where the test runs the second time.
const INSIDE: &str = "HOP3_TEST_APPS_IN_NETWORK_NAMESPACE";

/// What the case's Dockerfile begins with: the tag, and what that version says.
const BASES: [(&str, &str); 2] = [
    ("local/greeting:1.0.0", "hello"),
    ("local/greeting:2.0.0", "good day"),
];

/// Whether this is the second time.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Effect: runs the test the second time, and says of it what a log needs.
pub(crate) fn run_inside(test: &str) {
    let output = Command::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let cells = said.lines().filter(|line| line.starts_with("cell "));
    cells.for_each(super::cells::print);
    assert!(output.status.success(), "{said}");
}

/// Effect: starts the engine with the images that an author would pull, and tells the agent of it.
pub(crate) fn start(host: &TestHost) -> Dockerd {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(up.unwrap().success());
    let engine = Dockerd::start();
    for (tag, word) in BASES {
        let directory = host.path(&tag.replace(['/', ':'], "-"));
        std::fs::create_dir_all(&directory).unwrap();
        let text = format!("FROM {BASE}\nRUN echo {word} > /greeting\n");
        std::fs::write(directory.join("Dockerfile"), text).unwrap();
        engine.client(&[
            "build",
            "--quiet",
            "--tag",
            tag,
            directory.to_str().unwrap(),
        ]);
    }
    let address = engine.address();
    host.configure(|text| format!("{text}\n[plugin.docker]\nhost = \"{address}\"\n"));
    engine
}
