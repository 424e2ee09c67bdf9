//! Repairs that are undone again and again: after a few of the same kind in a short time, somebody else wants it otherwise, and the agent
//! reports instead of fighting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hop3_plugin_api::{AppName, Digest};
use tokio::time::Instant;

use super::Store;
use super::memo::Kind;

/// Repairs of the same kind that are made within [`WINDOW`].
const MOST: usize = 5;
/// The time in which they are counted.
const WINDOW: Duration = Duration::from_mins(10);

/// An app's repair, by the id of the change that makes it: the same repair has the same id.
type Repair = (AppName, Digest);

/// Repairs of late, and those that are no longer made.
#[derive(Debug, Default)]
pub struct Repairs {
    made: BTreeMap<Repair, Vec<Instant>>,
    /// Each with the target that it was for: another target ends it.
    flapping: BTreeMap<Repair, Digest>,
}

impl Repairs {
    /// What a store remembers.
    pub fn recalled(store: &Store) -> Self {
        let kept = store.recall::<Digest>(Kind::Flapping).into_iter();
        let parse = |(app, change, target): (AppName, String, Digest)| {
            Some(((app, Digest::from_hex(&change)?), target))
        };
        Self {
            made: BTreeMap::new(),
            flapping: kept.filter_map(parse).collect(),
        }
    }

    /// Counts a repair that was made. One that failed is not undone by anybody, and is tried again like any change.
    pub fn note(&mut self, repair: Repair, now: Instant) {
        self.made.entry(repair).or_default().push(now);
    }

    /// Whether a repair is needed once too often; then it is no longer made on the way to this target.
    pub fn is_too_many(
        &mut self,
        repair: Repair,
        (target, now): (&Digest, Instant),
        store: &Store,
    ) -> bool {
        if self.flapping.contains_key(&repair) {
            return true;
        }
        let Some(made) = self.made.get_mut(&repair) else {
            return false;
        };
        made.retain(|at| now.duration_since(*at) < WINDOW);
        if made.len() < MOST {
            return false;
        }
        store.keep((Kind::Flapping, &repair.0, repair.1.as_str()), target);
        self.flapping.insert(repair, target.clone());
        true
    }

    /// The repairs that are no longer made.
    pub fn flapping(&self) -> BTreeSet<Repair> {
        self.flapping.keys().cloned().collect()
    }

    /// Forgets the repairs of an app whose target is one of these.
    pub fn forget(&mut self, app: &AppName, which: impl Fn(&Digest) -> bool, store: &Store) {
        let ended: Vec<Repair> = self
            .flapping
            .iter()
            .filter(|((of, _), target)| of == app && which(target))
            .map(|(repair, _)| repair.clone())
            .collect();
        for repair in ended {
            store.forget((Kind::Flapping, app, repair.1.as_str()));
            self.made.remove(&repair);
            self.flapping.remove(&repair);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hop3_plugin_testing::FakeHost;

    use super::*;

    fn repair() -> Repair {
        (AppName::parse("shop").unwrap(), Digest::of("mend"))
    }

    #[test]
    fn f34_the_sixth_repair_within_ten_minutes_is_not_made() {
        let store = Store::in_memory(Arc::new(FakeHost::new())).unwrap();
        let (mut repairs, target) = (Repairs::default(), Digest::of("target"));
        let mut now = Instant::now();
        for _ in 0..MOST {
            assert!(!repairs.is_too_many(repair(), (&target, now), &store));
            repairs.note(repair(), now);
            now += Duration::from_mins(1);
        }
        assert!(repairs.is_too_many(repair(), (&target, now), &store));
        // Neither time nor a restart ends it, but another target does.
        now += WINDOW * 2;
        let mut recalled = Repairs::recalled(&store);
        for repairs in [&mut repairs, &mut recalled] {
            assert!(repairs.is_too_many(repair(), (&target, now), &store));
        }
        recalled.forget(&repair().0, |other| *other != target, &store);
        assert_eq!(recalled.flapping().len(), 1);
        recalled.forget(&repair().0, |_| true, &store);
        assert!(!recalled.is_too_many(repair(), (&target, now), &store));
        assert!(Repairs::recalled(&store).flapping().is_empty());
    }

    #[test]
    fn repairs_that_are_rare_are_made_for_ever() {
        let store = Store::in_memory(Arc::new(FakeHost::new())).unwrap();
        let (mut repairs, target) = (Repairs::default(), Digest::of("target"));
        let mut now = Instant::now();
        for _ in 0..100 {
            assert!(!repairs.is_too_many(repair(), (&target, now), &store));
            repairs.note(repair(), now);
            now += WINDOW / 4;
        }
    }
}
