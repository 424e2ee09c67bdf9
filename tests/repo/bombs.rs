//! Repositories that are made to fill memory, disk or time: the fetching child has limits, and nobody else notices.

use std::time::{Duration, Instant};

use gix::objs::Kind;
use hop3_agent::repo::{FetchLimits, RepoError};
use tempfile::TempDir;

use crate::forge::{Answer, Content, End, Forge, Stage, lines};
use crate::pack::{Pack, copies, stored};
use crate::rows::row;
use crate::world::{SPEC, config, id, mirror};

const COMMIT: &str = "95d09f2b10159347eece71399a7e2e907ea3df4f";

/// A commit with one good app and something beside it.
fn beside_a_good_app(pack: &mut Pack, name: &str, tree: &str) -> String {
    let spec = pack.object(Kind::Blob, SPEC.as_bytes());
    let good = pack.tree(&[("100644", "hop3.toml", &spec)]);
    let apps = pack.tree(&[("40000", "good", &good)]);
    let root = pack.tree(&[("40000", "apps", &apps), ("40000", name, tree)]);
    pack.commit(&root)
}

/// Twelve objects that stand for ten thousand million paths.
fn many_paths() -> (String, Vec<u8>) {
    let mut pack = Pack::default();
    let mut level = pack.object(Kind::Blob, b"boom");
    let mut mode = "100644";
    for _ in 0..10 {
        let names: Vec<_> = (0..10).map(|n| format!("d{n}")).collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| (mode, name.as_str(), level.as_str()))
            .collect();
        level = pack.tree(&entries);
        mode = "40000";
    }
    let tip = beside_a_good_app(&mut pack, "zz", &level);
    (tip, pack.bytes())
}

/// A directory in a directory in a directory, a hundred thousand times.
fn deep() -> (String, Vec<u8>) {
    let mut pack = Pack::default();
    let mut level = pack.object(Kind::Blob, b"deep");
    let mut mode = "100644";
    for _ in 0..100_000 {
        level = pack.tree(&[(mode, "d", &level)]);
        mode = "40000";
    }
    let tip = beside_a_good_app(&mut pack, "zz", &level);
    (tip, pack.bytes())
}

/// A difference to a difference to a difference: what comes out in the end is larger than anything that is taken.
fn growing_deltas() -> (String, Vec<u8>) {
    let mut pack = Pack::default();
    let mut data = vec![b'x'; 64 * 1024];
    let mut name = pack.object(Kind::Blob, &data);
    for times in [16, 16, 17] {
        pack.delta(&name, &copies(data.len() as u64, times));
        data = vec![b'x'; data.len() * usize::try_from(times).unwrap()];
        if times == 16 {
            name = gix::objs::compute_hash(gix::hash::Kind::Sha1, Kind::Blob, &data)
                .unwrap()
                .to_string();
        }
    }
    let tree = pack.tree(&[("100644", "f", &name)]);
    let tip = beside_a_good_app(&mut pack, "zz", &tree);
    (tip, pack.bytes())
}

/// A difference that is applied to the same base again and again by one object: 64 KiB become 4 GiB.
fn one_huge_delta() -> (String, Vec<u8>) {
    let mut pack = Pack::default();
    let base = pack.object(Kind::Blob, &vec![b'x'; 64 * 1024]);
    pack.delta(&base, &copies(64 * 1024, 65_536));
    let tree = pack.tree(&[("100644", "f", &base)]);
    let tip = beside_a_good_app(&mut pack, "zz", &tree);
    (tip, pack.bytes())
}

fn claims(claimed: u64) -> (String, Vec<u8>) {
    let mut pack = Pack::default();
    let blob = pack.object(Kind::Blob, b"x");
    pack.entry(3, claimed, &stored(b"x"));
    let tree = pack.tree(&[("100644", "f", &blob)]);
    let tip = beside_a_good_app(&mut pack, "zz", &tree);
    (tip, pack.bytes())
}

fn too_many_objects() -> (String, Vec<u8>) {
    let mut pack = Pack::default();
    let tree = pack.tree(&[]);
    let tip = beside_a_good_app(&mut pack, "zz", &tree);
    (tip, pack.claiming(u32::MAX).bytes())
}

fn left_out() -> (String, Vec<u8>) {
    let mut pack = Pack::default();
    let tree = pack.tree(&[("100644", "f", COMMIT)]);
    let tip = beside_a_good_app(&mut pack, "zz", &tree);
    (tip, pack.bytes())
}

