//! `config.json`: the sites as the worker reads them. Pure; equal sites give equal bytes.

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::{AppName, Digest, HostName, Site};
use serde::{Deserialize, Serialize};

use crate::routing::{Ledger, Table};

/// Its name in the proxy's directory.
pub(crate) const FILE_NAME: &str = "config.json";

/// The version of the format that this binary writes and reads.
const FORMAT: u32 = 1;

/// All sites, by app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Document {
    format: u32,
    sites: Vec<Site>,
}

impl Document {
    /// A document of these sites.
    pub(crate) fn new(mut sites: Vec<Site>) -> Self {
        sites.sort_by(|a, b| a.app.cmp(&b.app));
        Self {
            format: FORMAT,
            sites,
        }
    }

    /// Reads a document, or says what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if format != FORMAT {
            return Err(format!("format {format} is unknown, expected {FORMAT}"));
        }
        serde_json::from_slice(bytes).map_err(|e| e.to_string())
    }

    /// Its bytes on disk.
    pub(crate) fn render(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("sites serialise to JSON");
        text.push('\n');
        text
    }

    /// Its sites, by app.
    pub(crate) fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The digest of each site, or of those of some apps.
    pub(crate) fn digests(&self, of: Option<&BTreeSet<AppName>>) -> BTreeMap<AppName, Digest> {
        self.sites
            .iter()
            .filter(|site| of.is_none_or(|apps| apps.contains(&site.app)))
            .map(|site| (site.app.clone(), Digest::of(site)))
            .collect()
    }

    /// Whether a worker would take it.
    pub(crate) fn check(&self) -> Result<(), String> {
        Table::compile(self, &Ledger::default()).map(drop)
    }
}

/// Sites that go live, and those that do not, with the reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) live: Vec<Site>,
    pub(crate) refused: BTreeMap<AppName, String>,
}

/// Judges each site by itself and against those before it. What is refused keeps its former version, without the host names that a
/// site which goes live claims.
pub(crate) fn admit(sites: &[Site], former: &[Site]) -> Admission {
    let mut admission = Admission {
        live: Vec::new(),
        refused: BTreeMap::new(),
    };
    let mut holders: BTreeMap<&HostName, &AppName> = BTreeMap::new();
    let mut served: BTreeSet<&AppName> = BTreeSet::new();
    for site in sites {
        let judged = if served.contains(&site.app) {
            Err("the app has two sites".to_owned())
        } else {
            judge(site, &holders)
        };
        match judged {
            Ok(()) => {
                served.insert(&site.app);
                holders.extend(site.hosts.iter().map(|host| (host, &site.app)));
                admission.live.push(site.clone());
            }
            Err(reason) => drop(admission.refused.insert(site.app.clone(), reason)),
        }
    }
    let kept: Vec<Site> = former
        .iter()
        .filter(|site| admission.refused.contains_key(&site.app) && !served.contains(&site.app))
        .filter_map(|site| without(site, &holders))
        .collect();
    admission.live.extend(kept);
    admission
}

fn judge(site: &Site, holders: &BTreeMap<&HostName, &AppName>) -> Result<(), String> {
    if let Some((host, app)) = site.hosts.iter().find_map(|h| holders.get_key_value(h)) {
        return Err(format!("the host name `{host}` belongs to `{app}`"));
    }
    let relative = |path: &std::path::Path| path.is_relative();
    if let Some(path) = site.static_paths.iter().find(|p| relative(&p.directory)) {
        return Err(format!("the directory of `{}` is not absolute", path.url));
    }
    Document::new(vec![site.clone()]).check()
}

fn without(site: &Site, holders: &BTreeMap<&HostName, &AppName>) -> Option<Site> {
    let mut site = site.clone();
    site.hosts.retain(|host| !holders.contains_key(host));
    (!site.hosts.is_empty()).then_some(site)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(app: &str, hosts: &[&str]) -> Site {
        serde_json::from_value(serde_json::json!({"app": app, "hosts": hosts, "backends": []}))
            .unwrap()
    }

    #[test]
    fn equal_sites_give_equal_bytes_whatever_their_order() {
        let (a, b) = (site("a", &["a.test"]), site("b", &["b.test"]));
        let one = Document::new(vec![a.clone(), b.clone()]).render();
        assert_eq!(one, Document::new(vec![b, a]).render());
        let parsed = Document::parse(one.as_bytes()).unwrap();
        assert_eq!(parsed.render(), one);
    }

    #[test]
    fn a_newer_format_is_refused_by_its_number() {
        let error = Document::parse(br#"{"format": 2, "places": []}"#).unwrap_err();
        assert_eq!(error, "format 2 is unknown, expected 1");
        assert!(Document::parse(b"{").is_err());
    }

    #[test]
    fn the_later_claimant_of_a_host_is_refused_and_its_former_site_stays() {
        let former = [site("b", &["b.test", "a.test"])];
        let sites = [site("a", &["a.test"]), site("b", &["b.test", "a.test"])];
        let admission = admit(&sites, &former);
        assert_eq!(
            admission.live,
            [site("a", &["a.test"]), site("b", &["b.test"])]
        );
        assert_eq!(
            admission.refused[&AppName::parse("b").unwrap()],
            "the host name `a.test` belongs to `a`"
        );
        assert_eq!(Document::new(admission.live).check(), Ok(()));
    }

    #[test]
    fn a_site_that_vanished_is_gone_and_a_bad_one_harms_no_other() {
        let mut bad = site("bad", &["bad.test"]);
        bad.headers.insert("x".into(), "a\nb".into());
        let former = [site("gone", &["gone.test"])];
        let admission = admit(&[bad, site("good", &["good.test"])], &former);
        assert_eq!(admission.live, [site("good", &["good.test"])]);
        assert_eq!(admission.refused.len(), 1);
    }
}
