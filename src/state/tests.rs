//! Stores that were damaged, lost, brought back, moved, or written by another version.
#![expect(
    clippy::disallowed_methods,
    reason = "files are damaged, copied and brought back by hand"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hop3_plugin_api::{Fault, Timestamp};
use hop3_plugin_testing::FakeHost;
use tempfile::TempDir;

use super::*;
use crate::execute::Failure;

/// How many offsets of a store are damaged, one at a time.
const FLIPS: usize = 500;

struct Place {
    directory: TempDir,
}

fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

fn origin() -> Origin {
    Origin {
        install: "0123".to_owned(),
        machine: Some("a-machine".to_owned()),
        boot: "a-boot".to_owned(),
        settings: "some".to_owned(),
        deployed: true,
    }
}

fn attempt(app: &AppName, number: u32) -> Attempt {
    let failure = Failure {
        app: app.clone(),
        step: "build".to_owned(),
        fault: Fault::App,
        message: format!("failure {number}"),
        hints: Vec::new(),
        output: String::new(),
    };
    let moment = Moment {
        now: Timestamp(1_000_000),
        jitter: 0,
        costs_service: false,
    };
    Attempt::after(None, Digest::of(&number), failure, moment)
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state.db")
    }

    fn open(&self, origin: &Origin) -> Result<Store, StateError> {
        Store::open(&self.path(), Arc::new(FakeHost::new()), origin)
    }

    /// A store that knows something, made by a first life where nothing was deployed yet.
    fn filled() -> Self {
        let place = Self::new();
        let first = Origin {
            deployed: false,
            ..origin()
        };
        let store = place.open(&first).unwrap();
        assert_eq!(store.doubt(), None);
        for number in 0..20 {
            let shop = app(&format!("shop-{number}"));
            store.set_attempt(&shop, &attempt(&shop, number));
            store.record(Some(&shop), &EventKind::Resumed);
        }
        place
    }

    /// Names of what was set aside.
    fn aside(&self) -> Vec<String> {
        let names = fs::read_dir(self.directory.path()).unwrap().flatten();
        let names = names.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.contains(".aside-")).collect()
    }
}

/// What a store says of failed attempts, in an order of its own.
fn known(store: &Store) -> Vec<(AppName, Attempt)> {
    store.attempts()
}

#[test]
fn f32_a_damaged_store_is_set_aside_under_a_dated_name_and_said_so_until_a_person_resumes() {
    let place = Place::new();
    fs::write(place.path(), vec![b'x'; 8192]).unwrap();
    let store = place.open(&origin()).unwrap();
    let doubt = store.doubt().unwrap();
    assert!(doubt.contains("damaged"), "{doubt}");
    let aside = place.aside();
    assert_eq!(aside.len(), 1);
    assert!(doubt.contains(&aside[0]), "{doubt}: {aside:?}");
    assert_eq!(
        fs::read(place.directory.path().join(&aside[0])).unwrap(),
        vec![b'x'; 8192]
    );
    assert_eq!(store.events(None, 10).len(), 1, "the rebuilding itself");
    drop(store);
    let store = place.open(&origin()).unwrap();
    assert_eq!(store.doubt(), Some(doubt), "a restart does not settle it");
    store.end_doubt();
    drop(store);
    assert_eq!(place.open(&origin()).unwrap().doubt(), None);
}

#[test]
fn f32_no_damaged_byte_of_a_store_is_believed() {
    let place = Place::filled();
    let whole = known(&place.open(&origin()).unwrap());
    let bytes = fs::read(place.path()).unwrap();
    let (mut kept, mut set_aside) = (0, 0);
    for number in 0..FLIPS {
        let copy = Place::new();
        let mut damaged = bytes.clone();
        let at = number * bytes.len() / FLIPS;
        damaged[at] ^= 1 << (number % 8);
        fs::write(copy.path(), damaged).unwrap();
        let store = copy
            .open(&origin())
            .unwrap_or_else(|error| panic!("{at}: {error}"));
        if store.doubt().is_some() {
            set_aside += 1;
            assert_eq!(copy.aside().len(), 1, "{at}");
        } else {
            kept += 1;
            assert_eq!(known(&store), whole, "a flipped bit at {at} is believed");
        }
    }
    println!(
        "row F32: {FLIPS} flipped bits, {set_aside} set aside, {kept} without effect, 0 believed"
    );
    assert!(set_aside > 50, "only {set_aside} flipped bits were found");
}