async fn fetched(
    (tip, pack): (String, Vec<u8>),
    limits: FetchLimits,
) -> (Result<usize, RepoError>, Duration) {
    let directory = TempDir::new().unwrap();
    let forge = Forge::start(
        Content::Pack {
            tip: tip.clone(),
            pack,
        },
        |_, answer| answer,
    );
    let mut settings = config(&forge.url());
    settings.limits = limits;
    let mirror = mirror(directory.path(), settings);
    let started = Instant::now();
    assert_eq!(mirror.tip().await.unwrap(), id(&tip));
    let outcome = match mirror.fetch(&id(&tip)).await {
        Ok(_) => mirror
            .snapshot(&id(&tip))
            .and_then(|snapshot| snapshot.entries(None))
            .map(|listing| listing.apps.len()),
        Err(error) => {
            assert_eq!(mirror.accepted(), None);
            Err(error)
        }
    };
    (outcome, started.elapsed())
}

#[tokio::test]
async fn t15_bombs_cost_the_fetching_child_and_nobody_else() {
    let limits = FetchLimits::within(Duration::from_secs(60));
    let harmless: [(&str, fn() -> (String, Vec<u8>)); 2] = [
        ("10^10 paths of 12 objects", many_paths),
        ("100 000 levels", deep),
    ];
    let refused: [(&str, fn() -> (String, Vec<u8>)); 6] = [
        ("2^32 objects", too_many_objects),
        ("5 GiB in one object", || claims(5 << 30)),
        ("2^50 bytes in one object", || claims(1 << 50)),
        ("deltas that grow", growing_deltas),
        ("a delta of 4 GiB", one_huge_delta),
        ("an object that is left out", left_out),
    ];
    for (what, bomb) in harmless {
        let (outcome, took) = fetched(bomb(), limits).await;
        assert_eq!(
            outcome.unwrap_or_else(|error| panic!("{what}: {error:?}")),
            1,
            "{what}"
        );
        assert!(took < Duration::from_secs(30), "{what}: {took:?}");
    }
    for (what, bomb) in refused {
        let (outcome, took) = fetched(bomb(), limits).await;
        let error = outcome.expect_err(what);
        assert!(
            matches!(
                error,
                RepoError::BadAnswer { .. } | RepoError::TooLarge { .. }
            ),
            "{what}: {error:?}"
        );
        assert!(took < Duration::from_secs(30), "{what}: {took:?}");
    }
    row(
        "T15",
        &[(8, "bombs"), (6, "refused"), (2, "harmless"), (0, "hung")],
    );
}

#[tokio::test]
async fn t15_a_million_refs_or_an_answer_without_end_are_refused_at_once() {
    let mut million = Vec::new();
    let list = lines(&[&format!("{COMMIT} refs/heads/branch-of-somebody\n")]);
    for _ in 0..1_000_000 {
        million.extend_from_slice(&list[..list.len() - 4]);
    }
    million.extend_from_slice(b"0000");
    let endless = list[..list.len() - 4].to_vec();
    let mut small = FetchLimits::within(Duration::from_secs(30));
    small.max_pack_bytes = 16 * 1024 * 1024;
    let mut refused = 0;
    for (what, refs, end) in [
        ("a million refs", million, End::Close),
        ("endless refs", endless, End::Endless),
    ] {
        for stage in [Stage::Refs, Stage::Handshake, Stage::Pack] {
            let flood = refs.clone();
            let forge = Forge::start(
                Content::Refs(lines(&[&format!("{COMMIT} refs/heads/main\n")])),
                move |request, answer| {
                    let hit = request.stage == stage
                        || (stage == Stage::Handshake && request.stage != Stage::Pack);
                    if hit {
                        Answer {
                            body: flood.clone(),
                            end,
                            ..answer
                        }
                    } else {
                        answer
                    }
                },
            );
            let directory = TempDir::new().unwrap();
            let mut settings = config(&forge.url());
            settings.limits = small;
            let mirror = mirror(directory.path(), settings);
            let started = Instant::now();
            let error = match stage {
                Stage::Pack => mirror.fetch(&id(COMMIT)).await.unwrap_err(),
                _ => mirror.tip().await.unwrap_err(),
            };
            assert!(
                matches!(
                    error,
                    RepoError::BadAnswer { .. } | RepoError::TooLarge { .. }
                ),
                "{what} {stage:?}: {error:?}"
            );
            assert!(
                started.elapsed() < Duration::from_secs(15),
                "{what} {stage:?}: {:?}",
                started.elapsed()
            );
            refused += 1;
        }
    }
    row(
        "T15",
        &[
            (refused, "floods of refs"),
            (refused, "refused"),
            (0, "hung"),
        ],
    );
}
