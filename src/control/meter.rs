//! What some work costs: the processor time of the threads on which it is carried on, and of nothing else.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Work whose cost is measured. Gives its result with the cost.
pub(super) struct Metered<F> {
    work: Pin<Box<F>>,
    used: Duration,
}

impl<F: Future> Metered<F> {
    pub(super) fn new(work: F) -> Self {
        Self {
            work: Box::pin(work),
            used: Duration::ZERO,
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = (F::Output, Duration);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let before = thread_time();
        let polled = self.work.as_mut().poll(cx);
        self.used += thread_time().saturating_sub(before);
        polled.map(|done| (done, self.used))
    }
}

/// The processor time that this thread has used so far.
fn thread_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(used.tv_nsec.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the processor busy for this long.
    fn toil(length: Duration) {
        let begun = thread_time();
        while thread_time().saturating_sub(begun) < length {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn waiting_costs_nothing_and_work_costs_what_it_takes() {
        let work = async {
            toil(Duration::from_millis(20));
            tokio::time::sleep(Duration::from_millis(50)).await;
            toil(Duration::from_millis(20));
            "done"
        };
        let others = async { toil(Duration::from_millis(60)) };
        let ((done, cost), ()) = tokio::join!(Metered::new(work), others);
        assert_eq!(done, "done");
        assert!(cost >= Duration::from_millis(40), "{cost:?}");
        assert!(cost < Duration::from_millis(60), "{cost:?}");
    }
}
