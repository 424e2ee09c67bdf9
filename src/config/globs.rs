//! Patterns of app directory names: `*` for any run of characters, `?` for one.

/// Whether a pattern fits a whole name.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, n) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_takes_any_run_and_a_question_mark_one_character() {
        for (pattern, name) in [
            ("*", "shop"),
            ("shop-*", "shop-eu"),
            ("*-eu", "a-eu-eu"),
            ("s?op", "shop"),
            ("", ""),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("shop", "shop-eu"),
            ("shop-*", "shop"),
            ("s?op", "sop"),
            ("*a", "b"),
            ("", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_costs_little() {
        let started = std::time::Instant::now();
        assert!(!fits(&"*a".repeat(200), &"a".repeat(150)));
        assert!(started.elapsed().as_secs() < 2);
    }
}
