//! Floods and bombs against the whole agent: it keeps its memory, and all other apps.

use std::fs;
use std::time::{Duration, Instant};

use gix::objs::Kind;

use super::super::support::{TestHost, until};
use super::forge::{Answer, Content, End, Forge, Stage, lines};
use super::pack::Pack;
use super::rows::row;
use super::{deployed, follow, page, until_page, until_state};

const COMMIT: &str = "95d09f2b10159347eece71399a7e2e907ea3df4f";
/// What the agent may grow by, in KiB: a few times what it reads of an answer at most, for the allocator keeps for some seconds what was dropped.
const GROWTH: u64 = 40 * 1024;

/// The most memory that the agent itself has used, in KiB.
fn peak(host: &TestHost) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", host.agent_process().pid)).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A server, and in which stage it sends which flood.
struct Attack {
    what: &'static str,
    content: Content,
    flood: Option<(Stage, Vec<u8>, End)>,
}

fn attacks() -> [Attack; 4] {
    let mut one = lines(&[&format!("{COMMIT} refs/heads/branch-of-somebody\n")]);
    one.truncate(one.len() - 4);
    let million = one.repeat(1_000_000);
    let (tip, pack) = too_many_objects();
    let (refs, pack) = (Content::Refs(Vec::new()), Content::Pack { tip, pack });
    [
        Attack {
            what: "a million refs",
            content: refs.clone(),
            flood: Some((Stage::Refs, million.clone(), End::Close)),
        },
        Attack {
            what: "endless refs",
            content: refs,
            flood: Some((Stage::Refs, one, End::Endless)),
        },
        Attack {
            what: "a million refs in the handshake of a fetch",
            content: pack.clone(),
            flood: Some((Stage::Handshake, million, End::Close)),
        },
        Attack {
            what: "2^32 objects",
            content: pack,
            flood: None,
        },
    ]
}

fn too_many_objects() -> (String, Vec<u8>) {
    let mut pack = Pack::default();
    let tree = pack.tree(&[]);
    let tip = pack.commit(&tree);
    (tip, pack.claiming(u32::MAX).bytes())
}

/// By how many KiB the agent grew.
fn withstand(host: &mut TestHost, attack: Attack) -> u64 {
    let Attack {
        what,
        content,
        flood,
    } = attack;
    let forge = Forge::start(content, move |request, answer| match &flood {
        Some((stage, body, end)) if request.stage == *stage => Answer {
            body: body.clone(),
            end: *end,
            ..answer
        },
        _ => answer,
    });
    follow(host, &format!("url = {:?}", host.repo.url()));
    host.start();
    until_state(host, "ok");
    host.stop();
    follow(host, &format!("url = {:?}", forge.url()));
    host.start();
    let before = peak(host);
    let started = Instant::now();
    let sync = host.run(&["sync", "--wait"]);
    assert_ne!(sync.code, 0, "{what}: {sync:#?}");
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{what}: {:?}",
        started.elapsed()
    );
    assert_eq!(page(host, "good"), "good", "{what}");
    let grown = peak(host).saturating_sub(before);
    host.stop();
    grown
}

#[test]
fn t15_floods_and_bombs_leave_the_agent_its_memory_and_the_apps_alone() {
    let mut host = deployed();
    let attacks = attacks();
    let number = attacks.len();
    let worst = attacks
        .into_iter()
        .map(|attack| withstand(&mut host, attack))
        .max()
        .unwrap();
    let megabytes = usize::try_from(worst / 1024).unwrap();
    row(
        "T15",
        &[
            (number, "floods and bombs against the agent"),
            (number, "refused"),
            (megabytes, "MiB more at most in the agent"),
        ],
    );
    assert!(worst < GROWTH, "the agent grew by {worst} KiB");
}

/// An app that is a directory in a directory in a directory, beside a good one, and ten thousand million paths where no app is.
fn monsters() -> (String, Vec<u8>) {
    let mut pack = Pack::default();
    let blob = pack.object(Kind::Blob, b"x");
    let spec = pack.object(Kind::Blob, b"[domains]\nlist = [\"good.localhost\"]\n");
    let empty = pack.object(Kind::Blob, b"");
    let text = pack.object(Kind::Blob, b"good");
    let good = pack.tree(&[
        ("100644", "hop3.toml", &spec),
        ("100644", "index.html", &text),
    ]);
    let mut nested = |levels: usize, names: &[&str]| {
        let (mut level, mut mode) = (blob.clone(), "100644");
        for _ in 0..levels {
            let entries: Vec<_> = names
                .iter()
                .map(|name| (mode, *name, level.as_str()))
                .collect();
            level = pack.tree(&entries);
            mode = "40000";
        }
        level
    };
    let inner = nested(100_000, &["d"]);
    let wide = nested(10, &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    let deep = pack.tree(&[
        ("100644", "hop3.toml", &empty),
        ("100644", "index.html", &text),
        ("40000", "z", &inner),
    ]);
    let apps = pack.tree(&[
        ("40000", "deep", &deep),
        ("40000", "good", &good),
        ("40000", "wide", &wide),
    ]);
    let root = pack.tree(&[("40000", "apps", &apps), ("40000", "wide", &wide)]);
    (pack.commit(&root), pack.bytes())
}

#[test]
fn t15_an_app_that_is_a_bomb_costs_itself_and_no_other() {
    let mut host = TestHost::of_files(&[("README.md", "nothing yet")]);
    let (tip, pack) = monsters();
    let forge = Forge::start(Content::Pack { tip, pack }, |_, answer| answer);
    follow(&host, &format!("url = {:?}", forge.url()));
    host.start();
    let before = peak(&host);
    until_page(&host, "good", "good");
    host.sync();
    let is_stopped = |state: &serde_json::Value| *state == "failing" || *state == "held";
    until(
        "an end of the bomb",
        || host.app("deep")["state"].clone(),
        is_stopped,
    );
    let why = host.done(&["why", "deep"]);
    assert!(why.contains("deeper than"), "{why}");
    assert!(host.app("wide").is_null(), "it has no spec");
    assert_eq!(page(&host, "good"), "good");
    let grown = peak(&host).saturating_sub(before);
    let megabytes = usize::try_from(grown / 1024).unwrap();
    row(
        "T15",
        &[
            (1, "app that is a bomb"),
            (1, "failing"),
            (1, "other app deployed"),
            (megabytes, "MiB more in the agent"),
        ],
    );
    assert!(grown < GROWTH, "the agent grew by {grown} KiB");
}
