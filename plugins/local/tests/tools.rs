//! What the builder says of tools that a host does not have, or has in another version.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod sample;

use hop3_plugin_api::{ArtifactKind, BuildPlan, Builder as _, Fault, ToolRequirement};
use hop3_plugin_local::LocalBuilder;
use hop3_plugin_testing::TestApp;
use sample::{app, exit, planned, tool};

#[tokio::test]
async fn a_missing_or_unfit_tool_is_told_with_what_there_is() {
    let app = app();
    let mut plan = planned(&app);
    plan.tools = vec![tool(Some("1.3"))];
    let error = LocalBuilder.build(&app.context(), &plan).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`.sample-version:1` asks for `sample` 1.3, and this host has 1.2.3"
    );
    plan.tools[0].program = "sample1.3".to_owned();
    app.fake()
        .on_find(|name| (name == "sample1").then(|| "/usr/bin/sample1".into()));
    let error = LocalBuilder.build(&app.context(), &plan).await.unwrap_err();
    assert!(
        error.to_string().ends_with("this host has no `sample1.3`"),
        "{error}"
    );
    assert!(
        error.hints()[0].contains("`sample1` is 1.2.3"),
        "{:?}",
        error.hints()
    );
    assert_eq!(
        error.fault(),
        Fault::Infrastructure,
        "an operator can install it"
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn whoever_misses_a_tool_is_told_the_file_the_version_and_the_package() {
    for (program, said, version, package) in [
        ("node", "v18.19.0", "^20.1", "nodejs"),
        (
            "go",
            "go version go1.19.8 linux/amd64",
            ">=1.21",
            "golang-go",
        ),
        ("cargo", "cargo 1.63.0", "1.75.0", "cargo"),
        ("javac", "javac 11.0.20", ">=17", "default-jdk-headless"),
        ("ruby", "ruby 3.1.2p20 (2022-04-12)", "~> 3.2", "ruby"),
        ("php", "PHP 8.2.7 (cli)", "^8.3 || ^8.4", "php-cli"),
        (
            "elixir",
            "Elixir 1.14.0 (compiled with Erlang/OTP 24)",
            "~> 1.15",
            "elixir",
        ),
        ("pnpm", "8.6.0", "^9.1.0", "npm install --global pnpm"),
        ("dotnet", "6.0.400", ">=8.0", "dotnet-sdk"),
        ("poetry", "Poetry (version 1.3.2)", ">=2", "python3-poetry"),
        ("python3", "Python 3.9.2", ">=3.11", "python3"),
        ("lein", "Leiningen 2.9.8 on Java 17", "2.10", "leiningen"),
    ] {
        let app = TestApp::new("shop");
        app.fake().on_run(move |_| exit(0, said));
        let mut plan = BuildPlan::new("sample", ArtifactKind::Native);
        plan.tools = vec![ToolRequirement {
            program: program.to_owned(),
            version: Some(version.to_owned()),
            pinned_by: Some("manifest:7".to_owned()),
        }];
        let unfit = LocalBuilder.build(&app.context(), &plan).await.unwrap_err();
        let message = unfit.to_string();
        assert!(
            message.starts_with(&format!(
                "`manifest:7` asks for `{program}` {version}, and this host has "
            )),
            "{message}"
        );
        assert!(unfit.hints()[0].contains(package), "{:?}", unfit.hints());
        app.fake().on_find(|_| None);
        let missing = LocalBuilder.build(&app.context(), &plan).await.unwrap_err();
        assert!(
            missing
                .to_string()
                .ends_with(&format!("this host has no `{program}`")),
            "{missing}"
        );
        assert!(
            missing.hints()[0].contains(package),
            "{:?}",
            missing.hints()
        );
        assert!(
            app.fake()
                .take_transcript()
                .iter()
                .all(|line| line.starts_with("run ask")),
            "nothing was built"
        );
    }
}
