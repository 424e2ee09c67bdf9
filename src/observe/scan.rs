//! Reads an app's stamped files and asks its deployer and its proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use hop3_plugin_api::serde::de::DeserializeOwned;
use hop3_plugin_api::{
    AppName, Deployer, FileKind, Host, HostError, InstanceId, InstanceStatus, Liveness, PluginName,
    ProxyStatus, ReleaseId, WorkerName,
};

use super::files::{StateFiles, read_json, unusable};
use super::{ObservedApp, Pin, RoutedSite};
use crate::machine::Machine;
use crate::observe::OnceRecord;
use crate::release::{Release, STAMP_FORMAT, paths};

/// What each proxy answers; `None` where it could not be asked.
pub type Proxies = BTreeMap<PluginName, Option<ProxyStatus>>;

/// Releases of which deployers say that something is there, by app.
type Owned = BTreeMap<AppName, BTreeSet<u32>>;

/// What to look at.
#[derive(Debug, Clone)]
pub enum Scope {
    /// Everything that is here.
    All,
    /// These apps; and, where it is said which ones are known, whatever else is here.
    Some {
        /// The apps.
        apps: BTreeSet<AppName>,
        /// All that are known.
        known: Option<BTreeSet<AppName>>,
    },
}

/// One app that was looked at by itself.
#[derive(Debug)]
pub struct Sight {
    /// The app.
    pub app: ObservedApp,
    /// Addresses on which proxies listen.
    pub listens: Vec<String>,
}

/// Everything that was seen in one look.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Which apps were looked for; all of them when absent.
    pub scope: Option<BTreeSet<AppName>>,
    /// Apps that are there.
    pub apps: BTreeMap<AppName, Arc<ObservedApp>>,
    /// Addresses on which proxies listen.
    pub listens: Vec<String>,
}

/// How many apps are looked at at once.
const LOOKS_AT_ONCE: usize = 16;

/// Looks at the machine.
pub struct Scanner<'a> {
    /// The machine and what is linked.
    pub machine: &'a Machine,
}

