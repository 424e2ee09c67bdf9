//! What runs: `[run]` over the Procfile, hooks apart from workers, counts.

use std::collections::BTreeMap;

use hop3_plugin_api::{Counts, WorkerName};

use super::Draft;
use crate::spec::procfile::Procfile;
use crate::spec::sections::{Command, Run};
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
        workers.extend(self.own_workers(run));
        if workers.remove("cron").is_some() {
            self.unbuilt_cron(procfile);
        }
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
        if let Some(start) = run.start.as_ref().and_then(Command::joined) {
            own.insert(
                WorkerName::parse("web").expect("`web` is a worker name"),
                start,
            );
        }
        for (name, command) in run.workers.iter().flatten() {
            if own.contains_key(name) {
                self.note("/run/start", "`[run.workers] web` stands too and wins");
            }
            own.insert(name.clone(), command.clone());
        }
        own.retain(|_, command| !command.trim().is_empty());
        own
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
            Some(entry) => self.found.push(procfile.note(entry, message)),
            None => self.note(&pointer, message),
        }
    }

    fn unbuilt_cron(&mut self, procfile: &Procfile) {
        let own = self.tree.value.pointer("/run/workers/cron").is_some();
        let entry = procfile.entry("cron").filter(|_| !own);
        match entry {
            Some(entry) => {
                let at = procfile
                    .source
                    .position(procfile.source.line(entry.line).start);
                self.unbuilt.push(crate::spec::app::Unbuilt {
                    what: "the Procfile's `cron`".to_owned(),
                    at,
                });
            }
            None => self.unbuilt("/run/workers/cron", "[run.workers] cron"),
        }
    }

    /// Counts of workers; where the spec names its workers, a count for another one is a slip.
    pub(super) fn scale(
        &mut self,
        scale: Counts,
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
            self.found
                .push(self.tree.key_error(&pointer, message).hint(hint));
        }
        scale
    }
}
