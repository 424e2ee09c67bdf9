//! An app with a Dockerfile, from commit to rollback, on a real engine.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hop3_plugin_testing::dockerd::{self, BASE, Dockerd};

use crate::missing;
use crate::world::{World, succeed};

const INSIDE: &str = "HOP3_TEST_IN_NETWORK_NAMESPACE";
const SPEC: &str = "[metadata]\nid = \"box\"\n[build]\nbuilder = \"docker\"\n[docker]\nport = 8000\n[domains]\nlist = [\"box.localhost\"]\n[env]\nGREETING = \"it's $HOME\"\n";

#[test]
fn an_app_with_a_dockerfile_is_built_routed_replaced_kept_and_rolled_back() {
    if let Some(why) = missing(&["git"]).or_else(dockerd::missing) {
        return println!("skipped: {why}");
    }
    if std::env::var_os(INSIDE).is_some() {
        succeed(Command::new("ip").args(["link", "set", "lo", "up"]));
        return story(&Dockerd::start());
    }
    let name = "docker::an_app_with_a_dockerfile_is_built_routed_replaced_kept_and_rolled_back";
    let mut again = Command::new("unshare");
    again
        .args(["--net", "--"])
        .arg(std::env::current_exe().unwrap());
    again
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1");
    assert!(again.status().unwrap().success());
}

fn dockerfile(version: &str, last: &str) -> String {
    format!(
        "FROM {BASE}\nRUN mkdir /www\nRUN echo {version} > /www/index.html\n{last}\nCMD [\"httpd\", \"-f\", \"-p\", \"8000\", \"-h\", \"/www\"]\n"
    )
}

/// Asks all the time; gives how often, and what went wrong.
struct Crowd {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(u32, Vec<String>)>,
}

impl Crowd {
    fn start(world: &World) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (asked_to_stop, visitor) = (Arc::clone(&stop), world.visitor());
        let thread = std::thread::spawn(move || {
            let (mut asked, mut failed) = (0, Vec::new());
            while !asked_to_stop.load(Ordering::Relaxed) {
                asked += 1;
                let answer = visitor.ask("box", "/");
                if answer.status != 200 {
                    failed.push(format!("{answer:?}"));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            (asked, failed)
        });
        Self { stop, thread }
    }

    fn stop(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let (asked, failed) = self.thread.join().unwrap();
        assert_eq!(failed, [""; 0], "of {asked}");
        asked
    }
}

fn story(engine: &Dockerd) {
    let mut world = World::new().setting(&format!(
        "[plugin.docker]\nhost = \"{}\"\n",
        engine.address()
    ));
    world
        .file("apps/box/hop3.toml", SPEC)
        .file("apps/box/Dockerfile", &dockerfile("one", ""))
        .commit("One");
    world.start();
    world.until_release("box", 1);
    assert_eq!(world.ask("box", "/").body, "one\n");
    let container = engine.client(&["ps", "--quiet"]);
    assert_eq!(
        engine.client(&[
            "exec",
            container.trim(),
            "sh",
            "-c",
            "printf %s \"$GREETING\""
        ]),
        "it's $HOME"
    );

    let crowd = Crowd::start(&world);
    world
        .file("apps/box/Dockerfile", &dockerfile("two", ""))
        .commit("Two");
    world.until_release("box", 2);
    assert_eq!(world.ask("box", "/").body, "two\n");
    world
        .file("apps/box/Dockerfile", &dockerfile("three", "RUN false"))
        .commit("Three is broken");
    let failing = world.until_failing("box");
    assert!(
        failing["failure"]["output"].to_string().contains("false"),
        "{failing:#}"
    );
    assert_eq!(world.ask("box", "/").body, "two\n");
    let back = world.cli(&["rollback", "box"]);
    assert!(
        back.status.success(),
        "{}",
        String::from_utf8_lossy(&back.stderr)
    );
    world.until("box", "back at one", |app| app["release"] == 1);
    assert_eq!(world.ask("box", "/").body, "one\n");
    println!("{} requests, none failed", crowd.stop());
    assert_eq!(engine.client(&["ps", "--quiet"]).lines().count(), 1);

    // An engine that does not answer is no reason to do anything.
    engine.signal("-STOP");
    world.until("box", "unknown", |app| app["state"] == "unknown");
    assert_eq!(world.ask("box", "/").body, "one\n");
    engine.signal("-CONT");
    world.until("box", "known again", |app| app["state"] != "unknown");
    assert_eq!(engine.client(&["ps", "--quiet"]).lines().count(), 1);

    pinned_image(engine, &world);
}

/// `[source] image`: what is not there yet is said, and no other app is held up.
fn pinned_image(engine: &Dockerd, world: &World) {
    let id = engine.client(&["image", "inspect", "--format", "{{.Id}}", BASE]);
    let image = format!("local/busybox@{}", id.trim());
    let spec = SPEC.replace("box", "pinned") + &format!("[source]\nimage = \"{image}\"\n");
    world
        .file("apps/pinned/hop3.toml", &spec)
        .commit("An image");
    let pinned = world.until("pinned", "decided upon", |app| {
        app["state"] == "running" || app["held"][0]["hold"] == "spec" || app["failure"].is_object()
    });
    println!(
        "[source] image: {}",
        serde_json::to_string(&pinned).unwrap()
    );
    assert_eq!(world.ask("box", "/").body, "one\n");
}
