//! What was proved of a language's variant, in lines that `scripts/toolchains` makes `docs/TOOLCHAINS.md` of.

use std::io::Write as _;
use std::thread;

/// The columns, in the order in which a case comes to them.
pub(crate) const STAGES: [&str; 7] = [
    "detected",
    "built",
    "served",
    "warm rebuild",
    "dependency change",
    "failure caught",
    "rollback",
];

/// One case's cells.
pub(crate) struct Cells {
    /// `<language>-<variant>`.
    pub(crate) folder: &'static str,
    /// The test's name.
    pub(crate) test: &'static str,
}

/// A stage that has begun. Dropped by a panic, it says that it failed.
struct Begun<'a> {
    cells: &'a Cells,
    stage: &'static str,
}

impl Cells {
    /// Goes through a stage, and prints how it ended.
    pub(crate) fn stage<T>(&self, stage: &'static str, go: impl FnOnce() -> T) -> T {
        assert!(STAGES.contains(&stage), "{stage}");
        let begun = Begun { cells: self, stage };
        let result = go();
        drop(begun);
        result
    }

    /// A stage that was not gone through.
    pub(crate) fn not_run(&self, stage: &'static str, why: &str) {
        self.print(stage, &format!("not run: {why}"));
    }

    /// The same for all of them.
    pub(crate) fn none_run(&self, why: &str) {
        for stage in STAGES {
            self.not_run(stage, why);
        }
    }

    fn print(&self, stage: &str, verdict: &str) {
        let (language, variant) = self.folder.split_once('-').unwrap();
        let test = self.test;
        print(&format!(
            "cell {language} | {variant} | {stage} | {verdict} | {test}"
        ));
    }
}

/// Effect: prints a line past the test harness, which shows nothing of a test that passes; in one write, because tests run side by side.
pub(crate) fn print(line: &str) {
    let line = format!("\n{line}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let verdict = if thread::panicking() { "failed" } else { "ok" };
        self.cells.print(self.stage, verdict);
    }
}
