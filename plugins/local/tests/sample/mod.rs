//! A language for tests of the builder, and a fake machine on which every program succeeds.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "every file of tests uses its part")]

use std::path::Path;

use hop3_plugin_api::{
    ArtifactKind, BuildArtifact, BuildCommand, BuildPlan, BuildStep, Builder as _, EnvKey, Exit,
    ExitStatus, LanguageToolchain, LayerMode, LayerPlan, PlanContext, Result, RuntimeSpec, Task,
    ToolRequirement, Verdict,
};
use hop3_plugin_local::LocalBuilder;
use hop3_plugin_testing::TestApp;

/// A language with one dependency file and one step.
pub(crate) struct Sample {
    pub(crate) mode: LayerMode,
    pub(crate) publish: Option<String>,
}

pub(crate) const MOUNTED: Sample = Sample {
    mode: LayerMode::Mount,
    publish: None,
};

impl LanguageToolchain for Sample {
    fn name(&self) -> &'static str {
        "sample"
    }

    fn detects(&self) -> &'static [&'static str] {
        &["sample.lock"]
    }

    fn accept(&self, _cx: &PlanContext<'_>) -> Verdict {
        Verdict::Accept
    }

    fn plan(&self, _cx: &PlanContext<'_>) -> Result<BuildPlan> {
        let cloned = self.mode == LayerMode::Clone;
        let install = step("install", true, &["sample", "install", "${layer}"]);
        Ok(BuildPlan {
            tools: vec![tool(None)],
            layers: vec![LayerPlan {
                mode: self.mode,
                target: cloned.then(|| "lib/deps".to_owned()),
                ..LayerPlan::mounted("deps", vec!["sample.lock".to_owned()], vec![install])
            }],
            steps: vec![step("compile", false, &["${layer:deps}/bin/cc", "${app}"])],
            env: [(key("DEPS"), "${layer:deps}".to_owned())].into(),
            runtime: RuntimeSpec {
                path: vec!["${layer:deps}/bin".to_owned()],
                publish: self.publish.clone(),
                ..RuntimeSpec::default()
            },
            ..BuildPlan::new("sample", ArtifactKind::Native)
        })
    }
}

pub(crate) fn tool(version: Option<&str>) -> ToolRequirement {
    ToolRequirement {
        program: "sample".to_owned(),
        version: version.map(str::to_owned),
        pinned_by: version.map(|_| ".sample-version:1".to_owned()),
    }
}

pub(crate) fn step(name: &str, network: bool, words: &[&str]) -> BuildStep {
    BuildStep {
        name: name.to_owned(),
        command: BuildCommand::Argv(words.iter().map(|word| (*word).to_owned()).collect()),
        network,
    }
}

pub(crate) fn key(name: &str) -> EnvKey {
    EnvKey::parse(name).unwrap()
}

pub(crate) fn app() -> TestApp {
    let app = TestApp::new("shop")
        .file("sample.lock", "one\n")
        .file("main.txt", "first\n");
    app.fake().on_run(answer("1.2.3"));
    app
}

/// Every program succeeds; one that is asked for its version is `version`.
pub(crate) fn answer(version: &'static str) -> impl Fn(&Task) -> Exit + Send + Sync {
    move |task| {
        exit(
            0,
            if task.args == ["--version"] {
                version
            } else {
                ""
            },
        )
    }
}

pub(crate) fn exit(code: i32, tail: &str) -> Exit {
    Exit {
        status: ExitStatus::Code(code),
        tail: tail.to_owned(),
    }
}

pub(crate) fn planned(app: &TestApp) -> BuildPlan {
    LocalBuilder
        .plan(&app.plan_context(), Some(&MOUNTED))
        .unwrap()
}

pub(crate) async fn build(app: &TestApp) -> Result<BuildArtifact> {
    LocalBuilder.build(&app.context(), &planned(app)).await
}

pub(crate) fn runs(app: &TestApp) -> Vec<String> {
    let lines = app.fake().take_transcript().into_iter();
    let runs = lines.filter_map(|line| line.strip_prefix("run ").map(str::to_owned));
    runs.map(|run| run.split(':').next().unwrap_or_default().to_owned())
        .collect()
}

pub(crate) fn layer(app: &TestApp) -> std::path::PathBuf {
    let mut layers = layers(app);
    assert_eq!(layers.len(), 1, "{layers:?}");
    layers.remove(0)
}

pub(crate) fn layers(app: &TestApp) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(&app.paths.layers).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test damages files")]
pub(crate) fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}
