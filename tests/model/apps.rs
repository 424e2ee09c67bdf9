//! The apps of a walk: what a good commit of each is like, and in which ways a bad one is bad.

use std::collections::BTreeSet;

use crate::proof::Random;

/// One of the example's apps, or a tiny page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Guestbook,
    Echo,
    Page,
}

/// An app as the commits have left it.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether the newest commit has it.
    pub(crate) is_there: bool,
    /// The edition that the newest commit asks for; `None` when that commit is bad.
    pub(crate) asked: Option<u64>,
    /// Whether it was seen to run since it came (back): one that was bad before it ever ran has nothing to go on with.
    pub(crate) has_run: bool,
    /// Editions that may serve now: the last known one, and good ones that were asked for since.
    pub(crate) may_serve: BTreeSet<u64>,
}

const ECHO: &str = include_str!("../../examples/gitops-repo/apps/echo/hop3.toml");
const GUESTBOOK: &str = include_str!("../../examples/gitops-repo/apps/guestbook/hop3.toml");

/// All of them, at edition 0.
pub(crate) fn all() -> Vec<App> {
    let app = |(name, kind)| App {
        name,
        kind,
        is_there: true,
        asked: Some(0),
        has_run: false,
        may_serve: BTreeSet::from([0]),
    };
    let apps = [
        ("alpha", Kind::Page),
        ("beta", Kind::Page),
        ("echo", Kind::Echo),
        ("guestbook", Kind::Guestbook),
        ("site", Kind::Page),
    ];
    apps.map(app).into()
}

impl App {
    /// What must be committed for an edition, by path.
    pub(crate) fn good(&self, edition: u64) -> Vec<(String, String)> {
        let edition = format!("edition-{edition}");
        let spec = self.spec();
        let (file, text) = match self.kind {
            Kind::Guestbook => ("VERSION", edition.clone()),
            Kind::Echo => ("EDITION", edition.clone()),
            Kind::Page => ("public/index.html", format!("<title>{edition}</title>")),
        };
        let spec = spec.replace("you asked for", &format!("you asked {edition} for"));
        vec![(self.path("hop3.toml"), spec), (self.path(file), text)]
    }

    fn spec(&self) -> String {
        match self.kind {
            Kind::Guestbook => GUESTBOOK.to_owned(),
            Kind::Echo => ECHO.to_owned(),
            Kind::Page => format!(
                "[build]\nstatic-dir = \"public\"\n\n[domains]\nlist = [\"{}.localhost\"]\n",
                self.name
            ),
        }
    }

    /// What must be committed for one that cannot go live, and why it cannot.
    pub(crate) fn bad(&self, random: &mut Random) -> (Vec<(String, String)>, &'static str) {
        let spec = self.spec();
        let build = |line: &str| spec.replacen("[build]\n", &format!("[build]\n{line}\n"), 1);
        let mut ways = vec![
            (format!("{spec}\n[run\n"), "no TOML"),
            (
                format!("{spec}\n[healthchek]\npath = \"/\"\n"),
                "an unknown section",
            ),
            (build("tolchain = \"generic\""), "an unknown key"),
            (build("before-build = \"exit 7\""), "a build that fails"),
        ];
        if self.kind == Kind::Echo {
            let gone = spec.replace("exec sh run.sh", "exit 3");
            ways.push((gone, "an end at once"));
        }
        let (text, why) = random.one_of(&ways).clone();
        (vec![(self.path("hop3.toml"), text)], why)
    }

    fn path(&self, file: &str) -> String {
        format!("apps/{}/{file}", self.name)
    }

    /// Where its edition is told.
    pub(crate) fn asks(&self) -> &'static str {
        if self.kind == Kind::Guestbook {
            "/health"
        } else {
            "/"
        }
    }

    /// Its instances.
    pub(crate) fn instances(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Guestbook => &["web.0", "worker.0"],
            Kind::Echo => &["clock.0", "web.0"],
            Kind::Page => &[],
        }
    }
}
