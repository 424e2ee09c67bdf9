//! Another build takes over: in the middle of an apply, over a state of an older format, and in vain over one of a newer format.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::proof::deployed::{Deployed, template};
use crate::proof::effects::{Sweep, Verdict};
use crate::proof::{Ground, Life, Program, all_moments, is_long, journal_of, row};

/// The state as the first version made it.
const FORMAT_1: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, app TEXT, event TEXT NOT NULL);
    CREATE INDEX event_by_app ON event (app, seq);
    CREATE TABLE journal (
        app TEXT NOT NULL, step INTEGER NOT NULL, action TEXT NOT NULL, state TEXT NOT NULL, time INTEGER NOT NULL, error TEXT,
        PRIMARY KEY (app, step)
    );
    CREATE TABLE attempt (app TEXT NOT NULL, target TEXT NOT NULL, attempt TEXT NOT NULL, PRIMARY KEY (app, target));
    PRAGMA user_version = 1;
";

#[test]
fn f30_a_newer_build_completes_what_an_older_one_was_killed_at() {
    let template = template();
    let mut counted = Deployed::new(&template);
    counted.publish();
    let moments = all_moments(&journal_of(&counted.ground));
    drop(counted);
    let sweep = Sweep {
        row: |_| "F30",
        what: "upgrade after SIGKILL at every effect",
        sample: 6,
        at_once: 2,
        seed: None,
    };
    sweep.run(
        moments,
        || Deployed::new(&template),
        |deployed, moment| {
            deployed.publish();
            let ground = &deployed.ground;
            let older = ground.path("older-agent");
            let mortal = moment.program(ground).copied_to(&older);
            let visitors = deployed.visitors();
            let mut life = Life::begin(ground, &mortal);
            let killed = life.until_dead_or_settled();
            drop(life);
            // What it started goes on, and has no file any more that it could start again from.
            fs::remove_file(&older).unwrap();
            let told = make_older(ground);
            let mut complaints = deployed.recover(visitors);
            complaints.extend(remembered(ground, told));
            match killed {
                None => Verdict::Missed,
                Some(status) if status.signal() == Some(9) => Verdict::Struck(complaints),
                Some(status) => panic!("the agent was to be killed, and ended with {status}"),
            }
        },
    );
}

#[test]
fn f30_a_state_of_a_newer_format_is_refused_and_left_as_it_is() {
    let deployed = Deployed::new(&template());
    let state = state(&deployed.ground);
    let db = Connection::open(&state).unwrap();
    let format: i64 = db
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    // A format that knows who wrote it was written by a later version, too.
    let signed = db.execute("UPDATE meta SET value = '99.0.0' WHERE name = 'agent'", []);
    drop(db);
    let before = fs::read(&state).unwrap();

    let status = Life::begin(&deployed.ground, &Program::ordinary()).end();
    assert_eq!(status.code(), Some(1), "it must refuse");
    let log = fs::read_to_string(deployed.ground.path("agent.log")).unwrap();
    let last = log.lines().rev().take(4).collect::<Vec<_>>().join("\n");
    assert!(last.contains("99") && last.contains("hint: "), "{last}");
    assert!(fs::read(&state).unwrap() == before, "the state was changed");
    assert_eq!(deployed.kept(), Vec::<String>::new());

    // The newer version is started again.
    let db = Connection::open(&state).unwrap();
    db.pragma_update(None, "user_version", format).unwrap();
    if signed.is_ok() {
        let own = env!("CARGO_PKG_VERSION");
        db.execute("UPDATE meta SET value = ?1 WHERE name = 'agent'", [own])
            .unwrap();
    }
    drop(db);
    assert_eq!(deployed.recover(deployed.visitors()), Vec::<String>::new());
    row(
        "F30 (state of a newer format)",
        &[(1, "points"), (1, "refused"), (1, "converged")],
        None,
    );
}

#[test]
fn f30_a_newer_build_killed_while_it_brings_the_state_on_leaves_the_old_format_or_the_new_one() {
    let deployed = Deployed::new(&template());
    let kills = if is_long() { 200 } else { 20 };
    let mut formats = BTreeSet::new();
    for after in 0..kills {
        let told = make_older(&deployed.ground);
        let life = Life::begin(&deployed.ground, &Program::ordinary());
        // The state is opened within the first moments of a life.
        std::thread::sleep(Duration::from_micros(after * 40_000 / kills));
        life.kill();
        let path = state(&deployed.ground);
        let db = Connection::open(&path).unwrap();
        let format: i64 = db
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        let whole: String = db
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(whole, "ok", "after {after}");
        drop(db);
        assert!(events(&path).len() >= told, "after {after}");
        formats.insert(format);
    }
    assert_eq!(deployed.recover(deployed.visitors()), Vec::<String>::new());
    let kills = usize::try_from(kills).unwrap();
    let counts = [
        (kills, "points"),
        (kills, "converged"),
        (formats.len(), "formats seen"),
    ];
    row("F30 (SIGKILL while the state is brought on)", &counts, None);
}

fn state(ground: &Ground) -> PathBuf {
    ground.data().join("agent/state.db")
}

/// Effect: the state becomes one that the first version wrote, with all that it remembers; gives how many events those are.
fn make_older(ground: &Ground) -> usize {
    let (path, older) = (state(ground), ground.path("older.db"));
    if !path.exists() {
        return 0;
    }
    let events = events(&path);
    let db = Connection::open(&older).unwrap();
    db.execute_batch(FORMAT_1).unwrap();
    for (seq, time, app, event) in &events {
        let sql = "INSERT INTO event (seq, time, app, event) VALUES (?1, ?2, ?3, ?4)";
        db.execute(sql, params![seq, time, app, event]).unwrap();
    }
    db.close().unwrap();
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(format!("{}{suffix}", path.display())));
    }
    fs::rename(older, path).unwrap();
    events.len()
}

type Event = (i64, i64, Option<String>, String);

fn events(path: &Path) -> Vec<Event> {
    let db = Connection::open(path).unwrap();
    let mut query = db
        .prepare("SELECT seq, time, app, event FROM event ORDER BY seq")
        .unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    query
        .query_map([], row)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// Nothing of the past is lost on the way to the newer format.
fn remembered(ground: &Ground, told: usize) -> Option<String> {
    let now = events(&state(ground)).len();
    (now < told).then(|| format!("{told} events were remembered, and there are {now}"))
}
