//! From an app's target and what is there to its change. Pure: equal inputs give equal changes.

use std::path::Path;

use hop3_plugin_api::{AppName, Digest};

use super::{Action, Change, Class, Reason, ReleaseRef, Step, id};
use crate::desired::Placement;
use crate::diff;
use crate::observe::ObservedApp;
use crate::release::{Release, Target, site};
use crate::spec::Strategy;

/// Everything that one app's change is computed from.
#[derive(Debug, Clone, Copy)]
pub struct AppInput<'a> {
    /// The host.
    pub host: &'a str,
    /// The data dir: only to compare sites, which hold real paths; never shows in the plan.
    pub data_dir: &'a Path,
    /// What the app should be.
    pub target: &'a Target,
    /// What is there.
    pub observed: &'a ObservedApp,
    /// Where the spec says it.
    pub placement: &'a Placement,
    /// Whether two releases may run side by side under this deployer.
    pub overlaps: bool,
    /// Why the target is not the spec's, when a person chose it.
    pub requested: Option<&'a str>,
}

/// What must be done to make an app what it should be; `None` when it is.
pub fn plan_app(input: &AppInput<'_>) -> Option<Change> {
    let key = input.target.key();
    let mut steps = Steps::new(input);
    match input.observed.with_key(&key) {
        Some(release) if Some(release.id.number) == input.observed.current => steps.keep(release),
        Some(release) => steps.activate(release),
        None => steps.replace(),
    }
    steps.tidy();
    steps.finish(key)
}

/// What a removal leads to, where other changes have a target's key.
pub(crate) fn removal_key() -> Digest {
    Digest::of("removed")
}

/// What must be done when an app is no longer wanted here. At least a tombstone: an app whose only attempt failed has a directory, too.
pub fn plan_removal(host: &str, app: &AppName, observed: &ObservedApp) -> Change {
    let mut steps = Vec::new();
    if let Some(routed) = &observed.site {
        push(
            &mut steps,
            Action::Unroute {
                proxy: routed.proxy.clone(),
            },
            Class::Route,
            Reason::Removed,
        );
    }
    for release in observed
        .releases
        .values()
        .filter(|release| observed.instances.contains_key(&release.id.number))
    {
        push(
            &mut steps,
            Action::Stop {
                release: existing(release),
            },
            Class::Restart,
            Reason::Removed,
        );
    }
    push(&mut steps, Action::Tombstone, Class::Data, Reason::Removed);
    let key = removal_key();
    Change {
        app: app.clone(),
        id: id::change_id(host, app, &key, &steps),
        class: Class::Data,
        downtime: true,
        key,
        after: Vec::new(),
        steps,
    }
}

fn push(steps: &mut Vec<Step>, action: Action, class: Class, reason: Reason) {
    let id = u32::try_from(steps.len()).expect("a change has few steps");
    let needs = id.checked_sub(1).into_iter().collect();
    steps.push(Step {
        id,
        action,
        needs,
        class,
        reason,
        at: None,
        commit: None,
    });
}

fn existing(release: &Release) -> ReleaseRef {
    ReleaseRef::Existing {
        number: release.id.number,
        key: release.key.clone(),
    }
}

/// The steps of one change under construction. Each step needs the one before it: within an app the order is the story of a deploy.
struct Steps<'a> {
    input: &'a AppInput<'a>,
    steps: Vec<Step>,
    downtime: bool,
    /// Whether another release takes over.
    replaces: bool,
}

impl<'a> Steps<'a> {
    fn new(input: &'a AppInput<'a>) -> Self {
        Self {
            input,
            steps: Vec::new(),
            downtime: false,
            replaces: false,
        }
    }

    fn push(&mut self, action: Action, class: Class, reason: Reason) {
        push(&mut self.steps, action, class, reason);
        let step = self.steps.last_mut().expect("a step was just pushed");
        step.at = self.input.placement.of(&step.action, &step.reason);
        step.commit.clone_from(&self.input.placement.commit);
    }

    /// The current release is the right one: mend what is not as it should be. Requests may go to a release that an interrupted change
    /// left over, so that it ends only when they no longer do; other workers start after that.
    fn keep(&mut self, release: &Release) {
        let (target, observed, number) =
            (self.input.target, self.input.observed, release.id.number);
        let missing = observed.missing(number, &target.counts);
        let complete = missing.is_empty() && observed.surplus(number, &target.counts).is_empty();
        let grows = missing.iter().any(|name| routed(target, name));
        if grows {
            self.rescale(release, &missing);
        } else if !release.served {
            // Cut off between the switch and the word that it has served.
            self.switch(existing(release), Reason::LeftOver);
        } else if self.site_differs(release) {
            let reason = self.site_reason(release);
            if self.has_new_endpoints(number) {
                self.gate(existing(release));
            }
            self.switch(existing(release), reason);
        }
        self.end_leftovers();
        if !complete && !grows {
            self.rescale(release, &missing);
        }
    }

