//! The steps of one change under construction, and the story of a deploy. Pure.

use hop3_plugin_api::Digest;

use super::make::{AppInput, existing, push};
use super::{Action, Change, Class, Reason, ReleaseRef, Step, id};
use crate::diff;
use crate::release::Release;
use crate::spec::Strategy;

/// The steps of one change under construction. Each step needs the one before it: within an app the order is the story of a deploy.
pub(super) struct Steps<'a> {
    pub(super) input: &'a AppInput<'a>,
    pub(super) steps: Vec<Step>,
    pub(super) downtime: bool,
    /// Whether another release takes over.
    pub(super) replaces: bool,
}

impl<'a> Steps<'a> {
    pub(super) fn new(input: &'a AppInput<'a>) -> Self {
        Self {
            input,
            steps: Vec::new(),
            downtime: false,
            replaces: false,
        }
    }

    pub(super) fn push(&mut self, action: Action, class: Class, reason: Reason) {
        push(&mut self.steps, action, class, reason);
        let step = self.steps.last_mut().expect("a step was just pushed");
        step.at = self.input.placement.of(&step.action, &step.reason);
        step.commit.clone_from(&self.input.placement.commit);
    }

    /// A whole release with the right key is there: run it instead of the current one.
    pub(super) fn activate(&mut self, release: &Release) {
        self.take_over(
            &existing(release),
            self.input
                .observed
                .commands_done
                .contains(&release.id.number),
        );
    }

    /// A new release is needed, with a new artifact if what goes into it changed.
    pub(super) fn replace(&mut self) {
        let reason = self.reason();
        let target = self.input.target;
        if let Some(older) = self.input.observed.with_build_key(target.build_key()) {
            self.push(
                Action::ReuseArtifact {
                    of: existing(older),
                },
                Class::Restart,
                reason,
            );
        } else {
            let packages = target.build.packages.clone();
            if !packages.is_empty() {
                let action = Action::EnsurePackages { packages };
                self.push(action, Class::Rebuild, reason.clone());
            }
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
    pub(super) fn take_over(&mut self, release: &ReleaseRef, commands_done: bool) {
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

    pub(super) fn prepare(&mut self, release: &ReleaseRef, commands_done: bool) {
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
    pub(super) fn start(&mut self, release: &ReleaseRef) {
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

    pub(super) fn gate(&mut self, release: ReleaseRef) {
        let check = self.input.target.health.clone();
        self.push(
            Action::Gate { release, check },
            Class::NoOp,
            Reason::Follows,
        );
    }

    pub(super) fn switch(&mut self, release: ReleaseRef, reason: Reason) {
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
    pub(super) fn start_others(&mut self, release: &ReleaseRef) {
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
    pub(super) fn retire(&mut self, old: &ReleaseRef, stopped: bool) {
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
    pub(super) fn drain(&mut self, release: &ReleaseRef) {
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

    pub(super) fn runs_something(&self) -> bool {
        self.input
            .observed
            .current
            .is_some_and(|number| self.input.observed.instances_of(number).next().is_some())
    }

    pub(super) fn reason(&self) -> Reason {
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

    pub(super) fn finish(self, key: Digest) -> Option<Change> {
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
