//! Another version of the program, or another plugin in it, changes no app by itself; and one that falls over takes down one app.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hop3_agent::desired::{Desired, DesiredApp, Recorded};
use hop3_agent::observe::ObservedApp;
use hop3_agent::plan::{HoldKind, Holds, Settled};
use hop3_agent::release::{FixedTarget, Release, STAMP_FORMAT, Target};
use hop3_plugin_api::{AppName, Digest};
use serde_json::Value;

use crate::strangers::{Eager, Poison, load_with};
use crate::world::{World, load};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitops-repo")
}

/// A host on which everything that is asked for runs.
fn applied(desired: Desired) -> World {
    let mut world = World {
        desired,
        observed: BTreeMap::new(),
        settled: Settled::default(),
        holds: Holds::default(),
        overlaps: true,
        data_dir: PathBuf::from("/data"),
    };
    for name in world.desired.apps.keys() {
        // A proxy that can be asked.
        let fresh = ObservedApp {
            proxy_known: true,
            ..ObservedApp::default()
        };
        world.observed.insert(name.clone(), Arc::new(fresh));
    }
    let plan = world.plan();
    world.apply(&plan);
    assert!(world.plan().is_empty());
    world
}

/// What the agent remembers of the past, as it does.
fn recorded(world: &World) -> Recorded {
    let mut recorded = Recorded::default();
    for (app, observed) in &world.observed {
        let release = observed.current().unwrap();
        let choice = release.target.choice.clone();
        recorded.choices.insert(app.clone(), choice);
        for host in observed.site.iter().flat_map(|routed| &routed.site.hosts) {
            recorded.holders.insert(host.clone(), app.clone());
        }
    }
    recorded
}

#[test]
fn a_new_plugin_that_wants_every_app_gets_none_that_is_there() {
    let mut world = applied(load(&example()));
    let apps = world.desired.apps.len();
    world.desired = load_with(Eager, &example(), &recorded(&world));
    assert_eq!(world.desired.apps.len(), apps, "{:?}", world.desired.held);
    let plan = world.plan();
    assert!(plan.is_empty() && plan.held.is_empty(), "{plan:#?}");
    // It would have taken them, had nobody been there before.
    let fresh = load_with(Eager, &example(), &Recorded::default());
    let taken = |name: &str| fresh.apps[name].target.choice.proxy.clone().unwrap();
    assert_eq!(taken("guestbook").as_str(), "aaa-proxy");
}

#[test]
fn a_toolchain_that_builds_and_starts_otherwise_rebuilds_and_restarts_nothing() {
    let mut world = applied(load(&example()));
    for app in world.desired.apps.values_mut() {
        let app = Arc::make_mut(app);
        app.target = app.target.but(|target| {
            target.build.steps.clear();
            target.build.layers.clear();
            target.build.toolchain.push_str("-of-tomorrow");
            for worker in target.workers.values_mut() {
                worker.command.push_str(" --of-tomorrow");
            }
        });
    }
    let plan = world.plan();
    assert!(plan.is_empty() && plan.held.is_empty(), "{plan:#?}");
}

fn change_source(app: &mut DesiredApp) {
    let changed = |target: &mut Target| target.source = Digest::of("another");
    app.target = app.target.but(changed);
}

/// Takes a field away, wherever it is.
fn strip(value: &mut Value, field: &str) -> usize {
    match value {
        Value::Object(fields) => {
            let own = usize::from(fields.remove(field).is_some());
            own + fields
                .values_mut()
                .map(|it| strip(it, field))
                .sum::<usize>()
        }
        Value::Array(items) => items.iter_mut().map(|it| strip(it, field)).sum(),
        _ => 0,
    }
}

