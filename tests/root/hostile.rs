//! Builds that want more than their share of the host: processes without end, a file without end, and a life after their own.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::missing;
use crate::world::{World, user_of};

/// What the operator allows here, so that a bomb is small enough for the machine of the test.
const LIMITS: &str =
    "[limits]\nbuild-timeout = \"25s\"\nprocesses = 200\n\n[plugin.local]\nfile-size = 67108864\n";

const SPEC: &str = "[metadata]\nid = \"hostile\"\n[build]\ntoolchain = \"generic\"\nbuild = \"sh attack.sh\"\n[run.workers]\nidle = \"exec sleep 1000\"\n";

/// Says how far it got, then goes on in a way that only its end ends: every process makes two more.
const BOMB: &str = r#"
python3 - <<'END'
import os, time
made = 0
try:
    while made < 3000:
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
        made += 1
except OSError as error:
    print("refused after", made, error.errno, flush=True)
else:
    print("never refused", flush=True)
END
(trap '' TERM; setsid sh -c 'trap "" TERM; while :; do sh -c "sleep 1 & sleep 1 & wait" & done' > /dev/null 2>&1) &
sleep 300
"#;

/// Ten times a gigabyte, in one file and in the next.
const FLOOD: &str = r#"
trap '' XFSZ 2>/dev/null
dd if=/dev/zero of=flood bs=1M count=10240 2> said || echo "one file: refused at $(stat -c %s flood)"
dd if=/dev/zero of="$TMPDIR/flood" bs=1M count=10240 2> said || echo "temporary: refused at $(stat -c %s "$TMPDIR/flood")"
dd if=/dev/zero of="$HOME/flood" bs=1M count=10240 2> said || echo "cache: refused at $(stat -c %s "$HOME/flood")"
dd if=/dev/zero of=/dev/shm/flood bs=1M count=10240 2> said || echo "shared memory: refused"
dd if=/dev/zero of=/tmp/flood bs=1M count=10240 2> said || echo "shared directory: refused"
exit 7
"#;

fn hostile(world: &World, attack: &str) {
    world
        .file("apps/hostile/attack.sh", attack)
        .file("apps/hostile/hop3.toml", SPEC)
        .commit("A hostile build");
}

/// A world with other apps, which must notice nothing.
fn world() -> Option<World> {
    if let Some(why) = missing(&["git", "python3", "useradd"]) {
        println!("skipped: {why}");
        return None;
    }
    let mut world = World::with_example().setting(LIMITS);
    world.commit("Three apps");
    world.start();
    world.until_running(&["site", "guestbook", "echo"]);
    Some(world)
}

#[test]
fn t36_a_bomb_of_processes_is_bounded_delays_no_other_app_and_leaves_nothing() {
    let Some(world) = world() else { return };
    hostile(&world, BOMB);
    let log = world.data("apps/hostile/log/build-1.log");
    let said = world.until_text(&log, "\n");
    assert!(said.contains("refused after"), "{said}");
    let most: usize = said.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(most < 200, "{said}");
    let user = user_of("hostile").0;
    assert!(processes_of(user) <= 200);
    world
        .file("apps/guestbook/VERSION", "2\n")
        .commit("Another app goes on");
    world.until_release("guestbook", 2);
    let failing = world.until_failing("hostile");
    println!(
        "a bomb: {} processes at most, {}",
        most, failing["failure"]["message"]
    );
    world.until("hostile", "without processes", |_| processes_of(user) == 0);
}

#[test]
fn t36_a_file_without_end_is_cut_at_the_operators_limit_and_the_disk_is_free_again() {
    let Some(world) = world() else { return };
    hostile(&world, FLOOD);
    let failing = world.until_failing("hostile");
    let said = failing["failure"]["output"].as_str().unwrap();
    for place in ["one file", "temporary", "cache"] {
        assert!(
            said.contains(&format!("{place}: refused at 67108864")),
            "{said}"
        );
    }
    assert!(said.contains("shared memory: refused"), "{said}");
    assert!(said.contains("shared directory: refused"), "{said}");
    let left = bytes_below(&world.data("apps/hostile/releases"));
    assert!(
        left < 1024 * 1024,
        "{left} bytes of the failed release are left"
    );
    println!("a flood: {}", said.replace('\n', "; "));
}

fn processes_of(user: u32) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbered =
        entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    numbered
        .filter(|entry| entry.metadata().is_ok_and(|meta| meta.uid() == user))
        .count()
}

fn bytes_below(directory: &Path) -> u64 {
    let paths = crate::apps::walk(directory).into_iter();
    let sizes = paths.filter_map(|path| fs::symlink_metadata(path).ok());
    sizes
        .filter(fs::Metadata::is_file)
        .map(|meta| meta.len())
        .sum()
}
