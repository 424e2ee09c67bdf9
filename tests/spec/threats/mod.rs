//! Hostile specs: each test carries the number of the threat that it stands for.

mod bombs;
mod cron;
mod env;
mod hosts;
mod names;

use hop3_agent::schema::Schemas;
use hop3_agent::spec::{AppSpec, LoadedApp};

use super::load;

fn text(schemas: &Schemas, directory: &str, text: &str) -> LoadedApp {
    load(schemas, directory, Some(text.as_bytes()), None)
}

fn spec(schemas: &Schemas, directory: &str, content: &str) -> AppSpec {
    let loaded = text(schemas, directory, content);
    loaded
        .spec
        .unwrap_or_else(|| panic!("{directory}: {:?}", loaded.diagnostics))
}
