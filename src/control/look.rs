//! Looking at the machine: everything at the start, then a few apps at a time in rotation, and at once whatever a supervisor has news of.
//!
//! Guarantees: every app is looked at once in the drift interval, the looks spread over all of it, as long as they cost less than a hundredth of a
//! processor; else they stretch, and never cost more.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{AppName, HostError};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::meter::Metered;
use super::{Control, Message};
use crate::contain::contained_async;
use crate::execute::Executor;
use crate::observe::{Overview, Scanner, Scope};

/// The most parts into which a round is divided.
const MOST_PARTS: usize = 30;
/// The shortest pause between two parts.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// After a look that took so much processor time, the next one comes so many times later.
const SHARE: u32 = 100;
/// The shortest pause before a look that somebody's news asks for.
const NEWS_PAUSE: Duration = Duration::from_millis(50);

/// How long the loop's end waits for a look.
const LEAVE: Duration = Duration::from_secs(1);

/// What one look saw, and what it cost.
#[derive(Debug)]
pub struct Seen {
    /// What was seen.
    pub overview: Result<Overview, HostError>,
    /// The processor time that it took.
    pub cost: Duration,
}

/// Whether the machine is being looked at, what comes next, and whether it ever was.
#[derive(Debug)]
pub(super) struct Look {
    interval: Duration,
    under_way: bool,
    /// The last look; it ends with the loop's inbox.
    task: Option<JoinHandle<()>>,
    pub(super) done_once: bool,
    /// Why the last look failed, if it did.
    pub(super) problem: Option<String>,
    round: Round,
    /// Apps of which somebody has news.
    news: BTreeSet<AppName>,
    next: Instant,
    /// When the last look ended.
    ended: Instant,
}

