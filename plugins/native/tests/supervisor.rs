//! The native deployer with real processes: supervisors of this plugin's own test binary over the machine in `machine`.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests look at the machine from outside, act as other programs do, and panic when it is not as it should be"
)]

mod machine;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{Deployer as _, Limits, Liveness, OneOff, UserId};
use hop3_plugin_native::NativeDeployer;
use hop3_plugin_testing::{TestApp, conformance};
use machine::{
    Fixture, Machine, SERVE, ask, count, eventually, kill, lives, number_in, unique_name,
};
use rustix::process::{Pid, Signal};

#[tokio::test]
async fn the_deployer_keeps_its_promises_with_real_processes() {
    let fixture = Fixture::new(&[("web", SERVE), ("queue", "exec sleep 1000")]);
    let counts = count(&[("web", 2), ("queue", 1)]);
    let cx = fixture.app.context();
    conformance::deployer::conforms(&NativeDeployer, &cx, &fixture.launch(), &counts).await;
    let left = fs::read_dir(&fixture.app.dirs.run).unwrap().count();
    assert_eq!(left, 0, "sockets, locks or FIFOs are left");
    assert_eq!(fs::read_dir(&fixture.app.paths.state).unwrap().count(), 0);
}

#[tokio::test]
async fn each_instance_answers_at_its_own_port() {
    let fixture = Fixture::new(&[("web", SERVE)]);
    let info = fixture.deploy(&[("web", 2)]).await;
    for (endpoint, pid) in info.endpoints.iter().zip(fixture.pids().await) {
        eventually("it answers", async || ask(&endpoint.address) == Some(pid)).await;
    }
    fixture.stop().await;
    assert!(info.endpoints.iter().all(|e| ask(&e.address).is_none()));
}

#[tokio::test]
async fn a_killed_instance_is_started_again_and_counted_and_the_others_live_on() {
    let fixture = Fixture::new(&[("web", SERVE)]);
    let info = fixture.deploy(&[("web", 2)]).await;
    let before = fixture.pids().await;
    kill(before[0]);
    eventually("it was restarted", async || {
        fixture.status().await[0].restarts == 1
    })
    .await;
    let after = fixture.pids().await;
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1], before[1]);
    let address = &info.endpoints[0].address;
    eventually("the new one answers at the old port", async || {
        ask(address) == Some(after[0])
    })
    .await;
    let lines = fixture.last_lines(1).await;
    assert_eq!(
        lines,
        ["[hop3] web.0 was ended by signal 9; starting it again in 0 s"]
    );
}

#[tokio::test]
async fn f28_an_app_that_crashes_at_once_tells_how_and_is_not_started_in_a_tight_loop() {
    let fixture = Fixture::new(&[("queue", "echo starting; exit 3")]);
    fixture.deploy(&[("queue", 1)]).await;
    eventually("it waits", async || {
        let status = fixture.status().await;
        status[0].restarts >= 2
            && matches!(&status[0].liveness, Liveness::Stopped { reason: Some(reason) } if reason == "exited with status 3")
    })
    .await;
    assert!(fixture.status().await[0].restarts < 5);
}

#[tokio::test]
async fn scaling_down_ends_whole_groups_and_leaves_the_others_alone() {
    let command = "sleep 1000 & echo $! >$HOME/child.$HOP3_INSTANCE; wait";
    let fixture = Fixture::new(&[("queue", command)]);
    fixture.deploy(&[("queue", 2)]).await;
    let children = async || {
        let files = fs::read_dir(&fixture.app.paths.data).unwrap().flatten();
        let mut found: Vec<_> = files
            .filter_map(|f| Some((f.file_name().into_string().ok()?, number_in(&f.path())?)))
            .collect();
        found.sort();
        found
    };
    eventually("both started", async || children().await.len() == 2).await;
    let before = fixture.pids().await;
    fixture.deploy(&[("queue", 1)]).await;
    assert_eq!(fixture.pids().await, before[..1]);
    let children = children().await;
    assert!(lives(children[0].1));
    assert!(!lives(children[1].1), "a child of the ended instance lives");
}

