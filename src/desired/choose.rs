//! Which plugins carry an app: the spec's word, else the host file's, else what was recorded, else the first that accepts. Pure.

use std::collections::BTreeMap;

use hop3_plugin_api::{
    Abort, ArtifactKind, BuildPlan, Builder, Detection, LanguageToolchain, PlanContext,
    PluginError, PluginName, Verdict, WorkerName, WorkerSpec, detect,
};

use crate::config::HostConfig;
use crate::registry::Registry;
use crate::release::Choice;
use crate::spec::AppSpec;

/// Workers that get requests.
pub(super) const ROUTED: [&str; 4] = ["web", "wsgi", "jwsgi", "rwsgi"];

/// What a choice is made from.
pub(super) struct Chooser<'a> {
    pub(super) registry: &'a Registry,
    pub(super) host: &'a HostConfig,
    pub(super) recorded: Option<&'a Choice>,
    pub(super) spec: &'a AppSpec,
    pub(super) cx: PlanContext<'a>,
}

impl Chooser<'_> {
    /// The plugins of the app and the plan of its build.
    pub(super) fn choose(&self) -> Result<(Choice, BuildPlan), PluginError> {
        let builder = self.builder()?;
        let toolchain = if builder.uses_toolchain() {
            Some(self.toolchain()?)
        } else {
            None
        };
        let build = builder.plan(&self.cx, toolchain.as_deref())?;
        let deployer = self.deployer(&build.kind)?;
        let choice = Choice {
            builder: PluginName::parse(builder.name())?,
            toolchain: toolchain
                .map(|toolchain| PluginName::parse(toolchain.name()))
                .transpose()?,
            deployer,
            proxy: self.proxy()?,
        };
        Ok((choice, build))
    }

    fn builder(&self) -> Result<std::sync::Arc<dyn Builder>, PluginError> {
        let named = self
            .spec
            .config
            .build
            .builder
            .as_ref()
            .or(self.host.builder.as_ref());
        if let Some(name) = named {
            return accepted(
                "builder",
                self.registry.builders.require(name.as_str())?,
                |b| b.accept(&self.cx),
                name.as_str(),
            );
        }
        let recorded = self
            .recorded
            .and_then(|choice| self.registry.builders.find(choice.builder.as_str()));
        if let Some(builder) = recorded.filter(|builder| builder.accept(&self.cx).accepts()) {
            return Ok(builder);
        }
        let docker = self.spec.config.docker.as_ref();
        let names_dockerfile = docker.is_some_and(|table| {
            ["dockerfile", "context"]
                .iter()
                .any(|key| table.get(key).is_some())
        });
        let preferred =
            if names_dockerfile || self.cx.source.has("Dockerfile") || self.spec.source.is_some() {
                "docker"
            } else {
                "local"
            };
        let first = self.registry.builders.find(preferred);
        let candidates: Vec<_> = first
            .into_iter()
            .chain(self.registry.builders.iter().cloned())
            .collect();
        first_accepting("builder", &candidates, |b| (b.name(), b.accept(&self.cx)))
    }

    fn toolchain(&self) -> Result<std::sync::Arc<dyn LanguageToolchain>, PluginError> {
        if let Some(name) = &self.spec.config.build.toolchain {
            return Ok(self.registry.toolchains.require(name.as_str())?);
        }
        let recorded = self.recorded.and_then(|choice| choice.toolchain.as_ref());
        let recorded = recorded.and_then(|name| self.registry.toolchains.find(name.as_str()));
        if let Some(toolchain) = recorded.filter(|toolchain| toolchain.accept(&self.cx).accepts()) {
            return Ok(toolchain);
        }
        let all: Vec<_> = self.registry.toolchains.iter().cloned().collect();
        match detect(&all, &self.cx) {
            Detection::Found(toolchain) => Ok(toolchain),
            Detection::Several(manifests) => Err(several(&manifests).into()),
            Detection::Nothing(reasons) => Err(nobody("toolchain", &reasons).into()),
        }
    }

    fn deployer(&self, kind: &ArtifactKind) -> Result<PluginName, PluginError> {
        let deployers = &self.registry.deployers;
        let named = self
            .spec
            .deploy
            .deployer
            .as_ref()
            .or(self.host.deployer.as_ref());
        if let Some(name) = named {
            let it = accepted(
                "deployer",
                deployers.require(name.as_str())?,
                |d| d.accept(&self.cx, kind),
                name.as_str(),
            )?;
            return Ok(PluginName::parse(it.name())?);
        }
        let recorded = self
            .recorded
            .and_then(|choice| deployers.find(choice.deployer.as_str()));
        if let Some(deployer) =
            recorded.filter(|deployer| deployer.accept(&self.cx, kind).accepts())
        {
            return Ok(PluginName::parse(deployer.name())?);
        }
        let inside_uwsgi = self
            .spec
            .config
            .workers
            .keys()
            .any(|worker| ROUTED[1..].contains(&worker.as_str()));
        let usual = match kind {
            ArtifactKind::DockerImage => "docker-compose",
            ArtifactKind::Static => "static",
            _ if inside_uwsgi => "uwsgi",
            _ => "native",
        };
        if inside_uwsgi {
            return Ok(PluginName::parse(deployers.require(usual)?.name())?);
        }
        let candidates: Vec<_> = deployers
            .find(usual)
            .into_iter()
            .chain(deployers.iter().cloned())
            .collect();
        let deployer = first_accepting("deployer", &candidates, |d| {
            (d.name(), d.accept(&self.cx, kind))
        })?;
        Ok(PluginName::parse(deployer.name())?)
    }

    fn proxy(&self) -> Result<Option<PluginName>, PluginError> {
        if self.spec.hosts.is_empty() {
            return Ok(None);
        }
        let proxies = &self.registry.proxies;
        if let Some(name) = &self.host.proxy {
            return Ok(Some(PluginName::parse(
                proxies.require(name.as_str())?.name(),
            )?));
        }
        let recorded = self
            .recorded
            .and_then(|choice| choice.proxy.as_ref())
            .and_then(|name| proxies.find(name.as_str()));
        match recorded.or_else(|| proxies.iter().next().cloned()) {
            Some(proxy) => Ok(Some(PluginName::parse(proxy.name())?)),
            None => Err(Abort::new(
                "the app has host names, but no proxy is linked into this binary or enabled",
            )
            .into()),
        }
    }

    /// The app's workers: the spec's and the Procfile's, else what the toolchain guessed.
    pub(super) fn workers(
        &self,
        build: &BuildPlan,
    ) -> Result<BTreeMap<WorkerName, WorkerSpec>, PluginError> {
        let declared = &self.spec.config.workers;
        if build.kind == ArtifactKind::Static {
            return if declared.is_empty() {
                Ok(listening_only())
            } else {
                Err(runs_nothing().into())
            };
        }
        let commands = if declared.is_empty() {
            &build.runtime.workers
        } else {
            declared
        };
        if build.kind == ArtifactKind::DockerImage
            && !commands
                .keys()
                .any(|worker| ROUTED.contains(&worker.as_str()))
        {
            return Ok(listening_only()
                .into_iter()
                .chain(commands.iter().map(worker))
                .collect());
        }
        if commands.is_empty() {
            return Err(Abort::new(
                "there is nothing to start: the spec names no command and none could be guessed",
            )
            .hint("add `[run] start = \"…\"`, or a Procfile with a `web:` line")
            .into());
        }
        Ok(commands.iter().map(worker).collect())
    }
}

