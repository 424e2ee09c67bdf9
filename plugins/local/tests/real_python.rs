//! A real app, built with the real Python of this machine: only the sandbox is missing, because the fake machine runs the commands.
#![expect(clippy::disallowed_types, reason = "this test stands in for the host")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use hop3_plugin_api::{
    BuildArtifact, Builder as _, Exit, ExitStatus, LanguageToolchain as _, Program, Result, Task,
};
use hop3_plugin_local::LocalBuilder;
use hop3_plugin_testing::TestApp;
use hop3_plugin_toolchains::ALL;

/// The directories of a usual tool path; the agent's own environment is not asked.
const TOOL_PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

fn find(name: &str) -> Option<PathBuf> {
    let places = TOOL_PATH.iter().map(|dir| Path::new(dir).join(name));
    places.into_iter().find(|path| path.is_file())
}

fn run(task: &Task) -> Exit {
    let mut command = match &task.program {
        Program::Named(name) => Command::new(find(name).unwrap()),
        Program::At(path) => Command::new(path),
        Program::AppShell(line) => {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", line]);
            shell
        }
        Program::Agent => panic!("a build never starts the agent"),
    };
    command.args(&task.args).current_dir(&task.dir).env_clear();
    command.envs(task.env.iter().map(|(key, value)| (key, value.expose())));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Exit {
        status: ExitStatus::Code(output.status.code().unwrap_or(-1)),
        tail: String::from_utf8_lossy(&said).into_owned(),
    }
}

/// An app on a machine that really runs programs; `None` where there is no Python.
fn app() -> Option<TestApp> {
    let app = TestApp::new("shop");
    app.fake().on_find(find);
    app.fake().on_run(run);
    find("python3").map(|_| app)
}

async fn build(app: &TestApp) -> Result<BuildArtifact> {
    let python = ALL.iter().find(|it| it.name() == "python").unwrap();
    let plan = LocalBuilder.plan(&app.plan_context(), Some(python))?;
    LocalBuilder.build(&app.context(), &plan).await
}

#[tokio::test]
async fn an_app_of_the_standard_library_is_built_compiled_and_runs() {
    let Some(app) = app() else { return };
    let app = app
        .file(
            "app.py",
            "import sys, helper\nprint(helper.NAME, sys.prefix)\n",
        )
        .file("helper.py", "NAME = 'shop'\n")
        // More than a process compiles in passing at its start.
        .file(
            "words.py",
            format!("WORDS = '{}'\n", "word ".repeat(20_000)),
        )
        .file("templates/not_python.py", "def {{ name }}:\n")
        .configure(|config| {
            config.build.build =
                vec!["python -c 'import sys; print(sys.prefix)' > built-by.txt".to_owned()];
        });
    let artifact = build(&app).await.unwrap();
    let layer = app.paths.app.join(&artifact.runtime.layers["venv"]);
    assert!(app.paths.build.join("__pycache__").is_dir());
    let built_by = std::fs::read_to_string(app.paths.build.join("built-by.txt")).unwrap();
    assert_eq!(
        built_by.trim(),
        layer.display().to_string(),
        "hooks use the app's own Python"
    );
    let output = Command::new(layer.join("bin/python"))
        .arg("app.py")
        .current_dir(&app.paths.build)
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.trim(), format!("shop {}", layer.display()));
}

#[tokio::test]
async fn a_package_is_installed_once_and_used_by_the_next_release() {
    let Some(app) = app() else { return };
    // A pip that is refused the network still installs what lies in the inputs, so an empty index stands for a real one.
    let app = app
        .file("requirements.txt", "--no-index\nno-such-package==1\n")
        .file("main.py", "");
    let error = build(&app).await.unwrap_err();
    assert!(
        error.to_string().starts_with("`install dependencies: "),
        "{error}"
    );
    assert!(
        std::fs::read_dir(&app.paths.layers)
            .unwrap()
            .next()
            .is_none()
    );
    let app = app.file("requirements.txt", "--no-index\npip\n");
    let first = build(&app).await.unwrap();
    let second = build(&app.file("main.py", "print(1)\n")).await.unwrap();
    assert_eq!(first.runtime.layers, second.runtime.layers);
    assert_ne!(first.key, second.key);
}
