//! What a person orders: pauses, rollbacks, and the word that lets things go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{AppName, HostError, HostName, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use super::answer::Deployed;
use super::{Control, Reply, answer, fallback};
use crate::desired::Past as _;
use crate::execute::stamps;
use crate::gate::spared;
use crate::observe::{Pin, StateFiles};
use crate::plan::HoldKind;
use crate::release::Release;
use crate::state::{EventKind, Pause, Store};

/// The longest pause: whoever wants more takes the app out of the config repo.
const LONGEST_PAUSE: Duration = Duration::from_hours(31 * 24);

/// Pauses with the moments at which they end, by a clock that nobody sets.
#[derive(Debug, Default)]
pub(super) struct Pauses(BTreeMap<AppName, (Pause, Instant)>);

impl Pauses {
    /// What a store remembers.
    pub(super) fn recalled(store: &Store, now: Timestamp) -> Self {
        let with_end = |(app, pause): (AppName, Pause)| {
            let end = Instant::now() + pause.left(now);
            (app, (pause, end))
        };
        Self(store.pauses().into_iter().map(with_end).collect())
    }

    fn begin(&mut self, app: AppName, pause: Pause, length: Duration) {
        self.0.insert(app, (pause, Instant::now() + length));
    }

    /// An app's pause.
    pub(super) fn of(&self, app: &AppName) -> Option<&Pause> {
        self.0.get(app).map(|(pause, _)| pause)
    }

    /// Paused apps, and in which words.
    pub(super) fn words(&self) -> BTreeMap<AppName, String> {
        let words =
            |(app, (pause, _)): (&AppName, &(Pause, Instant))| (app.clone(), pause.why.clone());
        self.0.iter().map(words).collect()
    }

    /// When the first of them ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.0.values().map(|(_, end)| *end).min()
    }

    /// Those that are over.
    fn over(&self) -> Vec<AppName> {
        let now = Instant::now();
        let over = self.0.iter().filter(|(_, (_, end))| *end <= now);
        over.map(|(app, _)| app.clone()).collect()
    }
}

impl Control {
    /// Nothing is done to the app for a while: no change, no repair. A change that has not switched yet ends.
    pub(super) fn pause(&mut self, app: &AppName, seconds: u64, why: &str) -> Reply {
        if !self.knows(app) {
            return answer::no_such_app(app);
        }
        let length = Duration::from_secs(seconds);
        if length.is_zero() || length > LONGEST_PAUSE {
            return Reply::refused(
                format!("`{app}` cannot be paused for {seconds} seconds"),
                "a pause lasts between a second and 31 days",
            );
        }
        let why: String = why.chars().take(300).collect();
        let pause = Pause::new(why.clone(), length, self.now());
        let until = pause.until;
        if !self.store().set_pause(app, &pause) {
            return self.unwritten();
        }
        self.store()
            .record(Some(app), &EventKind::Paused { until, why });
        self.pauses.begin(app.clone(), pause, length);
        self.lanes.give_way(app);
        self.reconcile();
        Reply::of(&json!({ "paused": app, "until": until }))
    }

    /// Ends pauses that have run out. One of which that cannot be written down has run out for the next agent as well.
    pub(super) fn end_pauses(&mut self) {
        for app in self.pauses.over() {
            self.pauses.0.remove(&app);
            self.store().end_pause(&app);
            self.store().record(Some(&app), &EventKind::PauseEnded);
        }
    }

    /// What a person orders and the next agent would not know of is not done.
    fn unwritten(&self) -> Reply {
        let problem = self.store().problem().unwrap_or_default();
        Reply::refused(
            format!("it could not be written down: {problem}"),
            "free space, or look at the disk; then say it again",
        )
    }

