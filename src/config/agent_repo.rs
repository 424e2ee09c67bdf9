//! `[repo]` of `agent.toml`: where the config repo is, what is followed in it and how it is reached. Every value is checked here, with its place;
//! the files that it names are not opened.

use std::path::PathBuf;
use std::time::Duration;

use hop3_plugin_api::Abort;
use serde_json::Value;

use super::agent_file::{
    HistoryPolicy, RepoSection, TrustSection, WebhookProvider, WebhookSection,
};
use crate::repo::{History, Reference, RepoUrl, SshIdentity, TreePath};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::tree::Tree;

/// How long a fetch may take unless told otherwise.
const FETCH_DEADLINE: Duration = Duration::from_mins(1);
/// The usual pause between two looks unless told otherwise.
const POLL: Duration = Duration::from_mins(1);
/// The keys that say what is followed; one of them at most.
const FOLLOWED: [&str; 4] = ["branch", "tag", "semver", "commit"];

/// `[repo]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoConfig {
    /// Its URL.
    pub url: RepoUrl,
    /// Where else it can be had, in order.
    pub mirrors: Vec<RepoUrl>,
    /// What is followed in it.
    pub reference: Reference,
    /// The directory that is its root; empty for the whole.
    pub path: TreePath,
    /// The usual time between two looks.
    pub poll: Duration,
    /// A file that holds the token or password.
    pub token_file: Option<PathBuf>,
    /// The user name that goes with it.
    pub username: String,
    /// Trusted certificates, instead of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// The key and the host keys of `ssh`.
    pub ssh: Option<SshIdentity>,
    /// The longest that a fetch may take.
    pub deadline: Duration,
    /// What happens when history was rewritten.
    pub history: History,
    /// Pushes that a forge announces.
    pub webhook: Option<WebhookConfig>,
}

/// `[repo.webhook]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Whose signature is checked.
    pub provider: WebhookProvider,
    /// A file that holds the shared secret.
    pub secret_file: PathBuf,
}

/// Checks the section; `None` when something was found.
pub(super) fn repo(
    tree: &Tree,
    (section, trust): (RepoSection, TrustSection),
    found: &mut Vec<Diagnostic>,
) -> Option<RepoConfig> {
    let before = found.len();
    let mut checks = Checks { tree, found };
    let url = checks.url(section.url.as_deref());
    let mirrors = checks.mirrors(section.mirrors.as_deref().unwrap_or_default());
    let reference = checks.reference(&section);
    let path = checks.value(
        "/repo/path",
        TreePath::parse(section.path.as_deref().unwrap_or_default()),
    );
    let urls = url.iter().chain(&mirrors);
    let ssh = checks.identity(&section, urls.filter(|url| url.is_ssh()).count());
    let webhook = section.webhook.and_then(|webhook| checks.webhook(webhook));
    let (url, reference, path) = (url?, reference?, path?);
    (found.len() == before).then(|| RepoConfig {
        url,
        mirrors,
        reference,
        path,
        poll: section.poll.map_or(POLL, |period| period.0),
        token_file: section.token_file.map(PathBuf::from),
        username: section.username.unwrap_or_else(|| "git".to_owned()),
        ca_file: section.ca_file.map(PathBuf::from),
        ssh,
        deadline: section.deadline.map_or(FETCH_DEADLINE, |period| period.0),
        history: match trust.history.unwrap_or_default() {
            HistoryPolicy::FfOnly => History::FastForwardOnly,
            HistoryPolicy::Follow => History::Follow,
        },
        webhook,
    })
}

struct Checks<'a> {
    tree: &'a Tree,
    found: &'a mut Vec<Diagnostic>,
}

