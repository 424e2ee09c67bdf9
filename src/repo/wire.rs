//! What crosses the wire of a fetch: counted, timed and watched, so that what went wrong is known from where it happened and not from what
//! git's own code made of it. Lives in the fetching child.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::child::Order;
use super::failure::Asked;
use super::{FetchLimits, RepoError};

/// Shared by all that reads from one server.
#[derive(Clone)]
pub(super) struct Watch(Arc<State>);

struct State {
    asked: Asked,
    limits: FetchLimits,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    bytes: u64,
    fault: Option<RepoError>,
}

impl Watch {
    pub(super) fn new(order: &Order) -> Self {
        Self(Arc::new(State {
            asked: order.asked(),
            limits: order.limits,
            seen: Mutex::default(),
        }))
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.0.asked
    }

    pub(super) fn limits(&self) -> &FetchLimits {
        &self.0.limits
    }

    /// Notes what went wrong; the first fault is the cause of all others.
    pub(super) fn fault(&self, error: RepoError) -> io::Error {
        let text = error.to_string();
        self.seen().fault.get_or_insert(error);
        io::Error::other(text)
    }

    /// Counts what was read. More than may be is a fault.
    pub(super) fn count(&self, read: usize) -> io::Result<usize> {
        let limit = self.0.limits.max_pack_bytes;
        let bytes = {
            let mut seen = self.seen();
            seen.bytes = seen.bytes.saturating_add(read as u64);
            seen.bytes
        };
        if bytes <= limit {
            return Ok(read);
        }
        let limit = format!("{} MiB", limit / 1024 / 1024);
        Err(self.fault(RepoError::too_large(
            "the pack that the server sends",
            limit,
        )))
    }

    /// What went wrong, if anything did.
    pub(super) fn taken(&self) -> Option<RepoError> {
        self.seen().fault.take()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