    /// Pins the app to an earlier release; the loop goes there like to any other target.
    pub(super) async fn rollback(&mut self, app: &AppName, to: Option<u32>) -> Reply {
        let pin = match self.new_pin(app, to) {
            Ok(pin) => pin,
            Err((message, hint)) => return Reply::refused(message, hint),
        };
        let (release, why) = (pin.release, pin.why.clone());
        if let Err(reason) = self.set_pin(app, pin).await {
            let hint = "free space, or look at the data dir's owner";
            return Reply::refused(reason, hint);
        }
        self.store()
            .record(Some(app), &EventKind::Pinned { release, why });
        self.forget_failures(app, |_| true);
        self.reconcile();
        Reply::of(&json!({ "release": release }))
    }

    /// The pin that a rollback sets, or why there can be none, with a hint.
    fn new_pin(&self, app: &AppName, to: Option<u32>) -> Result<Pin, (String, String)> {
        let Some(observed) = self.observed.get(app) else {
            return Err((
                format!("there is no app `{app}` here"),
                "`hop3-agent status` lists all apps".to_owned(),
            ));
        };
        let earlier = |release: &&Release| {
            release.served
                && observed
                    .current
                    .is_some_and(|current| release.id.number < current)
        };
        let good = observed.all_releases().rev().find(earlier);
        let Some(release) = to.map_or(good, |number| observed.release(number)) else {
            let kept: Vec<_> = observed.releases.keys().map(ToString::to_string).collect();
            return Err((
                format!("`{app}` has no such release"),
                format!("releases kept: {}", kept.join(", ")),
            ));
        };
        let number = release.id.number;
        if !release.served {
            let message = format!("release {number} of `{app}` never served");
            let hint = "its release commands may not have run; a commit that asks for it runs them";
            return Err((message, hint.to_owned()));
        }
        let Some(desired) = self.desired.apps.get(app) else {
            let message = format!("`{app}` is held at its last good release already");
            return Err((message, "`hop3-agent why` says by what".to_owned()));
        };
        if let Some((host, holder)) = self.holder_of_another(app, release) {
            let message = format!(
                "release {number} of `{app}` answered for `{host}`, which belongs to `{holder}` now"
            );
            return Err((message, "choose another release with `--to`".to_owned()));
        }
        Ok(Pin {
            release: number,
            against: desired.target.key().clone(),
            why: format!("rollback to release {number}"),
            returned: false,
        })
    }

    /// A host name of a release that another app holds by now.
    fn holder_of_another(&self, app: &AppName, release: &Release) -> Option<(HostName, AppName)> {
        let holders = Deployed(&self.observed).holders();
        let hosts = release.target.route.iter().flat_map(|route| &route.hosts);
        let taken = |host: &HostName| {
            Some((
                host.clone(),
                holders.get(host).filter(|holder| *holder != app)?.clone(),
            ))
        };
        hosts.into_iter().find_map(taken)
    }

    /// Effect: writes a pin down and follows it.
    async fn set_pin(&mut self, app: &AppName, pin: Pin) -> Result<(), String> {
        let file = self.files(app).pin();
        stamps::write(self.host(), file, &pin)
            .await
            .map_err(|error| {
                format!(
                    "the pin could not be written: {}",
                    crate::execute::chain(&error)
                )
            })?;
        self.follow_pin(app, Some(pin));
        Ok(())
    }

    /// Effect: removes a pin. Where there is none, a disk that takes nothing does not matter.
    async fn remove_pin(&self, app: &AppName) -> Result<(), HostError> {
        let files = self.files(app);
        if self.host().read(&files.pin()).await?.is_none() {
            return Ok(());
        }
        self.host().remove_beneath(files.app(), &files.pin()).await
    }

    fn follow_pin(&mut self, app: &AppName, pin: Option<Pin>) {
        if let Some(observed) = self.observed.get_mut(app) {
            Arc::make_mut(observed).pin = pin;
        }
        *self.epochs.entry(app.clone()).or_default() += 1;
    }

