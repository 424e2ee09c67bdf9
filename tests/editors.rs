//! What editors make of the schemas: a real taplo checks and completes a config repo that `init` wrote.
//!
//! It is looked for on `PATH`, and in the cache: `npm install --prefix ~/.cache/hop3-agent/taplo @taplo/cli @taplo/lsp`. Where it is absent, these
//! tests say so and prove nothing.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and runs programs that it looks for"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const AGENT: &str = env!("CARGO_BIN_EXE_hop3-agent");

/// Where npm put a package.
fn package(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let package = cache.join("hop3-agent/taplo/node_modules").join(name);
    package.is_dir().then_some(package)
}

/// Taplo as a program, if there is one.
fn taplo() -> Option<Command> {
    let works = |mut command: Command| {
        let quiet = command
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    };
    if works(Command::new("taplo")) {
        return Some(Command::new("taplo"));
    }
    let script = package("@taplo/cli")?.join("dist/cli.js");
    let command = || {
        let mut command = Command::new("node");
        command.arg(&script);
        command
    };
    works(command()).then(command)
}

/// A config repo as `init` writes it.
struct Repo(TempDir);

impl Repo {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let made = Command::new(AGENT)
            .args(["init", "repo"])
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        Self(directory)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("repo")
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let file = self.path().join(file);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{}: {text}", file.display());
        std::fs::write(file, text.replacen(from, to, 1)).unwrap();
    }
}

fn lint(mut taplo: Command, directory: &Path, files: &[&str]) -> Output {
    taplo.arg("lint").args(["--colors", "never"]).args(files);
    taplo
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn init_writes_what_editors_need() {
    let repo = Repo::new();
    for name in ["hop3", "host"] {
        let own = std::fs::read_to_string(repo.path().join(format!("schema/{name}.json"))).unwrap();
        let schema: Value = serde_json::from_str(&own).unwrap();
        assert_eq!(schema["$id"], format!("urn:hop3-agent:schema:{name}"));
    }
    for file in [
        "apps/echo/hop3.toml",
        "apps/guestbook/hop3.toml",
        "apps/site/hop3.toml",
        "hosts/demo.toml",
    ] {
        let text = std::fs::read_to_string(repo.path().join(file)).unwrap();
        let schema = text
            .lines()
            .next()
            .unwrap()
            .strip_prefix("#:schema ")
            .expect(file);
        let beside = repo.path().join(file);
        assert!(
            beside.parent().unwrap().join(schema).is_file(),
            "{file}: {schema}"
        );
    }
    let rules = std::fs::read_to_string(repo.path().join(".taplo.toml")).unwrap();
    let rules: toml::Table = rules.parse().unwrap();
    for rule in rules["rule"].as_array().unwrap() {
        let path = rule["schema"]["path"].as_str().unwrap();
        assert!(repo.path().join(path).is_file(), "{path}");
    }
}

#[test]
fn taplo_accepts_the_example_and_reports_a_slip_in_a_copy() {
    let Some(program) = taplo() else {
        println!("skipped: there is no taplo on PATH or in the cache");
        return;
    };
    let repo = Repo::new();
    let good = lint(program, &repo.path(), &[]);
    assert!(good.status.success(), "{}", said(&good));
    for (file, from, to, told) in [
        (
            "apps/echo/hop3.toml",
            "start = ",
            "strat = ",
            "'strat' was unexpected",
        ),
        (
            "apps/guestbook/hop3.toml",
            "drain-timeout = \"10s\"",
            "drain-timeout = \"soon\"",
            "soon",
        ),
        (
            "hosts/demo.toml",
            "apps = [\"*\"]",
            "apps = \"*\"",
            "is not of type \"array\"",
        ),
    ] {
        let repo = Repo::new();
        repo.change(file, from, to);
        let bad = lint(taplo().unwrap(), &repo.path(), &[]);
        assert!(!bad.status.success(), "{file}");
        assert!(said(&bad).contains(told), "{file}: {}", said(&bad));
    }
}

/// The line at the top of a file works without any settings, too.
#[test]
fn taplo_finds_the_schema_by_the_first_line_alone() {
    let Some(program) = taplo() else {
        println!("skipped: there is no taplo on PATH or in the cache");
        return;
    };
    let repo = Repo::new();
    std::fs::remove_file(repo.path().join(".taplo.toml")).unwrap();
    repo.change("apps/site/hop3.toml", "static-dir", "static_dir");
    let bad = lint(program, &repo.path(), &["apps/site/hop3.toml"]);
    assert!(
        !bad.status.success() && said(&bad).contains("'static_dir' was unexpected"),
        "{}",
        said(&bad)
    );
}

/// What taplo's language server says of a text that has no `#:schema` line: it is found by `.taplo.toml`.
fn ask(repo: &Repo, file: &str, text: &str, place: (u32, u32), marks: bool) -> Option<Value> {
    let library = package("@taplo/lsp")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/editors/ask.cjs");
    let mut command = Command::new("node");
    command
        .arg(script)
        .arg(library)
        .arg(repo.path())
        .args([file, text]);
    command.args([place.0.to_string(), place.1.to_string()]);
    let asked = command
        .args(marks.then_some("marks"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", said(&asked));
    Some(serde_json::from_slice(&asked.stdout).unwrap())
}

fn labels(answer: &Value) -> Vec<&str> {
    let items = answer["items"].as_array().unwrap();
    items
        .iter()
        .filter_map(|item| item["label"].as_str())
        .collect()
}

#[test]
fn an_editor_completes_keys_and_words_and_marks_slips() {
    let repo = Repo::new();
    let spec = "apps/new/hop3.toml";
    let Some(keys) = ask(&repo, spec, "[deploy]\n\n", (1, 0), false) else {
        println!("skipped: there is no @taplo/lsp in the cache");
        return;
    };
    for key in ["strategy", "drain-timeout", "after"] {
        assert!(labels(&keys).contains(&key), "{keys:#}");
    }
    assert!(
        keys.to_string()
            .contains("How long requests in flight may take after the switch."),
        "{keys:#}"
    );
    let words = ask(&repo, spec, "[deploy]\nstrategy = \"\"\n", (1, 12), false).unwrap();
    assert_eq!(labels(&words), ["\"blue-green\"", "\"recreate\""]);
    let host = ask(&repo, "hosts/web1.toml", "\n", (0, 0), false).unwrap();
    assert!(labels(&host).contains(&"apps"), "{host:#}");
    let slip = ask(
        &repo,
        spec,
        "[deploy]\nstrtegy = \"recreate\"\n",
        (0, 0),
        true,
    )
    .unwrap();
    assert!(
        slip["diagnostics"].to_string().contains("strtegy"),
        "{slip:#}"
    );
}
