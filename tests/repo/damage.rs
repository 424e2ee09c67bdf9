//! Damage, kills and interruptions: the next fetch heals.

use std::path::Path;

use futures_util::stream::{self, StreamExt as _};
use hop3_agent::repo::{FetchLimits, FetchOutcome, RepoError, Urgency};
use tempfile::TempDir;

use crate::fake_server::FakeServer;
use crate::git_server::wait_until;
use crate::points::{content, copy_tree};
use crate::rows::{is_long, row};
use crate::world::{AGENT, SPEC, World, config, id, mirror};

/// What happens to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Gone,
    Empty,
    /// One bit of the byte in the middle.
    Bit(u8),
}

impl Damage {
    fn strike(self, file: &Path) {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        std::fs::remove_file(file).unwrap();
        match self {
            Self::Gone => return,
            Self::Empty => bytes.clear(),
            Self::Bit(_) if bytes.is_empty() => {}
            Self::Bit(bit) => bytes[middle] ^= 1 << bit,
        }
        std::fs::write(file, bytes).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_any_damage_to_the_mirror_heals_with_the_next_fetch() {
    let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    for commit in ["second", "third"] {
        world.cycle().await.unwrap();
        world.repo.push(&[("a", commit)], commit);
    }
    world.cycle().await.unwrap();
    let accepted = world.mirror.accepted().unwrap();
    world.mirror.record_applied(&accepted).unwrap();
    world.repo.push(&[("a", "fourth")], "fourth");
    let bits: &[u8] = if is_long() {
        &[0, 1, 2, 3, 4, 5, 6, 7]
    } else {
        &[0, 4]
    };
    let bits = bits.iter().map(|bit| Damage::Bit(*bit));
    let kinds: Vec<_> = [Damage::Gone, Damage::Empty]
        .into_iter()
        .chain(bits)
        .collect();
    let template = world.directory.path().join("agent");
    let files: Vec<_> = content(&template)
        .into_keys()
        .filter(|file| !file.to_string_lossy().contains("/hooks/"))
        .collect();
    let points = files
        .iter()
        .flat_map(|file| kinds.iter().map(move |kind| (file, *kind)));
    let healed = stream::iter(points)
        .map(|(file, kind)| heal(&world, file, kind))
        .buffer_unordered(4)
        .count()
        .await;
    row(
        "F11",
        &[
            (healed, "damages to files of the mirror"),
            (healed, "healed"),
        ],
    );
}

async fn heal(world: &World, file: &Path, damage: Damage) {
    let template = world.directory.path().join("agent");
    let copy = TempDir::new_in(world.directory.path()).unwrap().keep();
    copy_tree(&template, &copy.join("agent"));
    damage.strike(
        &copy
            .join("agent")
            .join(file.strip_prefix(&template).unwrap()),
    );
    let what = format!("{}: {damage:?}", file.display());
    let mirror = mirror(&copy, config(&world.repo.url()));
    // What shows while reading heals with the next look, without a new commit.
    for _ in 0..2 {
        let look = mirror.look(None, Urgency::Person).await;
        assert!(matches!(look.found, Some(Ok(Some(_)))), "{what}: {look:?}");
        assert_eq!(look.rewritten, None, "{what}");
        let snapshot = mirror.snapshot(&mirror.accepted().unwrap());
        if let Ok(Ok(listing)) = snapshot.map(|snapshot| snapshot.entries(None)) {
            assert_eq!(
                mirror.accepted(),
                Some(id(&world.repo.git(&["rev-parse", "HEAD"]))),
                "{what}"
            );
            assert_eq!(listing.apps.len(), 1, "{what}");
            assert!(
                mirror.last_applied().is_some() || what.contains("applied"),
                "{what}"
            );
            return;
        }
    }
    panic!("{what}: it does not heal");
}

fn damage(file: &Path) {
    Damage::Bit(4).strike(file);
}

#[tokio::test]
async fn f11_a_pack_that_is_gone_is_noticed_though_no_checksum_is_wrong() {
    let world = World::new(&[
        ("apps/shop/hop3.toml", SPEC),
        ("apps/shop/data/big", &"x\n".repeat(5000)),
    ]);
    world.cycle().await.unwrap();
    let packs = world.directory.path().join("agent/repo/objects/pack");
    let first: Vec<_> = std::fs::read_dir(packs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    world.repo.push(&[("a", "1")], "second");
    world.cycle().await.unwrap();
    for file in first {
        std::fs::remove_file(file).unwrap();
    }
    world.repo.push(
        &[("apps/shop/data/big", &format!("{}y\n", "x\n".repeat(5000)))],
        "third",
    );
    assert_eq!(world.cycle().await.unwrap(), FetchOutcome::FastForward);
    if world.listing().is_err() {
        world.cycle().await.unwrap();
    }
    assert_eq!(world.listing().unwrap().apps.len(), 1);
}

#[tokio::test]
async fn a_damaged_mirror_whose_remote_is_gone_is_kept() {
    let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    world.cycle().await.unwrap();
    let tip = world.mirror.accepted().unwrap();
    let packs = world.directory.path().join("agent/repo/objects/pack");
    for entry in std::fs::read_dir(packs).unwrap() {
        damage(&entry.unwrap().path());
    }
    assert!(matches!(
        world.listing().unwrap_err(),
        RepoError::Corrupt { .. }
    ));
    assert!(world.mirror.is_damaged());
    std::fs::remove_dir_all(world.repo.bare()).unwrap();
    assert!(world.mirror.fetch(&tip).await.is_err());
    assert_eq!(world.mirror.accepted(), Some(tip));
}

#[tokio::test]
async fn what_a_killed_fetch_left_does_not_stop_the_next() {
    let world = World::new(&[("a", "1")]);
    world.cycle().await.unwrap();
    let root = world.directory.path().join("agent/repo");
    for leftover in [
        "shallow.lock",
        "packed-refs.lock",
        "refs/hop3/candidate.lock",
        "objects/pack/tmp_x",
        "objects/pack/pack-x.keep",
    ] {
        std::fs::write(root.join(leftover), "x").unwrap();
    }
    std::fs::create_dir(world.directory.path().join("agent/repo.new")).unwrap();
    world.repo.push(&[("a", "2")], "second");
    assert_eq!(world.cycle().await.unwrap(), FetchOutcome::FastForward);
    assert!(!root.join("objects/pack/tmp_x").exists());
}

#[tokio::test]
async fn a_swap_that_was_interrupted_is_finished() {
    let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
    world.cycle().await.unwrap();
    let root = world.directory.path().join("agent/repo");
    std::fs::rename(&root, world.directory.path().join("agent/repo.old")).unwrap();
    let again = mirror(world.directory.path(), config(&world.repo.url()));
    assert_eq!(again.accepted(), world.mirror.accepted());
    assert!(again.accepted().is_some());
}

#[tokio::test]
async fn an_untidy_mirror_is_made_anew_with_the_accepted_history() {
    let world = World::new(&[("a", "1")]);
    world.cycle().await.unwrap();
    for n in 0..60 {
        world.repo.push(&[("a", &format!("{n}"))], "more");
    }
    world.cycle().await.unwrap();
    let packs = world.directory.path().join("agent/repo/objects/pack");
    for n in 0..51 {
        std::fs::write(packs.join(format!("pack-{n}.pack")), "").unwrap();
    }
    world.repo.push(&[("a", "last")], "last");
    assert_eq!(world.cycle().await.unwrap(), FetchOutcome::FastForward);
    assert!(world.packs() < 10, "{}", world.packs());
}

#[tokio::test]
async fn a_fetch_ends_with_the_agent_that_asked_for_it() {
    let server = FakeServer::hanging();
    let directory = TempDir::new().unwrap();
    let commit = "95d09f2b10159347eece71399a7e2e907ea3df4f";
    let request = serde_json::json!({
        "url": format!("http://127.0.0.1:{}/c.git", server.port()), "authorization": null, "ca": null, "ssh": null,
        "limits": FetchLimits::within(std::time::Duration::from_mins(10)),
        "task": {"fetch": {
            "directory": directory.path().join("m"), "tip": {"object": commit, "commit": commit, "version": null},
            "base": null, "keep": [], "relate": false,
        }},
    });
    let mut child = std::process::Command::new(AGENT);
    std::os::unix::process::CommandExt::process_group(&mut child, 0);
    let mut child = child
        .arg("internal-fetch")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, format!("{request}\n").as_bytes()).unwrap();
    wait_until("the fetch hangs", || !server.heard().is_empty());
    assert!(child.try_wait().unwrap().is_none());
    drop(stdin);
    wait_until("the fetch has ended", || {
        child.try_wait().unwrap().is_some()
    });
}
