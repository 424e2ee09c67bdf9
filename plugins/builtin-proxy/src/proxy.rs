//! The [`Proxy`] that the agent sees: renders the document, puts it in place, has the worker use it, and believes only the worker's own
//! word that it does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use hop3_plugin_api::{
    Abort, AppName, ConfigFile, Digest, FileWrite, HostContext, PluginError, Proxy, ProxyStatus,
    ReleaseId, Result, Site, async_trait,
};
use serde_json::json;

use crate::control::{Request, Status};
use crate::document::{self, Admission, Document, FILE_NAME};
use crate::process::Processes;

/// The first pause between two looks at the requests in flight, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The proxy `builtin`.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuiltinProxy;

#[async_trait]
impl Proxy for BuiltinProxy {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn setup_backend(&self, site: &Site) -> Result<String> {
        render(&json!({"hosts": site.hosts, "backends": site.backends}))
    }

    fn setup_static(&self, site: &Site) -> Result<String> {
        render(&json!({"static-paths": site.static_paths, "spa": site.spa}))
    }

    fn extra_setup(&self, site: &Site) -> Result<String> {
        render(&json!({
            "body-size": site.body_size,
            "timeout": site.timeout,
            "headers": site.headers,
        }))
    }

    fn generate_config(&self, _cx: &HostContext<'_>, sites: &[Site]) -> Result<Vec<ConfigFile>> {
        let document = Document::new(sites.to_vec());
        document.check().map_err(Abort::new)?;
        Ok(vec![ConfigFile {
            path: FILE_NAME.to_owned(),
            content: document.render(),
        }])
    }

    async fn check_config(&self, cx: &HostContext<'_>, candidate: &Path) -> Result<()> {
        let path = candidate.join(FILE_NAME);
        let bytes = cx.host.read(&path).await?.ok_or_else(|| {
            Abort::new(format!("there is no configuration at `{}`", path.display()))
        })?;
        Document::parse(&bytes)
            .and_then(|document| document.check())
            .map_err(|reason| Abort::new(format!("refused `{}`: {reason}", path.display())).into())
    }

    async fn reload(&self, cx: &HostContext<'_>) -> Result<()> {
        let processes = Processes::new(cx);
        processes.ensure().await?;
        processes.reload().await.map(drop)
    }

    async fn apply(
        &self,
        cx: &HostContext<'_>,
        sites: &[Site],
    ) -> Result<BTreeMap<AppName, String>> {
        let processes = Processes::new(cx);
        let path = processes.sites().join(FILE_NAME);
        let former = cx.host.read(&path).await?;
        let Admission { live, refused } = document::admit(sites, &sites_of(former.as_deref()));
        let content = Document::new(live).render().into_bytes();
        if former.as_ref() != Some(&content) {
            cx.host.ensure_dir(&processes.sites(), 0o700, None).await?;
            // It tells where every app listens; a worker that gave up root may still read it.
            let file = FileWrite::private(&path, content.clone());
            cx.host.write_atomic(file).await?;
        }
        processes.ensure().await?;
        let status = processes.reload().await?;
        confirm(&status, &Digest::of_bytes(&content))?;
        Ok(refused)
    }

    async fn drain(
        &self,
        cx: &HostContext<'_>,
        release: &ReleaseId,
        deadline: Duration,
    ) -> Result<bool> {
        let processes = Processes::new(cx);
        let request = Request::Drain {
            release: release.clone(),
        };
        let (mut waited, mut pause) = (Duration::ZERO, FIRST_PAUSE);
        loop {
            if processes.in_flight(&request).await? == 0 {
                return Ok(true);
            }
            if waited >= deadline {
                return Ok(false);
            }
            let next = pause.min(deadline.saturating_sub(waited));
            cx.host.sleep(next).await;
            waited += next;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn stop(&self, cx: &HostContext<'_>) -> Result<()> {
        Processes::new(cx).stop().await
    }

    async fn status(&self, cx: &HostContext<'_>) -> Result<ProxyStatus> {
        look(cx, None).await
    }

    async fn status_of(
        &self,
        cx: &HostContext<'_>,
        apps: &BTreeSet<AppName>,
    ) -> Result<ProxyStatus> {
        look(cx, Some(apps)).await
    }
}

/// What the proxy does, with the sites of some apps or of all.
async fn look(cx: &HostContext<'_>, of: Option<&BTreeSet<AppName>>) -> Result<ProxyStatus> {
    let processes = Processes::new(cx);
    let Some(status) = processes.status_of(of.cloned()).await? else {
        return Ok(ProxyStatus {
            running: false,
            sites: BTreeMap::new(),
            listens: Vec::new(),
            problem: Some("the proxy does not run".to_owned()),
        });
    };
    let mut sites = status.sites.clone();
    let status = processes.heal(status).await?;
    if !is_stored(cx, &processes.sites()).await? {
        // What is served from memory alone would be gone with the next worker: it is to be put in place anew.
        sites.clear();
    }
    Ok(ProxyStatus {
        running: true,
        listens: status
            .listeners
            .iter()
            .map(|listener| format!("http://{}", listener.bound))
            .collect(),
        sites,
        problem: status.problem,
    })
}

async fn is_stored(cx: &HostContext<'_>, sites: &Path) -> Result<bool> {
    let entries = cx.host.list(sites).await?;
    Ok(entries.iter().any(|entry| entry.name == FILE_NAME))
}

fn render(value: &serde_json::Value) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|e| PluginError::other("could not render a site", e))
}

/// The sites that were written last. A document that cannot be read any more holds none that could be kept.
fn sites_of(document: Option<&[u8]>) -> Vec<Site> {
    document
        .and_then(|bytes| Document::parse(bytes).ok())
        .map(|document| document.sites().to_vec())
        .unwrap_or_default()
}

fn confirm(status: &Status, expected: &Digest) -> Result<()> {
    if status.config.as_ref() == Some(expected) {
        return Ok(());
    }
    Err(Abort::new("the proxy uses another configuration than the one in place").into())
}
