//! What is seen, accepted and read over `file://`.

use hop3_agent::repo::{FetchOutcome, Reference, RepoError, TreePath};
use hop3_plugin_api::{SourceKind, SourceTree as _};
use tempfile::TempDir;

use crate::forge::{Forge, Stage};
use crate::git_repo::GitRepo;
use crate::world::{SPEC, World, config, id, mirror};

#[tokio::test]
async fn a_new_commit_is_seen_fetched_and_read() {
    let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    let first = world.mirror.tip().await.unwrap();
    assert_eq!(world.mirror.accepted(), None);
    assert_eq!(
        world.mirror.fetch(&first).await.unwrap(),
        FetchOutcome::First
    );
    assert_eq!(
        world.mirror.fetch(&first).await.unwrap(),
        FetchOutcome::Unchanged
    );

    let second = world.repo.push(
        &[("apps/blog/Procfile", "web: x\n")],
        "Add the blog\n\nWith a body.",
    );
    assert_eq!(world.cycle().await.unwrap(), FetchOutcome::FastForward);
    assert_eq!(world.mirror.accepted(), Some(id(&second)));

    let snapshot = world.mirror.snapshot(&id(&second)).unwrap();
    assert_eq!(
        (
            snapshot.commit().author.as_str(),
            snapshot.commit().subject.as_str()
        ),
        ("Ada", "Add the blog")
    );
    let listing = snapshot.entries(None).unwrap();
    assert_eq!(listing.apps.keys().collect::<Vec<_>>(), ["blog", "shop"]);
    let spec = listing.apps["shop"].spec.as_ref().unwrap();
    assert_eq!(spec.path, "apps/shop/hop3.toml");
    assert_eq!(snapshot.blob(&spec.blob).unwrap(), SPEC.as_bytes());
    assert!(
        world.directory.path().join("agent/repo/shallow").exists(),
        "the first fetch was not shallow"
    );
}

#[tokio::test]
async fn files_that_are_left_out_do_not_show_in_a_digest_and_all_others_do() {
    let world = World::new(&[
        ("apps/shop/hop3/hop3.toml", SPEC),
        ("apps/shop/hop3/notes", "one"),
        ("apps/shop/web/run.sh", "one"),
    ]);
    let digest_of = async || {
        world.cycle().await.unwrap();
        let snapshot = world.mirror.snapshot(&world.mirror.accepted().unwrap());
        let tree = snapshot.unwrap().tree("apps/shop").unwrap().unwrap();
        tree.digest_without(&["hop3/hop3.toml", "Procfile"])
    };
    let first = digest_of().await;
    for (file, shows) in [
        ("apps/shop/hop3/hop3.toml", false),
        ("apps/shop/Procfile", false),
        ("apps/blog/Procfile", false),
        ("apps/shop/hop3/notes", true),
        ("apps/shop/web/run.sh", true),
        ("apps/shop/web/Procfile", true),
    ] {
        let before = digest_of().await;
        world.repo.push(&[(file, "# changed\n")], file);
        assert_eq!(digest_of().await != before, shows, "{file}");
    }
    assert_ne!(digest_of().await, first);
}

#[tokio::test]
async fn the_applied_commit_survives_a_restart() {
    let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    world.cycle().await.unwrap();
    let tip = world.mirror.accepted().unwrap();
    assert_eq!(world.mirror.last_applied(), None);
    world.mirror.record_applied(&tip).unwrap();
    let again = mirror(world.directory.path(), config(&world.repo.url()));
    assert_eq!(again.last_applied(), Some(tip));
    let shown = std::process::Command::new("git")
        .args([
            "--git-dir",
            world.directory.path().join("agent/repo").to_str().unwrap(),
            "rev-parse",
            "refs/hop3/applied",
        ])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&shown.stdout).trim(),
        tip.to_string()
    );
}

