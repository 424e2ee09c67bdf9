//! Whole config repos as people keep them: a folder in `tests/fixtures/validate` is a case. `expected.txt` is what people are told,
//! `expected.json` what programs are. `UPDATE=1 cargo test --test validate` rewrites both.
//!
//! The same repos are committed and read as the agent reads them, so that `validate` on a work tree and the agent on a commit agree.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and works with files and programs of its own"
)]

#[path = "support/git_repo.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod git_repo;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use git_repo::GitRepo;
use hop3_agent::builtin;
use hop3_agent::config::HostConfig;
use hop3_agent::desired::{ConfigTree, DirectoryRepo, Loader, LoaderCache, Recorded, RevisionTree};
use hop3_agent::registry::Registry;
use hop3_agent::repo::{CommitId, Mirror, Reference, RepoConfig, RepoUrl};
use hop3_agent::schema::Schemas;
use hop3_agent::spec::{Diagnostic, render};
use hop3_agent::validate::{Findings, Report, Validator};
use serde_json::Value;
use tempfile::TempDir;

const AGENT: &str = env!("CARGO_BIN_EXE_hop3-agent");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Linked {
    registry: Registry,
    schemas: Schemas,
}

fn linked() -> &'static Linked {
    static LINKED: OnceLock<Linked> = OnceLock::new();
    LINKED.get_or_init(|| {
        let registry = Registry::new(builtin()).unwrap();
        let names: Vec<&str> = registry.linked().iter().map(|linked| linked.name).collect();
        let schemas = Schemas::compose_for(&names, &registry.sections());
        Linked { registry, schemas }
    })
}

fn validated(repo: &dyn ConfigTree) -> Findings {
    let Linked { registry, schemas } = linked();
    Validator { registry, schemas }.config_repo(repo).settled()
}

fn cases() -> Vec<(String, PathBuf)> {
    let folder = root().join("tests/fixtures/validate");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut cases: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    cases.sort();
    assert!(cases.len() >= 25, "{} cases", cases.len());
    cases
}

/// What is linked differs from build to build; cases are about everything else.
fn without_lists(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| match line.split_once("hint: linked: ") {
            Some((before, _)) => format!("{before}hint: linked: …"),
            None => match line.split_once("\"hint\": \"linked: ") {
                Some((before, _)) => format!("{before}\"hint\": \"linked: …\""),
                None => line.to_owned(),
            },
        });
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

fn expect(file: &Path, told: &str) -> Result<(), String> {
    let told = without_lists(told);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &told).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if expected == told {
        return Ok(());
    }
    Err(format!("{}:\n{told}", file.display()))
}

