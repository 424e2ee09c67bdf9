//! Whether a version is the one that is asked for. Every language writes conditions in its own way; this understands all that
//! [`ToolRequirement`](hop3_plugin_api::ToolRequirement) promises. Pure.

use std::cmp::Ordering;

/// Whether a version satisfies what is asked for: `3.12` means any 3.12, a list such as `>=3.9,<4` means all of its parts, `18 || 20` one
/// of them. `None` when a part cannot be read.
pub(crate) fn satisfies(wanted: &str, actual: &str) -> Option<bool> {
    let actual = numbers(actual)?;
    let alternatives = wanted.split("||").map(|part| all_hold(part, &actual));
    let held: Option<Vec<bool>> = alternatives.collect();
    Some(held?.into_iter().any(|held| held))
}

fn all_hold(conditions: &str, actual: &[u32]) -> Option<bool> {
    let clauses = clauses(conditions);
    if clauses.is_empty() {
        return None;
    }
    let held: Option<Vec<bool>> = clauses.iter().map(|clause| holds(clause, actual)).collect();
    Some(held?.into_iter().all(|held| held))
}

/// Conditions one by one; an operator may stand apart from its version, and `1.2 - 1.4` are two.
fn clauses(conditions: &str) -> Vec<String> {
    let conditions = conditions.replace(" - ", " <=");
    let words = conditions
        .split([',', ' ', '\t'])
        .filter(|word| !word.is_empty());
    let mut clauses: Vec<String> = Vec::new();
    for word in words {
        match clauses.last_mut() {
            Some(last) if last.ends_with(is_operator) => last.push_str(word),
            _ => clauses.push(word.to_owned()),
        }
    }
    if conditions.contains(" <=")
        && clauses
            .first()
            .is_some_and(|first| !first.starts_with(is_operator))
    {
        clauses[0].insert_str(0, ">=");
    }
    clauses
}

fn is_operator(c: char) -> bool {
    "<>=!~^".contains(c)
}

fn holds(clause: &str, actual: &[u32]) -> Option<bool> {
    let end = clause
        .find(|c: char| !is_operator(c))
        .unwrap_or(clause.len());
    let (operator, version) = clause.split_at(end);
    let (version, open) = without_wildcards(version);
    if version.is_empty() {
        return open.then_some(true);
    }
    let version = numbers(version)?;
    let order = compare(actual, &version);
    let same = actual.starts_with(&version);
    Some(match operator {
        "" | "=" => same,
        "==" | "===" if open => same,
        "!=" if open => !same,
        "==" | "===" => order.is_eq(),
        "!=" => order.is_ne(),
        ">=" => order.is_ge(),
        "<=" if open => order.is_le() || same,
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        "<" => order.is_lt(),
        "^" => order.is_ge() && shares(actual, &version, significant(&version)),
        "~" => order.is_ge() && shares(actual, &version, version.len().min(2)),
        "~>" | "~=" => order.is_ge() && shares(actual, &version, (version.len() - 1).max(1)),
        _ => return None,
    })
}

/// How many parts a compatible version keeps: up to the first that is not zero, but never more than are written.
fn significant(version: &[u32]) -> usize {
    let first = version.iter().position(|part| *part != 0);
    first.map_or(version.len(), |at| at + 1)
}

fn shares(actual: &[u32], version: &[u32], parts: usize) -> bool {
    (0..parts).all(|at| part(actual, at) == part(version, at))
}

/// The version in front of `.x`, `.*`, and whether there was any; `*` alone is any version.
fn without_wildcards(version: &str) -> (&str, bool) {
    let mut version = version;
    let whole = version.len();
    while let Some(rest) = version.strip_suffix(['x', 'X', '*']) {
        version = rest.trim_end_matches('.');
    }
    (version, version.len() < whole)
}

/// The parts of a version, `None` for a word.
pub(crate) fn numbers(version: &str) -> Option<Vec<u32>> {
    let version = version.strip_prefix('v').unwrap_or(version);
    version.split('.').map(|part| part.parse().ok()).collect()
}

/// Compares with missing parts as zero.
fn compare(a: &[u32], b: &[u32]) -> Ordering {
    (0..a.len().max(b.len()))
        .map(|at| part(a, at).cmp(&part(b, at)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn part(version: &[u32], at: usize) -> u32 {
    version.get(at).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(actual: &str, yes: &[&str], no: &[&str]) {
        for wanted in yes {
            assert_eq!(
                satisfies(wanted, actual),
                Some(true),
                "{wanted} for {actual}"
            );
        }
        for wanted in no {
            assert_eq!(
                satisfies(wanted, actual),
                Some(false),
                "{wanted} for {actual}"
            );
        }
    }

    #[test]
    fn a_version_is_compared_as_far_as_it_was_written() {
        check(
            "3.11.2",
            &[
                "3",
                "3.11",
                "3.11.2",
                "v3.11",
                "=3.11",
                "3.11.*",
                "3.11.x",
                "3.x.x",
                "*",
                "==3.11.*",
                "==3.11.2.0",
            ],
            &["3.1", "3.12", "3.11.20", "==3.11", "!=3.11.2", "!=3.11.*"],
        );
    }

    #[test]
    fn conditions_of_every_language_are_understood() {
        check(
            "3.11.2",
            &[
                ">=3.9,<4",
                ">= 3.9 , < 4",
                "~=3.9",
                "~=3.11.1",
                "!=3.10.*",
                ">3.11",
                "<=3.11.2",
                ">=3.x",
                "^3.9",
                "~3.11",
                "~3.11.1",
                "~> 3.10",
                "~>3.11.1",
                "~>3",
                "^3.0 || ^4.0",
                "2 || 3",
                "3.9 - 3.12",
                ">=3.9 <3.12",
            ],
            &[
                "<3.11",
                ">=3.12",
                "~=3.10.0",
                "^2.9",
                "^4",
                "~3.10",
                "~3.11.3",
                "~>3.10.0",
                "~> 3.12",
                "2 || 4",
                "3.9 - 3.10",
                ">=3.9 <3.11",
            ],
        );
        check(
            "0.2.5",
            &["^0.2.3", "^0.2", "^0"],
            &["^0.3", "^0.1.9", "^0.0.3"],
        );
    }

    #[test]
    fn what_cannot_be_read_is_said_to_be_unknown() {
        for wanted in ["", "lts", ">=", "^", "nightly", ">=3.y", "1.2 ||"] {
            assert_eq!(satisfies(wanted, "3.11.2"), None, "{wanted}");
        }
        assert_eq!(satisfies("3", "unknown"), None);
    }
}
