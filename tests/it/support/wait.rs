//! Waiting for what a test knows must come, never for a length of time.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// The longest that anything may take; generous, because other tests use the same processors.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

const PAUSE: Duration = Duration::from_millis(10);

/// Whether the long form of a test is wanted: `HOP3_TEST_LONG=1`.
pub(crate) fn is_long() -> bool {
    std::env::var_os("HOP3_TEST_LONG").is_some_and(|value| value == "1")
}

/// Looks until it is so. Panics with what was waited for and what was seen last.
#[track_caller]
pub(crate) fn until<T: Debug>(what: &str, look: impl Fn() -> T, is_so: impl Fn(&T) -> bool) -> T {
    until_within(PATIENCE.as_secs(), what, look, is_so)
}

/// The same for what may take more, or must take less, than anything else: so many seconds.
#[track_caller]
pub(crate) fn until_within<T: Debug>(
    seconds: u64,
    what: &str,
    look: impl Fn() -> T,
    is_so: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let seen = look();
        if is_so(&seen) {
            return seen;
        }
        assert!(
            Instant::now() < deadline,
            "waited {seconds} s for {what}; last seen: {seen:#?}"
        );
        thread::sleep(PAUSE);
    }
}

/// Looks until there is something to see.
#[track_caller]
pub(crate) fn until_some<T: Debug>(what: &str, look: impl Fn() -> Option<T>) -> T {
    until(what, look, Option::is_some).unwrap()
}
