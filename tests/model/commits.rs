//! What people do: commits, good and bad, rewritten histories, and a forge that tells of them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::apps::Kind;
use crate::proof::Ground;
use crate::world::{SECRET, Trouble, World};

impl World {
    pub(crate) fn commit_good(&mut self) -> String {
        let index = self.present();
        self.edition += 1;
        let edition = self.edition;
        let app = &mut self.apps[index];
        app.asked = Some(edition);
        app.may_serve.insert(edition);
        let (name, files) = (app.name, app.good(edition));
        self.note_commit(name);
        self.push(&files, &format!("{name}: edition {edition}"));
        format!("{name} at edition {edition}")
    }

    pub(crate) fn commit_bad(&mut self) -> String {
        let index = self.present();
        let (files, why) = self.apps[index].bad(&mut self.random);
        let app = &mut self.apps[index];
        app.asked = None;
        let name = app.name;
        self.note_commit(name);
        self.push(&files, &format!("{name}: {why}"));
        format!("{name} with {why}")
    }

    fn note_commit(&mut self, app: &'static str) {
        self.committed.insert(app);
        self.touched.insert(app);
    }

    /// An app that the newest commit has; pages more often, because they cost least.
    pub(crate) fn present(&mut self) -> usize {
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
        self.troubles.remove(&Trouble::Astray);
        // The forge tells of it, mostly.
        if self.random.below(3) > 0 {
            self.hook();
        }
    }

    /// Somebody rewrites history: the tip is rewound, or has nothing to do with what was applied.
    pub(crate) fn force_push(&mut self) -> String {
        if self.has(Trouble::Naive) {
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
        self.troubles.insert(Trouble::Astray);
        self.hook();
        let how = if unrelated { "unrelated" } else { "rewound" };
        format!("force-push ({how})")
    }

    /// Whoever pushes reaches the forge, even when the agent does not.
    pub(crate) fn with_forge(&mut self, act: impl FnOnce(&Ground)) {
        let stopped = self.has(Trouble::ForgeStopped);
        if stopped {
            self.start_forge();
        }
        act(&self.ground);
        if stopped {
            self.stop_forge();
        }
    }

    pub(crate) fn hook(&mut self) -> String {
        let body = "{\"ref\":\"refs/heads/main\"}";
        let signature = signature(body);
        let head = format!(
            "POST /hook/repo HTTP/1.1\r\nHost: agent\r\nConnection: close\r\nX-Hop3-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        // Nobody listens while the agent is down; then it looks when it is back.
        let told = TcpStream::connect(self.hooks).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(head.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)
        });
        format!("hook ({})", if told.is_ok() { "heard" } else { "unheard" })
    }

    pub(crate) fn remove_app(&mut self) -> String {
        // More than one at once is held for a person.
        if self.apps.iter().any(|app| !app.is_there) {
            return "remove (one is gone already)".to_owned();
        }
        let index = self.present();
        let app = &mut self.apps[index];
        app.is_there = false;
        let name = app.name;
        self.patrol.leave(name);
        self.note_commit(name);
        self.ground
            .repo
            .git(&["rm", "-rq", &format!("apps/{name}")]);
        self.push(&[], &format!("without {name}"));
        format!("without {name}")
    }

    pub(crate) fn add_app_back(&mut self) -> String {
        let Some(index) = self.apps.iter().position(|app| !app.is_there) else {
            return "add back (none is gone)".to_owned();
        };
        self.edition += 1;
        let edition = self.edition;
        let app = &mut self.apps[index];
        app.is_there = true;
        app.has_run = false;
        app.asked = Some(edition);
        app.may_serve.insert(edition);
        let (name, files) = (app.name, app.good(edition));
        self.note_commit(name);
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

    /// Effect: the forge has the main line again.
    pub(crate) fn end_astray(&mut self) {
        if self.has(Trouble::Astray) {
            self.with_forge(|ground| drop(ground.repo.push_head()));
            self.troubles.remove(&Trouble::Astray);
        }
    }
}

fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let digits = mac.finalize().into_bytes();
    digits.iter().fold("sha256=".to_owned(), |text, byte| {
        format!("{text}{byte:02x}")
    })
}