#[test]
fn f02_a_store_cut_at_any_length_opens_or_is_set_aside() {
    let place = Place::filled();
    let bytes = fs::read(place.path()).unwrap();
    let (mut kept, mut set_aside, mut points) = (0, 0, 0);
    for length in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
        for zeroed in [false, true] {
            let copy = Place::new();
            let mut torn = bytes[..length].to_vec();
            if zeroed {
                torn.resize(bytes.len(), 0);
            }
            fs::write(copy.path(), torn).unwrap();
            let store = copy
                .open(&origin())
                .unwrap_or_else(|error| panic!("{length}: {error}"));
            points += 1;
            match store.doubt() {
                Some(_) => set_aside += 1,
                None => kept += 1,
            }
            store.record(None, &EventKind::Resumed);
            assert_eq!(store.problem(), None, "{length}");
        }
    }
    println!(
        "row F02: the store cut or zeroed at {points} lengths, {set_aside} begun anew, {kept} opened, 0 refused"
    );
}

#[test]
fn f31_a_lost_store_is_begun_anew_and_doubted_where_something_is_deployed() {
    let place = Place::filled();
    fs::remove_file(place.path()).unwrap();
    let doubt = place.open(&origin()).unwrap().doubt().unwrap();
    assert!(doubt.contains("lost"), "{doubt}");
    assert!(place.aside().is_empty());
}

#[test]
fn f32_a_store_brought_back_from_a_backup_is_set_aside() {
    let place = Place::filled();
    let backup = fs::read(place.path()).unwrap();
    let store = place.open(&origin()).unwrap();
    store.advance();
    drop(store);
    for name in ["state.db-wal", "state.db-shm"] {
        fs::remove_file(place.directory.path().join(name)).ok();
    }
    fs::write(place.path(), backup).unwrap();
    let doubt = place.open(&origin()).unwrap().doubt().unwrap();
    assert!(doubt.contains("older"), "{doubt}");
    assert_eq!(place.aside().len(), 1);
}

#[test]
fn f02_a_count_beside_the_store_that_lags_behind_or_is_torn_proves_nothing() {
    for count in ["", "0", "1", "nonsense"] {
        let place = Place::filled();
        fs::write(place.directory.path().join("serial"), count).unwrap();
        assert_eq!(place.open(&origin()).unwrap().doubt(), None, "{count:?}");
    }
    let place = Place::filled();
    fs::remove_file(place.directory.path().join("serial")).unwrap();
    assert_eq!(place.open(&origin()).unwrap().doubt(), None);
}

#[test]
fn f32_a_store_of_another_machine_or_installation_is_set_aside() {
    let elsewhere = Origin {
        machine: Some("another-machine".to_owned()),
        ..origin()
    };
    let another = Origin {
        install: "4567".to_owned(),
        ..origin()
    };
    for (origin, word) in [(elsewhere, "machine"), (another, "installation")] {
        let place = Place::filled();
        let doubt = place.open(&origin).unwrap().doubt().unwrap();
        assert!(doubt.contains(word), "{doubt}");
        assert_eq!(place.open(&origin).unwrap().attempts(), []);
    }
    let without_id = Origin {
        machine: None,
        ..origin()
    };
    assert_eq!(Place::filled().open(&without_id).unwrap().doubt(), None);
}

