//! What fate does: full disks, a forge that is gone, a clock that jumps, a lost state, and hands laid on the host.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::clock;
use crate::proof::Process;
use crate::world::{Trouble, World};

/// A release that ends three times within ten minutes is one that does not stay up, whoever ends it; the agent's clock may stand still.
const MOST_DEATHS: usize = 2;

impl World {
    pub(crate) fn stop_forge(&mut self) -> String {
        if !self.has(Trouble::ForgeStopped) {
            fs::rename(self.ground.repo.bare(), self.ground.path("gone.git")).unwrap();
            self.troubles.insert(Trouble::ForgeStopped);
        }
        "forge stopped".to_owned()
    }

    /// Effect: the forge answers.
    pub(crate) fn start_forge(&mut self) {
        if self.has(Trouble::ForgeStopped) {
            fs::rename(self.ground.path("gone.git"), self.ground.repo.bare()).unwrap();
            self.troubles.remove(&Trouble::ForgeStopped);
        }
    }

    pub(crate) fn fill_disk(&mut self) -> String {
        let Some(disk) = &self.disk else {
            return "disk full (left out)".to_owned();
        };
        disk.fill();
        self.troubles
            .extend([Trouble::DiskFull, Trouble::DiskWasFull]);
        "disk full".to_owned()
    }

    /// Effect: there is room.
    pub(crate) fn free_disk(&mut self) {
        if let Some(disk) = &self.disk {
            disk.free();
        }
        self.troubles.remove(&Trouble::DiskFull);
    }

    pub(crate) fn jump_clock(&mut self) -> String {
        if !clock::is_there() {
            return "clock (left out)".to_owned();
        }
        let jump = clock::jump(&self.ground.path("clock"), &mut self.random);
        format!("clock {jump}")
    }

    pub(crate) fn lose_state(&mut self) -> String {
        self.kill();
        let agent = self.ground.data().join("agent");
        let all = self.random.below(2) == 0;
        if all {
            remove_all(&agent);
            self.troubles.insert(Trouble::Naive);
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

    /// Somebody or something lays hands on the host.
    pub(crate) fn drift(&mut self) -> String {
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
        let deaths = self.deaths.entry(name).or_default();
        if *deaths >= MOST_DEATHS {
            return format!("drift (left out: {name} has died often enough)");
        }
        *deaths += 1;
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
        let path = self.ground.data().join(name);
        let harmed = if remove {
            fs::remove_file(path)
        } else {
            fs::set_permissions(path, fs::Permissions::from_mode(0o0))
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
}

/// Effect: no such directory is there. An agent that has only waited for room since the last loss has made none, and what outlives a killed one
/// may write into it for a moment.
fn remove_all(directory: &Path) {
    loop {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            done => return done.unwrap(),
        }
    }
}
