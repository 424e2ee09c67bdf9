//! An installation on which the example runs, beside an app that no commit touches; and what must hold after each life on it.

use std::collections::BTreeSet;

use super::ground::{Ground, Template};
use super::life::{Life, Program};
use super::oracle::{self, Expectation, Report};
use super::process::Process;
use super::visitor::Stream;

/// The app that no commit touches, and nobody may.
pub(crate) const BYSTANDER: &str = "bystander";
const BYSTANDER_SPEC: &str = "[build]\ntoolchain = \"generic\"\n\n[run]\nstart = \"exec python3 echo.py\"\n\n\
     [env]\nECHO_PREFIX = \"still here\"\n\n[domains]\nlist = [\"bystander.localhost\"]\n";

/// Three apps that a commit can change, and one that none does.
pub(crate) fn template() -> Template {
    let echo = include_str!("../../../examples/gitops-repo/apps/echo/echo.py");
    Template::of_example(&[
        ("apps/bystander/hop3.toml", BYSTANDER_SPEC),
        ("apps/bystander/echo.py", echo),
    ])
}

/// What the first commit asks for.
pub(crate) fn first_commit() -> Expectation {
    Expectation::of_example().with(BYSTANDER, ("/", "still here"), &["web.0"])
}

/// What became of the guestbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guestbook {
    AsCommitted,
    Removed,
    /// A person returned it to this edition.
    Returned(u64),
}

/// A deployed installation: commits with their numbers, what was written into its database, and who must still be there.
pub(crate) struct Deployed {
    pub(crate) ground: Ground,
    edition: u64,
    signed: Vec<String>,
    migrated: u32,
    /// How many release commands were cut short themselves, and so may have run once more.
    interrupted: u32,
    guestbook: Guestbook,
    untouched: BTreeSet<Process>,
}

impl Deployed {
    /// An installation whose first apply nothing disturbed.
    pub(crate) fn new(template: &Template) -> Self {
        let ground = template.ground();
        let complaints = one_life(&ground, &first_commit());
        assert!(complaints.is_empty(), "{complaints:#?}");
        let untouched = ground.processes_of(BYSTANDER);
        assert_eq!(untouched.len(), 2, "{untouched:#?}");
        Self {
            ground,
            edition: 0,
            signed: Vec::new(),
            migrated: 1,
            interrupted: 0,
            guestbook: Guestbook::AsCommitted,
            untouched,
        }
    }

    /// Effect: commits another edition of all three apps: one is built and runs its release command, one is restarted, one is files.
    pub(crate) fn publish(&mut self) {
        self.edition += 1;
        self.migrated += 1;
        self.guestbook = Guestbook::AsCommitted;
        let line = format!("before edition {}", self.edition);
        self.ground.visitor("guestbook").sign(&line).unwrap();
        self.signed.push(format!("ada: {line}"));
        let echo = include_str!("../../../examples/gitops-repo/apps/echo/hop3.toml");
        let edition = format!("edition-{}", self.edition);
        let page = format!("<!doctype html><title>This page is {edition}</title>");
        self.ground.repo.push(
            &[
                ("apps/guestbook/VERSION", &edition),
                (
                    "apps/echo/hop3.toml",
                    &echo.replace("you asked for", &format!("you asked {edition} for")),
                ),
                ("apps/site/public/index.html", &page),
            ],
            &edition,
        );
    }

    /// Effect: a commit without the guestbook.
    pub(crate) fn remove_guestbook(&mut self) {
        self.ground.repo.git(&["rm", "-rq", "apps/guestbook"]);
        self.ground.repo.push(&[], "Without the guestbook");
        self.guestbook = Guestbook::Removed;
    }

    /// Effect: a commit with the guestbook as it was before.
    pub(crate) fn bring_guestbook_back(&mut self) {
        let former = ["checkout", "-q", "HEAD~1", "--", "apps/guestbook"];
        self.ground.repo.git(&former);
        self.ground.repo.push(&[], "With the guestbook again");
        self.guestbook = Guestbook::AsCommitted;
        self.migrated += 1;
    }

