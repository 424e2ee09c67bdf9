//! Steps during which the agent died. An app whose handling kills the agent again and again must not keep it from all others.
//!
//! Only deaths at the same step on the way to the same target count, and one success forgets them: an agent that is killed at different
//! moments blames nobody. What a reboot cut short does not count.

use hop3_plugin_api::{AppName, Digest, Fault, Timestamp};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::memo::Kind;
use super::{Attempt, EventKind, Store};
use crate::execute::Failure;

/// Deaths in a row after which the app rests.
const DEATHS: u32 = 3;
/// Seconds of the first rest; doubled with each further death.
const FIRST_REST: u64 = 60;
/// The longest rest, in seconds.
const LONGEST_REST: u64 = 3600;

/// Deaths of the agent in a row in the middle of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Death {
    /// What the step led to.
    pub target: Digest,
    /// The step.
    pub action: String,
    /// How often.
    pub count: u32,
}

impl Death {
    /// What an app rests for that has killed the agent too often, as a failed attempt; `None` as long as it may be chance.
    pub fn attempt(&self, app: &AppName, now: Timestamp) -> Option<Attempt> {
        let beyond = self.count.checked_sub(DEATHS)?;
        let pause = FIRST_REST
            .saturating_mul(1 << beyond.min(16))
            .min(LONGEST_REST);
        let failure = Failure {
            app: app.clone(),
            step: self.action.clone(),
            fault: Fault::App,
            message: format!("the agent died {} times in a row in the middle of it", self.count),
            hints: vec![
                "look at what the kernel and the service manager say of the agent's end; `resume` tries at once".to_owned(),
            ],
            output: String::new(),
        };
        Some(Attempt {
            key: self.target.clone(),
            count: self.count,
            failure,
            next: Some(Timestamp(now.0.saturating_add(pause))),
            pause,
        })
    }
}

impl Store {
    /// Takes note of steps that the life before began and did not end. Apps that cost too many lives rest from now on.
    pub(super) fn note_deaths(&self, rebooted: bool) {
        let open = self.read("read the journal of", open_steps);
        for (app, action, target) in open.unwrap_or_default() {
            let (Ok(app), Some(target)) = (AppName::parse(&app), Digest::from_hex(&target)) else {
                continue;
            };
            let step = action.clone();
            self.record(Some(&app), &EventKind::Interrupted { step });
            if !rebooted {
                self.note_death(&app, target, action);
            }
        }
        self.write("close the journal of", |db| {
            let sql = "UPDATE journal SET state = 'interrupted' WHERE state = 'started'";
            db.execute(sql, [])
        });
    }

    fn note_death(&self, app: &AppName, target: Digest, action: String) {
        let before = self.recall::<Death>(Kind::Death);
        let mut same = before
            .into_iter()
            .filter(|(of, _, death)| of == app && death.target == target && death.action == action);
        let count = same.next().map_or(0, |(_, _, death)| death.count) + 1;
        let death = Death {
            target,
            action,
            count,
        };
        self.keep((Kind::Death, app, ""), &death);
        if let Some(attempt) = death.attempt(app, self.host.now()) {
            self.set_attempt(app, &attempt);
        }
    }

    /// The agent has lived through a change of an app.
    pub fn survived(&self, app: &AppName) {
        self.forget((Kind::Death, app, ""));
    }
}

fn open_steps(db: &Connection) -> rusqlite::Result<Vec<(String, String, String)>> {
    let sql = "SELECT app, action, target FROM journal WHERE state = 'started'";
    let mut statement = db.prepare(sql)?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect()
}
