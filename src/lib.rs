//! hop3-agent: a Linux server as a self-hosted `PaaS`, driven by nothing but git.
//!
//! The modules stand in the order in which data flows through them. Read-only stages produce values; `execute` alone has effects, all of
//! them through the [`hop3_plugin_api::Host`] seam. ARCHITECTURE.md has the picture.

// 1. What is linked and what the operator says, made into one running program.
pub mod agent;

pub mod plugins;

pub mod registry;

pub mod config;

pub mod compose;

// 2. Triggers, and the loop that takes them one at a time.
pub mod webhook;

pub mod socket;

pub mod control;

// 3. From the config repo to what should be.
pub mod repo;

pub mod schema;

pub mod schedule;

pub mod spec;

pub mod desired;

pub mod validate;

// 4. What is.
pub mod release;

pub mod observe;

// 5. From both to the plan, and what of it may be done now.
pub mod diff;

pub mod plan;

pub mod gate;

// 6. The only effects.
pub mod lanes;

pub mod execute;

pub mod health;

mod contain;

pub mod machine;

pub mod host;

pub mod state;

pub mod uninstall;

// 7. What people and programs see.
pub mod report;

pub mod cli;

/// Reading and planning make many small values on several threads and drop most of them; what is dropped goes back to the machine.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub use agent::Agent;
pub use plugins::builtin;
