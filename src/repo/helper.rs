//! The helper process `internal-fetch`: what runs on the other side of [`super::child`]. It limits itself before it reads a byte from a server.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal};

use super::child::{Done, MESSAGE_LIMIT, Order, Task};
use super::{RepoError, fetch, pipe, tls};

/// What a fetch may take beside its memory: mapped packs and the address space that the allocator reserves without using it.
const ADDRESS_SPACE: u64 = 4 * 1024 * 1024 * 1024;

/// The helper process `internal-fetch`: reads one order from its standard input, does it and writes the answer.
#[expect(
    clippy::needless_pass_by_value,
    reason = "this is the signature of every entry point"
)]
pub fn internal_fetch(args: Vec<String>) -> ExitCode {
    let answer = if args.is_empty() {
        read_order().and_then(|order| perform(&order))
    } else {
        Err(RepoError::internal(
            "fetch",
            "the helper takes no arguments",
        ))
    };
    let written = serde_json::to_vec(&answer).map(|message| std::io::stdout().write_all(&message));
    if matches!(written, Ok(Ok(()))) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read_order() -> Result<Order, RepoError> {
    let refused = |e: std::io::Error| RepoError::internal("read the order", e);
    let mut line = Vec::new();
    let mut byte = [0];
    let mut stdin = std::io::stdin().lock();
    while stdin.read(&mut byte).map_err(refused)? == 1 && byte != *b"\n" {
        line.push(byte[0]);
        if line.len() as u64 > MESSAGE_LIMIT {
            return Err(RepoError::internal("read the order", "it is too long"));
        }
    }
    serde_json::from_slice(&line).map_err(|e| RepoError::internal("read the order", e))
}

fn perform(order: &Order) -> Result<Done, RepoError> {
    end_with_the_agent();
    limit_ourselves(order).map_err(|e| RepoError::internal("limit the fetch", e))?;
    tls::install_tls_provider();
    match &order.task {
        Task::Tip(reference) => pipe::tip(order, reference).map(Done::Tip),
        Task::Fetch(task) => fetch::perform(order, task).map(Done::Fetched),
    }
}

/// Waits beside the work for the agent's end of the pipe to close.
fn end_with_the_agent() {
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        if rustix::process::getpgrp() == rustix::process::getpid() {
            rustix::process::kill_process_group(rustix::process::getpid(), Signal::KILL).ok();
        }
    });
}

/// A pack of any size, a bomb of deltas and a loop all end here, not in the agent.
fn limit_ourselves(order: &Order) -> rustix::io::Result<()> {
    let pack = order.limits.max_pack_bytes;
    for (resource, limit) in [
        (Resource::Core, 0),
        (Resource::Fsize, pack),
        (Resource::Data, order.limits.memory_bytes),
        (
            Resource::As,
            ADDRESS_SPACE.saturating_add(pack.saturating_mul(3)),
        ),
        (
            Resource::Cpu,
            order
                .limits
                .deadline
                .as_secs()
                .saturating_add(1)
                .saturating_mul(2),
        ),
    ] {
        let limit = rustix::process::getrlimit(resource)
            .maximum
            .map_or(limit, |hard| hard.min(limit));
        rustix::process::setrlimit(
            resource,
            Rlimit {
                current: Some(limit),
                maximum: Some(limit),
            },
        )?;
    }
    // Under pressure the machine should take this process before any app. Where that cannot be said, the limits above still hold.
    std::fs::write("/proc/self/oom_score_adj", "800").ok();
    Ok(())
}
