//! What every test here stands on: a [`TestHost`] of its own. Never looks into the agent's memory: only what a person or a visitor could see.
#![allow(
    dead_code,
    unused_imports,
    reason = "each of these tests uses another part of what they share"
)]

#[path = "../../support/git_repo.rs"]
mod git_repo;
mod guestbook;
mod host;
mod http;
mod mount;
mod processes;
mod running;
#[path = "../../support/load.rs"]
mod stream;
mod wait;

pub(crate) use git_repo::GitRepo;
pub(crate) use guestbook::APPS;
pub(crate) use host::{Command, TestHost};
pub(crate) use http::{Answer, ask};
pub(crate) use processes::{Process, Signal};
pub(crate) use stream::{Load, Report, RunningLoad};
pub(crate) use wait::{PATIENCE, is_long, until, until_some, until_within};
