//! A `hop3.toml`, alone and beside a Procfile.
#![no_main]

use hop3_agent_fuzz::load;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    load(Some(bytes), None);
    load(Some(bytes), Some(b"web: serve\nrelease: migrate\n"));
});
