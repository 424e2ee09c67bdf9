//! A release command runs once, whatever dies beside it; when it dies itself, `on-interrupt` decides.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::proof::deployed::one_life;
use crate::proof::{Expectation, Ground, Life, Template, row};

/// Its release command says that it began, and ends when it is let.
const SPEC: &str = "[build]\ntoolchain = \"generic\"\n\n[run]\nstart = \"exec python3 -m http.server --bind $BIND_ADDRESS $PORT\"\n\
     before-run = \"echo $HOP3_RELEASE >> $HOME/began; while [ ! -e $HOME/go ]; do sleep 0.02; done; echo $HOP3_RELEASE >> $HOME/ended\"\n\n\
     [domains]\nlist = [\"careful.localhost\"]\n";

/// An installation whose first release serves, and whose second one is in the middle of its release command.
struct Amid {
    ground: Ground,
    life: Life,
}

impl Amid {
    fn new(policy: &str) -> Self {
        let spec = format!("{SPEC}\n[deploy]\non-interrupt = \"{policy}\"\n");
        let files = [
            ("apps/careful/hop3.toml", &*spec),
            ("apps/careful/index.html", "edition-0"),
        ];
        let ground = Template::of_files(&files).ground();
        let home = ground.app("careful").join("data");
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join("go"), "").unwrap();
        assert_eq!(one_life(&ground, &serving(0)), Vec::<String>::new());
        fs::remove_file(home.join("go")).unwrap();
        ground
            .repo
            .push(&[("apps/careful/index.html", "edition-1")], "edition-1");
        let life = Life::start(&ground);
        let amid = Self { ground, life };
        amid.until_begun(2);
        amid
    }

    fn lines(&self, name: &str) -> usize {
        let path = self.ground.app("careful").join("data").join(name);
        fs::read_to_string(path).unwrap_or_default().lines().count()
    }

    fn until_begun(&self, times: usize) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while self.lines("began") < times {
            assert!(Instant::now() < deadline, "the command did not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn let_go(&self) {
        fs::write(self.ground.app("careful").join("data/go"), "").unwrap();
    }

    /// Effect: `kill -9` of the agent, then of everything that it had running.
    fn lose_power_over_the_command(self) -> Ground {
        self.life.kill();
        let processes = self.ground.processes();
        let is_at_work =
            |command: &str| command.contains("began") || command.contains(" internal-task ");
        let at_work: Vec<_> = processes
            .iter()
            .filter(|it| is_at_work(&it.command))
            .collect();
        assert!(at_work.len() >= 2, "{processes:#?}");
        for process in &at_work {
            process.kill();
        }
        while at_work.iter().any(|process| process.lives()) {
            std::thread::yield_now();
        }
        self.ground
    }
}

fn serving(edition: u32) -> Expectation {
    Expectation::default().with("careful", ("/", &format!("edition-{edition}")), &["web.0"])
}

#[test]
fn f01_a_release_command_outlives_its_agent_and_is_not_run_again() {
    let amid = Amid::new("retry");
    let Amid { ground, life } = amid;
    life.kill();
    let amid = Amid {
        life: Life::start(&ground),
        ground,
    };
    amid.let_go();
    amid.life.settled().unwrap();
    assert_eq!(
        (amid.lines("began"), amid.lines("ended")),
        (2, 2),
        "one for each release"
    );
    let Amid { ground, life } = amid;
    assert!(life.stop().success());
    assert_eq!(one_life(&ground, &serving(1)), Vec::<String>::new());
    row(
        "F01 (release command outlives its agent)",
        &[(1, "points"), (1, "converged")],
        None,
    );
}

#[test]
fn f01_an_interrupted_release_command_is_run_again_where_that_is_allowed() {
    let ground = Amid::new("retry").lose_power_over_the_command();
    let amid = Amid {
        life: Life::start(&ground),
        ground,
    };
    amid.until_begun(3);
    amid.let_go();
    amid.life.settled().unwrap();
    assert_eq!((amid.lines("began"), amid.lines("ended")), (3, 2));
    let Amid { ground, life } = amid;
    assert!(life.stop().success());
    assert_eq!(one_life(&ground, &serving(1)), Vec::<String>::new());
    row(
        "F01 (interrupted release command, retry)",
        &[(1, "points"), (1, "converged")],
        None,
    );
}

#[test]
fn f01_an_interrupted_release_command_holds_its_release_where_that_is_asked_for() {
    let ground = Amid::new("hold").lose_power_over_the_command();
    let amid = Amid {
        life: Life::start(&ground),
        ground,
    };
    amid.let_go();
    let status = amid.life.settled().unwrap();
    assert_eq!(amid.lines("began"), 2, "it was run again");
    assert!(words(&status).contains("was interrupted"), "{status:#}");
    let answer = amid.ground.visitor("careful").ask("/").unwrap();
    assert!(
        answer.contains("edition-0"),
        "the release before serves: {answer}"
    );

    // A commit that asks for another release lets it run.
    amid.ground
        .repo
        .push(&[("apps/careful/index.html", "edition-2")], "edition-2");
    amid.life.settled().unwrap();
    assert_eq!((amid.lines("began"), amid.lines("ended")), (3, 2));
    let Amid { ground, life } = amid;
    assert!(life.stop().success());
    assert_eq!(one_life(&ground, &serving(2)), Vec::<String>::new());
    row(
        "F01 (interrupted release command, hold)",
        &[(1, "points"), (1, "converged")],
        None,
    );
}

/// What a person is told of the only app.
fn words(status: &Value) -> String {
    status["apps"][0].to_string()
}
