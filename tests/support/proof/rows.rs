//! The rows of the table of faults: how many points were tried, printed so that a script finds them among everything else.

use std::collections::BTreeSet;
use std::io::Write as _;

/// Whether the long form of a test is wanted: `HOP3_TEST_LONG=1`.
pub(crate) fn is_long() -> bool {
    std::env::var_os("HOP3_TEST_LONG").is_some_and(|value| value == "1")
}

/// Prints `row F01: 312 points, 312 converged, seed -`, past the test harness, which shows nothing of a test that passes.
pub(crate) fn row(name: &str, counts: &[(usize, &str)], seed: Option<u64>) {
    let counts: Vec<_> = counts
        .iter()
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let seed = seed.map_or_else(|| "-".to_owned(), |seed| seed.to_string());
    let form = if is_long() { "" } else { " (short form)" };
    let line = format!("\nrow {name}: {}, seed {seed}{form}\n", counts.join(", "));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// All of them in the long form, else so many that are spread over all. Neighbours are skipped unevenly: cases come in groups of a few ways each,
/// and every way is to be among the chosen ones.
pub(crate) fn sample<T>(all: Vec<T>, most: usize) -> Vec<T> {
    if is_long() || all.len() <= most {
        return all;
    }
    let count = all.len();
    let stride = count / most;
    let wanted: BTreeSet<usize> = (0..most)
        .map(|index| index * count / most + index % stride.clamp(1, 7))
        .collect();
    let is_wanted = |(index, _): &(usize, T)| wanted.contains(index);
    let chosen = all.into_iter().enumerate().filter(is_wanted);
    chosen.map(|(_, it)| it).collect()
}
