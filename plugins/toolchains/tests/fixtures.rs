//! One folder of `tests/fixtures` is one case: a source, optionally what its spec says, and what comes out. `UPDATE=1` rewrites the
//! results; read the difference before committing it.
//!
//! `<case>/source/` is the app's source. `<case>/config.json` holds the parts of the app's settings that differ from the defaults.
//! `<case>/expected.json` lists the toolchains that accept and, for the one that is named or else asked first, its plan or its refusal.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test reads its folder, and rewrites it on request"
)]

use std::fs;
use std::path::Path;

use hop3_plugin_api::serde_json::{self, Value, json};
use hop3_plugin_api::{
    AppConfig, AppName, DirectoryTree, LanguageToolchain, PlanContext, Plugin as _, PluginError,
};
use hop3_plugin_toolchains::ToolchainsPlugin;

#[test]
fn every_folder_gives_the_plan_that_it_expects() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(root).unwrap() {
        let case = entry.unwrap().path();
        let found = outcome(&case);
        let file = case.join("expected.json");
        if update {
            fs::write(&file, pretty(&found)).unwrap();
        } else if fs::read_to_string(&file).unwrap_or_default() != pretty(&found) {
            wrong.push(format!("{}:\n{}", case.display(), pretty(&found)));
        }
        cases += 1;
    }
    assert!(cases >= 20, "only {cases} cases were found");
    assert!(
        wrong.is_empty(),
        "run with UPDATE=1 and read the difference of\n{}",
        wrong.join("\n")
    );
}

fn outcome(case: &Path) -> Value {
    let source = DirectoryTree::new(case.join("source"));
    let app = AppName::parse("shop").unwrap();
    let config = config(case);
    let cx = PlanContext {
        app: &app,
        source: &source,
        config: &config,
    };
    let toolchains = ToolchainsPlugin.toolchains();
    let accepting = toolchains.iter().filter(|t| t.accept(&cx).accepts());
    let accepting = accepting.collect::<Vec<_>>();
    let names = accepting.iter().map(|t| t.name()).collect::<Vec<_>>();
    let asked = config.build.toolchain.as_ref();
    let by_name = accepting
        .iter()
        .find(|t| asked.is_some_and(|name| name.as_str() == t.name()));
    match by_name.or(accepting.first()) {
        Some(chosen) => planned(chosen.as_ref(), &cx, &names),
        None => json!({ "accepts": names }),
    }
}

fn planned(toolchain: &dyn LanguageToolchain, cx: &PlanContext<'_>, names: &[&str]) -> Value {
    let plan = toolchain.plan(cx);
    if let Ok(plan) = &plan {
        assert_eq!(*plan, toolchain.plan(cx).unwrap(), "two plans differ");
    }
    match plan {
        Ok(plan) => json!({ "accepts": names, "plan": plan }),
        Err(error) => json!({ "accepts": names, "error": refusal(&error) }),
    }
}

fn refusal(error: &PluginError) -> Value {
    json!({ "message": error.to_string(), "hints": error.hints() })
}

/// The defaults with what the case says laid over them.
fn config(case: &Path) -> AppConfig {
    let mut value = serde_json::to_value(AppConfig::default()).unwrap();
    if let Ok(text) = fs::read(case.join("config.json")) {
        lay_over(&mut value, serde_json::from_slice(&text).unwrap());
    }
    serde_json::from_value(value).unwrap()
}

fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                lay_over(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}
