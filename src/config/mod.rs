//! What the operator writes: `agent.toml` on the host, and `hosts/<host>.toml` in the config repo. Every key has one owner: a key in the wrong
//! file is an error that names the right one.

mod agent;
mod agent_file;
mod agent_repo;
mod globs;
mod host;
mod later;

pub use agent::{AgentConfig, LimitsConfig, PolicyConfig};
pub(crate) use agent_file::AgentFile;
pub use agent_file::{
    BuildNetworkPolicy, PackagePolicy, SandboxPolicy, UserPolicy, WebhookProvider,
};
pub use agent_repo::{RepoConfig, WebhookConfig};
pub use host::HostConfig;
pub(crate) use host::HostFile;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::spec::check::{Kinds, check};
use crate::spec::diagnostic::{Diagnostic, bounded};
use crate::spec::suggest::did_you_mean;
use crate::spec::tree::{Tree, escape};
use crate::spec::typed;

/// A key that validates and is not built yet, with what to do instead.
type Unbuilt = (&'static str, &'static str);

/// Reads a file into its type, without what is at fault in it, and tells that all at once.
fn read<T: DeserializeOwned + Default>(
    tree: &Tree,
    kinds: &Kinds<'_>,
    unbuilt: &[Unbuilt],
) -> (T, Found) {
    let mut checked = check(tree, kinds);
    let file = match checked.omitted {
        0 => typed(tree, &mut checked),
        _ => T::default(),
    };
    let mut found = Found {
        all: checked.found,
        omitted: checked.omitted,
    };
    for (pointer, hint) in unbuilt {
        let within = |d: &Diagnostic| {
            d.key
                .strip_prefix(pointer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if tree.value.pointer(pointer).is_some() && !found.all.iter().any(within) {
            let message = format!("`{}` is not built yet", crate::spec::check::dotted(pointer));
            found.push(tree.key_error(pointer, message).hint(*hint));
        }
    }
    (file, found)
}

/// What is wrong with a file.
struct Found {
    all: Vec<Diagnostic>,
    /// How many mistakes more there are.
    omitted: usize,
}

impl Found {
    fn push(&mut self, diagnostic: Diagnostic) {
        self.all.push(diagnostic);
    }

    /// Nothing, or the mistakes in the file's order, not endlessly many.
    fn or_mistakes(mut self) -> Result<(), Vec<Diagnostic>> {
        if self.all.is_empty() {
            return Ok(());
        }
        self.all
            .sort_by_key(|d| (d.position.line, d.position.column));
        Err(bounded(self.all, self.omitted))
    }
}

/// The settings of plugins as they are written; their own sections read them.
fn plugin_tables(tree: &Tree) -> BTreeMap<String, Value> {
    let tables = tree.value.get("plugin").and_then(Value::as_object);
    let tables = tables.into_iter().flatten();
    tables
        .map(|(name, table)| (name.clone(), table.clone()))
        .collect()
}

/// Notes on settings of plugins that are not linked.
fn strangers(tree: &Tree, plugins: &[String]) -> Vec<Diagnostic> {
    let named = tree.value.get("plugin").and_then(Value::as_object);
    let strangers = named
        .into_iter()
        .flat_map(|map| map.keys())
        .filter(|name| !plugins.contains(name));
    let note = |name: &String| {
        let message = format!(
            "the plugin `{name}` is not linked into this binary; its settings are not checked"
        );
        let hint = did_you_mean(name, plugins.iter().map(String::as_str));
        tree.note(&format!("/plugin/{}", escape(name)), message)
            .hint(hint)
    };
    strangers.map(note).collect()
}
