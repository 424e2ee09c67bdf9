//! The agent's clock, and nobody else's: faketime before the agent alone. The clock that intervals are measured by goes on.

use std::path::Path;

use crate::proof::{Program, Random};

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// How far it jumps.
const JUMPS: [&str; 5] = ["+10y", "-10y", "+1h", "-1h", "+40d"];

/// Whether this machine can do it.
pub(crate) fn is_there() -> bool {
    Path::new(LIBRARY).exists()
}

/// A program whose clock a file says.
pub(crate) fn faked(program: Program, file: &Path) -> Program {
    if !is_there() {
        return program;
    }
    program
        .env("LD_PRELOAD", LIBRARY)
        .env("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// Effect: the clock jumps; gives how far.
pub(crate) fn jump(file: &Path, random: &mut Random) -> &'static str {
    let jump = *random.one_of(&JUMPS);
    set(file, jump);
    jump
}

/// Effect: the clock is right again.
pub(crate) fn right(file: &Path) {
    set(file, "+0");
}

fn set(file: &Path, offset: &str) {
    // Whole or not at all: the agent reads it whenever it asks for the time.
    let beside = file.with_extension("new");
    std::fs::write(&beside, format!("{offset}\n")).unwrap();
    std::fs::rename(&beside, file).unwrap();
}
