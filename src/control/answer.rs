//! What the loop answers when it is asked.

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::{AppName, HostName};
use serde_json::json;
use tokio::sync::oneshot;

use super::{Control, Reply, Request};
use crate::desired::Recorded;
use crate::execute::{Failure, stamps};
use crate::observe::{ObservedApp, Pin, StateFiles};
use crate::plan::{Held, HoldKind};
use crate::release::Release;
use crate::repo::{RepoError, Urgency};
use crate::report::{AppState, AppStatus, FORMAT, HoldStatus, MirrorStatus, RepoStatus, Status};
use crate::state::EventKind;

/// What is remembered of the past for choosing plugins and holders of host names.
pub(super) fn recorded(observed: &BTreeMap<AppName, ObservedApp>) -> Recorded {
    let mut recorded = Recorded::default();
    for (app, observed) in observed {
        if let Some(release) = observed.current() {
            recorded
                .choices
                .insert(app.clone(), release.target.choice.clone());
        }
        for host in observed.site.iter().flat_map(|routed| &routed.site.hosts) {
            recorded.holders.insert(host.clone(), app.clone());
        }
    }
    recorded
}

impl Control {
    /// Answers now, or promises an answer for when nothing is under way.
    pub(super) async fn answer(&mut self, request: Request, reply: oneshot::Sender<Reply>) {
        let answer = match request {
            Request::Status => Reply::of(&self.status()),
            Request::Plan => Reply::of(&self.plan()),
            Request::Why { app } => self.why(&app),
            Request::History { app, most } => {
                Reply::of(&self.parts.executor.store.events(app.as_ref(), most))
            }
            Request::Rollback { app, to } => self.rollback(&app, to).await,
            Request::Resume { app } => self.resume(&app).await,
            Request::Sync { wait } => {
                self.look(Urgency::Person);
                if wait {
                    return self.waiters.push(reply);
                }
                Reply::of(&json!({ "looking": true }))
            }
        };
        // Who hung up needs no answer.
        drop(reply.send(answer));
    }

    /// The state of everything.
    pub fn status(&self) -> Status {
        let plan = self.plan();
        let names: BTreeSet<&AppName> = self
            .desired
            .apps
            .keys()
            .chain(self.observed.keys())
            .chain(self.desired.held.iter().map(|held| &held.app))
            .collect();
        Status {
            format: FORMAT,
            host: self.parts.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: self.desired.revision.clone(),
            repo: self.repo_status(),
            everything_held: self.desired.everything_held.clone(),
            state_problem: self
                .look
                .problem
                .clone()
                .or_else(|| self.parts.executor.store.problem()),
            errors: self.desired.nameless.clone(),
            apps: names
                .into_iter()
                .map(|app| self.app_status(app, &plan.held))
                .collect(),
        }
    }

    fn repo_status(&self) -> RepoStatus {
        let problem = self.repo_problem.as_ref();
        RepoStatus {
            url: self.parts.repo_url.clone(),
            last_contact: self.last_contact,
            state: match (problem, self.last_contact) {
                (Some(problem), _) => problem.state(),
                (None, Some(_)) => "ok".to_owned(),
                (None, None) => "unknown".to_owned(),
            },
            problem: self.repo_problem(),
            hint: problem.and_then(RepoError::hint),
            mirror: self.stand_in.as_ref().map(|mirror| MirrorStatus {
                url: mirror.url.clone(),
                because: mirror.because.clone(),
            }),
        }
    }

    fn app_status(&self, app: &AppName, held: &[Held]) -> AppStatus {
        let observed = self.observed.get(app);
        let current = observed.and_then(ObservedApp::current);
        let holds: Vec<HoldStatus> = held
            .iter()
            // That it is busy is its state and no hold to a person.
            .filter(|held| held.app == *app && held.hold != HoldKind::Busy)
            .map(|held| HoldStatus {
                hold: held.hold,
                message: held.message.clone(),
                hints: held.hints.clone(),
            })
            .collect();
        let busy = self.lanes.busy().contains(app);
        let step = self
            .parts
            .executor
            .store
            .last_step(app)
            .filter(|_| busy)
            .map(|(action, _)| action);
        AppStatus {
            app: app.clone(),
            state: self.state(app, &holds),
            release: current.map(|release| release.id.number),
            revision: current.and_then(|release| release.revision.clone()),
            urls: observed
                .map(|observed| self.urls(observed))
                .unwrap_or_default(),
            instances: current
                .zip(observed)
                .map(|(release, observed)| {
                    observed.instances_of(release.id.number).cloned().collect()
                })
                .unwrap_or_default(),
            step,
            held: holds,
            failure: self.attempt_of(app).map(|attempt| attempt.failure.clone()),
        }
    }

    fn state(&self, app: &AppName, holds: &[HoldStatus]) -> AppState {
        let observed = self.observed.get(app);
        if self.lanes.busy().contains(app) {
            AppState::Changing
        } else if observed.is_some_and(|observed| observed.unknown().is_some()) {
            AppState::Unknown
        } else if self.attempt_of(app).is_some() {
            AppState::Failing
        } else if !holds.is_empty() {
            AppState::Held
        } else if self.is_healthy(app) {
            AppState::Running
        } else {
            AppState::Down
        }
    }

