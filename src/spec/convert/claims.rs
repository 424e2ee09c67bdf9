//! What a spec takes from other apps: data that is shared. It is read from the tree as it stands, for whoever compares specs with each other;
//! whether it is there is not judged here.

use serde_json::Value;

use super::Draft;
use crate::spec::app::Share;

impl Draft<'_> {
    /// `[[addons]]` with `share-from`.
    pub(super) fn shares(&self) -> Vec<Share> {
        let addons = self.entries("/addons").chain(self.entries("/provider"));
        let text = |table: &Value, key| table.get(key)?.as_str().map(str::to_owned);
        addons
            .filter_map(|(around, addon)| {
                let pointer = format!("{around}/share-from");
                let value = self.tree.place(&pointer).value;
                Some(Share {
                    kind: text(addon, "type").or_else(|| text(addon, "name")),
                    from: text(addon, "share-from")?,
                    at: self.tree.source.position(value.start),
                    pointer,
                })
            })
            .collect()
    }

    fn entries(&self, section: &'static str) -> impl Iterator<Item = (String, &Value)> {
        let items = self.tree.value.pointer(section).and_then(Value::as_array);
        let numbered = items.into_iter().flatten().enumerate();
        numbered.map(move |(index, item)| (format!("{section}/{index}"), item))
    }
}