impl Look {
    pub(super) fn new(interval: Duration) -> Self {
        let now = Instant::now();
        Self {
            interval,
            under_way: false,
            task: None,
            done_once: false,
            problem: None,
            round: Round::default(),
            news: BTreeSet::new(),
            next: now + interval,
            ended: now,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Waits for the end of the last look, once the inbox is closed; not for one that hangs in a call of the system.
    pub(super) async fn leave(&mut self) {
        if let Some(task) = self.task.take() {
            // Whether it has ended or not, nobody waits for what it saw.
            drop(tokio::time::timeout(LEAVE, task).await);
        }
    }

    /// When the next look is due.
    pub(super) fn due(&self) -> Instant {
        if self.news.is_empty() || self.under_way {
            self.next
        } else {
            self.next.min(self.ended + NEWS_PAUSE)
        }
    }

    /// What to look at now: what there is news of, else the next part of the round. Every round begins with asking what else is here.
    fn scope(&mut self, known: impl Iterator<Item = AppName>) -> Scope {
        if !self.news.is_empty() {
            let apps = std::mem::take(&mut self.news);
            return Scope::Some { apps, known: None };
        }
        let known = self.round.is_over().then(|| {
            let known: BTreeSet<AppName> = known.collect();
            self.round = Round::of(&known, self.interval);
            known
        });
        self.next = Instant::now() + self.round.pause;
        let apps = self.round.part();
        Scope::Some { apps, known }
    }

    /// Takes note of a look's end and of what it cost.
    fn end(&mut self, cost: Duration) {
        self.under_way = false;
        self.ended = Instant::now();
        self.next = self.next.max(self.ended + cost * SHARE);
    }
}

/// A round through all apps, in parts of equal size and with equal pauses.
#[derive(Debug, Default)]
struct Round {
    queue: VecDeque<AppName>,
    size: usize,
    pause: Duration,
}

impl Round {
    fn of(apps: &BTreeSet<AppName>, interval: Duration) -> Self {
        let fit = interval.as_millis() / SHORTEST_PAUSE.as_millis();
        let most = usize::try_from(fit)
            .unwrap_or(MOST_PARTS)
            .clamp(1, MOST_PARTS);
        let size = apps.len().div_ceil(most).max(1);
        let parts = apps.len().div_ceil(size).max(1);
        Self {
            queue: apps.iter().cloned().collect(),
            size,
            pause: interval / u32::try_from(parts).expect("a round has few parts"),
        }
    }

    fn is_over(&self) -> bool {
        self.queue.is_empty()
    }

    fn part(&mut self) -> BTreeSet<AppName> {
        let size = self.size.min(self.queue.len());
        self.queue.drain(..size).collect()
    }
}

impl Control {
    /// Looks at what is due.
    pub(super) fn probe(&mut self) {
        if self.look.under_way {
            self.look.next = Instant::now() + SHORTEST_PAUSE;
            return;
        }
        if self.look_for_room() {
            self.reconcile();
        }
        let scope = self.look.scope(self.observed.keys().cloned());
        if matches!(scope, Scope::Some { known: Some(_), .. }) {
            self.look_for_packages();
        }
        self.observe(scope);
    }

    /// A supervisor has news of an app.
    pub(super) fn nudged(&mut self, app: AppName) {
        if self.observed.contains_key(&app) {
            self.look.news.insert(app);
        }
    }

    /// Looks at everything that is deployed.
    pub(super) fn observe_all(&mut self) {
        self.observe(Scope::All);
    }

    /// Looks beside the loop: an engine that does not answer holds up nobody. The look ends with the loop.
    fn observe(&mut self, scope: Scope) {
        if std::mem::replace(&mut self.look.under_way, true) {
            return;
        }
        self.epochs_seen.clone_from(&self.epochs);
        let (executor, sender) = (self.parts.executor.clone(), self.sender.clone());
        let look = async move {
            let look = contained_async(look_around(&executor, scope));
            let (overview, cost) = tokio::select! {
                seen = Metered::new(look) => seen,
                () = sender.closed() => return tracing::debug!("The loop ended before the machine was looked at."),
            };
            let overview = overview.unwrap_or_else(|words| {
                Err(HostError::Refused {
                    doing: "look at what is deployed".to_owned(),
                    reason: format!("a mistake in the agent or in a plugin cut it off: {words}"),
                })
            });
            let seen = Message::Observed(Box::new(Seen { overview, cost }));
            if sender.send(seen).await.is_err() {
                tracing::debug!("The loop ended while it was told what the machine looks like.");
            }
        };
        // On a thread that may block: it reads many small files, and handing the work over for each of them costs more than reading it.
        let runtime = Handle::current();
        let task = tokio::task::spawn_blocking(move || runtime.block_on(look));
        self.look.task = Some(task);
    }

    /// Takes in what was seen. Nothing is planned anew where nothing has changed.
    pub(super) async fn observed(&mut self, seen: Seen) {
        self.look.end(seen.cost);
        let changed = match seen.overview {
            Ok(overview) => {
                self.look.problem = None;
                self.take_in(overview)
            }
            Err(error) => {
                tracing::error!(%error, "The deployed apps could not be looked at.");
                self.store().distrust(&error);
                self.look.problem = Some(crate::execute::chain(&error));
                return;
            }
        };
        if !std::mem::replace(&mut self.look.done_once, true) {
            if let Some(commit) = self.parts.repo.accepted() {
                self.load(&commit);
            }
        } else if !changed {
            return;
        }
        self.give_up_on_crashing().await;
        self.reconcile();
    }

    /// Takes in what was seen of apps of which no change began or ended since the look. Says whether anything is new.
    fn take_in(&mut self, overview: Overview) -> bool {
        let busy = self.lanes.busy();
        let (epochs, seen) = (&self.epochs, &self.epochs_seen);
        let is_stale = |app: &AppName| busy.contains(app) || epochs.get(app) != seen.get(app);
        let scope = overview.scope;
        let is_meant = |app: &AppName| scope.as_ref().is_none_or(|scope| scope.contains(app));
        let mut changed = self.listens != overview.listens;
        self.listens = overview.listens;
        let is_there = |app: &AppName| overview.apps.contains_key(app);
        let count = self.observed.len();
        self.observed
            .retain(|app, _| is_stale(app) || !is_meant(app) || is_there(app));
        changed |= self.observed.len() != count;
        for (app, mut observed) in overview.apps {
            if !is_stale(&app) && self.observed.get(&app) != Some(&observed) {
                if let Some(desired) = self.desired.apps.get(&app) {
                    Arc::make_mut(&mut observed).share(&desired.target);
                }
                self.observed.insert(app, observed);
                changed = true;
            }
        }
        changed
    }
}

/// What is there; at the first look also what each proxy was given.
async fn look_around(executor: &Executor, scope: Scope) -> Result<Overview, HostError> {
    let scanner = Scanner {
        machine: &executor.machine,
    };
    let first = matches!(scope, Scope::All);
    let overview = scanner.look(scope).await?;
    if first {
        let sites = &executor.sites;
        sites.remember(&executor.machine, &overview.apps).await;
    }
    Ok(overview)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apps(count: usize) -> BTreeSet<AppName> {
        let name = |number| AppName::parse(&format!("a{number:05}")).unwrap();
        (0..count).map(name).collect()
    }

    /// The parts of one round, and how long it takes.
    fn round(count: usize, interval: Duration) -> (Vec<usize>, Duration) {
        let mut round = Round::of(&apps(count), interval);
        let (mut sizes, mut seen) = (Vec::new(), BTreeSet::new());
        while !round.is_over() {
            let part = round.part();
            sizes.push(part.len());
            seen.extend(part);
        }
        assert_eq!(seen, apps(count));
        let parts = u32::try_from(sizes.len()).unwrap();
        (sizes, round.pause * parts)
    }

    /// The next look is due in this time, give or take what a busy machine needs.
    #[track_caller]
    fn assert_in(look: &Look, expected: Duration) {
        let left = look.due() - Instant::now();
        let off = left.abs_diff(expected);
        assert!(
            off < Duration::from_millis(900),
            "{left:?}, not {expected:?}"
        );
    }

    #[test]
    fn a_round_sees_every_app_once_and_takes_the_whole_interval() {
        let minute = Duration::from_mins(1);
        for count in [1, 2, 3, 29, 30, 31, 100, 1000, 10_000] {
            let (sizes, length) = round(count, minute);
            let largest = sizes.iter().max().unwrap();
            assert!(*largest <= count.div_ceil(MOST_PARTS), "{count}: {sizes:?}");
            let off = minute.abs_diff(length);
            assert!(off < Duration::from_millis(1), "{count}: {length:?}");
        }
        assert_eq!(round(3, minute).0, [1, 1, 1]);
        assert_eq!(round(3, Duration::from_millis(500)).0, [2, 1]);
    }

    #[test]
    fn a_round_without_apps_still_asks_what_is_here() {
        let mut look = Look::new(Duration::from_mins(1));
        let scope = look.scope(std::iter::empty());
        assert!(matches!(scope, Scope::Some { apps, known: Some(_) } if apps.is_empty()));
        assert_in(&look, Duration::from_mins(1));
    }

    #[test]
    fn a_look_that_costs_much_puts_off_the_next_one_a_hundred_times_as_long() {
        let mut look = Look::new(Duration::from_mins(1));
        look.scope(apps(30).into_iter());
        look.under_way = true;
        look.end(Duration::from_millis(10));
        assert_in(&look, Duration::from_secs(2));
        look.scope(apps(30).into_iter());
        look.end(Duration::from_millis(300));
        assert_in(&look, Duration::from_secs(30));
    }

    #[test]
    fn news_is_looked_at_at_once_and_does_not_disturb_the_round() {
        let mut look = Look::new(Duration::from_mins(1));
        look.news = apps(1);
        assert!(look.due() <= Instant::now() + NEWS_PAUSE);
        let scope = look.scope(apps(3).into_iter());
        assert!(matches!(scope, Scope::Some { apps: seen, known: None } if seen == apps(1)));
        assert_in(&look, Duration::from_mins(1));
    }
}
