//! The agent's half on a fake machine: what it asks, in which order, and what it makes of the answers.

pub(super) mod sample;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hop3_plugin_api::{
    EndpointAddress, FileWrite, Liveness, OneOff, ProbeAnswer, ProcessId, UserId,
};
use hop3_plugin_testing::{TestApp, conformance};

use super::*;
use crate::protocol::InstanceState;
use crate::settings::NativeConfig;
use sample::{FakeSupervisor, Sample, counts, worker};

/// An app on a machine whose supervisors end when asked over the socket: their process is marked as gone by the stop's first look.
fn app_with_supervisor() -> (TestApp, Arc<Mutex<FakeSupervisor>>) {
    let app = TestApp::new("shop").variable("TOKEN", "canary");
    let supervisor = FakeSupervisor::attach(&app);
    (app, supervisor)
}

fn stamp_text(install: &str, pid: u32) -> String {
    format!(
        r#"{{"format":1,"install":"{install}","release":{{"app":"shop","number":1}},
        "supervisor":{{"pid":{pid},"start-time":{pid},"boot-id":"fake-boot"}},"socket":"/x",
        "stop-grace-ms":1000,"instances":[{{"worker":"web","index":0,"port":20000}}]}}"#
    )
}

async fn write_stamp(app: &TestApp, install: &str, pid: u32) -> ProcessId {
    let path = app.paths.state.join("native-1.json");
    let file = FileWrite::private(path, stamp_text(install, pid));
    app.host.write_atomic(file).await.unwrap();
    app.fake().take_transcript();
    ProcessId {
        pid,
        start_time: u64::from(pid),
        boot_id: "fake-boot".to_owned(),
    }
}

#[tokio::test]
async fn a_release_starts_under_one_supervisor_that_is_told_everything_over_its_input() {
    let (app, supervisor) = app_with_supervisor();
    let sample = Sample::new();
    let info = NativeDeployer
        .deploy(&app.context(), &sample.launch(), &counts(2, 1))
        .await
        .unwrap();
    insta::assert_snapshot!(app.transcript().join("\n"), @r#"
    ask <root>/run/e341b63c4a33.sock: {"v":1,"do":"status"}
    directory <root>/data/apps/shop/releases/1/tmp mode 700
    spawn supervise shop/1: hop3-agent internal-supervise (in <root>/data/apps/shop; input [redacted])
    ask <root>/run/e341b63c4a33.sock: {"v":1,"do":"status"}
    "#);
    let ports: Vec<String> = info
        .endpoints
        .iter()
        .map(|endpoint| format!("{} {}", endpoint.instance, endpoint.address))
        .collect();
    assert_eq!(
        ports,
        [
            "shop/1/web.0 127.0.0.1:20000",
            "shop/1/web.1 127.0.0.1:20001"
        ]
    );
    let supervisor = supervisor.lock().unwrap();
    assert_eq!(supervisor.document.as_ref().unwrap().env["TOKEN"], "canary");
}

#[tokio::test]
async fn deploying_a_running_release_scales_it_and_asks_ports_for_new_instances_alone() {
    let (app, _supervisor) = app_with_supervisor();
    let sample = Sample::new();
    let cx = app.context();
    NativeDeployer
        .deploy(&cx, &sample.launch(), &counts(1, 0))
        .await
        .unwrap();
    app.fake().take_transcript();
    NativeDeployer
        .deploy(&cx, &sample.launch(), &counts(2, 0))
        .await
        .unwrap();
    insta::assert_snapshot!(app.transcript().join("\n"), @r#"
    ask <root>/run/e341b63c4a33.sock: {"v":1,"do":"status"}
    ask <root>/run/e341b63c4a33.sock: {"v":1,"do":"scale","counts":{"queue":0,"web":2},"ports":{"web.1":20001}}
    "#);
}

#[tokio::test]
async fn a_supervisor_that_lives_but_says_nothing_is_never_doubled() {
    let app = TestApp::new("shop");
    let process = write_stamp(&app, "test-install", 77).await;
    app.fake().set_running(&process, true);
    let sample = Sample::new();
    let cx = app.context();
    let error = NativeDeployer
        .deploy(&cx, &sample.launch(), &counts(1, 0))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "could not deploy shop/1");
    assert!(
        !app.transcript()
            .iter()
            .any(|line| line.starts_with("spawn"))
    );
    let status = NativeDeployer
        .check_status(&cx, &sample.release)
        .await
        .unwrap();
    assert!(matches!(status[0].liveness, Liveness::Unknown { .. }));
}

#[tokio::test]
async fn a_supervisor_that_does_not_come_up_is_reported_with_its_last_words() {
    let app = TestApp::new("shop");
    let log = FileWrite::private(
        app.paths.log.join("supervisor.log"),
        "hop3-agent: no lock\n",
    );
    app.host.write_atomic(log).await.unwrap();
    let sample = Sample::new();
    let error = NativeDeployer
        .deploy(&app.context(), &sample.launch(), &counts(1, 0))
        .await
        .unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "hop3-agent: no lock");
}

