//! Rewritten history, repositories in each other's place, and everything that may be followed.

use std::path::Path;

use hop3_agent::repo::{FetchOutcome, History, Mirror, Reference, RepoError, Urgency};
use tempfile::TempDir;

use crate::git_repo::GitRepo;
use crate::rows::row;
use crate::world::{SPEC, World, config, id, mirror};

/// A repository with three commits, the mirror of the newest, and what it follows.
fn world(history: History) -> World {
    let mut world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    for n in 0..2 {
        world.repo.push(&[("a", &n.to_string())], "more");
    }
    let mut settings = config(&world.repo.url());
    settings.history = history;
    world.mirror = mirror(world.directory.path(), settings);
    world
}

fn rewind(repo: &GitRepo) -> String {
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    repo.push_head()
}

fn rewind_beyond_what_was_fetched(repo: &GitRepo) -> String {
    repo.git(&["reset", "-q", "--hard", "HEAD~2"]);
    repo.push_head()
}

fn amend(repo: &GitRepo) -> String {
    repo.git(&["commit", "-q", "--amend", "-m", "amended"]);
    repo.push_head()
}

fn fork(repo: &GitRepo) -> String {
    repo.git(&["reset", "-q", "--hard", "HEAD~2"]);
    repo.push(&[("b", "1")], "another way")
}

fn squash(repo: &GitRepo) -> String {
    repo.git(&["checkout", "-q", "--orphan", "squashed"]);
    repo.git(&["commit", "-q", "-m", "all of it at once"]);
    repo.push_head()
}

fn begin_anew(repo: &GitRepo) -> String {
    repo.git(&["checkout", "-q", "--orphan", "other"]);
    repo.push(&[("a", "something else")], "unrelated")
}

type Rewriting = fn(&GitRepo) -> String;

const RELATED: [(&str, Rewriting); 5] = [
    ("a rewind", rewind),
    (
        "a rewind beyond what was fetched",
        rewind_beyond_what_was_fetched,
    ),
    ("an amended commit", amend),
    ("a fork", fork),
    ("a squash", squash),
];

#[tokio::test]
async fn f12_rewritten_history_is_refused_and_the_accepted_commit_stays() {
    let mut refused = 0;
    for (what, rewrite) in RELATED
        .into_iter()
        .chain([("a new beginning", begin_anew as Rewriting)])
    {
        let world = world(History::FastForwardOnly);
        world.cycle().await.unwrap();
        let kept = world.mirror.accepted().unwrap();
        let to = rewrite(&world.repo);
        for again in [false, true] {
            let error = world.cycle().await.unwrap_err();
            let expected = RepoError::NonFastForward {
                from: kept.to_string(),
                to: to.clone(),
            };
            assert_eq!(error, expected, "{what}, again: {again}");
            assert!(!error.retryable() && error.hint().unwrap().contains("history = \"follow\""));
        }
        assert_eq!(world.mirror.accepted(), Some(kept), "{what}");
        assert!(world.listing().is_ok(), "{what}");
        // Restoring the branch resumes alone.
        world
            .repo
            .git(&["checkout", "-q", "--force", &kept.to_string()]);
        world.repo.push(&[("a", "4")], "restored");
        assert_eq!(
            world.cycle().await.unwrap(),
            FetchOutcome::FastForward,
            "{what}"
        );
        refused += 1;
    }
    row(
        "F12",
        &[
            (refused, "rewritings"),
            (refused, "refused by default"),
            (refused, "resumed alone"),
        ],
    );
}

#[tokio::test]
async fn f12_rewritten_history_is_followed_when_the_operator_says_so_and_the_old_and_new_commits_are_told()
 {
    let mut taken = 0;
    for (what, rewrite) in RELATED {
        let world = world(History::Follow);
        world.cycle().await.unwrap();
        let from = world.mirror.accepted().unwrap();
        world.mirror.record_applied(&from).unwrap();
        let to = id(&rewrite(&world.repo));
        let look = world.mirror.look(Some(from), Urgency::Routine).await;
        assert_eq!(look.found, Some(Ok(Some(to))), "{what}");
        assert_eq!(look.rewritten, Some((from, to)), "{what}");
        assert_eq!(world.mirror.accepted(), Some(to), "{what}");
        assert!(world.listing().is_ok(), "{what}");
        // What comes next is an ordinary step.
        let next = id(&world.repo.push(&[("a", "5")], "next"));
        let look = world.mirror.look(Some(to), Urgency::Routine).await;
        assert_eq!(
            (look.found, look.rewritten),
            (Some(Ok(Some(next))), None),
            "{what}"
        );
        taken += 1;
    }
    row(
        "F12",
        &[
            (RELATED.len(), "rewritings"),
            (taken, "followed when told to, with old and new commit"),
        ],
    );
}

#[tokio::test]
async fn f14_a_repository_in_anothers_place_is_refused_whatever_the_operator_follows() {
    for history in [History::FastForwardOnly, History::Follow] {
        let world = world(history);
        world.cycle().await.unwrap();
        let kept = world.mirror.accepted().unwrap();
        let elsewhere = TempDir::new().unwrap();
        let stranger = GitRepo::with(elsewhere.path(), &[("apps/other/hop3.toml", SPEC)]);
        swap(world.repo.bare(), stranger.bare());
        let error = world.cycle().await.unwrap_err();
        let named = matches!(&error, RepoError::AnotherRepository { from, .. } if *from == kept.to_string());
        assert!(named || history == History::FastForwardOnly, "{error:?}");
        assert_eq!(world.mirror.accepted(), Some(kept));
        assert_eq!(
            world.listing().unwrap().apps.keys().collect::<Vec<_>>(),
            ["shop"]
        );
        swap(world.repo.bare(), stranger.bare());
        world.repo.push(&[("a", "6")], "back");
        assert_eq!(world.cycle().await.unwrap(), FetchOutcome::FastForward);
    }
    row(
        "F14",
        &[
            (2, "repositories in another's place"),
            (2, "refused"),
            (2, "resumed alone"),
        ],
    );
}

