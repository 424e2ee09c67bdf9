//! Packages that apps name, on a real Debian: refused by name where only people install, installed where the agent may.

use std::path::Path;
use std::process::Command;

use crate::missing;
use crate::world::{World, succeed};

/// Small, and nothing needs it: it is taken away again.
const PACKAGE: &str = "hello";
const PROGRAM: &str = "/usr/bin/hello";
const NEEDED: [&str; 4] = ["apt-get", "dpkg-query", "git", "python3"];

/// An app that needs a package for its build and for what it serves.
fn spec(package: &str) -> String {
    format!(
        "[metadata]\nid = \"shop\"\n[build]\ntoolchain = \"generic\"\nbuild = \"{PROGRAM} > index.html\"\n\
         [run]\nstart = \"exec python3 -m http.server --bind 127.0.0.1 $PORT\"\npackages = [\"{package}\"]\n\
         [domains]\nlist = [\"shop.localhost\"]\n"
    )
}

/// Ends with the package gone, as the host was found.
struct Borrowed;

impl Borrowed {
    fn is_there() -> bool {
        Path::new(PROGRAM).exists()
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if !Self::is_there() {
            return;
        }
        let mut purge = Command::new("/usr/bin/apt-get");
        purge.args(["purge", "--yes", "-o", "DPkg::Lock::Timeout=300", PACKAGE]);
        succeed(purge.env("DEBIAN_FRONTEND", "noninteractive"));
    }
}

#[test]
fn a_missing_package_is_told_or_installed_as_the_operator_has_it() {
    if let Some(why) = missing(&NEEDED) {
        return println!("skipped: {why}");
    }
    if Borrowed::is_there() {
        return println!("skipped: the package `{PACKAGE}` is somebody's");
    }
    let _borrowed = Borrowed;
    let mut world = World::new();
    world.file("apps/shop/hop3.toml", &spec(PACKAGE));
    world.file("hosts/test.toml", "apps = [\"*\"]\n");
    world.commit("A shop that needs a package");

    world.start();
    let app = world.until("shop", "held", |app| app["held"][0]["hold"] == "policy");
    let held = &app["held"][0];
    assert_eq!(held["message"], "this host lacks the package `hello`");
    let hints = held["hints"].to_string();
    assert!(hints.contains("`apt-get install hello`"), "{hints}");
    assert!(!Borrowed::is_there(), "the agent was not allowed to");

    world.stop_agent();
    let mut world = world.policy_setting("packages = \"install\"\n");
    world.start();
    world.until_running(&["shop"]);
    assert_eq!(world.ask("shop", "/").body.trim(), "Hello, world!");

    world.file("apps/shop/hop3.toml", &spec("hop3-no-such-package"));
    world.commit("A package that there is not");
    let app = world.until_failing("shop");
    let words =
        "hop3-no-such-package cannot be installed: Unable to locate package hop3-no-such-package";
    let failure = app["failure"].to_string();
    assert!(failure.contains(words), "{app:#}");
    assert_eq!(world.ask("shop", "/").body.trim(), "Hello, world!");
}