#[tokio::test]
async fn instances_of_a_supervisor_that_is_gone_are_stopped() {
    let app = TestApp::new("shop");
    write_stamp(&app, "test-install", 77).await;
    let sample = Sample::new();
    let status = NativeDeployer
        .check_status(&app.context(), &sample.release)
        .await
        .unwrap();
    let reason = Some("supervisor 77 is gone".to_owned());
    assert_eq!(status[0].liveness, Liveness::Stopped { reason });
}

#[tokio::test]
async fn t25_an_instance_whose_port_somebody_else_has_does_not_run() {
    let (app, _supervisor) = app_with_supervisor();
    let sample = Sample::new();
    let cx = app.context();
    let info = NativeDeployer
        .deploy(&cx, &sample.launch(), &counts(2, 0))
        .await
        .unwrap();
    let EndpointAddress::Tcp(taken) = info.endpoints[1].address else {
        panic!("a routed instance has a port");
    };
    app.fake().set_listening(taken, Some(false));
    app.fake()
        .on_probe(|_| ProbeAnswer::Unreachable("nothing listens".to_owned()));
    let starting = NativeDeployer
        .check_status(&cx, &sample.release)
        .await
        .unwrap();
    assert_eq!(starting[1].liveness, Liveness::Running);
    app.fake().on_probe(|_| ProbeAnswer::TimedOut);
    let status = NativeDeployer
        .check_status(&cx, &sample.release)
        .await
        .unwrap();
    assert_eq!(status[0].liveness, Liveness::Running);
    let reason = Some("port 20001 belongs to another process".to_owned());
    assert_eq!(status[1].liveness, Liveness::Stopped { reason });
}

#[tokio::test]
async fn a_crashed_instance_tells_how_it_ended_and_how_often() {
    let (app, supervisor) = app_with_supervisor();
    let sample = Sample::new();
    let cx = app.context();
    NativeDeployer
        .deploy(&cx, &sample.launch(), &counts(1, 0))
        .await
        .unwrap();
    {
        let instance = &mut supervisor.lock().unwrap().reply.instances[0];
        instance.state = InstanceState::Waiting;
        instance.restarts = 3;
        instance.last_exit = Some("exited with status 1".to_owned());
    }
    let status = NativeDeployer
        .check_status(&cx, &sample.release)
        .await
        .unwrap();
    let reason = Some("exited with status 1".to_owned());
    assert_eq!(status[0].liveness, Liveness::Stopped { reason });
    assert_eq!(status[0].restarts, 3);
}

