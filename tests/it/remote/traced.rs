//! What the agent executes, as the kernel sees it: hostile addresses and names run nothing, and honest ones only the programs that git needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::support::TestHost;
use super::rows::row;
use super::ssh_server::SshServer;
use super::{deployed, follow, quoted};

const AGENT: &str = env!("CARGO_BIN_EXE_hop3-agent");

/// Programs that a fetch may run. `git` serves a repository on this machine, and packs what it sends.
const ALLOWED: [&str; 5] = ["hop3-agent", "exe", "git-upload-pack", "git", "ssh"];

/// Runs a command of the agent under strace; gives its exit code and the names of all programs that were executed.
fn traced(host: &TestHost, arguments: &[&str]) -> Option<(i32, BTreeSet<String>)> {
    if !Path::new("/usr/bin/strace").exists() {
        return None;
    }
    let log = host.path("strace");
    let status = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-s",
            "4096",
            "-e",
            "trace=execve,execveat",
            "-e",
            "signal=none",
            "-o",
        ])
        .arg(&log)
        .arg(AGENT)
        .arg("--config")
        .arg(host.path("agent.toml"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let text = fs::read_to_string(log).unwrap();
    let executed = text
        .lines()
        .filter(|line| line.contains("exec") && !line.contains("= -1"));
    let names = executed
        .filter_map(|line| line.split('"').nth(1))
        .map(|path| path.rsplit('/').next().unwrap().to_owned());
    Some((status.code().unwrap_or(-1), names.collect()))
}

const HOSTILE: [&str; 24] = [
    "ext::sh -c touch% CANARY",
    "ext::CANARY",
    "fd::17",
    "--upload-pack=CANARY",
    "-oProxyCommand=CANARY",
    "git://127.0.0.1/c.git",
    "file://host/c.git",
    "/etc",
    "ssh://-oProxyCommand=CANARY/c.git",
    "ssh://git@-oProxyCommand=CANARY/c.git",
    "ssh://git@127.0.0.1/$(CANARY)",
    "ssh://git@127.0.0.1/`CANARY`",
    "ssh://git@127.0.0.1/'CANARY'",
    "ssh://git@127.0.0.1/-CANARY",
    "-oProxyCommand=CANARY@127.0.0.1:c.git",
    "git@-oProxyCommand=CANARY:c.git",
    "git@127.0.0.1:c.git;CANARY",
    "git@127.0.0.1:$(CANARY)",
    "https://127.0.0.1/$(CANARY)",
    "https://-oProxyCommand=CANARY/c.git",
    "https://127.0.0.1/c.git\\nCANARY",
    "https://u:CANARY@127.0.0.1/c.git",
    "http://192.0.2.1/c.git",
    "file:///srv/../CANARY",
];

const NAMES: [&str; 12] = [
    "--upload-pack=CANARY",
    "-CANARY",
    "--output=CANARY",
    "a b",
    "a..b",
    "a\\nb",
    "$(CANARY)",
    "`CANARY`",
    "a:b",
    "refs/heads/..",
    "@{0}",
    "a~1",
];

#[test]
fn t12_hostile_addresses_and_names_run_no_program_at_all() {
    let host = deployed();
    let canary = host.path("canary");
    let touch = format!("touch {}", canary.display());
    let mut tried = 0;
    for (key, values) in [
        ("url", &HOSTILE[..]),
        ("branch", &NAMES[..]),
        ("tag", &NAMES[..]),
    ] {
        for value in values {
            let value = value.replace("CANARY", &touch);
            let url = if key == "url" {
                String::new()
            } else {
                format!("url = {:?}\n", host.repo.url())
            };
            follow(&host, &format!("{url}{key} = \"{value}\""));
            let refused = host.run(&["apply"]);
            // A branch may have any name that git allows; what it means to a shell is nothing to us.
            let allowed = key != "url" && value.starts_with(['$', '`']);
            assert_eq!(refused.code, 1, "{value}: {refused:#?}");
            assert!(
                allowed || refused.err.contains("agent.toml:"),
                "{value}: {refused:#?}"
            );
            if let Some((_, programs)) = traced(&host, &["apply"]) {
                let ours = BTreeSet::from(["hop3-agent".to_owned()]);
                assert!(allowed || programs == ours, "{value}: {programs:?}");
            }
            tried += 1;
        }
    }
    assert!(!canary.exists());
    row(
        "T12",
        &[
            (tried, "hostile settings given to the agent"),
            (tried, "refused"),
            (0, "programs run for them"),
        ],
    );
}

#[test]
fn t12_only_the_programs_that_git_needs_are_run() {
    let host = deployed();
    // Looking for containers is another matter.
    host.configure(|text| text + "\n[plugin.docker]\nenabled = false\n");
    let server = SshServer::start(&host.path("ssh"));
    let mut settings = vec![format!("url = {:?}", host.repo.url())];
    settings.extend(server.as_ref().map(|server| {
        let (key, known) = (server.key("deploy"), server.known_hosts());
        format!(
            "url = {:?}\nssh-key = {}\nknown-hosts = {}",
            server.url(host.repo.bare()),
            quoted(&key),
            quoted(&known)
        )
    }));
    let mut all = BTreeSet::new();
    for repo in &settings {
        host.repo.push(&[("apps/good/index.html", repo)], "next");
        follow(&host, repo);
        let Some((code, programs)) = traced(&host, &["apply"]) else {
            eprintln!("skipped: `strace` is not installed");
            return;
        };
        assert_eq!(code, 0, "{repo}");
        all.extend(programs);
    }
    assert!(
        all.contains("git-upload-pack") && (server.is_none() || all.contains("ssh")),
        "{all:?}"
    );
    let strangers: Vec<_> = all
        .iter()
        .filter(|name| !ALLOWED.contains(&name.as_str()))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    row(
        "T12",
        &[
            (settings.len(), "transports traced"),
            (all.len(), "programs run, all of them allowed"),
        ],
    );
}

#[test]
fn t12_hostile_sources_of_apps_hold_those_apps_and_run_nothing() {
    let mut host = deployed();
    let canary = host.path("canary");
    let touch = format!("touch {}", canary.display());
    for (number, value) in HOSTILE.iter().chain(&NAMES).enumerate() {
        let value = value.replace("CANARY", &touch);
        let directory = host.path(&format!("work/apps/hostile-{number}"));
        fs::create_dir_all(&directory).unwrap();
        let spec = if number < HOSTILE.len() {
            format!("[source]\ngit = \"{value}\"\nbranch = \"main\"\n")
        } else {
            format!("[source]\ngit = \"https://127.0.0.1/c.git\"\nbranch = \"{value}\"\n")
        };
        fs::write(directory.join("hop3.toml"), spec).unwrap();
        fs::write(directory.join("index.html"), "x").unwrap();
    }
    host.commit("Hostile sources");
    host.start();
    host.sync();
    let number = HOSTILE.len() + NAMES.len();
    for app in 0..number {
        assert_eq!(
            host.app(&format!("hostile-{app}"))["state"],
            "held",
            "{:#}",
            host.app(&format!("hostile-{app}"))
        );
    }
    assert_eq!(super::page(&host, "good"), "good");
    assert!(!canary.exists());
    row(
        "T12",
        &[
            (number, "hostile sources of apps"),
            (number, "held"),
            (0, "programs run for them"),
        ],
    );
}
