//! What the builder takes, plans and does to a machine.
#![expect(
    clippy::disallowed_methods,
    reason = "the script of the fake machine writes what docker would"
)]

use hop3_plugin_api::{
    ArtifactLocation, BuildCommand, Builder as _, Exit, ExitStatus, PluginError,
};
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
    app.fake().on_run(|task| match task.args[0].as_str() {
        "build" => exit(1, include_str!("recorded/build-classic-failed.txt")),
        "buildx" => exit(1, "docker: 'buildx' is not a docker command"),
        _ => exit(0, ""),
    });
    let plan = DockerBuilder.plan(&app.plan_context(), None).unwrap();
    let error = DockerBuilder
        .build(&app.context(), &plan)
        .await
        .unwrap_err();
    let PluginError::Build { message, tail, .. } = error else {
        panic!("{error}");
    };
    assert!(tail.starts_with("Step 3/3 : RUN"), "{tail}");
    assert!(
        message.starts_with("`Dockerfile` failed at step 3, `RUN echo"),
        "{message}"
    );
}

#[tokio::test]
async fn values_of_arguments_are_in_no_plan_and_in_no_message() {
    let table = json!({"build-args": {"TOKEN": "of-somebody", "LD_PRELOAD": "/tmp/evil.so"}});
    let app = TestApp::new("shop")
        .file("Dockerfile", "FROM scratch\n")
        .configure(|config| config.docker = Some(table));
    app.fake().on_run(|task| match task.args[0].as_str() {
        "build" => {
            assert!(task.args.contains(&"TOKEN=of-somebody".to_owned()));
            assert!(
                !task.env.contains_key("LD_PRELOAD"),
                "it would be the client's own"
            );
            exit(1, include_str!("recorded/build-classic-failed.txt"))
        }
        _ => exit(0, ""),
    });
    let plan = DockerBuilder.plan(&app.plan_context(), None).unwrap();
    let error = DockerBuilder
        .build(&app.context(), &plan)
        .await
        .unwrap_err();
    for shown in [serde_json::to_string(&plan).unwrap(), format!("{error:?}")] {
        assert!(!shown.contains("of-somebody"), "{shown}");
    }
}

#[test]
fn the_spec_names_the_dockerfile_the_context_and_the_stage() {
    let app = |table: serde_json::Value| {
        TestApp::new("shop")
            .file("deploy/web.Dockerfile", "FROM scratch\n")
            .file("site/Dockerfile", "FROM scratch\n")
            .configure(|config| config.docker = Some(table))
    };
    let words = |table: serde_json::Value| {
        let plan = DockerBuilder.plan(&app(table).plan_context(), None)?;
        let BuildCommand::Argv(words) = plan.steps[0].command.clone() else {
            unreachable!("the plan is one program")
        };
        Ok::<String, PluginError>(words.join(" "))
    };
    let both =
        json!({"dockerfile": "./deploy/web.Dockerfile", "context": "site/", "target": "run"});
    assert_eq!(
        words(both).unwrap(),
        "docker build --file ${app}/deploy/web.Dockerfile --target run ${app}/site"
    );
    assert_eq!(
        words(json!({"context": "site"})).unwrap(),
        "docker build ${app}/site"
    );
    for (table, message) in [
        (
            json!({"dockerfile": "../Dockerfile"}),
            "`dockerfile` in `[docker]` leads out of the source",
        ),
        (
            json!({"context": "/etc"}),
            "`context` in `[docker]` leads out of the source",
        ),
        (
            json!({"dockerfile": "nonesuch"}),
            "asks for `nonesuch`, which is not in the source",
        ),
        (
            json!({"context": "deploy"}),
            "asks for `deploy/Dockerfile`, which is not in the source",
        ),
    ] {
        let error = words(table).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
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
