//! Config repos that cannot be read: what runs goes on running, and the status says why.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use super::{assert_says, page};
use crate::remote::git_server::{self, GitServer, TOKEN, USER};
use crate::remote::{deployed, follow};
use crate::support::{GitRepo, TestHost, until};

#[track_caller]
fn assert_told(host: &mut TestHost, repo: &str, says: &[&str]) {
    eprintln!("{repo}");
    follow(host, repo);
    host.start();
    let problem = || host.status()["repo"]["problem"].as_str().map(str::to_owned);
    let problem = until("a problem of the repo", problem, Option::is_some).unwrap();
    assert_says(&problem, says);
    assert_says(&host.done(&["status"]), says);
    assert_says(
        &host.done(&["history"]),
        &["the config repo could not be read"],
    );
    assert_eq!(host.run(&["apply"]).code, 1);
    assert_eq!(host.app("good")["state"], "running");
    assert_eq!(page(host, "good"), "good");
    host.stop();
}

#[test]
fn a_repo_that_cannot_be_read_stops_no_app_and_says_why() {
    let mut host = deployed();
    let (nothing, plain) = (host.path("nothing"), host.path("plain"));
    fs::create_dir(&plain).unwrap();
    fs::create_dir(host.path("other")).unwrap();
    let empty = GitRepo::empty(&host.path("other"));
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let hanging = silent.local_addr().unwrap();
    let closed = git_server::free_port();
    let good = host.repo.url();
    let cases: [(String, &[&str]); 6] = [
        (
            format!("url = \"file://{}\"", nothing.display()),
            &["nothing"],
        ),
        (format!("url = \"file://{}\"", plain.display()), &["plain"]),
        (
            format!("url = {:?}", empty.url()),
            &["is an empty repository"],
        ),
        (
            format!("url = {good:?}\nbranch = \"nowhere\""),
            &["nowhere"],
        ),
        (
            format!("url = \"https://127.0.0.1:{closed}/config.git\""),
            &["127.0.0.1"],
        ),
        (
            format!("url = \"https://{hanging}/config.git\"\ndeadline = \"1s\""),
            &["1 s"],
        ),
    ];
    for (repo, says) in &cases {
        assert_told(&mut host, repo, says);
    }
    follow(&host, &format!("url = {good:?}"));
    host.start();
    host.assert_settled(&["good"]);
}

#[test]
fn a_history_that_was_rewritten_is_refused_and_told_until_it_descends_again() {
    let mut host = deployed();
    host.start();
    let accepted = host.repo.git(&["rev-parse", "HEAD"]);
    host.repo.git(&["checkout", "-q", "--orphan", "another"]);
    let rewritten = host
        .repo
        .push(&[("apps/good/index.html", "rewritten")], "Another past");
    let apply = host.run(&["apply"]);
    assert_eq!(apply.code, 1, "{apply:#?}");
    let message = format!("commit {rewritten} does not descend from {accepted}");
    assert_says(&host.done(&["status"]), &[&message]);
    assert_eq!(page(&host, "good"), "good");
    host.repo.git(&["checkout", "-q", "--force", "main"]);
    host.repo
        .push(&[("apps/good/index.html", "better")], "The same past");
    host.assert_settled(&["good"]);
    assert_eq!(page(&host, "good"), "better");
    assert!(host.status()["repo"]["problem"].is_null());
}

#[test]
fn a_wrong_token_or_an_unknown_authority_is_told_in_the_status() {
    let mut host = deployed();
    let served = host.path("served");
    fs::create_dir(&served).unwrap();
    let Some(server) = GitServer::start(&host.path("served"), host.repo.bare().parent().unwrap())
    else {
        eprintln!("skipped: a git server cannot be had here");
        return;
    };
    let (token, wrong) = (host.path("token"), host.path("wrong-token"));
    fs::write(&token, TOKEN).unwrap();
    fs::write(&wrong, "not the token").unwrap();
    let repo = |token: &std::path::Path, ca: &std::path::Path| {
        format!(
            "url = {:?}\nusername = {USER:?}\ntoken-file = {:?}\nca-file = {:?}",
            server.url("config.git"),
            token,
            ca
        )
    };
    assert_told(
        &mut host,
        &repo(&wrong, &server.ca()),
        &["refuses access with this token"],
    );
    assert_told(
        &mut host,
        &repo(&token, &server.wrong_ca()),
        &["certificate"],
    );
    follow(&host, &repo(&token, &server.ca()));
    host.start();
    host.assert_settled(&["good"]);
}