    /// Whether instances that requests do not go to yet would get some.
    fn has_new_endpoints(&self, number: u32) -> bool {
        let routed = self
            .input
            .observed
            .site
            .iter()
            .flat_map(|routed| &routed.site.backends);
        let known: Vec<_> = routed.map(|backend| &backend.address).collect();
        self.input
            .observed
            .endpoints(number)
            .iter()
            .any(|endpoint| !known.contains(&&endpoint.address))
    }

    /// Starts what is missing and stops what is too much; requests follow only after the gate.
    fn rescale(&mut self, release: &Release, missing: &[String]) {
        let target = self.input.target;
        let scaled = release.target.counts != target.counts;
        let reason = if scaled {
            Reason::Changed {
                fields: diff::fields(&release.target, target),
            }
        } else if missing.is_empty() {
            Reason::LeftOver
        } else {
            Reason::NotRunning {
                instances: missing.to_vec(),
            }
        };
        let grown = missing.iter().any(|name| routed(target, name));
        let class = if scaled {
            Class::Reload
        } else {
            Class::Restart
        };
        self.downtime =
            !scaled && grown && self.input.observed.endpoints(release.id.number).is_empty();
        self.push(
            Action::Scale {
                release: existing(release),
                counts: target.counts.clone(),
            },
            class,
            reason,
        );
        if grown {
            self.gate(existing(release));
        }
        if target.is_routed() || self.site_differs(release) {
            self.switch(existing(release), Reason::Follows);
        }
    }

    /// A whole release with the right key is there: run it instead of the current one.
    fn activate(&mut self, release: &Release) {
        self.take_over(
            &existing(release),
            self.input
                .observed
                .commands_done
                .contains(&release.id.number),
        );
    }

    /// A new release is needed, with a new artifact if what goes into it changed.
    fn replace(&mut self) {
        let reason = self.reason();
        let target = self.input.target;
        if let Some(older) = self.input.observed.with_build_key(&target.build_key()) {
            self.push(
                Action::ReuseArtifact {
                    of: existing(older),
                },
                Class::Restart,
                reason,
            );
        } else {
            let build = Action::Build {
                builder: target.choice.builder.clone(),
                source: target.source.clone(),
                plan: Box::new(target.build.clone()),
            };
            self.push(build, Class::Rebuild, reason);
        }
        self.take_over(&ReleaseRef::New, false);
    }

    /// The story of a deploy, from the built release on.
    fn take_over(&mut self, release: &ReleaseRef, commands_done: bool) {
        self.replaces = true;
        self.prepare(release, commands_done);
        let old = self.input.observed.current().map(existing);
        let recreate =
            self.input.target.deploy.strategy == Strategy::Recreate || !self.input.overlaps;
        if let Some(old) = old.clone().filter(|_| recreate && self.runs_something()) {
            self.downtime = true;
            self.push(
                Action::Stop { release: old },
                Class::Restart,
                Reason::Follows,
            );
        }
        self.start(release);
        let overlap = self.input.target.deploy.overlap;
        if overlap {
            self.start_others(release);
        }
        if let Some(old) = old {
            self.retire(&old, recreate);
        }
        self.end_leftovers();
        if !overlap {
            self.start_others(release);
        }
    }

    /// Removes what no kept release needs, after everything that may still run from it has ended.
    fn tidy(&mut self) {
        let reason = if !self.input.observed.unfinished.is_empty() {
            Reason::LeftOver
        } else if self.replaces {
            Reason::Follows
        } else {
            return;
        };
        let keep = self.input.target.deploy.keep_releases;
        self.push(Action::Retain { keep }, Class::NoOp, reason);
    }

    fn prepare(&mut self, release: &ReleaseRef, commands_done: bool) {
        let target = self.input.target;
        for addon in &target.addons {
            if self.input.observed.addons.get(&addon.name) != Some(&Digest::of(addon)) {
                self.push(
                    Action::EnsureAddon {
                        addon: addon.clone(),
                    },
                    Class::Data,
                    self.reason(),
                );
            }
        }
        if !commands_done && !target.release_commands.is_empty() {
            let action = Action::ReleaseCommand {
                release: release.clone(),
                commands: target.release_commands.clone(),
                on_interrupt: target.deploy.on_interrupt,
            };
            self.push(action, Class::Restart, self.reason());
        }
    }

