//! Plugins that the product does not have: one that wants every app, and one that falls over.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hop3_agent::desired::{Desired, DirectoryRepo, Loader, LoaderCache, Recorded};
use hop3_agent::registry::Registry;
use hop3_agent::schema::Schemas;
use hop3_plugin_api::{
    AppName, ArtifactKind, BuildArtifact, BuildPlan, Builder, ConfigFile, Context, Counts,
    Deployer, DeploymentInfo, Exit, HostContext, InstanceStatus, LanguageToolchain, Launch,
    LogLine, LogQuery, OneOff, Owned, PlanContext, Plugin, Proxy, ProxyStatus, ReleaseId, Result,
    RuntimeSpec, Site, Verdict, async_trait,
};

const NEVER: &str = "no effect belongs to making a plan";

/// A plugin that accepts everything, and comes before all others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Eager;

/// A toolchain that falls over as soon as it is asked about an app that names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Poison;

impl Plugin for Eager {
    fn name(&self) -> &'static str {
        "aaa-eager"
    }

    fn description(&self) -> &'static str {
        "takes everything"
    }

    fn builders(&self) -> Vec<Arc<dyn Builder>> {
        vec![Arc::new(Self)]
    }

    fn toolchains(&self) -> Vec<Arc<dyn LanguageToolchain>> {
        vec![Arc::new(Self)]
    }

    fn deployers(&self) -> Vec<Arc<dyn Deployer>> {
        vec![Arc::new(Self)]
    }

    fn proxies(&self) -> Vec<Arc<dyn Proxy>> {
        vec![Arc::new(Self)]
    }
}

impl LanguageToolchain for Eager {
    fn name(&self) -> &'static str {
        "aaa-toolchain"
    }

    fn detects(&self) -> &'static [&'static str] {
        &["anything"]
    }

    fn accept(&self, _cx: &PlanContext<'_>) -> Verdict {
        Verdict::Accept
    }

    fn plan(&self, _cx: &PlanContext<'_>) -> Result<BuildPlan> {
        Ok(BuildPlan {
            toolchain: "aaa-toolchain".to_owned(),
            kind: ArtifactKind::Native,
            tools: Vec::new(),
            packages: Vec::new(),
            layers: Vec::new(),
            finish: Vec::new(),
            steps: Vec::new(),
            env: BTreeMap::new(),
            runtime: RuntimeSpec::default(),
            notes: Vec::new(),
        })
    }
}

#[async_trait]
impl Builder for Eager {
    fn name(&self) -> &'static str {
        "aaa-builder"
    }

    fn accept(&self, _cx: &PlanContext<'_>) -> Verdict {
        Verdict::Accept
    }

    fn uses_toolchain(&self) -> bool {
        true
    }

    fn plan(
        &self,
        cx: &PlanContext<'_>,
        _toolchain: Option<&dyn LanguageToolchain>,
    ) -> Result<BuildPlan> {
        LanguageToolchain::plan(self, cx)
    }

    async fn build(&self, _cx: &Context<'_>, _plan: &BuildPlan) -> Result<BuildArtifact> {
        unreachable!("{NEVER}")
    }
}

#[async_trait]
impl Deployer for Eager {
    fn name(&self) -> &'static str {
        "aaa-deployer"
    }

    fn accept(&self, _cx: &PlanContext<'_>, _kind: &ArtifactKind) -> Verdict {
        Verdict::Accept
    }

    async fn deploy(
        &self,
        _cx: &Context<'_>,
        _launch: &Launch<'_>,
        _counts: &Counts,
    ) -> Result<DeploymentInfo> {
        unreachable!("{NEVER}")
    }

    async fn stop(&self, _cx: &Context<'_>, _release: &ReleaseId) -> Result<()> {
        unreachable!("{NEVER}")
    }

    async fn check_status(
        &self,
        _cx: &Context<'_>,
        _release: &ReleaseId,
    ) -> Result<Vec<InstanceStatus>> {
        unreachable!("{NEVER}")
    }

    async fn run(&self, _cx: &Context<'_>, _launch: &Launch<'_>, _it: &OneOff) -> Result<Exit> {
        unreachable!("{NEVER}")
    }

    async fn logs(&self, _cx: &Context<'_>, _query: &LogQuery) -> Result<Vec<LogLine>> {
        unreachable!("{NEVER}")
    }

    async fn observe(&self, _cx: &HostContext<'_>) -> Result<Vec<Owned>> {
        unreachable!("{NEVER}")
    }
}

#[async_trait]
impl Proxy for Eager {
    fn name(&self) -> &'static str {
        "aaa-proxy"
    }

    fn setup_backend(&self, _site: &Site) -> Result<String> {
        unreachable!("{NEVER}")
    }

    fn generate_config(&self, _cx: &HostContext<'_>, _sites: &[Site]) -> Result<Vec<ConfigFile>> {
        unreachable!("{NEVER}")
    }

    async fn check_config(&self, _cx: &HostContext<'_>, _candidate: &Path) -> Result<()> {
        unreachable!("{NEVER}")
    }

    async fn reload(&self, _cx: &HostContext<'_>) -> Result<()> {
        unreachable!("{NEVER}")
    }

    async fn apply(
        &self,
        _cx: &HostContext<'_>,
        _sites: &[Site],
    ) -> Result<BTreeMap<AppName, String>> {
        unreachable!("{NEVER}")
    }

    async fn drain(
        &self,
        _cx: &HostContext<'_>,
        _of: &ReleaseId,
        _until: Duration,
    ) -> Result<bool> {
        unreachable!("{NEVER}")
    }

    async fn stop(&self, _cx: &HostContext<'_>) -> Result<()> {
        unreachable!("{NEVER}")
    }

    async fn status(&self, _cx: &HostContext<'_>) -> Result<ProxyStatus> {
        unreachable!("{NEVER}")
    }
}

impl Plugin for Poison {
    fn name(&self) -> &'static str {
        "zzz-poison"
    }

    fn description(&self) -> &'static str {
        "falls over"
    }

    fn toolchains(&self) -> Vec<Arc<dyn LanguageToolchain>> {
        vec![Arc::new(Self)]
    }
}

impl LanguageToolchain for Poison {
    fn name(&self) -> &'static str {
        "poison"
    }

    fn detects(&self) -> &'static [&'static str] {
        &["nothing"]
    }

    fn accept(&self, cx: &PlanContext<'_>) -> Verdict {
        let is_poisoned = cx.source.has("POISON");
        assert!(!is_poisoned, "there is poison in `{}`", cx.app);
        Verdict::Reject("there is no poison".to_owned())
    }

    fn plan(&self, cx: &PlanContext<'_>) -> Result<BuildPlan> {
        panic!("`{}` asks for poison", cx.app)
    }
}

/// What a directory of apps asks for, with what the product links and one plugin more.
pub(crate) fn load_with(
    stranger: impl Plugin + 'static,
    root: &Path,
    recorded: &Recorded,
) -> Desired {
    let mut plugins: Vec<Arc<dyn Plugin>> = vec![Arc::new(stranger)];
    plugins.extend(hop3_agent::builtin());
    let registry = Registry::new(plugins).unwrap();
    let names: Vec<&str> = registry.linked().iter().map(|linked| linked.name).collect();
    let schemas = Schemas::compose_for(&names, &registry.sections());
    let loader = Loader {
        registry: &registry,
        schemas: &schemas,
        host: "demo",
        disabled: &[],
    };
    let repo = DirectoryRepo::new(root);
    loader.load(&repo, recorded, &mut LoaderCache::default())
}
