//! composer.json and composer.lock, as far as a plan must understand them. Pure.

use hop3_plugin_api::Result;
use hop3_plugin_api::serde_json::{Map, Value};

use crate::place::Place;
use crate::source;
use crate::version::{Pin, json_string};

pub(super) const MANIFEST: &str = "composer.json";
pub(super) const LOCK: &str = "composer.lock";

/// Packages that put others, or files of their own, elsewhere than into the vendor directory.
const INSTALLERS: [&str; 4] = [
    "composer/installers",
    "drupal/core-composer-scaffold",
    "oomphinc/composer-installers-extender",
    "wikimedia/composer-merge-plugin",
];

/// What a plan needs to know of an app's packages.
pub(super) struct Composer {
    pub(super) locked: bool,
    /// Whether it asks for more than PHP and its extensions.
    pub(super) requires: bool,
    /// Where packages go.
    pub(super) vendor: String,
    pub(super) php: Option<Pin>,
    /// Why the manifest and the lock do not suffice.
    pub(super) reads_the_source: Option<String>,
}

/// Reads the manifest; `None` where there is none.
pub(super) fn read(place: &Place<'_>) -> Result<Option<Composer>> {
    let Some(manifest) = source::json(&place.cx, MANIFEST)? else {
        return Ok(None);
    };
    let text = source::text(&place.cx, MANIFEST)?.unwrap_or_default();
    let vendor = json_string(&manifest, "/config/vendor-dir").unwrap_or("vendor");
    Ok(Some(Composer {
        locked: place.cx.source.has(LOCK),
        requires: names(&manifest).any(|name| name.contains('/')),
        vendor: source::normalised(vendor).unwrap_or_else(|| "vendor".to_owned()),
        php: php(place, &manifest, &text),
        reads_the_source: reads_the_source(place, &manifest)?,
    }))
}

fn names(manifest: &Value) -> impl Iterator<Item = &str> {
    let required = manifest.get("require").and_then(Value::as_object);
    required.into_iter().flat_map(Map::keys).map(String::as_str)
}

fn php(place: &Place<'_>, manifest: &Value, text: &str) -> Option<Pin> {
    let platform = json_string(manifest, "/config/platform/php");
    let asked = platform.or_else(|| json_string(manifest, "/require/php"))?;
    let pin = Pin::of_manifest(place, (MANIFEST, text), ("\"php\"", asked));
    Some(pin.reworded(range(asked)))
}

/// Composer separates alternatives by one bar or two, and its `~8.1` is any later 8.
fn range(text: &str) -> String {
    let alternatives = text
        .split('|')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let alternatives: Vec<String> = alternatives.map(|part| part.replace('~', "~>")).collect();
    alternatives.join(" || ")
}

fn reads_the_source(place: &Place<'_>, manifest: &Value) -> Result<Option<String>> {
    let file = place.shown(MANIFEST);
    let repositories = manifest.get("repositories");
    let of_object = repositories
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::values);
    let mut repositories = repositories
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .chain(of_object);
    if repositories.any(|it| json_string(it, "/type") == Some("path")) {
        return Ok(Some(format!("`{file}` takes packages from the source")));
    }
    let lock = source::lock_text(&place.cx, LOCK)?.unwrap_or_default();
    let installer = INSTALLERS
        .iter()
        .find(|name| lock.contains(&format!("\"name\": \"{name}\"")));
    Ok(installer.map(|name| format!("`{name}` puts packages outside of the vendor directory")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_of_composer_are_put_into_common_words() {
        assert_eq!(range("^8.1|^8.2"), "^8.1 || ^8.2");
        assert_eq!(range("~8.1 || 8.3.*"), "~>8.1 || 8.3.*");
        assert_eq!(range(">=8.1 <8.4"), ">=8.1 <8.4");
    }
}
