//! The pure pipeline: from what is asked and what is there to a plan. Properties over drawn worlds, and a folder of cases whose plans are
//! kept as text (`UPDATE=1 cargo test --test plan` rewrites them).
//!
//! `HOP3_TEST_LONG=1` draws many more worlds.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test rewrites its own expectations when it is told to, and ends where one of its own files is wrong"
)]

mod cases;
mod model;
mod properties;
mod strangers;
mod upgrade;
mod world;
