//! Hostile specs: each test carries the number of the threat that it stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hop3_agent::schema::Schemas;
use hop3_agent::spec::{AppSpec, LoadedApp, Surroundings, render, repo_checks};
use hop3_plugin_api::{AppName, EnvValue, HostName};
use rustix::time::{ClockId, clock_gettime};

use super::load;
use super::plugins::schemas;
use super::rows::row;

fn text(schemas: &Schemas, directory: &str, text: &str) -> LoadedApp {
    load(schemas, directory, Some(text.as_bytes()), None)
}

fn spec(schemas: &Schemas, directory: &str, content: &str) -> AppSpec {
    let loaded = text(schemas, directory, content);
    loaded
        .spec
        .unwrap_or_else(|| panic!("{directory}: {:?}", loaded.diagnostics))
}

#[test]
fn t22_no_hostile_name_becomes_an_app() {
    let schemas = schemas();
    let long = "a".repeat(64);
    for bad in [
        "A", "a_b", "..", "a/b", "con", "root", "postgres", "default", "-a", "a-", "é", "a\\u0000",
        "a b", "", "1a", "a\\n", "%n", "$(id)", "a.b", "template", &long,
    ] {
        let content = format!("[metadata]\nid = \"{bad}\"\n");
        let loaded = text(&schemas, "apps/ok", &content);
        assert!(loaded.spec.is_none(), "{bad}");
        let first = &loaded.diagnostics[0];
        let place = (
            first.position.line,
            first.position.column,
            first.key.as_str(),
        );
        assert_eq!(place, (2, 6, "/metadata/id"), "{bad}");
        let found = &loaded.diagnostics;
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(first.hint.is_some(), "{bad}");
    }
}

#[test]
fn t22_a_directory_s_name_passes_the_same_grammar() {
    let schemas = schemas();
    for bad in ["Bad_Name", "a b", "root", "..", "a-"] {
        let loaded = text(&schemas, &format!("apps/{bad}"), "");
        let first = &loaded.diagnostics[0];
        let begins = "the directory's name cannot be the app's name";
        assert!(
            first.message.starts_with(begins),
            "{bad}: {}",
            first.message
        );
        let named = text(
            &schemas,
            &format!("apps/{bad}"),
            "[metadata]\nid = \"fine\"\n",
        );
        assert!(named.spec.is_some(), "{bad}");
    }
}

#[test]
fn t22_names_that_fold_to_one_hold_each_other() {
    let schemas = schemas();
    let specs = [
        spec(&schemas, "apps/a-b", ""),
        spec(&schemas, "apps/a_b", "[metadata]\nid = \"a-b\"\n"),
        spec(&schemas, "apps/other", ""),
    ];
    let held = repo_checks(&specs, &Surroundings::default());
    assert_eq!(held.keys().collect::<Vec<_>>(), ["apps/a-b", "apps/a_b"]);
    assert!(held["apps/a_b"][0].message.contains("apps/a-b/hop3.toml"));
}

fn claim(schemas: &Schemas, directory: &str, host: &str) -> AppSpec {
    spec(
        schemas,
        directory,
        &format!("[domains]\nlist = [\"{host}\"]\n"),
    )
}

/// Spellings of `bank.test` that a program or a person could take for it.
const MASKS: [&str; 6] = [
    "bank.test",
    "BANK.test",
    "bank.test.",
    "Bank.Test.",
    "ｂａｎｋ.test",
    "bank。test",
];

#[test]
fn t24_no_spelling_of_a_host_name_takes_it_from_its_holder() {
    let schemas = schemas();
    let victim = claim(&schemas, "apps/zzz", "bank.test");
    let holders = BTreeMap::from([(
        HostName::parse("bank.test").unwrap(),
        AppName::parse("zzz").unwrap(),
    )]);
    let surroundings = Surroundings {
        holders,
        broken: BTreeSet::new(),
        ..Surroundings::default()
    };
    for mask in MASKS {
        let specs = [claim(&schemas, "apps/aaa", mask), victim.clone()];
        let held = repo_checks(&specs, &surroundings);
        assert_eq!(held.keys().collect::<Vec<_>>(), ["apps/aaa"], "{mask}");
        assert!(held["apps/aaa"][0].message.contains("`zzz`"), "{mask}");
    }
}

