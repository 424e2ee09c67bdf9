//! The agent's HTTP from outside: a signed nudge makes it look, and nothing else does.

use std::fs;
use std::net::SocketAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::support::{Answer, TestHost, ask, until_some};

const SECRET: &str = "a shared secret of a forge";
const BODY: &[u8] = b"{\"ref\":\"refs/heads/main\"}";

/// A host that looks once an hour, and its HTTP address.
fn host(with_secret: bool) -> (TestHost, SocketAddr) {
    let mut host = TestHost::of_files(&[
        (
            "apps/page/hop3.toml",
            "[domains]\nlist = [\"page.localhost\"]\n",
        ),
        ("apps/page/index.html", "one"),
    ]);
    let address = free_address();
    let file = host.path("hook-secret");
    fs::write(&file, SECRET).unwrap();
    let hook = format!(
        "\n[repo.webhook]\nprovider = \"generic\"\nsecret-file = \"{}\"\n",
        file.display()
    );
    host.configure(|text| {
        let text = text
            .replace("listen = \"\"", &format!("listen = \"{address}\""))
            .replace("poll = \"1s\"", "poll = \"1h\"");
        if with_secret { text + &hook } else { text }
    });
    host.start();
    host.assert_settled(&["page"]);
    (host, address)
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let digits = mac.finalize().into_bytes();
    digits.iter().fold("sha256=".to_owned(), |text, byte| {
        format!("{text}{byte:02x}")
    })
}

fn hook(address: SocketAddr, signatures: &[&str]) -> Answer {
    let mut headers = vec![("Host", "agent")];
    headers.extend(signatures.iter().map(|it| ("X-Hop3-Signature-256", *it)));
    ask(address, "POST /hook/repo", &headers, BODY).unwrap()
}

fn fetches(host: &TestHost) -> usize {
    host.done(&["history"]).matches("fetched").count()
}

#[test]
fn a_signed_hook_makes_a_commit_go_live_and_an_unsigned_one_does_nothing() {
    let (host, address) = host(true);
    host.repo
        .push(&[("apps/page/index.html", "two")], "The second edition");
    let (contact, count) = (host.status()["repo"].clone(), fetches(&host));
    let right = signature(SECRET, BODY);
    let upper = format!("sha256={}", right["sha256=".len()..].to_uppercase());
    let refused: [&[&str]; 8] = [
        &[],
        &[""],
        &["sha256="],
        &[&signature("another secret of somebody", BODY)],
        &[&signature(SECRET, b"another body")],
        &[&upper],
        &[&right, &right],
        &[&right["sha256=".len()..]],
    ];
    for signatures in refused {
        let answer = hook(address, signatures);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (401, ""),
            "{signatures:?}"
        );
    }
    assert_eq!(
        (host.status()["repo"].clone(), fetches(&host)),
        (contact, count)
    );
    assert_eq!(host.visit("page", "/").unwrap().body, "one");
    assert_eq!(hook(address, &[&right]).status, 202);
    host.until_answers("page", "/", |answer| answer.body == "two");
    assert_eq!(fetches(&host), count + 1);
}

#[test]
fn without_a_secret_there_is_no_hook() {
    let (_host, address) = host(false);
    assert_eq!(hook(address, &[&signature(SECRET, BODY)]).status, 404);
    assert_eq!(hook(address, &[]).status, 404);
}

#[test]
fn the_state_is_a_document_with_a_schema_and_nothing_else_is_served() {
    let (_host, address) = host(true);
    let get = |line: &str| ask(address, line, &[("Host", "agent")], b"").unwrap();
    let answer = get("GET /api/v1/status");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    super::cli::assert_valid("status", &document);
    assert_eq!(document["apps"][0]["state"], "running");
    assert_eq!(get("GET /healthz").status, 200);
    for line in ["GET /hook/repo", "POST /api/v1/status", "DELETE /healthz"] {
        assert_eq!(get(line).status, 405, "{line}");
    }
    for line in [
        "GET /api/v1/plan",
        "POST /api/v1/apps/page",
        "GET /../agent.toml",
    ] {
        assert_eq!(get(line).status, 404, "{line}");
    }
}

#[test]
fn a_secret_that_is_too_short_or_missing_refuses_the_start() {
    let host = TestHost::of_files(&[("apps/page/index.html", "one")]);
    let file = host.path("hook-secret");
    let hook = format!(
        "\n[repo.webhook]\nprovider = \"generic\"\nsecret-file = \"{}\"\n",
        file.display()
    );
    host.configure(|text| text + &hook);
    let missing = host.run(&["run"]);
    assert_eq!(missing.code, 1, "{missing:#?}");
    assert!(missing.err.contains("hook-secret"), "{missing:#?}");
    fs::write(&file, "short").unwrap();
    let short = host.run(&["run"]);
    assert_eq!(short.code, 1, "{short:#?}");
    assert!(short.err.contains("16 "), "{short:#?}");
}

#[test]
fn an_address_that_another_program_has_refuses_the_start_by_name() {
    let host = TestHost::of_files(&[("apps/page/index.html", "one")]);
    let squatter = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = squatter.local_addr().unwrap();
    host.configure(|text| text.replace("listen = \"\"", &format!("listen = \"{address}\"")));
    let refused = host.run(&["run"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    until_some("the address", || {
        refused.err.contains(&address.to_string()).then_some(())
    });
    assert!(
        refused.err.contains("hint: choose another `listen`"),
        "{refused:#?}"
    );
}
