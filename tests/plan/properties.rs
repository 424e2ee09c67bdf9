//! What holds for every world.

use std::path::PathBuf;
use std::sync::Arc;

use hop3_agent::gate::{Facts, gate};
use hop3_agent::observe::Room;
use hop3_agent::plan::{Held, HoldKind, Plan, Settled};
use hop3_plugin_api::{AppName, Digest, Liveness};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::world::{Case, Found, FoundRelease, FoundSite, Noise, Running, Shape, World, app_name};

fn shape(base: usize) -> impl Strategy<Value = Shape> {
    let settings = (any::<bool>(), 0..3u8, any::<bool>(), 1..4u16);
    (0..3u8, 0..2u8, 0..3u16, 0..3u16, 0..3u8, settings).prop_map(
        move |(source, greeting, web, others, domains, (addon, commands, recreate, keep))| Shape {
            base,
            source,
            greeting,
            web,
            others,
            domains,
            addon,
            commands,
            recreate,
            keep,
        },
    )
}

/// A release of the wanted shape itself, of one with the same artifact, of one with other counts and routes, or of any other.
fn found_release(wanted: Shape) -> impl Strategy<Value = FoundRelease> {
    let base = wanted.base;
    let near = (any::<u8>(), shape(base)).prop_map(move |(pick, other)| match pick % 4 {
        0 => wanted.clone(),
        1 => Shape {
            greeting: other.greeting,
            ..wanted.clone()
        },
        2 => Shape {
            web: other.web,
            others: other.others,
            domains: other.domains,
            ..wanted.clone()
        },
        _ => other,
    });
    let running = prop_oneof![
        Just(Running::Nothing),
        Just(Running::All),
        Just(Running::All),
        Just(Running::Stopped),
        Just(Running::FirstStopped),
        Just(Running::OneTooMany),
    ];
    (near, running, any::<bool>()).prop_map(|(shape, running, commands_done)| FoundRelease {
        shape,
        running,
        commands_done,
    })
}

fn found(wanted: Shape) -> impl Strategy<Value = Found> {
    let site = prop_oneof![
        Just(FoundSite::None),
        Just(FoundSite::AsLeft),
        Just(FoundSite::AsLeft),
        Just(FoundSite::Drifted),
        Just(FoundSite::Lost),
    ];
    let picks = (option::of(0..4usize), option::weighted(0.2, 0..4usize));
    (
        vec(found_release(wanted), 0..4),
        picks,
        any::<bool>(),
        site,
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(mut releases, (current, pin), addons_made, site, (proxy_known, unfinished))| {
                tell_apart(&mut releases);
                let there = |index: usize| index < releases.len();
                Found {
                    current: current.filter(|index| there(*index)),
                    pin: pin.filter(|index| there(*index)),
                    releases,
                    addons_made,
                    unfinished,
                    site,
                    proxy_known,
                }
            },
        )
}

/// No two releases of an app have one key: the older one would have been taken up again.
fn tell_apart(releases: &mut [FoundRelease]) {
    let key = |found: &FoundRelease| found.shape.target(&app_name(0)).key();
    for index in 1..releases.len() {
        let (earlier, rest) = releases.split_at_mut(index);
        if earlier.iter().any(|other| key(other) == key(&rest[0])) {
            rest[0].shape.greeting = 10 + u8::try_from(index).unwrap();
        }
    }
}

fn case() -> impl Strategy<Value = Case> {
    let wanted = (0..3usize).prop_flat_map(shape);
    (wanted, any::<u8>(), any::<bool>()).prop_flat_map(|(wanted, pick, rests)| {
        let is_wanted = pick % 5 != 0;
        let found = option::weighted(0.85, found(wanted.clone()));
        found.prop_map(move |found| Case {
            wanted: is_wanted.then(|| wanted.clone()),
            found,
            rests: rests && pick % 3 == 0,
        })
    })
}

fn cases() -> impl Strategy<Value = Vec<Case>> {
    vec(case(), 1..4)
}

fn config() -> ProptestConfig {
    let long = std::env::var_os("HOP3_TEST_LONG").is_some();
    ProptestConfig {
        cases: if long { 20_000 } else { 400 },
        failure_persistence: None,
        max_shrink_iters: 2_000,
        verbose: 0,
        ..ProptestConfig::default()
    }
}

fn noise() -> Noise {
    Noise {
        data_dir: PathBuf::from("/data"),
        ..Noise::default()
    }
}