    /// Goes back from new releases that do not stay up to the ones before, once; then they wait for a commit or a person.
    pub(super) async fn give_up_on_crashing(&mut self) {
        let now = self.now();
        let busy = self.lanes.busy();
        let mut returns = Vec::new();
        for (app, observed) in &self.observed {
            let is_free = !busy.contains(app) && self.pauses.of(app).is_none();
            let wanted = self.desired.apps.get(app).map(|it| it.target.key());
            let is_wanted = wanted.is_some() && wanted == observed.current().map(|it| &it.key);
            if is_free
                && is_wanted
                && let Some(crashing) = fallback::crashing(observed, now)
                && let (Ok(to), Some(against)) = (crashing.back_to, wanted)
            {
                let against = against.clone();
                returns.push((app.clone(), crashing.release, crashing.what, to, against));
            }
        }
        for (app, from, what, to, against) in returns {
            tracing::error!(%app, "Going back to release {to}: {what}.");
            let pin = Pin {
                release: to,
                against,
                why: what.clone(),
                returned: true,
            };
            match self.set_pin(&app, pin).await {
                Ok(()) => {
                    let event = EventKind::Returned {
                        from,
                        to,
                        why: what,
                    };
                    self.store().record(Some(&app), &event);
                    self.forget_failures(&app, |_| true);
                }
                Err(reason) => tracing::error!(%app, "{reason}"),
            }
        }
    }

    /// Ends whatever keeps an app from following the config repo: a pause, a pin, a rest, a repair that is no longer made.
    pub(super) async fn resume(&mut self, app: &AppName) -> Reply {
        if !self.knows(app) {
            return answer::no_such_app(app);
        }
        if let Err(error) = self.remove_pin(app).await {
            return Reply::refused(
                format!(
                    "the pin could not be removed: {}",
                    crate::execute::chain(&error)
                ),
                "look at the data dir's owner and its disk",
            );
        }
        if self.pauses.of(app).is_some() && !self.store().end_pause(app) {
            return self.unwritten();
        }
        self.pauses.0.remove(app);
        self.store().record(Some(app), &EventKind::Resumed);
        self.forget_failures(app, |_| true);
        let store = Arc::clone(&self.parts.executor.store);
        store.survived(app);
        self.repairs.forget(app, |_| true, &store);
        self.follow_pin(app, None);
        self.reconcile();
        // What a person's word on one app does not end: a mistake in its spec, a removal of many, another app that it waits for.
        let mut held = self.plan().held;
        held.retain(|it| it.app == *app && it.hold != HoldKind::Busy);
        Reply::of(&json!({ "resumed": app, "held": held }))
    }

    /// A person's word on the whole host: what is gone from the config repo now may go, and the state counts as it is.
    pub(super) fn resume_host(&mut self) -> Reply {
        let doubt = self.doubt.clone();
        let held = spared(
            &self.desired,
            &self.observed,
            (&self.approved, doubt.as_deref()),
        );
        if held.is_empty() && doubt.is_none() {
            return Reply::refused(
                "nothing is held for the whole host",
                "`hop3-agent resume APP` lets one app go on",
            );
        }
        let released: Vec<AppName> = held.into_keys().collect();
        if !released.iter().all(|app| self.store().approve(app)) {
            return self.unwritten();
        }
        self.doubt = None;
        self.approved.extend(released.iter().cloned());
        self.store().end_doubt();
        self.store().record(None, &EventKind::Resumed);
        self.reconcile();
        Reply::of(&json!({ "removed": released, "doubt": doubt }))
    }

    /// Takes back the word on apps that it no longer fits.
    pub(super) fn disapprove(&mut self, which: impl Fn(&Self, &AppName) -> bool) {
        let ended: Vec<AppName> = self
            .approved
            .iter()
            .filter(|app| which(self, app))
            .cloned()
            .collect();
        for app in ended {
            self.approved.remove(&app);
            self.store().disapprove(&app);
        }
    }

    fn files(&self, app: &AppName) -> StateFiles {
        StateFiles::new(&self.parts.executor.machine.dirs.data, app)
    }

    fn host(&self) -> &dyn hop3_plugin_api::Host {
        self.parts.executor.machine.host.as_ref()
    }
}
