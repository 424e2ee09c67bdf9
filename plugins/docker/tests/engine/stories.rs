//! What has to hold on a real engine, one story after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hop3_plugin_api::{Deployer as _, ExitStatus, Fault, Liveness, LogQuery, PluginError};
use hop3_plugin_docker::ComposeDeployer;
use hop3_plugin_testing::conformance;

use crate::app::{App, counts, told};
use crate::builds;
use crate::host::TestHost;
use hop3_plugin_testing::dockerd::{BASE, Dockerd};

/// Serves its greeting; a copy of its environment lies beside it.
const SERVE: &str =
    "CMD [\"sh\", \"-c\", \"env -0 > /www/env; echo started; exec httpd -f -p $PORT -h /www\"]";

const COMPOSE: &str = "
services:
  front:
    build: .
    ports: ['8080:9000']
    depends_on: [store]
    command: ['sh', '-c', 'exec httpd -f -p $$PORT -h /www']
  store:
    image: local/busybox:1
    command: ['sh', '-c', 'mkdir -p /data/www; echo kept > /data/www/index.html; exec httpd -f -p 7000 -h /data/www']
    volumes: ['data:/data']
    environment: {TAG: '${HOP3_IMAGE_TAG}'}
volumes: {data: {}}
";

const GREEDY: &str = "
x-more: &more {privileged: true}
services:
  web:
    <<: *more
    image: local/busybox:1
    pid: ${PID_MODE}
    volumes: ['/:/host', '/var/run/docker.sock:/var/run/docker.sock']
";

pub(crate) async fn all(engine: &Dockerd) {
    let host = Arc::new(TestHost::new());
    a_release_runs_beside_the_old_one_and_stops_alone(engine, &host).await;
    the_environment_reaches_the_app_byte_for_byte(engine, &host).await;
    a_command_runs_in_the_environment_and_ends_at_its_deadline(engine, &host).await;
    the_promises_of_a_deployer_hold(engine, &host).await;
    what_holds_data_runs_once_and_outlives_releases(engine, &host).await;
    a_greedy_compose_file_starts_nothing(engine, &host).await;
    a_failing_build_tells_its_step(engine, &host).await;
    builds::all(engine, &host).await;
    a_stranger_is_left_alone(engine, &host).await;
    an_engine_that_hangs_is_unknown(engine, &host).await;
}

fn dockerfile(greeting: &str) -> String {
    format!("FROM {BASE}\nRUN mkdir -p /www && echo {greeting} > /www/index.html\n{SERVE}\n")
}

fn shop(engine: &Dockerd, host: &Arc<TestHost>, name: &str) -> App {
    App::new(name, engine, host).file("Dockerfile", &dockerfile("one"))
}