#[test]
fn t24_an_international_name_is_one_name_however_it_is_written() {
    let schemas = schemas();
    let specs = [
        claim(&schemas, "apps/aaa", "Bücher.example"),
        claim(&schemas, "apps/bbb", "XN--bcher-kva.example."),
        claim(&schemas, "apps/ccc", "bucher.example"),
    ];
    assert_eq!(specs[0].hosts, specs[1].hosts);
    let held = repo_checks(&specs, &Surroundings::default());
    assert_eq!(held.keys().collect::<Vec<_>>(), ["apps/aaa", "apps/bbb"]);
}

#[test]
fn t24_a_newcomer_s_wildcard_or_catch_all_never_holds_the_victim() {
    let schemas = schemas();
    let holder = (
        HostName::parse("bank.test").unwrap(),
        AppName::parse("zzz").unwrap(),
    );
    let surroundings = Surroundings {
        holders: BTreeMap::from([holder]),
        broken: BTreeSet::new(),
        ..Surroundings::default()
    };
    for wildcard in ["*.test", "*.bank.test", "_"] {
        let specs = [
            claim(&schemas, "apps/aaa", wildcard),
            claim(&schemas, "apps/zzz", "bank.test"),
        ];
        let held = repo_checks(&specs, &surroundings);
        assert!(!held.contains_key("apps/zzz"), "{wildcard}: {held:?}");
    }
}

#[test]
fn t24_a_host_name_that_only_looks_like_one_is_refused() {
    let schemas = schemas();
    for bad in [
        "bank.test\\n",
        "bank.test; return 200",
        "bank.test\\u0000",
        "xn--zz--zz.test",
        "bank_.test",
        "bank.test:443",
        "https://bank.test",
        "bank..test",
        "-bank.test",
        "*.*.test",
        "ba nk.test",
    ] {
        let loaded = text(
            &schemas,
            "apps/aaa",
            &format!("[domains]\nlist = [\"{bad}\"]\n"),
        );
        assert!(loaded.spec.is_none(), "{bad}");
        let found = &loaded.diagnostics;
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert_eq!(
            (found[0].position.line, found[0].position.column),
            (2, 9),
            "{bad}"
        );
    }
}

/// A value reaches the app byte by byte, or the spec is refused. What a process is given of it is another test's.
#[test]
fn t26_values_are_taken_byte_by_byte() {
    let schemas = schemas();
    let long = "x".repeat(120 * 1024);
    let values = [
        "a\nLD_PRELOAD=/tmp/x.so",
        "it's",
        "say \"hi\"",
        "$HOME ${HOME} $(id) `id`",
        "%h %n %%",
        "back\\slash \\n",
        " blanks around ",
        "",
        "\t\r\n\u{7f}\u{1b}[31m",
        "ünïcode 🦀 \u{202e}",
        &long,
    ];
    for value in values {
        let quoted = toml::Value::from(value).to_string();
        let spec = spec(&schemas, "apps/a", &format!("[env]\nVALUE = {quoted}\n"));
        let literal = EnvValue::Literal {
            value: value.to_owned(),
        };
        assert_eq!(spec.env.values["VALUE"], literal, "{quoted}");
    }
    row("T26", &[(values.len(), "values taken byte by byte")]);
}

#[test]
fn t26_values_that_no_process_can_be_given_are_refused() {
    let schemas = schemas();
    let long = "x".repeat(200 * 1024);
    let values = ["a\\u0000b", &long];
    for value in values {
        let loaded = text(&schemas, "apps/a", &format!("[env]\nVALUE = \"{value}\"\n"));
        assert!(loaded.spec.is_none());
        assert_eq!(loaded.diagnostics.len(), 1);
        assert_eq!(loaded.diagnostics[0].position.line, 2);
    }
    row("T26", &[(values.len(), "values refused with their line")]);
}

