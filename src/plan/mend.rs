//! The steps that mend a release that is the right one, and clear away what is left over. Pure.

use hop3_plugin_api::Digest;

use super::make::existing;
use super::steps::Steps;
use super::{Action, Class, Reason};
use crate::diff;
use crate::execute::kept;
use crate::release::{Release, Target, site};

impl Steps<'_> {
    /// The current release is the right one: mend what is not as it should be. Requests may go to a release that an interrupted change
    /// left over, so that it ends only when they no longer do; other workers start after that.
    pub(super) fn keep(&mut self, release: &Release) {
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
    pub(super) fn has_new_endpoints(&self, number: u32) -> bool {
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
    pub(super) fn rescale(&mut self, release: &Release, missing: &[String]) {
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

    /// Removes what no kept release needs, after everything that may still run from it has ended.
    pub(super) fn tidy(&mut self) {
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

    /// When the disk has little left: what can be made again, but nothing while another release takes over, which may yet be returned from.
    pub(super) fn make_room(&mut self) {
        let observed = self.input.observed;
        let all: Vec<&Release> = observed.all_releases().collect();
        let pinned = observed.pin.as_ref().map(|pin| pin.release);
        let needed: Vec<u32> = observed.current.into_iter().chain(pinned).collect();
        let surplus = kept(&all, &needed, 1).len() < all.len();
        if self.input.scarce && !self.replaces && (surplus || observed.has_cache) {
            let what = "the disk is nearly full".to_owned();
            self.push(Action::MakeRoom, Class::NoOp, Reason::Drifted { what });
        }
    }

    /// Ends what an interrupted change left: after the switch, since requests may still go to it, and before workers start that it would
    /// run beside.
    pub(super) fn end_leftovers(&mut self) {
        let key = self.input.target.key();
        let observed = self.input.observed;
        let wanted = observed.with_key(key).map(|release| release.id.number);
        let spared: Vec<u32> = observed.current.into_iter().chain(wanted).collect();
        for number in observed.beside(&spared) {
            if let Some(release) = observed.release(number) {
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

    pub(super) fn site_differs(&self, release: &Release) -> bool {
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

    pub(super) fn site_reason(&self, release: &Release) -> Reason {
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
}

/// Whether an instance (`web.0`) is one of a routed worker.
fn routed(target: &Target, instance: &str) -> bool {
    let worker = instance
        .rsplit_once('.')
        .map_or(instance, |(worker, _)| worker);
    target.workers.get(worker).is_some_and(|spec| spec.routed)
}
