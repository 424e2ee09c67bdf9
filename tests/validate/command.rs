//! The command: exit codes, the summary, colours, and paths as they are typed.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{AGENT, root};

fn run(arguments: &[&str]) -> Output {
    run_in(root(), arguments)
}

fn run_in(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(AGENT);
    command
        .current_dir(directory)
        .args(arguments)
        .stdin(Stdio::null());
    command.output().unwrap()
}

fn out_of(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn case(name: &str) -> String {
    format!("tests/fixtures/validate/{name}/repo")
}

#[test]
fn t20_paths_and_texts_reach_a_terminal_without_escapes() {
    let directory = TempDir::new().unwrap();
    let app = directory.path().join("apps").join("a\u{1b}]0;b\r\u{202e}c");
    std::fs::create_dir_all(&app).unwrap();
    std::fs::write(
        app.join("hop3.toml"),
        "\"\u{1b}[31m\u{202e}x\" = \"\u{7f}\"\n[run]\n\"start\u{202e}\" = 1 # \u{1b}]0;x\n",
    )
    .unwrap();
    let out = run(&[
        "--color",
        "never",
        "validate",
        directory.path().to_str().unwrap(),
    ]);
    assert_eq!(out.status.code(), Some(1));
    let shown = out_of(&out) + &err_of(&out);
    let acts = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!shown.contains(acts), "{shown:?}");
}

#[test]
fn the_exit_code_tells_whether_there_is_an_error() {
    for (name, code) in [
        ("good-two-hosts", 0),
        ("note-app-of-no-host", 0),
        ("bad-ports", 1),
    ] {
        let checked = run(&["validate", &case(name)]);
        assert_eq!(checked.status.code(), Some(code), "{name}");
        let json = run(&["validate", "--json", &case(name)]);
        assert_eq!(json.status.code(), Some(code), "{name}");
    }
    assert_eq!(run(&["validate", "--nonsense"]).status.code(), Some(64));
    let nothing = run(&["validate", "tests/nowhere", "src"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(
        out_of(&nothing).contains("the path cannot be read"),
        "{}",
        out_of(&nothing)
    );
    assert!(
        out_of(&nothing).contains("holds no app and no config repo"),
        "{}",
        out_of(&nothing)
    );
}

#[test]
fn the_summary_counts_in_singular_and_plural() {
    let last = |name: &str| err_of(&run(&["validate", &case(name)])).trim().to_owned();
    assert_eq!(last("good-no-hosts"), "2 files: 0 errors, 0 notes");
    assert_eq!(last("note-app-of-no-host"), "3 files: 0 errors, 1 note");
    assert_eq!(last("bad-after-a-broken-app"), "2 files: 1 error, 0 notes");
    let one = run(&[
        "validate",
        &format!("{}/apps/a/hop3.toml", case("good-no-hosts")),
    ]);
    assert_eq!(err_of(&one).trim(), "1 file: 0 errors, 0 notes");
}

#[test]
fn json_is_alone_on_standard_output_and_everything_is_in_it() {
    let name = case("bad-everything-at-once");
    let out = run(&[
        "validate",
        "--json",
        &name,
        "examples/agent.toml",
        "tests/nowhere",
    ]);
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["format"], 1);
    let files: Vec<&str> = report["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|remark| remark["file"].as_str())
        .collect();
    assert!(
        files.contains(&format!("{name}/apps/b/hop3.toml").as_str()),
        "{files:?}"
    );
    assert!(files.contains(&"tests/nowhere"), "{files:?}");
}

#[test]
fn colours_come_when_they_are_asked_for() {
    let name = case("bad-ports");
    let plain = out_of(&run(&["validate", &name]));
    assert!(
        !plain.contains('\u{1b}'),
        "standard output is no terminal here"
    );
    let colored = out_of(&run(&["--color", "always", "validate", &name]));
    assert!(colored.contains("\u{1b}[1m\u{1b}[91merror"), "{colored:?}");
}

#[test]
fn errors_come_before_notes() {
    let text = out_of(&run(&["validate", &case("bad-share-from")]));
    let first_note = text.find("note: ").unwrap();
    assert!(text.rfind("error: ").unwrap() < first_note, "{text}");
}

#[test]
fn an_app_and_its_files_are_checked_from_wherever_one_stands() {
    let app = root().join(case("good-two-hosts")).join("apps/shop");
    for arguments in [
        &["validate"][..],
        &["validate", "."],
        &["validate", "hop3.toml"],
        &["validate", "./"],
        &["validate", "../shop"],
    ] {
        let checked = run_in(&app, arguments);
        assert_eq!(
            checked.status.code(),
            Some(0),
            "{arguments:?}: {}",
            out_of(&checked)
        );
    }
    let directory = TempDir::new().unwrap();
    let app = directory.path().join("shop");
    std::fs::create_dir(&app).unwrap();
    std::fs::write(
        app.join("Procfile"),
        "web: exec ./shop\nworker: exec ./work\n",
    )
    .unwrap();
    std::fs::write(app.join("hop3.toml"), "[scale]\nworkr = 2\n").unwrap();
    for (from, arguments, file) in [
        (
            app.as_path(),
            ["validate", "Procfile"],
            " --> hop3.toml:2:1",
        ),
        (
            app.as_path(),
            ["validate", "hop3.toml"],
            " --> hop3.toml:2:1",
        ),
        (
            directory.path(),
            ["validate", "shop"],
            " --> shop/hop3.toml:2:1",
        ),
        (
            directory.path(),
            ["validate", "./shop/hop3.toml"],
            " --> shop/hop3.toml:2:1",
        ),
    ] {
        let text = out_of(&run_in(from, &arguments));
        assert!(
            text.contains(file) && text.contains("did you mean `worker`?"),
            "{arguments:?}: {text}"
        );
    }
}

#[test]
fn a_link_is_refused_as_a_file_of_its_own_too_but_the_operators_is_followed() {
    let link = format!("{}/apps/linked-spec/hop3.toml", case("bad-links"));
    let refused = run(&["validate", &link]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        out_of(&refused).contains("symbolic link"),
        "{}",
        out_of(&refused)
    );
    let directory = TempDir::new().unwrap();
    let settings = directory.path().join("agent.toml");
    std::os::unix::fs::symlink(root().join("examples/agent.toml"), &settings).unwrap();
    let followed = run(&["validate", settings.to_str().unwrap()]);
    assert_eq!(followed.status.code(), Some(0), "{}", out_of(&followed));
}
