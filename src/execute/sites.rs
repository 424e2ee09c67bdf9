//! The lane of each proxy: the sites of all apps as they were last put in place, changed one at a time.

use std::collections::BTreeMap;

use hop3_plugin_api::{AppName, PluginName, Proxy, Result, Site};
use tokio::sync::Mutex;

use crate::machine::Machine;
use crate::observe::{RoutedSite, StateFiles, read_json};

/// What each proxy was given.
#[derive(Debug, Default)]
pub struct Sites {
    by_app: Mutex<BTreeMap<AppName, RoutedSite>>,
}

impl Sites {
    /// Reads the stamped sites of these apps, at the agent's start.
    pub async fn remember(
        &self,
        machine: &Machine,
        apps: impl IntoIterator<Item = AppName>,
    ) -> Result<()> {
        let mut sites = self.by_app.lock().await;
        for app in apps {
            let file = StateFiles::new(&machine.dirs.data, &app).site();
            if let Some(site) = read_json(machine.host.as_ref(), &file).await? {
                sites.insert(app, site);
            }
        }
        Ok(())
    }

    /// Effect: gives an app's site to its proxy together with the sites of all other apps. When the proxy refuses it, the former one is
    /// remembered and its reason returned. After an error it is not known which of the two is in use.
    pub(super) async fn put(
        &self,
        machine: &Machine,
        routed: RoutedSite,
    ) -> Result<Option<String>> {
        let app = routed.site.app.clone();
        let mut sites = self.by_app.lock().await;
        let former = sites.insert(app.clone(), routed.clone());
        match apply(machine, &routed.proxy, &sites).await {
            Ok(mut refused) => {
                let reason = refused.remove(&app);
                if reason.is_some() {
                    restore(&mut sites, app, former);
                }
                Ok(reason)
            }
            Err(error) => {
                restore(&mut sites, app, former);
                Err(error)
            }
        }
    }

    /// Effect: takes an app's site from its proxy.
    pub(super) async fn take(
        &self,
        machine: &Machine,
        app: &AppName,
        proxy: &PluginName,
    ) -> Result<()> {
        let mut sites = self.by_app.lock().await;
        let former = sites.remove(app);
        let applied = apply(machine, proxy, &sites).await;
        if applied.is_err() {
            restore(&mut sites, app.clone(), former);
        }
        applied.map(drop)
    }
}

fn restore(sites: &mut BTreeMap<AppName, RoutedSite>, app: AppName, former: Option<RoutedSite>) {
    match former {
        Some(former) => sites.insert(app, former),
        None => sites.remove(&app),
    };
}

async fn apply(
    machine: &Machine,
    proxy: &PluginName,
    sites: &BTreeMap<AppName, RoutedSite>,
) -> Result<BTreeMap<AppName, String>> {
    let plugin: std::sync::Arc<dyn Proxy> = machine.registry.proxies.require(proxy.as_str())?;
    let mine: Vec<Site> = sites
        .values()
        .filter(|routed| routed.proxy == *proxy)
        .map(|routed| routed.site.clone())
        .collect();
    plugin.apply(&machine.host_context(), &mine).await
}