#[tokio::test]
async fn stop_ends_children_that_ignore_term_and_those_that_hide() {
    let hide = "trap '' TERM; echo $$ >$HOME/$0; sleep 1000; sleep 1000";
    let command = format!(
        "trap '' TERM; (setsid env -i HOME=$HOME sh -c \"{}\" hidden &); sh -c \"{}\" plain; sleep 1000",
        hide.replace('$', "\\$").replace("\\$HOME", "$HOME"),
        hide.replace('$', "\\$"),
    );
    let fixture = Fixture::new(&[("queue", &command)]);
    fixture.deploy(&[("queue", 1)]).await;
    let files = [fixture.file("hidden"), fixture.file("plain")];
    eventually("both started", async || {
        files.iter().all(|file| number_in(file).is_some())
    })
    .await;
    let supervisor = fixture.supervisor().await;
    let pids: Vec<u32> = files.iter().filter_map(|file| number_in(file)).collect();
    assert!(pids.iter().all(|pid| lives(*pid)));
    fixture.stop().await;
    assert!(pids.iter().all(|pid| !lives(*pid)), "a child outlived stop");
    assert!(!lives(supervisor));
}

#[tokio::test]
async fn t26_the_environment_arrives_byte_for_byte_and_nothing_else_does() {
    let values = [
        "'\"`$HOME\\ %h",
        "a\nLD_PRELOAD=/evil\r\n",
        "ü𝄞\u{202e}",
        "",
        &"x".repeat(100_000),
    ];
    let mut app =
        TestApp::on(&unique_name(), Arc::new(Machine)).variable("LD_PRELOAD", "/no/such.so");
    for (index, value) in values.iter().enumerate() {
        app = app.variable(&format!("V{index}"), value);
    }
    let fixture = Fixture::of(
        app,
        &[(
            "web",
            "cat /proc/$$/environ >$HOME/new 2>/dev/null; mv $HOME/new $HOME/env; exec sleep 1000",
        )],
    );
    fixture.deploy(&[("web", 1)]).await;
    let file = fixture.file("env");
    eventually("it wrote its environment", async || file.exists()).await;
    let text = fs::read_to_string(&file).unwrap();
    let env: BTreeMap<&str, &str> = text
        .split_terminator('\0')
        .map(|entry| entry.split_once('=').unwrap())
        .collect();
    for (index, value) in values.iter().enumerate() {
        assert_eq!(env[&*format!("V{index}")], *value);
    }
    let others: Vec<&str> = env
        .keys()
        .filter(|key| !key.starts_with('V'))
        .copied()
        .collect();
    let expected = [
        "BIND_ADDRESS",
        "HOME",
        "HOP3_APP",
        "HOP3_INSTANCE",
        "HOP3_RELEASE",
        "LD_PRELOAD",
        "PATH",
        "PORT",
        "TMPDIR",
    ];
    assert_eq!(others, expected);
    let log = fs::read_to_string(fixture.app.paths.log.join("supervisor.log")).unwrap();
    assert_eq!(
        log, "",
        "the app's variables act on the agent's own helpers"
    );
}