#[test]
fn every_case_is_told_as_expected() {
    let mut wrong = String::new();
    for (name, case) in cases() {
        let findings = validated(&DirectoryRepo::new(&case.join("repo")));
        let (errors, notes) = findings.counts();
        let right = match name.split('-').next().unwrap() {
            "bad" => errors > 0,
            "note" => errors == 0 && notes > 0,
            _ => errors == 0,
        };
        if !right {
            writeln!(wrong, "{name}: {errors} errors, {notes} notes").unwrap();
        }
        let text = render(&findings.diagnostics, &findings.sources, false);
        let summary = format!(
            "files: {}, errors: {errors}, notes: {notes}\n",
            findings.files
        );
        let report = serde_json::to_string_pretty(&Report::new(&findings)).unwrap();
        for (file, told) in [("expected.txt", text + &summary), ("expected.json", report)] {
            if let Err(difference) = expect(&case.join(file), &told) {
                writeln!(wrong, "{difference}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_report_follows_its_schema() {
    let schema = std::fs::read_to_string(root().join("schema/validate.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (name, case) in cases() {
        let findings = validated(&DirectoryRepo::new(&case.join("repo")));
        let report = serde_json::to_value(Report::new(&findings)).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        assert_eq!(
            report["diagnostics"].as_array().unwrap().len(),
            findings.diagnostics.len()
        );
    }
}

#[test]
fn t27_no_case_shows_what_is_secret_in_it() {
    for (name, case) in cases() {
        let findings = validated(&DirectoryRepo::new(&case.join("repo")));
        let shown = render(&findings.diagnostics, &findings.sources, false)
            + &serde_json::to_string(&Report::new(&findings)).unwrap();
        assert!(!shown.to_lowercase().contains("canary"), "{name}:\n{shown}");
    }
}

/// All cases in one commit, fetched as the agent fetches.
struct Committed {
    _directory: TempDir,
    mirror: Mirror,
    commit: CommitId,
}

async fn committed() -> Committed {
    let directory = TempDir::new().unwrap();
    let repo = GitRepo::empty(directory.path());
    for (name, case) in cases() {
        let to = directory.path().join("work").join(name);
        let copied = Command::new("cp")
            .arg("-r")
            .arg(case.join("repo"))
            .arg(to)
            .status();
        assert!(copied.unwrap().success());
    }
    repo.push(&[], "every case");
    fetched(directory, &repo).await
}

async fn fetched(directory: TempDir, repo: &GitRepo) -> Committed {
    let url = RepoUrl::parse(&repo.url()).unwrap();
    let config = RepoConfig::new(url, Reference::branch("main").unwrap());
    let mirror = Mirror::open_or_init(directory.path().join("mirror"), config).unwrap();
    let mirror = mirror.with_fetch_program(AGENT);
    let commit = mirror.tip().await.unwrap();
    mirror.fetch(&commit).await.unwrap();
    Committed {
        _directory: directory,
        mirror,
        commit,
    }
}

impl Committed {
    fn tree(&self, path: &str) -> RevisionTree {
        RevisionTree::open(&self.mirror, &self.commit, path).unwrap()
    }
}

#[tokio::test]
async fn a_work_tree_and_its_commit_are_told_the_same() {
    let committed = committed().await;
    for (name, case) in cases() {
        let of_files = validated(&DirectoryRepo::new(&case.join("repo")));
        let of_commit = validated(&committed.tree(&name));
        assert_eq!(of_files.diagnostics, of_commit.diagnostics, "{name}");
        assert_eq!(of_files.files, of_commit.files, "{name}");
    }
}

/// The place and key of an error of an app.
type Place = (String, u32, u32, String);

fn places<'a>(found: impl IntoIterator<Item = &'a Diagnostic>) -> BTreeSet<Place> {
    let errors = found.into_iter().filter(|found| found.is_error());
    let place = |found: &Diagnostic| {
        let at = &found.position;
        (at.file.clone(), at.line, at.column, found.key.clone())
    };
    errors.map(place).collect()
}

fn hosts(repo: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(repo.join("hosts")) else {
        return vec!["any".to_owned()];
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter_map(|name| name.strip_suffix(".toml").map(str::to_owned));
    names.collect()
}

/// What the agent of a host finds wrong with its apps; none when it holds everything.
fn found_by_agent(repo: &dyn ConfigTree, host: &str) -> Option<BTreeSet<Place>> {
    let loader = Loader {
        registry: &linked().registry,
        schemas: &linked().schemas,
        host,
        disabled: &[],
    };
    let desired = loader.load(repo, &Recorded::default(), &mut LoaderCache::default());
    desired
        .everything_held
        .is_none()
        .then(|| places(&desired.diagnostics))
}

fn runs(repo: &Path, host: &str, place: &Place) -> bool {
    let file = std::fs::read_to_string(repo.join(format!("hosts/{host}.toml"))).unwrap_or_default();
    let config = HostConfig::parse(&file, "", &linked().schemas).unwrap();
    let directory = place.0.split('/').nth(1).unwrap_or_default();
    config.runs(directory)
}

#[tokio::test]
async fn the_agent_of_every_host_finds_what_validate_finds() {
    let committed = committed().await;
    let mut compared = 0;
    for (name, case) in cases() {
        let repo = case.join("repo");
        let found = places(&validated(&DirectoryRepo::new(&repo)).diagnostics);
        // The agent does not read secrets yet.
        let of_apps: BTreeSet<Place> = found
            .iter()
            .filter(|place| place.0.starts_with("apps/") && !place.3.ends_with("/secret"))
            .cloned()
            .collect();
        let mut of_agents = BTreeSet::new();
        for host in hosts(&repo) {
            let Some(of_agent) = found_by_agent(&committed.tree(&name), &host) else {
                let told = found.iter().any(|place| !place.0.starts_with("apps/"));
                assert!(
                    told,
                    "{name}: {host} holds everything, validate finds nothing"
                );
                continue;
            };
            assert_eq!(
                found_by_agent(&DirectoryRepo::new(&repo), &host).as_ref(),
                Some(&of_agent)
            );
            let unknown: Vec<_> = of_agent.difference(&of_apps).collect();
            assert!(
                unknown.is_empty(),
                "{name}: only the agent of {host} finds {unknown:?}"
            );
            compared += of_agent.len();
            of_agents.extend(of_agent);
        }
        let elsewhere = |place: &&Place| hosts(&repo).iter().any(|host| runs(&repo, host, place));
        let readable = hosts(&repo)
            .iter()
            .all(|host| found_by_agent(&DirectoryRepo::new(&repo), host).is_some());
        let missed: Vec<_> = of_apps
            .difference(&of_agents)
            .filter(|place| readable && elsewhere(place))
            .collect();
        assert!(missed.is_empty(), "{name}: no agent finds {missed:?}");
    }
    println!("{compared} errors found by agents and by validate alike");
    assert!(compared > 40, "{compared}");
}

#[tokio::test]
async fn t13_a_submodule_is_refused_in_a_commit_in_a_checkout_and_in_a_fresh_one() {
    let directory = TempDir::new().unwrap();
    let repo = GitRepo::empty(directory.path());
    let commit = repo.push(
        &[
            ("apps/shop/hop3.toml", ""),
            (".gitmodules", "[submodule \"apps/sub\"]\n\tpath = apps/sub\n\turl = ../sub\n[submodule \"h\"]\n\tpath = apps/deep/hop3\n"),
        ],
        "first",
    );
    let work = directory.path().join("work");
    for path in ["apps/sub", "apps/deep/hop3"] {
        repo.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{commit},{path}"),
        ]);
        std::fs::create_dir_all(work.join(path)).unwrap();
    }
    repo.git(&["commit", "-q", "-m", "submodules"]);
    repo.push_head();
    let fresh = validated(&DirectoryRepo::new(&work));
    std::fs::remove_file(work.join(".gitmodules")).unwrap();
    for path in ["apps/sub", "apps/deep/hop3"] {
        std::fs::write(work.join(path).join(".git"), "gitdir: elsewhere\n").unwrap();
        std::fs::write(work.join(path).join("hop3.toml"), "").unwrap();
    }
    let checked_out = validated(&DirectoryRepo::new(&work));
    let committed = fetched(directory, &repo).await;
    let of_commit = validated(&committed.tree(""));
    let told: Vec<(&str, &str)> = of_commit
        .diagnostics
        .iter()
        .map(|found| (found.position.file.as_str(), found.message.as_str()))
        .collect();
    let message = "this is a submodule, which is never fetched";
    assert_eq!(told, [("apps/deep/hop3", message), ("apps/sub", message)]);
    assert_eq!(fresh.diagnostics, of_commit.diagnostics);
    assert_eq!(checked_out.diagnostics, of_commit.diagnostics);
}

#[test]
fn a_file_that_cannot_be_read_is_its_own_apps_mistake() {
    let directory = TempDir::new().unwrap();
    let app = |name: &str, bytes: &[u8]| {
        let app = directory.path().join("apps").join(name);
        std::fs::create_dir_all(&app).unwrap();
        std::fs::write(app.join("hop3.toml"), bytes).unwrap();
    };
    app("long", &[b'#'; 300 * 1024]);
    app("endless", &vec![b'#'; 3 * 1024 * 1024]);
    app("latin", b"a = \"\xe9\"\n");
    app("shop", b"");
    let repo = DirectoryRepo::new(directory.path());
    let found = validated(&repo);
    let files: Vec<&str> = found
        .diagnostics
        .iter()
        .map(|found| found.position.file.as_str())
        .collect();
    assert_eq!(
        files,
        [
            "apps/endless/hop3.toml",
            "apps/latin/hop3.toml",
            "apps/long/hop3.toml"
        ]
    );
    assert!(
        found.diagnostics[0].message.contains("over the limit"),
        "{found:?}"
    );
    assert_eq!(
        found_by_agent(&repo, "any"),
        Some(places(&found.diagnostics))
    );
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
