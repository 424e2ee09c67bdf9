//! A rest: the faults are over, and everything must be as promised.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::apps::App;
use crate::clock;
use crate::proof::{Expectation, Life, Report, oracle};
use crate::world::{Trouble, World};

/// After this long a person has whatever rests tried again.
const WORD_AFTER: Duration = Duration::from_secs(5);
/// After this long it is not as promised. Many walks share the processors: one apply may take a minute then.
const PATIENCE: Duration = Duration::from_mins(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

impl World {
    /// Ends all faults, and waits until everything is as promised; what is not.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        self.note("rest");
        self.rests += 1;
        self.free_disk();
        clock::right(&self.clock());
        let mut found = self.mended_without_forge();
        self.start_forge();
        self.end_astray();
        found.extend(self.until_converged());
        if found.is_empty() {
            found.extend(self.judged());
            found.extend(self.still());
            self.begin_anew();
        }
        found
    }

    /// F08: while the forge is gone, what no commit has touched is mended nevertheless, also by an agent that has started since. One that has
    /// lost its copy of the config repo, too, waits for it.
    fn mended_without_forge(&mut self) -> Vec<String> {
        if !self.has(Trouble::ForgeStopped) || self.has(Trouble::Naive) {
            return Vec::new();
        }
        let started = Instant::now();
        loop {
            self.keep_agent();
            let silent = self.silent();
            if silent.is_empty() || started.elapsed() > PATIENCE {
                return silent;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Apps that no commit has touched, and that do not answer.
    fn silent(&self) -> Vec<String> {
        let untouched =
            |app: &&App| app.is_there && app.has_run && !self.committed.contains(app.name);
        let asked = self.apps.iter().filter(untouched).filter_map(|app| {
            let why = self.ground.visitor(app.name).ask(app.asks()).err()?;
            Some(format!(
                "F08 without the forge {} is not mended: {why}",
                app.name
            ))
        });
        asked.collect()
    }

    /// Effect: the agent runs; one that has given up is started again, as a service manager does.
    fn keep_agent(&mut self) {
        if self.life.as_mut().is_some_and(Life::has_ended) {
            self.life = None;
        }
        self.start_agent();
    }

    /// I1 and the oracle: looks until nothing is wrong any more.
    fn until_converged(&mut self) -> Vec<String> {
        let started = Instant::now();
        let mut word_at = started + WORD_AFTER;
        loop {
            self.keep_agent();
            let found = self.look();
            if found.is_empty() || started.elapsed() > PATIENCE {
                return found;
            }
            if Instant::now() > word_at {
                if word_at == started + WORD_AFTER {
                    self.late += 1;
                    self.note(format!("(a person's word after: {})", found.join("; ")));
                }
                word_at = Instant::now() + WORD_AFTER;
                self.let_go_on();
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn look(&mut self) -> Vec<String> {
        let Some(life) = &self.life else {
            return vec!["I1 the agent does not run".to_owned()];
        };
        if let Err(why) = life.settled() {
            return vec![format!("I1 {why}; its threads: {}", life.threads())];
        }
        // A store that was lost holds back what could destroy, until a person has looked.
        if life.status().is_ok_and(|status| is_in_doubt(&status)) {
            life.ask(&json!({"request": "resume", "app": null})).ok();
            life.settled().ok();
        }
        match Report::of(life, &self.ground) {
            Ok(report) => oracle::complaints(&self.ground, &report, &self.expected()),
            Err(why) => vec![format!("I1 {why}")],
        }
    }

    /// A person's word for every app that should run as asked.
    fn let_go_on(&self) {
        let Some(life) = &self.life else {
            return;
        };
        for app in self
            .apps
            .iter()
            .filter(|app| app.is_there && app.asked.is_some())
        {
            life.resume(app.name);
        }
    }

    /// What every app must be like. Of one whose newest commit is bad, any good edition may serve that was asked for since it was last known.
    fn expected(&self) -> Expectation {
        let mut expected = Expectation::default();
        for app in self.apps.iter().filter(|app| app.is_there) {
            if !self.runs(app) {
                expected.never_ran.insert(app.name.to_owned());
                continue;
            }
            let edition = app
                .asked
                .unwrap_or_else(|| self.serving(app.name, &app.may_serve));
            let text = format!("edition-{edition}");
            let visitor = (app.asks(), &*text);
            expected = expected.with(app.name, visitor, app.instances());
            if app.asked.is_none()
                && let Some(wanted) = expected.apps.get_mut(app.name)
            {
                wanted.as_asked = false;
            }
        }
        expected
    }

    /// Whether an app must run: its newest commit is good, or it ran before.
    fn runs(&self, app: &App) -> bool {
        let link = self.ground.app(app.name).join("current");
        app.asked.is_some() || app.has_run || link.is_symlink()
    }

    /// The edition that answers, if it is one of these; else the newest of them.
    fn serving(&self, app: &'static str, may: &BTreeSet<u64>) -> u64 {
        let path = if app == "guestbook" { "/health" } else { "/" };
        let answer = self.ground.visitor(app).ask(path).unwrap_or_default();
        let told = |edition: &&u64| {
            let edition = format!("edition-{edition}");
            answer
                .split(|c: char| c != '-' && !c.is_ascii_alphanumeric())
                .any(|word| word == edition)
        };
        let newest = may.last().copied().unwrap_or_default();
        may.iter().rev().find(told).copied().unwrap_or(newest)
    }

    /// I2, I4, and the release commands: what must have stayed since the last rest.
    fn judged(&mut self) -> Vec<String> {
        let mut found = self.patrol.complaints(&self.excused);
        for (app, before) in &self.processes {
            let now = self.serving_processes(app);
            let may_differ = match *app {
                "the proxy" => self.harms_of_proxy > 0,
                app => self.touched.contains(app),
            };
            if !may_differ && now != *before {
                found.push(format!(
                    "I2 {app} has other processes: {before:#?} are now {now:#?}"
                ));
            }
        }
        let entries = oracle::entries(&self.ground);
        if entries != self.signed {
            found.push(format!(
                "I4 visitors left {:?}, and there is {entries:?}",
                self.signed
            ));
        }
        let again = oracle::migrations(&self.ground)
            .into_iter()
            .find(|(_, times)| *times > 1);
        // A command that a full disk ends may have done its work before.
        if let Some((release, times)) = again.filter(|_| !self.has(Trouble::DiskWasFull)) {
            found.push(format!(
                "the release command of {release} ran {times} times"
            ));
        }
        found
    }

    /// I8: nothing is written. What failed is tried again after a pause, and that may be now.
    fn still(&self) -> Vec<String> {
        if self
            .apps
            .iter()
            .any(|app| app.is_there && app.asked.is_none())
        {
            return Vec::new();
        }
        let life = self.life.iter();
        life.flat_map(|life| oracle::still(&self.ground, life))
            .collect()
    }

    /// What serves: of an app the processes of its current release, for one whose newest commit is bad is tried beside it now and then.
    fn serving_processes(&self, app: &str) -> BTreeSet<(u64, u64)> {
        if app != "the proxy" {
            return oracle::serving(&self.ground, app);
        }
        let proxies = self.ground.proxies().into_iter();
        proxies
            .map(|it| (u64::from(it.pid), it.start_time))
            .collect()
    }

    /// What is known now is what the next faults are measured by.
    fn begin_anew(&mut self) {
        self.excused.clear();
        self.touched.clear();
        self.committed.clear();
        self.harms_of_proxy = 0;
        self.troubles.remove(&Trouble::Naive);
        self.processes.clear();
        for index in 0..self.apps.len() {
            let (name, path, runs) = {
                let app = &self.apps[index];
                (app.name, app.asks(), app.is_there && self.runs(app))
            };
            self.apps[index].has_run = runs;
            if runs {
                let serving = self.serving(name, &self.apps[index].may_serve);
                self.apps[index].may_serve = BTreeSet::from([serving]);
                self.patrol.watch(name, self.ground.visitor(name), path);
                self.processes.insert(name, self.serving_processes(name));
            } else {
                self.apps[index].may_serve.clear();
            }
        }
        self.processes
            .insert("the proxy", self.serving_processes("the proxy"));
        if self
            .apps
            .iter()
            .any(|app| app.name == "guestbook" && app.has_run && app.is_there)
        {
            let line = format!("at rest {}", self.rests);
            self.ground.visitor("guestbook").sign(&line).unwrap();
            self.signed.push(format!("ada: {line}"));
        }
    }
}

fn is_in_doubt(status: &serde_json::Value) -> bool {
    let words = status.to_string();
    words.contains("hold until `hop3-agent resume`")
}
