//! What the plugin does to a machine, call by call, and the files that it gives to compose.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hop3_plugin_api::{
    ArtifactKind, ArtifactLocation, BuildArtifact, Counts, Deployer as _, Digest, Exit, ExitStatus,
    Fault, Launch, Limits, Liveness, OneOff, ReleaseId, RuntimeSpec, Task, WorkerName, WorkerSpec,
};
use hop3_plugin_docker::{AppSettings, ComposeDeployer, HostSettings};
use hop3_plugin_testing::{TestApp, conformance};
use serde_json::{Value, json};

const PINNED: &str = "shop@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn worker(name: &str) -> WorkerName {
    WorkerName::parse(name).unwrap()
}

fn exit(code: i32, tail: &str) -> Exit {
    Exit {
        status: ExitStatus::Code(code),
        tail: tail.to_owned(),
    }
}

/// Everything that a launch borrows.
struct Deployment {
    release: ReleaseId,
    artifact: BuildArtifact,
    workers: BTreeMap<WorkerName, WorkerSpec>,
    limits: Limits,
}

impl Deployment {
    fn new(app: &TestApp, image: &str, metadata: &[(&str, &str)]) -> Self {
        let spec = |command: &str, routed| WorkerSpec {
            command: command.to_owned(),
            routed,
        };
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self {
            release: ReleaseId {
                app: app.name.clone(),
                number: 1,
            },
            artifact: BuildArtifact {
                kind: ArtifactKind::DockerImage,
                location: ArtifactLocation::Image(image.to_owned()),
                key: Digest::of("key"),
                metadata: metadata.iter().map(owned).collect(),
                cloned: BTreeSet::new(),
                runtime: RuntimeSpec::default(),
            },
            workers: BTreeMap::from([
                (worker("web"), spec("", true)),
                (worker("mail"), spec("exec mailer --cost $5", false)),
            ]),
            limits: Limits {
                memory: Some(1 << 28),
                ..Limits::default()
            },
        }
    }

    fn launch(&self) -> Launch<'_> {
        Launch {
            release: &self.release,
            artifact: &self.artifact,
            workers: &self.workers,
            limits: &self.limits,
            stop_grace: Duration::from_secs(10),
        }
    }
}

fn counts(web: u16) -> Counts {
    Counts::from([(worker("web"), web), (worker("mail"), 1)])
}

fn written(app: &TestApp, file: &str) -> Value {
    let content = std::fs::read(app.paths.state.join(file)).unwrap();
    serde_json::from_slice(&content).unwrap()
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn lines(app: &TestApp) -> String {
    app.fake().take_transcript().join("\n")
}

#[tokio::test]
async fn an_image_is_deployed_scaled_and_stopped_with_these_calls() {
    let app = TestApp::new("shop").variable("TOKEN", "canary$1");
    let deployment = Deployment::new(&app, PINNED, &[]);
    let (cx, launch) = (app.context(), deployment.launch());
    let info = ComposeDeployer
        .deploy(&cx, &launch, &counts(2))
        .await
        .unwrap();
    assert_eq!(info.endpoints.len(), 2);
    insta::assert_snapshot!("deploy", lines(&app));
    insta::assert_snapshot!("compose_file", pretty(&written(&app, "compose-1.json")));
    ComposeDeployer
        .stop(&cx, &deployment.release)
        .await
        .unwrap();
    let transcript = lines(&app);
    assert!(!transcript.contains("canary"));
    insta::assert_snapshot!("stop", transcript);
}

#[tokio::test]
async fn the_compose_file_is_for_the_agent_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let app = TestApp::new("shop").variable("TOKEN", "canary");
    let deployment = Deployment::new(&app, PINNED, &[]);
    ComposeDeployer
        .deploy(&app.context(), &deployment.launch(), &counts(1))
        .await
        .unwrap();
    let file = app.paths.state.join("compose-1.json");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_command_is_run_with_these_calls_and_ended_with_its_container() {
    let app = TestApp::new("shop");
    app.fake().on_run(|task: &Task| {
        if task.args.iter().any(|word| word == "run") {
            return Exit {
                status: ExitStatus::DeadlineExceeded,
                tail: String::new(),
            };
        }
        exit(0, "")
    });
    let deployment = Deployment::new(&app, PINNED, &[]);
    let (cx, launch) = (app.context(), deployment.launch());
    let ended = ComposeDeployer
        .run(
            &cx,
            &launch,
            &OneOff::new("migrate --all", Duration::from_secs(5)),
        )
        .await
        .unwrap();
    assert_eq!(ended.status, ExitStatus::DeadlineExceeded);
    insta::assert_snapshot!("run", lines(&app));
    let command = &written(&app, "compose-1-run.json")["services"]["run"]["command"];
    assert_eq!(*command, json!(["sh", "-c", "migrate --all"]));
}

#[tokio::test]
async fn an_image_that_was_built_here_is_named_by_its_recorded_id() {
    let app = TestApp::new("shop");
    let deployment = Deployment::new(&app, "hop3/shop:1@sha256:1", &[("image-id", "sha256:1")]);
    let counts = counts(1);
    let launch = deployment.launch();
    ComposeDeployer
        .deploy(&app.context(), &launch, &counts)
        .await
        .unwrap();
    assert!(lines(&app).contains("docker tag sha256:1 hop3/shop:1"));
    let image = &written(&app, "compose-1.json")["services"]["web-0"]["image"];
    assert_eq!(image, "hop3/shop:1");

    app.fake().on_run(|task| {
        let gone = task.args[0] == "tag";
        let words = "Error response from daemon: No such image: sha256:1";
        if gone { exit(1, words) } else { exit(0, "") }
    });
    let error = ComposeDeployer
        .deploy(&app.context(), &launch, &counts)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("no longer in the engine"),
        "{error}"
    );
}