fn swap(one: &Path, other: &Path) {
    let between = one.with_extension("between");
    std::fs::rename(one, &between).unwrap();
    std::fs::rename(other, one).unwrap();
    std::fs::rename(between, other).unwrap();
}

fn following(world: &World, reference: Reference) -> Mirror {
    let mut settings = config(&world.repo.url());
    settings.reference = reference;
    mirror(world.directory.path(), settings)
}

fn push_tag(world: &World, arguments: &[&str]) {
    world.repo.git(&[&["tag", "--force"], arguments].concat());
    let bare = world.repo.bare().display().to_string();
    world.repo.git(&["push", "-q", "--force", "--tags", &bare]);
}

async fn taken(mirror: &Mirror) -> Result<String, RepoError> {
    let tip = mirror.look(mirror.accepted(), Urgency::Person).await;
    tip.found.unwrap()?;
    Ok(mirror.accepted().unwrap().to_string())
}

#[tokio::test]
async fn a_tag_is_followed_whether_it_is_a_name_or_an_object() {
    let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    let commit = world.repo.git(&["rev-parse", "HEAD"]);
    push_tag(&world, &["light"]);
    push_tag(&world, &["-a", "-m", "A release.", "annotated"]);
    world.repo.push(&[("a", "1")], "newer");
    for tag in ["light", "annotated"] {
        let mirror = following(&world, Reference::tag(tag).unwrap());
        assert_eq!(taken(&mirror).await.unwrap(), commit, "{tag}");
    }
    let missing = following(&world, Reference::tag("gone").unwrap());
    let error = taken(&missing).await.unwrap_err();
    assert!(
        matches!(&error, RepoError::NothingToFollow { available, .. } if available.len() == 2),
        "{error:?}"
    );
    assert_eq!(error.state(), "nothing-to-follow");
}

#[tokio::test]
async fn the_highest_version_is_followed_forward_only() {
    let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    let mirror = following(&world, Reference::semver("^1").unwrap());
    let error = taken(&mirror).await.unwrap_err();
    assert!(
        matches!(error, RepoError::NothingToFollow { .. }),
        "{error:?}"
    );

    let first = world.repo.git(&["rev-parse", "HEAD"]);
    push_tag(&world, &["v1.0.0"]);
    assert_eq!(taken(&mirror).await.unwrap(), first);
    // A correction of 1.0 on a branch of its own, then 1.1 from the trunk, which does not descend from it.
    world.repo.git(&["checkout", "-q", "-b", "release/1.0"]);
    let corrected = world.repo.push(&[("fix", "1")], "fix");
    push_tag(&world, &["-a", "-m", "x", "v1.0.1"]);
    assert_eq!(taken(&mirror).await.unwrap(), corrected);
    world.repo.git(&["checkout", "-q", "main"]);
    let trunk = world.repo.push(&[("a", "1")], "trunk");
    push_tag(&world, &["1.1.0"]);
    push_tag(&world, &["v2.0.0"]);
    assert_eq!(
        taken(&mirror).await.unwrap(),
        trunk,
        "a higher version is a step forward"
    );

    // A tag that moves elsewhere, or vanishes, is a rewind.
    world.repo.git(&["checkout", "-q", "release/1.0"]);
    push_tag(&world, &["1.1.0"]);
    assert!(matches!(
        taken(&mirror).await,
        Err(RepoError::NonFastForward { .. })
    ));
    let bare = world.repo.bare().display().to_string();
    world.repo.git(&["push", "-q", &bare, ":refs/tags/1.1.0"]);
    assert!(matches!(
        taken(&mirror).await,
        Err(RepoError::NonFastForward { .. })
    ));
    assert_eq!(mirror.accepted().unwrap().to_string(), trunk);
}

#[tokio::test]
async fn a_pinned_commit_is_fetched_once_and_no_server_is_asked_again() {
    let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    let pinned = world.repo.git(&["rev-parse", "HEAD"]);
    world.repo.push(&[("a", "1")], "newer");
    let mirror = following(&world, Reference::commit(&pinned).unwrap());
    assert_eq!(taken(&mirror).await.unwrap(), pinned);
    std::fs::remove_dir_all(world.repo.bare()).unwrap();
    assert_eq!(taken(&mirror).await.unwrap(), pinned);
    let unknown = following(
        &world,
        Reference::commit("95d09f2b10159347eece71399a7e2e907ea3df4f").unwrap(),
    );
    assert!(taken(&unknown).await.is_err());
    assert_eq!(unknown.accepted().unwrap().to_string(), pinned);
}

#[tokio::test]
async fn what_the_operator_follows_may_change_to_an_older_commit() {
    let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    let old = world.repo.git(&["rev-parse", "HEAD"]);
    let bare = world.repo.bare().display().to_string();
    world.repo.git(&[
        "push",
        "-q",
        &bare,
        "HEAD:refs/heads/stable",
        "HEAD:refs/environments/prod",
    ]);
    let new = world.repo.push(&[("a", "1")], "newer");
    for (reference, commit) in [
        (Reference::branch("main"), &new),
        (Reference::branch("stable"), &old),
        (Reference::branch("main"), &new),
        (Reference::branch("refs/environments/prod"), &old),
        (Reference::commit(&new), &new),
        (Reference::commit(&old), &old),
    ] {
        let mirror = following(&world, reference.unwrap());
        assert_eq!(taken(&mirror).await.unwrap(), *commit);
    }
}