#[tokio::test]
async fn a_flood_of_output_is_rotated_and_its_end_can_be_read() {
    let command =
        "head -c 11000000 /dev/zero | tr '\\0' x | fold -w 99; echo; echo done; exec sleep 1000";
    let fixture = Fixture::new(&[("queue", command)]);
    fixture.deploy(&[("queue", 1)]).await;
    eventually("the end is in the log", async || {
        fixture.last_lines(1).await == ["done"]
    })
    .await;
    let older = fixture.app.paths.log.join("queue.0.log.1");
    let size = fs::metadata(older).unwrap().len();
    assert!((10_485_760..11_000_000).contains(&size), "{size}");
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_instances_along_and_stop_finds_what_they_had_started() {
    let command =
        "(setsid sh -c 'echo $$ >$HOME/hidden; sleep 1000; sleep 1000' &); sleep 1000; exit 1";
    let fixture = Fixture::new(&[("web", SERVE), ("queue", command)]);
    fixture.deploy(&[("web", 2), ("queue", 1)]).await;
    let hidden = fixture.file("hidden");
    eventually("it started", async || number_in(&hidden).is_some()).await;
    let pids = fixture.pids().await;
    assert_eq!(pids.len(), 3);
    kill(fixture.supervisor().await);
    eventually("the instances ended", async || {
        pids.iter().all(|pid| !lives(*pid))
    })
    .await;
    let status = fixture.status().await;
    assert_eq!(status.len(), 3);
    assert!(
        status
            .iter()
            .all(|s| matches!(s.liveness, Liveness::Stopped { .. }))
    );
    fixture.stop().await;
    assert!(!lives(number_in(&hidden).unwrap()), "the sweep missed one");
    assert_eq!(fs::read_dir(&fixture.app.dirs.run).unwrap().count(), 0);
    assert!(fixture.status().await.is_empty());
}

#[tokio::test]
async fn a_release_whose_supervisor_was_killed_starts_again_with_nothing_doubled() {
    let command =
        "(setsid sh -c 'echo $$ >>$HOME/hidden; sleep 1000; sleep 1000' &); exec sleep 1000";
    let fixture = Fixture::new(&[("queue", command)]);
    let lines = || fs::read_to_string(fixture.file("hidden")).unwrap_or_default();
    fixture.deploy(&[("queue", 1)]).await;
    eventually("it started", async || lines().lines().count() == 1).await;
    kill(fixture.supervisor().await);
    eventually("it is gone", async || {
        matches!(fixture.status().await[0].liveness, Liveness::Stopped { .. })
    })
    .await;
    fixture.deploy(&[("queue", 1)]).await;
    eventually("it started again", async || lines().lines().count() == 2).await;
    let hidden: Vec<bool> = lines()
        .lines()
        .map(|pid| lives(pid.parse().unwrap()))
        .collect();
    assert_eq!(hidden, [false, true]);
}

#[tokio::test]
async fn two_agents_that_start_one_release_get_one_supervisor() {
    let fixture = Fixture::new(&[("web", SERVE)]);
    let counts = [("web", 1)];
    let (one, two) = tokio::join!(fixture.deploy(&counts), fixture.deploy(&counts));
    assert_eq!(one, two);
    assert_eq!(fixture.pids().await.len(), 1);
}

#[tokio::test]
async fn a_command_runs_in_the_releases_environment() {
    let mut fixture = Fixture::new(&[("web", SERVE)]);
    fixture.artifact.runtime.writable = vec!["uploads".to_owned()];
    let run = async |command: &str| {
        let cx = fixture.app.context();
        let deadline = Duration::from_secs(10);
        NativeDeployer
            .run(&cx, &fixture.launch(), &OneOff::new(command, deadline))
            .await
            .unwrap()
    };
    let exit = run("touch uploads/x; echo \"$HOP3_APP $HOP3_RELEASE ${PORT-none}\"; exit 4").await;
    let name = &fixture.app.name;
    assert_eq!(exit.tail, format!("{name} 1 none\n"));
    assert!(!exit.success());
    assert!(fixture.file("uploads/x").exists());
}

#[tokio::test]
async fn an_instance_runs_as_its_user_within_its_limits_and_cannot_gain_privileges() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let command = "exec >$HOME/new; id -u; id -G; umask; ulimit -n; \
                   grep -c 'Max processes  *32  *32 ' /proc/self/limits; grep NoNewPrivs /proc/self/status; echo out >/dev/stderr; pwd; mv $HOME/new $HOME/facts; exec sleep 1000";
    let mut fixture = Fixture::new(&[("queue", command)]);
    fixture.app.user = Some(UserId {
        uid: 54321,
        gid: 54322,
    });
    fixture.limits = Limits {
        open_files: Some(64),
        processes: Some(32),
        ..Limits::default()
    };
    let data = &fixture.app.paths.data;
    std::os::unix::fs::chown(data, Some(54321), Some(54322)).unwrap();
    let root = fixture.app.dirs.data.parent().unwrap();
    fs::set_permissions(root, fs::Permissions::from_mode(0o711)).unwrap();
    fixture.deploy(&[("queue", 1)]).await;
    let facts = fixture.file("facts");
    eventually("it said who it is", async || facts.exists()).await;
    let build = fixture.app.paths.build.display();
    assert_eq!(
        fs::read_to_string(facts).unwrap(),
        format!("54321\n54322\n0022\n64\n1\nNoNewPrivs:\t1\n{build}\n")
    );
    assert_eq!(fixture.last_lines(1).await, ["out"]);
}

