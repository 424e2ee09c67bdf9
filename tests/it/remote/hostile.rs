//! Hostile content and hostile servers: one app suffers at most, the agent keeps its memory, and nothing that a stranger wrote reaches a terminal.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gix::objs::Kind;

use super::super::support::{TestHost, until};
use super::forge::{Answer, Content, End, Forge, Stage, lines};
use super::pack::Pack;
use super::rows::row;
use super::{deployed, follow, page, until_page, until_state};

const COMMIT: &str = "95d09f2b10159347eece71399a7e2e907ea3df4f";

/// The most memory that the agent itself has used, in KiB.
fn peak(host: &TestHost) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", host.agent_process().pid)).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn t15_floods_and_bombs_leave_the_agent_its_memory_and_the_apps_alone() {
    let mut host = deployed();
    let mut flood = lines(&[&format!("{COMMIT} refs/heads/branch-of-somebody\n")]).repeat(1);
    flood.truncate(flood.len() - 4);
    let million = flood.repeat(1_000_000);
    let (tip, pack) = too_many_objects();
    let cases: [(&str, Content, Stage, Option<(Vec<u8>, End)>); 4] = [
        (
            "a million refs",
            Content::Refs(Vec::new()),
            Stage::Refs,
            Some((million.clone(), End::Close)),
        ),
        (
            "endless refs",
            Content::Refs(Vec::new()),
            Stage::Refs,
            Some((flood, End::Endless)),
        ),
        (
            "a million refs in the handshake of a fetch",
            Content::Pack {
                tip: tip.clone(),
                pack: pack.clone(),
            },
            Stage::Handshake,
            Some((million, End::Close)),
        ),
        (
            "2^32 objects",
            Content::Pack { tip, pack },
            Stage::Pack,
            None,
        ),
    ];
    let number = cases.len();
    let mut worst = 0;
    for (what, content, stage, flood) in cases {
        let forge = Forge::start(content, move |request, answer| match &flood {
            Some((body, end)) if request.stage == stage => Answer {
                body: body.clone(),
                end: *end,
                ..answer
            },
            _ => answer,
        });
        follow(&host, &format!("url = {:?}", host.repo.url()));
        host.start();
        until_state(&host, "ok");
        host.stop();
        follow(&host, &format!("url = {:?}", forge.url()));
        host.start();
        let before = peak(&host);
        let started = Instant::now();
        let sync = host.run(&["sync", "--wait"]);
        assert_ne!(sync.code, 0, "{what}: {sync:#?}");
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{what}: {:?}",
            started.elapsed()
        );
        assert_eq!(page(&host, "good"), "good", "{what}");
        worst = worst.max(peak(&host).saturating_sub(before));
        host.stop();
    }
    row(
        "T15",
        &[
            (number, "floods and bombs against the agent"),
            (number, "refused"),
            (
                usize::try_from(worst / 1024).unwrap(),
                "MiB more at most in the agent",
            ),
        ],
    );
    assert!(worst < 32 * 1024, "the agent grew by {worst} KiB");
}

fn too_many_objects() -> (String, Vec<u8>) {
    let mut pack = Pack::default();
    let tree = pack.tree(&[]);
    let tip = pack.commit(&tree);
    (tip, pack.claiming(u32::MAX).bytes())
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
    assert!(
        host.done(&["why", "deep"]).contains("deeper than"),
        "{}",
        host.done(&["why", "deep"])
    );
    assert!(host.app("wide").is_null(), "it has no spec");
    assert_eq!(page(&host, "good"), "good");
    let grown = usize::try_from(peak(&host).saturating_sub(before) / 1024).unwrap();
    row(
        "T15",
        &[
            (1, "app that is a bomb"),
            (1, "failing"),
            (1, "other app deployed"),
            (grown, "MiB more in the agent"),
        ],
    );
}