impl Scanner<'_> {
    /// The apps that have a directory here, tombstones left out.
    pub async fn apps(&self) -> Result<BTreeSet<AppName>, HostError> {
        let mut apps = BTreeSet::new();
        let root = self.machine.dirs.data.join("apps");
        for entry in self.host().list(&root).await? {
            if let Ok(app) = AppName::parse(&entry.name)
                && entry.kind == FileKind::Directory
                && self.is_alive(&app).await?
            {
                apps.insert(app);
            }
        }
        Ok(apps)
    }

    /// Whether an app is no tombstone.
    async fn is_alive(&self, app: &AppName) -> Result<bool, HostError> {
        let tombstone = self.files(app).tombstone();
        Ok(self.host().read(&tombstone).await?.is_none())
    }

    async fn is_there(&self, app: &AppName) -> Result<bool, HostError> {
        let entries = self.host().list(self.files(app).app()).await?;
        Ok(!entries.is_empty() && self.is_alive(app).await?)
    }

    /// One app with its surroundings asked anew; `None` when there is no such app here.
    pub async fn one(&self, app: &AppName) -> Result<Option<Sight>, HostError> {
        if !self.is_there(app).await? {
            return Ok(None);
        }
        let proxies = self.proxies(Some(&BTreeSet::from([app.clone()]))).await;
        Ok(Some(Sight {
            app: self.app(app, &proxies, None).await?,
            listens: listens(&proxies),
        }))
    }

    /// Every app of the scope that can be read, with the addresses on which proxies listen.
    pub async fn look(&self, scope: Scope) -> Result<Overview, HostError> {
        let (scope, there, owned) = match scope {
            Scope::All => (None, self.apps().await?, Some(self.owned().await)),
            Scope::Some { apps, known } => {
                let (scope, there) = self.among(apps, known).await?;
                (Some(scope), there, None)
            }
        };
        let proxies = self.proxies(scope.as_ref()).await;
        let (proxies, owned) = (&proxies, owned.as_ref());
        let looks = there.into_iter().map(|app| async move {
            let observed = self.app(&app, proxies, owned).await;
            (app, observed)
        });
        let mut overview = Overview {
            scope,
            listens: listens(proxies),
            ..Overview::default()
        };
        // Several at once: an engine that lets its apps wait does not hold up the look at all others.
        let mut looks = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
        while let Some((app, observed)) = looks.next().await {
            let observed = observed.unwrap_or_else(|error| {
                tracing::error!(%app, %error, "The app could not be observed.");
                ObservedApp::unreadable(&error)
            });
            overview.apps.insert(app, Arc::new(observed));
        }
        Ok(overview)
    }

    /// The apps to look for, and those of them that are there.
    async fn among(
        &self,
        mut apps: BTreeSet<AppName>,
        known: Option<BTreeSet<AppName>>,
    ) -> Result<(BTreeSet<AppName>, BTreeSet<AppName>), HostError> {
        if let Some(known) = known {
            let there = self.apps().await?;
            apps.extend(there.difference(&known).cloned());
        }
        let mut there = BTreeSet::new();
        for app in &apps {
            if self.is_there(app).await? {
                there.insert(app.clone());
            }
        }
        Ok((apps, there))
    }

    /// One app as it is. Without word of what deployers own, those of its releases are asked.
    async fn app(
        &self,
        app: &AppName,
        proxies: &Proxies,
        owned: Option<&Owned>,
    ) -> Result<ObservedApp, HostError> {
        let mut observed = self.stamps(app).await?;
        let mut numbers: BTreeSet<u32> = observed.current.into_iter().collect();
        match owned {
            Some(owned) => numbers.extend(owned.get(app).into_iter().flatten()),
            None => numbers.extend(self.owned_by(app, &observed).await),
        }
        for number in numbers {
            if let Some(release) = observed.releases.get(&number) {
                observed
                    .instances
                    .insert(number, self.statuses(release).await);
            }
        }
        show(proxies, app, &mut observed);
        Ok(observed)
    }

    /// What the stamped files of an app say, without asking anything that runs.
    pub async fn stamps(&self, app: &AppName) -> Result<ObservedApp, HostError> {
        let files = self.files(app);
        let mut observed = ObservedApp {
            current: self.current(&files).await?,
            addons: self.json(&files.addons()).await?.unwrap_or_default(),
            site: self.json::<RoutedSite>(&files.site()).await?,
            pin: self.json::<Pin>(&files.pin()).await?,
            has_cache: !self.host().list(&files.cache()).await?.is_empty(),
            ..ObservedApp::default()
        };
        self.releases(&files, &mut observed).await?;
        for number in observed.releases.keys() {
            if self
                .json::<OnceRecord>(&files.once(*number))
                .await?
                .is_some_and(|record| record.done)
            {
                observed.commands_done.insert(*number);
            }
        }
        Ok(observed)
    }

    /// What each proxy answers, of some apps or of all.
    async fn proxies(&self, of: Option<&BTreeSet<AppName>>) -> Proxies {
        let cx = self.machine.host_context();
        let mut proxies = Proxies::new();
        for proxy in self.machine.registry.proxies.iter() {
            if let Ok(name) = PluginName::parse(proxy.name()) {
                let status = match of {
                    Some(apps) => proxy.status_of(&cx, apps).await,
                    None => proxy.status(&cx).await,
                };
                proxies.insert(name, status.ok());
            }
        }
        proxies
    }

    /// Everything that deployers own.
    async fn owned(&self) -> Owned {
        let cx = self.machine.host_context();
        let mut all = Owned::new();
        for deployer in self.machine.registry.deployers.iter() {
            for owned in deployer.observe(&cx).await.unwrap_or_default() {
                let releases = all.entry(owned.app).or_default();
                releases.extend(owned.release.map(|release| release.number));
            }
        }
        all
    }

    /// What the deployers of an app's releases own of it: what nobody deployed here cannot be there.
    async fn owned_by(&self, app: &AppName, observed: &ObservedApp) -> BTreeSet<u32> {
        let releases = observed.releases.values();
        let names: BTreeSet<&PluginName> = releases
            .map(|release| &release.target.choice.deployer)
            .collect();
        let cx = self.machine.host_context();
        let mut numbers = BTreeSet::new();
        for name in names {
            let Some(deployer) = self.machine.registry.deployers.find(name.as_str()) else {
                continue;
            };
            let owned = deployer.observe_app(&cx, app).await.unwrap_or_default();
            numbers.extend(owned.into_iter().filter_map(|it| Some(it.release?.number)));
        }
        numbers
    }

    async fn releases(
        &self,
        files: &StateFiles,
        observed: &mut ObservedApp,
    ) -> Result<(), HostError> {
        for entry in self.host().list(&files.releases()).await? {
            let Ok(number) = entry.name.parse::<u32>() else {
                continue;
            };
            let path = files.stamp(number);
            match self.json::<Release>(&path).await? {
                Some(release) if release.format > STAMP_FORMAT => {
                    let reason = format!(
                        "it has format {}, and this hop3-agent understands formats up to {STAMP_FORMAT}",
                        release.format
                    );
                    return Err(unusable(&path, reason));
                }
                Some(release) => drop(
                    observed
                        .releases
                        .insert(number, Arc::new(release.rekeyed())),
                ),
                None => drop(observed.unfinished.insert(number)),
            }
        }
        Ok(())
    }

    /// The number that `current` holds. It is a file of one number rather than a link's target, so that reading it cannot be led astray.
    async fn current(&self, files: &StateFiles) -> Result<Option<u32>, HostError> {
        self.json(&files.current_number()).await
    }

    /// The instances of a release. A deployer that cannot say is `Unknown`, never "stopped".
    async fn statuses(&self, release: &Release) -> Vec<InstanceStatus> {
        let unknown = |reason: String| vec![unknown_instance(&release.id, reason)];
        let name = release.target.choice.deployer.as_str();
        let deployer: Arc<dyn Deployer> = match self.machine.registry.deployers.require(name) {
            Ok(deployer) => deployer,
            Err(refusal) => return unknown(refusal.to_string()),
        };
        let app_paths = paths(&self.machine.dirs.data, &release.id);
        let cx = self.machine.bare_context(&release.target, &app_paths);
        match deployer.check_status(&cx, &release.id).await {
            Ok(statuses) => statuses,
            Err(error) => unknown(error.to_string()),
        }
    }

    async fn json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, HostError> {
        read_json(self.host(), path).await
    }

    fn files(&self, app: &AppName) -> StateFiles {
        StateFiles::new(&self.machine.dirs.data, app)
    }

    fn host(&self) -> &dyn Host {
        self.machine.host.as_ref()
    }
}

fn listens(proxies: &Proxies) -> Vec<String> {
    let answers = proxies.values().flatten();
    answers.flat_map(|status| status.listens.clone()).collect()
}

fn show(proxies: &Proxies, app: &AppName, observed: &mut ObservedApp) {
    observed.proxy_known = proxies.values().all(Option::is_some);
    let mut running = proxies.values().flatten().filter(|status| status.running);
    observed.live_site = running.find_map(|status| status.sites.get(app).cloned());
}

fn unknown_instance(release: &ReleaseId, reason: String) -> InstanceStatus {
    let worker = WorkerName::parse("web").expect("`web` is a worker name");
    InstanceStatus {
        instance: InstanceId {
            release: release.clone(),
            worker,
            index: 0,
        },
        liveness: Liveness::Unknown { reason },
        endpoint: None,
        process: None,
        restarts: 0,
    }
}
