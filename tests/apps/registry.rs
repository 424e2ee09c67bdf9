//! A package registry of the test's own, on loopback: two versions of one package in every form that it knows (`registry/main.py`).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::support::ask;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps/registry/main.py");

/// Serves until it is dropped.
pub(crate) struct OwnRegistry {
    process: Child,
    address: SocketAddr,
}

impl OwnRegistry {
    /// Starts it, and waits until it listens. It knows a directory in which it may make packages with the tools of this machine.
    pub(crate) fn start(work: &std::path::Path) -> Self {
        let mut process = Command::new("/usr/bin/python3")
            .arg(PROGRAM)
            .arg(work)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = process.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let address = line.trim().parse();
        let address = address.unwrap_or_else(|_| panic!("the registry said {line:?}"));
        Self { process, address }
    }

    /// What leads tools here.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let base = format!("http://{}", self.address);
        let variables = self.read("/variables");
        let lines = variables.lines().filter_map(|line| line.split_once('='));
        let filled = lines.map(|(key, value)| (key.to_owned(), value.replace("{base}", &base)));
        filled.collect()
    }

    /// How many packages were fetched so far.
    pub(crate) fn fetched(&self) -> u64 {
        self.read("/fetched").trim().parse().unwrap()
    }

    fn read(&self, path: &str) -> String {
        let host = self.address.to_string();
        let answer = ask(
            self.address,
            &format!("GET {path}"),
            &[("Host", &host)],
            b"",
        );
        answer.unwrap().body
    }
}

impl Drop for OwnRegistry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
