//! The commands as a person or a script meets them: exit codes, documents, and messages with their place.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::support::TestHost;

const AGENT: &str = env!("CARGO_BIN_EXE_hop3-agent");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn example() -> String {
    root().join("examples/gitops-repo").display().to_string()
}

/// Runs a command that needs no agent.
fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(AGENT);
    command
        .current_dir(root())
        .args(arguments)
        .stdin(Stdio::null());
    command.output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asserts that a document follows the committed schema of its name.
#[track_caller]
pub(crate) fn assert_valid(schema: &str, document: &Value) {
    let file = root().join(format!("schema/{schema}.json"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|it| it.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("-r")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(copied.success());
}

#[test]
fn a_plan_of_a_work_tree_is_the_same_every_time_and_follows_its_schema() {
    let plan = || run(&["plan", "--repo", &example(), "--host", "demo", "--json"]);
    let (first, second) = (plan(), plan());
    assert_eq!((code(&first), code(&second)), (2, 2), "{}", err(&first));
    assert_eq!(first.stdout, second.stdout);
    let document: Value = serde_json::from_str(&out(&first)).unwrap();
    assert_valid("plan", &document);
    let apps: Vec<&str> = document["changes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|change| change["app"].as_str())
        .collect();
    assert_eq!(apps, ["echo", "guestbook", "site"]);
    let by_default = run(&["plan", "--repo", &example(), "--json"]);
    assert_eq!(by_default.stdout, first.stdout, "{}", err(&by_default));
}

#[test]
fn a_plan_for_a_host_that_the_repo_does_not_know_names_those_that_it_does() {
    let refused = run(&["plan", "--repo", &example(), "--host", "elsewhere"]);
    assert_eq!(code(&refused), 1);
    let said = err(&refused);
    assert!(said.contains("no `hosts/elsewhere.toml`"), "{said}");
    assert!(
        said.contains("hint: name one with `--host`: demo"),
        "{said}"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_mistake() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut child = Command::new(AGENT)
        .args(["schema", "hop3"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(&mut reader, &mut [0; 10]).unwrap();
    drop(reader);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    child.wait().unwrap();
    assert_eq!(said, "");
}

#[test]
fn validate_accepts_the_example_and_points_into_a_broken_copy() {
    let good = run(&["validate", &example()]);
    assert_eq!(code(&good), 0, "{}", err(&good));
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("repo");
    copy(Path::new(&example()), &broken);
    let spec = broken.join("apps/echo/hop3.toml");
    let text = std::fs::read_to_string(&spec).unwrap();
    std::fs::write(
        &spec,
        text.replace("start = ", "strat = ")
            .replace("list = [", "list = [3, "),
    )
    .unwrap();
    let bad = run(&["validate", broken.to_str().unwrap()]);
    assert_eq!(code(&bad), 1);
    let said = out(&bad);
    for fragment in [
        "error: unknown key `strat` in `[run]`",
        "apps/echo/hop3.toml:16:1",
        "^^^^^",
        "did you mean `start`?",
    ] {
        assert!(said.contains(fragment), "`{fragment}` is not in:\n{said}");
    }
    assert!(
        err(&bad).contains("4 files: 2 errors, 0 notes"),
        "{}\n{said}",
        err(&bad)
    );
    let json = run(&["validate", "--json", broken.to_str().unwrap()]);
    assert_eq!(code(&json), 1);
    let report: Value = serde_json::from_str(&out(&json)).unwrap();
    assert_valid("validate", &report);
    assert_eq!(report["errors"], 2);
    let planned = run(&["plan", "--repo", broken.to_str().unwrap()]);
    assert_eq!(code(&planned), 1, "a plan that holds a broken spec");
    assert!(out(&planned).contains("+ site"), "{}", out(&planned));
}

#[test]
fn plugins_are_listed_and_shown_with_their_settings() {
    let list = run(&["plugins", "list"]);
    for name in ["toolchains", "native", "builtin-proxy", "sqlite"] {
        assert!(
            out(&list).lines().any(|line| line.starts_with(name)),
            "{}",
            out(&list)
        );
    }
    let python = run(&["plugins", "show", "python"]);
    assert_eq!(code(&python), 0);
    assert!(
        out(&python).contains("requirements.txt"),
        "{}",
        out(&python)
    );
    let unknown = run(&["plugins", "show", "cobol"]);
    assert_eq!(code(&unknown), 1);
    assert!(
        err(&unknown).contains("hint: linked: "),
        "{}",
        err(&unknown)
    );
}

#[test]
fn the_committed_schemas_are_those_of_this_program() {
    let checked = run(&["schema", "--check"]);
    assert_eq!(code(&checked), 0, "{}", err(&checked));
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = run(&[
        "schema",
        "--check",
        "--directory",
        directory.path().to_str().unwrap(),
    ]);
    assert_eq!(code(&elsewhere), 1);
    assert_eq!(code(&run(&["schema", "nonsense"])), 1);
}

#[test]
fn a_wrong_command_line_exits_with_64_and_help_with_0() {
    for arguments in [
        &["bogus"][..],
        &[],
        &["plan", "--nonsense"],
        &["why"],
        &["why", "Not A Name"],
        &["plan", "--host", "demo"],
        &["schema", "--check", "--write"],
    ] {
        let refused = run(arguments);
        assert_eq!(code(&refused), 64, "{arguments:?}: {}", err(&refused));
        assert_eq!(out(&refused), "", "{arguments:?}");
    }
    assert_eq!(code(&run(&["--help"])), 0);
    assert_eq!(code(&run(&["--version"])), 0);
}

#[test]
fn the_help_is_what_the_documents_say() {
    insta::assert_snapshot!(out(&run(&["--help"])));
}

#[test]
fn settings_that_are_missing_or_wrong_are_told_with_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    let file = file.to_str().unwrap();
    let missing = run(&["--config", file, "status"]);
    assert_eq!(code(&missing), 1);
    assert!(
        err(&missing).contains("hint: name another file with `--config`"),
        "{}",
        err(&missing)
    );
    std::fs::write(file, "host = \"a\"\n[repo]\nulr = \"file:///x\"\n").unwrap();
    let wrong = run(&["--config", file, "run"]);
    assert_eq!(code(&wrong), 1);
    for fragment in ["agent.toml:3:1", "^^^", "did you mean `url`?"] {
        assert!(err(&wrong).contains(fragment), "{}", err(&wrong));
    }
}

#[test]
fn a_running_agent_explains_itself() {
    let mut host = TestHost::of_example();
    let absent = host.run(&["status"]);
    assert_eq!(absent.code, 1);
    assert!(
        absent.err.contains("hint: start it with `hop3-agent run`"),
        "{absent:#?}"
    );
    host.start();
    host.assert_settled(&["site", "guestbook", "echo"]);
    let json =
        |arguments: &[&str]| -> Value { serde_json::from_str(&host.done(arguments)).unwrap() };
    assert_valid("status", &json(&["status", "--json"]));
    assert_valid("plan", &json(&["plan", "--json"]));
    for event in json(&["history", "--json"])
        .as_array()
        .into_iter()
        .flatten()
    {
        assert_valid("events", event);
    }
    assert_eq!(
        host.done(&["plan", "--json"]),
        host.done(&["plan", "--json"])
    );
    assert!(host.done(&["why", "echo"]).contains("running"));
    assert!(host.done(&["history", "-n", "3"]).lines().count() == 3);
    assert!(host.done(&["logs", "echo"]).contains("echo: listening on"));
    assert_eq!(host.done(&["apply"]), host.done(&["status"]));
    for arguments in [
        ["why", "nobody"],
        ["logs", "nobody"],
        ["rollback", "nobody"],
        ["resume", "nobody"],
    ] {
        let refused = host.run(&arguments);
        assert_eq!(refused.code, 1, "{arguments:?}: {refused:#?}");
        assert!(
            refused.err.contains("`nobody`") && refused.err.contains("hint: "),
            "{refused:#?}"
        );
    }
}
