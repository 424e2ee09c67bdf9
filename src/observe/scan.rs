//! Reads an app's stamped files and asks its deployer and its proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use hop3_plugin_api::serde::de::DeserializeOwned;
use hop3_plugin_api::{
    AppName, Deployer, FileKind, Host, HostError, InstanceId, InstanceStatus, Liveness, PluginName,
    ProxyStatus, ReleaseId, WorkerName,
};

use super::{ObservedApp, Pin, RoutedSite};
use crate::machine::Machine;
use crate::release::{Release, app_dir, paths};

/// The stamped files of one app, by name. The only place that knows where they are.
#[derive(Debug, Clone)]
pub struct StateFiles {
    app: PathBuf,
}

impl StateFiles {
    /// The files of an app.
    pub fn new(data_dir: &Path, app: &AppName) -> Self {
        Self {
            app: app_dir(data_dir, app),
        }
    }

    /// `apps/<app>`.
    pub fn app(&self) -> &Path {
        &self.app
    }

    /// All releases.
    pub fn releases(&self) -> PathBuf {
        self.app.join("releases")
    }

    /// One release.
    pub fn release(&self, number: u32) -> PathBuf {
        self.releases().join(number.to_string())
    }

    /// A release's stamp.
    pub fn stamp(&self, number: u32) -> PathBuf {
        self.release(number).join("release.json")
    }

    /// What is known of a release's once steps.
    pub fn once(&self, number: u32) -> PathBuf {
        self.release(number).join("once.json")
    }

    /// Where the exit of a once step goes when the agent dies meanwhile.
    pub fn once_exit(&self, number: u32, command: usize) -> PathBuf {
        self.release(number)
            .join(format!("once-{command}.exit.json"))
    }

    /// The link to the current release.
    pub fn current(&self) -> PathBuf {
        self.app.join("current")
    }

    /// Stamps that belong to no release.
    pub fn state(&self) -> PathBuf {
        self.app.join("state")
    }

    /// The highest release number that was ever used.
    pub fn counter(&self) -> PathBuf {
        self.state().join("last-release.json")
    }

    /// The site as it was last put in place.
    pub fn site(&self) -> PathBuf {
        self.state().join("site.json")
    }

    /// Addons that were made.
    pub fn addons(&self) -> PathBuf {
        self.state().join("addons.json")
    }

    /// A person's choice of a release.
    pub fn pin(&self) -> PathBuf {
        self.state().join("pin.json")
    }

    /// One generated secret.
    pub fn secret(&self, key: &str) -> PathBuf {
        self.state().join("secrets").join(key)
    }

    /// Says that the app is gone and its data is still here.
    pub fn tombstone(&self) -> PathBuf {
        self.state().join("tombstone.json")
    }
}

/// What once steps have come to: written before each starts and after each ends.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OnceRecord {
    /// Commands in their order; the last one may have started without an exit.
    pub commands: Vec<OnceCommand>,
    /// Whether all have succeeded.
    pub done: bool,
}

/// One command of a once step.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OnceCommand {
    /// The command.
    pub command: String,
    /// How it ended; absent while it runs or when that is not known.
    pub exit: Option<hop3_plugin_api::Exit>,
}

/// What is the same for all apps at one moment.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The answer of each proxy; `None` where it could not be asked.
    pub proxies: BTreeMap<PluginName, Option<ProxyStatus>>,
    /// Releases of which a deployer says that something is there.
    pub owned: BTreeMap<AppName, BTreeSet<u32>>,
}

/// Everything that was seen in one look.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Apps.
    pub apps: BTreeMap<AppName, ObservedApp>,
    /// Addresses on which proxies listen.
    pub listens: Vec<String>,
}

impl Surroundings {
    fn listens(&self) -> Vec<String> {
        self.proxies
            .values()
            .flatten()
            .flat_map(|status| status.listens.clone())
            .collect()
    }

