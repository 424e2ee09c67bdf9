//! Other servers than the config repo's: neither a redirect nor an app's spec makes the agent ask them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::support::TestHost;
use super::forge::{Answer, Content, Forge};
use super::rows::row;
use super::{deployed, follow, page, quoted};

/// A server that nobody may ask, such as one that gives a cloud machine its credentials.
struct Metadata {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Metadata {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (
            listener.local_addr().unwrap(),
            Arc::<AtomicUsize>::default(),
        );
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        Self { address, asked }
    }
}

fn assert_not_followed(host: &TestHost, status: &str, target: &str) {
    let answer = Answer::status(status).header(&format!("Location: {target}"));
    let forge = Forge::start(Content::Refs(Vec::new()), move |_, _| answer.clone());
    follow(
        host,
        &format!(
            "url = {:?}\ntoken-file = {}",
            forge.url(),
            quoted(&host.path("token"))
        ),
    );
    let apply = host.run(&["apply"]);
    assert_eq!(apply.code, 1, "{apply:#?}");
    assert!(apply.err.contains("redirects to"), "{apply:#?}");
    assert!(!apply.err.contains("canary-token"), "{apply:#?}");
}

#[test]
fn t42_neither_a_redirect_of_the_config_repo_nor_an_apps_source_reaches_another_server() {
    let mut host = deployed();
    let metadata = Metadata::start();
    let address = metadata.address;
    fs::write(host.path("token"), "canary-token").unwrap();
    let targets = [
        format!("http://{address}/latest/meta-data/"),
        format!(
            "http://localhost:{}/c.git/info/refs?service=git-upload-pack",
            address.port()
        ),
        "file:///etc/passwd".to_owned(),
    ];
    let mut redirects = 0;
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        for target in &targets {
            assert_not_followed(&host, status, target);
            redirects += 1;
        }
    }
    follow(&host, &format!("url = {:?}", host.repo.url()));
    let archive = format!(
        "url = \"http://{address}/app.tar.gz\"\nsha256 = \"{}\"",
        "0".repeat(64)
    );
    let repository = format!("git = \"http://{address}/app.git\"\nbranch = \"main\"");
    for (name, source) in [("by-url", archive), ("by-git", repository)] {
        let app = host.path("work/apps").join(name);
        fs::create_dir_all(&app).unwrap();
        fs::write(app.join("hop3.toml"), format!("[source]\n{source}\n")).unwrap();
    }
    host.commit("Sources elsewhere");
    host.start();
    host.sync();
    for app in ["by-url", "by-git"] {
        assert_eq!(host.app(app)["state"], "held", "{:#}", host.app(app));
    }
    assert_eq!(page(&host, "good"), "good");
    assert_eq!(
        metadata.asked.load(Ordering::SeqCst),
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
