//! What the builder takes, plans and does to a machine.
#![expect(
    clippy::disallowed_methods,
    reason = "the script of the fake machine writes what docker would"
)]

use hop3_plugin_api::{ArtifactLocation, Builder as _, Exit, ExitStatus, PluginError};
use hop3_plugin_docker::DockerBuilder;
use hop3_plugin_testing::TestApp;
use serde_json::json;

const PINNED: &str = "shop@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn exit(code: i32, tail: &str) -> Exit {
    Exit {
        status: ExitStatus::Code(code),
        tail: tail.to_owned(),
    }
}

#[tokio::test]
async fn a_dockerfile_is_built_with_these_calls() {
    let app = TestApp::new("shop")
        .file("Dockerfile", "FROM scratch\n")
        .configure(|config| config.docker = Some(json!({"build-args": {"MODE": "fast"}})));
    let id_file = app.paths.cache.join("image-1.id");
    app.fake().on_run(move |_| {
        std::fs::write(&id_file, "sha256:abc\n").unwrap();
        exit(0, "")
    });
    let plan = DockerBuilder.plan(&app.plan_context(), None).unwrap();
    let artifact = DockerBuilder.build(&app.context(), &plan).await.unwrap();
    insta::assert_snapshot!("build", app.transcript().join("\n"));
    insta::assert_snapshot!("plan", serde_json::to_string_pretty(&plan).unwrap());
    assert_eq!(
        artifact.location,
        ArtifactLocation::Image("hop3/shop:1@sha256:abc".to_owned())
    );
    assert_eq!(artifact.metadata["image-id"], "sha256:abc");
}

#[tokio::test]
async fn the_failing_step_of_a_build_is_what_a_person_sees_first() {
    let app = TestApp::new("shop").file("Dockerfile", "FROM scratch\n");
    app.fake()
        .on_run(|_| exit(1, include_str!("recorded/build-classic-failed.txt")));
    let plan = DockerBuilder.plan(&app.plan_context(), None).unwrap();
    let error = DockerBuilder
        .build(&app.context(), &plan)
        .await
        .unwrap_err();
    let PluginError::Command { tail, .. } = error else {
        panic!("{error}");
    };
    assert!(tail.starts_with("Step 3/3 : RUN"), "{tail}");
}

#[tokio::test]
async fn a_pinned_image_is_not_built_and_an_unpinned_one_is_refused() {
    let with = |image: &str| {
        let table = json!({ "image": image });
        TestApp::new("shop").configure(|config| config.docker = Some(table))
    };
    let app = with(PINNED);
    let plan = DockerBuilder.plan(&app.plan_context(), None).unwrap();
    assert!(plan.steps.is_empty());
    let artifact = DockerBuilder.build(&app.context(), &plan).await.unwrap();
    assert_eq!(
        artifact.location,
        ArtifactLocation::Image(PINNED.to_owned())
    );
    assert!(app.transcript().is_empty());
    let refused = DockerBuilder.accept(&with("shop:latest").plan_context());
    assert!(refused.to_string().contains("not pinned"), "{refused}");
}

#[test]
fn the_builder_takes_a_dockerfile_or_a_compose_file_and_says_what_it_leaves_aside() {
    let accepts = |file: &str| {
        let app = TestApp::new("shop").file(file, "x\n");
        DockerBuilder.accept(&app.plan_context()).accepts()
    };
    for file in [
        "Dockerfile",
        "compose.yaml",
        "compose.yml",
        "docker-compose.yml",
        "docker-compose.yaml",
    ] {
        assert!(accepts(file), "{file}");
    }
    assert!(!accepts("package.json"));
    let both = TestApp::new("shop")
        .file("Dockerfile", "x")
        .file("compose.yaml", "x");
    let plan = DockerBuilder.plan(&both.plan_context(), None).unwrap();
    assert!(
        plan.notes[0].contains("`compose.yaml` is not used"),
        "{:?}",
        plan.notes
    );
}
