//! The promises of a configuration section.

use hop3_plugin_api::serde_json::{self, Value};
use hop3_plugin_api::{Section, schemars};

/// Defaults survive a round trip, every property is described, an unknown key is refused.
pub fn conforms<S: Section>() {
    defaults_round_trip::<S>();
    unknown_keys_are_refused::<S>();
    let schema = schemars::SchemaGenerator::default().into_root_schema_for::<S>();
    require_descriptions(S::NAME, schema.as_value());
}

fn defaults_round_trip<S: Section>() {
    let value = serde_json::to_value(S::default()).expect("a section's defaults serialise");
    let again: S = serde_json::from_value(value.clone())
        .unwrap_or_else(|e| panic!("the defaults of `{}` do not read back: {e}", S::NAME));
    let again = serde_json::to_value(again).expect("a section serialises");
    assert_eq!(
        value,
        again,
        "the defaults of `{}` change on a round trip",
        S::NAME
    );
}

fn unknown_keys_are_refused<S: Section>() {
    let unknown = serde_json::json!({ "hop3-no-such-key": 1 });
    assert!(
        serde_json::from_value::<S>(unknown).is_err(),
        "`{}` takes an unknown key: add `deny_unknown_fields`",
        S::NAME
    );
}

fn require_descriptions(place: &str, schema: &Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                for (name, property) in properties {
                    assert!(
                        property.get("description").is_some(),
                        "the key `{name}` at `{place}` has no description"
                    );
                }
            }
            for (name, inner) in object {
                require_descriptions(&format!("{place}/{name}"), inner);
            }
        }
        Value::Array(items) => {
            for item in items {
                require_descriptions(place, item);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use hop3_plugin_api::Slot;
    use hop3_plugin_api::schemars::JsonSchema;
    use hop3_plugin_api::serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    #[serde(crate = "hop3_plugin_api::serde", deny_unknown_fields, default)]
    #[schemars(crate = "hop3_plugin_api::schemars")]
    struct Good {
        /// How many.
        count: u8,
    }

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    #[serde(crate = "hop3_plugin_api::serde", deny_unknown_fields, default)]
    #[schemars(crate = "hop3_plugin_api::schemars")]
    struct Undescribed {
        count: u8,
    }

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    #[serde(crate = "hop3_plugin_api::serde", default)]
    #[schemars(crate = "hop3_plugin_api::schemars")]
    struct Tolerant {
        /// How many.
        count: u8,
    }

    macro_rules! section {
        ($type:ident) => {
            impl Section for $type {
                const SLOT: Slot = Slot::App;
                const NAME: &'static str = "sample";
            }
        };
    }
    section!(Good);
    section!(Undescribed);
    section!(Tolerant);

    #[test]
    fn only_a_described_and_strict_section_conforms() {
        conforms::<Good>();
        assert!(catch_unwind(conforms::<Undescribed>).is_err());
        assert!(catch_unwind(conforms::<Tolerant>).is_err());
    }
}
