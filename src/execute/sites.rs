//! The lane of each proxy: the sites of all apps as they were last put in place, changed one at a time.

use std::collections::BTreeMap;
use std::path::Path;

use hop3_plugin_api::{AppName, Digest, PluginName, Proxy, Result, Site};
use tokio::sync::Mutex;

use crate::machine::Machine;
use crate::observe::{ObservedApp, RoutedSite, StateFiles, read_json};
use crate::release::{Release, site};

/// What each proxy was given.
#[derive(Debug, Default)]
pub struct Sites {
    by_app: Mutex<BTreeMap<AppName, RoutedSite>>,
}

impl Sites {
    /// Takes over what earlier agents gave to proxies, at this one's start: of each app the site that is in use, else the stamped one.
    ///
    /// An agent that died between the proxy's word and its own stamp has left a newer site in use than it stamped. Given to the proxy again with
    /// another app's change, the stamped one would send visitors back; and one whose stamp is lost would vanish.
    pub async fn remember(&self, machine: &Machine, apps: &BTreeMap<AppName, ObservedApp>) {
        let mut sites = self.by_app.lock().await;
        for (app, observed) in apps {
            let file = StateFiles::new(&machine.dirs.data, app).site();
            let stamped = read_json(machine.host.as_ref(), &file).await;
            let stamped = stamped.unwrap_or_else(|error| {
                tracing::error!(%app, %error, "The stamp of the app's site could not be read.");
                None
            });
            let candidates = of_releases(&machine.dirs.data, observed);
            if let Some(site) = in_use(stamped, observed.live_site.as_ref(), candidates) {
                sites.insert(app.clone(), site);
            }
        }
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

/// The sites that an app's releases would be given now.
fn of_releases<'a>(
    data_dir: &'a Path,
    observed: &'a ObservedApp,
) -> impl Iterator<Item = RoutedSite> + 'a {
    let routed = move |release: &Release| {
        let route = release.target.route.as_ref()?;
        let endpoints = observed.endpoints(release.id.number);
        Some(RoutedSite {
            proxy: release.target.choice.proxy.clone()?,
            site: site(data_dir, release, route, &endpoints),
        })
    };
    observed.releases.values().rev().filter_map(routed)
}

/// The site whose digest the proxy tells; where none has it, the stamped one. Pure.
fn in_use(
    stamped: Option<RoutedSite>,
    live: Option<&Digest>,
    mut candidates: impl Iterator<Item = RoutedSite>,
) -> Option<RoutedSite> {
    let is_live = |routed: &RoutedSite| live == Some(&Digest::of(&routed.site));
    if stamped.as_ref().is_some_and(is_live) {
        return stamped;
    }
    candidates.find(is_live).or(stamped)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(host: &str) -> RoutedSite {
        let site = serde_json::json!({"app": "shop", "hosts": [host], "backends": []});
        RoutedSite {
            proxy: PluginName::parse("builtin").unwrap(),
            site: serde_json::from_value(site).unwrap(),
        }
    }

    #[test]
    fn f01_the_site_in_use_is_taken_over_even_if_its_stamp_is_older_or_lost() {
        let (old, new) = (routed("old.test"), routed("new.test"));
        let live = Digest::of(&new.site);
        let releases = || vec![new.clone(), old.clone()].into_iter();
        for stamped in [Some(old.clone()), Some(new.clone()), None] {
            let taken = in_use(stamped, Some(&live), releases());
            assert_eq!(taken, Some(new.clone()));
        }
        let other = Digest::of("another");
        assert_eq!(
            in_use(Some(old.clone()), Some(&other), releases()),
            Some(old.clone())
        );
        assert_eq!(
            in_use(Some(old.clone()), None, releases()),
            Some(old.clone())
        );
        assert_eq!(in_use(None, None, releases()), None);
    }
}
