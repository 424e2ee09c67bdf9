//! `doctor` as an operator meets it: on a host with these programs and no others.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "the tests are the operator: they write files and type commands"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A host whose tools are in one directory, with a work tree of a config repo.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        for directory in ["bin", "repo/apps"] {
            fs::create_dir_all(host.path(directory)).unwrap();
        }
        let at = |name: &str| host.path(name).display().to_string();
        let settings = format!(
            "host = \"test\"\ndata-dir = {:?}\nrun-dir = {:?}\ntool-path = [{:?}]\n\n[repo]\nurl = \"file://{}\"\n",
            at("data"),
            at("run"),
            at("bin"),
            at("repo")
        );
        fs::write(host.path("agent.toml"), settings).unwrap();
        for name in ["git", "python3"] {
            host.has(name);
        }
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A real program of this machine.
    fn has(&self, name: &str) {
        let places = ["/usr/local/bin", "/usr/bin", "/bin"].map(|dir| Path::new(dir).join(name));
        let real = places.into_iter().find(|path| path.exists()).unwrap();
        symlink(real, self.path("bin").join(name)).unwrap();
    }

    /// A program that ends like this.
    fn program(&self, name: &str, script: &str) -> &Self {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn file(&self, name: &str, content: &str) -> &Self {
        let path = self.path("repo/apps").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// What `doctor` says of this host for the work tree, and its exit code.
    fn doctor(&self) -> (String, i32) {
        said(
            &["doctor", "--repo", &self.path("repo").display().to_string()],
            &self.path("agent.toml"),
        )
    }
}

fn said(arguments: &[&str], settings: &Path) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hop3-agent"));
    let Output { status, stdout, .. } = command
        .args(arguments)
        .arg("--config")
        .arg(settings)
        .output()
        .unwrap();
    (String::from_utf8(stdout).unwrap(), status.code().unwrap())
}

#[test]
fn what_an_app_needs_and_the_host_lacks_is_named_with_its_package_and_is_a_fault() {
    let host = Host::new();
    host.file(
        "shop/shop.csproj",
        "<Project Sdk=\"Microsoft.NET.Sdk.Web\"/>\n",
    )
    .file("shop/hop3.toml", "[metadata]\nid = \"shop\"\n");
    let (text, code) = host.doctor();
    assert!(
        text.contains("  missing  dotnet         is not on this host; `shop` needs it\n"),
        "{text}"
    );
    assert!(
        text.contains("hint: Debian has no package of it: Microsoft's has `dotnet-sdk`"),
        "{text}"
    );
    assert!(
        text.contains("hint: Debian's package is `ruby`, Red Hat's is `ruby`"),
        "{text}"
    );
    assert_eq!(code, 1, "{text}");
}

#[test]
fn a_host_that_has_what_its_apps_need_is_well_whatever_else_it_lacks() {
    let host = Host::new();
    host.file("shop/main.py", "")
        .file("shop/requirements.txt", "")
        .file("shop/hop3.toml", "");
    let (text, code) = host.doctor();
    assert!(text.contains("  ok       settings "), "{text}");
    assert!(text.contains("  ok       python3        3."), "{text}");
    assert!(text.contains("  missing  cargo "), "{text}");
    assert!(text.contains("  missing  docker "), "{text}");
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_tool_that_does_not_work_is_told_from_one_that_is_not_there() {
    let host = Host::new();
    host.program("ruby", "echo 'cannot load such file' >&2; exit 3");
    let (text, _) = host.doctor();
    assert!(
        text.contains("  faulty   ruby           `ruby --version` exited with status 3\n"),
        "{text}"
    );
    assert!(text.contains("  missing  bundle "), "{text}");
}

#[test]
fn an_engine_that_is_not_running_is_a_fault_where_an_app_is_an_image() {
    let host = Host::new();
    host.program("docker", "echo 'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?' >&2; exit 1")
        .file("box/Dockerfile", "FROM scratch\n")
        .file("box/hop3.toml", "");
    let (text, code) = host.doctor();
    assert!(
        text.contains(
            "  faulty   docker engine  could not ask the engine for its version: Cannot connect"
        ),
        "{text}"
    );
    assert!(
        text.contains("hint: start it, or name its address as `host`"),
        "{text}"
    );
    assert_eq!(code, 1, "{text}");
}

#[test]
fn without_settings_it_looks_all_the_same_and_says_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    let (text, code) = said(&["doctor"], &nowhere.path().join("agent.toml"));
    assert!(
        text.contains("  faulty   settings       could not read"),
        "{text}"
    );
    assert!(text.contains("hop3-agent init"), "{text}");
    assert!(text.contains("\npython\n"), "{text}");
    assert_eq!(code, 1);
}

#[test]
fn packages_that_an_app_names_are_looked_for_and_told_with_the_way_to_get_them() {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !release.contains("debian") {
        return eprintln!("skipped: this is no Debian");
    }
    let host = Host::new();
    host.has("dpkg-query");
    host.file("shop/run.sh", "").file(
        "shop/hop3.toml",
        "[build]\ntoolchain = \"generic\"\npackages = [\"bash\", \"hop3-no-such-package\"]\n[run]\nstart = \"sh run.sh\"\n",
    );
    let (text, code) = host.doctor();
    assert!(
        text.contains("  ok       bash           is installed\n"),
        "{text}"
    );
    let missing = "  missing  hop3-no-such-package is not on this host; `shop` needs it\n           hint: `apt-get install hop3-no-such-package`\n";
    assert!(text.contains(missing), "{text}");
    assert_eq!(code, 1, "{text}");
}
