//! A model of what carrying out a change does to a host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use hop3_agent::observe::{ObservedApp, RoutedSite};
use hop3_agent::plan::{Action, Change, ReleaseRef};
use hop3_agent::release::{FixedTarget, Release, Route, site};
use hop3_plugin_api::{
    ArtifactLocation, BuildArtifact, Counts, Digest, EndpointAddress, InstanceId, InstanceStatus,
    Liveness, ReleaseId, Timestamp, WorkerName,
};

/// What carrying out one change does, step by step, as `execute` does it.
pub(crate) struct Model {
    pub(crate) data_dir: PathBuf,
    pub(crate) target: Option<FixedTarget>,
    pub(crate) observed: ObservedApp,
    pub(crate) made: Option<u32>,
    pub(crate) gone: bool,
}

impl Model {
    pub(crate) fn carry_out(&mut self, change: &Change) {
        for step in &change.steps {
            self.step(&step.action);
        }
    }

    fn number(&self, reference: &ReleaseRef) -> u32 {
        let number = match reference {
            ReleaseRef::New => self
                .made
                .expect("a step about the new release follows its making"),
            ReleaseRef::Existing { number, key } => {
                let release = self.observed.releases.get(number);
                let release = release.expect("a step speaks of a release that is there");
                assert_eq!(release.key, *key);
                *number
            }
        };
        assert!(self.observed.releases.contains_key(&number));
        number
    }

    fn step(&mut self, action: &Action) {
        match action {
            Action::EnsurePackages { .. } => {}
            Action::Build { .. } => self.make(None),
            Action::ReuseArtifact { of } => {
                let number = self.number(of);
                let artifact = self.observed.releases[&number].artifact.clone();
                self.make(Some(artifact));
            }
            Action::EnsureAddon { addon } => {
                self.observed
                    .addons
                    .insert(addon.name.clone(), Digest::of(addon));
            }
            Action::ReleaseCommand { release, .. } => {
                let number = self.number(release);
                assert!(
                    self.observed.commands_done.insert(number),
                    "it runs once per release"
                );
            }
            Action::Deploy {
                release, counts, ..
            } => self.start(release, counts),
            Action::Gate { release, .. } | Action::Drain { release, .. } => {
                self.number(release);
            }
            Action::Scale { release, counts } => {
                self.start(release, counts);
                let number = self.number(release);
                if self.observed.current == Some(number) {
                    self.restamp(number);
                }
            }
            Action::Switch {
                release,
                proxy,
                route,
            } => {
                assert_eq!(proxy.is_some(), route.is_some());
                self.switch(release, route.as_ref());
            }
            Action::Stop { release } => {
                let number = self.number(release);
                self.observed.instances.remove(&number);
            }
            Action::Unroute { .. } => self.unroute(),
            Action::Tombstone => {
                assert!(
                    self.observed.instances.is_empty(),
                    "what is gone no longer runs"
                );
                self.gone = true;
            }
            Action::Retain { keep } => self.retain(*keep),
            Action::MakeRoom => {
                self.retain(1);
                self.observed.has_cache = false;
            }
        }
    }

    fn make(&mut self, artifact: Option<BuildArtifact>) {
        let all = self
            .observed
            .releases
            .keys()
            .chain(&self.observed.unfinished);
        let number = all.max().copied().unwrap_or(0) + 1;
        let target = self.target.clone().expect("a release is made for a target");
        let mut made = release(number, target);
        made.artifact = artifact.unwrap_or(made.artifact);
        self.observed.releases.insert(number, Arc::new(made));
        self.made = Some(number);
    }

    fn start(&mut self, reference: &ReleaseRef, counts: &Counts) {
        let number = self.number(reference);
        let instances = running(&self.observed.releases[&number], counts);
        if instances.is_empty() {
            self.observed.instances.remove(&number);
        } else {
            self.observed.instances.insert(number, instances);
        }
    }

    fn switch(&mut self, reference: &ReleaseRef, route: Option<&Route>) {
        let number = self.number(reference);
        if let Some(route) = route {
            let release = &self.observed.releases[&number];
            let site = site(
                &self.data_dir,
                release,
                route,
                &self.observed.endpoints(number),
            );
            self.observed.live_site = Some(Digest::of(&site));
            let proxy = self.target.as_ref().unwrap().choice.proxy.clone().unwrap();
            self.observed.site = Some(RoutedSite { proxy, site });
        } else {
            self.unroute();
        }
        self.observed.current = Some(number);
        self.restamp(number);
    }

    fn restamp(&mut self, number: u32) {
        let target = self.target.clone().unwrap();
        let release = self.observed.releases.get_mut(&number).unwrap();
        if release.key == *target.key() {
            Arc::make_mut(release).target = target;
        }
    }

    fn unroute(&mut self) {
        self.observed.site = None;
        self.observed.live_site = None;
    }

    fn retain(&mut self, keep: u16) {
        self.observed.unfinished.clear();
        let all: Vec<u32> = self.observed.releases.keys().rev().copied().collect();
        let mut kept: Vec<u32> = all.iter().take(usize::from(keep.max(1))).copied().collect();
        kept.extend(self.observed.current);
        kept.extend(self.observed.pin.as_ref().map(|pin| pin.release));
        let holders: Vec<u32> = kept
            .iter()
            .filter_map(|number| self.observed.releases.get(number)?.artifact_release())
            .collect();
        kept.extend(holders);
        for number in all.iter().filter(|number| !kept.contains(number)) {
            assert!(
                !self.observed.instances.contains_key(number),
                "the directory of a running release is removed"
            );
            self.observed.releases.remove(number);
            self.observed.commands_done.remove(number);
        }
    }
}

/// Instances that run, each routed one with an endpoint that follows from its name.
pub(crate) fn running(release: &Release, counts: &Counts) -> Vec<InstanceStatus> {
    let mut instances = Vec::new();
    for (worker, count) in counts {
        instances.extend((0..*count).map(|index| instance(release, worker, index)));
    }
    instances
}

fn instance(release: &Release, worker: &WorkerName, index: u16) -> InstanceStatus {
    let routed = release
        .target
        .workers
        .get(worker)
        .is_some_and(|spec| spec.routed);
    // The number of a release must not show in what is compared across numberings, but tells releases apart on one host.
    let port = 20_000 + u16::try_from(release.id.number % 100).unwrap() * 100 + index;
    InstanceStatus {
        instance: InstanceId {
            release: release.id.clone(),
            worker: worker.clone(),
            index,
        },
        liveness: Liveness::Running,
        endpoint: routed.then(|| EndpointAddress::Tcp(([127, 0, 0, 1], port).into())),
        process: None,
        restarts: 0,
    }
}

pub(crate) fn release(number: u32, target: FixedTarget) -> Release {
    let artifact = BuildArtifact {
        kind: target.build.kind.clone(),
        location: ArtifactLocation::Directory(format!("releases/{number}/app")),
        key: target.build_key().clone(),
        metadata: BTreeMap::new(),
        cloned: BTreeSet::new(),
        runtime: target.build.runtime.clone(),
    };
    Release {
        format: 1,
        install: "test".to_owned(),
        id: ReleaseId {
            app: target.app.clone(),
            number,
        },
        key: target.key().clone(),
        build_key: target.build_key().clone(),
        revision: None,
        created: Timestamp(0),
        served: true,
        took_over: None,
        artifact,
        target,
    }
}
