//! At most two apps at a time: builds use whole processors, and what waits for one must not time out for want of it.

use std::sync::{Condvar, Mutex, PoisonError};

const LIMIT: usize = 2;

static BUSY: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// The right to work; ends when it is dropped.
pub(crate) struct Turn(());

impl Turn {
    /// Waits for one.
    pub(crate) fn take() -> Self {
        let busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = ENDED
            .wait_while(busy, |busy| *busy >= LIMIT)
            .unwrap_or_else(PoisonError::into_inner);
        *busy += 1;
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *BUSY.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}