/// Answers `docker compose config` with a document, everything else with success.
fn with_compose_file(app: &TestApp, document: Value) {
    app.fake().on_run(move |task| {
        let asked = task.args.iter().any(|word| word == "config");
        exit(
            0,
            &if asked {
                document.to_string()
            } else {
                String::new()
            },
        )
    });
}

fn own_file(app: &TestApp) -> Value {
    let config = app.paths.build.join("web.conf");
    json!({
        "name": "hop3_shop_1",
        "services": {
            "web": {
                "image": "nginx:1", "container_name": "fixed", "environment": {"MODE": "a", "UNSET": null},
                "ports": [{"target": 80, "published": "8080"}], "labels": {"hop3.app": "forged", "own": "x"},
                "depends_on": {"db": {"condition": "service_started"}, "mail": {"condition": "service_started"}},
                "volumes": [{"type": "bind", "source": config, "target": "/etc/web.conf"}],
                "deploy": {"replicas": 5, "resources": {"limits": {"memory": "1048576", "cpus": 0.5}}},
            },
            "mail": {"image": "mailer:2", "restart": "on-failure"},
            "db": {"image": "postgres:17", "volumes": [{"type": "volume", "source": "pg", "target": "/data"}]},
        },
        "volumes": {"pg": {"name": "hop3_shop_1_pg"}},
    })
}

#[tokio::test]
async fn an_apps_own_file_is_taken_apart_into_release_and_data() {
    let app = TestApp::new("shop").variable("MODE", "b");
    with_compose_file(&app, own_file(&app));
    let deployment = Deployment::new(&app, "unused", &[("compose", "compose.yaml")]);
    let counts = counts(1);
    let launch = deployment.launch();
    ComposeDeployer
        .deploy(&app.context(), &launch, &counts)
        .await
        .unwrap();
    insta::assert_snapshot!("own_file_calls", lines(&app));
    let root = app.fake().root().display().to_string();
    let release = written(&app, "compose-1.json")
        .to_string()
        .replace(&root, "<root>");
    let release: Value = serde_json::from_str(&release).unwrap();
    insta::assert_snapshot!("own_file_release", pretty(&release));
    insta::assert_snapshot!("own_file_data", pretty(&written(&app, "compose-app.json")));
}

#[tokio::test]
async fn t34_a_volume_that_somebody_else_made_is_not_mounted() {
    let app = TestApp::new("shop");
    let document = own_file(&app);
    app.fake().on_run(
        move |task| match (task.args[0].as_str(), task.args.last()) {
            ("volume", _) => exit(0, "other test-install\nhop3_shop_pg \n"),
            (_, Some(last)) if last == "--format=json" => exit(0, &document.to_string()),
            _ => exit(0, ""),
        },
    );
    let deployment = Deployment::new(&app, "unused", &[("compose", "compose.yaml")]);
    let counts = counts(1);
    let error = ComposeDeployer
        .deploy(&app.context(), &deployment.launch(), &counts)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("`hop3_shop_pg` exists"),
        "{error}"
    );
    assert!(!lines(&app).contains(" up "));
}

