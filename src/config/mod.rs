//! What the operator writes: `agent.toml` on the host, and `hosts/<host>.toml` in the config repo. Every key has one owner: a key in the wrong
//! file is an error that names the right one.

mod agent;
mod agent_file;
mod agent_repo;
mod globs;
mod host;

pub use agent::{AgentConfig, LimitsConfig, PolicyConfig};
pub(crate) use agent_file::AgentFile;
pub use agent_file::{BuildNetworkPolicy, SandboxPolicy, UserPolicy, WebhookProvider};
pub use agent_repo::{RepoConfig, WebhookConfig};
pub use host::HostConfig;
pub(crate) use host::HostFile;

use serde::de::DeserializeOwned;

use crate::spec::check::{Kinds, check};
use crate::spec::diagnostic::{Diagnostic, bounded};
use crate::spec::tree::{Tree, escape};

/// A key that validates and is not built yet, with what to do instead.
type Unbuilt = (&'static str, &'static str);

/// Reads a file into its type; errors come all at once.
fn read<T: DeserializeOwned>(
    tree: &Tree,
    kinds: &Kinds<'_>,
    unbuilt: &[Unbuilt],
) -> Result<T, Vec<Diagnostic>> {
    let mut found = check(tree, kinds);
    for (pointer, hint) in unbuilt {
        if tree.value.pointer(pointer).is_some() {
            let message = format!("`{}` is not built yet", crate::spec::check::dotted(pointer));
            found.push(tree.key_error(pointer, message).hint(*hint));
        }
    }
    if found.is_empty() {
        let typed = serde_json::from_value(tree.value.clone());
        return typed
            .map_err(|error| vec![tree.error("", format!("the file could not be read: {error}"))]);
    }
    found.sort_by_key(|d| (d.position.line, d.position.column));
    Err(bounded(found))
}

/// Notes on settings of plugins that are not linked.
fn strangers(tree: &Tree, plugins: &[String]) -> Vec<Diagnostic> {
    let named = tree
        .value
        .get("plugin")
        .and_then(serde_json::Value::as_object);
    let strangers = named
        .into_iter()
        .flat_map(|map| map.keys())
        .filter(|name| !plugins.contains(name));
    let note = |name: &String| {
        let message = format!(
            "the plugin `{name}` is not linked into this binary; its settings are not checked"
        );
        tree.note(&format!("/plugin/{}", escape(name)), message)
    };
    strangers.map(note).collect()
}
