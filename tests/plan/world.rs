//! Small worlds for the pure stages: apps in a few shapes, and what may be found of them on a host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use hop3_agent::desired::{
    Desired, DesiredApp, DirectoryRepo, Loader, LoaderCache, Placement, Recorded,
};
use hop3_agent::observe::{ObservedApp, Pin, RoutedSite};
use hop3_agent::plan::{Holds, Plan, PlanInput, Resting, Settled, plan};
use hop3_agent::registry::Registry;
use hop3_agent::release::{FixedTarget, Release, Route, Target, site};
use hop3_agent::schema::Schemas;
use hop3_agent::spec::Strategy as Rollout;
use hop3_plugin_api::{AppName, Digest, EnvKey, EnvValue, HostName, InstanceStatus, Liveness};

use crate::model::{Model, release, running};

/// What an app is asked to be, in numbers that a test can draw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    /// Which app of the example it is made from.
    pub(crate) base: usize,
    pub(crate) source: u8,
    pub(crate) greeting: u8,
    pub(crate) web: u16,
    pub(crate) others: u16,
    pub(crate) domains: u8,
    pub(crate) addon: bool,
    pub(crate) commands: u8,
    pub(crate) recreate: bool,
    pub(crate) keep: u16,
}

/// What was found of an app.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) releases: Vec<FoundRelease>,
    /// Which of them is the current one.
    pub(crate) current: Option<usize>,
    pub(crate) addons_made: bool,
    /// Whether a build was interrupted.
    pub(crate) unfinished: bool,
    pub(crate) site: FoundSite,
    pub(crate) proxy_known: bool,
    /// Which release a person pinned it to.
    pub(crate) pin: Option<usize>,
}

/// One release that was found.
#[derive(Debug, Clone)]
pub(crate) struct FoundRelease {
    pub(crate) shape: Shape,
    pub(crate) running: Running,
    pub(crate) commands_done: bool,
}

/// Which instances of a release were found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Running {
    Nothing,
    All,
    Stopped,
    /// The first of each worker does not run.
    FirstStopped,
    OneTooMany,
}

/// What the proxy was found to serve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FoundSite {
    None,
    AsLeft,
    Drifted,
    /// Stamped, but the proxy has none.
    Lost,
}

/// An app with what is asked and what is there; either may be absent.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) wanted: Option<Shape>,
    pub(crate) found: Option<Found>,
    pub(crate) rests: bool,
}

/// A host.
pub(crate) struct World {
    pub(crate) desired: Desired,
    pub(crate) observed: BTreeMap<AppName, Arc<ObservedApp>>,
    pub(crate) settled: Settled,
    pub(crate) holds: Holds,
    pub(crate) overlaps: bool,
    pub(crate) data_dir: PathBuf,
}

/// What must not show in any id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noise {
    pub(crate) revision: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) first_release: u32,
    pub(crate) data_dir: PathBuf,
    pub(crate) why: String,
}

pub(crate) fn app_name(index: usize) -> AppName {
    AppName::parse(["apple", "birch", "cedar", "dogwood"][index]).unwrap()
}

impl World {
    pub(crate) fn new(cases: &[Case], overlaps: bool, noise: &Noise) -> Self {
        let mut world = Self {
            desired: Desired {
                revision: noise.revision.clone(),
                ..Desired::default()
            },
            observed: BTreeMap::new(),
            settled: Settled::default(),
            holds: Holds::default(),
            overlaps,
            data_dir: noise.data_dir.clone(),
        };
        for (index, case) in cases.iter().enumerate() {
            world.add(&app_name(index), case, noise);
        }
        world
    }

    fn add(&mut self, name: &AppName, case: &Case, noise: &Noise) {
        let wanted = case.wanted.as_ref().map(|shape| shape.target(name));
        if let Some(found) = &case.found {
            let against = wanted
                .as_ref()
                .map_or_else(|| Digest::of("nothing"), Target::key);
            self.observed.insert(
                name.clone(),
                Arc::new(found.observed(name, &against, noise)),
            );
        }
        let Some(target) = wanted else { return };
        if case.rests {
            let resting = Resting {
                message: "it failed".to_owned(),
                hints: Vec::new(),
            };
            let tried = (name.clone(), target.trial());
            self.holds.resting.insert(tried, resting);
        }
        let placement = Placement {
            commit: noise.commit.clone(),
            ..Placement::default()
        };
        let app = DesiredApp {
            target: target.into(),
            placement,
            directory: format!("apps/{name}"),
        };
        self.desired.apps.insert(name.clone(), Arc::new(app));
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan_with(&|_| self.overlaps)
    }

    /// The same where it is said in another way which releases may run side by side.
    pub(crate) fn plan_with(&self, overlaps: &dyn Fn(&Target) -> bool) -> Plan {
        plan(&PlanInput {
            host: "demo",
            data_dir: &self.data_dir,
            desired: &self.desired,
            observed: &self.observed,
            busy: &std::collections::BTreeSet::new(),
            holds: &self.holds,
            settled: &self.settled,
            overlaps,
        })
    }

    /// What the host is like after all changes of a plan.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        for change in &plan.changes {
            let observed = self.observed.remove(&change.app).unwrap_or_default();
            let wanted = self.desired.apps.get(&change.app).map(|app| &app.target);
            let target = wanted
                .filter(|target| *target.key() == change.key)
                .or_else(|| {
                    observed
                        .with_key(&change.key)
                        .map(|release| &release.target)
                })
                .cloned();
            let mut model = Model {
                data_dir: self.data_dir.clone(),
                made: None,
                target,
                observed: Arc::unwrap_or_clone(observed),
                gone: false,
            };
            model.carry_out(change);
            if !model.gone {
                self.observed
                    .insert(change.app.clone(), Arc::new(model.observed));
            }
        }
    }
}