#[test]
fn t13_links_submodules_and_hostile_names_reach_no_file_of_the_host() {
    let mut host = TestHost::of_files(&[
        (
            "apps/good/hop3.toml",
            "[domains]\nlist = [\"good.localhost\"]\n",
        ),
        ("apps/good/index.html", "good"),
    ]);
    let secret = host.path("secret");
    fs::write(&secret, "shadow-bytes-of-the-host").unwrap();
    let repo = &host.repo;
    let head = repo.git(&["rev-parse", "HEAD"]);
    let good = repo.git(&["rev-parse", "HEAD:apps/good"]);
    let blob = |text: &str| repo.git_with(&["hash-object", "-w", "--stdin"], text);
    let tree =
        |entries: &[String]| repo.git_with(&["mktree", "--missing"], &(entries.join("\n") + "\n"));
    let target = blob(&secret.display().to_string());
    let (plain, escape) = (blob("x"), blob("../../../secret"));
    let link = |name: &str| format!("120000 blob {target}\t{name}");
    let file = |name: &str| format!("100644 blob {plain}\t{name}");
    let directory = |id: &str, name: &str| format!("040000 tree {id}\t{name}");
    let spec = format!("100644 blob {}\thop3.toml", blob(""));
    let spec_link = tree(&[link("hop3.toml")]);
    let page_link = tree(&[spec.clone(), link("index.html")]);
    let up_link = tree(&[spec.clone(), format!("120000 blob {escape}\tindex.html")]);
    let dot_git = tree(&[directory(&good, ".GIT"), spec.clone(), file("index.html")]);
    let dots = tree(&[directory(&good, ".."), spec.clone(), file("index.html")]);
    let module = tree(&[
        spec.clone(),
        file("index.html"),
        format!("160000 commit {head}\tmodule"),
    ]);
    let hidden = tree(&[file("git~1"), spec, file("index.html")]);
    let mut apps: Vec<_> = [
        ("dot-git", &dot_git),
        ("dots", &dots),
        ("good", &good),
        ("hidden", &hidden),
        ("module", &module),
        ("page-link", &page_link),
        ("spec-link", &spec_link),
        ("up-link", &up_link),
    ]
    .map(|(name, id)| directory(id, name))
    .into();
    apps.push(format!("120000 blob {target}\tapp-link"));
    let apps = tree(&apps);
    repo.push_tree(&tree(&[directory(&apps, "apps")]));
    let before = fs::metadata(&secret).unwrap().modified().unwrap();
    host.start();
    until_page(&host, "good", "good");
    host.sync();
    let mut printed = host.log();
    for command in [
        &["status"][..],
        &["status", "--json"],
        &["plan"],
        &["history"],
    ] {
        printed += &host.run(command).out;
    }
    let hostile = ["dot-git", "dots", "hidden", "spec-link", "app-link"];
    for app in hostile {
        let shown = host.app(app);
        assert!(
            shown["state"] == "held"
                || shown["state"] == "failing"
                || shown.is_null() && app == "app-link",
            "{app}: {shown:#}"
        );
        printed += &host.run(&["why", app]).out;
    }
    for app in ["page-link", "up-link", "module"] {
        assert!(!page(&host, app).contains("shadow-bytes"), "{app}");
        let answer = host
            .visit(app, "/index.html")
            .map(|answer| answer.body)
            .unwrap_or_default();
        assert!(!answer.contains("shadow-bytes"), "{app}");
    }
    assert!(!printed.contains("shadow-bytes-of-the-host"), "{printed}");
    assert_eq!(fs::metadata(&secret).unwrap().modified().unwrap(), before);
    assert_eq!(page(&host, "good"), "good");
    row(
        "T13",
        &[
            (9, "hostile apps"),
            (0, "bytes of the host shown"),
            (1, "good app beside them deployed"),
        ],
    );
}

