//! What an app and its build can reach: its own, and nothing else.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use crate::apps::{users_of_processes_with, walk};
use crate::intruder::{breaches, tried};
use crate::left_out;
use crate::rows::row;
use crate::world::{World, user_of};

#[test]
fn t28_t11_an_apps_user_reaches_no_file_and_no_socket_outside_its_own_tree() {
    if left_out("T28", &["git", "python3", "useradd"]) {
        return;
    }
    let mut world = World::with_example();
    world.commit("Three apps");
    world.start();
    world.until_running(&["site", "guestbook", "echo"]);
    assert!(world.path("run/agent.sock").exists());
    let mut paths = 0;
    for app in ["echo", "guestbook"] {
        let (count, breaches) = breaches(&world, app, user_of(app));
        assert_eq!(breaches, [""; 0]);
        paths += count;
    }
    // Of its own tree it gets the release and its data, but neither logs nor what the agent keeps of it.
    let own = world.data("apps/guestbook");
    let state: Vec<_> = walk(&own.join("state"))
        .into_iter()
        .chain(walk(&own.join("log")))
        .collect();
    assert_eq!(tried(&state, user_of("guestbook")), [""; 0]);
    let release = walk(&own.join("releases/1/app"));
    let got = tried(&release, user_of("guestbook"));
    assert!(got.iter().any(|line| line.starts_with("read")), "{got:?}");
    assert!(
        got.iter()
            .all(|line| line.starts_with("read") || line.starts_with("list")),
        "{got:?}"
    );
    // The intruder can tell an open socket from a closed one.
    let open = world.path("open.sock");
    let _listener = UnixListener::bind(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(
        tried(std::slice::from_ref(&open), user_of("guestbook")),
        [format!("connect {}", open.display())]
    );
    row(
        "T28",
        &[
            (
                paths,
                "paths outside its own tree that an app's user tried to reach, the agent's umask being 000",
            ),
            (0, "reached"),
        ],
    );
}

const ATTACK: &str = r#"
broke() { echo "$1" >> result; }
try() { what=$1; shift; "$@" > /dev/null 2>&1 && broke "$what"; }
echo started > result
try "the agent's directory" ls "$WORLD/data/agent"
try "the agent's memory" cat "$WORLD/data/agent/state.db"
try "its own generated secrets" ls "$WORLD/data/apps/hostile/state"
try "another app's directory" ls "$WORLD/data/apps/guestbook"
try "another app's database" cat "$WORLD/data/apps/guestbook/data/sqlite.sqlite3"
try "another app's source" cat "$WORLD/data/apps/guestbook/releases/1/app/server.py"
try "the password file" cat /etc/shadow
try "a file in /etc" touch /etc/hop3-was-here
try "a file in /usr" touch /usr/hop3-was-here
try "a file in the shared /tmp" touch /tmp/hop3-was-here
try "a file in /dev/shm of others" ls /root
try "the list of installed releases" touch "$WORLD/data/apps/hostile/releases/x"
try "the layers" touch "$WORLD/data/apps/hostile/layers/x"
try "the agent's environment" cat "/proc/$AGENT/environ"
try "the agent itself" kill -0 "$AGENT"
try "the control socket" python3 -c "import socket; socket.socket(socket.AF_UNIX).connect('$WORLD/run/agent.sock')"
try "the network" python3 -c "import socket; socket.create_connection(('127.0.0.1', $PROXY), 2)"
try "a debugger" python3 -c "import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(16, $AGENT, 0, 0) != 0)"
try "a mount" mount -t tmpfs none /mnt
try "root" su -c true
env | grep -q of-the-agents-environment && broke "the agent's environment"
(setsid sh -c 'MARK=hostile-daemon-'$AGENT' exec sleep 1000' &) > /dev/null 2>&1
MARK=hostile-daemon-$AGENT python3 -c "
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for fd in range(3): os.close(fd)
        os.execvp('sleep', ['sleep', '1000'])
    os._exit(0)
os.wait()
"
echo ended >> result
"#;

#[test]
fn t36_a_hostile_build_reaches_nothing_and_leaves_nothing() {
    if left_out("T36", &["git", "python3", "useradd"]) {
        return;
    }
    let mut world = World::with_example();
    world.commit("Three apps");
    world.start();
    world.until_running(&["site", "guestbook", "echo"]);
    let (agent, proxy) = (world.agent_pid(), world.proxy_port());
    let set = format!(
        "WORLD={} AGENT={agent} PROXY={proxy}\n",
        world.root().display()
    );
    world.file("apps/hostile/attack.sh", &format!("{set}{ATTACK}"));
    world.file(
        "apps/hostile/hop3.toml",
        "[metadata]\nid = \"hostile\"\n[build]\ntoolchain = \"generic\"\nbuild = \"sh attack.sh\"\n[run.workers]\nidle = \"exec sleep 1000\"\n[env]\nTOKEN = { generate = \"hex\" }\n",
    );
    world.commit("A hostile build");
    world.until_running(&["hostile"]);
    let result = fs::read_to_string(world.data("apps/hostile/releases/1/app/result"));
    assert_eq!(result.unwrap(), "started\nended\n");
    let left = users_of_processes_with(&format!("MARK=hostile-daemon-{agent}"));
    assert_eq!(left, [0; 0]);
    assert!(!std::path::Path::new("/tmp/hop3-was-here").exists());
    row(
        "T36",
        &[
            (
                ATTACK.matches("\ntry ").count(),
                "things that a hostile build tried",
            ),
            (0, "done"),
            (2, "daemons left behind and ended"),
        ],
    );
}

const DUMP: &str = r#"
import json, os
names = sorted(os.environb)
with open(os.environ["HOME"] + "/env.json.new", "w") as out:
    json.dump({n.decode(): os.environb[n].decode() for n in names}, out)
os.rename(os.environ["HOME"] + "/env.json.new", os.environ["HOME"] + "/env.json")
import time; time.sleep(1000)
"#;

/// What an instance is given beside its own variables.
const OF_AN_INSTANCE: [&str; 7] = [
    "HOME",
    "HOP3_APP",
    "HOP3_INSTANCE",
    "HOP3_RELEASE",
    "PATH",
    "PWD",
    "TMPDIR",
];

/// The variables of a dump that are not the spec's. Python sets `LC_CTYPE` by itself.
fn others(env: &serde_json::Value) -> Vec<&str> {
    let names = env.as_object().unwrap().keys().map(String::as_str);
    names
        .filter(|key| !key.starts_with('V') && *key != "LC_CTYPE")
        .collect()
}

#[test]
fn t26_every_byte_of_a_value_reaches_the_app_and_nothing_of_the_agents() {
    if left_out("T26", &["git", "python3", "useradd"]) {
        return;
    }
    let values = [
        "x\nLD_PRELOAD=/tmp/evil.so",
        "'\"`\\",
        "$HOME ${HOME} $(touch canary) %h %% !x",
        " \t leading\r\n",
        "ü𝄞\u{202e}\u{7f}\u{1b}[0m",
        &"y".repeat(100 * 1024),
        "",
    ];
    let mut world = World::new();
    let lines = values
        .iter()
        .enumerate()
        .map(|(index, value)| format!("V{index} = {}\n", toml::Value::from(*value)));
    world.file("apps/dump/dump.py", DUMP);
    let spec = "[metadata]\nid = \"dump\"\n[build]\ntoolchain = \"generic\"\n[run.workers]\ndump = \"exec python3 dump.py\"\n[env]\n";
    world.file(
        "apps/dump/hop3.toml",
        &format!("{spec}{}", lines.collect::<String>()),
    );
    world.file(
        "apps/nul/hop3.toml",
        &spec
            .replace("dump", "nul")
            .replace("[env]", "[env]\nBAD = \"a\\u0000b\""),
    );
    world.commit("Odd values");
    world.start();
    world.until_running(&["dump"]);
    let dumped = until_read(&world.data("apps/dump/data/env.json"), "}");
    let env: serde_json::Value = serde_json::from_str(&dumped).unwrap();
    for (index, value) in values.iter().enumerate() {
        assert_eq!(env[format!("V{index}")], *value, "V{index}");
    }
    assert_eq!(others(&env), OF_AN_INSTANCE);
    let nul = world.app("nul");
    assert!(nul["state"] != "running", "{nul:#}");
    assert!(!world.data("apps/dump/releases/1/app/canary").exists());
    row(
        "T26",
        &[
            (values.len(), "odd values that reached an app byte by byte"),
            (1, "refused, for no process can be given it"),
            (0, "variables of the agent that reached an app"),
        ],
    );
}

#[test]
fn t28_an_instance_without_a_user_of_its_own_reads_nothing_of_the_agents_and_of_other_apps() {
    if left_out("T28", &["git", "python3"]) {
        return;
    }
    let mut world = World::with_example().users("none");
    world.commit("Three apps");
    world.start();
    world.until_running(&["site", "guestbook", "echo"]);
    let data = world.data("").display().to_string();
    let script = format!(
        "cd\necho mine > own\ntouch \"$TMPDIR/own\"\nfor file in {data}agent/state.db {data}apps/guestbook/data/sqlite.sqlite3 \\\n\
         {data}apps/spy/state/last-release.json /etc/passwd own; do\n  cat $file > /dev/null 2>&1 && echo $file >> got\ndone\n\
         touch {data}agent/x {data}apps/x {data}x\nls / /tmp > /dev/null && echo listed >> got\necho end >> got\nexec sleep 1000\n"
    );
    world.file("apps/spy/spy.sh", &script);
    world.file("apps/spy/hop3.toml", "[metadata]\nid = \"spy\"\n[build]\ntoolchain = \"generic\"\n[run.workers]\nspy = \"exec sh spy.sh\"\n");
    world.commit("A spy");
    world.until_running(&["spy"]);
    let got = until_read(&world.data("apps/spy/data/got"), "end\n");
    assert_eq!(got, "/etc/passwd\nown\nlisted\nend\n");
    for made in ["agent/x", "apps/x", "x"] {
        assert!(!world.data(made).exists(), "{made}");
    }
    row(
        "T28",
        &[
            (
                3,
                "files of the agent and of others that an app tried to read without a user of its own",
            ),
            (3, "that it tried to make"),
            (0, "read or made"),
        ],
    );
}

/// A file's content once it ends as wanted.
fn until_read(path: &std::path::Path, end: &str) -> String {
    for _ in 0..500 {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.ends_with(end) {
            return text;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("`{}` did not come to an end", path.display())
}