async fn a_release_runs_beside_the_old_one_and_stops_alone(engine: &Dockerd, host: &Arc<TestHost>) {
    let mut app = shop(engine, host, "shop");
    let first = app.build(1).await;
    let old = app.deploy(&first).await;
    assert_eq!(app.body(&old).await, "one\n");

    let mut app = app.file("Dockerfile", &dockerfile("two"));
    let second = app.build(2).await;
    let new = app.deploy(&second).await;
    assert_eq!(app.body(&new).await, "two\n");
    assert_eq!(
        app.body(&old).await,
        "one\n",
        "the old release still serves"
    );

    app.stop(&first).await;
    assert_eq!(
        app.body(&new).await,
        "two\n",
        "the new release still serves"
    );
    assert!(app.status(&first).await.is_empty());
    let status = app.status(&second).await;
    assert_eq!(status[0].liveness, Liveness::Running);
    assert_eq!(status[0].endpoint.as_ref(), Some(&new));

    let lines = ComposeDeployer
        .logs(
            &app.inner.context(),
            &LogQuery {
                lines: 10,
                ..LogQuery::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(
        (lines[0].source.as_str(), lines[0].text.as_str()),
        ("web.0", "started")
    );
    let after = LogQuery {
        after: [("web.0".to_owned(), lines[0].cursor)].into(),
        ..LogQuery::default()
    };
    let more = ComposeDeployer
        .logs(&app.inner.context(), &after)
        .await
        .unwrap();
    assert!(more.is_empty(), "{more:?}");
    app.stop(&second).await;
    println!("ok: two releases beside each other");
}

async fn the_environment_reaches_the_app_byte_for_byte(engine: &Dockerd, host: &Arc<TestHost>) {
    let values = [
        ("DOLLAR", "a$b ${HOME} $$ $(id)"),
        ("QUOTES", "it's \"quoted\" \\n \\ `x`"),
        ("LINES", "one\ntwo\n"),
        ("UNICODE", "žluťoučký 🐎 %s #no"),
        ("EMPTY", ""),
    ];
    let mut app = shop(engine, host, "bytes");
    for (key, value) in values {
        app = app.variable(key, value);
    }
    let release = app.build(1).await;
    let address = app.deploy(&release).await;
    app.body(&address).await;
    let seen = engine.client(&["exec", "hop3_bytes_1-web-0-1", "cat", "/www/env"]);
    let seen: Vec<&str> = seen.split('\0').collect();
    for (key, value) in values {
        assert!(
            seen.contains(&format!("{key}={value}").as_str()),
            "{key} in {seen:?}"
        );
    }
    app.stop(&release).await;
    println!("ok: the environment");
}

async fn a_command_runs_in_the_environment_and_ends_at_its_deadline(
    engine: &Dockerd,
    host: &Arc<TestHost>,
) {
    let mut app = shop(engine, host, "jobs").variable("GREETING", "a$b");
    let release = app.build(1).await;
    let exit = app.run(&release, "echo \"<$GREETING>\"; exit 7", 60).await;
    assert_eq!(exit.status, ExitStatus::Code(7));
    assert!(exit.tail.contains("<a$b>"), "{}", exit.tail);

    let exit = app.run(&release, "sleep 1000", 4).await;
    assert_eq!(exit.status, ExitStatus::DeadlineExceeded);
    let left = engine.client(&["ps", "--all", "--quiet", "--filter", "label=hop3.app=jobs"]);
    assert_eq!(left, "", "the command's container is gone");
    app.stop(&release).await;
    println!("ok: commands");
}

async fn the_promises_of_a_deployer_hold(engine: &Dockerd, host: &Arc<TestHost>) {
    let mut app = shop(engine, host, "promises");
    let release = app.build(1).await;
    let (cx, launch) = (app.inner.context(), app.launch(&release));
    conformance::deployer::conforms(&ComposeDeployer, &cx, &launch, &counts("web", 1)).await;
    println!("ok: conformance");
}

async fn what_holds_data_runs_once_and_outlives_releases(engine: &Dockerd, host: &Arc<TestHost>) {
    let mut app = shop(engine, host, "store").file("compose.yaml", COMPOSE);
    app.inner = app.inner.configure(|config| {
        config.docker = Some(serde_json::json!({"runtime": "docker-compose"}));
    });
    let settings = serde_json::json!({"service": "front"});
    app.inner
        .config
        .plugin
        .insert("docker".to_owned(), settings);
    let first = app.build(1).await;
    let old = app.deploy(&first).await;
    assert_eq!(app.body(&old).await, "one\n");
    let second = app.build(2).await;
    let new = app.deploy(&second).await;
    assert_eq!(app.body(&new).await, "one\n");
    let stores = [
        "ps",
        "--quiet",
        "--filter",
        "label=com.docker.compose.project=hop3_store",
    ];
    assert_eq!(
        engine.client(&stores).lines().count(),
        1,
        "one store for two releases"
    );
    for release in ["1", "2"] {
        let web = format!("hop3_store_{release}-web-0-1");
        let seen = engine.client(&["exec", &web, "wget", "-qO-", "http://store:7000/"]);
        assert_eq!(
            seen, "kept\n",
            "release {release} reaches the store by its name"
        );
    }
    app.stop(&first).await;
    assert_eq!(
        engine.client(&stores).lines().count(),
        1,
        "it is still in use"
    );
    app.stop(&second).await;
    assert_eq!(engine.client(&stores), "");
    let volumes = engine.client(&["volume", "ls", "--quiet"]);
    assert!(
        volumes.lines().any(|name| name == "hop3_store_data"),
        "{volumes}"
    );
    println!("ok: data");
}

async fn a_greedy_compose_file_starts_nothing(engine: &Dockerd, host: &Arc<TestHost>) {
    let mut app = App::new("greedy", engine, host)
        .file("compose.yaml", GREEDY)
        .variable("PID_MODE", "host");
    let release = app.build(1).await;
    let error = app.try_deploy(&release).await.expect_err("it is refused");
    let message = error.to_string();
    for place in ["web.privileged", "web.pid", "web.volumes"] {
        assert!(message.contains(place), "{message}");
    }
    let started = engine.client(&[
        "ps",
        "--all",
        "--quiet",
        "--filter",
        "label=hop3.app=greedy",
    ]);
    assert_eq!(started, "");
    println!("ok: refused: {message}");
}

async fn a_failing_build_tells_its_step(engine: &Dockerd, host: &Arc<TestHost>) {
    let broken = format!("FROM {BASE}\nRUN echo fine\nRUN echo no such module; exit 3\n");
    let mut app = App::new("broken", engine, host).file("Dockerfile", &broken);
    let error = app.try_build(1).await.err().expect("it fails");
    let PluginError::Build { tail, .. } = &error else {
        panic!("{}", told(&error));
    };
    assert_eq!(tail.lines().nth(1), Some("no such module"), "{tail}");
    assert_eq!(error.fault(), Fault::App);

    let mut app =
        App::new("nowhere", engine, host).file("Dockerfile", "FROM nowhere.invalid/x:1\n");
    let error = app
        .try_build(1)
        .await
        .err()
        .expect("there is no such registry");
    assert_eq!(error.fault(), Fault::Infrastructure, "{}", told(&error));
    println!("ok: failing builds");
}

async fn a_stranger_is_left_alone(engine: &Dockerd, host: &Arc<TestHost>) {
    let label = "com.docker.compose.project=hop3_taken_1";
    let stranger = engine.client(&["run", "--detach", "--label", label, BASE, "sleep", "1000"]);
    let mut app = shop(engine, host, "taken");
    let release = app.build(1).await;
    let error = app
        .try_deploy(&release)
        .await
        .expect_err("the project is taken");
    assert!(
        error.to_string().contains("not this agent's"),
        "{}",
        told(&error)
    );
    let stopped = ComposeDeployer
        .stop(&app.inner.context(), &release.id)
        .await;
    assert!(stopped.is_err());
    let state = engine.client(&["inspect", "--format", "{{.State.Status}}", stranger.trim()]);
    assert_eq!(state, "running\n");
    engine.client(&["rm", "--force", stranger.trim()]);
    println!("ok: a stranger");
}

async fn an_engine_that_hangs_is_unknown(engine: &Dockerd, host: &Arc<TestHost>) {
    let mut app = shop(engine, host, "hang");
    let release = app.build(1).await;
    let address = app.deploy(&release).await;
    engine.signal("-STOP");
    let asked = Instant::now();
    let status = app.status(&release).await;
    let took = asked.elapsed();
    engine.signal("-CONT");
    assert!(
        matches!(&status[0].liveness, Liveness::Unknown { .. }),
        "{status:?}"
    );
    assert!(took < Duration::from_secs(8), "it took {took:?}");
    assert_eq!(app.status(&release).await[0].liveness, Liveness::Running);
    assert_eq!(app.body(&address).await, "one\n");
    app.stop(&release).await;
    println!("ok: a hanging engine: {:?}", status[0].liveness);
}
