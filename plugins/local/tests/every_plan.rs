//! Every plan that the cases of `tests/fixtures/toolchains` expect, carried out on a fake machine: it succeeds, and whichever of its
//! programs fails, the build fails with that step's name and the program's own words, and leaves nothing behind.
#![expect(clippy::unwrap_used, reason = "a test reads its folders")]

#[path = "../../toolchains/tests/fixture/config.rs"]
mod config;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hop3_plugin_api::{
    AppConfig, AppName, BuildArtifact, BuildCommand, BuildPlan, Builder as _, Detection,
    DirectoryTree, Exit, ExitStatus, PlanContext, Plugin as _, PluginError, Program, Result, Task,
    detect,
};
use hop3_plugin_local::LocalBuilder;
use hop3_plugin_testing::TestApp;
use hop3_plugin_toolchains::ToolchainsPlugin;

/// A case that has a plan.
struct Case {
    name: String,
    source: DirectoryTree,
    config: AppConfig,
    plan: BuildPlan,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/toolchains");
    let folders = fs::read_dir(root).unwrap();
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| case(folder)).collect()
}

fn case(folder: &Path) -> Option<Case> {
    let source = DirectoryTree::new(folder.join("source"));
    let config = config::of(folder);
    let cx = PlanContext {
        app: &AppName::parse("shop").unwrap(),
        source: &source,
        config: &config,
    };
    let toolchains = ToolchainsPlugin.toolchains();
    let asked = config.build.toolchain.as_ref();
    let asked = asked.and_then(|name| toolchains.iter().find(|it| it.name() == name.as_str()));
    let toolchain = match (asked, detect(&toolchains, &cx)) {
        (Some(toolchain), _) => Arc::clone(toolchain),
        (None, Detection::Found(toolchain)) => toolchain,
        _ => return None,
    };
    let mut plan = LocalBuilder.plan(&cx, Some(toolchain.as_ref())).ok()?;
    // Nothing is really installed or built here.
    plan.tools.clear();
    plan.layers.iter_mut().for_each(|layer| layer.tools.clear());
    plan.runtime.publish = None;
    Some(Case {
        name: folder.file_name().unwrap().to_string_lossy().into_owned(),
        source,
        config,
        plan,
    })
}

/// Builds a case on a machine whose n-th program fails.
async fn build(case: &Case, failing: Option<usize>) -> (TestApp, Result<BuildArtifact>, usize) {
    let app = TestApp::new("shop");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    app.fake().on_run(move |task| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        answer(task, failing == Some(number))
    });
    let mut cx = app.context();
    cx.plan.source = &case.source;
    cx.plan.config = &case.config;
    let built = LocalBuilder.build(&cx, &case.plan).await;
    (app, built, count.load(Ordering::SeqCst))
}

fn answer(task: &Task, fails: bool) -> Exit {
    let finds = task.program == Program::Named("find".to_owned());
    let directory = task.args.first().map_or("", String::as_str);
    let tail = match (fails, finds) {
        (true, _) => "it broke for a reason of its own".to_owned(),
        (false, true) => format!("{directory}/shop.jar\n"),
        (false, false) => String::new(),
    };
    Exit {
        status: ExitStatus::Code(if fails { 3 } else { 0 }),
        tail,
    }
}

#[tokio::test]
async fn every_plan_succeeds_and_each_of_its_programs_can_fail_it() {
    let cases = cases();
    let mut programs = 0;
    for case in &cases {
        let (_, built, count) = build(case, None).await;
        built.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        programs += count;
        for number in 0..count {
            let (app, built, _) = build(case, Some(number)).await;
            check_failure(case, &app, built);
        }
    }
    println!(
        "{} plans, {programs} programs failed one by one",
        cases.len()
    );
    assert!(
        cases.len() > 150 && programs > 300,
        "{} {programs}",
        cases.len()
    );
}

fn looks_further(plan: &BuildPlan) -> bool {
    plan.steps.iter().any(|step| match &step.command {
        BuildCommand::Link(pick) => pick.directories.len() > 1,
        _ => false,
    })
}

fn check_failure(case: &Case, app: &TestApp, built: Result<BuildArtifact>) {
    let name = &case.name;
    let layers = case.plan.layers.iter().flat_map(|layer| &layer.steps);
    let mut steps = layers.chain(&case.plan.steps);
    match built {
        Err(PluginError::Command { command, tail, .. }) => {
            let step = command.split(": ").next().unwrap_or_default();
            assert!(steps.any(|it| it.name == step), "{name}: {command}");
            assert!(tail.contains("it broke"), "{name}: {tail}");
        }
        // Where one directory cannot be listed, the next one is.
        Ok(_) => return assert!(looks_further(&case.plan), "{name}"),
        // What lists the results of a build says itself that there are none.
        Err(PluginError::Abort(refusal)) => {
            assert!(
                refusal.message.starts_with("the build left no"),
                "{name}: {refusal}"
            );
        }
        other => panic!("{name}: {other:?}"),
    }
    assert!(
        !app.paths.build.exists(),
        "{name}: the failed build is gone"
    );
    let cache = fs::read_dir(&app.paths.cache).unwrap().count();
    assert_eq!(cache, 0, "{name}: temporary files are gone");
}
