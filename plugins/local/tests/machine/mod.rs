//! A machine that really runs programs, for tests with real tools: only the users and the confinement of the file system are missing. A
//! step without network gets none where this machine can take it away.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "this module stands in for the host"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hop3_plugin_api::serde_json::json;
use hop3_plugin_api::{
    BuildArtifact, BuildPlan, Builder as _, Exit, ExitStatus, LanguageToolchain as _, Program,
    Result, Task,
};
use hop3_plugin_local::LocalBuilder;
use hop3_plugin_testing::TestApp;
use hop3_plugin_toolchains::ALL;

/// What tells tools how this machine reaches its registries; everything else of the environment stays out of builds.
const PASSED_ON: [&str; 10] = [
    "CARGO_HTTP_CAINFO",
    "GOPROXY",
    "GOSUMDB",
    "HTTPS_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_REGISTRY",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// Leaves the network but for loopback, then becomes the program.
const OFFLINE: &str = "ip link set lo up 2>/dev/null; exec \"$@\"";

/// Where a program is on this machine.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).map(|dir| dir.join(name));
    places.into_iter().find(|path| path.is_file())
}

fn passed_on() -> BTreeMap<String, String> {
    let set = PASSED_ON.iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        Some(((*name).to_owned(), value))
    });
    set.collect()
}

fn command(task: &Task) -> Command {
    let mut words: Vec<std::ffi::OsString> = match &task.program {
        Program::Named(name) => vec![find(name).unwrap().into()],
        Program::At(path) => vec![path.into()],
        Program::AppShell(line) => vec!["/bin/sh".into(), "-c".into(), line.into()],
        Program::Agent => panic!("a build never starts the agent"),
    };
    if task.sandbox.enabled && !task.sandbox.network && can_leave_the_network() {
        let before = [
            "unshare", "--net", "--", "/bin/sh", "-c", OFFLINE, "offline",
        ];
        words.splice(0..0, before.map(Into::into));
    }
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(&task.args)
        .current_dir(&task.dir);
    command.env_clear();
    command.envs(task.env.iter().map(|(key, value)| (key, value.expose())));
    command
}

fn can_leave_the_network() -> bool {
    let tried = Command::new("unshare")
        .args(["--net", "--", "true"])
        .output();
    tried.is_ok_and(|output| output.status.success())
}

fn run(task: &Task) -> Exit {
    let mut command = command(task);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    if let Some(text) = &task.input {
        input.write_all(text.expose().as_bytes()).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Exit {
        status: ExitStatus::Code(output.status.code().unwrap_or(-1)),
        tail: String::from_utf8_lossy(&said).into_owned(),
    }
}

/// An app on a machine that has these programs; `None`, and a line that says so, where one is missing.
#[expect(clippy::print_stdout, reason = "what is not run must say so")]
pub(crate) fn app(programs: &[&str]) -> Option<TestApp> {
    if let Some(missing) = programs.iter().find(|name| find(name).is_none()) {
        println!("not run: this machine has no `{missing}`");
        return None;
    }
    let mut app = TestApp::new("shop");
    app.fake().on_find(find);
    app.fake().on_run(run);
    app.settings
        .insert("local".to_owned(), json!({ "env": passed_on() }));
    Some(app)
}

/// Runs a tool in the source as its author would, to make a lock file; `false`, and a line that says so, where that fails.
#[expect(clippy::print_stdout, reason = "what is not run must say so")]
pub(crate) fn author(app: &TestApp, words: &[&str]) -> bool {
    let mut command = Command::new(find(words[0]).unwrap());
    let output = command
        .args(&words[1..])
        .current_dir(app.source_directory())
        .output()
        .unwrap();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("not run: `{}` failed: {said}", words.join(" "));
    }
    output.status.success()
}

/// The plan of a toolchain.
pub(crate) fn plan(app: &TestApp, toolchain: &str) -> BuildPlan {
    let toolchain = ALL.iter().find(|it| it.name() == toolchain).unwrap();
    LocalBuilder
        .plan(&app.plan_context(), Some(toolchain))
        .unwrap()
}

/// Builds the app.
pub(crate) async fn build(app: &TestApp, toolchain: &str) -> Result<BuildArtifact> {
    let plan = plan(app, toolchain);
    LocalBuilder.build(&app.context(), &plan).await
}

/// What a program of the release says, run in the release's directory with the paths that the artifact names.
pub(crate) fn says(app: &TestApp, line: &str) -> String {
    let output = Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir(&app.paths.build)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// The names of steps since the last call.
pub(crate) fn steps(app: &TestApp) -> Vec<String> {
    let lines = app.fake().take_transcript().into_iter();
    let runs = lines.filter_map(|line| line.strip_prefix("run ").map(str::to_owned));
    let names = runs.map(|run| run.split(" of shop").next().unwrap_or_default().to_owned());
    names.filter(|name| !name.starts_with("ask for")).collect()
}

/// Whether the release has something at a path.
pub(crate) fn has(app: &TestApp, path: &str) -> bool {
    Path::new(&app.paths.build).join(path).exists()
}
