//! What is never obeyed: hostile addresses and names, and the configuration, hooks, filters and links of any repository.

use std::path::Path;

use hop3_agent::repo::{FetchOutcome, Reference, RepoUrl};

use crate::rows::row;
use crate::world::{SPEC, World};

/// The first bytes of two documents with one SHA-1, found in 2017: what differs between them are the last 128 bytes.
const SHATTERED: [&str; 2] = [
    "7f46dc93a6b67e013b029aaa1db2560b45ca67d688c7f84b8c4c791fe02b3df614f86db1690901c56b45c1530afedfb76038e972722fe7ad728f0e4904e046c2\
     30570fe9d41398abe12ef5bc942be33542a4802d98b5d70f2a332ec37fac3514e74ddc0f2cc1a874cd0c78305a21566461309789606bd0bf3f98cda8044629a1",
    "7346dc9166b67e118f029ab621b2560ff9ca67cca8c7f85ba84c79030c2b3de218f86db3a90901d5df45c14f26fedfb3dc38e96ac22fe7bd728f0e45bce046d2\
     3c570feb141398bb552ef5a0a82be331fea48037b8b5d71f0e332edf93ac3500eb4ddc0decc1a864790c782c76215660dd309791d06bd0af3f98cda4bc4629b1",
];
const PREFIX: &str = "255044462d312e330a25e2e3cfd30a0a0a312030206f626a0a3c3c2f57696474682032203020522f4865696768742033203020522f547970652034203020522f\
     537562747970652035203020522f46696c7465722036203020522f436f6c6f7253706163652037203020522f4c656e6774682038203020522f42697473506572\
     436f6d706f6e656e7420383e3e0a73747265616d0affd8fffe00245348412d3120697320646561642121212121852fec092339759c39b1a1c63c4c97e1fffe01";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    pairs.collect()
}

#[test]
fn t18_a_sha1_collision_is_reported_by_the_hasher_that_names_objects() {
    let [one, other] = SHATTERED.map(|end| [bytes(PREFIX), bytes(end)].concat());
    assert_ne!(one, other);
    let hashed = |data: &[u8]| {
        let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
        hasher.update(data);
        hasher.try_finalize()
    };
    for document in [&one, &other] {
        assert!(
            hashed(document)
                .unwrap_err()
                .to_string()
                .contains("f92d74e3874587aaf443d1db961d4e26dde13e9c")
        );
    }
    assert!(hashed(&one[..one.len() - 1]).is_ok());
    row("T18", &[(2, "colliding documents"), (2, "reported")]);
}

/// Everything that could make a careless program run something or look elsewhere.
const ADDRESSES: [&str; 62] = [
    "--upload-pack=touch CANARY",
    "-oProxyCommand=touch CANARY",
    "--",
    "-",
    "",
    " ",
    "\t",
    "\n",
    "\0",
    "ext::sh -c 'touch CANARY'",
    "ext::touch CANARY",
    "fd::7/foo",
    "file::///etc",
    "transport::helper://x",
    "git://forge.example/c.git",
    "ftp://forge.example/c",
    "ftps://forge.example/c",
    "rsync://forge.example/c",
    "git+ssh://git@forge.example/c",
    "ssh+git://git@forge.example/c",
    "http://forge.example/c.git",
    "HTTP://forge.example/c.git",
    "javascript:alert(1)",
    "data:text/plain,x",
    "gopher://forge.example/c",
    "https://-oProxyCommand=x/c.git",
    "https:///c.git",
    "https://",
    "https://forge.example",
    "https://forge.example/",
    "https://forge.example/c.git\nHost: evil",
    "https://forge.example/c.git?service=x",
    "https://forge.example/c.git#x",
    "https://forge.example/$(touch CANARY)",
    "https://forge.example/`touch CANARY`",
    "https://forge.example/c.git;touch CANARY",
    "https://forge.example/c.git|touch CANARY",
    "https://forge.example/c .git",
    "https://forge.example/\"c.git",
    "https://forge.example/'c.git",
    "https://user:pass@forge.example/c.git",
    "https://user@forge.example/c.git",
    "https://forge.example\\@evil.example/c.git",
    "https://forge.example/\u{1b}]0;x\u{7}",
    "ssh://-oProxyCommand=touch CANARY/c.git",
    "ssh://-oProxyCommand=x@forge.example/c.git",
    "ssh://git@-oProxyCommand=x/c.git",
    "ssh://git@forge.example:-1/c.git",
    "ssh://git@forge.example:22x/c.git",
    "ssh://git@forge.example/'$(touch CANARY)'",
    "ssh://git@forge.example/-x",
    "ssh://forge.example/c.git",
    "ssh://git:pass@forge.example/c.git",
    "git@forge.example:-oProxyCommand=x",
    "git@-x:c.git",
    "-x@forge.example:c.git",
    "git@forge.example:c.git;touch CANARY",
    "git@forge.example:`touch CANARY`",
    "/srv/git/c.git",
    "../c.git",
    "file://host/c.git",
    "file:///srv/../etc",
];

