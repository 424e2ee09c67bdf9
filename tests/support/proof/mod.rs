//! What the proofs of reliability stand on: an installation in a directory of its own ([`Ground`]), lives of the real agent on it ([`Life`]),
//! visitors who keep asking ([`Visitor`]), and the one oracle that says whether everything is as it was promised ([`oracle`]).
//!
//! Whatever runs on a ground ends with it. Nothing here looks into the agent's memory: files, processes, answers, and what the agent says.
#![allow(
    dead_code,
    unused_imports,
    reason = "each of these tests uses another part of what they share"
)]

pub(crate) mod deployed;
pub(crate) mod effects;
#[path = "../git_repo.rs"]
mod git_repo;
mod ground;
mod life;
pub(crate) mod oracle;
mod process;
mod random;
mod rows;
mod visitor;

pub(crate) use deployed::{Deployed, one_life};
pub(crate) use effects::{Moment, Sweep, Verdict, all_moments, journal_of};
pub(crate) use git_repo::GitRepo;
pub(crate) use ground::{Ground, Template, texts};
pub(crate) use life::{Life, Program, last_words};
pub(crate) use oracle::{Expectation, Report, Wanted};
pub(crate) use process::Process;
pub(crate) use random::Random;
pub(crate) use rows::{is_long, row, sample};
pub(crate) use visitor::{EDITIONS_WENT_BACK, Stream, Visitor};