    /// Starts the routed workers, waits for health and switches.
    fn start(&mut self, release: &ReleaseRef) {
        let target = self.input.target;
        let counts = target.counts_of(true);
        if !counts.is_empty() {
            let deployer = target.choice.deployer.clone();
            let reason = self.reason();
            self.push(
                Action::Deploy {
                    release: release.clone(),
                    deployer,
                    counts,
                },
                Class::Restart,
                reason,
            );
            self.gate(release.clone());
        }
        self.switch(release.clone(), Reason::Follows);
    }

    fn gate(&mut self, release: ReleaseRef) {
        let check = self.input.target.health.clone();
        self.push(
            Action::Gate { release, check },
            Class::NoOp,
            Reason::Follows,
        );
    }

    fn switch(&mut self, release: ReleaseRef, reason: Reason) {
        let route = self.input.target.route.clone();
        let proxy = route.as_ref().and(self.input.target.choice.proxy.clone());
        self.push(
            Action::Switch {
                release,
                proxy,
                route,
            },
            Class::Route,
            reason,
        );
    }

    /// Starts workers without requests: after the old ones have ended, unless the spec lets both run.
    fn start_others(&mut self, release: &ReleaseRef) {
        if !self.input.target.counts_of(false).is_empty() {
            let counts = self.input.target.counts.clone();
            let action = Action::Scale {
                release: release.clone(),
                counts,
            };
            self.push(action, Class::Restart, Reason::Follows);
        }
    }

    /// Lets requests to the old release end, then ends it.
    fn retire(&mut self, old: &ReleaseRef, stopped: bool) {
        if stopped {
            return;
        }
        self.drain(old);
        if self.runs_something() {
            self.push(
                Action::Stop {
                    release: old.clone(),
                },
                Class::Restart,
                Reason::Follows,
            );
        }
    }

    /// Requests may be under way to a release of an app that has a site.
    fn drain(&mut self, release: &ReleaseRef) {
        if self.input.observed.site.is_some() {
            let seconds = self.input.target.deploy.drain_timeout.as_secs();
            self.push(
                Action::Drain {
                    release: release.clone(),
                    seconds,
                },
                Class::NoOp,
                Reason::Follows,
            );
        }
    }

    fn runs_something(&self) -> bool {
        self.input
            .observed
            .current
            .is_some_and(|number| self.input.observed.instances_of(number).next().is_some())
    }

    /// Ends what an interrupted change left: after the switch, since requests may still go to it, and before workers start that it would
    /// run beside.
    fn end_leftovers(&mut self) {
        let key = &self.input.target.key();
        let observed = self.input.observed;
        let wanted = observed.with_key(key).map(|release| release.id.number);
        let spared: Vec<u32> = observed.current.into_iter().chain(wanted).collect();
        for number in observed.beside(&spared) {
            if let Some(release) = observed.releases.get(&number) {
                self.drain(&existing(release));
                self.push(
                    Action::Stop {
                        release: existing(release),
                    },
                    Class::NoOp,
                    Reason::LeftOver,
                );
            }
        }
    }

    fn site_differs(&self, release: &Release) -> bool {
        let (input, observed) = (self.input, self.input.observed);
        match &input.target.route {
            Some(_) if !observed.proxy_known => false,
            Some(route) => {
                let endpoints = observed.endpoints(release.id.number);
                let wanted = Digest::of(&site(input.data_dir, release, route, &endpoints));
                // Without its stamp the next agent would leave the site out when another app's is put in place.
                observed.site.is_none() || observed.live_site.as_ref() != Some(&wanted)
            }
            None => observed.live_site.is_some(),
        }
    }

    fn site_reason(&self, release: &Release) -> Reason {
        if release.target.route == self.input.target.route {
            Reason::Drifted {
                what: "the proxy does not serve this site as it was left".to_owned(),
            }
        } else {
            Reason::Changed {
                fields: diff::fields(&release.target, self.input.target),
            }
        }
    }

    fn reason(&self) -> Reason {
        match (self.input.requested, self.input.observed.current()) {
            (Some(why), _) => Reason::Requested {
                why: why.to_owned(),
            },
            (None, Some(current)) => Reason::Changed {
                fields: diff::fields(&current.target, self.input.target),
            },
            (None, None) => Reason::Created,
        }
    }

    fn finish(self, key: Digest) -> Option<Change> {
        let Self {
            input,
            steps,
            downtime,
            ..
        } = self;
        let class = steps.iter().map(|step| step.class).max()?;
        Some(Change {
            app: input.target.app.clone(),
            id: id::change_id(input.host, &input.target.app, &key, &steps),
            class,
            downtime,
            key,
            after: input.target.deploy.after.clone(),
            steps,
        })
    }
}

/// Whether an instance (`web.0`) is one of a routed worker.
fn routed(target: &Target, instance: &str) -> bool {
    let worker = instance
        .rsplit_once('.')
        .map_or(instance, |(worker, _)| worker);
    target.workers.get(worker).is_some_and(|spec| spec.routed)
}
