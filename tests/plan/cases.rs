//! A folder in `tests/fixtures/plan` is a case: `repo/` is what is asked, `found.toml` what is there, `plan.txt` what comes of both.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hop3_agent::desired::Desired;
use hop3_agent::gate::{Facts, Packages, gate, spared};
use hop3_agent::observe::{ObservedApp, Pin, RoutedSite};
use hop3_agent::plan::{Holds, Plan, Settled, render};
use hop3_agent::release::site;
use hop3_plugin_api::serde::Deserialize;
use hop3_plugin_api::{AppName, Digest, InstanceStatus, Liveness};

use crate::world::{World, load, released};

/// What is there: apps by name.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Found {
    apps: BTreeMap<AppName, FoundApp>,
    /// Paused apps, and in which words.
    paused: BTreeMap<AppName, String>,
    /// Whether the disk has little left.
    scarce: bool,
    /// Why the agent's memory is younger than what it describes.
    doubt: Option<String>,
    /// Packages of the host that were looked up, where only people install them, and whether they are there.
    packages: Option<BTreeMap<String, bool>>,
}

/// Releases, the oldest first, each made from another directory of the case that holds `apps/`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of its own in the cases"
)]
struct FoundApp {
    releases: Vec<String>,
    /// Counted from 1; the newest when absent, none when 0.
    current: Option<usize>,
    /// Releases that run; the current one when absent.
    running: Option<Vec<usize>>,
    /// Instances that do not run, by name: `web.0`.
    stopped: Vec<String>,
    unknown: bool,
    drifted: bool,
    /// Whether the stamp of its site was lost.
    forgotten: bool,
    unfinished: bool,
    pinned: Option<u32>,
    /// The same, by the agent, because the release that is asked for did not stay up.
    returned: Option<u32>,
}

#[test]
fn every_case_leads_to_the_plan_that_was_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plan");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 12, "only {} cases were found", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| difference(case)).collect();
    assert!(
        wrong.is_empty(),
        "{}\nif that is meant: UPDATE=1 cargo test --test plan",
        wrong.join("\n")
    );
}

fn difference(case: &Path) -> Option<String> {
    let (path, text) = (case.join("plan.txt"), text_of(&plan_of(case)));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    (text != expected).then(|| {
        let name = case.file_name().unwrap().to_string_lossy();
        format!("== {name}: expected\n{expected}-- came\n{text}")
    })
}

/// The plan as people see it. Digests follow from every detail of the plugins' build plans, which have tests of their own.
fn text_of(plan: &Plan) -> String {
    let mut text = String::new();
    for line in render(plan).lines() {
        let words: Vec<&str> = line
            .split(' ')
            .map(|word| if is_digest(word) { "<id>" } else { word })
            .collect();
        writeln!(text, "{}", words.join(" ")).unwrap();
    }
    text
}

fn is_digest(word: &str) -> bool {
    let word = word.trim_end_matches([',', ':']);
    word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn plan_of(case: &Path) -> Plan {
    let text = std::fs::read_to_string(case.join("found.toml")).unwrap_or_default();
    let found: Found = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", case.display()));
    let mut world = World {
        desired: load(&case.join("repo")),
        observed: BTreeMap::new(),
        settled: Settled::default(),
        holds: Holds::default(),
        overlaps: true,
        data_dir: PathBuf::from("/data"),
    };
    for (name, app) in &found.apps {
        let observed = app.observed(case, name, &world.desired);
        world.observed.insert(name.clone(), Arc::new(observed));
    }
    let (nobody, doubt) = (BTreeSet::new(), found.doubt.as_deref());
    world.holds.spared = spared(&world.desired, &world.observed, (&nobody, doubt));
    world.holds.paused.clone_from(&found.paused);
    world.holds.scarce = found.scarce;
    let facts = Facts {
        healthy: world.observed.keys().cloned().collect(),
        doubt: found.doubt.clone(),
        packages: found.packages.clone().map(|known| Packages {
            known,
            install: "apt-get install",
        }),
        ..Facts::default()
    };
    gate(world.plan(), &facts)
}

impl FoundApp {
    fn observed(&self, case: &Path, name: &AppName, desired: &Desired) -> ObservedApp {
        let count = self.releases.len();
        let current = self.current.unwrap_or(count);
        let running = self.running.clone().unwrap_or_else(|| vec![current]);
        let mut observed = ObservedApp {
            current: (current > 0).then(|| u32::try_from(current).unwrap()),
            proxy_known: true,
            ..ObservedApp::default()
        };
        for (number, directory) in (1..).zip(&self.releases) {
            let target = load(&case.join(directory)).apps[name].target.clone();
            let (release, instances) = released(number, target);
            observed.addons.extend(
                release
                    .target
                    .addons
                    .iter()
                    .map(|addon| (addon.name.clone(), Digest::of(addon))),
            );
            if running.contains(&usize::try_from(number).unwrap()) {
                observed.instances.insert(number, instances);
            }
            observed.commands_done.insert(number);
            observed.releases.insert(number, Arc::new(release));
        }
        self.serve(&mut observed);
        observed
            .instances
            .values_mut()
            .flatten()
            .for_each(|status| self.mark(status));
        if self.unfinished {
            observed
                .unfinished
                .insert(u32::try_from(count).unwrap() + 1);
        }
        observed.pin = self.pinned.or(self.returned).map(|release| Pin {
            release,
            against: desired.apps[name].target.key().clone(),
            why: "the new one is slow".to_owned(),
            returned: self.returned.is_some(),
        });
        observed
    }

    fn serve(&self, observed: &mut ObservedApp) {
        let Some(current) = observed.current().cloned() else {
            return;
        };
        let Some(route) = &current.target.route else {
            return;
        };
        let endpoints = observed.endpoints(current.id.number);
        let site = site(Path::new("/data"), &current, route, &endpoints);
        observed.live_site = Some(if self.drifted {
            Digest::of("something else")
        } else {
            Digest::of(&site)
        });
        let proxy = current.target.choice.proxy.clone().unwrap();
        observed.site = (!self.forgotten).then_some(RoutedSite { proxy, site });
    }

    fn mark(&self, status: &mut InstanceStatus) {
        let name = format!("{}.{}", status.instance.worker, status.instance.index);
        if self.unknown {
            status.liveness = Liveness::Unknown {
                reason: "its supervisor does not answer".to_owned(),
            };
        } else if self.stopped.contains(&name) {
            status.liveness = Liveness::Stopped { reason: None };
        }
    }
}