    /// A person has returned the guestbook to the edition before.
    pub(crate) fn note_rollback(&mut self) {
        self.guestbook = Guestbook::Returned(self.edition - 1);
    }

    /// Release commands were cut short themselves.
    pub(crate) fn note_interrupted(&mut self, count: u32) {
        self.interrupted += count;
    }

    /// What the newest commit and the last person ask for.
    pub(crate) fn expected(&self) -> Expectation {
        let mut expected = first_commit();
        for (app, wanted) in &mut expected.apps {
            if app != BYSTANDER && self.edition > 0 {
                wanted.contains = format!("edition-{}", self.edition);
            }
        }
        match self.guestbook {
            Guestbook::AsCommitted => {}
            Guestbook::Removed => drop(expected.apps.remove("guestbook")),
            Guestbook::Returned(edition) => {
                let wanted = expected.apps.get_mut("guestbook").unwrap();
                wanted.contains = format!("edition-{edition}");
                wanted.as_asked = false;
            }
        }
        expected
    }

    /// Visitors of every app, the untouched one's included.
    pub(crate) fn visitors(&self) -> Vec<(&'static str, Stream)> {
        self.visitors_of(&["guestbook", "echo", "site", BYSTANDER])
    }

    /// Visitors of these apps.
    pub(crate) fn visitors_of(&self, apps: &[&'static str]) -> Vec<(&'static str, Stream)> {
        let path = |app: &str| if app == "guestbook" { "/health" } else { "/" };
        let ask = |app: &&'static str| (*app, self.ground.visitor(app).keep_asking(path(app)));
        apps.iter().map(ask).collect()
    }

    /// The lives of agents without faults, and everything that must hold then and must have held meanwhile.
    pub(crate) fn recover(&self, visitors: Vec<(&'static str, Stream)>) -> Vec<String> {
        let mut found = one_life(&self.ground, &self.expected());
        for (app, stream) in visitors {
            let invariant = if app == BYSTANDER { "I2" } else { "I3" };
            found.extend(stream.end().complaints(invariant));
        }
        found.extend(self.kept());
        found
    }

    /// I2, I4 and the release commands: what stays whatever happens.
    pub(crate) fn kept(&self) -> Vec<String> {
        let mut found = Vec::new();
        let untouched = self.ground.processes_of(BYSTANDER);
        if untouched != self.untouched {
            found.push(format!(
                "I2 processes of the untouched app were replaced: {:#?} are now {untouched:#?}",
                self.untouched
            ));
        }
        let entries = oracle::entries(&self.ground);
        if entries != self.signed {
            found.push(format!(
                "I4 visitors left {:?}, and there is {entries:?}",
                self.signed
            ));
        }
        found.extend(migrated(&self.ground, self.migrated, self.interrupted));
        found
    }
}

/// Every edition's release command ran once.
pub(crate) fn migrated(ground: &Ground, editions: u32, interrupted: u32) -> Option<String> {
    let migrations = oracle::migrations(ground);
    let total: u32 = migrations.values().sum();
    let wrong = total < editions || total > editions + interrupted;
    wrong.then(|| {
        format!("of {editions} editions the release commands ran {total} times: {migrations:?}")
    })
}

/// A life of the product that looks once and is stopped in good order; what is wrong when it has come to rest. Two cycles are allowed.
pub(crate) fn one_life(ground: &Ground, expected: &Expectation) -> Vec<String> {
    let life = Life::start_as(ground, &Program::ordinary());
    let mut found = rest(ground, &life, expected);
    if !found.is_empty() {
        println!("a second cycle after: {}", found.join("; "));
        expected.apps.keys().for_each(|app| life.resume(app));
        found = rest(ground, &life, expected);
    }
    if found.is_empty() {
        found = oracle::still(ground, &life);
    }
    let status = life.stop();
    if !status.success() {
        found.push(format!("the agent ended with {status}"));
    }
    found
}

fn rest(ground: &Ground, life: &Life, expected: &Expectation) -> Vec<String> {
    match life.settled().and_then(|_| Report::of(life, ground)) {
        Ok(report) => oracle::complaints(ground, &report, expected),
        Err(why) => vec![format!("I1 {why}")],
    }
}
