//! The builder on a fake machine: what it does in which order, when a layer is built anew, and what is left after a failure.

mod sample;

use std::collections::BTreeMap;
use std::path::Path;

use hop3_plugin_api::{
    ArtifactLocation, BuildArtifact, Builder as _, LayerMode, Program, Result, UserId,
    serde_json::json,
};
use hop3_plugin_local::{LocalBuilder, LocalSettings};
use hop3_plugin_testing::{FaultHost, FaultMode, TestApp, conformance};
use sample::{Sample, answer, app, build, exit, key, layer, layers, planned, runs, write};

#[test]
fn the_operators_settings_are_a_proper_section() {
    conformance::section::conforms::<LocalSettings>();
}

#[test]
fn the_spec_s_hooks_surround_the_toolchain_s_steps_in_order() {
    let app = app().configure(|config| {
        config.build.before_build = vec!["echo before".to_owned()];
        config.build.build = vec!["make a".to_owned(), "make b".to_owned()];
        config.build.after_build = vec!["echo after".to_owned()];
        config.build.test = vec!["make test".to_owned()];
        config.build.env.insert(key("DEPS"), "mine".to_owned());
        config.writable = vec!["uploads".to_owned()];
    });
    let plan = planned(&app);
    let names: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "before-build",
            "compile",
            "build",
            "build",
            "after-build",
            "test"
        ]
    );
    assert_eq!(plan.env[&key("DEPS")], "mine");
    assert_eq!(plan.runtime.writable, ["uploads"]);
    assert!(plan.steps.iter().all(|step| !step.network));
}

#[test]
fn without_a_toolchain_there_is_no_plan() {
    let app = app();
    let error = LocalBuilder.plan(&app.plan_context(), None).unwrap_err();
    assert!(
        error.to_string().contains("no language toolchain"),
        "{error}"
    );
    assert!(error.hints()[0].contains("generic"), "{:?}", error.hints());
}

#[tokio::test]
async fn a_build_installs_in_a_layer_and_compiles_in_the_release() {
    let app = app().configure(|config| config.build.build = vec!["make".to_owned()]);
    let artifact = build(&app).await.unwrap();
    let name = layer(&app).file_name().unwrap().display().to_string();
    let transcript = app.transcript().join("\n").replace(&name, "deps-<key>");
    insta::assert_snapshot!(transcript);
    assert_eq!(
        artifact.location,
        ArtifactLocation::Directory("releases/1/app".to_owned())
    );
    assert_eq!(
        artifact.runtime.layers,
        BTreeMap::from([("deps".to_owned(), format!("layers/{name}"))])
    );
    assert_eq!(artifact.metadata["tool.sample"], "1.2.3");
    assert!(app.paths.build.join("main.txt").is_file());
}

