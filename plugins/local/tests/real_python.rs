//! Real apps, built with the real Python of this machine and, where it has them, with its package managers.
#![expect(clippy::disallowed_types, reason = "this test runs what was built")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod machine;

use std::process::Command;

use machine::{app, author, build, has, steps};

#[tokio::test]
async fn an_app_of_the_standard_library_is_built_compiled_and_runs() {
    let Some(app) = app(&["python3"]) else { return };
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
    let artifact = build(&app, "python").await.unwrap();
    let layer = app.paths.app.join(&artifact.runtime.layers["venv"]);
    assert!(has(&app, "__pycache__"));
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
    let Some(app) = app(&["python3"]) else { return };
    // A pip that is refused the network still installs what lies in the inputs, so an empty index stands for a real one.
    let app = app
        .file("requirements.txt", "--no-index\nno-such-package==1\n")
        .file("main.py", "");
    let error = build(&app, "python").await.unwrap_err();
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
    let first = build(&app, "python").await.unwrap();
    let second = build(&app.file("main.py", "print(1)\n"), "python")
        .await
        .unwrap();
    assert_eq!(first.runtime.layers, second.runtime.layers);
    assert_ne!(first.key, second.key);
}

const PYPROJECT: &str = "[project]\nname = \"shop\"\nversion = \"1.0\"\nrequires-python = \">=3.9\"\ndependencies = [\"six==1.16.0\"]\n";

/// Locks with a manager, builds twice, and looks for what the lock names in the environment.
async fn with_manager(lock: &[&str], files: &[(&str, String)]) {
    let Some(app) = app(&["python3", lock[0]]) else {
        return;
    };
    let app = files
        .iter()
        .fold(app, |app, (path, text)| app.file(path, text));
    let app = app.file("app.py", "import six\nprint(six.__version__)\n");
    if !author(&app, lock) {
        return;
    }
    let artifact = build(&app, "python").await.unwrap();
    assert!(steps(&app).contains(&"install dependencies".to_owned()));
    let python = app
        .paths
        .app
        .join(&artifact.runtime.layers["venv"])
        .join("bin/python");
    let output = Command::new(&python)
        .arg("app.py")
        .current_dir(&app.paths.build)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1.16.0");
    let app = app.file("README.md", "changed\n");
    build(&app, "python").await.unwrap();
    assert!(!steps(&app).contains(&"install dependencies".to_owned()));
}

#[tokio::test]
async fn uv_installs_from_its_lock_into_the_layer() {
    with_manager(&["uv", "lock"], &[("pyproject.toml", PYPROJECT.to_owned())]).await;
}

#[tokio::test]
async fn poetry_installs_from_its_lock_into_the_layer() {
    let mut text = format!("{PYPROJECT}\n[tool.poetry]\npackage-mode = false\n");
    // Poetry's own way to the default index needs more of it than pip's does.
    if let Some(index) = index() {
        let source = format!("name = \"index\"\nurl = \"{index}/\"\npriority = \"primary\"\n");
        text = format!("{text}\n[[tool.poetry.source]]\n{source}");
    }
    with_manager(&["poetry", "lock"], &[("pyproject.toml", text)]).await;
}

/// The index that pip uses.
fn index() -> Option<String> {
    let code = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)";
    let output = Command::new("python3").args(["-c", code]).output().ok()?;
    let index = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!index.is_empty()).then_some(index)
}

#[tokio::test]
async fn pdm_installs_from_its_lock_into_the_layer() {
    let text = format!("{PYPROJECT}\n[tool.pdm]\ndistribution = false\n");
    with_manager(&["pdm", "lock"], &[("pyproject.toml", text)]).await;
}

#[tokio::test]
async fn pipenv_installs_from_its_lock_into_the_layer() {
    let text = "[packages]\nsix = \"==1.16.0\"\n";
    with_manager(&["pipenv", "lock"], &[("Pipfile", text.to_owned())]).await;
}