#[tokio::test]
async fn what_a_killed_supervisor_left_is_swept_and_its_files_removed() {
    let app = TestApp::new("shop");
    write_stamp(&app, "test-install", 77).await;
    let sample = Sample::new();
    for _ in 0..2 {
        NativeDeployer
            .stop(&app.context(), &sample.release)
            .await
            .unwrap();
    }
    insta::assert_snapshot!(app.transcript().join("\n"), @r#"
    ask <root>/run/e341b63c4a33.sock: {"v":1,"do":"stop"}
    run end what is left of shop/1: hop3-agent internal-sweep e341b63c4a33 (in <root>/data/apps/shop)
    remove <root>/run/e341b63c4a33.sock
    remove <root>/run/e341b63c4a33.lock
    remove <root>/data/apps/shop/state/native-1.json
    remove <root>/data/apps/shop/releases/1/tmp
    ask <root>/run/e341b63c4a33.sock: {"v":1,"do":"stop"}
    "#);
}

#[tokio::test]
async fn a_supervisor_that_ignores_everything_is_killed_and_swept_after_its_grace() {
    let app = TestApp::new("shop");
    let process = write_stamp(&app, "test-install", 77).await;
    app.fake().set_running(&process, true);
    app.fake().ignore_term();
    let sample = Sample::new();
    NativeDeployer
        .stop(&app.context(), &sample.release)
        .await
        .unwrap();
    let transcript = app.transcript().join("\n");
    assert!(
        transcript.contains("signal 15 to 77\nsignal 9 to 77\nrun"),
        "{transcript}"
    );
    assert!(app.fake().slept() >= Duration::from_secs(11));
}

#[tokio::test]
async fn only_stamps_of_this_installation_are_observed() {
    let app = TestApp::new("shop");
    write_stamp(&app, "somebody-else", 5).await;
    assert!(observed(&app).await.is_empty());
    let process = write_stamp(&app, "test-install", 6).await;
    app.fake().set_running(&process, true);
    assert_eq!(observed(&app).await, ["shop/1: supervisor 6"]);
    app.fake().set_running(&process, false);
    assert_eq!(
        observed(&app).await,
        ["shop/1: what supervisor 6 left, which is gone"]
    );
}

async fn observed(app: &TestApp) -> Vec<String> {
    let owned = NativeDeployer.observe(&app.host_context()).await.unwrap();
    owned
        .into_iter()
        .map(|owned| format!("{}: {}", owned.release.unwrap(), owned.what))
        .collect()
}

#[tokio::test]
async fn a_command_runs_as_the_apps_user_in_its_environment_without_a_port() {
    let mut app = TestApp::new("shop").variable("TOKEN", "canary");
    app.user = Some(UserId { uid: 900, gid: 901 });
    let sample = Sample::new();
    let exit_file = Some(app.paths.state.join("exit.json"));
    NativeDeployer
        .run(
            &app.context(),
            &sample.launch(),
            &OneOff {
                exit_file,
                ..OneOff::new("./migrate --all", Duration::from_mins(1))
            },
        )
        .await
        .unwrap();
    insta::assert_snapshot!(app.transcript().join("\n"), @r#"
    directory <root>/data/apps/shop/releases/1/tmp mode 700 owner 900:901
    run run a command of shop/1: ./migrate --all (in <root>/data/apps/shop/releases/1/app; env HOME HOP3_APP HOP3_INSTANCE HOP3_RELEASE PATH TMPDIR TOKEN; user 900; sandboxed)
    "#);
}

#[tokio::test]
async fn writable_directories_are_data_that_begins_with_what_the_source_ships() {
    let mut app = TestApp::new("shop").configure(|config| {
        config.writable = vec!["storage/logs".to_owned(), "storage".to_owned()];
    });
    app.user = Some(UserId { uid: 900, gid: 901 });
    let mut sample = Sample::new();
    sample.artifact.runtime.writable = vec!["var/uploads".to_owned()];
    let cx = app.context();
    let shipped = app.paths.build.join("storage");
    cx.host.ensure_dir(&shipped, 0o755, None).await.unwrap();
    app.fake().take_transcript();
    for _ in 0..2 {
        writable::link(&cx, &sample.launch()).await.unwrap();
    }
    insta::assert_snapshot!(app.transcript().join("\n"), @r#"
    remove <root>/data/apps/shop/data/storage.new
    run prepare a writable directory of shop: mkdir -p -m 0750 -- <root>/data/apps/shop/data/storage.new (in <root>/data/apps/shop/data; user 900; sandboxed offline)
    run prepare a writable directory of shop: cp -R -- <root>/data/apps/shop/releases/1/app/storage/. <root>/data/apps/shop/data/storage.new (in <root>/data/apps/shop/data; user 900; sandboxed offline)
    remove <root>/data/apps/shop/data/storage
    run prepare a writable directory of shop: mv -T -- <root>/data/apps/shop/data/storage.new <root>/data/apps/shop/data/storage (in <root>/data/apps/shop/data; user 900; sandboxed offline)
    remove <root>/data/apps/shop/releases/1/app/storage
    run prepare a writable directory of shop: mkdir -p -m 0750 -- <root>/data/apps/shop/data/storage (in <root>/data/apps/shop/data; user 900; sandboxed offline)
    link <root>/data/apps/shop/releases/1/app/storage to <root>/data/apps/shop/data/storage
    run prepare a writable directory of shop: mkdir -p -m 0750 -- <root>/data/apps/shop/data/storage/logs (in <root>/data/apps/shop/data; user 900; sandboxed offline)
    directory <root>/data/apps/shop/releases/1/app/var mode 755
    run prepare a writable directory of shop: mkdir -p -m 0750 -- <root>/data/apps/shop/data/var/uploads (in <root>/data/apps/shop/data; user 900; sandboxed offline)
    link <root>/data/apps/shop/releases/1/app/var/uploads to <root>/data/apps/shop/data/var/uploads
    run prepare a writable directory of shop: mkdir -p -m 0750 -- <root>/data/apps/shop/data/storage (in <root>/data/apps/shop/data; user 900; sandboxed offline)
    link <root>/data/apps/shop/releases/1/app/storage to <root>/data/apps/shop/data/storage
    run prepare a writable directory of shop: mkdir -p -m 0750 -- <root>/data/apps/shop/data/storage/logs (in <root>/data/apps/shop/data; user 900; sandboxed offline)
    run prepare a writable directory of shop: mkdir -p -m 0750 -- <root>/data/apps/shop/data/var/uploads (in <root>/data/apps/shop/data; user 900; sandboxed offline)
    link <root>/data/apps/shop/releases/1/app/var/uploads to <root>/data/apps/shop/data/var/uploads
    "#);
}

#[tokio::test]
async fn t13_a_writable_directory_that_leaves_the_app_is_refused() {
    for bad in ["../x", "/etc", "a/../../b", "", ".", "link/x"] {
        let app = TestApp::new("shop").configure(|config| config.writable = vec![bad.to_owned()]);
        let cx = app.context();
        cx.host
            .ensure_dir(&app.paths.build, 0o755, None)
            .await
            .unwrap();
        let link = app.paths.build.join("link");
        cx.host.ensure_link(&link, Path::new("/etc")).await.unwrap();
        app.fake().take_transcript();
        let error = writable::link(&cx, &Sample::new().launch()).await;
        assert!(error.is_err(), "{bad}");
        assert!(app.transcript().is_empty(), "{bad}: {:?}", app.transcript());
    }
}

#[tokio::test]
async fn counts_that_the_release_cannot_meet_touch_nothing() {
    let app = TestApp::new("shop");
    let sample = Sample::new();
    let unknown = Counts::from([(worker("cron"), 1)]);
    let error = NativeDeployer
        .deploy(&app.context(), &sample.launch(), &unknown)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "shop/1 has no worker `cron`");
    assert!(app.transcript().is_empty());
}

#[test]
fn the_section_conforms() {
    conformance::section::conforms::<NativeConfig>();
}

#[test]
fn it_takes_what_runs_on_the_host_and_nothing_else() {
    let app = TestApp::new("shop");
    let accepts = |kind| NativeDeployer.accept(&app.plan_context(), &kind).accepts();
    assert!(accepts(ArtifactKind::Virtualenv) && accepts(ArtifactKind::Native));
    assert!(!accepts(ArtifactKind::DockerImage) && !accepts(ArtifactKind::Static));
}
