//! The real agent is killed with SIGKILL at each of its effects, at any moment, and in the middle of an upgrade; the next one completes what was
//! begun, and no app notices.
//!
//! The short form takes a sample of the moments, spread over all of them; `HOP3_TEST_LONG=1` takes every one. `HOP3_TEST_SEED` repeats random ones,
//! `HOP3_TEST_CASE` takes those alone that are named so, `HOP3_TEST_TIMES` times.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test plays the forge, the visitor and the person who looks at the files"
)]

mod effects;
mod lost;
mod moments;
mod once;
mod upgrade;

#[path = "../support/proof/mod.rs"]
mod proof;
