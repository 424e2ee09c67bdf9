//! Repositories that are made to harm.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use hop3_agent::repo::{CommitId, FetchOutcome, RepoError};
use hop3_plugin_api::SourceTree as _;
use tempfile::TempDir;

use crate::git_repo::GitRepo;
use crate::world::{SPEC, World, config, id, mirror};

/// Pushes a commit whose apps are links, submodules and worse beside one good app.
fn push_hostile(repo: &GitRepo) -> CommitId {
    let blob = repo.git_with(&["hash-object", "-w", "--stdin"], "/etc/shadow");
    let commit = repo.git(&["rev-parse", "HEAD"]);
    let good = repo.git(&["rev-parse", "HEAD:apps/good"]);
    let tree =
        |lines: &[String]| repo.git_with(&["mktree", "--missing"], &(lines.join("\n") + "\n"));
    let (link, file) = (format!("120000 blob {blob}"), format!("100644 blob {blob}"));
    let (module, app) = (
        format!("160000 commit {commit}"),
        format!("040000 tree {good}"),
    );
    let linked = tree(&[format!("{link}\thop3.toml"), format!("{link}\tleft")]);
    let submodule = tree(&[format!("{module}\tProcfile")]);
    let hidden = tree(&[format!("{link}\thop3"), format!("{file}\thop3.toml")]);
    let dotgit = tree(&[format!("{app}\t.GIT"), format!("{file}\tProcfile")]);
    let apps = tree(&[
        format!("{app}\t.."),
        format!("040000 tree {dotgit}\tdotgit"),
        format!("{app}\tgood"),
        format!("040000 tree {hidden}\thidden"),
        format!("040000 tree {linked}\tlink"),
        format!("{module}\tmodule"),
        format!("040000 tree {submodule}\tmodule-file"),
    ]);
    let root = tree(&[format!("040000 tree {apps}\tapps")]);
    id(&repo.push_tree(&root))
}

#[tokio::test]
async fn t13_links_submodules_and_hostile_names_cost_one_app_only() {
    let world = World::new(&[("apps/good/hop3.toml", SPEC), ("hosts/web.toml", "x")]);
    let hostile = push_hostile(&world.repo);
    assert_eq!(world.cycle().await.unwrap(), FetchOutcome::First);
    let listing = world.listing().unwrap();
    let problems = |name: &str| listing.apps[name].problems.len();
    assert_eq!((problems("good"), problems("dotgit")), (0, 0));
    for name in ["..", "hidden", "link", "module", "module-file"] {
        assert_eq!(problems(name), 1, "{name}");
    }
    let shown = listing.apps["link"].problems[0].to_string();
    assert!(
        shown.contains("`apps/link/hop3.toml` is a symbolic link"),
        "{shown}"
    );
    assert!(listing.hosts.is_none());

    let snapshot = world.mirror.snapshot(&hostile).unwrap();
    let source = snapshot.tree("apps/link").unwrap().unwrap();
    assert_eq!(source.read("hop3.toml").unwrap(), None);
    let target = source.link_target("hop3.toml").unwrap();
    assert_eq!(target.as_deref(), Some("/etc/shadow"));
    assert_eq!(source.read("left/passwd").unwrap(), None);
    assert_eq!(source.read("../good/hop3.toml").unwrap(), None);
    let dotgit = snapshot.tree("apps/dotgit").unwrap().unwrap();
    assert!(dotgit.list("").is_err());
    assert!(snapshot.tree("apps/module").unwrap().is_none());
}

#[tokio::test]
async fn t15_bombs_are_refused_or_cost_nothing() {
    let world = World::new(&[("apps/good/hop3.toml", SPEC)]);
    let repo = &world.repo;
    let mut level = repo.git_with(&["hash-object", "-w", "--stdin"], "boom");
    let mut kind = ("100644", "blob");
    for _ in 0..10 {
        let lines = (0..10).map(|n| format!("{} {} {level}\td{n}\n", kind.0, kind.1));
        let lines = lines.collect::<Vec<_>>().concat();
        level = repo.git_with(&["mktree"], &lines);
        kind = ("040000", "tree");
    }
    let good = repo.git(&["rev-parse", "HEAD:apps/good"]);
    let apps = repo.git_with(
        &["mktree"],
        &format!("040000 tree {level}\tbomb\n040000 tree {good}\tgood\n"),
    );
    let push = |lines: String| {
        let root = repo.git_with(&["mktree"], &lines);
        repo.push_tree(&root);
    };
    push(format!("040000 tree {apps}\tapps\n"));
    let start = Instant::now();
    world.cycle().await.unwrap();
    assert_eq!(
        world.listing().unwrap().apps.keys().collect::<Vec<_>>(),
        ["good"]
    );

    push(format!(
        "040000 tree {apps}\tapps\n040000 tree {level}\tsecrets\n"
    ));
    let other = TempDir::new().unwrap();
    let mirror = mirror(other.path(), config(&repo.url()));
    let tip = mirror.tip().await.unwrap();
    mirror.fetch(&tip).await.unwrap();
    let refused = mirror.snapshot(&tip).unwrap().entries(None).unwrap_err();
    assert!(matches!(refused, RepoError::TooLarge { .. }), "{refused:?}");
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn t15_a_spec_or_a_pack_over_its_limit_is_refused() {
    let world = World::new(&[("apps/shop/hop3.toml", &"x".repeat(300 * 1024))]);
    world.cycle().await.unwrap();
    let snapshot = world
        .mirror
        .snapshot(&world.mirror.accepted().unwrap())
        .unwrap();
    let spec = snapshot.entries(None).unwrap().apps["shop"]
        .spec
        .clone()
        .unwrap();
    assert!(matches!(
        snapshot.blob(&spec.blob).unwrap_err(),
        RepoError::TooLarge { .. }
    ));
    assert!(!world.mirror.is_damaged());

    let mut noise = String::new();
    let mut state = 1_u64;
    while noise.len() < 1024 * 1024 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        write!(noise, "{state:x}").unwrap();
    }
    world.repo.push(&[("noise", &noise)], "noise");
    let mut small = config(&world.repo.url());
    small.limits.max_pack_bytes = 128 * 1024;
    let limited = mirror(world.directory.path(), small);
    let tip = limited.tip().await.unwrap();
    let refused = limited.fetch(&tip).await.unwrap_err();
    assert!(
        matches!(&refused, RepoError::TooLarge { what, .. } if what.contains("pack")),
        "{refused:?}"
    );
    assert_eq!(limited.accepted(), world.mirror.accepted());
    assert_eq!(
        world.cycle().await.unwrap(),
        FetchOutcome::FastForward,
        "the refused pack left something behind"
    );
}
