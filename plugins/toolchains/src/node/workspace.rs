//! Workspaces: which directories of a source are packages of one project. Pure.

use hop3_plugin_api::serde_json::Value;
use hop3_plugin_api::{PlanContext, Result};

use crate::glob::matches;
use crate::place::join;
use crate::source;

/// Looking at more directories than this finds no package that anybody meant.
const MOST_DIRECTORIES: usize = 5_000;

/// Directories of the packages beside the root's own, in order.
pub(super) fn members(cx: &PlanContext<'_>) -> Result<Vec<String>> {
    let patterns = patterns(cx)?;
    if patterns.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    let mut left = MOST_DIRECTORIES;
    while let Some(directory) = open.pop() {
        for name in source::directories(cx, &directory)? {
            let path = join(&directory, &name);
            if name == "node_modules" || name.starts_with('.') || left == 0 {
                continue;
            }
            left -= 1;
            if is_member(&patterns, &path) && cx.source.has(&join(&path, "package.json")) {
                found.push(path.clone());
            }
            open.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_member(patterns: &[String], path: &str) -> bool {
    let (no, yes): (Vec<&str>, Vec<&str>) = patterns
        .iter()
        .map(String::as_str)
        .partition(|pattern| pattern.starts_with('!'));
    let hits = |pattern: &str| matches(pattern.trim_start_matches('!'), path);
    yes.into_iter().any(hits) && !no.into_iter().any(hits)
}

/// `workspaces` of package.json, `packages` of pnpm-workspace.yaml.
fn patterns(cx: &PlanContext<'_>) -> Result<Vec<String>> {
    let package = source::json(cx, "package.json")?.unwrap_or_default();
    let listed = package.get("workspaces");
    let listed = listed.and_then(|it| it.as_array().or_else(|| it.get("packages")?.as_array()));
    let listed = listed.into_iter().flatten().filter_map(Value::as_str);
    let mut patterns: Vec<String> = listed.map(clean).collect();
    let yaml = source::text(cx, "pnpm-workspace.yaml")?.unwrap_or_default();
    patterns.extend(yaml_list(&yaml, "packages:"));
    Ok(patterns)
}

fn clean(pattern: &str) -> String {
    let pattern = pattern.trim_matches(['"', '\'']);
    let (not, pattern) = match pattern.strip_prefix('!') {
        Some(pattern) => ("!", pattern),
        None => ("", pattern),
    };
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    format!("{not}{}", pattern.trim_end_matches('/'))
}

/// The entries of a block list; other forms of YAML are not written here by anybody's tool.
fn yaml_list(text: &str, key: &str) -> Vec<String> {
    let lines = text
        .lines()
        .skip_while(|line| line.trim_end() != key)
        .skip(1);
    let entries = lines.map(|line| line.split(" #").next().unwrap_or_default().trim());
    entries
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map_while(|line| line.strip_prefix("- "))
        .map(|entry| clean(entry.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_list_ends_where_another_key_begins() {
        let text =
            "packages:\n  - \"apps/*\" # all\n\n  # none\n  - '!apps/old'\ncatalog:\n  - x\n";
        assert_eq!(yaml_list(text, "packages:"), ["apps/*", "!apps/old"]);
        assert_eq!(clean("./packages/*/"), "packages/*");
        assert_eq!(clean("!./old"), "!old");
    }
}
