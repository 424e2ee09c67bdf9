//! `validate` on a work tree, `validate` on its commit, and the agent of every host: the same errors at the same places.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use hop3_agent::config::HostConfig;
use hop3_agent::desired::{ConfigTree, DirectoryRepo, Loader, LoaderCache, Recorded, RevisionTree};
use hop3_agent::repo::{CommitId, Mirror, Reference, RepoConfig, RepoUrl};
use hop3_agent::spec::Diagnostic;
use tempfile::TempDir;

use super::{AGENT, build, cases, validated};
use crate::git_repo::GitRepo;

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
        registry: &build().registry,
        schemas: &build().schemas,
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
    let config = HostConfig::parse(&file, "", &build().schemas).unwrap();
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
        // The agent does not look for secrets yet.
        let looked_for = ["there is no secret", "the secret"];
        let all = validated(&DirectoryRepo::new(&repo)).diagnostics;
        let of_apps = all.iter().filter(|it| {
            let secret = looked_for.iter().any(|start| it.message.starts_with(start));
            it.position.file.starts_with("apps/") && !secret
        });
        let of_apps = places(of_apps);
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
    app("long", &vec![b'#'; 300 * 1024]);
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
