//! T39: files that cost more to read than they are worth.

use std::time::Duration;

use hop3_agent::spec::{LoadedApp, render};
use rustix::time::{ClockId, clock_gettime};

use super::{spec, text};
use crate::load;
use crate::plugins::schemas;
use crate::rows::row;

/// What a hostile file may cost of a processor. The test prints what it took, and allows a build without optimisation some more.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);
pub(super) const UNOPTIMISED: u32 = 4;

/// The time that this thread has had of a processor: other programs on the machine do not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
}

/// What a reading came to, and what it cost.
pub(super) fn timed(read: impl FnOnce() -> LoadedApp) -> (LoadedApp, Duration) {
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

pub(super) fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
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
