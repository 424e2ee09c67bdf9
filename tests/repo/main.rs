//! The config repo against the real git: over `file://` and over TLS from nginx with `git http-backend`.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the tests make repositories and servers to read from, and say what they skip"
)]

#[path = "../support/fake_server.rs"]
mod fake_server;
#[path = "../support/forge.rs"]
mod forge;
#[path = "../support/git_repo.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod git_repo;
#[path = "../support/git_server.rs"]
mod git_server;
#[path = "../support/pack.rs"]
mod pack;
#[path = "../support/rows.rs"]
#[expect(dead_code, reason = "these tests use a part of it")]
mod rows;
#[path = "../support/ssh_server.rs"]
mod ssh_server;

mod bombs;
mod damage;
mod hostile;
mod http;
mod mirrors;
mod points;
mod reading;
mod refusals;
mod rewritten;
mod ssh;
mod stalls;
mod trust;
mod world;
