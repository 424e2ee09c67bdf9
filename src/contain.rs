//! A mistake in the handling of one app is that app's failure, never the agent's end: what panics is turned into words.
//!
//! Assumptions: what is contained works on values of its own; what it shares with others is behind locks that outlive a panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;

/// The result of some work, or the words with which it panicked.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words(panic.as_ref()))
}

/// The same for work that waits.
pub(crate) async fn contained_async<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.map_err(|panic| words(panic.as_ref()))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it gave no reason".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn t40_what_panics_becomes_words() {
        assert_eq!(contained(|| 7), Ok(7));
        let number = 3;
        assert_eq!(
            contained(|| -> u8 { panic!("no {number}") }),
            Err("no 3".to_owned())
        );
        let waiting = async { panic!("at all") };
        let contained = contained_async::<u8>(waiting).await;
        assert_eq!(contained, Err("at all".to_owned()));
    }
}
