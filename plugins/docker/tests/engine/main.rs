//! The plugin against a real Docker engine, started for this test in a network namespace of its own, so that it meets no other engine, no
//! other's ports and no registry. Skipped where there is no `dockerd` or no root; `scripts/install-docker-for-tests` installs what is needed.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "this test is the machine: it runs programs and writes files"
)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of a test fail and tell as tests do"
)]

mod app;
mod builds;
mod host;
mod stories;

use std::process::Command;

use hop3_plugin_testing::dockerd;

const INSIDE: &str = "HOP3_TEST_IN_NETWORK_NAMESPACE";

#[test]
fn releases_run_on_a_real_engine() {
    if let Some(missing) = dockerd::missing() {
        println!("skipped: {missing}");
        return;
    }
    if std::env::var_os(INSIDE).is_some() {
        return run_stories();
    }
    let itself = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["--net", "--"])
        .arg(itself)
        .args(["--exact", "releases_run_on_a_real_engine", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "the stories {status}");
}

fn run_stories() {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(up.unwrap().success());
    let engine = dockerd::Dockerd::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(stories::all(&engine));
}
