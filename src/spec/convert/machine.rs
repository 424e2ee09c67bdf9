//! What an app claims of its host: ports, volumes, backups.

use std::collections::BTreeMap;

use super::{Draft, stays_beneath};
use crate::spec::app::PortClaim;
use crate::spec::network::{Network, NotANetwork};
use crate::spec::sections::{Backup, Port, Volume, VolumeKind};
use crate::spec::suggest::shortened;

/// Ports of the host that no app can have, with whose they are.
const RESERVED: [(u16, &str); 3] = [
    (22, "the host's SSH"),
    (80, "the proxy"),
    (443, "the proxy"),
];

impl Draft<'_> {
    /// `[[ports]]`, each once.
    pub(super) fn ports(&mut self, ports: Option<&[Option<Port>]>) -> Vec<PortClaim> {
        let mut claims: Vec<PortClaim> = Vec::new();
        for (index, port) in ports.into_iter().flatten().enumerate() {
            let Some(port) = port else { continue };
            let claim = self.port(&format!("/ports/{index}"), port);
            let same = |other: &&PortClaim| {
                (other.number, other.protocol) == (claim.number, claim.protocol)
            };
            match claims.iter().find(same) {
                Some(first) => {
                    let words = (
                        format!("the port {} is claimed twice", claim.number),
                        "remove one of the two, or give it another `protocol`".to_owned(),
                    );
                    let other = first.pointer.clone();
                    self.conflict(&claim.pointer, (&other, "it is claimed here first"), words);
                }
                None => claims.push(claim),
            }
        }
        claims
    }

    fn port(&mut self, at: &str, port: &Port) -> PortClaim {
        let number = port.number.get();
        let pointer = format!("{at}/number");
        if let Some((_, owner)) = RESERVED.iter().find(|(reserved, _)| *reserved == number) {
            let message = format!("the port {number} belongs to {owner}");
            let hint = if number == 22 {
                "claim another one"
            } else {
                "remove it: the proxy passes requests on to the app; it needs only `[domains]`"
            };
            self.error(&pointer, message, hint);
        }
        PortClaim {
            number,
            protocol: port.protocol.unwrap_or_default(),
            name: port.name.clone(),
            source: self.network(&format!("{at}/source"), port.source.as_deref()),
            at: self
                .tree
                .source
                .position(self.tree.place(&pointer).value.start),
            pointer,
        }
    }

    fn network(&mut self, pointer: &str, source: Option<&str>) -> Option<Network> {
        let text = source.filter(|text| *text != "any")?;
        let hint = match Network::parse(text) {
            Ok(network) => return Some(network),
            Err(NotANetwork::Six) => {
                "only IPv4 networks can be named, such as `10.0.0.0/24`, or `any`"
            }
            Err(NotANetwork::Prefix) => "the number after the `/` is from 0 to 32",
            Err(NotANetwork::Address) => "write `any`, or an IPv4 network such as `10.0.0.0/24`",
        };
        let message = format!("`{}` is not a network", shortened(text));
        self.error(pointer, message, hint);
        None
    }

    pub(super) fn volumes(&mut self, volumes: Option<&[Option<Volume>]>) {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut targets: BTreeMap<String, usize> = BTreeMap::new();
        for (index, volume) in volumes.into_iter().flatten().enumerate() {
            let Some(volume) = volume else { continue };
            let at = format!("/volumes/{index}");
            self.volume(&at, volume);
            if let Some(other) = names.insert(volume.name.as_str(), index) {
                self.same_name(
                    &at,
                    &format!("/volumes/{other}"),
                    ("volume", volume.name.as_str()),
                );
            }
            if let Some(other) = targets.insert(normal(&volume.target), index) {
                let words = (
                    format!(
                        "two volumes have the target `{}`",
                        shortened(&volume.target)
                    ),
                    "give each a target of its own".to_owned(),
                );
                let other = format!("/volumes/{other}/target");
                self.conflict(
                    &format!("{at}/target"),
                    (&other, "it stands here first"),
                    words,
                );
            }
        }
    }

    fn volume(&mut self, at: &str, volume: &Volume) {
        if !stays_beneath(&volume.target) || normal(&volume.target).is_empty() {
            let message = format!(
                "the target `{}` is not a directory below the source",
                shortened(&volume.target)
            );
            let hint = "write a relative path without `..`, such as `public/uploads`";
            self.error(&format!("{at}/target"), message, hint);
        }
        if volume.size.is_some() && volume.kind != Some(VolumeKind::Tmpfs) {
            let hint = "remove it, or write `type = \"tmpfs\"`";
            self.key_error(&format!("{at}/size"), "only a `tmpfs` has a size", hint);
        }
    }

    pub(super) fn backup(&mut self, backup: Option<&Backup>) {
        let Some(backup) = backup else { return };
        for (index, path) in backup.paths.iter().flatten().enumerate() {
            if !stays_beneath(path) {
                let message = format!(
                    "`{}` is not a path below the app's directory",
                    shortened(path)
                );
                self.error(
                    &format!("/backup/paths/{index}"),
                    message,
                    "use a relative path without `..`",
                );
            }
        }
        if let Some(schedule) = &backup.schedule {
            self.schedule("/backup/schedule", &schedule.0);
        }
    }
}

/// A path without `.` and doubled slashes.
fn normal(path: &str) -> String {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_form() {
        assert_eq!(normal("./a//b/"), "a/b");
        assert_eq!(normal("."), "");
    }
}
