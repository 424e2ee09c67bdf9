//! Older and foreign spellings of the format, and the key that is meant today. It only gives hints.

use super::suggest::did_you_mean;

/// What to write instead of a key that other versions of the format have, or other tools.
pub(crate) fn modern(at: &str, key: &str) -> Option<String> {
    let steps = at.split('/').skip(1);
    let names = steps.filter(|step| !step.bytes().all(|b| b.is_ascii_digit()));
    let place = names.collect::<Vec<_>>().join("/");
    let found = TABLE
        .iter()
        .find(|(table, old, _)| *table == place && *old == key);
    found.map(|(_, _, hint)| (*hint).to_owned())
}

/// Keys by which a variable's table shows its form.
const FORMS: [&str; 6] = ["generate", "from", "key", "external_ip", "secret", "age"];

/// Names that stand for a kind of host rather than for a variable.
const ENVIRONMENTS: [&str; 7] = [
    "production",
    "prod",
    "staging",
    "development",
    "dev",
    "test",
    "local",
];

/// What to write instead of a table in `[env]` that has no known form.
pub(crate) fn modern_form<'a>(
    at: &str,
    keys: impl Iterator<Item = &'a String> + Clone,
) -> Option<String> {
    let name = at.strip_prefix("/env/")?;
    let known = |old: &str| match old {
        "random" => {
            Some("write `{ generate = \"hex\" }` for a secret that is made once".to_owned())
        }
        "value" | "default" => Some(format!("write the value itself: `{name} = \"…\"`")),
        "var" | "template" | "computed" => Some(format!(
            "write it to `[env.computed]`: `{name} = \"${{OTHER}}\"`"
        )),
        _ => None,
    };
    if ENVIRONMENTS.contains(&name.to_lowercase().as_str()) {
        return Some("a spec has one `[env]`: move these variables there; what differs between hosts goes to secrets, which each host may have its own of".to_owned());
    }
    let mut older = keys.clone();
    let mut near = keys;
    older
        .find_map(|key| known(key))
        .or_else(|| near.find_map(|key| did_you_mean(key, FORMS)))
}

