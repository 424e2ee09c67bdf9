//! Specs as people write them: a folder in `tests/fixtures/spec` is a case, its `expected.txt` what is told and what is understood.
//! `UPDATE=1 cargo test --test spec` rewrites the expectations.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use hop3_agent::config::{AgentConfig, HostConfig};
use hop3_agent::schema::Schemas;
use hop3_agent::spec::{AppFiles, AppSpec, LoadedApp, load_app, render};
use hop3_plugin_api::schemars::{self, JsonSchema};
use hop3_plugin_api::serde::{Deserialize, Serialize};
use hop3_plugin_api::{Section, SectionDescriptor, Slot};

/// Settings of a plugin that only this test has.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Rocket {
    /// The network it flies in.
    network: Option<String>,
    /// When it is started again.
    restart_policy: Option<RestartPolicy>,
    /// What it may use.
    limits: RocketLimits,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum RestartPolicy {
    /// After every end.
    Always,
    /// Not at all.
    Never,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(rename = "rocket.Limits")]
struct RocketLimits {
    /// Bytes of memory.
    #[schemars(range(min = 1, max = 1000))]
    memory: Option<u32>,
}

impl Section for Rocket {
    const SLOT: Slot = Slot::App;
    const NAME: &'static str = "rocket";
}

/// Settings of an addon that only this test has.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Box {
    /// How many things fit in.
    size: Option<u32>,
}

impl Section for Box {
    const SLOT: Slot = Slot::Addon;
    const NAME: &'static str = "box";
}

fn schemas() -> Schemas {
    Schemas::compose(&[
        SectionDescriptor::of::<Rocket>(),
        SectionDescriptor::of::<Box>(),
    ])
}

static SCHEMAS: std::sync::OnceLock<Schemas> = std::sync::OnceLock::new();

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn load(
    schemas: &Schemas,
    directory: &str,
    spec: Option<&[u8]>,
    procfile: Option<&[u8]>,
) -> LoadedApp {
    let [spec_path, procfile_path] =
        ["hop3.toml", "Procfile"].map(|name| format!("{directory}/{name}"));
    let files = AppFiles {
        directory,
        spec: spec.map(|bytes| (spec_path.as_str(), bytes)),
        procfile: procfile.map(|bytes| (procfile_path.as_str(), bytes)),
    };
    load_app(schemas, &files)
}

/// What was understood, as far as it differs from an empty spec.
fn summary(spec: &AppSpec, empty: &AppSpec) -> String {
    let mut out = String::new();
    macro_rules! show {
        ($($($field:ident).+),* $(,)?) => {$(
            if spec.$($field).+ != empty.$($field).+ {
                writeln!(out, "{} = {:?}", stringify!($($field).+), spec.$($field).+).unwrap();
            }
        )*};
    }
    show!(
        name,
        config.build,
        config.workers,
        config.static_paths,
        config.docker,
        config.plugin,
        config.writable,
        source,
        release_commands,
        env,
        hosts,
        health,
        addons,
        scale,
        deploy,
        proxy,
        limits,
    );
    for unbuilt in &spec.unbuilt {
        writeln!(
            out,
            "not built yet: {} at {}:{}",
            unbuilt.what, unbuilt.at.line, unbuilt.at.column
        )
        .unwrap();
    }
    out
}

