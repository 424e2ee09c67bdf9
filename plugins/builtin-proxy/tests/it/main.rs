//! The proxy's real processes, real sockets and real files, on loopback ports.
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "the tests' machine starts the real processes and writes the real files"
)]
#![allow(missing_docs, reason = "these are tests")]

mod backend;
mod bench;
mod client;
mod files;
mod limits;
mod machine;
mod processes;
mod routing;
mod switching;
