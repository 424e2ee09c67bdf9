//! Older and foreign spellings of the format, and the key that is meant today. It only gives hints.

/// What to write instead of a key that other versions of the format have.
pub(crate) fn modern(at: &str, key: &str) -> Option<String> {
    let found = TABLE
        .iter()
        .find(|(place, old, _)| *place == at && *old == key);
    found.map(|(_, _, hint)| (*hint).to_owned())
}

/// Table, key, hint.
const TABLE: [(&str, &str, &str); 27] = [
    (
        "",
        "app",
        "the name goes to `[metadata] id`, the builder to `[build] builder`",
    ),
    (
        "",
        "web",
        "a container's port goes to `[docker] port`, a command to `[run] start`",
    ),
    ("", "processes", "workers go to `[run.workers]`"),
    ("", "resources", "use `[limits]`"),
    (
        "",
        "storage",
        "use `[[volumes]]`, one for each directory that must stay",
    ),
    (
        "",
        "scheduler",
        "use `[[jobs]]` with `name`, `schedule` and `command`",
    ),
    (
        "",
        "integration",
        "remove it; data services go to `[[addons]]`",
    ),
    (
        "",
        "php",
        "remove it; PHP's settings go to a `php.ini` in the source",
    ),
    ("", "general", "use `[metadata]`"),
    (
        "",
        "server",
        "remove it; the server is the host that reads the config repo",
    ),
    ("", "services", "use `[[addons]]`"),
    ("", "databases", "use `[[addons]]`"),
    ("", "health", "use `[healthcheck]`"),
    ("", "environment", "use `[env]`"),
    ("", "workers", "use `[run.workers]`"),
    ("/metadata", "website", "use `homepage`"),
    ("/metadata", "repository", "use `homepage`"),
    ("/metadata", "upstream_version", "use `version`"),
    ("/metadata", "tagline", "use `title` or `description`"),
    ("/build", "ignore-file", "list the patterns in `ignore`"),
    ("/build", "script", "use `build`, one command per item"),
    (
        "/build",
        "dockerfile",
        "a file named `Dockerfile` is found by itself",
    ),
    ("/run", "before", "use `before-run`"),
    (
        "/run",
        "type",
        "remove it; the toolchain is found by looking at the source, or named in `[build] toolchain`",
    ),
    ("/run", "command", "use `start`"),
    (
        "/healthcheck",
        "command",
        "use `path`: health is asked over HTTP",
    ),
    (
        "/source",
        "type",
        "remove it; the kind follows from `git`, `url` or `image`",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_spelling_is_told_the_modern_key() {
        assert_eq!(
            modern("", "processes").as_deref(),
            Some("workers go to `[run.workers]`")
        );
        assert_eq!(modern("", "run"), None);
    }
}
