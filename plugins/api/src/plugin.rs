//! What is linked into the binary, and what it brings.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use crate::{Addon, Builder, Deployer, LanguageToolchain, Os, Proxy, Result, SectionDescriptor};

/// One crate's worth of implementations. All hooks are empty by default.
pub trait Plugin: Send + Sync {
    /// Its name, unique in a binary.
    fn name(&self) -> &'static str;

    /// One line on what it is for.
    fn description(&self) -> &'static str;

    /// Its settings.
    fn sections(&self) -> Vec<SectionDescriptor> {
        Vec::new()
    }

    /// Its builders.
    fn builders(&self) -> Vec<Arc<dyn Builder>> {
        Vec::new()
    }

    /// Its language toolchains, in the order in which they are asked.
    fn toolchains(&self) -> Vec<Arc<dyn LanguageToolchain>> {
        Vec::new()
    }

    /// Its deployers.
    fn deployers(&self) -> Vec<Arc<dyn Deployer>> {
        Vec::new()
    }

    /// Its addons.
    fn addons(&self) -> Vec<Arc<dyn Addon>> {
        Vec::new()
    }

    /// Its proxies.
    fn proxies(&self) -> Vec<Arc<dyn Proxy>> {
        Vec::new()
    }

    /// Its operating systems.
    fn os_implementations(&self) -> Vec<Arc<dyn Os>> {
        Vec::new()
    }

    /// Typed services for other plugins.
    fn providers(&self) -> Vec<Arc<dyn Provider>> {
        Vec::new()
    }

    /// Its commands: `hop3-agent <name> …`.
    fn cli_commands(&self) -> Vec<CliCommand> {
        Vec::new()
    }

    /// Its helper processes, dispatched before anything else: `hop3-agent internal-<name>`.
    fn entrypoints(&self) -> Vec<Entrypoint> {
        Vec::new()
    }
}

/// A command that a plugin adds.
#[derive(Clone, Copy)]
pub struct CliCommand {
    /// Its name.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Runs it with the remaining arguments.
    pub run: fn(Vec<String>) -> ExitCode,
}

/// A helper process: this binary, started again under another first argument.
#[derive(Clone, Copy)]
pub struct Entrypoint {
    /// The first argument, starting with `internal-`.
    pub name: &'static str,
    /// Runs it with the remaining arguments, before any runtime or logger exists.
    pub run: fn(Vec<String>) -> ExitCode,
}

/// Offers services to other plugins.
pub trait Provider: Send + Sync {
    /// Its name, for messages about duplicates.
    fn name(&self) -> &'static str;

    /// Adds its services.
    fn provide(&self, services: &mut Services) -> Result<()>;
}

/// Services by type.
#[derive(Clone, Default)]
pub struct Services {
    by_type: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Services {
    /// Adds a service; one of the same type is refused.
    pub fn add<T: Send + Sync + 'static>(&mut self, service: Arc<T>) -> Result<()> {
        if self.by_type.insert(TypeId::of::<T>(), service).is_some() {
            return Err(crate::Abort::new(format!(
                "two plugins provide the service `{}`",
                std::any::type_name::<T>()
            ))
            .into());
        }
        Ok(())
    }

    /// The service of a type.
    pub fn find<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.by_type
            .get(&TypeId::of::<T>())
            .cloned()
            .and_then(|any| any.downcast().ok())
    }
}