fn cases() -> Vec<PathBuf> {
    let folder = root().join("tests/fixtures/spec");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

fn outcome(schemas: &Schemas, case: &Path) -> String {
    let read = |name: &str| std::fs::read(case.join(name)).ok();
    let loaded = load(
        schemas,
        "apps/demo",
        read("hop3.toml").as_deref(),
        read("Procfile").as_deref(),
    );
    let empty = load(schemas, "apps/demo", Some(b""), None).spec.unwrap();
    let verdict = loaded.spec.as_ref().map_or("invalid\n".to_owned(), |spec| {
        format!("valid\n{}", summary(spec, &empty))
    });
    let told = render(&loaded.diagnostics, &loaded.sources, false);
    format!("{told}{verdict}")
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "rewriting expectations is what UPDATE=1 asks for"
)]
fn every_case_is_told_as_expected() {
    let schemas = schemas();
    let update = std::env::var_os("UPDATE").is_some();
    let cases = cases();
    assert!(cases.len() >= 45, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let (file, outcome) = (case.join("expected.txt"), outcome(&schemas, case));
        if update {
            std::fs::write(&file, &outcome).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != outcome {
            wrong.push(format!("{}:\n{outcome}", case.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "run with UPDATE=1 and look at the difference:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn bad_cases_are_refused_and_good_ones_taken() {
    let schemas = schemas();
    for case in cases() {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let outcome = outcome(&schemas, &case);
        let valid = !outcome.ends_with("invalid\n");
        assert_eq!(valid, name.starts_with("good-"), "{name}:\n{outcome}");
    }
}

/// One line of the corpus' index.
struct Row {
    file: PathBuf,
    valid: bool,
    /// Pointers of the keys at fault.
    keys: Vec<String>,
}

#[expect(clippy::print_stdout, reason = "a skipped check must say so")]
fn corpus() -> Option<Vec<Row>> {
    let folder = root().join("../shared/corpus");
    let Ok(index) = std::fs::read_to_string(folder.join("INDEX.tsv")) else {
        println!("skipped: the corpus of real specs is not beside this checkout");
        return None;
    };
    let rows = index.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let keys = fields[2]
            .split("; ")
            .filter_map(|one| one.strip_prefix("unknown:").or(one.strip_prefix("value:")));
        let keys = keys
            .map(|key| format!("/{}", key.replace('.', "/")))
            .collect();
        Row {
            file: folder.join(fields[0]),
            valid: fields[1] == "valid",
            keys,
        }
    });
    Some(rows.collect())
}

#[test]
fn every_real_spec_gets_its_verdict_with_the_keys_at_fault() {
    let schemas = schemas();
    let wrong: String = corpus()
        .into_iter()
        .flatten()
        .filter_map(|row| wrong_verdict(&schemas, &row))
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
}

fn wrong_verdict(schemas: &Schemas, row: &Row) -> Option<String> {
    let bytes = std::fs::read(&row.file).unwrap();
    let is_spec = row
        .file
        .extension()
        .is_some_and(|extension| extension == "toml");
    let (spec, procfile) = if is_spec {
        (Some(&bytes[..]), None)
    } else {
        (None, Some(&bytes[..]))
    };
    let loaded = load(schemas, "apps/real", spec, procfile);
    let told: BTreeSet<String> = loaded
        .diagnostics
        .iter()
        .filter(|d| d.is_error())
        .map(|d| d.key.clone())
        .collect();
    let meant = |key: &str, told: &str| told == key || (added(key) && told.starts_with(key));
    let missed = row
        .keys
        .iter()
        .find(|key| !told.iter().any(|told| meant(key, told)));
    let stranger = told
        .iter()
        .find(|told| !row.keys.iter().any(|key| meant(key, told)));
    let right = loaded.spec.is_some() == row.valid
        && (row.valid || (missed.is_none() && stranger.is_none()));
    let text = render(&loaded.diagnostics, &loaded.sources, false);
    (!right).then(|| {
        format!(
            "{}: missed {missed:?}, stranger {stranger:?}\n{text}\n",
            row.file.display()
        )
    })
}

/// Sections that this project added to the format: there the keys inside are at fault instead of the section.
fn added(key: &str) -> bool {
    matches!(key, "/source" | "/proxy")
}

#[test]
fn t39_hostile_specs_end_soon_and_with_a_line() {
    let schemas = schemas();
    let keys = (0..9_000).fold("[run]\n".to_owned(), |text, i| {
        text + &format!("key{i} = {i}\n")
    });
    let long = format!("[env]\nA = \"{}\"\n", "x".repeat(250 * 1024));
    for (text, line) in [
        (format!("\nx = {}", "[".repeat(100_000)), 2),
        (format!("\n\n{}b = 1", "a.".repeat(10_000)), 3),
        (keys, 2),
        (long, 2),
        ("\n\n\u{1}".to_owned(), 3),
        ("a = 1\nb = 2\na = 3\n".to_owned(), 3),
    ] {
        let started = std::time::Instant::now();
        let loaded = load(&schemas, "apps/bomb", Some(text.as_bytes()), None);
        assert!(loaded.spec.is_none());
        assert_eq!(
            loaded.diagnostics[0].position.line, line,
            "{}",
            &loaded.diagnostics[0].message
        );
        assert!(loaded.diagnostics.len() <= 101);
        let told = render(&loaded.diagnostics, &loaded.sources, false);
        assert!(told.len() < 200_000, "{}", told.len());
        assert!(started.elapsed().as_secs() < 3, "{:?}", started.elapsed());
    }
}

#[test]
fn t22_no_hostile_name_becomes_an_app() {
    let schemas = schemas();
    for bad in [
        "A", "a_b", "..", "a/b", "con", "root", "postgres", "default", "-a", "a-", "é", "a\\u0000",
        "a b", "",
    ] {
        let text = format!("[metadata]\nid = \"{bad}\"\n");
        let loaded = load(&schemas, "apps/ok", Some(text.as_bytes()), None);
        assert!(loaded.spec.is_none(), "{bad}");
        let first = &loaded.diagnostics[0];
        assert_eq!(
            (
                first.position.line,
                first.position.column,
                first.key.as_str()
            ),
            (2, 6, "/metadata/id"),
            "{bad}"
        );
        assert_eq!(
            loaded.diagnostics.len(),
            1,
            "{bad}: {:?}",
            loaded.diagnostics
        );
    }
    let loaded = load(&schemas, "apps/Bad_Name", Some(b""), None);
    assert!(
        loaded.diagnostics[0]
            .message
            .starts_with("the directory's name cannot be the app's name")
    );
}

#[test]
fn the_schemas_are_the_same_every_time_and_describe_every_key() {
    let [first, second] = [schemas(), schemas()].map(|schemas| schemas.documents(Vec::new()));
    let text =
        |documents: &BTreeMap<&str, serde_json::Value>| serde_json::to_string(documents).unwrap();
    assert_eq!(text(&first), text(&second));
    assert_eq!(
        first.keys().copied().collect::<Vec<_>>(),
        ["agent", "hop3", "host"]
    );
    for (name, schema) in &first {
        assert!(
            !schema.to_string().contains("\"null\""),
            "{name} has a null"
        );
        undescribed(schema, name);
    }
}

fn undescribed(schema: &serde_json::Value, at: &str) {
    let properties = schema.get("properties").and_then(|p| p.as_object());
    for (key, value) in properties.into_iter().flatten() {
        let at = format!("{at}.{key}");
        assert!(
            value.get("description").is_some(),
            "{at} has no description"
        );
        undescribed(value, &at);
        if let Some(items) = value.get("items") {
            undescribed(items, &format!("{at}[]"));
        }
    }
}

#[test]
fn settings_of_operators_are_read_with_the_same_care() {
    let schemas = schemas();
    let found =
        AgentConfig::parse("lisen = \"\"\n[repo]\nur = 1\n", "agent.toml", &schemas).unwrap_err();
    let hints: Vec<_> = found.iter().filter_map(|d| d.hint.as_deref()).collect();
    assert_eq!(hints, ["did you mean `listen`?", "did you mean `url`?"]);
    assert!(HostConfig::parse("apps = \"*\"", "hosts/a.toml", &schemas).is_err());
}

proptest::proptest! {
    #[test]
    fn no_damage_to_a_spec_makes_its_reader_panic(case in 0_usize..1000, cuts in proptest::collection::vec((0_usize..5000, 0_usize..12, ".{0,4}"), 1..4)) {
        let cases = cases();
        let case = &cases[case % cases.len()];
        let mut text = std::fs::read_to_string(case.join("hop3.toml")).unwrap_or_default();
        for (at, length, with) in cuts {
            let start = text.floor_char_boundary(at % (text.len() + 1));
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, &with);
        }
        let schemas = SCHEMAS.get_or_init(schemas);
        let loaded = load(schemas, "apps/demo", Some(text.as_bytes()), Some(text.as_bytes()));
        let errors = loaded.diagnostics.iter().any(hop3_agent::spec::Diagnostic::is_error);
        proptest::prop_assert_eq!(loaded.spec.is_none(), errors);
        render(&loaded.diagnostics, &loaded.sources, true);
    }
}
