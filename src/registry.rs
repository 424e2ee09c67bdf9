//! What is linked into this binary, by kind and name. Filled once at start; names are checked then and never again.

use std::collections::BTreeMap;
use std::sync::Arc;

use hop3_plugin_api::{
    Abort, Addon, Builder, CliCommand, Deployer, Entrypoint, Host, LanguageToolchain, Os, Plugin,
    PluginName, Proxy, SectionDescriptor, Services,
};

/// One implementation and the plugin that brought it.
struct Entry<T: ?Sized> {
    owner: &'static str,
    name: &'static str,
    it: Arc<T>,
}

/// Implementations of one kind, in the order in which they were linked.
pub struct Kind<T: ?Sized> {
    what: &'static str,
    entries: Vec<Entry<T>>,
}

impl<T: ?Sized> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            owner: self.owner,
            name: self.name,
            it: Arc::clone(&self.it),
        }
    }
}

impl<T: ?Sized> Clone for Kind<T> {
    fn clone(&self) -> Self {
        Self {
            what: self.what,
            entries: self.entries.clone(),
        }
    }
}

impl<T: ?Sized> Kind<T> {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            entries: Vec::new(),
        }
    }

    fn add(&mut self, owner: &'static str, name: &'static str, it: Arc<T>) -> Result<(), Abort> {
        PluginName::parse(name).map_err(|e| Abort::new(format!("plugin `{owner}`: {e}")))?;
        if let Some(other) = self.entries.iter().find(|entry| entry.name == name) {
            return Err(Abort::new(format!(
                "the {} `{name}` is brought by both plugin `{}` and plugin `{owner}`",
                self.what, other.owner
            ))
            .hint("link one of them, or replace the builtin explicitly with `.replace(…)`"));
        }
        self.entries.push(Entry { owner, name, it });
        Ok(())
    }

    /// The implementation of a name.
    pub fn find(&self, name: &str) -> Option<Arc<T>> {
        self.entries
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| Arc::clone(&entry.it))
    }

    /// The implementation of a name, or a refusal that lists what is linked.
    pub fn require(&self, name: &str) -> Result<Arc<T>, Abort> {
        self.find(name).ok_or_else(|| {
            let hint = match self.names().collect::<Vec<_>>() {
                names if names.is_empty() => format!("no {} is linked into this binary", self.what),
                names => format!("available: {}", names.join(", ")),
            };
            Abort::new(format!(
                "the {} `{name}` is not available on this host",
                self.what
            ))
            .hint(hint)
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.entries.iter().map(|entry| &entry.it)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.entries.iter().map(|entry| entry.name)
    }

    fn without(&self, plugins: &[String]) -> Self {
        let off = |entry: &Entry<T>| {
            plugins
                .iter()
                .any(|name| name == entry.owner || name == entry.name)
        };
        let entries = self
            .entries
            .iter()
            .filter(|entry| !off(entry))
            .cloned()
            .collect();
        Self {
            what: self.what,
            entries,
        }
    }
}

/// A linked plugin, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// What it brings: kind and name.
    pub brings: Vec<(&'static str, &'static str)>,
}

/// Puts something between the agent and the machine.
pub type Between = fn(Arc<dyn Host>) -> Arc<dyn Host>;

/// Everything that is linked.
#[derive(Clone)]
pub struct Registry {
    plugins: Vec<Arc<dyn Plugin>>,
    between: Option<Between>,
    /// Builders.
    pub builders: Kind<dyn Builder>,
    /// Language toolchains.
    pub toolchains: Kind<dyn LanguageToolchain>,
    /// Deployers.
    pub deployers: Kind<dyn Deployer>,
    /// Addons.
    pub addons: Kind<dyn Addon>,
    /// Proxies.
    pub proxies: Kind<dyn Proxy>,
    /// Operating systems.
    pub systems: Kind<dyn Os>,
    /// Services between plugins.
    pub services: Services,
}

impl Registry {
    /// Registers plugins in this order; refuses bad and duplicate names, naming both owners.
    pub fn new(plugins: Vec<Arc<dyn Plugin>>) -> Result<Self, Abort> {
        let mut registry = Self {
            plugins: Vec::new(),
            between: None,
            builders: Kind::new("builder"),
            toolchains: Kind::new("toolchain"),
            deployers: Kind::new("deployer"),
            addons: Kind::new("addon"),
            proxies: Kind::new("proxy"),
            systems: Kind::new("operating system"),
            services: Services::default(),
        };
        for plugin in plugins {
            registry.register(plugin)?;
        }
        Ok(registry)
    }

