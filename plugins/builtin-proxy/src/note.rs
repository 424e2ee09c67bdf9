//! The voice of the proxy's own processes: one escaped line each to standard error, which is their log file, and never too many of them.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::files::date;

/// So many lines per [`WINDOW`] are written, the rest is counted.
const MOST_LINES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

static THROTTLE: Mutex<Throttle> = Mutex::new(Throttle::new());

/// Writes a line about something (a role, an app), unless there were too many lately.
pub(crate) fn note(about: &str, what: impl Display) {
    let verdict = THROTTLE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .admit(Instant::now());
    match verdict {
        Verdict::Drop => {}
        Verdict::Write { dropped: 0 } => write(about, &what.to_string()),
        Verdict::Write { dropped } => {
            write("proxy", &format!("{dropped} more lines were left out"));
            write(about, &what.to_string());
        }
    }
}

/// A log that cannot be written is no reason to stop serving.
fn write(about: &str, what: &str) {
    let line = format!("{} {about}: {}\n", date::now(), escaped(what));
    std::io::stderr().write_all(line.as_bytes()).ok();
}

/// Text without control characters, so that nothing from outside can start a line of its own.
fn escaped(text: &str) -> String {
    text.chars()
        .take(500)
        .flat_map(|c| {
            let control = c.is_control();
            let plain = (!control).then_some(c).into_iter();
            let escape = control.then(|| c.escape_default()).into_iter().flatten();
            plain.chain(escape)
        })
        .collect()
}

struct Throttle {
    since: Option<Instant>,
    written: u32,
    dropped: u32,
}

enum Verdict {
    Drop,
    Write { dropped: u32 },
}

impl Throttle {
    const fn new() -> Self {
        Self {
            since: None,
            written: 0,
            dropped: 0,
        }
    }

    fn admit(&mut self, now: Instant) -> Verdict {
        let fresh = self
            .since
            .is_none_or(|since| now.duration_since(since) >= WINDOW);
        if fresh {
            self.since = Some(now);
            self.written = 0;
        }
        if self.written >= MOST_LINES {
            self.dropped += 1;
            return Verdict::Drop;
        }
        self.written += 1;
        Verdict::Write {
            dropped: std::mem::take(&mut self.dropped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut throttle = Throttle::new();
        let start = Instant::now();
        let written = (0..100)
            .filter(|_| matches!(throttle.admit(start), Verdict::Write { .. }))
            .count();
        assert_eq!(written, 20);
        let later = throttle.admit(start + WINDOW);
        assert!(matches!(later, Verdict::Write { dropped: 80 }));
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(escaped("a\nb\u{1b}[0m é"), "a\\nb\\u{1b}[0m é");
    }
}
