//! Somebody who asks every app that should serve, twenty times a second, for as long as the walk goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::proof::Visitor;

/// Between two rounds.
const PACE: Duration = Duration::from_millis(50);

/// The patrol. Dropping it ends it.
pub(crate) struct Patrol {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    beat: Mutex<Beat>,
}

/// Whom it asks, and what it found.
#[derive(Default)]
struct Beat {
    apps: BTreeMap<&'static str, (Visitor, &'static str)>,
    failed: BTreeMap<&'static str, Vec<String>>,
}

impl Patrol {
    /// One that asks nobody yet.
    pub(crate) fn begin() -> Self {
        let shared: Arc<Shared> = Arc::default();
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !own.ended.load(Ordering::SeqCst) {
                let next = Instant::now() + PACE;
                own.round();
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// From now on an app is asked.
    pub(crate) fn watch(&self, app: &'static str, visitor: Visitor, path: &'static str) {
        let mut beat = self.shared.beat.lock().unwrap();
        beat.apps.insert(app, (visitor, path));
    }

    /// From now on it is not.
    pub(crate) fn leave(&self, app: &'static str) {
        self.shared.beat.lock().unwrap().apps.remove(app);
    }

    /// What failed since it was last asked for, but for apps of which that was to be expected.
    pub(crate) fn complaints(&self, excused: &BTreeSet<&'static str>) -> Vec<String> {
        let mut beat = self.shared.beat.lock().unwrap();
        let failed = std::mem::take(&mut beat.failed).into_iter();
        let failed = failed.filter(|(app, _)| !excused.contains(app));
        failed
            .map(|(app, failed)| {
                format!(
                    "I2 {} requests to {app} failed, the first: {}",
                    failed.len(),
                    failed[0]
                )
            })
            .collect()
    }
}

impl Shared {
    fn round(&self) {
        let apps = self.beat.lock().unwrap().apps.clone();
        for (app, (visitor, path)) in apps {
            // A connection that breaks off is tried once more.
            let again = |why: String| {
                if why.starts_with("HTTP/") {
                    Err(why)
                } else {
                    visitor.ask(path)
                }
            };
            let answer = visitor.ask(path).or_else(again);
            if let Err(why) = answer {
                self.note(app, why);
            }
        }
    }

    fn note(&self, app: &'static str, why: String) {
        let mut beat = self.beat.lock().unwrap();
        // It may have been removed while it was asked.
        if beat.apps.contains_key(app) {
            beat.failed.entry(app).or_default().push(why);
        }
    }
}

impl Drop for Patrol {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
