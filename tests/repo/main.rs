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
#[path = "../support/git_repo.rs"]
mod git_repo;
#[path = "../support/git_server.rs"]
mod git_server;

mod damage;
mod hostile;
mod http;
mod reading;
mod refusals;
mod world;
