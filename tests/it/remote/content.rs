//! What a stranger may write into a commit: names, links and texts. One app suffers at most, no file of the host is reached, and nothing of it
//! acts on a terminal.

use std::fs;

use super::super::support::{GitRepo, TestHost, until};
use super::forge::{Content, Forge, lines};
use super::rows::row;
use super::{deployed, follow, page, until_page};

/// A file of the host that no app may show.
const SECRET: &str = "shadow-bytes-of-the-host";

/// Trees that no work tree could hold.
struct Trees<'a> {
    repo: &'a GitRepo,
    /// An app's spec, empty.
    spec: String,
    /// A link to the host's file.
    target: String,
}

impl Trees<'_> {
    fn blob(&self, text: &str) -> String {
        self.repo.git_with(&["hash-object", "-w", "--stdin"], text)
    }

    fn tree(&self, entries: &[String]) -> String {
        self.repo
            .git_with(&["mktree", "--missing"], &(entries.join("\n") + "\n"))
    }

    fn file(&self, name: &str) -> String {
        format!("100644 blob {}\t{name}", self.blob("x"))
    }

    fn link(&self, name: &str) -> String {
        format!("120000 blob {}\t{name}", self.target)
    }

    /// An app with one more entry.
    fn app(&self, name: &str, more: &str) -> String {
        let mut entries = vec![
            format!("100644 blob {}\thop3.toml", self.spec),
            self.file("index.html"),
            more.to_owned(),
        ];
        if more.ends_with("\tindex.html") || more.ends_with("\thop3.toml") {
            let ending = more.rsplit('\t').next().unwrap().to_owned();
            entries.retain(|entry| entry == more || !entry.ends_with(&ending));
        }
        directory(&self.tree(&entries), name)
    }
}

fn directory(id: &str, name: &str) -> String {
    format!("040000 tree {id}\t{name}")
}

/// Pushes apps that are links, submodules and worse beside one good app.
fn push_hostile(host: &TestHost) {
    let repo = &host.repo;
    let blob = |text: &str| repo.git_with(&["hash-object", "-w", "--stdin"], text);
    let target = blob(&host.path("secret").display().to_string());
    let trees = Trees {
        repo,
        spec: blob(""),
        target,
    };
    let head = repo.git(&["rev-parse", "HEAD"]);
    let good = repo.git(&["rev-parse", "HEAD:apps/good"]);
    let up = blob("../../../secret");
    let apps = [
        trees.app("dot-git", &directory(&good, ".GIT")),
        trees.app("dots", &directory(&good, "..")),
        directory(&good, "good"),
        trees.app("hidden", &trees.file("git~1")),
        trees.app("module", &format!("160000 commit {head}\tmodule")),
        trees.app("page-link", &trees.link("index.html")),
        trees.app("spec-link", &trees.link("hop3.toml")),
        trees.app("up-link", &format!("120000 blob {up}\tindex.html")),
        trees.link("app-link"),
    ];
    repo.push_tree(&trees.tree(&[directory(&trees.tree(&apps), "apps")]));
}

#[test]
fn t13_links_submodules_and_hostile_names_reach_no_file_of_the_host() {
    let spec = "[domains]\nlist = [\"good.localhost\"]\n";
    let mut host = TestHost::of_files(&[
        ("apps/good/hop3.toml", spec),
        ("apps/good/index.html", "good"),
    ]);
    let secret = host.path("secret");
    fs::write(&secret, SECRET).unwrap();
    push_hostile(&host);
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
    for app in ["dot-git", "dots", "hidden", "spec-link"] {
        let shown = host.app(app);
        assert!(
            shown["state"] == "held" || shown["state"] == "failing",
            "{app}: {shown:#}"
        );
        printed += &host.run(&["why", app]).out;
    }
    for app in ["page-link", "up-link", "module", "app-link", "spec-link"] {
        let answer = host
            .visit(app, "/index.html")
            .map(|answer| answer.body)
            .unwrap_or_default();
        printed += &(answer + &page(&host, app));
    }
    assert!(!printed.contains(SECRET), "{printed}");
    assert_eq!(fs::metadata(&secret).unwrap().modified().unwrap(), before);
    assert_eq!(page(&host, "good"), "good");
    row(
        "T13",
        &[
            (8, "hostile apps"),
            (0, "bytes of the host shown"),
            (1, "good app beside them deployed"),
        ],
    );
}

/// What takes over a terminal, or turns the text around it.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\u{202e}gnp.exe";

fn push_evil_texts(host: &TestHost) {
    let work = host.path("work/apps");
    for (directory, spec) in [
        ("b\u{1b}[31mad", "x"),
        ("broken", "\"\u{202e}key\" = 1\n[\"\\u001b]0;x\\u0007\"]\n"),
    ] {
        fs::create_dir_all(work.join(directory)).unwrap();
        fs::write(work.join(directory).join("hop3.toml"), spec).unwrap();
    }
    fs::write(work.join("good/index.html"), "by a stranger").unwrap();
    host.repo.git(&["add", "-A"]);
    let (author, message) = (format!("{EVIL} <a@b.example>"), format!("{EVIL}\n\n{EVIL}"));
    host.repo
        .git(&["commit", "-q", "--author", &author, "-m", &message]);
    host.repo.push_head();
    until_page(host, "good", "by a stranger");
    let message = host.path("message");
    fs::write(&message, format!("{EVIL}{}", "y".repeat(1024 * 1024))).unwrap();
    host.repo.git(&[
        "commit",
        "-q",
        "--allow-empty",
        "-F",
        message.to_str().unwrap(),
    ]);
    host.repo.push_head();
    host.sync();
}

#[test]
fn t20_commit_texts_and_server_words_never_reach_a_terminal_as_they_are() {
    let mut host = deployed();
    host.start();
    push_evil_texts(&host);
    let mut lines = 0;
    for command in [
        "status",
        "status --json",
        "plan",
        "plan --json",
        "why good",
        "why good --json",
        "why broken",
        "history",
        "history --json",
        "sync --wait",
    ] {
        let command = host.run(&command.split(' ').collect::<Vec<_>>());
        lines += assert_harmless(&command.out) + assert_harmless(&command.err);
    }
    host.stop();
    // What a server says in its refusal.
    let forge = Forge::start(Content::Refs(Vec::new()), |_, answer| {
        answer.body(refusal())
    });
    follow(&host, &format!("url = {:?}", forge.url()));
    host.start();
    until(
        "a problem",
        || super::repo(&host),
        |repo| !repo["problem"].is_null(),
    );
    for command in ["status", "status --json", "history", "why good"] {
        lines += assert_harmless(&host.run(&command.split(' ').collect::<Vec<_>>()).out);
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

fn refusal() -> Vec<u8> {
    lines(&[&format!("ERR {EVIL}{}\n", "z".repeat(5000))])
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
