//! Where plaintext is found: in its own file and in the app's environment.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::apps::walk;
use crate::left_out;
use crate::rows::row;
use crate::world::World;

const TOKEN: &str = "canary-of-the-repo-token-7d1f";
const HOOK: &str = "canary-of-the-hook-secret-93ab";

/// Whatever tells a person something.
const COMMANDS: [&[&str]; 8] = [
    &["status"],
    &["status", "--json"],
    &["plan"],
    &["plan", "--json"],
    &["history", "--json"],
    &["why", "guestbook"],
    &["why", "guestbook", "--json"],
    &["logs", "guestbook"],
];

/// Every command line that was seen while it ran.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<BTreeSet<Vec<u8>>>,
}

impl Watcher {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !asked.load(Ordering::Relaxed) {
                let processes = fs::read_dir("/proc").unwrap().flatten();
                seen.extend(
                    processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok()),
                );
                std::thread::sleep(Duration::from_millis(1));
            }
            seen
        });
        Self { stop, thread }
    }

    fn stop(self) -> BTreeSet<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn holds(text: &[u8], canary: &str) -> bool {
    text.windows(canary.len())
        .any(|window| window == canary.as_bytes())
}

#[test]
fn t27_a_secret_is_in_its_own_file_and_nowhere_else() {
    if left_out("T27", &["git", "python3", "useradd"]) {
        return;
    }
    let world = World::with_example();
    let (token, hook) = (world.path("token"), world.path("hook"));
    fs::write(&token, format!("{TOKEN}\n")).unwrap();
    fs::write(&hook, format!("{HOOK}\n")).unwrap();
    let repo = format!(
        "token-file = \"{}\"\n[repo.webhook]\nprovider = \"generic\"\nsecret-file = \"{}\"\n",
        token.display(),
        hook.display()
    );
    let mut world = world.repo_setting(&repo);
    let watcher = Watcher::start();
    world.commit("Three apps");
    world.start();
    world.until_running(&["site", "guestbook", "echo"]);
    world
        .file("apps/guestbook/VERSION", "2\n")
        .commit("Another release");
    world.until_release("guestbook", 2);
    world
        .file("apps/guestbook/migrate.py", "raise SystemExit('no')\n")
        .commit("A release command that fails");
    world.until_failing("guestbook");
    let seen = watcher.stop();
    assert!(seen.len() > 20);
    nothing_holds_a_secret(&world, &seen);
    row(
        "T27",
        &[
            (3, "secrets looked for"),
            (seen.len(), "command lines seen"),
            (COMMANDS.len(), "commands asked"),
            (0, "found outside their own file"),
        ],
    );
}

fn nothing_holds_a_secret(world: &World, seen: &BTreeSet<Vec<u8>>) {
    let own = world.data("apps/guestbook/state/secrets/MODERATOR_TOKEN");
    let generated = fs::read_to_string(&own).unwrap();
    assert_eq!(
        fs::metadata(&own).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(generated.len() >= 24);
    for canary in [generated.as_str(), TOKEN, HOOK] {
        assert!(
            seen.iter().all(|line| !holds(line, canary)),
            "a command line holds {canary}"
        );
        let places = [world.data(""), world.path("run"), world.path("agent.log")];
        for path in places
            .iter()
            .flat_map(|place| walk(place))
            .filter(|path| *path != own)
        {
            let content = fs::read(&path).unwrap_or_default();
            assert!(
                !holds(&content, canary),
                "{} holds {canary}",
                path.display()
            );
        }
        for command in COMMANDS {
            let output = world.cli(command);
            assert!(
                !holds(&output.stdout, canary) && !holds(&output.stderr, canary),
                "{command:?} says {canary}"
            );
        }
    }
}
