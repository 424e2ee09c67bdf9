//! Patterns of paths, as workspaces name their members.

/// `*` stands for one name or a part of one, `**` for any number of names.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    parts_match(&pattern, &path)
}

fn parts_match(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => {
            (0..=path.len()).any(|skipped| parts_match(rest, &path[skipped..]))
        }
        (Some((part, rest)), Some((name, names))) => {
            name_matches(part, name) && parts_match(rest, names)
        }
        _ => false,
    }
}

fn name_matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at))
        .any(|at| name_matches(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths_name_by_name() {
        assert!(matches("packages/*", "packages/ui"));
        assert!(!matches("packages/*", "packages/ui/src"));
        assert!(matches("packages/**", "packages/ui/src"));
        assert!(matches("**", "a/b"));
        assert!(matches("apps/web-*", "apps/web-shop"));
        assert!(!matches("apps/web-*", "apps/api"));
        assert!(matches("a*c", "abc"));
        assert!(matches("apps/web", "apps/web"));
    }
}
