//! The built program from outside: real agents on real config repos, asked over HTTP, by commands and by signals.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "these tests are the person in front of the machine: they commit, type commands, send signals and read what is printed"
)]

mod bad_input;
mod cli;
mod kill;
mod lanes;
mod load;
mod remote;
mod rows;
mod support;
mod webhook;