#[test]
fn a_stamp_of_a_version_that_knew_less_is_the_same_release() {
    let world = applied(load(&example()));
    for observed in world.observed.values() {
        let release = observed.current().unwrap();
        let mut stamp = serde_json::to_value(release).unwrap();
        for field in ["return-after-release-command", "took-over"] {
            strip(&mut stamp, field);
        }
        // What an older version computed otherwise does not count.
        stamp["key"] = "0".repeat(64).into();
        stamp["build-key"] = "0".repeat(64).into();
        let read: Release = serde_json::from_value(stamp).unwrap();
        let read = read.rekeyed();
        assert_eq!(
            (&read.key, &read.build_key),
            (&release.key, &release.build_key)
        );
        assert_eq!(read.target.trial(), release.target.trial());
        assert!(read.format <= STAMP_FORMAT);
    }
}

/// Many apps, of which one is poison.
fn poisoned(poison: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for number in 0..100 {
        let app = root.path().join(format!("apps/app-{number:02}"));
        std::fs::create_dir_all(&app).unwrap();
        let spec = "[build]\ntoolchain = \"static\"\n";
        std::fs::write(app.join("hop3.toml"), spec).unwrap();
        std::fs::write(app.join("index.html"), "a page").unwrap();
    }
    for (name, content) in poison {
        std::fs::write(root.path().join("apps/app-50").join(name), content).unwrap();
    }
    root
}

#[test]
fn t40_an_app_that_a_plugin_falls_over_is_held_and_the_99_others_are_planned() {
    let kinds: [&[(&str, &str)]; 2] = [
        // Whoever asks the toolchain whether it accepts the app is taken down.
        &[("hop3.toml", ""), ("POISON", "")],
        // Whoever asks it for the build plan is.
        &[("hop3.toml", "[build]\ntoolchain = \"poison\"\n")],
    ];
    let poison = AppName::parse("app-50").unwrap();
    for kind in kinds {
        let root = poisoned(kind);
        let desired = load_with(Poison, root.path(), &Recorded::default());
        let world = World {
            desired,
            observed: BTreeMap::new(),
            settled: Settled::default(),
            holds: Holds::default(),
            overlaps: true,
            data_dir: PathBuf::from("/data"),
        };
        let plan = world.plan();
        assert_eq!(plan.changes.len(), 99);
        let [held] = plan.held.as_slice() else {
            panic!("{:#?}", plan.held);
        };
        assert_eq!((&held.app, held.hold), (&poison, HoldKind::Spec));
        assert!(
            held.message
                .contains("a mistake in the agent or in a plugin"),
            "{held:#?}"
        );
        assert!(held.message.contains("poison"), "{held:#?}");
    }
    println!(
        "row T40: {} kinds of poison at reading among 100 apps, 99 planned each time, 1 held by name",
        kinds.len()
    );
}

#[test]
fn t40_an_app_whose_plan_falls_over_is_held_and_the_others_are_planned() {
    let mut world = applied(load(&example()));
    let guestbook = AppName::parse("guestbook").unwrap();
    let app = world.desired.apps.get_mut(&guestbook).unwrap();
    change_source(Arc::make_mut(app));
    let site = AppName::parse("site").unwrap();
    let other = world.desired.apps.get_mut(&site).unwrap();
    change_source(Arc::make_mut(other));
    let overlaps = |target: &Target| {
        assert!(
            target.app != guestbook,
            "it cannot be said of the guestbook"
        );
        true
    };
    let plan = world.plan_with(&overlaps);
    assert_eq!(plan.changes.len(), 1);
    assert_eq!(plan.changes[0].app, site);
    let [held] = plan.held.as_slice() else {
        panic!("{:#?}", plan.held);
    };
    assert_eq!((&held.app, held.hold), (&guestbook, HoldKind::Unknown));
}

#[test]
fn a_target_that_was_written_down_is_the_same_when_it_is_read() {
    for (name, app) in load(&example()).apps {
        let text = serde_json::to_string(&app.target).unwrap();
        let read: FixedTarget = serde_json::from_str(&text).unwrap();
        assert_eq!(read, app.target, "{name}");
    }
}