#[test]
fn t20_commit_texts_and_server_words_never_reach_a_terminal_as_they_are() {
    let mut host = deployed();
    host.start();
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\u{202e}gnp.exe";
    host.repo.git(&["config", "user.name", "x"]);
    let long = "y".repeat(1024 * 1024);
    fs::write(host.path("work/apps/good/index.html"), "by a stranger").unwrap();
    fs::create_dir_all(host.path("work/apps/b\u{1b}[31mad")).unwrap();
    fs::write(host.path("work/apps/b\u{1b}[31mad/hop3.toml"), "x").unwrap();
    fs::create_dir_all(host.path("work/apps/broken")).unwrap();
    fs::write(
        host.path("work/apps/broken/hop3.toml"),
        "\"\u{202e}key\" = 1\n[\"\\u001b]0;x\\u0007\"]\n",
    )
    .unwrap();
    host.repo.git(&["add", "-A"]);
    host.repo.git(&[
        "commit",
        "-q",
        "--author",
        &format!("{evil} <a@b.example>"),
        "-m",
        &format!("{evil}\n\n{evil}"),
    ]);
    host.repo.push_head();
    until_page(&host, "good", "by a stranger");
    fs::write(host.path("message"), format!("{evil}{long}")).unwrap();
    let message = host.path("message").display().to_string();
    host.repo
        .git(&["commit", "-q", "--allow-empty", "-F", &message]);
    host.repo.push_head();
    host.sync();
    let mut lines = 0;
    for command in [
        &["status"][..],
        &["status", "--json"],
        &["plan"],
        &["plan", "--json"],
        &["why", "good"],
        &["why", "good", "--json"],
        &["why", "broken"],
        &["history"],
        &["history", "--json"],
        &["sync", "--wait"],
    ] {
        let command = host.run(command);
        lines += assert_harmless(&command.out) + assert_harmless(&command.err);
    }
    host.stop();
    // What a server says in its refusal.
    let forge = Forge::start(Content::Refs(Vec::new()), move |_, answer| {
        answer.body(super::forge::lines(&[&format!(
            "ERR {evil}{}\n",
            "z".repeat(5000)
        )]))
    });
    follow(&host, &format!("url = {:?}", forge.url()));
    host.start();
    until(
        "a problem",
        || super::repo(&host),
        |repo| !repo["problem"].is_null(),
    );
    for command in [
        &["status"][..],
        &["status", "--json"],
        &["history"],
        &["why", "good"],
    ] {
        lines += assert_harmless(&host.run(command).out);
    }
    lines += assert_harmless(&host.log());
    row(
        "T20",
        &[
            (
                lines,
                "lines printed or logged about hostile commits and servers",
            ),
            (0, "with a control character"),
        ],
    );
}

/// No control character but the end of a line, no text that runs the other way, no line without end.
#[track_caller]
fn assert_harmless(text: &str) -> usize {
    let hostile = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    for line in text.lines() {
        assert!(
            !line.chars().any(hostile),
            "{:?}",
            &line.chars().take(300).collect::<String>()
        );
        assert!(line.len() <= 16 * 1024, "a line of {} bytes", line.len());
    }
    text.lines().count()
}

#[test]
fn t42_neither_a_redirect_of_the_config_repo_nor_an_apps_source_reaches_another_server() {
    let mut host = deployed();
    let metadata = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = metadata.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in metadata.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    let token = host.path("token");
    fs::write(&token, "canary-token").unwrap();
    let mut redirects = 0;
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        for target in [
            format!("http://{address}/latest/meta-data/"),
            format!(
                "http://localhost:{}/c.git/info/refs?service=git-upload-pack",
                address.port()
            ),
            "file:///etc/passwd".to_owned(),
        ] {
            let answer = Answer::status(status).header(&format!("Location: {target}"));
            let forge = Forge::start(Content::Refs(Vec::new()), move |_, _| answer.clone());
            follow(
                &host,
                &format!(
                    "url = {:?}\ntoken-file = {}",
                    forge.url(),
                    super::quoted(&token)
                ),
            );
            let apply = host.run(&["apply"]);
            assert_eq!(apply.code, 1, "{apply:#?}");
            assert!(apply.err.contains("redirects to"), "{apply:#?}");
            assert!(!apply.err.contains("canary-token"));
            redirects += 1;
        }
    }
    follow(&host, &format!("url = {:?}", host.repo.url()));
    for (name, source) in [
        (
            "by-url",
            format!(
                "url = \"http://{address}/app.tar.gz\"\nsha256 = \"{}\"",
                "0".repeat(64)
            ),
        ),
        (
            "by-git",
            format!("git = \"http://{address}/app.git\"\nbranch = \"main\""),
        ),
    ] {
        fs::create_dir_all(host.path("work/apps").join(name)).unwrap();
        fs::write(
            host.path("work/apps").join(name).join("hop3.toml"),
            format!("[source]\n{source}\n"),
        )
        .unwrap();
    }
    host.commit("Sources elsewhere");
    host.start();
    host.sync();
    for app in ["by-url", "by-git"] {
        assert_eq!(host.app(app)["state"], "held", "{:#}", host.app(app));
    }
    assert_eq!(page(&host, "good"), "good");
    assert_eq!(
        asked.load(Ordering::SeqCst),
        0,
        "the other server was asked"
    );
    row(
        "T42",
        &[
            (redirects, "redirects of the config repo"),
            (2, "sources elsewhere"),
            (0, "requests to another server"),
        ],
    );
}
