//! What an app or a source lays out for the agent to fall for: links, and programs where others can write.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::apps::walk;
use crate::left_out;
use crate::rows::row;
use crate::world::{World, python_as, user_of};

/// Programs that lie ready where others can write.
const FAKED: [&str; 13] = [
    "git",
    "git-upload-pack",
    "python3",
    "python",
    "useradd",
    "chown",
    "chmod",
    "cp",
    "sh",
    "sqlite3",
    "nginx",
    "psql",
    "systemctl",
];

#[test]
fn t37_programs_in_directories_that_others_can_write_are_never_executed() {
    if left_out("T37", &["git", "python3", "useradd"]) {
        return;
    }
    let world = World::with_example();
    let fake = world.path("fake");
    let tools = format!(
        "tool-path = [\"{}\", \"/usr/sbin\", \"/usr/bin\", \"/bin\"]\n",
        fake.display()
    );
    let mut world = world.top_setting(&tools);
    fs::create_dir(&fake).unwrap();
    let canary = world.path("canary");
    for name in FAKED {
        let text = format!("#!/bin/sh\necho {name} >> {}\nexit 1\n", canary.display());
        let places = [
            fake.join(name),
            world.path(&format!("repo/{name}")),
            world.path(&format!("repo/apps/guestbook/{name}")),
        ];
        for place in places {
            fs::write(&place, &text).unwrap();
            fs::set_permissions(&place, Permissions::from_mode(0o777)).unwrap();
        }
    }
    fs::set_permissions(&fake, Permissions::from_mode(0o777)).unwrap();
    fs::write(&canary, "").unwrap();
    fs::set_permissions(&canary, Permissions::from_mode(0o666)).unwrap();
    world.commit("Fake programs");
    world.start_with_path(&format!("{}:/usr/bin:/bin", fake.display()));
    world.until_running(&["site", "guestbook", "echo"]);
    assert_eq!(fs::read_to_string(&canary).unwrap(), "");
    row(
        "T37",
        &[
            (
                3 * FAKED.len(),
                "fake programs in a writable directory of the path, in the repo and in an app",
            ),
            (0, "executed"),
        ],
    );
}

#[test]
fn t13_a_spec_that_is_a_link_holds_its_app_alone_and_is_not_followed() {
    if left_out("T13", &["git", "python3", "useradd"]) {
        return;
    }
    let mut world = World::with_example();
    world.commit("Three apps");
    world.start();
    world.until_running(&["site", "guestbook", "echo"]);
    world.link("apps/echo/hop3.toml", "/etc/shadow");
    world.link("apps/new/hop3.toml", "/etc/shadow");
    world.link("apps/site/public/shadow", "/etc/shadow");
    world.file("apps/guestbook/VERSION", "2\n");
    world.commit("Links");
    world.until_release("guestbook", 2);
    let echo = world.until("echo", "held", |app| app["state"] == "held");
    assert!(
        echo["held"][0]["message"]
            .to_string()
            .contains("symbolic link"),
        "{echo:#}"
    );
    assert!(world.ask("echo", "/still").body.contains("still"));
    let site = world.until_failing("site");
    assert!(
        site["failure"]["message"].to_string().contains("shadow"),
        "{site:#}"
    );
    assert_eq!(world.ask("site", "/").status, 200);
    assert_ne!(world.ask("site", "/shadow").status, 200);
    let shadow = fs::read_to_string("/etc/shadow").unwrap();
    let first = shadow.lines().next().unwrap().to_owned();
    let why = String::from_utf8(world.cli(&["why", "echo"]).stdout).unwrap();
    for text in [world.log(), why, world.status().to_string()] {
        assert!(!text.contains(&first));
    }
    row(
        "T13",
        &[
            (3, "links to the password file in a commit, as root"),
            (0, "followed"),
        ],
    );
}

#[test]
fn t38_a_link_in_an_apps_data_leads_the_agent_nowhere() {
    if left_out("T38", &["git", "python3", "useradd"]) {
        return;
    }
    let mut world = World::new();
    let victim = world.path("victim");
    fs::create_dir_all(victim.join("uploads")).unwrap();
    let spec = "[metadata]\nid = \"links\"\n[build]\ntoolchain = \"generic\"\n[run.workers]\nidle = \"exec sleep 1000\"\n[deploy]\nwritable = [\"public/uploads\", \"public/new\"]\n";
    world.file("apps/links/hop3.toml", spec);
    world.file("apps/links/public/uploads/first", "shipped");
    world.commit("One");
    world.start();
    world.until_running(&["links"]);
    let (data, user) = (world.data("apps/links/data"), user_of("links"));
    let shipped = data.join("public/uploads/first");
    assert_eq!(
        fs::read_to_string(world.data("apps/links/releases/1/app/public/uploads/first")).unwrap(),
        "shipped"
    );
    assert_eq!(fs::metadata(&shipped).unwrap().uid(), user.0);
    let exchange = format!(
        "import os\nos.rename('{0}/public', '{0}/away')\nos.symlink('{1}', '{0}/public')",
        data.display(),
        victim.display()
    );
    python_as(user, &exchange, "");
    world.file("apps/links/VERSION", "2").commit("Two");
    world.until("links", "done with two", |app| {
        app["failure"].is_object() || app["release"] == 2
    });
    let names: Vec<_> = walk(&victim);
    assert_eq!(names, [victim.clone(), victim.join("uploads")]);
    for path in names {
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(
            (meta.uid(), meta.permissions().mode() & 0o777),
            (0, 0o755),
            "{}",
            path.display()
        );
    }
    row(
        "T38",
        &[
            (
                1,
                "directory of an app exchanged for a link to somebody else's, under a deploy",
            ),
            (0, "files made, changed or removed behind it"),
        ],
    );
}
