//! A layer is made of what was there when it was made: whatever decides over its content and changes has it made anew. With the real npm
//! and a workspace of packages that need no registry.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod machine;

use hop3_plugin_testing::TestApp;
use machine::{app, author, build, says, steps};

const INSTALL: &str = "install dependencies";

fn workspace(app: TestApp) -> TestApp {
    app.file(
        "package.json",
        r#"{ "name": "acme", "private": true, "workspaces": ["apps/*", "packages/*"] }"#,
    )
    .file(
        "apps/web/package.json",
        r#"{ "name": "web", "scripts": { "start": "node server.js" }, "dependencies": { "ui": "*" } }"#,
    )
    .file("apps/web/server.js", "console.log(require('ui'))\n")
    .file("packages/ui/package.json", r#"{ "name": "ui", "version": "1.0.0", "main": "index.js" }"#)
    .file("packages/ui/index.js", "module.exports = 'ui';\n")
    .configure(|config| {
        let settings = hop3_plugin_api::serde_json::json!({ "directory": "apps/web" });
        config.plugin.insert("toolchains".to_owned(), settings);
    })
}

/// Builds, and tells whether dependencies were installed for it.
async fn installs(app: &TestApp) -> bool {
    build(app, "node").await.unwrap();
    steps(app).contains(&INSTALL.to_owned())
}

#[tokio::test]
async fn settings_patches_and_manifests_of_a_workspace_each_make_a_layer_stale_and_code_does_not() {
    let Some(app) = app(&["node", "npm"]) else {
        return;
    };
    let app = workspace(app);
    if !author(&app, &["npm", "install", "--package-lock-only"]) {
        return;
    }
    assert!(installs(&app).await, "the first build installs");
    assert_eq!(says(&app, "cd apps/web && node server.js"), "ui");
    let mut app = app.file("packages/ui/index.js", "module.exports = 'changed';\n");
    assert!(!installs(&app).await, "code decides over no dependency");
    assert_eq!(says(&app, "cd apps/web && node server.js"), "changed");
    for (what, path, text) in [
        ("settings of npm", ".npmrc", "engine-strict=true\n"),
        ("a patch", "patches/ui+1.0.0.patch", "--- a\n+++ b\n"),
        (
            "a patch that changed",
            "patches/ui+1.0.0.patch",
            "--- a\n+++ c\n",
        ),
        (
            "the manifest of a member that is not built",
            "packages/ui/package.json",
            r#"{ "name": "ui", "version": "1.0.0", "main": "index.js", "description": "changed" }"#,
        ),
    ] {
        app = app.file(path, text);
        assert!(installs(&app).await, "{what} makes the layer stale");
        assert!(!installs(&app).await, "{what}: once");
    }
    let app = app.file("patches/ui+1.0.0.patch", "--- a\n+++ b\n");
    assert!(
        installs(&app).await,
        "a layer of before two other changes is not taken for this one"
    );
}
