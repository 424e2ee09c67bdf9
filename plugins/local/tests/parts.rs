//! Layers of which parts are cloned, what is in their keys, and the steps that the builder does itself.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may panic, and leaves on the machine what a build may meet"
)]

mod sample;

use std::path::Path;

use hop3_plugin_api::{
    ArtifactKind, BuildCommand, BuildPlan, BuildStep, Builder as _, Exit, LanguageToolchain,
    LayerPlan, Pick, PlanContext, Result, Task, ToolRequirement, UserId, Verdict,
};
use hop3_plugin_local::LocalBuilder;
use hop3_plugin_testing::TestApp;
use sample::{app, build, exit, layer, layers, planned, step, tool, write};

#[tokio::test]
async fn parts_of_a_layer_that_were_made_lie_in_the_release_at_their_place() {
    let app = app()
        .file("apps/web/main.txt", "main\n")
        .file("patches/a", "one\n");
    let mut plan = parted();
    plan.runtime.workdir = "apps/web".to_owned();
    app.fake().on_run(installed);
    LocalBuilder.build(&app.context(), &plan).await.unwrap();
    let at = |path: &str| app.paths.build.join(path);
    assert!(at("deps/dep.txt").is_file() && at("apps/web/deps/dep.txt").is_file());
    assert!(
        !at("packages/ui/deps").exists(),
        "a part that was not made is left out"
    );
    assert!(at("apps/web/main.txt").is_file());
    let inputs = std::fs::read_to_string(layer(&app).join("sample.lock")).unwrap();
    assert_eq!(inputs, "one\n", "its steps found the inputs in the layer");
    assert!(!layer(&app).join("apps/web/main.txt").exists());
    let transcript = app.transcript().join("\n");
    assert!(transcript.contains("compile of shop: "), "{transcript}");
    assert!(
        transcript.contains("(in <root>/data/apps/shop/releases/1/app/apps/web;"),
        "{transcript}"
    );
}

/// A layer of which several directories are cloned, one of which is never made.
fn parted() -> BuildPlan {
    let parts = ["deps", "apps/web/deps", "packages/ui/deps"].map(str::to_owned);
    let inputs = ["sample.lock", "patches"].map(str::to_owned);
    let install = step("install", true, &["sample", "install", "${layer}"]);
    BuildPlan {
        tools: vec![tool(None)],
        layers: vec![LayerPlan::cloned(
            "deps",
            parts.to_vec(),
            (inputs.to_vec(), vec![install]),
        )],
        steps: vec![step("compile", false, &["sample", "compile"])],
        finish: vec![step("prune", false, &["sample", "prune"])],
        ..BuildPlan::new("sample", ArtifactKind::Native)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this stands for a tool that installs"
)]
fn installed(task: &Task) -> Exit {
    if let [install, dir] = task.args.as_slice()
        && install == "install"
    {
        for part in ["deps", "apps/web/deps"] {
            std::fs::create_dir_all(Path::new(dir).join(part)).unwrap();
            write(&Path::new(dir).join(part).join("dep.txt"), "dep\n");
        }
    }
    exit(0, "1.2.3")
}

#[tokio::test]
async fn a_part_that_leads_out_of_the_layer_is_not_followed() {
    let app = app();
    let outside = app.paths.app.join("secret");
    app.fake().on_run(move |task| {
        if let [install, dir] = task.args.as_slice()
            && install == "install"
        {
            std::os::unix::fs::symlink(&outside, Path::new(dir).join("deps")).unwrap();
        }
        exit(0, "1.2.3")
    });
    LocalBuilder.build(&app.context(), &parted()).await.unwrap();
    assert!(
        std::fs::symlink_metadata(layer(&app).join("deps"))
            .unwrap()
            .is_symlink()
    );
    assert!(!app.paths.build.join("deps").exists());
}

#[tokio::test]
async fn an_input_that_is_a_directory_counts_with_all_in_it() {
    let app = app().file("patches/a", "one\n");
    app.fake().on_run(installed);
    let build = async |app: &TestApp| LocalBuilder.build(&app.context(), &parted()).await.unwrap();
    build(&app).await;
    let app = app.file("other/a", "two\n");
    build(&app).await;
    assert_eq!(layers(&app).len(), 1);
    let app = app.file("patches/sub/b", "two\n");
    build(&app).await;
    assert_eq!(layers(&app).len(), 2, "a patch was added");
    let app = app.file("patches/a", "three\n");
    build(&app).await;
    assert_eq!(layers(&app).len(), 3, "a patch changed");
}

