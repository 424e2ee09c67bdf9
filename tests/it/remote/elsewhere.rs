//! Other servers than the config repo's: neither a redirect, nor an app's spec, nor an app's answer makes the agent ask them.

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

/// Answers every question with the way to somebody else.
const REFERRER: &str = r#"
import http.server, os, sys

class Elsewhere(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[1]))
        self.send_header("Location", sys.argv[2])
        self.end_headers()

    def log_message(self, *arguments):
        pass

http.server.ThreadingHTTPServer((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Elsewhere).serve_forever()
"#;

/// Effect: an app with a health check of this path, whose answers lead elsewhere.
fn write_checked(host: &TestHost, app: &str, (path, status): (&str, &str), elsewhere: &str) {
    let directory = host.path("work/apps").join(app);
    fs::create_dir_all(&directory).unwrap();
    let spec = format!(
        "[build]\ntoolchain = \"generic\"\n[run]\nstart = \"exec python3 referrer.py {status} {elsewhere}\"\nstart-timeout = 3\n\
         [healthcheck]\npath = {path:?}\n[domains]\nlist = [\"{app}.localhost\"]\n"
    );
    fs::write(directory.join("hop3.toml"), spec).unwrap();
    fs::write(directory.join("referrer.py"), REFERRER).unwrap();
}

#[test]
fn t42_a_health_check_asks_its_own_app_whatever_its_path_and_the_answer_say() {
    let mut host = deployed();
    let metadata = Metadata::start();
    let address = metadata.address;
    let elsewhere = format!("http://{address}/latest/meta-data/");
    let paths = [
        format!("@{address}/"),
        format!("/@{address}/"),
        format!("//{address}/latest/"),
        format!("///{address}/"),
        format!("/\\{address}/"),
        format!(":{}/", address.port()),
        elsewhere.clone(),
        format!("/x HTTP/1.1\r\nHost: {address}\r\n\r\nGET /"),
        "/#@elsewhere".to_owned(),
    ];
    let statuses = ["301", "302", "303", "307", "308"];
    for (number, path) in paths.iter().enumerate() {
        write_checked(&host, &format!("path-{number}"), (path, "302"), &elsewhere);
    }
    for status in statuses {
        write_checked(
            &host,
            &format!("answer-{status}"),
            ("/", status),
            &elsewhere,
        );
    }
    host.commit("Health checks that lead elsewhere");
    host.start();
    host.sync();
    for number in 0..paths.len() {
        let app = host.app(&format!("path-{number}"));
        assert_ne!(app["state"], "running", "{}: {app:#}", paths[number]);
    }
    for status in statuses {
        let app = host.app(&format!("answer-{status}"));
        assert_eq!(app["state"], "failing", "{app:#}");
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
            (
                paths.len(),
                "paths of health checks that name another server",
            ),
            (statuses.len(), "redirects of apps to it"),
            (0, "requests to it"),
        ],
    );
}