    fn register(&mut self, plugin: Arc<dyn Plugin>) -> Result<(), Abort> {
        let owner = plugin.name();
        PluginName::parse(owner).map_err(|e| Abort::new(e.to_string()))?;
        if self.plugins.iter().any(|other| other.name() == owner) {
            return Err(Abort::new(format!("two plugins are named `{owner}`"))
                .hint("replace the builtin explicitly with `.replace(…)`"));
        }
        for it in plugin.builders() {
            self.builders.add(owner, it.name(), it)?;
        }
        for it in plugin.toolchains() {
            self.toolchains.add(owner, it.name(), it)?;
        }
        for it in plugin.deployers() {
            self.deployers.add(owner, it.name(), it)?;
        }
        for it in plugin.addons() {
            self.addons.add(owner, it.name(), it)?;
        }
        for it in plugin.proxies() {
            self.proxies.add(owner, it.name(), it)?;
        }
        for it in plugin.os_implementations() {
            self.systems.add(owner, it.name(), it)?;
        }
        for provider in plugin.providers() {
            provider
                .provide(&mut self.services)
                .map_err(|e| Abort::new(e.to_string()))?;
        }
        self.plugins.push(plugin);
        Ok(())
    }

    /// The same without some plugins (or single implementations of theirs), switched off by settings.
    #[must_use]
    pub fn without(&self, names: &[String]) -> Self {
        Self {
            plugins: self.plugins.clone(),
            between: self.between,
            builders: self.builders.without(names),
            toolchains: self.toolchains.without(names),
            deployers: self.deployers.without(names),
            addons: self.addons.without(names),
            proxies: self.proxies.without(names),
            systems: self.systems.without(names),
            services: self.services.clone(),
        }
    }

    /// The same with something between the agent and the machine.
    #[must_use]
    pub fn with_between(self, between: Option<Between>) -> Self {
        Self { between, ..self }
    }

    /// The machine as the agent is to see it.
    pub fn host(&self, machine: Arc<dyn Host>) -> Arc<dyn Host> {
        match self.between {
            Some(between) => between(machine),
            None => machine,
        }
    }

    /// All settings that the linked plugins understand.
    pub fn sections(&self) -> Vec<SectionDescriptor> {
        self.plugins
            .iter()
            .flat_map(|plugin| plugin.sections())
            .collect()
    }

    /// All helper processes.
    pub fn entrypoints(&self) -> Vec<Entrypoint> {
        self.plugins
            .iter()
            .flat_map(|plugin| plugin.entrypoints())
            .collect()
    }

    /// All commands of plugins.
    pub fn cli_commands(&self) -> Vec<CliCommand> {
        self.plugins
            .iter()
            .flat_map(|plugin| plugin.cli_commands())
            .collect()
    }

    /// What is linked, for people.
    pub fn linked(&self) -> Vec<Linked> {
        self.plugins
            .iter()
            .map(|plugin| linked(plugin.as_ref()))
            .collect()
    }
}

fn linked(plugin: &dyn Plugin) -> Linked {
    let mut brings = Vec::new();
    brings.extend(plugin.builders().iter().map(|it| ("builder", it.name())));
    brings.extend(
        plugin
            .toolchains()
            .iter()
            .map(|it| ("toolchain", it.name())),
    );
    brings.extend(plugin.deployers().iter().map(|it| ("deployer", it.name())));
    brings.extend(plugin.addons().iter().map(|it| ("addon", it.name())));
    brings.extend(plugin.proxies().iter().map(|it| ("proxy", it.name())));
    brings.extend(
        plugin
            .os_implementations()
            .iter()
            .map(|it| ("operating system", it.name())),
    );
    Linked {
        name: plugin.name(),
        description: plugin.description(),
        brings,
    }
}

/// Plugins that settings switch off: `enabled = false`.
pub fn disabled(settings: &BTreeMap<String, serde_json::Value>) -> Vec<String> {
    let off =
        |value: &serde_json::Value| value.get("enabled") == Some(&serde_json::Value::Bool(false));
    settings
        .iter()
        .filter(|(_, value)| off(value))
        .map(|(name, _)| name.clone())
        .collect()
}
