//! One walk: an installation, what commits and faults have made of it so far, and the agent on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use crate::action::Action;
use crate::apps::{self, App};
use crate::clock;
use crate::disk::Disk;
use crate::patrol::Patrol;
use crate::proof::{Ground, Life, Program, Random, Template, last_words};

/// What the forge signs with.
pub(crate) const SECRET: &str = "a shared secret of a forge";

/// One walk. The fields that a rest needs are told there.
pub(crate) struct World {
    pub(crate) patrol: Patrol,
    pub(crate) life: Option<Life>,
    pub(crate) apps: Vec<App>,
    /// Apps of which requests may fail until the next rest, because they were harmed themselves.
    pub(crate) excused: BTreeSet<&'static str>,
    /// Apps whose processes may be others at the next rest.
    pub(crate) touched: BTreeSet<&'static str>,
    /// How often something of an app was killed in this walk.
    pub(crate) deaths: BTreeMap<&'static str, usize>,
    /// Apps that a commit has touched since the last rest.
    pub(crate) committed: BTreeSet<&'static str>,
    /// How often the proxy was harmed since the last rest. Once, nobody notices.
    pub(crate) harms_of_proxy: usize,
    /// What served at the last rest, by app, each by its number and start time; the proxy's under its own name.
    pub(crate) processes: BTreeMap<&'static str, BTreeSet<(u64, u64)>>,
    /// The lines that were left in the guestbook.
    pub(crate) signed: Vec<String>,
    pub(crate) rests: usize,
    pub(crate) late: usize,
    pub(crate) troubles: BTreeSet<Trouble>,
    pub(crate) random: Random,
    pub(crate) edition: u64,
    pub(crate) hooks: SocketAddr,
    pub(crate) disk: Option<Disk>,
    program: Program,
    builds: usize,
    way: Vec<String>,
    pub(crate) ground: Ground,
}

/// What lasts until a rest ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    ForgeStopped,
    /// The forge has another line than the one that was applied.
    Astray,
    DiskFull,
    /// The disk was full at some time of the walk: a release command that it ended may have done its work before.
    DiskWasFull,
    /// The agent has just lost all that it knew of the past: then it cannot tell a rewritten history.
    Naive,
}

impl World {
    /// An installation on which nothing is applied yet, and an agent that looks often.
    pub(crate) fn new(seed: u64) -> Self {
        let ground = template().ground();
        let disk = Disk::mount(&ground.data());
        let hooks = free_address();
        fs::write(ground.path("hook-secret"), SECRET).unwrap();
        ground.configure(|text| {
            let text = text
                .replace("listen = \"\"", &format!("listen = \"{hooks}\""))
                .replace("poll = \"1h\"", "poll = \"5s\"")
                .replace("interval = \"1h\"", "interval = \"1s\"");
            format!(
                "{text}\n[plugin.docker]\nenabled = false\n\n[repo.webhook]\nprovider = \"generic\"\nsecret-file = \"{}\"\n",
                ground.path("hook-secret").display()
            )
        });
        clock::right(&ground.path("clock"));
        let program = clock::faked(Program::ordinary(), &ground.path("clock"));
        Self {
            patrol: Patrol::begin(),
            life: None,
            apps: apps::all(),
            excused: BTreeSet::new(),
            touched: apps::all().into_iter().map(|app| app.name).collect(),
            deaths: BTreeMap::new(),
            committed: BTreeSet::new(),
            harms_of_proxy: 1,
            processes: BTreeMap::new(),
            signed: Vec::new(),
            rests: 0,
            late: 0,
            troubles: BTreeSet::from([Trouble::Naive]),
            random: Random::new(seed),
            edition: 0,
            program,
            builds: 0,
            hooks,
            way: Vec::new(),
            ground,
            disk,
        }
    }

    /// Walks; what was wrong at the first rest at which something was.
    pub(crate) fn walk(&mut self, steps: usize) -> Vec<String> {
        let complaints = self.rest();
        if !complaints.is_empty() {
            return complaints;
        }
        for step in 1..=steps {
            let action = Action::draw(&mut self.random);
            self.act(action);
            if step == steps || self.random.below(3) == 0 {
                let complaints = self.rest();
                if !complaints.is_empty() {
                    return complaints;
                }
            }
        }
        Vec::new()
    }