const NAMES: [&str; 30] = [
    "",
    "-x",
    "--upload-pack=touch CANARY",
    "--output=x",
    "a b",
    "a\tb",
    "a\nb",
    "a\0b",
    "a..b",
    "a.lock",
    "a/.b",
    ".a",
    "a/",
    "/a",
    "a//b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[b",
    "a\\b",
    "@{-1}",
    "a@{1}",
    "@",
    "refs/",
    "refs/heads/",
    "refs/heads/..",
    "refs/heads/a b",
    "a\u{7f}",
];

#[test]
fn t12_hostile_addresses_and_names_are_refused_before_anything_runs() {
    for address in ADDRESSES {
        assert!(RepoUrl::parse(address).is_err(), "{address:?}");
    }
    let mut refused = 0;
    for name in NAMES {
        assert!(Reference::tag(name).is_err() || name == "@", "{name:?}");
        assert!(Reference::branch(name).is_err() || name == "@", "{name:?}");
        assert!(Reference::semver(name).is_err(), "{name:?}");
        assert!(Reference::commit(name).is_err(), "{name:?}");
        refused += 1;
    }
    row(
        "T12",
        &[
            (ADDRESSES.len(), "hostile addresses"),
            (refused, "hostile names of refs"),
            (ADDRESSES.len() + refused, "refused"),
        ],
    );
}

#[tokio::test]
async fn t14_hooks_filters_and_configuration_of_repositories_are_not_obeyed() {
    let canary = tempfile::tempdir().unwrap();
    let touch = format!("touch {}/canary", canary.path().display());
    let world = World::new(&[
        ("apps/shop/hop3.toml", SPEC),
        (".gitattributes", "* filter=evil diff=evil merge=evil\n"),
        (".lfsconfig", &format!("[lfs]\n\turl = ext::{touch}\n")),
        (
            ".gitmodules",
            &format!("[submodule \"x\"]\n\tpath = x\n\turl = ext::{touch}\n\tupdate = !{touch}\n"),
        ),
        ("hooks/post-checkout", &format!("#!/bin/sh\n{touch}\n")),
    ]);
    world.cycle().await.unwrap();
    let evil = format!(
        "[core]\n\tfsmonitor = {touch}\n\tsshCommand = {touch}\n\thooksPath = {hooks}\n\tgitProxy = {touch}\n[filter \"evil\"]\n\tsmudge = {touch}\n\
         \tclean = {touch}\n\tprocess = {touch}\n[credential]\n\thelper = !{touch}\n[url \"file:///nowhere/\"]\n\tinsteadOf = file:///\n[uploadpack]\n\
         \tpackObjectsHook = {touch}\n[include]\n\tpath = /etc/passwd\n[gc]\n\tauto = 1\n[protocol]\n\tallow = never\n[fetch]\n\tnegotiationAlgorithm = noop\n",
        hooks = canary.path().display()
    );
    let ours = world.directory.path().join("agent/repo");
    for repository in [world.repo.bare(), ours.as_path()] {
        let config = repository.join("config");
        let before = std::fs::read_to_string(&config).unwrap();
        let theirs = if repository == ours {
            evil.clone()
        } else {
            // What would stop the server's own git is no trap for ours.
            evil.replace("[include]\n\tpath = /etc/passwd\n", "")
                .replace("[protocol]\n\tallow = never\n", "")
        };
        std::fs::write(config, format!("{before}\n{theirs}")).unwrap();
        plant_hooks(repository, &touch);
    }
    world.repo.push(&[("apps/shop/index.html", "x")], "second");
    assert_eq!(world.cycle().await.unwrap(), FetchOutcome::FastForward);
    assert_eq!(world.listing().unwrap().apps.len(), 1);
    let left: Vec<_> = std::fs::read_dir(canary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    row(
        "T14",
        &[
            (26, "traps in configuration, hooks, attributes and modules"),
            (0, "sprung"),
        ],
    );
}

fn plant_hooks(repository: &Path, touch: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let hooks = repository.join("hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for name in [
        "pre-receive",
        "update",
        "post-update",
        "post-receive",
        "reference-transaction",
        "post-checkout",
        "pre-auto-gc",
        "fsmonitor-watchman",
    ] {
        // Those that a push itself runs belong to whoever pushes.
        let body = if name.contains("receive")
            || name.contains("update")
            || name == "reference-transaction"
        {
            "exit 0"
        } else {
            touch
        };
        let path = hooks.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}