#[tokio::test]
async fn with_users_the_app_builds_and_root_owns_the_result() {
    let mut app = app();
    app.user = Some(UserId { uid: 900, gid: 901 });
    build(&app).await.unwrap();
    let name = layer(&app).file_name().unwrap().display().to_string();
    let transcript = app.transcript().join("\n").replace(&name, "deps-<key>");
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn only_a_step_that_fetches_reaches_the_network_and_none_when_the_app_says_so() {
    let online = |app: &TestApp| {
        let lines = app.fake().take_transcript().into_iter();
        let sandboxed = lines.filter(|line| line.contains("sandboxed"));
        sandboxed
            .map(|line| !line.contains("offline"))
            .collect::<Vec<_>>()
    };
    let mut app = app();
    build(&app).await.unwrap();
    assert_eq!(online(&app), [true, false]);
    app.settings
        .insert("local".to_owned(), json!({ "network": "all" }));
    build(&app).await.unwrap();
    assert_eq!(online(&app), [true]);
    app.config.build.offline = true;
    build(&app).await.unwrap();
    assert_eq!(online(&app), [false]);
}

#[tokio::test]
async fn a_change_of_the_source_alone_installs_nothing() {
    let app = app();
    let first = build(&app).await.unwrap();
    assert_eq!(
        runs(&app),
        [
            "ask for the version of sample",
            "install of shop",
            "compile of shop"
        ]
    );
    let app = app.file("main.txt", "second\n");
    let second = build(&app).await.unwrap();
    assert_eq!(
        runs(&app),
        ["ask for the version of sample", "compile of shop"]
    );
    assert_ne!(first.key, second.key);
    assert_eq!(first.runtime, second.runtime);
}

#[tokio::test]
async fn a_layer_is_built_anew_exactly_when_something_that_goes_in_changes() {
    let app = app();
    build(&app).await.unwrap();
    let app = app.file("README.md", "new\n");
    build(&app).await.unwrap();
    assert_eq!(layers(&app).len(), 1, "another file is no input");
    let app = app.file("sample.lock", "two\n");
    build(&app).await.unwrap();
    assert_eq!(layers(&app).len(), 2, "an input changed");
    app.fake().on_run(answer("1.2.4"));
    build(&app).await.unwrap();
    assert_eq!(layers(&app).len(), 3, "the tool changed");
    let app =
        app.configure(|config| drop(config.build.env.insert(key("CFLAGS"), "-O2".to_owned())));
    build(&app).await.unwrap();
    assert_eq!(layers(&app).len(), 4, "the build's environment changed");
    let app = app
        .file("sample.lock", "one\n")
        .configure(|config| config.build.env.clear());
    app.fake().on_run(answer("1.2.3"));
    build(&app).await.unwrap();
    assert_eq!(layers(&app).len(), 4, "what was there before is used again");
}

#[tokio::test]
async fn an_unfinished_layer_is_never_used() {
    let app = app();
    build(&app).await.unwrap();
    let stamp = layer(&app).join(".hop3-layer.json");
    for damage in ["", "{}"] {
        write(&stamp, damage);
        write(&layer(&app).join("half"), "a");
        runs(&app);
        build(&app).await.unwrap();
        assert!(runs(&app).contains(&"install of shop".to_owned()));
        assert!(!layer(&app).join("half").exists());
    }
}

#[tokio::test]
async fn a_failing_step_names_itself_and_frees_the_disk_but_for_finished_layers() {
    let app = app().configure(|config| config.build.build = vec!["make".to_owned()]);
    app.fake().on_run(|task| match &task.program {
        Program::AppShell(_) => exit(2, "make: *** no rule\n"),
        _ => exit(0, "1.2.3"),
    });
    let error = build(&app).await.unwrap_err();
    assert_eq!(error.to_string(), "`build: make` exited with status 2");
    assert!(!app.paths.build.exists());
    assert!(layer(&app).join(".hop3-layer.json").is_file());
    app.fake()
        .on_run(|task| exit(i32::from(task.what.starts_with("install")), "1.2.3"));
    let app = app.file("sample.lock", "two\n");
    let error = build(&app).await.unwrap_err();
    assert!(
        error.to_string().starts_with("`install: sample install"),
        "{error}"
    );
    assert_eq!(
        layers(&app).len(),
        1,
        "the unfinished layer and its inputs are gone"
    );
    assert!(
        std::fs::read_dir(&app.paths.cache)
            .unwrap()
            .next()
            .is_none()
    );
}

#[tokio::test]
async fn after_a_fault_at_any_effect_the_next_build_gives_the_same() {
    let app = app();
    let wanted = build(&app).await.unwrap();
    for mode in [FaultMode::Before, FaultMode::After] {
        for at in 1.. {
            let app = self::app();
            let host = FaultHost::failing(app.host.clone(), at, mode);
            let failed = build_on(&app, &host).await.is_err();
            if host.count() < at {
                break;
            }
            assert!(failed, "effect {at} failed and nobody noticed");
            assert_eq!(build(&app).await.unwrap(), wanted, "after effect {at}");
            assert!(layer(&app).join(".hop3-layer.json").is_file());
            assert!(
                std::fs::read_dir(&app.paths.cache)
                    .unwrap()
                    .next()
                    .is_none()
            );
        }
    }
}

async fn build_on(app: &TestApp, host: &FaultHost) -> Result<BuildArtifact> {
    let mut cx = app.context();
    cx.machine.host = host;
    LocalBuilder.build(&cx, &planned(app)).await
}

#[tokio::test]
async fn a_cloned_layer_lies_in_the_release_without_its_stamp() {
    let cloned = Sample {
        mode: LayerMode::Clone,
        publish: None,
    };
    let app = app();
    app.fake().on_run(|task| {
        if let Some(dir) = task.args.get(1) {
            write(&Path::new(dir).join("dep.txt"), "dep\n");
        }
        exit(0, "1.2.3")
    });
    let plan = LocalBuilder
        .plan(&app.plan_context(), Some(&cloned))
        .unwrap();
    let artifact = LocalBuilder.build(&app.context(), &plan).await.unwrap();
    let target = app.paths.build.join("lib/deps");
    assert!(target.join("dep.txt").is_file());
    assert!(!target.join(".hop3-layer.json").exists());
    assert!(artifact.runtime.layers.is_empty());
}

#[tokio::test]
async fn a_site_without_a_file_is_refused() {
    let site = Sample {
        mode: LayerMode::Mount,
        publish: Some("dist".to_owned()),
    };
    let app = app();
    let plan = LocalBuilder.plan(&app.plan_context(), Some(&site)).unwrap();
    let error = LocalBuilder.build(&app.context(), &plan).await.unwrap_err();
    assert!(error.to_string().contains("nothing in `dist`"), "{error}");
    assert!(!app.paths.build.exists());
}

#[tokio::test]
async fn a_required_sandbox_is_not_waived_by_the_host() {
    let mut app = app().configure(|config| config.build.sandbox_required = true);
    app.settings
        .insert("local".to_owned(), json!({ "sandbox": "off" }));
    let error = build(&app).await.unwrap_err();
    assert!(error.to_string().contains("without a sandbox"), "{error}");
    assert!(app.transcript().is_empty());
}
