//! Every toolchain keeps the promises of its kind, describes itself, and takes any source when it is named.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use hop3_plugin_api::{LanguageToolchain as _, Plugin as _, PluginName};
use hop3_plugin_testing::{TestApp, conformance};
use hop3_plugin_toolchains::{ALL, ToolchainSettings, ToolchainsPlugin};

fn named(app: TestApp, toolchain: &str) -> TestApp {
    app.configure(|config| config.build.toolchain = Some(PluginName::parse(toolchain).unwrap()))
}

#[test]
fn the_settings_are_a_proper_section() {
    conformance::section::conforms::<ToolchainSettings>();
}

#[test]
fn a_toolchain_that_is_named_takes_any_source() {
    for toolchain in ToolchainsPlugin.toolchains() {
        let app = named(TestApp::new("shop"), toolchain.name());
        assert!(
            toolchain.accept(&app.plan_context()).accepts(),
            "{}",
            toolchain.name()
        );
    }
}

#[test]
fn an_empty_source_is_refused_in_words_or_planned_but_never_a_panic() {
    for toolchain in ToolchainsPlugin.toolchains() {
        let app = TestApp::new("shop");
        assert!(
            !toolchain.accept(&app.plan_context()).accepts(),
            "{}",
            toolchain.name()
        );
        if let Err(error) = toolchain.plan(&app.plan_context()) {
            let message = error.to_string();
            assert!(
                message.starts_with(|c: char| c.is_lowercase() || c == '`'),
                "{message}"
            );
            assert!(!message.ends_with('.'), "{message}");
        }
    }
}

#[test]
fn every_toolchain_says_what_it_does() {
    let names: BTreeSet<_> = ALL
        .iter()
        .map(hop3_plugin_api::LanguageToolchain::name)
        .collect();
    assert_eq!(names.len(), 12);
    for toolchain in ALL {
        let about = toolchain.describe();
        assert!(!about.detects.is_empty(), "{}", toolchain.name());
        assert_eq!(about.detects, toolchain.detects());
        if !matches!(toolchain.name(), "static" | "generic") {
            assert!(!about.pins.is_empty(), "{}", toolchain.name());
            assert!(!about.builds.is_empty(), "{}", toolchain.name());
            assert!(!about.starts.is_empty(), "{}", toolchain.name());
        }
    }
}
