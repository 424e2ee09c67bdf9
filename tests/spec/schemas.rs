//! What the composed schemas promise.

use std::collections::BTreeMap;

use super::plugins::schemas;

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
