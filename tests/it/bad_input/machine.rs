//! A machine that is not as expected: ports that others have, and a second agent.

use std::net::TcpListener;

use super::{assert_says, page};
use crate::rows::row;
use crate::support::{Signal, TestHost, until};

const PAGE: [(&str, &str); 2] = [
    (
        "apps/good/hop3.toml",
        "[domains]\nlist = [\"good.localhost\"]\n",
    ),
    ("apps/good/index.html", "good"),
];

const SERVER: [(&str, &str); 1] = [(
    "apps/server/hop3.toml",
    "[build]\ntoolchain = \"generic\"\n[run]\nstart = \"exec python3 -m http.server --bind $BIND_ADDRESS $PORT\"\n\
     [domains]\nlist = [\"server.localhost\"]\n",
)];

#[test]
fn a_second_agent_on_a_data_dir_is_refused_and_told_who_holds_it() {
    let mut host = TestHost::of_files(&PAGE);
    host.start();
    host.assert_settled(&["good"]);
    let second = host.run(&["run"]);
    let holder = format!("process {}", host.agent_process().pid);
    assert_eq!(second.code, 1, "{second:#?}");
    assert_says(&second.err, &["error: ", "data", &holder]);
    assert_eq!(host.app("good")["state"], "running");
}

#[test]
fn f25_a_proxy_whose_port_another_program_has_is_told_and_goes_live_when_it_is_free() {
    let mut host = TestHost::of_files(&PAGE);
    let squatter = TcpListener::bind(host.proxy).unwrap();
    host.start();
    assert_eq!(host.run(&["sync", "--wait"]).code, 1);
    let why = host.done(&["why", "good"]);
    assert_says(&why, &[&host.proxy.to_string(), "in use"]);
    drop(squatter);
    host.done(&["resume", "good"]);
    host.assert_settled(&["good"]);
    assert_eq!(page(&host, "good"), "good");
    row(
        "F25",
        "1 port of the proxy taken, 1 told by name, 1 live when it was free",
    );
}

#[test]
fn f25_an_app_whose_port_another_program_took_comes_back_on_another() {
    let mut host = TestHost::of_files(&SERVER);
    host.start();
    host.assert_settled(&["server"]);
    let endpoint = |host: &TestHost| {
        let app = host.app("server");
        app["instances"][0]["endpoint"]["tcp"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let before = endpoint(&host);
    host.kill();
    let processes = host.app_processes();
    for process in processes.values() {
        process.signal(Signal::KILL);
    }
    for process in processes.values() {
        until("the end of the app", || process.lives(), |lives| !lives);
    }
    let _squatter = TcpListener::bind(&before).unwrap();
    host.start();
    host.until_answers("server", "/", |answer| answer.status == 200);
    host.assert_settled(&["server"]);
    assert_ne!(endpoint(&host), before);
    row(
        "F25",
        "1 port of an app taken, 1 app back on another port, 0 requests to the stranger",
    );
}
