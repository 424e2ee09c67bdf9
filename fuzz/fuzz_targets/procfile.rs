//! A Procfile, alone and under a `hop3.toml`.
#![no_main]

use hop3_agent_fuzz::load;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    load(None, Some(bytes));
    load(Some(b"[run]\nstart = \"serve\"\n"), Some(bytes));
});
