//! `agent.toml`: what the operator of one host decides, and nobody who writes the config repo.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::agent_file::{
    AgentFile, BuildNetworkPolicy, LimitsSection, PackagePolicy, PolicySection, SandboxPolicy,
    UNBUILT, UserPolicy,
};
use super::agent_repo::{RepoConfig, repo};
use super::{Found, plugin_tables, read, strangers};
use crate::schema::Schemas;
use crate::spec::check::Kinds;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::sections::ByteSize;
use crate::spec::tree::Tree;

/// Where the agent listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:9480";
/// How long a build may take unless told otherwise.
const BUILD_TIMEOUT: Duration = Duration::from_mins(30);
/// The pace of drift probes unless told otherwise.
const MINUTE: Duration = Duration::from_mins(1);

/// `agent.toml` with its defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentConfig {
    /// This host's name; none means the machine's own.
    pub host: Option<String>,
    /// Where everything that must stay is kept.
    pub data_dir: PathBuf,
    /// Where sockets are kept.
    pub run_dir: PathBuf,
    /// Where the read-only state and webhooks are; none means nowhere.
    pub listen: Option<SocketAddr>,
    /// Where tools are looked up; empty means the usual directories.
    pub tool_path: Vec<PathBuf>,
    /// The config repo; none means that there is none yet.
    pub repo: Option<RepoConfig>,
    /// What apps may do.
    pub policy: PolicyConfig,
    /// What builds may use.
    pub limits: LimitsConfig,
    /// The time in which everything is looked at once.
    pub drift_interval: Duration,
    /// Settings of plugins, by plugin.
    pub plugin: BTreeMap<String, Value>,
    /// Remarks that stop nothing.
    pub notes: Vec<Diagnostic>,
}

/// `[policy]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyConfig {
    /// As whom apps run; none means per app for root, else the agent's user.
    pub users: Option<UserPolicy>,
    /// The network that builds reach.
    pub build_network: BuildNetworkPolicy,
    /// What happens where a sandbox cannot be had.
    pub sandbox: SandboxPolicy,
    /// What happens to host packages that apps name.
    pub packages: PackagePolicy,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Builds at the same time.
    pub builds: u16,
    /// The longest that a build may take.
    pub build_timeout: Duration,
    /// Memory of one build, in bytes.
    pub memory: Option<u64>,
    /// Processes and threads of one build.
    pub processes: Option<u64>,
}

impl AgentConfig {
    /// Reads `agent.toml`. `path` is what messages call it.
    pub fn parse(text: &str, path: &str, schemas: &Schemas) -> Result<Self, Vec<Diagnostic>> {
        let tree = Tree::read(path, text.as_bytes())?;
        let others = [
            ("hosts/<host>.toml in the config repo", &schemas.host),
            ("the app's hop3.toml", &schemas.hop3),
        ];
        let kinds = Kinds {
            own: &schemas.agent,
            others,
        };
        let (file, mut found) = read::<AgentFile>(&tree, &kinds, &UNBUILT);
        let listen = listen(&tree, file.listen.as_deref(), &mut found);
        absolute(&tree, &mut found);
        let repo = file.repo.and_then(|section| {
            repo(
                &tree,
                (section, file.trust.unwrap_or_default()),
                &mut found.all,
            )
        });
        found.or_mistakes()?;
        Ok(Self {
            host: file.host,
            data_dir: file
                .data_dir
                .unwrap_or_else(|| "/var/lib/hop3-agent".to_owned())
                .into(),
            run_dir: file
                .run_dir
                .unwrap_or_else(|| "/run/hop3-agent".to_owned())
                .into(),
            listen,
            tool_path: file
                .tool_path
                .unwrap_or_default()
                .into_iter()
                .map(PathBuf::from)
                .collect(),
            repo,
            policy: policy(&file.policy.unwrap_or_default()),
            limits: limits(&file.limits.unwrap_or_default()),
            drift_interval: file
                .drift
                .and_then(|drift| drift.interval)
                .map_or(MINUTE, |period| period.0),
            plugin: plugin_tables(&tree),
            notes: strangers(&tree, &schemas.plugins),
        })
    }
}

