//! What supervisors tell the agent without being asked, and what commands leave behind when nobody watches them any more.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests look at the machine from outside, listen as the agent does, and panic when it is not as it should be"
)]

#[expect(
    dead_code,
    unused_imports,
    reason = "only some of the shared machine is used here"
)]
mod machine;

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use hop3_plugin_api::{Deployer as _, OneOff};
use hop3_plugin_native::NativeDeployer;
use machine::{Fixture, SERVE, eventually, kill, lives, number_in};

/// The longest that news may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The next word that the agent hears.
fn hear(agent: &UnixDatagram) -> String {
    let mut word = [0; 64];
    let length = agent.recv(&mut word).expect("a supervisor has news");
    String::from_utf8(word[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn f28_the_agent_hears_at_once_that_an_instance_ended() {
    let fixture = Fixture::new(&[("web", SERVE), ("queue", "exec sleep 1000")]);
    let agent = UnixDatagram::bind(fixture.app.dirs.nudges()).unwrap();
    agent.set_read_timeout(Some(PATIENCE)).unwrap();
    fixture.deploy(&[("web", 1), ("queue", 1)]).await;
    for pid in fixture.pids().await {
        let begun = Instant::now();
        kill(pid);
        assert_eq!(hear(&agent), fixture.app.name.as_str());
        println!("news after {} ms", begun.elapsed().as_millis());
    }
}

#[tokio::test]
async fn f28_the_agent_hears_of_every_restart_and_a_supervisor_never_waits_for_it() {
    let fixture = Fixture::new(&[("queue", "exit 3")]);
    // Bound, but nobody reads: the queue fills up.
    let agent = UnixDatagram::bind(fixture.app.dirs.nudges()).unwrap();
    agent.set_read_timeout(Some(PATIENCE)).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"x", fixture.app.dirs.nudges()).is_ok() {}
    fixture.deploy(&[("queue", 1)]).await;
    eventually("it crashes on although nobody listens", async || {
        fixture.status().await[0].restarts >= 2
    })
    .await;
    while hear(&agent) == "x" {}
    // Once there is room, what was missed is told again, and so is what follows.
    assert_eq!(hear(&agent), fixture.app.name.as_str());
}

#[tokio::test]
async fn f01_what_a_command_left_is_ended_and_no_instance_with_it() {
    let fixture = Fixture::new(&[("web", SERVE)]);
    fixture.deploy(&[("web", 2)]).await;
    let before = fixture.pids().await;
    let command =
        "(setsid sh -c 'echo $$ >$HOME/hidden; sleep 1000; sleep 1000' >/dev/null 2>&1 &); true";
    let cx = fixture.app.context();
    let one_off = OneOff::new(command, Duration::from_secs(10));
    NativeDeployer
        .run(&cx, &fixture.launch(), &one_off)
        .await
        .unwrap();
    let hidden = fixture.file("hidden");
    eventually("it started", async || number_in(&hidden).is_some()).await;
    assert!(lives(number_in(&hidden).unwrap()));
    NativeDeployer
        .end_commands(&cx, &fixture.release)
        .await
        .unwrap();
    assert!(!lives(number_in(&hidden).unwrap()), "it lives on");
    assert_eq!(fixture.pids().await, before);
    let statuses = fixture.status().await;
    assert!(statuses.iter().all(|status| status.restarts == 0));
}