/// Names have at most 128 characters and not 64: frameworks map whole paths of settings to variables, which get longer than 64.
#[test]
fn t26_names_of_variables_have_a_grammar_and_no_loader_hook_is_one() {
    let schemas = schemas();
    let longest = "A".repeat(128);
    for good in [
        "A",
        "a1",
        "PATH",
        "GIT_SSH_COMMAND",
        "LD_LIBRARY",
        longest.as_str(),
    ] {
        let loaded = text(&schemas, "apps/a", &format!("[env]\n{good} = \"1\"\n"));
        assert!(loaded.spec.is_some(), "{good}: {:?}", loaded.diagnostics);
    }
    let too_long = "A".repeat(129);
    let bad_names = [
        "\"A=B\"",
        "\"A B\"",
        "\"A\\nB\"",
        "\"1A\"",
        "\"\"",
        "\"É\"",
        "\"A-B\"",
        "\"A.B\"",
        "LD_PRELOAD",
        "LD_AUDIT",
        "LD_LIBRARY_PATH",
        "GLIBC_TUNABLES",
        too_long.as_str(),
    ];
    for bad in bad_names {
        for table in ["env", "env.computed", "contexts.a.env"] {
            let content = format!("[contexts.a]\nserver = \"x\"\n[{table}]\n{bad} = \"1\"\n");
            let loaded = text(&schemas, "apps/a", &content);
            let hook = table == "contexts.a.env" && !bad.starts_with('"') && bad.len() < 128;
            assert_eq!(loaded.spec.is_none(), !hook, "{table}: {bad}");
        }
    }
    row(
        "T26",
        &[(
            bad_names.len(),
            "names of variables and loader hooks refused",
        )],
    );
}

/// What a hostile file may cost of a processor. The test prints what it took, and allows a build without optimisation some more.
const PATIENCE: Duration = Duration::from_millis(100);
const UNOPTIMISED: u32 = 4;

/// The time that this thread has had of a processor: other programs on the machine do not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
}

/// What a reading came to, and what it cost.
fn timed(read: impl FnOnce() -> LoadedApp) -> (LoadedApp, Duration) {
    let started = processor_time();
    let loaded = read();
    (loaded, processor_time().checked_sub(started).unwrap())
}

struct Bomb {
    name: &'static str,
    file: Vec<u8>,
    line: u32,
}

