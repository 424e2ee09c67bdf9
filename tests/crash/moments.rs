//! SIGKILL at random moments: of the agent, or of a program that it runs.

use std::fmt;
use std::time::{Duration, Instant};

use crate::proof::deployed::{Deployed, template};
use crate::proof::effects::{Sweep, Verdict};
use crate::proof::{Ground, Life, Process, Program, Random};

/// How many moments the long form takes.
const MOMENTS: usize = 200;

/// When, and whom.
struct Death {
    after: Duration,
    /// One of the agent's own programs instead of the agent.
    child: bool,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.child { "a program" } else { "the agent" };
        write!(f, "{who} after {:?}", self.after)
    }
}

#[test]
fn f01_an_agent_killed_at_any_moment_completes_what_it_began() {
    let template = template();
    let usual = usual_length(&template);
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let deaths = (0..MOMENTS).map(|_| Death {
        after: usual.mul_f64(1.1) * u32::try_from(random.below(1000)).unwrap() / 1000,
        child: random.below(4) == 0,
    });
    let sweep = Sweep {
        row: |_| "F01",
        what: "SIGKILL at random moments",
        sample: 6,
        at_once: 2,
        seed: Some(seed),
    };
    sweep.run(
        deaths.collect(),
        || Deployed::new(&template),
        |deployed, death| {
            deployed.publish();
            let visitors = deployed.visitors();
            let life = Life::begin(&deployed.ground, &Program::ordinary());
            // The moment itself is what is tried.
            std::thread::sleep(death.after);
            let interrupted = strike(&deployed.ground, life, death);
            deployed.note_interrupted(interrupted);
            Verdict::Struck(deployed.recover(visitors))
        },
    );
}

/// How long one undisturbed apply of a commit takes here and now.
fn usual_length(template: &crate::proof::Template) -> Duration {
    let mut deployed = Deployed::new(template);
    deployed.publish();
    let started = Instant::now();
    let life = Life::start(&deployed.ground);
    life.settled().unwrap();
    started.elapsed()
}

/// Effect: kills whom it is about; gives how many release commands were cut short with it. Where no program runs, the agent dies.
fn strike(ground: &Ground, mut life: Life, death: &Death) -> u32 {
    let is_child =
        |process: &Process| process.parent == life.pid() && process.is_helper("internal-task");
    let child = ground
        .processes()
        .into_iter()
        .find(|it| death.child && is_child(it));
    let Some(child) = child else {
        life.kill();
        return 0;
    };
    child.kill();
    // The agent gets on with it, and is then stopped in good order.
    if life.until_it_answers().is_ok() {
        life.settled().ok();
    }
    life.stop();
    u32::from(child.command.contains("run a command of "))
}
