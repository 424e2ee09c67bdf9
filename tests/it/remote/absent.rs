//! Repositories that are down, gone, emptied, closed or damaged: absence never means that everything is to be removed, and apps are mended
//! without them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::super::support::{TestHost, until};
use super::forge::{Answer, Content, Forge};
use super::git_server::{GitServer, free_port};
use super::rows::row;
use super::{deployed, follow, page, repo, until_page, until_state};

/// An app whose process can be killed, followed over HTTP.
fn with_a_process() -> TestHost {
    let spec = "[build]\ntoolchain = \"generic\"\n[run]\nstart = \"exec python3 -m http.server --bind 127.0.0.1 $PORT\"\n\
                [domains]\nlist = [\"good.localhost\"]\n";
    TestHost::of_files(&[
        ("apps/good/hop3.toml", spec),
        ("apps/good/index.html", "good"),
    ])
}

fn instance(host: &TestHost) -> Option<super::super::support::Process> {
    let mut processes = host.app_processes();
    processes.retain(|name, _| name.contains("web.0"));
    processes.into_values().next()
}

#[test]
fn f08_apps_are_mended_while_the_config_repo_is_down_also_after_a_restart_of_the_agent() {
    let mut host = with_a_process();
    fs::create_dir(host.path("served")).unwrap();
    let Some(mut server) =
        GitServer::start(&host.path("served"), host.repo.bare().parent().unwrap())
    else {
        return;
    };
    follow(
        &host,
        &format!(
            "url = \"http://127.0.0.1:{}/git/config.git\"",
            server.plain_port()
        ),
    );
    host.configure(|text| text + "\n[drift]\ninterval = \"1s\"\n");
    host.start();
    host.assert_settled(&["good"]);
    server.stop();
    let mut mended = 0;
    for restart in [false, true] {
        if restart {
            host.stop();
            host.start();
        }
        until_state_only(&host, "unreachable");
        let before = instance(&host).unwrap();
        before.kill();
        until(
            "another process of the app",
            || instance(&host),
            |now| now.as_ref().is_some_and(|now| *now != before),
        );
        until_page(&host, "good", "good");
        // Somebody ends the proxy and with it the way in.
        let proxy = host.proxy_holder();
        host.proxy_worker().kill();
        proxy.kill();
        until_page(&host, "good", "good");
        assert_ne!(host.proxy_holder(), proxy);
        mended += 2;
    }
    server.start_with("leaf");
    host.repo
        .push(&[("apps/good/index.html", "again")], "again");
    until_page(&host, "good", "again");
    let name = "url = \"https://nowhere.invalid/config.git\"";
    host.stop();
    follow(&host, name);
    host.start();
    until_state_only(&host, "unreachable");
    assert_eq!(page(&host, "good"), "again");
    row(
        "F08",
        &[
            (4, "things broken while the repo was down"),
            (mended, "mended"),
            (1, "name that does not resolve"),
        ],
    );
}

fn until_state_only(host: &TestHost, state: &str) {
    until(
        &format!("the state `{state}`"),
        || repo(host),
        |repo| repo["state"] == state,
    );
}

/// What a forge says instead of serving.
type Mood = Arc<Mutex<Option<Answer>>>;

fn moody(repository: &Path) -> (Forge, Mood) {
    let mood = Mood::default();
    let shown = Arc::clone(&mood);
    let forge = Forge::start(
        Content::Repository(repository.to_owned()),
        move |_, answer| shown.lock().unwrap().clone().unwrap_or(answer),
    );
    (forge, mood)
}

