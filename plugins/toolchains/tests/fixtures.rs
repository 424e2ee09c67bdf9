//! One folder of `tests/fixtures/toolchains` is one case: a source, optionally what its spec says, and what comes of it. `UPDATE=1`
//! rewrites the results; read the difference before committing it.
//!
//! `<case>/source/` is the app's source; a Procfile in it names workers. `<case>/config.toml` holds parts of a `hop3.toml`.
//! `<case>/expected.txt` says who accepts, who is chosen, and that one's plan or its refusal.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test reads its folders, and rewrites them on request"
)]

mod fixture;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hop3_plugin_api::{
    AppName, Detection, DirectoryTree, LanguageToolchain, PlanContext, Plugin as _, PluginError,
    detect,
};
use hop3_plugin_toolchains::ToolchainsPlugin;

use fixture::{config, text};

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/toolchains");
    let mut cases: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_folder_gives_the_plan_that_it_expects() {
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    let cases = cases();
    let mut wrong = Vec::new();
    for case in &cases {
        let found = outcome(case);
        let file = case.join("expected.txt");
        if update {
            fs::write(&file, &found).unwrap();
        } else if fs::read_to_string(&file).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", case.display()));
        }
    }
    assert!(cases.len() >= 170, "only {} cases were found", cases.len());
    assert!(
        wrong.is_empty(),
        "run with UPDATE=1 and read the difference of\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_language_has_cases() {
    let expected = cases()
        .into_iter()
        .map(|case| fs::read_to_string(case.join("expected.txt")).unwrap_or_default());
    let expected: Vec<String> = expected.collect();
    for toolchain in ToolchainsPlugin.toolchains() {
        let chosen = format!("chosen: {}\n", toolchain.name());
        let count = expected
            .iter()
            .filter(|text| text.contains(&chosen))
            .count();
        let least = if toolchain.name() == "generic" { 1 } else { 4 };
        assert!(count >= least, "{} has {count} cases", toolchain.name());
    }
}

fn outcome(case: &Path) -> String {
    let source = DirectoryTree::new(case.join("source"));
    let app = AppName::parse("shop").unwrap();
    let config = config::of(case);
    let cx = PlanContext {
        app: &app,
        source: &source,
        config: &config,
    };
    let toolchains = ToolchainsPlugin.toolchains();
    let accepting = toolchains.iter().filter(|t| t.accept(&cx).accepts());
    let accepting: Vec<String> = accepting
        .map(|toolchain| match toolchain.evidence(&cx) {
            Some(evidence) => format!("{} ({})", toolchain.name(), evidence.file),
            None => toolchain.name().to_owned(),
        })
        .collect();
    let accepts = format!("accepts: {}\n", accepting.join(", "));
    let asked = config.build.toolchain.as_ref();
    let asked = asked.and_then(|name| toolchains.iter().find(|it| it.name() == name.as_str()));
    let detected = asked.map_or_else(
        || detect(&toolchains, &cx),
        |toolchain| Detection::Found(toolchain.clone()),
    );
    match detected {
        Detection::Found(toolchain) => accepts + &planned(toolchain.as_ref(), &cx),
        Detection::Several(named) => format!("{accepts}ambiguous: {named:?}\n"),
        Detection::Nothing(reasons) => accepts + &refusals(reasons),
    }
}

/// Why nobody takes it, a reason that several share once.
fn refusals(reasons: Vec<(&str, String)>) -> String {
    let reasons: BTreeSet<String> = reasons.into_iter().map(|(_, reason)| reason).collect();
    let lines = reasons
        .into_iter()
        .map(|reason| format!("because {reason}\n"));
    lines.collect()
}

fn planned(toolchain: &dyn LanguageToolchain, cx: &PlanContext<'_>) -> String {
    let plan = toolchain.plan(cx);
    if let Ok(plan) = &plan {
        assert_eq!(*plan, toolchain.plan(cx).unwrap(), "two plans differ");
    }
    let chosen = format!("chosen: {}\n", toolchain.name());
    match plan {
        Ok(plan) => {
            hop3_plugin_testing::conformance::toolchain::conforms(toolchain, cx);
            chosen + &text::of(&plan, cx.config)
        }
        Err(error) => chosen + &refusal(&error),
    }
}

fn refusal(error: &PluginError) -> String {
    let hints = error
        .hints()
        .into_iter()
        .map(|hint| format!("hint: {hint}\n"));
    format!("error: {error}\n{}", hints.collect::<String>())
}
