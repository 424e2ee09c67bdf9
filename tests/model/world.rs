//! One walk: an installation, what the commits and faults so far have made of it, and how each action is done.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::action::Action;
use crate::apps::{self, App, Kind};
use crate::clock;
use crate::disk::Disk;
use crate::patrol::Patrol;
use crate::proof::{Ground, Life, Process, Program, Random, Template, last_words};

const SECRET: &str = "a shared secret of a forge";

/// One walk. The fields that a rest needs are told there.
pub(crate) struct World {
    pub(crate) patrol: Patrol,
    pub(crate) life: Option<Life>,
    pub(crate) apps: Vec<App>,
    /// Apps of which requests may fail until the next rest, because they were harmed themselves.
    pub(crate) excused: BTreeSet<&'static str>,
    /// Apps whose processes may be others at the next rest.
    pub(crate) touched: BTreeSet<&'static str>,
    /// How often the proxy was harmed since the last rest. Once, nobody notices.
    pub(crate) harms_of_proxy: usize,
    /// Whether the agent has just lost all that it knew of the past: then it cannot tell a rewritten history.
    pub(crate) is_naive: bool,
    /// What ran at the last rest, by app; the proxy's under its own name.
    pub(crate) processes: BTreeMap<&'static str, BTreeSet<Process>>,
    /// The lines that were left in the guestbook.
    pub(crate) signed: Vec<String>,
    /// Whether the disk was full at some time since the guestbook's last release.
    pub(crate) was_full: bool,
    pub(crate) rests: usize,
    pub(crate) late: usize,
    random: Random,
    edition: u64,
    forge_stopped: bool,
    astray: bool,
    full: bool,
    program: Program,
    builds: usize,
    hooks: SocketAddr,
    way: Vec<String>,
    pub(crate) ground: Ground,
    // Dropped after everything that lies on it has ended.
    disk: Option<Disk>,
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
            harms_of_proxy: 1,
            is_naive: true,
            processes: BTreeMap::new(),
            signed: Vec::new(),
            was_full: false,
            rests: 0,
            late: 0,
            random: Random::new(seed),
            edition: 0,
            forge_stopped: false,
            astray: false,
            full: false,
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

    fn commit_good(&mut self) -> String {
        let index = self.present();
        self.edition += 1;
        let edition = self.edition;
        let app = &mut self.apps[index];
        app.asked = Some(edition);
        app.may_serve.insert(edition);
        let (name, files) = (app.name, app.good(edition));
        self.touched.insert(name);
        self.push(&files, &format!("{name}: edition {edition}"));
        format!("{name} at edition {edition}")
    }

    fn commit_bad(&mut self) -> String {
        let index = self.present();
        let (files, why) = self.apps[index].bad(&mut self.random);
        let app = &mut self.apps[index];
        app.asked = None;
        let name = app.name;
        self.touched.insert(name);
        self.push(&files, &format!("{name}: {why}"));
        format!("{name} with {why}")
    }

    /// An app that the newest commit has; pages more often, because they cost least.
    fn present(&mut self) -> usize {
        loop {
            let index = self.random.below(self.apps.len());
            let app = &self.apps[index];
            if app.is_there && (app.kind == Kind::Page || self.random.below(2) == 0) {
                return index;
            }
        }
    }

    /// A commit on the main line; whatever led astray before is overwritten.
    fn push(&mut self, files: &[(String, String)], message: &str) {
        let files: Vec<_> = files.iter().map(|(n, t)| (&**n, &**t)).collect();
        self.with_forge(|ground| drop(ground.repo.push(&files, message)));
        self.astray = false;
        // The forge tells of it, mostly.
        if self.random.below(3) > 0 {
            self.hook();
        }
    }

