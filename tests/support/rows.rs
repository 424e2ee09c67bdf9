//! The counts of the rows of faults and threats, printed so that a person or a script finds them among everything else.

use std::io::Write as _;

/// Whether the long form of a test is wanted: `HOP3_TEST_LONG=1`.
pub(crate) fn is_long() -> bool {
    std::env::var_os("HOP3_TEST_LONG").is_some_and(|value| value == "1")
}

/// Prints `row F10: 64 points, 64 refused, 0 hung`, past the test harness, which shows nothing of a test that passes.
pub(crate) fn row(name: &str, counts: &[(usize, &str)]) {
    let counts: Vec<_> = counts
        .iter()
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let form = if is_long() { "" } else { " (short form)" };
    say(&format!("\nrow {name}: {}{form}\n", counts.join(", ")));
}

/// Says that a row cannot be tried here, and why.
pub(crate) fn not_run(name: &str, why: &str) {
    say(&format!("\nrow {name}: not run: {why}\n"));
}

fn say(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
