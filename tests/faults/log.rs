//! The agent's log of all cases, kept in memory: it is searched for secrets, and shown when a case fails.

use std::io::{self, Write};
use std::sync::{Mutex, Once};

static TEXT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static INSTALLED: Once = Once::new();

struct Memory;

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TEXT.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has everything that the agent says from now on be kept.
pub(crate) fn keep() {
    INSTALLED.call_once(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_target(false)
            .with_env_filter("warn,hop3_agent=debug")
            .with_writer(|| Memory)
            .init();
    });
}

/// What was said so far.
pub(crate) fn text() -> String {
    String::from_utf8_lossy(&TEXT.lock().unwrap()).into_owned()
}