#[tokio::test]
async fn an_idle_supervisor_is_small_and_has_one_thread() {
    let fixture = Fixture::new(&[("queue", "exec sleep 1000")]);
    fixture.deploy(&[("queue", 2)]).await;
    let supervisor = fixture.supervisor().await;
    let text = fs::read_to_string(format!("/proc/{supervisor}/smaps_rollup")).unwrap();
    let private: u64 = text
        .lines()
        .filter(|line| line.starts_with("Anonymous"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    println!("private memory of an idle supervisor: {private} KiB");
    assert!(private < 1024, "{private} KiB");
    let tasks = fs::read_dir(format!("/proc/{supervisor}/task")).unwrap();
    assert_eq!(tasks.count(), 1);
}

/// Not a test: the process that another test kills.
#[tokio::test]
#[ignore = "runs as a process of another test"]
async fn act_as_an_agent() {
    let root = PathBuf::from(std::env::var("HOP3_TEST_ROOT").unwrap());
    let fixture = at(&root, &std::env::var("HOP3_TEST_APP").unwrap());
    fixture.deploy(&[("web", 1)]).await;
    fs::write(root.join("deployed"), "").unwrap();
    std::future::pending::<()>().await;
}

fn at(root: &Path, name: &str) -> Fixture {
    let mut app = TestApp::on(name, Arc::new(Machine));
    app.dirs.data = root.join("data");
    app.dirs.run = root.join("run");
    app.paths.app = root.join("data/apps").join(name);
    app.paths.release = app.paths.app.join("releases/1");
    app.paths.build = app.paths.release.join("app");
    app.paths.data = app.paths.app.join("data");
    app.paths.log = app.paths.app.join("log");
    app.paths.state = app.paths.app.join("state");
    for directory in [
        &app.dirs.run,
        &app.paths.data,
        &app.paths.log,
        &app.paths.state,
    ] {
        fs::create_dir_all(directory).unwrap();
    }
    Fixture::of(app, &[("web", SERVE)])
}

#[tokio::test]
async fn the_death_of_the_agent_touches_no_app_and_the_next_agent_finds_it() {
    let root = tempfile::tempdir().unwrap();
    let name = unique_name();
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "act_as_an_agent", "--ignored"])
        .env("HOP3_TEST_ROOT", root.path())
        .env("HOP3_TEST_APP", &name)
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let fixture = at(root.path(), &name);
    let deployed = root.path().join("deployed");
    eventually("the agent deployed", async || deployed.exists()).await;
    let before = fixture.pids().await;
    let group = Pid::from_raw(agent.id().cast_signed()).unwrap();
    rustix::process::kill_process_group(group, Signal::KILL).unwrap();
    agent.wait().unwrap();
    let status = fixture.status().await;
    assert_eq!(status[0].liveness, Liveness::Running);
    assert_eq!(
        (status[0].restarts, fixture.pids().await),
        (0, before.clone())
    );
    let address = status[0].endpoint.clone().unwrap();
    eventually("it answers", async || ask(&address) == Some(before[0])).await;
    fixture.deploy(&[("web", 2)]).await;
    assert_eq!(fixture.pids().await[0], before[0]);
    fixture.stop().await;
}