    fn show(&self, app: &AppName, observed: &mut ObservedApp) {
        observed.proxy_known = self.proxies.values().all(Option::is_some);
        let mut running = self
            .proxies
            .values()
            .flatten()
            .filter(|status| status.running);
        observed.live_site = running.find_map(|status| status.sites.get(app).cloned());
    }
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
        for entry in self
            .host()
            .list(&self.machine.dirs.data.join("apps"))
            .await?
        {
            let Ok(app) = AppName::parse(&entry.name) else {
                continue;
            };
            let files = StateFiles::new(&self.machine.dirs.data, &app);
            if entry.kind == FileKind::Directory
                && self.host().read(&files.tombstone()).await?.is_none()
            {
                apps.insert(app);
            }
        }
        Ok(apps)
    }

    /// One app with its surroundings asked anew; `None` when there is no such app here.
    pub async fn one(&self, app: &AppName) -> Result<Option<ObservedApp>, HostError> {
        if !self.apps().await?.contains(app) {
            return Ok(None);
        }
        let around = self.surroundings().await;
        self.app(app, &around).await.map(Some)
    }

    /// Every app that can be read, with the addresses on which proxies listen.
    pub async fn all(&self) -> Result<Overview, HostError> {
        let around = self.surroundings().await;
        let mut overview = Overview {
            listens: around.listens(),
            ..Overview::default()
        };
        let around = &around;
        let looks = self.apps().await?.into_iter().map(|app| async move {
            let observed = self.app(&app, around).await;
            (app, observed)
        });
        // Several at once: an engine that lets its apps wait does not hold up the look at all others.
        let mut looks = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
        while let Some((app, observed)) = looks.next().await {
            let observed = observed.unwrap_or_else(|error| {
                tracing::error!(%app, %error, "The app could not be observed.");
                ObservedApp::unreadable(&error)
            });
            overview.apps.insert(app, observed);
        }
        Ok(overview)
    }

    /// One app as it is.
    pub async fn app(
        &self,
        app: &AppName,
        around: &Surroundings,
    ) -> Result<ObservedApp, HostError> {
        let mut observed = self.stamps(app).await?;
        let mut numbers: BTreeSet<u32> = observed.current.into_iter().collect();
        numbers.extend(around.owned.get(app).into_iter().flatten());
        for number in numbers {
            if let Some(release) = observed.releases.get(&number) {
                observed
                    .instances
                    .insert(number, self.statuses(release).await);
            }
        }
        around.show(app, &mut observed);
        Ok(observed)
    }

    /// What the stamped files of an app say, without asking anything that runs.
    pub async fn stamps(&self, app: &AppName) -> Result<ObservedApp, HostError> {
        let files = StateFiles::new(&self.machine.dirs.data, app);
        let mut observed = ObservedApp {
            current: self.current(&files).await?,
            addons: self.json(&files.addons()).await?.unwrap_or_default(),
            site: self.json::<RoutedSite>(&files.site()).await?,
            pin: self.json::<Pin>(&files.pin()).await?,
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

    /// What is asked once for all apps.
    pub async fn surroundings(&self) -> Surroundings {
        let cx = self.machine.host_context();
        let mut around = Surroundings::default();
        for proxy in self.machine.registry.proxies.iter() {
            let Ok(name) = PluginName::parse(proxy.name()) else {
                continue;
            };
            around.proxies.insert(name, proxy.status(&cx).await.ok());
        }
        for deployer in self.machine.registry.deployers.iter() {
            for owned in deployer.observe(&cx).await.unwrap_or_default() {
                let releases = around.owned.entry(owned.app).or_default();
                releases.extend(owned.release.map(|release| release.number));
            }
        }
        around
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
            match self.json::<Release>(&files.stamp(number)).await? {
                Some(release) => drop(observed.releases.insert(number, release)),
                None => drop(observed.unfinished.insert(number)),
            }
        }
        Ok(())
    }

    /// The number that `current` holds. It is a file of one number rather than a link's target, so that reading it cannot be led astray.
    async fn current(&self, files: &StateFiles) -> Result<Option<u32>, HostError> {
        self.json(&files.state().join("current.json")).await
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

    fn host(&self) -> &dyn Host {
        self.machine.host.as_ref()
    }
}

/// A stamped file as a value, `None` when it is missing. A file that cannot be understood is an error: it is neither believed nor ignored.
pub(crate) async fn read_json<T: DeserializeOwned>(
    host: &dyn Host,
    path: &Path,
) -> Result<Option<T>, HostError> {
    let Some(bytes) = host.read(path).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| HostError::Refused {
            doing: format!("go by the stamp `{}`", path.display()),
            reason: format!("it cannot be read: {error}"),
        })
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
