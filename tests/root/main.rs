//! The real binary as root, with a system user per app and a real Docker engine. Skipped where there is no root or a component is missing.
//!
//! One world per test: own directories, own ports, and everything that was made (processes, users) is taken away again, also on failure.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the tests are the operator and the attacker: they run programs and write files, and say what they skip"
)]

mod apps;
mod docker;
mod hostile;
mod intruder;
mod isolation;
mod lures;
mod packages;
#[path = "../support/rows.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod rows;
mod secrets;
mod world;

/// Whether a row cannot be tried here; says why.
fn left_out(row: &str, programs: &[&str]) -> bool {
    let why = missing(programs);
    if let Some(why) = &why {
        rows::not_run(row, why);
    }
    why.is_some()
}

/// Says why a test does not run, or nothing.
fn missing(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("system users for apps need root".to_owned());
    }
    programs
        .iter()
        .find(|name| {
            !["/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin"]
                .iter()
                .any(|dir| std::path::Path::new(dir).join(name).exists())
        })
        .map(|name| format!("`{name}` is not installed"))
}