impl Checks<'_> {
    fn value<T>(&mut self, pointer: &str, parsed: Result<T, Abort>) -> Option<T> {
        parsed.map_err(|abort| self.refuse(pointer, abort)).ok()
    }

    fn refuse(&mut self, pointer: &str, abort: Abort) {
        let error = self.tree.error(pointer, abort.message);
        self.found.push(match abort.hint {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }

    fn url(&mut self, text: Option<&str>) -> Option<RepoUrl> {
        let Some(text) = text else {
            // One of a wrong kind is left out of what was read, and told already.
            if !self.found.iter().any(|it| it.key.starts_with("/repo/")) {
                let error = self.tree.key_error("/repo", "`[repo]` lacks the key `url`");
                let hint = "add `url = \"https://forge.example/ops.git\"`";
                self.found.push(error.hint(hint));
            }
            return None;
        };
        self.address("/repo/url", text)
    }

    fn mirrors(&mut self, texts: &[String]) -> Vec<RepoUrl> {
        let texts = texts.iter().enumerate();
        texts
            .filter_map(|(index, text)| self.address(&format!("/repo/mirrors/{index}"), text))
            .collect()
    }

    /// An address. One that holds a password is not shown.
    fn address(&mut self, pointer: &str, text: &str) -> Option<RepoUrl> {
        let parsed = RepoUrl::parse(text);
        let authority = text
            .split_once("://")
            .map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        let before = self.found.len();
        let url = self.value(pointer, parsed);
        if authority.is_some_and(|authority| authority.contains('@'))
            && let Some(error) = self.found.get_mut(before)
        {
            *error = error.clone().redacted();
        }
        url
    }

    fn reference(&mut self, section: &RepoSection) -> Option<Reference> {
        let given = [
            &section.branch,
            &section.tag,
            &section.semver,
            &section.commit,
        ];
        let mut given = FOLLOWED
            .iter()
            .zip(given)
            .filter_map(|(key, text)| Some((*key, text.as_deref()?)));
        let Some((key, text)) = given.next() else {
            return Reference::branch("main").ok();
        };
        let others: Vec<_> = given.map(|(key, _)| key).collect();
        for other in &others {
            let message = format!("`{other}` and `{key}` exclude each other");
            let error = self.tree.key_error(&format!("/repo/{other}"), message);
            self.found
                .push(error.hint("a config repo follows one of them"));
        }
        let parsed = match key {
            "branch" => Reference::branch(text),
            "tag" => Reference::tag(text),
            "semver" => Reference::semver(text),
            _ => Reference::commit(text),
        };
        self.value(&format!("/repo/{key}"), parsed)
    }

    /// The files of ssh: both when some address needs them, neither when none does.
    fn identity(&mut self, section: &RepoSection, ssh_urls: usize) -> Option<SshIdentity> {
        let given = [
            ("ssh-key", &section.ssh_key),
            ("known-hosts", &section.known_hosts),
        ];
        for (key, path) in given {
            if path.is_none() && ssh_urls > 0 {
                let message = format!("an `ssh` URL needs the key `{key}`");
                let error = self.tree.key_error("/repo", message);
                self.found
                    .push(error.hint(HOW_TO_GET[usize::from(key == "known-hosts")]));
            } else if path.is_some() && ssh_urls == 0 {
                let error = self.tree.key_error(
                    &format!("/repo/{key}"),
                    format!("no URL here needs `{key}`"),
                );
                self.found.push(error.hint(
                    "write the URL as `ssh://git@host/path` or `git@host:path`, or remove the key",
                ));
            }
        }
        let [key, known_hosts] = given.map(|(_, path)| path.as_ref().map(PathBuf::from));
        Some(SshIdentity {
            key: key?,
            known_hosts: known_hosts?,
        })
    }

    fn webhook(&mut self, section: WebhookSection) -> Option<WebhookConfig> {
        if section.provider != WebhookProvider::Generic {
            let name = self
                .tree
                .value
                .pointer("/repo/webhook/provider")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let message = format!("webhooks of `{name}` are not built yet");
            let error = self.tree.error("/repo/webhook/provider", message);
            self.found
                .push(error.hint("use `generic`, which takes an HMAC-SHA-256 signature"));
            return None;
        }
        Some(WebhookConfig {
            provider: section.provider,
            secret_file: section.secret_file.into(),
        })
    }
}

/// What to do about a missing `ssh-key`, and about missing `known-hosts`.
const HOW_TO_GET: [&str; 2] = [
    "make a key with `ssh-keygen -t ed25519 -N \"\" -f FILE`, register its public half as a read-only deploy key and name FILE",
    "write what `ssh-keyscan HOST` prints into a file, compare it with what the host's operator publishes, and name the file",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AgentConfig;
    use crate::schema::Schemas;

    const COMMIT: &str = "95d09f2b10159347eece71399a7e2e907ea3df4f";

    fn parse(repo: &str) -> Result<RepoConfig, Vec<String>> {
        let parsed = AgentConfig::parse(
            &format!("[repo]\n{repo}"),
            "agent.toml",
            &Schemas::compose(&[]),
        );
        let line =
            |d: &Diagnostic| format!("{}:{}: {}", d.position.line, d.position.column, d.message);
        parsed
            .map(|config| config.repo.unwrap())
            .map_err(|found| found.iter().map(line).collect())
    }

    #[test]
    fn the_repo_is_read_with_its_webhook() {
        let repo = parse(
            "url = \"https://forge.test/ops.git\"\npoll = \"5m\"\npath = \"deploy/\"\n\
             [repo.webhook]\nprovider = \"generic\"\nsecret-file = \"/etc/hop3-agent/hook\"\n",
        )
        .unwrap();
        assert_eq!(
            (
                repo.poll.as_secs(),
                repo.reference.to_string().as_str(),
                repo.path.as_str()
            ),
            (300, "main", "deploy")
        );
        assert_eq!(repo.history, History::FastForwardOnly);
        assert_eq!(repo.webhook.unwrap().provider, WebhookProvider::Generic);
    }

    #[test]
    fn one_thing_is_followed() {
        for (text, followed) in [
            ("branch = \"prod\"", Reference::branch("prod")),
            (
                "branch = \"refs/environments/prod\"",
                Reference::branch("refs/environments/prod"),
            ),
            ("tag = \"v1\"", Reference::tag("v1")),
            ("semver = \"^1.4\"", Reference::semver("^1.4")),
            (&format!("commit = \"{COMMIT}\""), Reference::commit(COMMIT)),
        ] {
            assert_eq!(
                parse(&format!("url = \"https://f.test/x\"\n{text}\n"))
                    .unwrap()
                    .reference,
                followed.unwrap()
            );
        }
        let two =
            parse("url = \"https://f.test/x\"\ntag = \"v1\"\nbranch = \"main\"\n").unwrap_err();
        assert_eq!(two, ["3:1: `tag` and `branch` exclude each other"]);
        let wrong = parse("url = \"https://f.test/x\"\nsemver = \"one\"\n").unwrap_err();
        assert!(
            wrong[0].starts_with("3:10: `one` is not a range of versions"),
            "{wrong:?}"
        );
        let short = parse("url = \"https://f.test/x\"\ncommit = \"95d09f2\"\n").unwrap_err();
        assert!(short[0].starts_with("3:10: "), "{short:?}");
    }

    #[test]
    fn an_ssh_address_needs_its_two_files_and_no_other_does() {
        let repo =
            parse("url = \"git@forge.test:ops.git\"\nssh-key = \"/k\"\nknown-hosts = \"/h\"\n")
                .unwrap();
        assert_eq!(repo.ssh.unwrap().known_hosts, PathBuf::from("/h"));
        let missing =
            parse("url = \"ssh://git@forge.test/ops.git\"\nssh-key = \"/k\"\n").unwrap_err();
        assert_eq!(missing, ["1:2: an `ssh` URL needs the key `known-hosts`"]);
        let idle = parse("url = \"https://f.test/x\"\nssh-key = \"/k\"\n").unwrap_err();
        assert_eq!(idle, ["3:1: no URL here needs `ssh-key`"]);
        let mirror = "url = \"https://f.test/x\"\nmirrors = [\"git@m.test:x\"]\nssh-key = \"/k\"\nknown-hosts = \"/h\"\n";
        assert!(parse(mirror).unwrap().ssh.is_some());
        let relative =
            parse("url = \"git@f.test:x\"\nssh-key = \"k\"\nknown-hosts = \"/h\"\n").unwrap_err();
        assert_eq!(relative, ["3:11: the path `k` is not absolute"]);
    }

    #[test]
    fn every_wrong_value_is_told_with_its_place() {
        let found = parse("url = \"ext::sh -c x\"\nbranch = \"-x\"\npath = \"..\"\nmirrors = [\"https://f.test/x\", \"http://f.test/x\"]\n").unwrap_err();
        let places: Vec<_> = found
            .iter()
            .map(|text| text.split(": ").next().unwrap())
            .collect();
        assert_eq!(places, ["2:7", "3:10", "4:8", "5:32"], "{found:?}");
        let secret = parse("url = \"https://u:canary@f.test/x\"\n").unwrap_err();
        assert!(!secret[0].contains("canary"), "{secret:?}");
        assert_eq!(
            parse("branch = \"main\"\n").unwrap_err(),
            ["1:2: `[repo]` lacks the key `url`"]
        );
    }

    #[test]
    fn rewritten_history_is_followed_only_when_the_operator_says_so() {
        let repo = parse("url = \"https://f.test/x\"\n[trust]\nhistory = \"follow\"\n").unwrap();
        assert_eq!(repo.history, History::Follow);
        assert!(parse("url = \"https://f.test/x\"\n[trust]\nhistory = \"any\"\n").is_err());
    }

    #[test]
    fn webhooks_of_other_forges_are_not_built_yet() {
        let found = parse("url = \"https://f.test/x\"\n[repo.webhook]\nprovider = \"github\"\nsecret-file = \"/s\"\n").unwrap_err();
        assert!(
            found[0].starts_with("4:12: webhooks of `github` are not built yet"),
            "{found:?}"
        );
    }
}
