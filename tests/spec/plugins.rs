//! Plugins that only these tests have.

use hop3_agent::schema::Schemas;
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

/// What the operator tells the plugin.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Pad {
    /// Where it starts.
    place: Option<String>,
}

impl Section for Pad {
    const SLOT: Slot = Slot::Host;
    const NAME: &'static str = "pad";
}

pub(crate) fn schemas() -> Schemas {
    Schemas::compose(&[
        SectionDescriptor::of::<Rocket>(),
        SectionDescriptor::of::<Box>(),
        SectionDescriptor::of::<Pad>(),
    ])
}