    fn urls(&self, observed: &ObservedApp) -> Vec<String> {
        let hosts = observed.site.iter().flat_map(|routed| &routed.site.hosts);
        let port = |listen: &str| {
            listen
                .rsplit(':')
                .next()
                .filter(|port| *port != "80")
                .map_or_else(String::new, |p| format!(":{p}"))
        };
        let port = self
            .listens
            .first()
            .map(|listen| port(listen))
            .unwrap_or_default();
        hosts
            .filter(|host| host.as_str() != "_")
            .map(|host| format!("http://{host}{port}/"))
            .collect()
    }

    fn knows(&self, app: &AppName) -> bool {
        self.desired.mentions(app) || self.observed.contains_key(app)
    }

    fn why(&self, app: &AppName) -> Reply {
        if !self.knows(app) {
            return no_such_app(app);
        }
        let plan = self.plan();
        let change = plan.changes.iter().find(|change| change.app == *app);
        let journal = self.parts.executor.store.last_step(app);
        Reply::of(&json!({
            "status": self.app_status(app, &plan.held),
            "repo": self.repo_status(),
            "change": change,
            "last-step": journal.map(|(action, state)| json!({ "action": action, "state": state })),
            "events": self.parts.executor.store.events(Some(app), 5),
        }))
    }

    /// Pins the app to an earlier release; the loop goes there like to any other target.
    async fn rollback(&mut self, app: &AppName, to: Option<u32>) -> Reply {
        let pin = match self.new_pin(app, to) {
            Ok(pin) => pin,
            Err((message, hint)) => return Reply::refused(message, hint),
        };
        if let Err(error) = stamps::write(self.host(), self.files(app).pin(), &pin).await {
            return Reply::refused(
                format!("the pin could not be written: {error}"),
                "free space, or look at the data dir's owner",
            );
        }
        let (release, why) = (pin.release, pin.why.clone());
        self.parts
            .executor
            .store
            .record(Some(app), &EventKind::Pinned { release, why });
        self.forget_attempts(app, |_| true);
        self.set_pin(app, Some(pin));
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
        let good = observed.releases.values().rev().find(earlier);
        let Some(release) = to.map_or(good, |number| observed.releases.get(&number)) else {
            let kept: Vec<_> = observed.releases.keys().map(ToString::to_string).collect();
            return Err((
                format!("`{app}` has no such release"),
                format!("releases kept: {}", kept.join(", ")),
            ));
        };
        let Some(desired) = self.desired.apps.get(app) else {
            let message = format!("`{app}` is held at its last good release already");
            return Err((message, "`hop3-agent why` says by what".to_owned()));
        };
        if let Some((host, holder)) = self.holder_of_another(app, release) {
            let message = format!(
                "release {} of `{app}` answered for `{host}`, which belongs to `{holder}` now",
                release.id.number
            );
            return Err((message, "choose another release with `--to`".to_owned()));
        }
        let number = release.id.number;
        Ok(Pin {
            release: number,
            against: desired.target.key(),
            why: format!("rollback to release {number}"),
        })
    }

    /// A host name of a release that another app holds by now.
    fn holder_of_another(&self, app: &AppName, release: &Release) -> Option<(HostName, AppName)> {
        let holders = recorded(&self.observed).holders;
        let hosts = release.target.route.iter().flat_map(|route| &route.hosts);
        let taken = |host: &HostName| {
            Some((
                host.clone(),
                holders.get(host).filter(|holder| *holder != app)?.clone(),
            ))
        };
        hosts.into_iter().find_map(taken)
    }

    /// Ends a pin and lets a resting target be tried at once.
    async fn resume(&mut self, app: &AppName) -> Reply {
        if !self.knows(app) {
            return no_such_app(app);
        }
        let files = self.files(app);
        if let Err(error) = self.host().remove_beneath(files.app(), &files.pin()).await {
            return Reply::refused(
                format!("the pin could not be removed: {error}"),
                "look at the data dir's owner",
            );
        }
        self.parts
            .executor
            .store
            .record(Some(app), &EventKind::Resumed);
        self.forget_attempts(app, |_| true);
        self.set_pin(app, None);
        self.reconcile();
        Reply::of(&json!({ "resumed": app }))
    }

    fn set_pin(&mut self, app: &AppName, pin: Option<Pin>) {
        if let Some(observed) = self.observed.get_mut(app) {
            observed.pin = pin;
        }
        *self.epochs.entry(app.clone()).or_default() += 1;
    }

    /// Failures that no retry has mended yet.
    pub fn failures(&self) -> Vec<Failure> {
        self.attempts
            .values()
            .map(|attempt| attempt.failure.clone())
            .collect()
    }

    /// Why the config repo could not be read, if so.
    pub fn repo_problem(&self) -> Option<String> {
        self.repo_problem
            .as_ref()
            .map(|error| crate::execute::chain(error))
    }

    fn files(&self, app: &AppName) -> StateFiles {
        StateFiles::new(&self.parts.executor.machine.dirs.data, app)
    }

    fn host(&self) -> &dyn hop3_plugin_api::Host {
        self.parts.executor.machine.host.as_ref()
    }
}

fn no_such_app(app: &AppName) -> Reply {
    Reply::refused(
        format!("there is no app `{app}` here"),
        "`hop3-agent status` lists all apps",
    )
}