/// Paths of the operator are absolute: the agent's working directory means nothing.
fn absolute(tree: &Tree, found: &mut Found) {
    let one = [
        "/data-dir",
        "/run-dir",
        "/repo/token-file",
        "/repo/ca-file",
        "/repo/ssh-key",
        "/repo/known-hosts",
        "/repo/webhook/secret-file",
    ];
    let mut pointers: Vec<String> = one.map(str::to_owned).into();
    let tools = tree
        .value
        .get("tool-path")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    pointers.extend((0..tools).map(|index| format!("/tool-path/{index}")));
    for pointer in pointers {
        let path = tree.value.pointer(&pointer).and_then(Value::as_str);
        if let Some(path) = path.filter(|path| !path.starts_with('/')) {
            found.push(
                tree.error(&pointer, format!("the path `{path}` is not absolute"))
                    .hint("start it with `/`"),
            );
        }
    }
}

fn listen(tree: &Tree, text: Option<&str>, found: &mut Found) -> Option<SocketAddr> {
    let text = text.unwrap_or(LISTEN);
    if text.is_empty() {
        return None;
    }
    let address = text.parse();
    if address.is_err() {
        let hint =
            format!("write an address and a port, such as `{LISTEN}`, or an empty text for none");
        found.push(
            tree.error(
                "/listen",
                format!("`{text}` is not an address to listen on"),
            )
            .hint(hint),
        );
    }
    address.ok()
}

fn policy(section: &PolicySection) -> PolicyConfig {
    PolicyConfig {
        users: section.users,
        build_network: section.build_network.unwrap_or_default(),
        sandbox: section.sandbox.unwrap_or_default(),
        packages: section.packages.unwrap_or_default(),
    }
}

fn limits(section: &LimitsSection) -> LimitsConfig {
    LimitsConfig {
        builds: section.builds.unwrap_or(2),
        build_timeout: section
            .build_timeout
            .map_or(BUILD_TIMEOUT, |period| period.0),
        memory: section.memory.map(ByteSize::bytes),
        processes: section.processes.map(NonZeroU64::get),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AgentConfig, Vec<String>> {
        AgentConfig::parse(text, "agent.toml", &Schemas::compose(&[])).map_err(|found| {
            let line = |d: &Diagnostic| {
                format!(
                    "{}:{}: {}{}",
                    d.position.line,
                    d.position.column,
                    d.message,
                    d.hint
                        .as_ref()
                        .map(|hint| format!(" ({hint})"))
                        .unwrap_or_default()
                )
            };
            found.iter().map(line).collect()
        })
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config.listen.unwrap().to_string(), "127.0.0.1:9480");
        assert_eq!(
            (config.limits.builds, config.drift_interval.as_secs()),
            (2, 60)
        );
        assert_eq!(config.repo, None);
    }

    #[test]
    fn a_key_in_the_wrong_file_is_told_the_right_one() {
        let found = parse("apps = [\"*\"]\n[run]\nstart = \"x\"\n").unwrap_err();
        assert_eq!(
            found,
            [
                "1:1: unknown key `apps` (`apps` belongs in hosts/<host>.toml in the config repo)",
                "2:2: unknown section `[run]` (`run` belongs in the app's hop3.toml)",
            ]
        );
    }

    #[test]
    fn what_is_not_built_yet_refuses_in_clear_words() {
        let found = parse(
            "[repo]\nurl = \"https://f.test/x\"\n[trust]\nhistory = \"follow\"\nallowed-signers = \"/s\"\n[gate]\n",
        )
        .unwrap_err();
        assert_eq!(
            found,
            [
                "5:1: `trust.allowed-signers` is not built yet (remove the key; commits are not verified yet)",
                "6:2: `gate` is not built yet (remove the section; every change is applied)",
            ]
        );
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let found =
            parse("listen = 9480\n[repo]\npoll = \"fast\"\n[limits]\nbuilds = 0\n").unwrap_err();
        assert_eq!(found.len(), 3, "{found:?}");
        let found = parse(
            "data-dir = \"x\"\nlisten = \"nowhere\"\n[repo]\nurl = \"https://u:p@f.test/x\"\n",
        )
        .unwrap_err();
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
