//! What runs: `[run]` over the Procfile, hooks apart from workers, counts.

use std::collections::BTreeMap;

use hop3_plugin_api::{Counts, WorkerName};

use super::Draft;
use crate::spec::app::Unbuilt;
use crate::spec::moments;
use crate::spec::procfile::{Procfile, WEB_KINDS};
use crate::spec::sections::{Command, Instances, Run};
use crate::spec::suggest::did_you_mean;

/// Kinds of a Procfile that are run at certain moments instead of all the time.
const RELEASE_KINDS: [&str; 3] = ["prerun", "preflight", "release"];

/// Commands by what they are for.
#[derive(Debug)]
pub(super) struct Commands {
    /// Long-running ones.
    pub(super) workers: BTreeMap<WorkerName, String>,
    /// Once per release, before the switch.
    pub(super) release: Vec<String>,
    /// The Procfile's `prebuild`.
    pub(super) before_build: Option<String>,
    /// The Procfile's `postbuild`.
    pub(super) after_build: Option<String>,
    /// The directory of a `static` worker.
    pub(super) static_dir: Option<String>,
}

impl Draft<'_> {
    /// Merges per worker: Procfile, then `[run] start`, then `[run.workers]`; then takes the hooks out.
    pub(super) fn commands(&mut self, run: Option<&Run>, procfile: &Procfile) -> Commands {
        let of_procfile = procfile.entries.iter();
        let mut workers: BTreeMap<WorkerName, String> = of_procfile
            .map(|entry| (entry.kind.clone(), entry.command.clone()))
            .collect();
        let own = self.own_workers(run);
        for entry in &procfile.entries {
            if own.contains_key(&entry.kind) {
                self.outdone_line(entry.kind.as_str(), own_key(&entry.kind, run), procfile);
            }
        }
        workers.extend(own);
        if let Some(line) = workers.remove("cron") {
            self.cron(&line, procfile);
        }
        self.one_web_kind(&workers, procfile);
        Commands {
            release: self.release(run, &mut workers, procfile),
            before_build: workers.remove("prebuild"),
            after_build: workers.remove("postbuild"),
            static_dir: workers.remove("static"),
            workers,
        }
    }

    fn own_workers(&mut self, run: Option<&Run>) -> BTreeMap<WorkerName, String> {
        let mut own = BTreeMap::new();
        let Some(run) = run else { return own };
        match run.start.as_ref().map(Command::joined) {
            Some(Some(start)) => {
                let web = WorkerName::parse("web").expect("`web` is a worker name");
                own.insert(web, start);
            }
            Some(None) => self.empty("/run/start"),
            None => {}
        }
        for (name, command) in run.workers.iter().flatten() {
            if command.trim().is_empty() {
                self.empty(&format!("/run/workers/{name}"));
                continue;
            }
            if own.insert(name.clone(), command.clone()).is_some() {
                self.outdone("/run/start", "[run.workers] web");
            }
        }
        own
    }

    fn empty(&mut self, pointer: &str) {
        self.note(pointer, "without effect here: there is no command in it");
    }

    /// A line of the Procfile that has no effect, for the spec has something else.
    pub(super) fn outdone_line(&mut self, kind: &str, winner: &str, procfile: &Procfile) {
        if let Some(entry) = procfile.entry(kind) {
            let message = format!("`{kind}` is not run as it stands here: the spec has `{winner}`");
            self.remark(|_| procfile.note(entry, message));
        }
    }

    /// Only one worker can answer requests; the Procfile alone is checked where it is read.
    fn one_web_kind(&mut self, workers: &BTreeMap<WorkerName, String>, procfile: &Procfile) {
        let kinds = WEB_KINDS
            .into_iter()
            .filter(|kind| workers.contains_key(*kind));
        let kinds: Vec<&str> = kinds.collect();
        let [first, second, ..] = kinds.as_slice() else {
            return;
        };
        let at = self.worker_position(second, procfile);
        let what =
            format!("a worker `{second}` beside `{first}`, of which only one can answer requests");
        self.unbuilt.push(Unbuilt { what, at });
    }

    /// `[run] before-run`, else the hooks among the workers.
    fn release(
        &mut self,
        run: Option<&Run>,
        workers: &mut BTreeMap<WorkerName, String>,
        procfile: &Procfile,
    ) -> Vec<String> {
        let before_run = run.and_then(|run| run.before_run.as_ref());
        let before_run = before_run.and_then(Command::joined);
        let hooks: Vec<(&str, String)> = RELEASE_KINDS
            .into_iter()
            .filter_map(|kind| Some((kind, workers.remove(kind)?)))
            .collect();
        let Some(before_run) = before_run else {
            return hooks.into_iter().map(|(_, command)| command).collect();
        };
        for (kind, _) in hooks {
            self.note_ignored(kind, procfile);
        }
        vec![before_run]
    }

    fn note_ignored(&mut self, kind: &str, procfile: &Procfile) {
        let message = format!("`{kind}` is not run, because the spec has `[run] before-run`");
        let pointer = format!("/run/workers/{kind}");
        let entry = procfile.entry(kind);
        match entry.filter(|_| self.tree.value.pointer(&pointer).is_none()) {
            Some(entry) => self.remark(|_| procfile.note(entry, message)),
            None => self.note(&pointer, message),
        }
    }

    fn cron(&mut self, line: &str, procfile: &Procfile) {
        let own = self.tree.value.pointer("/run/workers/cron").is_some();
        if own {
            if let Some((problem, hint)) = moments::line_problem(line) {
                self.error("/run/workers/cron", problem, hint);
            }
        }
        let what = if own {
            "[run.workers] cron"
        } else {
            "the Procfile's `cron`"
        };
        let at = self.worker_position("cron", procfile);
        self.unbuilt.push(Unbuilt {
            what: what.to_owned(),
            at,
        });
    }

    fn worker_position(&self, kind: &str, procfile: &Procfile) -> crate::spec::Position {
        let own = format!("/run/workers/{kind}");
        if self.tree.value.pointer(&own).is_some() {
            return self.position(&own);
        }
        match procfile.entry(kind) {
            Some(entry) => procfile
                .source
                .position(procfile.source.line(entry.line).start),
            None => self.position("/run/start"),
        }
    }

    /// Counts of workers; where the spec names its workers, a count for another one is a slip.
    pub(super) fn scale(
        &mut self,
        scale: BTreeMap<WorkerName, Instances>,
        workers: &BTreeMap<WorkerName, String>,
    ) -> Counts {
        let doubtful = self.in_doubt("/run/workers");
        for name in scale.keys().filter(|_| !doubtful) {
            if workers.is_empty() || workers.contains_key(name) || name.as_str() == "web" {
                continue;
            }
            let hint = did_you_mean(name.as_str(), workers.keys().map(WorkerName::as_str));
            let message = format!("there is no worker `{name}` to scale");
            let pointer = format!("/scale/{name}");
            self.key_error(&pointer, message, hint);
        }
        scale
            .into_iter()
            .map(|(name, count)| (name, count.0))
            .collect()
    }
}

/// The key of the spec that gives a worker its command.
fn own_key(kind: &WorkerName, run: Option<&Run>) -> &'static str {
    let workers = run.and_then(|run| run.workers.as_ref());
    if workers.is_some_and(|workers| workers.contains_key(kind)) {
        "[run.workers]"
    } else {
        "[run] start"
    }
}
