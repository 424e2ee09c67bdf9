//! Names of builders, toolchains, deployers, addons and proxies that this binary does not have. They are valid, for another binary may have
//! them; whoever plans with this one is refused. So they are told as notes.

use hop3_plugin_api::PluginName;

use crate::config::HostConfig;
use crate::registry::{Kind, Registry};
use crate::spec::suggest::did_you_mean;
use crate::spec::tree::Tree;
use crate::spec::{AppSpec, Diagnostic, Unbuilt};

/// A name as one file gives it, where it stands, and what there is.
struct Named<'a> {
    pointer: String,
    what: &'static str,
    name: &'a str,
    linked: Vec<&'static str>,
}

impl<'a> Named<'a> {
    fn new<T: ?Sized>(
        pointer: impl Into<String>,
        what: &'static str,
        name: Option<&'a PluginName>,
        kind: &Kind<T>,
    ) -> Option<Self> {
        Some(Self {
            pointer: pointer.into(),
            what,
            name: name?.as_str(),
            linked: kind.names().collect(),
        })
    }

    fn is_stranger(&self) -> bool {
        !self.linked.contains(&self.name)
    }

    fn message(&self) -> String {
        format!(
            "the {} `{}` is not linked into this binary, which will not plan with it",
            self.what, self.name
        )
    }

    fn hint(&self) -> String {
        did_you_mean(self.name, self.linked.iter().copied()).unwrap_or_else(|| {
            if self.linked.is_empty() {
                format!("no {} is linked", self.what)
            } else {
                format!("linked: {}", self.linked.join(", "))
            }
        })
    }
}

/// Notes on the names of a spec.
pub(super) fn of_app(spec: &AppSpec, registry: &Registry) -> Vec<Diagnostic> {
    let build = &spec.config.build;
    let mut named = vec![
        Named::new(
            "/build/builder",
            "builder",
            build.builder.as_ref(),
            &registry.builders,
        ),
        Named::new(
            "/build/toolchain",
            "toolchain",
            build.toolchain.as_ref(),
            &registry.toolchains,
        ),
        Named::new(
            "/deploy/deployer",
            "deployer",
            spec.deploy.deployer.as_ref(),
            &registry.deployers,
        ),
    ];
    let addons = spec.addons.iter().enumerate();
    named.extend(addons.map(|(index, addon)| {
        Named::new(
            addon_pointer(spec, index),
            "addon",
            Some(&addon.kind),
            &registry.addons,
        )
    }));
    let strangers = named.into_iter().flatten().filter(Named::is_stranger);
    let note = |named: Named<'_>| {
        Diagnostic::note_at(spec.position(&named.pointer), named.message())
            .key(&named.pointer)
            .hint(named.hint())
    };
    strangers.map(note).collect()
}

/// Where an addon's type stands; the older section has it at another place, and an older entry in another key.
fn addon_pointer(spec: &AppSpec, index: usize) -> String {
    let candidates = ["addons", "provider"]
        .into_iter()
        .flat_map(|section| ["type", "name"].map(|key| format!("/{section}/{index}/{key}")));
    let mut standing = candidates.filter(|pointer| spec.positions.contains_key(pointer));
    standing
        .next()
        .unwrap_or_else(|| format!("/addons/{index}"))
}

/// Notes on the names of a host file.
pub(super) fn of_host(config: &HostConfig, tree: &Tree, registry: &Registry) -> Vec<Diagnostic> {
    let named = [
        Named::new(
            "/builder",
            "builder",
            config.builder.as_ref(),
            &registry.builders,
        ),
        Named::new(
            "/deployer",
            "deployer",
            config.deployer.as_ref(),
            &registry.deployers,
        ),
        Named::new("/proxy", "proxy", config.proxy.as_ref(), &registry.proxies),
    ];
    let strangers = named.into_iter().flatten().filter(Named::is_stranger);
    let note = |named: Named<'_>| {
        tree.note(&named.pointer, named.message())
            .hint(named.hint())
    };
    strangers.map(note).collect()
}

/// Notes on what is valid and cannot be carried out by this version.
pub(super) fn unbuilt(spec: &AppSpec) -> Vec<Diagnostic> {
    let note = |unbuilt: &Unbuilt| {
        let message = format!(
            "{} is valid but not built yet, so this app will not be planned",
            unbuilt.what
        );
        Diagnostic::note_at(unbuilt.at.clone(), message).key(&spec.pointer(&unbuilt.at))
    };
    spec.unbuilt.iter().map(note).collect()
}