    /// Whether something lasts.
    pub(crate) fn has(&self, trouble: Trouble) -> bool {
        self.troubles.contains(&trouble)
    }

    /// How many actions were done.
    pub(crate) fn actions(&self) -> usize {
        let is_action = |word: &&String| *word != "rest" && !word.starts_with('(');
        self.way.iter().filter(is_action).count()
    }

    /// How often everything was looked at.
    pub(crate) fn rests(&self) -> usize {
        self.rests
    }

    /// How often that needed a person's word.
    pub(crate) fn late(&self) -> usize {
        self.late
    }

    /// The actions in words.
    pub(crate) fn way(&self) -> String {
        self.way.join(", ")
    }

    /// The end of the agent's log.
    pub(crate) fn last_words(&self) -> String {
        last_words(&self.ground)
    }

    pub(crate) fn note(&mut self, word: impl Into<String>) {
        self.way.push(word.into());
    }

    fn act(&mut self, action: Action) {
        let word = match action {
            Action::CommitGood => self.commit_good(),
            Action::CommitBad => self.commit_bad(),
            Action::ForcePush => self.force_push(),
            Action::Hook => self.hook(),
            Action::Kill => self.kill(),
            Action::Restart => self.restart(),
            Action::StopForge => self.stop_forge(),
            Action::FillDisk => self.fill_disk(),
            Action::Drift => self.drift(),
            Action::JumpClock => self.jump_clock(),
            Action::Upgrade => self.upgrade(),
            Action::LoseState => self.lose_state(),
            Action::RemoveApp => self.remove_app(),
            Action::AddAppBack => self.add_app_back(),
        };
        self.note(word);
    }

    pub(crate) fn kill(&mut self) -> String {
        let pause = self.random.below(200);
        // Into the middle of whatever the last action began.
        std::thread::sleep(Duration::from_millis(u64::try_from(pause).unwrap()));
        self.life.take().map_or_else(
            || "kill (it is down)".to_owned(),
            |life| {
                life.kill();
                "kill".to_owned()
            },
        )
    }

    pub(crate) fn restart(&mut self) -> String {
        if let Some(life) = self.life.take() {
            let status = life.stop();
            assert!(
                status.success() || self.has(Trouble::DiskFull),
                "the agent was stopped and ended with {status}"
            );
        }
        self.start_agent();
        "restart".to_owned()
    }

    /// Effect: the agent runs; on a full disk it waits to start.
    pub(crate) fn start_agent(&mut self) {
        if self.life.is_some() {
            return;
        }
        self.life = Some(if self.has(Trouble::DiskFull) {
            Life::begin(&self.ground, &self.program)
        } else {
            Life::start_as(&self.ground, &self.program)
        });
    }

    /// Another build, at a path of its own; the one before is gone from the disk while what it started still runs.
    pub(crate) fn upgrade(&mut self) -> String {
        self.builds += 1;
        let path = self.ground.path(&format!("agent-{}", self.builds));
        let former = self.program.path().to_owned();
        self.program = self.program.clone().copied_to(&path);
        let killed = self.random.below(2) == 0;
        if killed {
            self.kill();
        } else if let Some(life) = self.life.take() {
            life.stop();
        }
        self.start_agent();
        if former.starts_with(self.ground.root()) {
            fs::remove_file(former).unwrap();
        }
        format!("upgrade{}", if killed { " after a kill" } else { "" })
    }

    /// A path in the walk's directory.
    pub(crate) fn clock(&self) -> PathBuf {
        self.ground.path("clock")
    }
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let files: Vec<_> = apps::all().iter().flat_map(|app| app.good(0)).collect();
        let files: Vec<_> = files.iter().map(|(n, t)| (&**n, &**t)).collect();
        Template::of_example(&files)
    })
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Whatever runs on the disk ends before it goes.
impl Drop for World {
    fn drop(&mut self) {
        self.life = None;
        self.ground.end();
        self.disk = None;
    }
}
