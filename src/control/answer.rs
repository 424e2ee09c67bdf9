//! What the loop answers when it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hop3_plugin_api::{AppName, HostName};
use serde_json::json;
use tokio::sync::oneshot;

use super::{Control, Reply, Request};
use crate::desired::Past;
use crate::execute::Failure;
use crate::observe::ObservedApp;
use crate::plan::{Held, HoldKind};
use crate::release::Choice;
use crate::repo::{RepoError, Urgency};
use crate::report::{
    AppState, AppStatus, FORMAT, HoldStatus, MirrorStatus, PauseStatus, RepoStatus, Status,
};

/// What is deployed, as the past that choices and holders of host names are taken from.
pub(super) struct Deployed<'a>(pub(super) &'a BTreeMap<AppName, Arc<ObservedApp>>);

impl Past for Deployed<'_> {
    fn choice(&self, app: &AppName) -> Option<&Choice> {
        Some(&self.0.get(app)?.current()?.target.choice)
    }

    fn holders(&self) -> BTreeMap<HostName, AppName> {
        let hosts = |(app, observed): (&AppName, &Arc<ObservedApp>)| {
            let hosts = observed.site.iter().flat_map(|routed| &routed.site.hosts);
            let held = hosts.map(|host| (host.clone(), app.clone()));
            held.collect::<Vec<_>>()
        };
        self.0.iter().flat_map(hosts).collect()
    }
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
            Request::Pause { app, seconds, why } => self.pause(&app, seconds, &why),
            Request::Resume { app: Some(app) } => self.resume(&app).await,
            Request::Resume { app: None } => self.resume_host(),
            Request::Sync { wait } => {
                self.look_at_repo(Urgency::Person);
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
            everything_held: self
                .desired
                .everything_held
                .clone()
                .or_else(|| self.desired.vanished.clone()),
            state_problem: self.state_problem(),
            host_problem: self.room.problem(),
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

    /// What is wrong with the host or the config repo and so concerns every app.
    fn problems(&self) -> Vec<String> {
        let repo = self.repo_problem();
        let repo = repo.map(|problem| format!("config repo {}: {problem}", self.parts.repo_url));
        let everything = self.desired.everything_held.clone();
        let mine = [self.room.problem(), self.state_problem()];
        mine.into_iter()
            .chain([everything, repo])
            .flatten()
            .collect()
    }

    /// What is wrong with what the agent knows, if anything.
    fn state_problem(&self) -> Option<String> {
        let doubt = || {
            let doubt = self.doubt.as_ref()?;
            Some(format!(
                "{doubt}; removals and data steps hold until `hop3-agent resume`"
            ))
        };
        let look = self.look.problem.clone();
        look.or_else(|| self.store().problem()).or_else(doubt)
    }

    fn app_status(&self, app: &AppName, held: &[Held]) -> AppStatus {
        let observed = self.observed.get(app);
        let current = observed.and_then(|observed| observed.current());
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
            paused: self.pauses.of(app).map(|pause| PauseStatus {
                until: pause.until,
                why: pause.why.clone(),
            }),
            failure: self.attempt_of(app).map(|attempt| attempt.failure.clone()),
        }
    }

    fn state(&self, app: &AppName, holds: &[HoldStatus]) -> AppState {
        let observed = self.observed.get(app);
        if self.lanes.busy().contains(app) {
            AppState::Changing
        } else if observed.is_some_and(|observed| observed.unknown().is_some()) {
            AppState::Unknown
        } else if self.attempt_of(app).is_some() || self.has_returned(app) {
            AppState::Failing
        } else if !holds.is_empty() {
            AppState::Held
        } else if self.is_healthy(app) {
            AppState::Running
        } else {
            AppState::Down
        }
    }

    /// Whether the agent went back from the release that is asked for.
    fn has_returned(&self, app: &AppName) -> bool {
        let wanted = self.desired.apps.get(app).map(|it| it.target.key());
        let pin = self.observed.get(app).and_then(|it| it.pin.as_ref());
        pin.is_some_and(|pin| pin.returned && Some(&pin.against) == wanted)
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

    pub(super) fn knows(&self, app: &AppName) -> bool {
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
            "problems": self.problems(),
            "change": change,
            "last-step": journal.map(|(action, state)| json!({ "action": action, "state": state })),
            "events": self.parts.executor.store.events(Some(app), 5),
        }))
    }

    /// Failures that no retry has mended yet.
    pub fn failures(&self) -> Vec<Failure> {
        let failures = self.attempts.all();
        failures.map(|attempt| attempt.failure.clone()).collect()
    }

    /// Why the config repo could not be read, if so.
    pub fn repo_problem(&self) -> Option<String> {
        self.repo_problem
            .as_ref()
            .map(|error| crate::execute::chain(error))
    }
}

pub(super) fn no_such_app(app: &AppName) -> Reply {
    Reply::refused(
        format!("there is no app `{app}` here"),
        "`hop3-agent status` lists all apps",
    )
}
