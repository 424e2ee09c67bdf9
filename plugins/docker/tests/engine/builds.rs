//! What a real engine makes of Dockerfiles, by each of its two builders.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use hop3_plugin_api::{ArtifactLocation, Fault, PluginError};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::{App, Release, told};
use crate::host::TestHost;
use hop3_plugin_testing::dockerd::{BASE, Dockerd};

/// Where `scripts/install-docker-for-tests` puts the plugin, out of the client's own sight.
const BUILDX: &str = "/usr/local/lib/docker/for-tests/docker-buildx";

/// A machine whose client has buildx, or has not.
struct Client<'a> {
    engine: &'a Dockerd,
    host: &'a Arc<TestHost>,
    /// `classic` or `buildkit`.
    builder: &'static str,
    config: TempDir,
}

pub(crate) async fn all(engine: &Dockerd, host: &Arc<TestHost>) {
    for builder in ["classic", "buildkit"] {
        let config = tempfile::tempdir().unwrap();
        if builder == "buildkit" {
            if !std::path::Path::new(BUILDX).exists() {
                println!(
                    "not run: BuildKit, for there is no buildx (scripts/install-docker-for-tests)"
                );
                continue;
            }
            let plugins = config.path().join("cli-plugins");
            std::fs::create_dir(&plugins).unwrap();
            symlink(BUILDX, plugins.join("docker-buildx")).unwrap();
        }
        let client = Client {
            engine,
            host,
            builder,
            config,
        };
        client
            .a_stage_of_a_named_dockerfile_is_built_from_its_context()
            .await;
        client
            .a_failing_step_is_told_with_its_place_and_what_to_do()
            .await;
        client
            .a_step_that_does_not_end_is_ended_and_is_the_apps_fault()
            .await;
        client.only_a_faulty_registry_is_tried_again().await;
        client.an_engine_that_hangs_is_nobodys_fault().await;
    }
}

const STAGES: &str = "
FROM local/busybox:1 AS first
ARG MODE=slow
COPY . /www
RUN echo $MODE > /www/mode
FROM first AS second
RUN echo never; exit 1
";

