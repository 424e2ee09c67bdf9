//! The example's apps, each as a user of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use crate::missing;
use crate::world::{World, user_of};

const EXAMPLE: [&str; 3] = ["site", "guestbook", "echo"];

fn owner(path: &Path) -> (u32, u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (meta.uid(), meta.gid(), meta.permissions().mode() & 0o7777)
}

/// Everything beneath a directory, links not followed.
pub(crate) fn walk(root: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while next < found.len() {
        if fs::symlink_metadata(&found[next]).is_ok_and(|meta| meta.is_dir()) {
            let entries = fs::read_dir(&found[next]).unwrap();
            found.extend(entries.map(|entry| entry.unwrap().path()));
        }
        next += 1;
    }
    found
}

fn example_comes_up(mut world: World) -> World {
    world.commit("Three apps");
    world.start();
    world.until_running(&EXAMPLE);
    assert_eq!(world.ask("site", "/").status, 200);
    assert_eq!(world.ask("guestbook", "/").status, 200);
    assert!(world.ask("echo", "/hello").body.contains("hello"));
    world
}

#[test]
fn the_examples_apps_run_as_users_of_their_own_and_own_nothing_but_their_data() {
    if let Some(why) = missing(&["git", "python3", "useradd"]) {
        return println!("skipped: {why}");
    }
    let world = example_comes_up(World::with_example());
    for app in EXAMPLE {
        let (uid, gid) = user_of(app);
        let home = world.data(&format!("apps/{app}"));
        assert_eq!(owner(&home), (0, gid, 0o750));
        assert_eq!(owner(&home.join("data")), (uid, gid, 0o700));
        for part in ["releases", "layers", "log", "state"] {
            for path in walk(&home.join(part)) {
                let (found, _, mode) = owner(&path);
                let temporary = path.parent().is_some_and(|p| p.ends_with("releases/1"))
                    && path.ends_with("tmp");
                assert!(
                    found == 0 || temporary,
                    "{} belongs to {found}",
                    path.display()
                );
                let link = fs::symlink_metadata(&path).unwrap().is_symlink();
                assert!(
                    link || mode & 0o6022 == 0,
                    "{} has mode {mode:o}",
                    path.display()
                );
            }
        }
    }
    let database = world.data("apps/guestbook/data/sqlite.sqlite3");
    let (uid, gid) = user_of("guestbook");
    assert_eq!(owner(&database), (uid, gid, 0o600));
    let processes = users_of_processes_with(&format!("HOME={}", home_of(&world, "guestbook")));
    assert!(
        processes.len() >= 2 && processes.iter().all(|user| *user == uid),
        "{processes:?}"
    );
}

fn home_of(world: &World, app: &str) -> String {
    world
        .data(&format!("apps/{app}/data"))
        .display()
        .to_string()
}

/// Who the processes are that were started with a variable.
pub(crate) fn users_of_processes_with(variable: &str) -> Vec<u32> {
    let started_with = |environment: Vec<u8>| {
        environment
            .split(|byte| *byte == 0)
            .any(|found| found == variable.as_bytes())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| fs::read(process.path().join("environ")).is_ok_and(started_with))
        .filter_map(|process| Some(process.metadata().ok()?.uid()))
        .collect()
}

#[test]
fn a_release_command_runs_once_as_the_apps_user() {
    if let Some(why) = missing(&["git", "python3", "useradd"]) {
        return println!("skipped: {why}");
    }
    let mut world = World::with_example();
    world.file(
        "apps/guestbook/migrate.py",
        "import os, store\nstore.migrate()\nwith open(os.environ['HOME'] + '/ran', 'a') as ran:\n    ran.write(f'{os.getuid()} {os.environ[\"HOP3_RELEASE\"]}\\n')\n",
    );
    world.commit("A release command that leaves its name");
    world.start();
    world.until_running(&EXAMPLE);
    let ran = world.data("apps/guestbook/data/ran");
    let uid = user_of("guestbook").0;
    assert_eq!(fs::read_to_string(&ran).unwrap(), format!("{uid} 1\n"));
    world.file("apps/guestbook/VERSION", "2\n").commit("Two");
    world.until_release("guestbook", 2);
    assert_eq!(
        fs::read_to_string(&ran).unwrap(),
        format!("{uid} 1\n{uid} 2\n")
    );
}

#[test]
fn a_proxy_that_gave_up_root_serves_static_files_and_apps() {
    if let Some(why) = missing(&["git", "python3", "useradd"]) {
        return println!("skipped: {why}");
    }
    let name = format!("h3-proxy-test-{}", std::process::id());
    let world = example_comes_up(World::with_example().setting(&format!("user = \"{name}\"\n")));
    let id = Command::new("id").args(["-u", &name]).output().unwrap();
    let uid: u32 = String::from_utf8(id.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let serving = walk(&world.path("run"))
        .into_iter()
        .filter_map(|path| {
            path.file_name()?
                .to_str()?
                .strip_prefix("proxy-")?
                .strip_suffix(".sock")?
                .parse::<u32>()
                .ok()
        })
        .filter_map(|pid| Some(fs::metadata(format!("/proc/{pid}")).ok()?.uid()))
        .collect::<Vec<_>>();
    assert_eq!(serving, [uid]);
    world
        .file("apps/site/public/index.html", "<p>two</p>")
        .commit("Another page");
    world.until_release("site", 2);
    assert_eq!(world.ask("site", "/").body, "<p>two</p>");
}