#[test]
fn f30_a_store_of_a_newer_agent_is_refused_with_both_versions_and_left_as_it_is() {
    let place = Place::filled();
    let newer = Connection::open(place.path()).unwrap();
    newer
        .execute_batch(
            "UPDATE meta SET value = '9.1.0' WHERE name = 'agent'; PRAGMA user_version = 7;",
        )
        .unwrap();
    drop(newer);
    let before = fs::read(place.path()).unwrap();
    let refused = place.open(&origin()).unwrap_err();
    let (said, hint) = (refused.to_string(), refused.hint().unwrap());
    for word in ["9.1.0", "format 7", env!("CARGO_PKG_VERSION")] {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert!(hint.contains("newer version again"), "{hint}");
    assert_eq!(fs::read(place.path()).unwrap(), before);
    assert!(place.aside().is_empty());
}

/// A store as the version before wrote it.
fn of_format_1(path: &Path) {
    let db = Connection::open(path).unwrap();
    db.execute_batch(include_str!("migrations/1.sql")).unwrap();
    db.execute_batch(
        "INSERT INTO event (time, app, event) VALUES (1, 'shop', '{\"event\":\"resumed\"}');
         INSERT INTO journal VALUES ('shop', 0, 'build', 'started', 1, NULL);
         INSERT INTO attempt VALUES ('shop', 'abc', '{}');
         PRAGMA user_version = 1;",
    )
    .unwrap();
}

#[test]
fn f30_a_store_of_the_version_before_is_brought_on_and_keeps_its_history() {
    let place = Place::new();
    of_format_1(&place.path());
    let store = place.open(&origin()).unwrap();
    assert_eq!((store.doubt(), store.problem()), (None, None));
    assert_eq!(store.events(Some(&app("shop")), 10).len(), 1);
    assert_eq!(store.last_step(&app("shop")).unwrap().0, "build");
    let shop = app("shop");
    store.set_attempt(&shop, &attempt(&shop, 1));
    drop(store);
    assert_eq!(place.open(&origin()).unwrap().attempts().len(), 1);
}

#[test]
fn f30_a_migration_that_is_cut_short_leaves_the_old_format() {
    let place = Place::new();
    of_format_1(&place.path());
    let mut db = Connection::open(place.path()).unwrap();
    let cut_short = db.transaction().unwrap();
    cut_short
        .execute_batch(include_str!("migrations/2.sql"))
        .unwrap();
    // As if the process had ended here.
    drop(cut_short);
    drop(db);
    let store = place.open(&origin()).unwrap();
    assert_eq!(store.events(None, 10).len(), 1);
    assert_eq!(store.doubt(), None);
}

/// A life of the agent that ends in the middle of a step.
fn die_amid(place: &Place, origin: &Origin, action: &str, target: &str) -> Vec<(AppName, Attempt)> {
    let store = place.open(origin).unwrap();
    let attempts = store.attempts();
    let sql = "INSERT INTO journal (app, step, action, state, time, target) VALUES ('shop', 1, ?1, 'started', 1, ?2)
               ON CONFLICT (app, step) DO UPDATE SET action = ?1, state = 'started', target = ?2";
    let target = Digest::of(target);
    store.write("test", |db| db.execute(sql, [action, target.as_str()]));
    attempts
}

#[test]
fn t40_an_app_that_kills_the_agent_three_times_at_one_step_rests_longer_each_time() {
    let place = Place::new();
    let rests = |_| {
        let attempts = die_amid(&place, &origin(), "build", "poison");
        attempts.first().map(|(_, attempt)| attempt.pause)
    };
    let rests: Vec<_> = (0..12).map(rests).collect();
    let (free, held) = rests.split_at(3);
    assert_eq!(free, [None, None, None]);
    let held: Vec<u64> = held.iter().map(|rest| rest.unwrap()).collect();
    assert_eq!(held, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    let store = place.open(&origin()).unwrap();
    let (_, attempt) = &store.attempts()[0];
    assert!(attempt.is_quarantined());
    assert!(
        attempt
            .message()
            .contains("the agent died 12 times in a row"),
        "{}",
        attempt.message()
    );
    let events = store.events(Some(&app("shop")), 100);
    assert_eq!(events.len(), 12, "each death is in the history");
}

#[test]
fn t40_deaths_at_different_steps_or_targets_by_a_reboot_or_before_a_success_blame_nobody() {
    let place = Place::new();
    for round in 0..4 {
        for (action, target) in [("build", "a"), ("start", "a"), ("start", "b")] {
            assert_eq!(die_amid(&place, &origin(), action, target), [], "{round}");
        }
    }
    let place = Place::new();
    for boot in 0..6 {
        let rebooted = Origin {
            boot: format!("boot {boot}"),
            ..origin()
        };
        assert_eq!(die_amid(&place, &rebooted, "build", "a"), []);
    }
    let place = Place::new();
    for _ in 0..6 {
        assert_eq!(die_amid(&place, &origin(), "build", "a"), []);
        place.open(&origin()).unwrap().survived(&app("shop"));
    }
}

#[test]
fn what_failed_under_other_settings_of_the_operator_is_tried_at_once() {
    let place = Place::filled();
    assert_eq!(place.open(&origin()).unwrap().attempts().len(), 20);
    let changed = Origin {
        settings: "others".to_owned(),
        ..origin()
    };
    assert_eq!(place.open(&changed).unwrap().attempts(), []);
}

#[test]
fn pauses_and_approvals_outlive_a_restart() {
    let place = Place::filled();
    let store = place.open(&origin()).unwrap();
    let pause = Pause::new(
        "a hotfix".to_owned(),
        std::time::Duration::from_hours(2),
        Timestamp(5),
    );
    store.set_pause(&app("shop"), &pause);
    store.approve(&app("blog"));
    drop(store);
    let store = place.open(&origin()).unwrap();
    assert_eq!(store.pauses(), [(app("shop"), pause)]);
    assert_eq!(store.approvals(), [app("blog")]);
    store.end_pause(&app("shop"));
    store.disapprove(&app("blog"));
    drop(store);
    let store = place.open(&origin()).unwrap();
    assert!(store.pauses().is_empty() && store.approvals().is_empty());
}