    /// Somebody rewrites history: the tip is rewound, or has nothing to do with what was applied.
    fn force_push(&mut self) -> String {
        if self.is_naive {
            return "force-push (left out: the agent knows no past)".to_owned();
        }
        let unrelated = self.random.below(2) == 0;
        self.with_forge(|ground| {
            if unrelated {
                let tree = ground.repo.git(&["rev-parse", "HEAD^{tree}"]);
                ground.repo.push_tree(&tree);
            } else {
                let root = ground.repo.git(&["rev-list", "--max-parents=0", "HEAD"]);
                let to = format!("{root}:refs/heads/main");
                let bare = ground.repo.bare().display().to_string();
                ground.repo.git(&["push", "-q", "--force", &bare, &to]);
            }
        });
        self.astray = true;
        self.hook();
        let how = if unrelated { "unrelated" } else { "rewound" };
        format!("force-push ({how})")
    }

    /// Whoever pushes reaches the forge, even when the agent does not.
    fn with_forge(&mut self, act: impl FnOnce(&Ground)) {
        let stopped = self.forge_stopped;
        if stopped {
            self.start_forge();
        }
        act(&self.ground);
        if stopped {
            self.stop_forge();
        }
    }

    fn hook(&mut self) -> String {
        let body = "{\"ref\":\"refs/heads/main\"}";
        let signature = signature(body);
        let head = format!(
            "POST /hook/repo HTTP/1.1\r\nHost: agent\r\nConnection: close\r\nX-Hop3-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        // Nobody listens while the agent is down; then it looks when it is back.
        let told = std::net::TcpStream::connect(self.hooks).and_then(|mut stream| {
            use std::io::{Read as _, Write as _};
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(head.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)
        });
        format!("hook ({})", if told.is_ok() { "heard" } else { "unheard" })
    }

    fn kill(&mut self) -> String {
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

    fn restart(&mut self) -> String {
        if let Some(life) = self.life.take() {
            let status = life.stop();
            assert!(
                status.success() || self.full,
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
        self.life = Some(if self.full {
            Life::begin(&self.ground, &self.program)
        } else {
            Life::start_as(&self.ground, &self.program)
        });
    }

    fn stop_forge(&mut self) -> String {
        if !self.forge_stopped {
            fs::rename(self.ground.repo.bare(), self.ground.path("gone.git")).unwrap();
            self.forge_stopped = true;
        }
        "forge stopped".to_owned()
    }

    /// Effect: the forge answers.
    pub(crate) fn start_forge(&mut self) {
        if self.forge_stopped {
            fs::rename(self.ground.path("gone.git"), self.ground.repo.bare()).unwrap();
            self.forge_stopped = false;
        }
    }

    /// Effect: the forge has the main line again.
    pub(crate) fn end_astray(&mut self) {
        if self.astray {
            self.with_forge(|ground| drop(ground.repo.push_head()));
            self.astray = false;
        }
    }

    fn fill_disk(&mut self) -> String {
        let Some(disk) = &self.disk else {
            return "disk full (left out)".to_owned();
        };
        disk.fill();
        self.full = true;
        self.was_full = true;
        "disk full".to_owned()
    }

    /// Effect: there is room.
    pub(crate) fn free_disk(&mut self) {
        if let Some(disk) = &self.disk {
            disk.free();
        }
        self.full = false;
    }

    fn jump_clock(&mut self) -> String {
        if !clock::is_there() {
            return "clock (left out)".to_owned();
        }
        let jump = clock::jump(&self.ground.path("clock"), &mut self.random);
        format!("clock {jump}")
    }

    /// Another build, at a path of its own; the one before is gone from the disk while what it started still runs.
    fn upgrade(&mut self) -> String {
        self.builds += 1;
        let path = self.ground.path(&format!("agent-{}", self.builds));
        fs::copy(Program::ordinary().path(), &path).unwrap();
        let former = self.program.path().to_owned();
        self.program = self.program.clone().moved_to(&path);
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

    fn lose_state(&mut self) -> String {
        self.kill();
        let agent = self.ground.data().join("agent");
        let all = self.random.below(2) == 0;
        if all {
            fs::remove_dir_all(agent).unwrap();
            self.is_naive = true;
            self.end_astray();
        } else {
            for name in ["state.db", "state.db-wal", "state.db-shm"] {
                drop(fs::remove_file(agent.join(name)));
            }
        }
        self.start_agent();
        format!(
            "state lost ({})",
            if all { "all of it" } else { "the store" }
        )
    }

    fn remove_app(&mut self) -> String {
        // More than one at once is held for a person.
        if self.apps.iter().any(|app| !app.is_there) {
            return "remove (one is gone already)".to_owned();
        }
        let index = self.present();
        let app = &mut self.apps[index];
        app.is_there = false;
        let name = app.name;
        self.patrol.leave(name);
        self.touched.insert(name);
        self.ground
            .repo
            .git(&["rm", "-rq", &format!("apps/{name}")]);
        self.push(&[], &format!("without {name}"));
        format!("without {name}")
    }

    fn add_app_back(&mut self) -> String {
        let Some(index) = self.apps.iter().position(|app| !app.is_there) else {
            return "add back (none is gone)".to_owned();
        };
        self.edition += 1;
        let edition = self.edition;
        let app = &mut self.apps[index];
        app.is_there = true;
        app.asked = Some(edition);
        app.may_serve.insert(edition);
        let (name, files) = (app.name, app.good(edition));
        self.touched.insert(name);
        let commit = "log --diff-filter=D --format=%H -n1 --";
        let directory = format!("apps/{name}");
        let words: Vec<&str> = commit.split(' ').chain([&*directory]).collect();
        let gone_in = self.ground.repo.git(&words);
        let former = format!("{gone_in}~1");
        self.ground
            .repo
            .git(&["checkout", "-q", &former, "--", &directory]);
        self.push(&files, &format!("{name} again"));
        format!("{name} again at edition {edition}")
    }

    /// Somebody or something lays hands on the host.
    fn drift(&mut self) -> String {
        match self.random.below(7) {
            0 | 1 => self.kill_one_of_an_app(),
            2 => self.kill_proxy("internal-proxy-worker"),
            3 => self.kill_proxy("internal-proxy"),
            4 => self.harm_file("sites/builtin/config.json", true),
            5 => self.harm_file("sites/builtin/config.json", false),
            _ => self.remove_stamp(),
        }
    }

    fn kill_one_of_an_app(&mut self) -> String {
        let name = *self.random.one_of(&["echo", "guestbook"]);
        let processes: Vec<Process> = self.ground.processes_of(name).into_iter().collect();
        if processes.is_empty() {
            return format!("drift (nothing of {name} runs)");
        }
        let process = self.random.one_of(&processes).clone();
        process.kill();
        self.excused.insert(name);
        self.touched.insert(name);
        format!("drift (killed `{}` of {name})", process.command.trim_end())
    }

    /// Nobody notices: the sockets outlive the one, and the other is replaced.
    fn kill_proxy(&mut self, helper: &str) -> String {
        let proxies = self.ground.proxies();
        let Some(process) = proxies.iter().find(|process| process.is_helper(helper)) else {
            return "drift (no proxy runs)".to_owned();
        };
        process.kill();
        self.harm_proxy();
        format!("drift (killed {helper})")
    }

    fn harm_proxy(&mut self) {
        self.harms_of_proxy += 1;
        if self.harms_of_proxy > 1 {
            self.excused.extend(self.apps.iter().map(|app| app.name));
        }
    }

    fn harm_file(&mut self, name: &str, remove: bool) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.ground.data().join(name);
        let harmed = if remove {
            fs::remove_file(path)
        } else {
            fs::set_permissions(path, fs::Permissions::from_mode(0))
        };
        self.harm_proxy();
        // Before the first apply there is none.
        let how = if remove { "removed" } else { "chmod 0" };
        format!("drift ({how} {name}: {})", harmed.is_ok())
    }

    fn remove_stamp(&mut self) -> String {
        let index = self.present();
        let name = self.apps[index].name;
        let removed = fs::remove_file(self.ground.app(name).join("state/site.json"));
        format!(
            "drift (removed the site's stamp of {name}: {})",
            removed.is_ok()
        )
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

fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let digits = mac.finalize().into_bytes();
    digits.iter().fold("sha256=".to_owned(), |text, byte| {
        format!("{text}{byte:02x}")
    })
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