#[tokio::test]
async fn f13_what_is_missing_is_named() {
    let directory = TempDir::new().unwrap();
    let tip = async |url: String| {
        mirror(directory.path(), config(&url))
            .tip()
            .await
            .unwrap_err()
    };
    let plain = format!("file://{}", directory.path().display());
    assert!(matches!(tip(plain).await, RepoError::NotARepository { .. }));

    let empty = GitRepo::empty(directory.path());
    assert!(matches!(
        tip(empty.url()).await,
        RepoError::EmptyRepository { .. }
    ));

    empty.push(&[("README", "x")], "first");
    for n in 0..12 {
        empty.git(&[
            "push",
            "-q",
            empty.bare().to_str().unwrap(),
            &format!("HEAD:refs/heads/b{n:02}"),
        ]);
    }
    let mut other = config(&empty.url());
    other.reference = Reference::branch("b").unwrap();
    match mirror(directory.path(), other).tip().await.unwrap_err() {
        RepoError::BranchMissing {
            branch, available, ..
        } => {
            assert_eq!(
                (branch.as_str(), available.len(), available[0].as_str()),
                ("b", 10, "b00")
            );
        }
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn f08_the_accepted_commit_is_readable_without_the_remote() {
    let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    world.cycle().await.unwrap();
    std::fs::remove_dir_all(world.repo.bare()).unwrap();
    assert!(world.mirror.tip().await.is_err());
    let again = mirror(world.directory.path(), config(&world.repo.url()));
    let snapshot = again.snapshot(&again.accepted().unwrap()).unwrap();
    assert_eq!(snapshot.entries(None).unwrap().apps.len(), 1);
}

#[tokio::test]
async fn a_merge_of_an_old_branch_is_a_fast_forward() {
    let world = World::new(&[("a", "1")]);
    world.repo.git(&["branch", "side"]);
    world.repo.push(&[("a", "2")], "second");
    world.cycle().await.unwrap();
    world.repo.git(&["checkout", "-q", "side"]);
    world
        .repo
        .git(&["commit", "-q", "--allow-empty", "-m", "side"]);
    world
        .repo
        .git(&["merge", "-q", "--no-ff", "-m", "merge", "main"]);
    world.repo.push_head();
    assert_eq!(world.cycle().await.unwrap(), FetchOutcome::FastForward);
}

#[tokio::test]
async fn an_apps_tree_is_its_source() {
    let world = World::new(&[
        ("apps/shop/hop3.toml", SPEC),
        ("apps/shop/src/main.py", "print()\n"),
    ]);
    world
        .repo
        .git(&["update-index", "--chmod=+x", "apps/shop/src/main.py"]);
    world.repo.git(&["commit", "-q", "-m", "executable"]);
    world.repo.push_head();
    world.cycle().await.unwrap();
    let snapshot = world
        .mirror
        .snapshot(&world.mirror.accepted().unwrap())
        .unwrap();
    let source = snapshot.tree("apps/shop").unwrap().unwrap();
    assert_eq!(
        source.digest().as_str(),
        world.repo.git(&["rev-parse", "HEAD:apps/shop"])
    );
    assert_eq!(
        source.text("src/main.py").unwrap().as_deref(),
        Some("print()\n")
    );
    assert_eq!(
        source.list("src").unwrap()[0].kind,
        SourceKind::File { executable: true }
    );
    assert!(source.has("hop3.toml") && !source.has("src"));
    assert!(source.read_up_to("hop3.toml", 3).is_err());
    assert!(snapshot.tree("apps/none").unwrap().is_none());
}

#[tokio::test]
async fn files_below_hop3_go_first_one_by_one() {
    let world = World::new(&[
        ("deploy/apps/shop/hop3/Procfile", "web: a\n"),
        ("deploy/apps/shop/Procfile", "web: b\n"),
        ("deploy/apps/shop/hop3.toml", SPEC),
        ("deploy/apps/README.md", "x"),
        ("deploy/apps/docs/index.md", "x"),
        ("deploy/hosts/web.toml", "x"),
        ("deploy/secrets/recipients.txt", "x"),
        ("deploy/secrets/web/db.age", "x"),
    ]);
    let mut nested = config(&world.repo.url());
    nested.path = TreePath::parse("deploy").unwrap();
    let mirror = mirror(world.directory.path(), nested);
    let tip = mirror.tip().await.unwrap();
    mirror.fetch(&tip).await.unwrap();
    let snapshot = mirror.snapshot(&tip).unwrap();
    let listing = snapshot.entries(None).unwrap();
    assert_eq!(listing.apps.keys().collect::<Vec<_>>(), ["shop"]);
    let shop = &listing.apps["shop"];
    assert_eq!(
        shop.procfile.as_ref().unwrap().path,
        "deploy/apps/shop/hop3/Procfile"
    );
    assert_eq!(
        shop.spec.as_ref().unwrap().path,
        "deploy/apps/shop/hop3.toml"
    );
    assert_eq!(
        listing.hosts.as_ref().unwrap()["web"]
            .as_ref()
            .unwrap()
            .path,
        "deploy/hosts/web.toml"
    );
    assert_eq!(
        listing.secrets.keys().collect::<Vec<_>>(),
        ["recipients.txt", "web/db.age"]
    );
    assert_eq!(snapshot.entries(Some(&listing)).unwrap().apps, listing.apps);
}

#[tokio::test]
async fn f14_a_vanished_path_is_an_error_and_not_an_empty_repo() {
    let mut world = World::new(&[("README", "x")]);
    assert_eq!(world.cycle().await.unwrap(), FetchOutcome::First);
    assert!(world.listing().unwrap().apps.is_empty());
    let mut nested = config(&world.repo.url());
    nested.path = TreePath::parse("deploy").unwrap();
    world.mirror = mirror(world.directory.path(), nested);
    assert!(matches!(
        world.listing().unwrap_err(),
        RepoError::PathMissing { .. }
    ));
}

#[tokio::test]
async fn the_newest_commit_that_touched_a_path_is_found() {
    let world = World::new(&[("apps/a/hop3.toml", SPEC)]);
    world.cycle().await.unwrap();
    let first = world.mirror.accepted().unwrap();
    let changed = id(&world.repo.push(&[("apps/b/hop3.toml", SPEC)], "add b"));
    let push = |n| {
        let pushed = world.repo.push(&[("other", &format!("{n}"))], "noise");
        id(&pushed)
    };
    let noise: Vec<_> = (0..5).map(push).collect();
    world.cycle().await.unwrap();
    let snapshot = world
        .mirror
        .snapshot(&world.mirror.accepted().unwrap())
        .unwrap();
    let last = |directory, names: &[&str], most| {
        let found = snapshot.last_changes(directory, names, most);
        found.unwrap()
    };
    assert_eq!(last("apps/b", &["hop3.toml"], 100), [changed]);
    assert_eq!(
        last("apps", &["b", "a"], 100),
        [changed, first],
        "the shallow boundary ends the walk"
    );
    assert_eq!(
        last("apps", &["b"], 2),
        [noise[2]],
        "the bound ends the walk"
    );
}

#[tokio::test]
async fn a_fetching_process_that_dies_is_an_error_and_accepts_nothing() {
    let world = World::new(&[("a", "1")]);
    let tip = world.mirror.tip().await.unwrap();
    for program in ["/bin/false", "/bin/echo", "/bin/sh", "/nonexistent"] {
        let broken = mirror(world.directory.path(), config(&world.repo.url()));
        let error = broken
            .with_fetch_program(program)
            .fetch(&tip)
            .await
            .unwrap_err();
        assert!(
            matches!(error, RepoError::Internal { .. }),
            "{program}: {error:?}"
        );
        assert_eq!(world.mirror.accepted(), None);
    }
    assert_eq!(world.cycle().await.unwrap(), FetchOutcome::First);
}

#[tokio::test]
async fn a_source_is_the_same_whatever_the_spec_beside_it_says() {
    let world = World::new(&[("apps/shop/hop3/hop3.toml", SPEC), ("apps/shop/a", "1")]);
    let without = ["hop3.toml", "hop3/hop3.toml"];
    let mut digests = Vec::new();
    for (file, content) in [
        ("apps/shop/a", "1"),
        ("apps/shop/hop3/hop3.toml", "[domains]\n"),
        ("apps/shop/hop3.toml", "[env]\n"),
        ("apps/shop/a", "2"),
        ("apps/shop/hop3/start", "2"),
    ] {
        world.repo.push(&[(file, content)], "Change one file");
        world.cycle().await.unwrap();
        let tip = world.mirror.accepted().unwrap();
        let tree = world.mirror.snapshot(&tip).unwrap().tree("apps/shop");
        digests.push(tree.unwrap().unwrap().digest_without(&without));
    }
    assert_eq!(digests[0], digests[1], "the spec changed");
    assert_eq!(digests[1], digests[2], "another spec was added");
    assert_ne!(digests[2], digests[3], "a file changed");
    assert_ne!(digests[3], digests[4], "a file beside the spec changed");
}

#[tokio::test]
async fn the_first_fetch_is_shallow_all_others_grow_from_it_and_only_one_ref_is_asked_for() {
    let directory = TempDir::new().unwrap();
    let repo = GitRepo::with(directory.path(), &[("apps/shop/hop3.toml", SPEC)]);
    repo.push(&[("a", "0")], "second");
    let forge = Forge::of(repo.bare());
    let mirror = mirror(directory.path(), config(&forge.url()));
    for n in 1..4 {
        let tip = mirror.tip().await.unwrap();
        mirror.fetch(&tip).await.unwrap();
        repo.push(&[("a", &n.to_string())], "more");
    }
    let bodies = |stage| {
        let requests = forge.heard().into_iter();
        let bodies = requests.filter(move |request| request.stage == stage);
        bodies.map(|request| String::from_utf8_lossy(&request.body).into_owned())
    };
    let deepening: Vec<_> = bodies(Stage::Pack)
        .map(|body| body.contains("deepen 1"))
        .collect();
    assert_eq!(deepening, [true, false, false]);
    for body in bodies(Stage::Refs) {
        let narrow = [
            "ref-prefix refs/heads/main\n",
            "ref-prefix refs/hop3/nothing\n",
        ];
        assert!(narrow.iter().any(|prefix| body.contains(prefix)), "{body}");
    }
}