#[tokio::test]
async fn a_layer_is_keyed_by_the_tools_that_it_is_made_with() {
    let app = app();
    let mut plan = planned(&app);
    build(&app).await.unwrap();
    plan.layers[0].tools = vec!["sample".to_owned()];
    plan.tools.push(ToolRequirement {
        program: "other".to_owned(),
        ..tool(None)
    });
    LocalBuilder.build(&app.context(), &plan).await.unwrap();
    assert_eq!(
        layers(&app).len(),
        1,
        "another tool of the plan is not this layer's"
    );
    plan.layers[0].tools.push("other".to_owned());
    LocalBuilder.build(&app.context(), &plan).await.unwrap();
    assert_eq!(layers(&app).len(), 2);
}

#[test]
fn what_takes_away_comes_after_the_last_hook() {
    let app = app().configure(|config| {
        config.build.after_build = vec!["echo after".to_owned()];
        config.build.test = vec!["make test".to_owned()];
    });
    let plan = LocalBuilder
        .plan(&app.plan_context(), Some(&Pruned))
        .unwrap();
    let names: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["compile", "after-build", "test", "prune"]);
    assert!(
        plan.finish.is_empty(),
        "the plan that is shown is the one that is carried out"
    );
}

/// A language that cleans up behind itself.
struct Pruned;

impl LanguageToolchain for Pruned {
    fn name(&self) -> &'static str {
        "pruned"
    }

    fn detects(&self) -> &'static [&'static str] {
        &["sample.lock"]
    }

    fn accept(&self, _cx: &PlanContext<'_>) -> Verdict {
        Verdict::Accept
    }

    fn plan(&self, _cx: &PlanContext<'_>) -> Result<BuildPlan> {
        Ok(parted())
    }
}

#[tokio::test]
async fn a_file_is_written_and_a_result_is_linked_as_the_app_s_user_in_the_sandbox() {
    let mut app = app();
    app.user = Some(UserId { uid: 900, gid: 901 });
    let pick = Pick {
        directories: vec!["out".to_owned(), "target".to_owned()],
        extension: ".jar".to_owned(),
        without: vec!["sources".to_owned()],
        prefer: Vec::new(),
        link: "target/app.jar".to_owned(),
    };
    let command = |name: &str, command| BuildStep {
        name: name.to_owned(),
        command,
        network: false,
    };
    let mut plan = BuildPlan::new("sample", ArtifactKind::Native);
    let (path, content) = ("${app}/.hop3/router.php".to_owned(), "<?php\n".to_owned());
    plan.steps = vec![
        command("write it", BuildCommand::Write { path, content }),
        command("find it", BuildCommand::Link(pick)),
    ];
    app.fake().on_run(|task| match task.args.first() {
        Some(directory) if directory == "target" => {
            exit(0, "target/shop-sources.jar\ntarget/shop.jar\n")
        }
        Some(directory) if directory == "out" => {
            exit(1, "find: 'out': No such file or directory\n")
        }
        _ => exit(0, ""),
    });
    LocalBuilder.build(&app.context(), &plan).await.unwrap();
    let lines = app.transcript();
    let lines: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains(" it of shop"))
        .collect();
    let shown: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split(" (").next())
        .collect();
    assert_eq!(
        shown,
        [
            "run write it of shop: mkdir -p -- <root>/data/apps/shop/releases/1/app/.hop3",
            "run write it of shop: dd of=<root>/data/apps/shop/releases/1/app/.hop3/router.php status=none",
            "run find it of shop: find out -mindepth 1 -maxdepth 1 -type f -name *.jar",
            "run find it of shop: find target -mindepth 1 -maxdepth 1 -type f -name *.jar",
            "run find it of shop: ln -s -f -n -- shop.jar target/app.jar",
        ]
    );
    for line in lines {
        assert!(line.contains("user 900; sandboxed offline"), "{line}");
    }
}