#[test]
fn f13_a_repo_that_is_gone_closed_or_emptied_removes_nothing_and_is_told() {
    let mut host = deployed();
    let (forge, mood) = moody(host.repo.bare());
    follow(&host, &format!("url = {:?}", forge.url()));
    host.start();
    until_state(&host, "ok");
    let bare = host.repo.bare().to_str().unwrap().to_owned();
    // A forge lets the branch go that a bare repository protects.
    host.repo.git(&[
        "--git-dir",
        &bare,
        "config",
        "receive.denyDeleteCurrent",
        "ignore",
    ]);
    let head = host.repo.git(&["rev-parse", "HEAD"]);
    let restore = || {
        host.repo.git(&[
            "push",
            "-q",
            "--force",
            &bare,
            &format!("{head}:refs/heads/main"),
        ])
    };
    let mut kept = 0;
    for (status, state) in [
        ("404 Not Found", "not-a-repository"),
        ("410 Gone", "not-a-repository"),
        ("401 Unauthorized", "unauthorized"),
        ("403 Forbidden", "unauthorized"),
        ("301 Moved Permanently", "redirected"),
        ("500 Internal Server Error", "unreachable"),
    ] {
        *mood.lock().unwrap() =
            Some(Answer::status(status).header("Location: https://nowhere.invalid/"));
        host.sync();
        until_state(&host, state);
        assert_eq!(host.app("good")["state"], "running", "{status}");
        *mood.lock().unwrap() = None;
        host.sync();
        until_state(&host, "ok");
        kept += 1;
    }
    // The branch is renamed, then every branch goes, then the commit is empty.
    host.repo.git(&[
        "push",
        "-q",
        &bare,
        &format!("{head}:refs/heads/trunk"),
        ":refs/heads/main",
    ]);
    host.sync();
    let renamed = until_state(&host, "branch-missing");
    assert!(
        renamed["hint"].as_str().unwrap().contains("`trunk`"),
        "{renamed:#}"
    );
    host.repo.git(&["push", "-q", &bare, ":refs/heads/trunk"]);
    host.sync();
    until_state(&host, "empty-repository");
    restore();
    host.sync();
    until_state(&host, "ok");
    host.repo.git(&["rm", "-q", "-r", "."]);
    host.repo.push(&[], "Nothing is left");
    host.sync();
    assert_eq!(page(&host, "good"), "good");
    assert!(
        !host.status()["apps"].as_array().unwrap().is_empty(),
        "an empty tree removed the app"
    );
    kept += 3;
    row(
        "F13",
        &[
            (9, "kinds of absence"),
            (kept, "kept running and told"),
            (0, "apps removed"),
        ],
    );
}

/// The files of the agent's copy.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn f11_a_damaged_copy_heals_from_the_forge_and_harms_nothing_while_that_is_down() {
    let mut host = deployed();
    let copy = host.path("data/agent/repo");
    let objects = |host: &TestHost| {
        let mut files = files(&host.path("data/agent/repo"));
        files.retain(|file| {
            !file
                .components()
                .any(|part| part.as_os_str() == "hooks" || part.as_os_str() == "info")
        });
        files
    };
    let (mut points, mut healed) = (0, 0);
    for round in 0..objects(&host).len() * 2 {
        let files = objects(&host);
        let file = &files[(round / 2) % files.len()];
        let mut bytes = fs::read(file).unwrap();
        fs::remove_file(file).unwrap();
        if round % 2 == 0 && !bytes.is_empty() {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            fs::write(file, bytes).unwrap();
        }
        points += 1;
        // Down: whatever is damaged, the app answers and nothing is done to it.
        let away = host.repo.bare().with_extension("away");
        fs::rename(host.repo.bare(), &away).unwrap();
        host.start();
        let down = host.run(&["sync", "--wait"]);
        assert_ne!(down.code, 0, "{}: {down:#?}", file.display());
        assert_eq!(page(&host, "good"), "good", "{}", file.display());
        // Up again: it heals alone.
        fs::rename(&away, host.repo.bare()).unwrap();
        host.repo
            .push(&[("apps/good/VERSION", &round.to_string())], "next");
        host.assert_settled(&["good"]);
        assert_eq!(page(&host, "good"), "good");
        host.stop();
        healed += 1;
    }
    assert!(
        copy.exists()
            && !copy.with_extension("new").exists()
            && !copy.with_extension("old").exists()
    );
    row(
        "F11",
        &[
            (
                points,
                "files changed by a bit or deleted under a stopped agent",
            ),
            (healed, "healed"),
            (0, "apps harmed"),
        ],
    );
}

#[test]
fn a_mirror_stands_in_and_the_status_says_so() {
    let mut host = deployed();
    let (forge, mood) = moody(host.repo.bare());
    follow(
        &host,
        &format!(
            "url = {:?}\nmirrors = [\"http://127.0.0.1:{}/c.git\", {:?}]",
            forge.url(),
            free_port(),
            host.repo.url()
        ),
    );
    host.start();
    until_state(&host, "ok");
    *mood.lock().unwrap() =
        Some(Answer::status("503 Service Unavailable").header("Retry-After: 600"));
    host.repo
        .push(&[("apps/good/index.html", "from a mirror")], "next");
    host.sync();
    until_page(&host, "good", "from a mirror");
    let status = repo(&host);
    assert_eq!(
        (&status["state"], &status["mirror"]["url"]),
        (&"ok".into(), &host.repo.url().into()),
        "{status:#}"
    );
    assert!(
        host.done(&["status"]).contains("503"),
        "{}",
        host.done(&["status"])
    );
    *mood.lock().unwrap() = None;
    host.sync();
    until(
        "the address itself",
        || repo(&host),
        |repo| repo["mirror"].is_null(),
    );
}