impl Shape {
    pub(crate) fn target(&self, name: &AppName) -> Target {
        let mut target = bases()[self.base].clone();
        target.app = name.clone();
        target.source = Digest::of(&self.source);
        let greeting = EnvValue::Literal {
            value: format!("hello {}", self.greeting),
        };
        target
            .env
            .values
            .insert(EnvKey::parse("GREETING").unwrap(), greeting);
        for (worker, count) in &mut target.counts {
            let routed = target.workers[worker].routed;
            *count = if routed { self.web } else { self.others };
        }
        let hosts =
            (1..=self.domains).map(|n| HostName::parse(&format!("{name}-{n}.localhost")).unwrap());
        let settings = target.route.as_ref().unwrap().settings.clone();
        target.route = (self.domains > 0).then(|| Route {
            hosts: hosts.collect(),
            ..Route {
                hosts: Vec::new(),
                static_paths: BTreeMap::new(),
                settings,
            }
        });
        if !self.addon {
            target.addons.clear();
            target.env.addons.clear();
        }
        target.release_commands = (0..self.commands).map(|n| format!("migrate {n}")).collect();
        if self.recreate {
            target.deploy.strategy = Rollout::Recreate;
        }
        target.deploy.keep_releases = self.keep;
        target
    }
}

impl Found {
    fn observed(&self, name: &AppName, against: &Digest, noise: &Noise) -> ObservedApp {
        let number = |index: usize| noise.first_release + u32::try_from(index).unwrap() + 1;
        let mut observed = ObservedApp {
            current: self.current.map(number),
            proxy_known: self.proxy_known,
            pin: self.pin.map(|index| Pin {
                release: number(index),
                against: against.clone(),
                why: noise.why.clone(),
                returned: false,
            }),
            ..ObservedApp::default()
        };
        for (index, found) in self.releases.iter().enumerate() {
            let release = release(number(index), found.shape.target(name).into());
            if self.addons_made {
                let made = release.target.addons.iter();
                observed
                    .addons
                    .extend(made.map(|addon| (addon.name.clone(), Digest::of(addon))));
            }
            if found.commands_done {
                observed.commands_done.insert(number(index));
            }
            let instances = found.running.instances(&release);
            if !instances.is_empty() {
                observed.instances.insert(number(index), instances);
            }
            observed.releases.insert(number(index), Arc::new(release));
        }
        if self.unfinished {
            observed.unfinished.insert(number(9));
        }
        self.serve(&mut observed, &noise.data_dir);
        observed
    }

    fn serve(&self, observed: &mut ObservedApp, data_dir: &Path) {
        let Some(current) = observed.current().cloned() else {
            return;
        };
        let Some(route) = &current.target.route else {
            return;
        };
        let endpoints = observed.endpoints(current.id.number);
        let site = site(data_dir, &current, route, &endpoints);
        let proxy = current.target.choice.proxy.clone().unwrap();
        let digest = Digest::of(&site);
        if self.site != FoundSite::None {
            observed.site = Some(RoutedSite { proxy, site });
        }
        observed.live_site = match self.site {
            FoundSite::AsLeft => Some(digest),
            FoundSite::Drifted => Some(Digest::of("another site")),
            FoundSite::None | FoundSite::Lost => None,
        };
    }
}

impl Running {
    fn instances(self, release: &Release) -> Vec<InstanceStatus> {
        let stopped = || Liveness::Stopped { reason: None };
        let mut instances = running(release, &release.target.counts);
        match self {
            Self::Nothing => instances.clear(),
            Self::All => {}
            Self::Stopped => instances
                .iter_mut()
                .for_each(|status| status.liveness = stopped()),
            Self::FirstStopped => {
                let first = instances
                    .iter_mut()
                    .filter(|status| status.instance.index == 0);
                first.for_each(|status| status.liveness = stopped());
            }
            Self::OneTooMany => {
                let more = release
                    .target
                    .counts
                    .iter()
                    .map(|(worker, count)| (worker.clone(), count + 1));
                instances = running(release, &more.collect());
            }
        }
        instances
    }
}

/// What a directory of apps asks for, with everything that is linked.
pub(crate) fn load(root: &Path) -> Desired {
    let registry = Registry::new(hop3_agent::builtin()).unwrap();
    let names: Vec<&str> = registry.linked().iter().map(|linked| linked.name).collect();
    let schemas = Schemas::compose_for(&names, &registry.sections());
    let loader = Loader {
        registry: &registry,
        schemas: &schemas,
        host: "demo",
        disabled: &[],
    };
    loader.load(
        &DirectoryRepo::new(root),
        &Recorded::default(),
        &mut LoaderCache::default(),
    )
}

/// The example's apps: a generic one with a worker, the guestbook with everything, a static site.
fn bases() -> &'static [Target] {
    static BASES: OnceLock<Vec<Target>> = OnceLock::new();
    BASES.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitops-repo");
        let desired = load(&root);
        desired
            .apps
            .values()
            .map(|app| Target::clone(&app.target))
            .collect()
    })
}

/// A fixture's release as it would have been made.
pub(crate) fn released(number: u32, target: FixedTarget) -> (Release, Vec<InstanceStatus>) {
    let release = release(number, target);
    let instances = running(&release, &release.target.counts);
    (release, instances)
}
