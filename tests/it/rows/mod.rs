//! Rows of the tables of faults and threats through the real program. A test's name carries its row's number; what it tried and what came of it
//! is printed as a line that begins with `row`.

mod broken_disk;
mod clock;
mod crash;
mod disk;
mod drift;
mod hang;
mod lock;
mod lost;
mod many;
mod once;
mod pause;
mod prune;
mod shell;
mod stamps;

use std::fs;
use std::io::Write as _;

use super::support::{TestHost, is_long};

/// Says what a row tried and what came of it, past the test harness, which shows nothing of a test that passes.
pub(crate) fn row(name: &str, result: &str) {
    let form = if is_long() { "" } else { " (short form)" };
    say(&format!("\nrow {name}: {result}{form}\n"));
}

/// A row that cannot be tried here.
fn not_run(name: &str, why: &str) {
    say(&format!("\nrow {name}: not run: {why}\n"));
}

fn say(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A static app's files: its spec, and a page with this text.
fn page_of(host: &TestHost, app: &str, text: &str) {
    let directory = host.path("work/apps").join(app);
    fs::create_dir_all(&directory).unwrap();
    let spec =
        format!("[build]\ntoolchain = \"static\"\n[domains]\nlist = [\"{app}.localhost\"]\n");
    fs::write(directory.join("hop3.toml"), spec).unwrap();
    fs::write(directory.join("index.html"), text).unwrap();
}

/// What an app's start page says.
fn text_of(host: &TestHost, app: &str) -> String {
    match host.visit(app, "/") {
        Ok(answer) => answer.body.trim().to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Waits until an app's start page says so.
#[track_caller]
fn until_says(host: &TestHost, app: &str, text: &str) {
    host.until_answers(app, "/", |answer| answer.body.trim() == text);
}

/// A host whose agent looks at everything within a second, and which has these static apps.
fn pages(apps: &[&str]) -> TestHost {
    let host = TestHost::of_files(&[("README.md", "Apps")]);
    host.configure(|text| text + "\n[drift]\ninterval = \"1s\"\n");
    for app in apps {
        page_of(&host, app, "one");
    }
    host.commit("Pages");
    host
}

/// A server in Python that answers with its second argument, and does what its first one says: `serve`, or a number of seconds after which it ends.
const SERVER: &str = r#"
import http.server, os, sys, threading

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[2].encode())

    def log_message(self, *arguments):
        pass

if sys.argv[1] != "serve":
    threading.Timer(float(sys.argv[1]), lambda: os._exit(7)).start()
http.server.ThreadingHTTPServer((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Page).serve_forever()
"#;

/// A generic app that runs [`SERVER`]; `more` is added to its spec.
fn server_of(host: &TestHost, app: &str, (life, text): (&str, &str), more: &str) {
    let directory = host.path("work/apps").join(app);
    fs::create_dir_all(&directory).unwrap();
    let spec = format!(
        "[build]\ntoolchain = \"generic\"\n[run]\nstart = \"exec python3 server.py {life} {text}\"\n\
         [healthcheck]\npath = \"/\"\n[domains]\nlist = [\"{app}.localhost\"]\n{more}"
    );
    fs::write(directory.join("hop3.toml"), spec).unwrap();
    fs::write(directory.join("server.py"), SERVER).unwrap();
}

/// How often something is told in an app's history.
fn told(host: &TestHost, app: &str, words: &str) -> usize {
    let history = host.done(&["history", app, "-n", "500"]);
    history.lines().filter(|line| line.contains(words)).count()
}

/// What holds an app, in the agent's words.
fn holds(host: &TestHost, app: &str) -> String {
    let app = host.app(app);
    let holds = app["held"].as_array().into_iter().flatten();
    let messages: Vec<&str> = holds.filter_map(|hold| hold["message"].as_str()).collect();
    messages.join("\n")
}
