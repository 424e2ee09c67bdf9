//! What a spec needs from outside itself: secrets of the config repo, ports of the host, data of others. It is read from the tree as it
//! stands, for whoever compares specs with each other; whether it is there is not judged here.

use serde_json::Value;

use super::Draft;
use crate::spec::app::{PortClaim, PortProtocol, Position, Share};
use crate::spec::tree::escape;

impl Draft<'_> {
    /// Names of encrypted secrets that `[env]` takes, with the place of each.
    pub(super) fn secrets(&self) -> Vec<(String, Position)> {
        let variables = self.tree.value.get("env").and_then(Value::as_object);
        let used = variables
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key, value.get("secret")?.as_str()?)));
        used.map(|(key, name)| {
            let at = self.position(&format!("/env/{}/secret", escape(key)));
            (name.to_owned(), at)
        })
        .collect()
    }

    /// `[[ports]]` whose number is one.
    pub(super) fn ports(&self) -> Vec<PortClaim> {
        let claims = self.entries("/ports");
        claims
            .filter_map(|(pointer, claim)| {
                let number = claim.get("number")?.as_u64()?;
                let udp = claim.get("protocol").and_then(Value::as_str) == Some("udp");
                Some(PortClaim {
                    number: u16::try_from(number).ok()?,
                    protocol: if udp {
                        PortProtocol::Udp
                    } else {
                        PortProtocol::Tcp
                    },
                    at: self.position(&format!("{pointer}/number")),
                })
            })
            .collect()
    }

    /// `[[addons]]` with `share-from`.
    pub(super) fn shares(&self) -> Vec<Share> {
        let addons = self.entries("/addons").chain(self.entries("/provider"));
        let text = |table: &Value, key| table.get(key)?.as_str().map(str::to_owned);
        addons
            .filter_map(|(pointer, addon)| {
                Some(Share {
                    kind: text(addon, "type").or_else(|| text(addon, "name")),
                    from: text(addon, "share-from")?,
                    at: self.position(&format!("{pointer}/share-from")),
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
