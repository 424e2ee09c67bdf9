//! Each transport and credential against real servers: right, wrong, revoked, with another certificate or host key. The agent is never restarted.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::support::{GitRepo, TestHost};
use super::git_server::{GitServer, TOKEN, USER};
use super::rows::row;
use super::ssh_server::SshServer;
use super::{deployed, follow, quoted, repo, until_page, until_state};

/// Pushes a page and waits until the agent shows it.
#[track_caller]
fn assert_followed(host: &TestHost, page: &str) {
    host.repo.push(&[("apps/good/index.html", page)], page);
    until_page(host, "good", page);
    assert_eq!(repo(host)["state"], "ok");
    host.repo.push(&[("apps/good/index.html", "good")], "back");
    until_page(host, "good", "good");
}

/// A commit that must not arrive while something is wrong.
#[track_caller]
fn assert_unmoved(host: &TestHost, state: &str, hint: &str) {
    let revision = host.status()["revision"].clone();
    let unseen = host
        .repo
        .push(&[("apps/unseen/index.html", state)], "unseen");
    let seen = until_state(host, state);
    assert!(
        seen["hint"].as_str().unwrap_or_default().contains(hint),
        "{seen:#}"
    );
    assert!(
        host.done(&["status"])
            .contains(seen["problem"].as_str().unwrap())
    );
    assert!(
        host.done(&["why", "good"])
            .contains(seen["problem"].as_str().unwrap())
    );
    assert_eq!(host.status()["revision"], revision, "{unseen} arrived");
    assert_eq!(host.run(&["sync", "--wait"]).code, 1);
}

#[test]
fn t17_https_is_followed_through_wrong_revoked_and_new_tokens_and_other_certificates() {
    let mut host = deployed();
    fs::create_dir(host.path("served")).unwrap();
    let Some(mut server) =
        GitServer::start(&host.path("served"), host.repo.bare().parent().unwrap())
    else {
        return;
    };
    let token = host.path("token");
    fs::write(&token, TOKEN).unwrap();
    let (url, ca) = (server.url("config.git"), server.ca());
    follow(
        &host,
        &format!(
            "url = {url:?}\nusername = {USER:?}\ntoken-file = {}\nca-file = {}",
            quoted(&token),
            quoted(&ca)
        ),
    );
    host.start();
    assert_followed(&host, "over https");

    server.allow("another one");
    assert_unmoved(&host, "unauthorized", "token-file");
    fs::write(&token, "another one\n").unwrap();
    host.sync();
    assert_followed(&host, "with a new token");
    fs::remove_file(&token).unwrap();
    assert_unmoved(&host, "credentials", "belong to root");
    fs::write(&token, "another one").unwrap();
    host.sync();
    assert_followed(&host, "with the token back");

    for certificate in ["strange", "expired"] {
        server.start_with(certificate);
        let asked = server.requests().len();
        assert_unmoved(&host, "tls", "ca-file");
        assert_eq!(
            server.requests().len(),
            asked,
            "something was sent to a server that is not trusted"
        );
        server.start_with("leaf");
        host.sync();
        assert_followed(&host, certificate);
    }
    server.stop();
    assert_unmoved(&host, "unreachable", "nothing changes");
    server.start_with("leaf");
    // Nobody asks it to: it comes back alone.
    until_state(&host, "ok");
    assert!(
        !host.log().contains("another one") && !host.log().contains(TOKEN),
        "a token is in the log"
    );
    row(
        "T17",
        &[
            (5, "wrong credentials, certificates and outages over https"),
            (5, "named"),
            (5, "recovered without a restart"),
        ],
    );
}

#[test]
fn t17_ssh_is_followed_through_revoked_keys_and_a_changed_host_key() {
    let mut host = deployed();
    let Some(mut server) = SshServer::start(&host.path("ssh")) else {
        return;
    };
    let url = server.url(host.repo.bare());
    let (key, known) = (server.key("deploy"), server.known_hosts());
    follow(
        &host,
        &format!(
            "url = {url:?}\nssh-key = {}\nknown-hosts = {}",
            quoted(&key),
            quoted(&known)
        ),
    );
    host.start();
    assert_followed(&host, "over ssh");

    server.revoke();
    assert_unmoved(&host, "unauthorized", "deploy key");
    server.allow();
    host.sync();
    assert_followed(&host, "allowed again");

    fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    assert_unmoved(&host, "credentials", "chmod 600");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    host.sync();
    assert_followed(&host, "closed again");

    for shown in ["other-host", "rsa-host"] {
        server.use_host_key(shown);
        let logins = server.logins();
        assert_unmoved(&host, "host-key-changed", "known-hosts");
        assert_eq!(server.logins(), logins, "somebody logged in");
        server.use_host_key("host");
        // Nobody asks it to: it resumes alone.
        until_state(&host, "ok");
        assert_followed(&host, shown);
    }
    server.use_host_key("other-host");
    until_state(&host, "host-key-changed");
    server.pin("other-host");
    host.sync();
    assert_followed(&host, "the new key is pinned");
    row(
        "T17",
        &[
            (5, "revoked keys, open files and changed host keys"),
            (5, "named"),
            (5, "recovered without a restart"),
        ],
    );
}

#[test]
fn a_part_of_a_repo_and_a_tag_of_it_are_followed() {
    let mut host = deployed();
    fs::create_dir(host.path("other")).unwrap();
    let other = GitRepo::with(
        &host.path("other"),
        &[
            (
                "deploy/prod/apps/good/hop3.toml",
                "[domains]\nlist = [\"good.localhost\"]\n",
            ),
            ("deploy/prod/apps/good/index.html", "in a part"),
            ("apps/stray/index.html", "elsewhere"),
        ],
    );
    other.git(&["tag", "-a", "-m", "x", "v1.2.0"]);
    other.git(&["push", "-q", other.bare().to_str().unwrap(), "v1.2.0"]);
    other.push(
        &[("deploy/prod/apps/good/index.html", "newer than the tag")],
        "newer",
    );
    // Another repository is taken up by removing the copy of the one before.
    fs::remove_dir_all(host.path("data/agent/repo")).unwrap();
    follow(
        &host,
        &format!(
            "url = {:?}\npath = \"deploy/prod\"\nsemver = \"^1\"",
            other.url()
        ),
    );
    host.start();
    until_page(&host, "good", "in a part");
    other.git(&["tag", "v1.3.0"]);
    other.git(&["push", "-q", other.bare().to_str().unwrap(), "v1.3.0"]);
    until_page(&host, "good", "newer than the tag");
    assert!(host.app("stray").is_null());
    assert_eq!(repo(&host)["state"], "ok");
}