fn worker((name, command): (&WorkerName, &String)) -> (WorkerName, WorkerSpec) {
    (
        name.clone(),
        WorkerSpec {
            command: command.clone(),
            routed: ROUTED.contains(&name.as_str()),
        },
    )
}

fn listening_only() -> BTreeMap<WorkerName, WorkerSpec> {
    let web = WorkerName::parse("web").expect("`web` is a worker name");
    BTreeMap::from([(
        web,
        WorkerSpec {
            command: String::new(),
            routed: true,
        },
    )])
}

fn runs_nothing() -> Abort {
    Abort::new("a static site runs no workers, but the spec names some").hint(
        "remove the commands, or choose the toolchain that runs them with `[build] toolchain`",
    )
}

fn accepted<T: ?Sized>(
    what: &str,
    it: std::sync::Arc<T>,
    verdict: impl Fn(&T) -> Verdict,
    name: &str,
) -> Result<std::sync::Arc<T>, PluginError> {
    match verdict(&it) {
        Verdict::Accept => Ok(it),
        Verdict::Reject(reason) => Err(Abort::new(format!(
            "the {what} `{name}` does not take this app: {reason}"
        ))
        .into()),
    }
}

fn first_accepting<T: ?Sized>(
    what: &str,
    candidates: &[std::sync::Arc<T>],
    verdict: impl Fn(&T) -> (&'static str, Verdict),
) -> Result<std::sync::Arc<T>, PluginError> {
    let mut reasons = Vec::new();
    for candidate in candidates {
        match verdict(candidate) {
            (_, Verdict::Accept) => return Ok(std::sync::Arc::clone(candidate)),
            (name, Verdict::Reject(reason)) => reasons.push((name, reason)),
        }
    }
    Err(nobody(what, &reasons).into())
}

fn nobody(what: &str, reasons: &[(&str, String)]) -> Abort {
    let reasons: BTreeMap<_, _> = reasons
        .iter()
        .map(|(name, reason)| (*name, reason))
        .collect();
    let listed: Vec<_> = reasons
        .iter()
        .map(|(name, reason)| format!("`{name}`: {reason}"))
        .collect();
    Abort::new(format!("no {what} takes this app")).hint(listed.join("; "))
}

/// Two languages name themselves: a person has to say which one is the app.
fn several(manifests: &[(&str, Option<String>)]) -> Abort {
    let named: Vec<_> = manifests
        .iter()
        .map(|(name, file)| match file {
            Some(file) => format!("`{name}` (`{file}`)"),
            None => format!("`{name}`"),
        })
        .collect();
    Abort::new(format!(
        "the source looks like {} at once",
        named.join(" and ")
    ))
    .hint("say which one builds it: `[build] toolchain = \"…\"`")
}
