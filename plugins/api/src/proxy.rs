//! Routing requests to apps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AppName, Digest, EndpointAddress, HostContext, HostName, ReleaseId, Result, async_trait,
};

/// One place that answers for a site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Backend {
    /// The release that answers there.
    pub release: ReleaseId,
    /// Where.
    pub address: EndpointAddress,
}

/// A URL path that is served from files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StaticPath {
    /// The URL path, starting with `/`.
    pub url: String,
    /// The directory.
    pub directory: PathBuf,
}

/// Everything a proxy needs to know of one app. Each proxy prints its configuration from this value alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Site {
    /// The app.
    pub app: AppName,
    /// Its host names, unique across apps.
    pub hosts: Vec<HostName>,
    /// Where its requests go; empty for maintenance.
    pub backends: Vec<Backend>,
    /// Files that the proxy serves itself, longest path first.
    #[serde(default)]
    pub static_paths: Vec<StaticPath>,
    /// Whether an unknown path below a static root gets its `index.html`.
    #[serde(default)]
    pub spa: bool,
    /// Whether plain HTTP is served too instead of redirected, where TLS is on.
    #[serde(default)]
    pub allow_http: bool,
    /// The largest request body in bytes; the proxy's default when absent.
    #[serde(default)]
    pub body_size: Option<u64>,
    /// How long an answer may take to begin.
    #[serde(default)]
    pub timeout: Option<Duration>,
    /// Headers added to every answer.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// One file of a proxy's configuration, relative to its own directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it goes.
    pub path: String,
    /// What it says.
    pub content: String,
}

/// What a proxy is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyStatus {
    /// Whether it runs and answers.
    pub running: bool,
    /// The digest of each app's site that it really uses.
    pub sites: BTreeMap<AppName, Digest>,
    /// The addresses on which it listens, for people: `http://127.0.0.1:8080`.
    pub listens: Vec<String>,
    /// What is wrong, if anything.
    pub problem: Option<String>,
}

/// Routes requests. Stateless.
///
/// Guarantees: `apply` puts a whole set of sites in place or leaves the old set serving; a refused site is named, and the others go live;
/// a change of backends drops no request.
#[async_trait]
pub trait Proxy: Send + Sync {
    /// Its name in a host file's `proxy`.
    fn name(&self) -> &'static str;

    /// Renders the backends of a site. Pure.
    fn setup_backend(&self, site: &Site) -> Result<String>;

    /// Renders the certificates of a site. Pure.
    fn setup_certificates(&self, _site: &Site) -> Result<String> {
        Ok(String::new())
    }

    /// Renders the response cache of a site. Pure.
    fn setup_cache(&self, _site: &Site) -> Result<String> {
        Ok(String::new())
    }

    /// Renders the static paths of a site. Pure.
    fn setup_static(&self, _site: &Site) -> Result<String> {
        Ok(String::new())
    }

    /// Renders what only this proxy has. Pure.
    fn extra_setup(&self, _site: &Site) -> Result<String> {
        Ok(String::new())
    }

    /// Renders the whole configuration. Pure: equal sites give equal bytes.
    fn generate_config(&self, cx: &HostContext<'_>, sites: &[Site]) -> Result<Vec<ConfigFile>>;

    /// Asks the proxy whether it would take the configuration on disk at this directory.
    async fn check_config(&self, cx: &HostContext<'_>, candidate: &std::path::Path) -> Result<()>;

    /// Effect: makes the running proxy use the configuration in place, or starts it.
    async fn reload(&self, cx: &HostContext<'_>) -> Result<()>;

    /// Effect: makes exactly these sites live. Returns the sites that were refused with the reason; their former version stays live.
    async fn apply(
        &self,
        cx: &HostContext<'_>,
        sites: &[Site],
    ) -> Result<BTreeMap<AppName, String>>;

    /// Effect: waits until no request is in flight to a release, at most until the deadline; true when none is.
    async fn drain(
        &self,
        cx: &HostContext<'_>,
        release: &ReleaseId,
        deadline: Duration,
    ) -> Result<bool>;

    /// Effect: ends the proxy with everything that belongs to it; its configuration stays. Not running is fine.
    async fn stop(&self, cx: &HostContext<'_>) -> Result<()>;

    /// What it is doing, by asking it.
    async fn status(&self, cx: &HostContext<'_>) -> Result<ProxyStatus>;

    /// The same for some apps: the sites of others may be left out, so that a look at one app costs what one app costs.
    async fn status_of(
        &self,
        cx: &HostContext<'_>,
        _apps: &BTreeSet<AppName>,
    ) -> Result<ProxyStatus> {
        self.status(cx).await
    }
}