/// Table, key, hint.
const TABLE: [(&str, &str, &str); 72] = [
    (
        "",
        "app",
        "the name goes to `[metadata] id`, the builder to `[build] builder`",
    ),
    ("", "project", "the name goes to `[metadata] id`"),
    ("", "general", "use `[metadata]`"),
    (
        "",
        "web",
        "a container's port goes to `[docker] port`, a command to `[run] start`",
    ),
    ("", "processes", "workers go to `[run.workers]`"),
    ("", "process", "workers go to `[run.workers]`"),
    ("", "workers", "use `[run.workers]`"),
    (
        "",
        "scripts",
        "commands of the build go to `[build]`, those before a release to `[run] before-run`",
    ),
    ("", "resources", "use `[limits]`"),
    (
        "",
        "storage",
        "use `[[volumes]]`, one for each directory that must stay",
    ),
    (
        "",
        "mounts",
        "use `[[volumes]]`, one for each directory that must stay",
    ),
    (
        "",
        "scheduler",
        "use `[[jobs]]` with `name`, `schedule` and `command`",
    ),
    (
        "",
        "cron",
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
    (
        "",
        "server",
        "remove it; the server is the host that reads the config repo",
    ),
    ("", "services", "use `[[addons]]`"),
    ("", "databases", "use `[[addons]]`"),
    (
        "",
        "database",
        "use `[[addons]]` with `type = \"postgres\"` or another type",
    ),
    ("", "health", "use `[healthcheck]`"),
    ("", "environment", "use `[env]`"),
    ("", "variables", "use `[env]`"),
    ("", "vars", "use `[env]`"),
    (
        "",
        "secrets",
        "secrets are files, `secrets/<name>.age`; `[env]` names one: `TOKEN = { secret = \"name\" }`",
    ),
    ("", "hosts", "use `[domains] list`"),
    (
        "",
        "http",
        "host names go to `[domains] list`, the rest to `[proxy]`",
    ),
    ("metadata", "website", "use `homepage`"),
    ("metadata", "repository", "use `homepage`"),
    ("metadata", "upstream_version", "use `version`"),
    (
        "metadata",
        "old_version",
        "remove it; git holds the old version",
    ),
    ("metadata", "tagline", "use `title` or `description`"),
    ("metadata", "profile", "remove it; nothing reads it"),
    ("metadata", "release", "use `version`"),
    ("build", "ignore-file", "list the patterns in `ignore`"),
    ("build", "script", "use `build`, one command per item"),
    ("build", "command", "use `build`"),
    (
        "build",
        "dockerfile",
        "a file named `Dockerfile` is found by itself",
    ),
    (
        "build",
        "base-image",
        "write it into a `Dockerfile`: `FROM …`",
    ),
    ("build", "src-url", "use `[source] url`, with `sha256`"),
    ("build", "src-checksum", "use `[source] sha256`"),
    ("build", "git-url", "use `[source] git`"),
    ("build", "git-branch", "use `[source] branch`"),
    ("build", "method", "use `builder`"),
    ("build", "builders", "use `builder`: an app has one"),
    ("build", "meta-packages", "use `packages`"),
    (
        "build",
        "project",
        "use `[source] path`, or move the app's files up",
    ),
    ("run", "before", "use `before-run`"),
    (
        "run",
        "type",
        "remove it; the toolchain is found by looking at the source, or named in `[build] toolchain`",
    ),
    ("run", "command", "use `start`"),
    ("run", "cmd", "use `start`"),
    (
        "healthcheck",
        "command",
        "use `path`: health is asked over HTTP",
    ),
    ("deploy", "replicas", "use `[scale]`, as in `web = 3`"),
    ("deploy", "instances", "use `[scale]`, as in `web = 3`"),
    ("backup", "method", "remove it; a backup copies the files"),
    (
        "backup",
        "frequency",
        "use `schedule`, as in `\"30 2 * * *\"`",
    ),
    ("jobs", "cron", "use `schedule`"),
    ("jobs", "cmd", "use `command`"),
    ("jobs", "run", "use `command`"),
    ("jobs", "tz", "use `timezone`"),
    ("ports", "port", "use `number`"),
    ("volumes", "path", "use `target`"),
    ("volumes", "mount", "use `target`"),
    ("limits", "ram", "use `memory`"),
    (
        "source",
        "type",
        "remove it; the kind follows from `git`, `url` or `image`",
    ),
    ("source", "repo", "use `git` with the whole address"),
    (
        "source",
        "ref",
        "use one of `branch`, `tag`, `semver` and `commit`",
    ),
    (
        "source",
        "version",
        "use one of `branch`, `tag`, `semver` and `commit`",
    ),
    ("source", "nodejs", "use `[build] node-version`"),
    ("source", "python", "use `[build] python-version`"),
    (
        "proxy",
        "type",
        "remove it; the host's file names the proxy",
    ),
    (
        "proxy",
        "document_root",
        "use `[build] static-dir`, or `[static]`",
    ),
    (
        "proxy",
        "index",
        "remove it; a directory shows its `index.html`",
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
        assert_eq!(modern("/run", "cmd").as_deref(), Some("use `start`"));
        assert_eq!(modern("/jobs/3", "tz").as_deref(), Some("use `timezone`"));
        assert_eq!(modern("", "run"), None);
    }

    #[test]
    fn a_table_of_no_known_form_is_told_the_form_that_is_meant() {
        let hint =
            |name: &str, key: &str| modern_form(&format!("/env/{name}"), [key.to_owned()].iter());
        assert!(
            hint("A", "random")
                .unwrap()
                .contains("{ generate = \"hex\" }")
        );
        assert_eq!(
            hint("A", "genrate").as_deref(),
            Some("did you mean `generate`?")
        );
        assert!(
            hint("production", "DEBUG")
                .unwrap()
                .starts_with("a spec has one `[env]`")
        );
        assert_eq!(hint("A", "x"), None);
    }
}
