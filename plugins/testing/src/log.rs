//! Two voices for tests: one that says nothing and one that remembers.

use std::sync::{Mutex, PoisonError};

use hop3_plugin_api::{Level, Log};

/// Swallows every line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Log for Silent {
    fn say(&self, _level: Level, _line: &str) {}
}

/// Keeps every line in the order in which it was said.
#[derive(Debug, Default)]
pub struct Recorder {
    lines: Mutex<Vec<(Level, String)>>,
}

impl Recorder {
    /// Everything said so far.
    pub fn lines(&self) -> Vec<(Level, String)> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether some line contains the text.
    pub fn heard(&self, text: &str) -> bool {
        self.lines().iter().any(|(_, line)| line.contains(text))
    }
}

impl Log for Recorder {
    fn say(&self, level: Level, line: &str) {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((level, line.to_owned()));
    }
}
