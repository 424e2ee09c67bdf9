//! An app on the real engine: what the core would do between its releases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{
    BuildArtifact, Builder as _, Counts, Deployer as _, DeploymentInfo, EndpointAddress, HttpProbe,
    InstanceStatus, Launch, Limits, OneOff, PluginError, ProbeAnswer, ReleaseId, Result,
    WorkerName, WorkerSpec,
};
use hop3_plugin_docker::{ComposeDeployer, DockerBuilder};
use hop3_plugin_testing::TestApp;
use serde_json::json;

use crate::host::TestHost;
use hop3_plugin_testing::dockerd::Dockerd;

pub(crate) struct App {
    pub(crate) inner: TestApp,
    pub(crate) workers: BTreeMap<WorkerName, WorkerSpec>,
    host: Arc<TestHost>,
}

/// A release with its artifact.
pub(crate) struct Release {
    pub(crate) id: ReleaseId,
    pub(crate) artifact: BuildArtifact,
}

impl App {
    pub(crate) fn new(name: &str, engine: &Dockerd, host: &Arc<TestHost>) -> Self {
        let mut inner = TestApp::on(name, host.clone());
        let settings = json!({"host": engine.address(), "timeout": 5});
        inner.settings.insert("docker".to_owned(), settings);
        let web = WorkerSpec {
            command: String::new(),
            routed: true,
        };
        Self {
            inner,
            workers: BTreeMap::from([(worker("web"), web)]),
            host: host.clone(),
        }
    }

    pub(crate) fn file(mut self, path: &str, content: &str) -> Self {
        self.inner = self.inner.file(path, content);
        self
    }

    pub(crate) fn variable(mut self, key: &str, value: &str) -> Self {
        self.inner = self.inner.variable(key, value);
        self
    }

    /// Points the app's directories at a release, as the core does before each call about it.
    pub(crate) fn turn_to(&mut self, number: u32) {
        let release = self.inner.paths.app.join(format!("releases/{number}"));
        std::fs::create_dir_all(&release).unwrap();
        self.inner.paths.build = release.join("app");
        self.inner.paths.release = release;
    }

    pub(crate) async fn try_build(&mut self, number: u32) -> Result<Release> {
        self.turn_to(number);
        let cx = self.inner.context();
        let plan = DockerBuilder.plan(&cx.plan, None)?;
        let artifact = DockerBuilder.build(&cx, &plan).await?;
        let id = ReleaseId {
            app: self.inner.name.clone(),
            number,
        };
        Ok(Release { id, artifact })
    }

    pub(crate) async fn build(&mut self, number: u32) -> Release {
        self.try_build(number)
            .await
            .unwrap_or_else(|e| panic!("{}", told(&e)))
    }

    pub(crate) fn launch<'a>(&'a self, release: &'a Release) -> Launch<'a> {
        const LIMITS: Limits = Limits {
            memory: Some(64 * 1024 * 1024),
            processes: Some(50),
            file_size: None,
            open_files: None,
        };
        Launch {
            release: &release.id,
            artifact: &release.artifact,
            workers: &self.workers,
            limits: &LIMITS,
            stop_grace: Duration::from_secs(1),
        }
    }

    pub(crate) async fn try_deploy(&self, release: &Release) -> Result<DeploymentInfo> {
        let counts = self.workers.keys().map(|name| (name.clone(), 1)).collect();
        let launch = self.launch(release);
        ComposeDeployer
            .deploy(&self.inner.context(), &launch, &counts)
            .await
    }

    pub(crate) async fn deploy(&mut self, release: &Release) -> EndpointAddress {
        self.turn_to(release.id.number);
        let info = self
            .try_deploy(release)
            .await
            .unwrap_or_else(|e| panic!("{}", told(&e)));
        info.endpoints[0].address.clone()
    }

    pub(crate) async fn stop(&self, release: &Release) {
        let cx = self.inner.context();
        ComposeDeployer
            .stop(&cx, &release.id)
            .await
            .unwrap_or_else(|e| panic!("{}", told(&e)));
    }

    pub(crate) async fn status(&self, release: &Release) -> Vec<InstanceStatus> {
        ComposeDeployer
            .check_status(&self.inner.context(), &release.id)
            .await
            .unwrap()
    }

    pub(crate) async fn run(
        &self,
        release: &Release,
        command: &str,
        deadline: u64,
    ) -> hop3_plugin_api::Exit {
        let (cx, launch) = (self.inner.context(), self.launch(release));
        let deadline = Duration::from_secs(deadline);
        ComposeDeployer
            .run(&cx, &launch, &OneOff::new(command, deadline))
            .await
            .unwrap_or_else(|e| panic!("{}", told(&e)))
    }

    /// The body at `/`, once the endpoint answers.
    pub(crate) async fn body(&self, address: &EndpointAddress) -> String {
        use hop3_plugin_api::Host as _;
        let probe = HttpProbe {
            address: address.clone(),
            path: "/".to_owned(),
            host: "shop.test".to_owned(),
            timeout: Duration::from_secs(5),
        };
        for _ in 0..100 {
            if let ProbeAnswer::Answered { status: 200, body } = self.host.probe(&probe).await {
                return String::from_utf8(body).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "{address} does not answer: {:?}",
            self.host.probe(&probe).await
        )
    }
}

pub(crate) fn worker(name: &str) -> WorkerName {
    WorkerName::parse(name).unwrap()
}

pub(crate) fn counts(name: &str, count: u16) -> Counts {
    Counts::from([(worker(name), count)])
}

/// An error with everything that a person would be shown.
pub(crate) fn told(error: &PluginError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let tail = match error {
        PluginError::Command { tail, .. } | PluginError::Build { tail, .. } => tail.as_str(),
        _ => "",
    };
    format!("{error}: {cause:?} {:?} {tail}", error.hints())
}