fn json(plan: &Plan) -> String {
    serde_json::to_string(plan).unwrap()
}

fn ids(plan: &Plan) -> Vec<(AppName, Digest)> {
    let changes = plan.changes.iter();
    changes
        .map(|change| (change.app.clone(), change.id.clone()))
        .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_be_done(cases in cases(), overlaps: bool) {
        let mut world = World::new(&cases, overlaps, &noise());
        let plan = world.plan();
        world.apply(&plan);
        // What rested is tried when its time has come; until then the release before it is what should be.
        let next = world.plan();
        prop_assert!(next.is_empty(), "first: {plan:#?}\nthen: {next:#?}");
    }

    #[test]
    fn what_is_remembered_of_apps_that_were_as_they_should_be_shows_in_no_plan(before in cases(), after in cases(), which: u8, overlaps: bool, scarce: bool) {
        let mut world = World::new(&before, overlaps, &noise());
        world.apply(&world.plan());
        let plan = world.plan();
        world.settled.remember(&plan.unchanged, (&world.desired, &world.observed));
        let other = World::new(&after, overlaps, &noise());
        world.holds = other.holds;
        world.holds.scarce = scarce;
        // Some apps are wanted otherwise, some are seen otherwise, some are gone.
        for index in (0..4).filter(|index| which & (1 << index) != 0) {
            match other.desired.apps.get(&app_name(index)) {
                Some(app) => drop(world.desired.apps.insert(app_name(index), Arc::clone(app))),
                None => drop(world.desired.apps.remove(&app_name(index))),
            }
        }
        for index in (0..4).filter(|index| which & (16 << index) != 0) {
            match other.observed.get(&app_name(index)) {
                Some(app) => drop(world.observed.insert(app_name(index), Arc::clone(app))),
                None => drop(world.observed.remove(&app_name(index))),
            }
        }
        let remembering = world.plan();
        world.settled = Settled::default();
        prop_assert_eq!(json(&remembering), json(&world.plan()));
    }

    #[test]
    fn where_the_disk_has_little_left_room_is_made_once(cases in cases(), overlaps: bool) {
        let mut world = World::new(&cases, overlaps, &noise());
        world.observed.values_mut().for_each(|observed| Arc::make_mut(observed).has_cache = true);
        world.apply(&world.plan());
        prop_assert!(world.plan().is_empty(), "a cache alone is no reason to do anything");
        world.holds.scarce = true;
        let plan = world.plan();
        world.apply(&plan);
        let next = world.plan();
        prop_assert!(next.is_empty(), "first: {plan:#?}\nthen: {next:#?}");
        for (app, observed) in &world.observed {
            let held = plan.held.iter().any(|held| held.app == *app && held.hold != HoldKind::Pinned);
            prop_assert!(held || !observed.has_cache, "{app}");
        }
    }

    #[test]
    fn each_step_needs_earlier_ones_only_and_stands_at_its_number(cases in cases(), overlaps: bool) {
        let plan = World::new(&cases, overlaps, &noise()).plan();
        for change in &plan.changes {
            for (index, step) in change.steps.iter().enumerate() {
                prop_assert_eq!(step.id as usize, index);
                prop_assert!(step.needs.iter().all(|need| *need < step.id));
            }
        }
    }

    #[test]
    fn the_order_of_what_is_seen_and_held_does_not_show(cases in cases(), overlaps: bool) {
        let mut world = World::new(&cases, overlaps, &noise());
        world.desired.held = (0..4).map(|index| held(app_name(3), index)).collect();
        let plan = world.plan();
        world.desired.held.reverse();
        for observed in world.observed.values_mut() {
            let observed = Arc::make_mut(observed);
            observed.instances.values_mut().for_each(|statuses| statuses.reverse());
        }
        prop_assert_eq!(json(&world.plan()), json(&plan));
    }

    #[test]
    fn the_data_dir_does_not_show(cases in cases(), overlaps: bool) {
        let here = World::new(&cases, overlaps, &noise()).plan();
        let elsewhere = Noise { data_dir: PathBuf::from("/srv/other/place"), ..noise() };
        let there = World::new(&cases, overlaps, &elsewhere).plan();
        prop_assert_eq!(json(&here), json(&there));
    }

    #[test]
    fn ids_ignore_revision_commit_reason_and_release_numbers(cases in cases(), overlaps: bool) {
        let plan = World::new(&cases, overlaps, &noise()).plan();
        let noisy = Noise {
            revision: Some("0123456789".to_owned()),
            commit: Some("9876543210".to_owned()),
            first_release: 70,
            why: "for another reason".to_owned(),
            ..noise()
        };
        let other = World::new(&cases, overlaps, &noisy).plan();
        prop_assert_eq!(ids(&plan), ids(&other));
        prop_assert_eq!(plan.id, other.id);
    }

    #[test]
    fn one_app_never_shows_in_the_change_of_another(cases in cases(), overlaps: bool) {
        let world = World::new(&cases, overlaps, &noise());
        let whole = world.plan();
        for change in &whole.changes {
            let mut alone = World::new(&cases, overlaps, &noise());
            alone.desired.apps.retain(|app, _| *app == change.app);
            alone.observed.retain(|app, _| *app == change.app);
            prop_assert_eq!(&alone.plan().changes, &vec![change.clone()]);
            let steps = serde_json::to_string(&change.steps).unwrap();
            for other in (0..cases.len()).map(app_name).filter(|name| *name != change.app) {
                prop_assert!(!steps.contains(other.as_str()), "{other} in {steps}");
            }
        }
    }

    #[test]
    fn what_cannot_be_told_changes_nothing(cases in cases(), overlaps: bool, which in 0..8usize) {
        let mut world = World::new(&cases, overlaps, &noise());
        let statuses = world.observed.iter_mut();
        let mut statuses: Vec<_> = statuses
            .flat_map(|(app, observed)| Arc::make_mut(observed).instances.values_mut().flatten().map(move |status| (app, status)))
            .collect();
        if statuses.is_empty() {
            return Ok(());
        }
        let at = which % statuses.len();
        let (app, status) = &mut statuses[at];
        status.liveness = Liveness::Unknown { reason: "the engine does not answer".to_owned() };
        let app = app.clone();
        let plan = world.plan();
        prop_assert!(plan.changes.iter().all(|change| change.app != app));
        prop_assert!(plan.held.iter().any(|held| held.app == app && held.hold == HoldKind::Unknown));
    }

    #[test]
    fn a_plan_survives_being_written_down(cases in cases(), overlaps: bool) {
        let plan = World::new(&cases, overlaps, &noise()).plan();
        let read: Plan = serde_json::from_str(&json(&plan)).unwrap();
        prop_assert_eq!(&read, &plan);
        prop_assert_eq!(json(&read), json(&plan));
    }

    #[test]
    fn the_gate_holds_back_and_never_adds(cases in cases(), overlaps: bool, after: bool, healthy: bool, (doubt, full) in any::<(bool, bool)>()) {
        let mut world = World::new(&cases, overlaps, &noise());
        if after {
            for app in world.desired.apps.values_mut() {
                let app = Arc::make_mut(app);
                app.target = app.target.but(|target| target.deploy.after = vec![app_name(0)]);
            }
        }
        let plan = world.plan();
        let facts = Facts {
            healthy: world.observed.keys().filter(|_| healthy).cloned().collect(),
            doubt: doubt.then(|| "the state was lost".to_owned()),
            room: if full { Room::ReadOnly } else { Room::Scarce },
            ..Facts::default()
        };
        let gated = gate(plan.clone(), &facts);
        prop_assert!(gated.changes.iter().all(|change| plan.changes.contains(change)));
        prop_assert!(plan.held.iter().all(|held| gated.held.contains(held)));
        for change in plan.changes.iter().filter(|change| !gated.changes.contains(change)) {
            prop_assert!(gated.held.iter().any(|held| held.app == change.app));
        }
        prop_assert_eq!(&gated.unchanged, &plan.unchanged);
    }

    #[test]
    fn every_app_is_changed_held_or_unchanged(cases in cases(), overlaps: bool) {
        let world = World::new(&cases, overlaps, &noise());
        let plan = world.plan();
        for app in world.desired.apps.keys().chain(world.observed.keys()) {
            let changed = plan.changes.iter().any(|change| change.app == *app);
            let held = plan.held.iter().any(|held| held.app == *app);
            let unchanged = plan.unchanged.contains(app);
            prop_assert!(changed || held || unchanged, "{app} is not spoken of");
            prop_assert!(!(unchanged && (changed || held)), "{app} is unchanged and not");
        }
    }
}

fn held(app: AppName, index: u32) -> Held {
    Held {
        app,
        hold: HoldKind::Spec,
        message: format!("mistake {index}"),
        hints: Vec::new(),
        at: None,
    }
}