#[tokio::test]
async fn an_app_that_asks_for_too_much_starts_nothing() {
    let app = TestApp::new("shop");
    with_compose_file(
        &app,
        json!({"services": {"web": {"image": "x", "privileged": true}}}),
    );
    let deployment = Deployment::new(&app, "unused", &[("compose", "compose.yaml")]);
    let counts = counts(1);
    let error = ComposeDeployer
        .deploy(&app.context(), &deployment.launch(), &counts)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("`services.web.privileged`"),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::App);
    assert!(!lines(&app).contains(" up "));
}

#[tokio::test]
async fn a_routed_service_with_a_volume_is_refused_because_it_cannot_be_doubled() {
    let app = TestApp::new("shop");
    let mount = json!([{"type": "volume", "source": "files", "target": "/data"}]);
    with_compose_file(
        &app,
        json!({"services": {"web": {"image": "x", "volumes": mount}}, "volumes": {"files": {}}}),
    );
    let deployment = Deployment::new(&app, "unused", &[("compose", "compose.yaml")]);
    let counts = counts(1);
    let error = ComposeDeployer
        .deploy(&app.context(), &deployment.launch(), &counts)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("mounts the volume `files`"),
        "{error}"
    );
}

#[tokio::test]
async fn f22_an_engine_that_does_not_answer_is_unknown_and_a_missing_container_is_stopped() {
    let app = TestApp::new("shop");
    let deployment = Deployment::new(&app, PINNED, &[]);
    let counts = counts(1);
    let (cx, launch) = (app.context(), deployment.launch());
    ComposeDeployer.deploy(&cx, &launch, &counts).await.unwrap();
    let gone = ComposeDeployer
        .check_status(&cx, &deployment.release)
        .await
        .unwrap();
    assert_eq!(gone.len(), 2);
    assert!(
        gone.iter()
            .all(|s| matches!(s.liveness, Liveness::Stopped { .. }))
    );
    for answer in [
        Exit {
            status: ExitStatus::DeadlineExceeded,
            tail: String::new(),
        },
        exit(
            1,
            "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
        ),
        exit(1, "something new"),
    ] {
        app.fake().on_run(move |_| answer.clone());
        let status = ComposeDeployer
            .check_status(&cx, &deployment.release)
            .await
            .unwrap();
        assert_eq!(status.len(), 2);
        assert!(
            status
                .iter()
                .all(|s| matches!(s.liveness, Liveness::Unknown { .. }))
        );
    }
}

#[tokio::test]
async fn a_host_with_version_1_of_compose_deploys_images_but_reads_no_compose_file() {
    let app = TestApp::new("shop");
    app.fake().on_run(|task| {
        let plugin = task.args.first().is_some_and(|word| word == "compose");
        exit(
            i32::from(plugin),
            "docker: 'compose' is not a docker command.",
        )
    });
    let image = Deployment::new(&app, PINNED, &[]);
    let counts = counts(1);
    ComposeDeployer
        .deploy(&app.context(), &image.launch(), &counts)
        .await
        .unwrap();
    assert!(lines(&app).contains("docker-compose --project-name hop3_shop_1 --file"));
    let own = Deployment::new(&app, "unused", &[("compose", "compose.yaml")]);
    let error = ComposeDeployer
        .deploy(&app.context(), &own.launch(), &counts)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("compose version 1"), "{error}");
}

#[tokio::test]
async fn a_host_without_docker_carries_nothing_of_ours() {
    let app = TestApp::new("shop");
    app.fake().on_find(|_| None);
    let owned = ComposeDeployer.observe(&app.host_context()).await.unwrap();
    assert!(owned.is_empty());
}

#[tokio::test]
async fn what_carries_our_stamp_is_observed_by_app_and_release() {
    let app = TestApp::new("shop");
    app.fake().on_run(|task| match task.args[0].as_str() {
        "ps" => exit(0, "owned=shop/7/hop3_shop_7-web-0-1\n"),
        "volume" => exit(0, "owned=shop//hop3_shop_pg\n"),
        _ => exit(0, ""),
    });
    let owned = ComposeDeployer.observe(&app.host_context()).await.unwrap();
    let told = |o: &hop3_plugin_api::Owned| (o.release.as_ref().map(|r| r.number), o.what.clone());
    assert_eq!(
        owned.iter().map(told).collect::<Vec<_>>(),
        [
            (Some(7), "container hop3_shop_7-web-0-1".to_owned()),
            (None, "volume hop3_shop_pg".to_owned()),
        ]
    );
}

#[test]
fn the_sections_keep_their_promises() {
    conformance::section::conforms::<HostSettings>();
    conformance::section::conforms::<AppSettings>();
}
