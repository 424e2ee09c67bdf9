//! The same pure work for many apps, on all processors. It never changes their order.

use std::thread::{ScopedJoinHandle, available_parallelism, scope};

/// So few apps are not worth a thread of their own.
const FEW: usize = 64;

/// What the work gives for each of them, in their order.
pub(super) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let part = items
        .len()
        .div_ceil(available_parallelism().map_or(1, usize::from));
    if part < FEW {
        return items.iter().map(work).collect();
    }
    let work = &work;
    let parts: Vec<Vec<R>> = scope(|scope| {
        let parts = items.chunks(part);
        let running: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(work).collect()))
            .collect();
        let joined = running.into_iter().map(ScopedJoinHandle::join);
        joined
            .map(|part| part.expect("the work for one app is contained"))
            .collect()
    });
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays_whatever_the_number() {
        for count in [0, 1, FEW, 10 * FEW + 3] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(in_parallel(&items, |it| *it), items);
        }
    }
}