impl Client<'_> {
    fn app(&self, name: &str, table: Value) -> App {
        let mut app = App::new(&format!("{name}-{}", self.builder), self.engine, self.host);
        let settings = app.inner.settings.get_mut("docker").unwrap();
        settings["config-dir"] = json!(self.config.path());
        app.inner = app.inner.configure(|config| config.docker = Some(table));
        app
    }

    /// What a command prints in the image of a release.
    fn inside(&self, release: &Release, command: &str) -> String {
        let ArtifactLocation::Image(image) = &release.artifact.location else {
            panic!("{:?}", release.artifact.location)
        };
        let (tag, id) = image.split_once('@').unwrap();
        let tagged = ["image", "inspect", "--format", "{{.Id}}", tag];
        assert_eq!(
            self.engine.client(&tagged).trim(),
            id,
            "the digest that is recorded"
        );
        self.engine
            .client(&["run", "--rm", id, "sh", "-c", command])
    }

    async fn a_stage_of_a_named_dockerfile_is_built_from_its_context(&self) {
        let table = json!({
            "dockerfile": "deploy/web.Dockerfile", "context": "site", "target": "first",
            "build-args": {"MODE": "it's fast $HOME"}
        });
        let mut app = self
            .app("stage", table)
            .file("deploy/web.Dockerfile", STAGES)
            .file("outside", "x")
            .file("site/page", "x")
            .file("site/secret", "x")
            .file("site/.dockerignore", "secret\n");
        let release = app.build(1).await;
        let said = self.inside(&release, "cd /www; cat mode; echo *");
        assert_eq!(said, "it's fast $HOME\nmode page\n");
        assert_eq!(release.artifact.metadata["built-by"], self.builder);
        println!(
            "ok: {}: stage, context, arguments, .dockerignore",
            self.builder
        );
    }

    async fn a_failing_step_is_told_with_its_place_and_what_to_do(&self) {
        for (text, table, place, hint) in [
            (
                STAGES.to_owned(),
                json!({}),
                "`Dockerfile:7` failed at step ",
                "build-*.log",
            ),
            (
                format!("FROM {BASE}\n\nCOPY nonesuch /x\n"),
                json!({}),
                "`Dockerfile:3` failed",
                "commit the file",
            ),
            (
                format!("FROM {BASE}\nRUNN x\n"),
                json!({}),
                "`Dockerfile:2` failed",
                "correct that line",
            ),
            (
                format!("FROM {BASE}\n"),
                json!({"target": "nonesuch"}),
                "`Dockerfile` failed",
                "`target` in `[docker]`",
            ),
        ] {
            let mut app = self.app("broken", table).file("Dockerfile", &text);
            let error = app.try_build(1).await.err().expect("it fails");
            assert!(error.to_string().starts_with(place), "{}", told(&error));
            assert!(error.hints()[0].contains(hint), "{}", told(&error));
            assert_eq!(error.fault(), Fault::App);
            println!(
                "ok: {}: {}",
                self.builder,
                told(&error).replace('\n', " | ")
            );
        }
        let left = ["ps", "--all", "--quiet", "--filter", "status=exited"];
        assert_eq!(self.engine.client(&left), "", "containers of failed steps");
    }

    async fn a_step_that_does_not_end_is_ended_and_is_the_apps_fault(&self) {
        let text = format!("FROM {BASE}\nRUN echo begun\nRUN echo and on; sleep 86381\n");
        let mut app = self.app("endless", json!({})).file("Dockerfile", &text);
        app.inner = app.inner.configure(|config| {
            config.build.timeout = Some(Duration::from_secs(8));
        });
        let error = app.try_build(1).await.err().expect("it does not end");
        assert_eq!(error.fault(), Fault::App, "{}", told(&error));
        let message = error.to_string();
        let place = "`Dockerfile:3` failed at step 3, `RUN echo and on; sleep 86381`: it did not end within the 8 s";
        assert!(message.starts_with(place), "{}", told(&error));
        let end = Instant::now() + Duration::from_secs(30);
        while processes_with("86381") > 0 {
            assert!(Instant::now() < end, "the step goes on");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("ok: {}: {message}", self.builder);
    }

    async fn only_a_faulty_registry_is_tried_again(&self) {
        let registry = Registry::start();
        let from = format!("FROM {}/shop/base:1\n", registry.address);
        for (status, fault) in [
            (503, Fault::Infrastructure),
            (500, Fault::Infrastructure),
            (429, Fault::Infrastructure),
            (404, Fault::App),
        ] {
            registry.status.store(status, Ordering::Relaxed);
            let mut app = self.app("registry", json!({})).file("Dockerfile", &from);
            let error = app
                .try_build(1)
                .await
                .err()
                .expect("there is no such image");
            assert_eq!(error.fault(), fault, "{status}: {}", told(&error));
        }
        let text = format!("FROM {BASE}\nRUN echo 'connection refused' >&2; exit 1\n");
        let mut app = self.app("liar", json!({})).file("Dockerfile", &text);
        let error = app.try_build(1).await.err().expect("it fails");
        assert_eq!(error.fault(), Fault::App, "{}", told(&error));
        println!("ok: {}: faults of a registry", self.builder);
    }

    async fn an_engine_that_hangs_is_nobodys_fault(&self) {
        let text = format!("FROM {BASE}\n");
        let mut app = self.app("hanging", json!({})).file("Dockerfile", &text);
        self.engine.signal("-STOP");
        let asked = Instant::now();
        let error = app.try_build(1).await.err();
        let took = asked.elapsed();
        self.engine.signal("-CONT");
        let error = error.expect("nobody answers");
        assert_eq!(error.fault(), Fault::Infrastructure, "{}", told(&error));
        assert!(
            matches!(error, PluginError::Other { .. }),
            "{}",
            told(&error)
        );
        assert!(took < Duration::from_secs(30), "{took:?}");
        println!("ok: {}: {}", self.builder, told(&error));
    }
}

fn processes_with(word: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            line.split(|byte| *byte == 0)
                .any(|it| it == word.as_bytes())
        })
        .count()
}

/// A registry that answers everything beyond its greeting with one status.
struct Registry {
    address: SocketAddr,
    status: Arc<AtomicU16>,
}

impl Registry {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let status = Arc::new(AtomicU16::new(200));
        let answers = Arc::clone(&status);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = [0; 4096];
                let Ok(read) = stream.read(&mut head) else {
                    continue;
                };
                let greets = head[..read].windows(6).any(|it| it == b" /v2/ ");
                let status = if greets {
                    200
                } else {
                    answers.load(Ordering::Relaxed)
                };
                let answer = format!(
                    "HTTP/1.1 {status} Said\r\nContent-Length: 2\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{{}}"
                );
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        Self { address, status }
    }
}