fn bomb(name: &'static str, line: u32, file: impl Into<Vec<u8>>) -> Bomb {
    let file = file.into();
    Bomb { name, file, line }
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn bombs() -> Vec<Bomb> {
    let under_the_cap = 250 * 1024;
    vec![
        bomb(
            "100 000 brackets",
            2,
            format!("\nx = {}", "[".repeat(100_000)),
        ),
        bomb(
            "100 000 braces",
            2,
            format!("\nx = {}", "{a=".repeat(80_000)),
        ),
        bomb(
            "a key of 10 000 parts",
            3,
            format!("\n\n{}b = 1", "a.".repeat(10_000)),
        ),
        bomb(
            "1 500 keys of 85 parts",
            1,
            lines(1_500, |i| format!("{}b{i} = 1\n", "a.".repeat(84))),
        ),
        bomb(
            "a section of 70 parts",
            1,
            format!("[{}b]\nc = 1", "a.".repeat(69)),
        ),
        bomb(
            "a million keys",
            1,
            lines(1_000_000, |i| format!("k{i} = 1\n")),
        ),
        bomb(
            "as many keys as fit",
            10_001,
            lines(21_000, |i| format!("k{i:05} = 1\n")),
        ),
        bomb(
            "9 000 unknown keys",
            2,
            format!("[run]\n{}", lines(9_000, |i| format!("key{i} = {i}\n"))),
        ),
        bomb(
            "9 000 unknown sections",
            1,
            lines(4_900, |i| format!("[section{i}]\na = 1\n")),
        ),
        bomb(
            "9 000 items on one line",
            1,
            format!("addons = [{}\"é\"]", "\"é\", ".repeat(9_000)),
        ),
        bomb(
            "2 400 jobs",
            1,
            lines(2_400, |i| {
                format!(
                    "[[jobs]]\nname = \"j{i}\"\nschedule = \"0 0 30 2 *\"\ncommand = \"a\nb % c\"\n"
                )
            })
            .replace("a\nb", "a\\nb"),
        ),
        bomb(
            "3 000 addons of one name",
            4,
            lines(3_000, |_| "[[addons]]\ntype = \"sqlite\"\n\n".to_owned()),
        ),
        bomb(
            "9 000 host names of one form",
            2,
            format!("[domains]\nlist = [{}]", "\"é.test\", ".repeat(9_000)),
        ),
        bomb(
            "9 000 bad variables",
            2,
            format!("[env]\n{}", lines(9_000, |i| format!("\"a b{i}\" = {i}\n"))),
        ),
        bomb(
            "9 000 credentials",
            2,
            format!(
                "[env]\n{}",
                lines(8_000, |i| format!("K{i} = \"ghp_canary{i}\"\n"))
            ),
        ),
        bomb(
            "a text of 300 KiB",
            1,
            format!("[env]\nA = \"{}\"\n", "x".repeat(300 * 1024)),
        ),
        bomb(
            "a text up to the cap",
            2,
            format!("[env]\nA = \"{}\"\n", "x".repeat(under_the_cap)),
        ),
        bomb(
            "a key up to the cap",
            2,
            format!("[run]\n{} = 1\n", "k".repeat(under_the_cap)),
        ),
        bomb(
            "a text without end",
            2,
            format!("[env]\nA = \"{}", "x".repeat(under_the_cap)),
        ),
        bomb("quotes", 1, "\"".repeat(under_the_cap)),
        bomb("a byte order mark", 1, "\u{feff}[run]\nstart = \"x\"\n"),
        bomb(
            "bytes that are not UTF-8",
            2,
            b"[run]\nstart = \"\xff\"\n".to_vec(),
        ),
        bomb("a control character", 3, "\n\n\u{1}"),
        bomb("a key twice", 3, "a = 1\nb = 2\na = 3\n"),
        bomb("a key 60 000 times", 2, "a=1\n".repeat(60_000)),
        bomb("a section 40 000 times", 2, "[run]\n".repeat(40_000)),
        bomb(
            "a number without end",
            2,
            format!("[run]\nstart-timeout = {}", "9".repeat(under_the_cap)),
        ),
        bomb(
            "an expression that explodes",
            2,
            "[waf]\nallow = [\"((a{1000}){1000}){1000}\"]\n",
        ),
    ]
}

#[test]
fn t39_bombs_end_soon_with_a_line_and_few_words() {
    let schemas = schemas();
    text(&schemas, "apps/warm", "[run]\nstart = \"x\"\n");
    let mut slowest = Duration::ZERO;
    for Bomb { name, file, line } in bombs() {
        let (loaded, took) = timed(|| load(&schemas, "apps/bomb", Some(&file), None));
        println!("{name}: {} KiB in {took:?}", file.len() / 1024);
        assert!(loaded.spec.is_none(), "{name}");
        let first = loaded.diagnostics.iter().find(|d| d.is_error()).unwrap();
        assert_eq!(first.position.line, line, "{name}: {}", first.message);
        assert!(loaded.diagnostics.len() <= 101, "{name}");
        let told = render(&loaded.diagnostics, &loaded.sources, false);
        assert!(
            told.len() < 200_000,
            "{name}: {} bytes of words",
            told.len()
        );
        assert!(!told.contains("ghp_canary"), "{name}");
        assert!(took < PATIENCE * UNOPTIMISED, "{name} took {took:?}");
        slowest = slowest.max(took);
    }
    let slowest = usize::try_from(slowest.as_millis()).unwrap();
    row(
        "T39",
        &[
            (bombs().len(), "bombs in a spec"),
            (bombs().len(), "refused with a line"),
            (slowest, "ms of a processor for the slowest"),
        ],
    );
}

#[test]
fn t39_bombs_in_a_procfile_end_soon_too() {
    let schemas = schemas();
    let bombs = [
        ("60 000 kinds", lines(60_000, |i| format!("{i}:\n"))),
        ("60 000 lines without a colon", "abc\n".repeat(60_000)),
        ("a kind 30 000 times", "web: x\n".repeat(30_000)),
        (
            "12 000 workers",
            lines(12_000, |i| format!("worker{i}: ./x\n")),
        ),
        ("9 000 schedules", "cron: 0 0 30 2 * x\n".repeat(9_000)),
        ("one endless line", "a".repeat(250 * 1024)),
    ];
    for (name, file) in &bombs {
        let (loaded, took) = timed(|| load(&schemas, "apps/bomb", None, Some(file.as_bytes())));
        println!("{name}: {} KiB in {took:?}", file.len() / 1024);
        assert!(loaded.diagnostics.len() <= 101, "{name}");
        assert!(took < PATIENCE * UNOPTIMISED, "{name} took {took:?}");
    }
    row("T39", &[(bombs.len(), "bombs in a Procfile ended at once")]);
}

#[test]
fn t39_no_bomb_in_one_app_changes_what_is_read_of_another() {
    let schemas = schemas();
    let before = spec(&schemas, "apps/good", "[run]\nstart = \"./good\"\n");
    for bomb in bombs() {
        load(&schemas, "apps/bomb", Some(&bomb.file), None);
    }
    assert_eq!(
        spec(&schemas, "apps/good", "[run]\nstart = \"./good\"\n"),
        before
    );
    row(
        "T39",
        &[(
            bombs().len(),
            "bombs beside another app, which is read as before",
        )],
    );
}

fn job(schedule: &str, command: &str) -> String {
    let [schedule, command] = [schedule, command].map(|text| toml::Value::from(text).to_string());
    format!("[[jobs]]\nname = \"a\"\nschedule = {schedule}\ncommand = {command}\n")
}

#[test]
fn t41_a_schedule_is_five_fields_that_some_minute_fits() {
    let schemas = schemas();
    for bad in [
        "* * * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "@reboot",
        "* * * *",
        "",
        " ",
        "0 0 1 1 * touch owned",
        "0 0 * * mon\n* * * * * root touch owned",
        "0 0 * * $(id)",
        "0 0 * * -1",
        "0 0 * * 1%",
        "9999999999999999999999 * * * *",
    ] {
        let loaded = text(&schemas, "apps/a", &job(bad, "./x"));
        assert!(loaded.spec.is_none(), "{bad:?}");
        let found = &loaded.diagnostics;
        assert_eq!(found.len(), 1, "{bad:?}: {found:?}");
        assert_eq!(found[0].key, "/jobs/0/schedule", "{bad:?}");
        assert!(found[0].hint.is_some(), "{bad:?}");
    }
    for good in [
        "0 0 29 2 *",
        "0 0 30 2 mon",
        "* * * * *",
        "*/5 0-6 1,15 jan-mar mon-fri",
    ] {
        let loaded = text(&schemas, "apps/a", &job(good, "./x"));
        assert!(loaded.spec.is_some(), "{good}: {:?}", loaded.diagnostics);
    }
}

#[test]
fn t41_a_command_means_nothing_to_a_crontab() {
    let schemas = schemas();
    for command in [
        "a\n* * * * * root touch owned",
        "date +%F%n",
        "x # not a comment",
    ] {
        spec(&schemas, "apps/a", &job("0 0 * * *", command));
    }
    for blank in ["", " \n"] {
        let loaded = text(&schemas, "apps/a", &job("0 0 * * *", blank));
        assert_eq!(loaded.diagnostics[0].key, "/jobs/0/command");
    }
}

#[test]
fn t41_an_app_has_at_most_fifty_jobs() {
    let schemas = schemas();
    let jobs = |count| {
        lines(count, |i| {
            format!("[[jobs]]\nname = \"j{i}\"\nschedule = \"* * * * *\"\ncommand = \"x\"\n")
        })
    };
    assert!(text(&schemas, "apps/a", &jobs(50)).spec.is_some());
    for many in [51, 2_000] {
        let loaded = text(&schemas, "apps/a", &jobs(many));
        assert_eq!(loaded.diagnostics.len(), 1, "{:?}", loaded.diagnostics);
        let message = format!("`jobs` has {many} items, more than the 50 that are allowed");
        assert_eq!(loaded.diagnostics[0].message, message);
    }
    let (loaded, took) = timed(|| text(&schemas, "apps/a", &jobs(10_000)));
    assert!(loaded.spec.is_none() && took < PATIENCE * UNOPTIMISED);
}

#[test]
fn t41_the_procfile_s_cron_passes_the_same_grammar() {
    let schemas = schemas();
    for bad in [
        "* * * * * * ./x",
        "0 24 * * * ./x",
        "0 0 30 2 * ./x",
        "* * * * *",
        "@daily ./x",
    ] {
        let procfile = format!("web: ./web\ncron: {bad}\n");
        let loaded = load(&schemas, "apps/a", None, Some(procfile.as_bytes()));
        assert!(loaded.spec.is_none(), "{bad}");
        assert_eq!(loaded.diagnostics[0].position.line, 2, "{bad}");
        let spec = format!("[run.workers]\ncron = \"{bad}\"\n");
        let loaded = text(&schemas, "apps/a", &spec);
        assert!(loaded.spec.is_none(), "{bad}");
    }
}
