//! The lane of each proxy: the sites of all apps as they were last put in place. One change of them is under way at a time, of one app or of all that
//! wait.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};

use hop3_plugin_api::{AppName, Digest, PluginName, Proxy, Result, Site};
use tokio::sync::{Mutex, oneshot};

use crate::machine::Machine;
use crate::observe::{ObservedApp, RoutedSite, StateFiles, read_json};
use crate::release::{Release, site};

/// What each proxy was given.
#[derive(Debug, Default)]
pub struct Sites {
    by_app: Mutex<BTreeMap<AppName, RoutedSite>>,
    /// Who waits to give a site to its proxy.
    line: std::sync::Mutex<Vec<Wanted>>,
}

/// A site that waits for its proxy, and who wants to know why it was refused, if it was.
#[derive(Debug)]
struct Wanted {
    routed: RoutedSite,
    answer: oneshot::Sender<Option<String>>,
}

impl Wanted {
    fn app(&self) -> AppName {
        self.routed.site.app.clone()
    }

    /// Puts the site among the others; gives the one in whose place it is.
    fn enter(&self, sites: &mut BTreeMap<AppName, RoutedSite>) -> Option<RoutedSite> {
        sites.insert(self.app(), self.routed.clone())
    }

    /// Says what became of it. A refused site gives its place back.
    fn end(
        self,
        sites: &mut BTreeMap<AppName, RoutedSite>,
        former: Option<RoutedSite>,
        refused: &mut BTreeMap<AppName, String>,
    ) {
        let reason = refused.remove(&self.app());
        if reason.is_some() {
            restore(sites, self.app(), former);
        }
        // Who has given up meanwhile needs no answer.
        self.answer.send(reason).ok();
    }
}

impl Sites {
    /// Takes over what earlier agents gave to proxies, at this one's start: of each app the site that is in use, else the stamped one, else that of
    /// its current release.
    ///
    /// An agent that died between the proxy's word and its own stamp has left a newer site in use than it stamped. Given to the proxy again with
    /// another app's change, the stamped one would send visitors back; and one whose stamp is lost would vanish.
    pub async fn remember(&self, machine: &Machine, apps: &BTreeMap<AppName, Arc<ObservedApp>>) {
        let mut sites = self.by_app.lock().await;
        for (app, observed) in apps {
            let file = StateFiles::new(&machine.dirs.data, app).site();
            let stamped = read_json(machine.host.as_ref(), &file).await;
            let stamped = stamped.unwrap_or_else(|error| {
                tracing::error!(%app, %error, "The stamp of the app's site could not be read.");
                None
            });
            let data = &machine.dirs.data;
            let candidates = of_releases(data, observed);
            let site = in_use(stamped, observed.live_site.as_ref(), candidates);
            // Where the proxy has lost its document, too, the app would vanish until its own turn comes.
            let current = || observed.current().and_then(|it| routed(data, observed, it));
            if let Some(site) = site.or_else(current) {
                sites.insert(app.clone(), site);
            }
        }
    }

    /// Effect: gives an app's site to its proxy together with the sites of all other apps. When the proxy refuses it, the former one is
    /// remembered and its reason returned. After an error it is not known which of the two is in use.
    ///
    /// Whoever comes to the front takes along all who wait behind: a proxy reads its sites anew as a whole, so a thousand apps that become
    /// ready together must not have it do so a thousand times. After an error everybody else tries for itself.
    pub(super) async fn put(
        &self,
        machine: &Machine,
        routed: RoutedSite,
    ) -> Result<Option<String>> {
        let (app, proxy) = (routed.site.app.clone(), routed.proxy.clone());
        let (answer, mut answered) = oneshot::channel();
        self.line().push(Wanted { routed, answer });
        let mut sites = self.by_app.lock().await;
        if let Ok(reason) = answered.try_recv() {
            return Ok(reason);
        }
        let batch = self.batch(&proxy);
        let former: Vec<_> = batch.iter().map(|one| one.enter(&mut sites)).collect();
        match apply(machine, &proxy, &sites).await {
            Ok(mut refused) => {
                let mine = refused.get(&app).cloned();
                for (one, former) in batch.into_iter().zip(former) {
                    one.end(&mut sites, former, &mut refused);
                }
                Ok(mine)
            }
            Err(error) => {
                for (one, former) in batch.iter().zip(former) {
                    restore(&mut sites, one.app(), former);
                }
                let others = batch.into_iter().filter(|one| one.app() != app);
                self.line().extend(others);
                Err(error)
            }
        }
    }

    /// All who wait for a proxy, but for those who have given up.
    fn batch(&self, proxy: &PluginName) -> Vec<Wanted> {
        let mut line = self.line();
        let waiting = std::mem::take(&mut *line);
        let (batch, others) = waiting
            .into_iter()
            .filter(|one| !one.answer.is_closed())
            .partition(|one| one.routed.proxy == *proxy);
        *line = others;
        batch
    }

    fn line(&self) -> MutexGuard<'_, Vec<Wanted>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
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
    let releases = observed.all_releases().rev();
    releases.filter_map(move |release| routed(data_dir, observed, release))
}

/// The site that a release would be given now.
fn routed(data_dir: &Path, observed: &ObservedApp, release: &Release) -> Option<RoutedSite> {
    let route = release.target.route.as_ref()?;
    let endpoints = observed.endpoints(release.id.number);
    Some(RoutedSite {
        proxy: release.target.choice.proxy.clone()?,
        site: site(data_dir, release, route, &endpoints),
    })
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
mod tests;
