//! Every toolchain keeps the promises of its kind.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use hop3_plugin_api::{Plugin as _, PluginName};
use hop3_plugin_testing::{TestApp, conformance::toolchain::conforms};
use hop3_plugin_toolchains::{Generic, Python, StaticSite, ToolchainsPlugin};

fn named(app: TestApp, toolchain: &str) -> TestApp {
    app.configure(|config| config.build.toolchain = Some(PluginName::parse(toolchain).unwrap()))
}

#[test]
fn python_conforms_with_and_without_a_layer() {
    let layered = TestApp::new("shop").file("requirements.txt", "flask==3.1.0\n");
    assert_eq!(conforms(&Python, &layered.plan_context()).layers.len(), 1);
    let in_release = TestApp::new("shop").file("requirements.txt", "-e .\n");
    assert!(
        conforms(&Python, &in_release.plan_context())
            .layers
            .is_empty()
    );
}

#[test]
fn static_and_generic_conform() {
    let site = TestApp::new("shop").file("public/index.html", "<p>");
    conforms(&StaticSite, &site.plan_context());
    let own = named(TestApp::new("shop").file("run.sh", ""), "generic");
    conforms(&Generic, &own.plan_context());
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
