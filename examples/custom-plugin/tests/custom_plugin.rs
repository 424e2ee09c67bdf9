//! What a third party's binary promises: its plugin is linked beside the builtin ones, is chosen for its sources, and takes no name twice.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "the tests write config repos and start the binary, as a person would"
)]

use std::path::Path;
use std::process::{Command, Output};

use acme_agent::{Makefile, MakefilePlugin, MakefileSettings};
use hop3_agent::{Agent, builtin};
use hop3_plugin_api::serde_json::{self, Value, json};
use hop3_plugin_api::{Abort, LanguageToolchain as _, Plugin};
use hop3_plugin_testing::TestApp;
use hop3_plugin_testing::conformance::{section, toolchain};

const MAKEFILE: &str = "all:\n\tcp page.in page.html\nserve:\n\tpython3 -m http.server $(PORT)\n";

/// Another plugin that calls itself `makefile`.
struct Impostor;

impl Plugin for Impostor {
    fn name(&self) -> &'static str {
        "makefile"
    }

    fn description(&self) -> &'static str {
        "brings nothing"
    }
}

fn acme(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_acme-agent"))
        .args(arguments)
        .output()
        .expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A config repo with one app.
fn config_repo(root: &Path, spec: &str) {
    let app = root.join("apps/page");
    std::fs::create_dir_all(&app).unwrap();
    std::fs::write(app.join("Makefile"), MAKEFILE).unwrap();
    std::fs::write(app.join("page.in"), "hello\n").unwrap();
    std::fs::write(app.join("hop3.toml"), spec).unwrap();
}

fn plan(spec: &str) -> Value {
    let repo = tempfile::tempdir().unwrap();
    config_repo(repo.path(), spec);
    let root = repo.path().to_str().expect("temporary paths are UTF-8");
    let output = acme(&["plan", "--json", "--repo", root]);
    serde_json::from_slice(&output.stdout).expect("a plan is JSON")
}

#[test]
fn it_is_listed_beside_the_builtin_plugins() {
    let listed = stdout(&acme(&["plugins", "list"]));
    assert!(listed.contains("toolchain makefile"), "{listed}");
    assert!(listed.contains("toolchain python"), "{listed}");
}

#[test]
fn the_toolchain_keeps_the_promises_of_its_kind() {
    let app = TestApp::new("page").file("Makefile", MAKEFILE);
    let plan = toolchain::conforms(&Makefile, &app.plan_context());
    assert_eq!(plan.steps[0].command.to_string(), "make -- all");
    section::conforms::<MakefileSettings>();
}

#[test]
fn a_makefile_that_serves_nothing_is_left_to_others() {
    let app = TestApp::new("page").file("Makefile", "test:\n\tpytest\nserve := no\n");
    assert!(!Makefile.accept(&app.plan_context()).accepts());
}

#[test]
fn the_plan_of_a_config_repo_uses_it() {
    let plan = plan("[metadata]\nid = \"page\"\n");
    let build = &plan["changes"][0]["steps"][0]["action"];
    assert_eq!(build["plan"]["toolchain"], "makefile", "{plan:#}");
    let command = json!({ "argv": ["make", "--", "all"] });
    assert_eq!(build["plan"]["steps"][0]["command"], command);
    let start = "exec make --silent serve";
    assert_eq!(build["plan"]["runtime"]["workers"]["web"], start);
}

#[test]
fn its_settings_are_read_and_its_mistakes_shown_with_their_place() {
    let named = plan("[metadata]\nid = \"page\"\n[plugin.makefile]\ntarget = \"release\"\n");
    let command = json!({ "argv": ["make", "--", "release"] });
    let steps = &named["changes"][0]["steps"];
    assert_eq!(steps[0]["action"]["plan"]["steps"][0]["command"], command);

    let wrong = plan("[metadata]\nid = \"page\"\n[plugin.makefile]\ntraget = \"release\"\n");
    let message = wrong["held"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("hop3.toml:4:1"), "{wrong:#}");
    assert!(message.contains("traget"), "{wrong:#}");
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let twice = Agent::builder()
        .plugins(builtin())
        .plugin(MakefilePlugin)
        .plugin(Impostor);
    let refusal: Abort = twice
        .registry()
        .err()
        .expect("two plugins of one name are refused");
    assert!(refusal.to_string().contains("`makefile`"), "{refusal}");
}

#[test]
fn a_plugin_that_is_replaced_is_gone() {
    let replaced = Agent::builder()
        .plugins(builtin())
        .plugin(MakefilePlugin)
        .replace(Impostor);
    let registry = replaced.registry().expect("a replaced name is not taken");
    assert!(registry.toolchains.find("makefile").is_none());
    assert!(registry.toolchains.find("python").is_some());
}
