//! The tools of this machine, and how they reach their registries.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::Command;

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

/// The first program that is missing, in words.
pub(crate) fn missing(programs: &[String]) -> Option<String> {
    let lacks = programs.iter().find(|name| find(name).is_none());
    lacks.map(|name| format!("this machine has no `{name}`"))
}

fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).map(|directory| directory.join(name));
    places.find(|path| path.is_file())
}

/// The variables with which builds reach what the tools of this machine reach.
pub(crate) fn registry_variables() -> BTreeMap<String, String> {
    let set = PASSED_ON
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)));
    set.collect()
}

/// Where tools that look for themselves in their user's home are to look when that is another one.
pub(crate) fn homes_of_tools() -> BTreeMap<String, String> {
    let rustup = env::home_dir().map(|home| home.join(".rustup"));
    let rustup = rustup.filter(|home| home.is_dir() && env::var_os("RUSTUP_HOME").is_none());
    let rustup = rustup.map(|home| ("RUSTUP_HOME".to_owned(), home.display().to_string()));
    rustup.into_iter().collect()
}

/// The version that a command prints: the first number with a dot in it, else the first number.
pub(crate) fn version(command: &str) -> String {
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let words = said.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    let numbers: Vec<&str> = words
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty())
        .collect();
    let best = numbers
        .iter()
        .find(|number| number.contains('.'))
        .or(numbers.first());
    (*best.unwrap_or_else(|| panic!("`{command}` says no version: {said}"))).to_owned()
}
