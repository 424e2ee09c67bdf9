//! Host names: `[domains]` or `HOST_NAME`, each in its one form.

use std::collections::BTreeMap;

use hop3_plugin_api::HostName;

use super::Draft;
use crate::spec::sections::{Domains, Env, EnvEntry};
use crate::spec::suggest::shortened;

/// A text and where it stands.
type Placed = (String, String);

impl Draft<'_> {
    pub(super) fn hosts(&mut self, domains: Option<&Domains>, env: Option<&Env>) -> Vec<HostName> {
        let variable = env.and_then(|env| env.entries.get("HOST_NAME"));
        let named = self.named_hosts("/domains", domains);
        match (domains, variable) {
            (Some(_), Some(_)) => self.two_host_names("/env/HOST_NAME", "/domains"),
            (None, Some(EnvEntry::Text(text))) => {
                let words = text
                    .split_whitespace()
                    .map(|word| ("/env/HOST_NAME".to_owned(), word.to_owned()));
                return self.parsed_hosts(words.collect());
            }
            (None, Some(_)) => {
                let hint = "write `HOST_NAME = \"shop.example\"`, or better `[domains] list`";
                self.error("/env/HOST_NAME", "`HOST_NAME` must be a text", hint);
            }
            _ => {}
        }
        self.parsed_hosts(named)
    }

    pub(super) fn two_host_names(&mut self, variable: &str, domains: &str) {
        let words = (
            "`HOST_NAME` and `[domains]` cannot both stand".to_owned(),
            "remove `HOST_NAME`, and keep the names in `[domains] list`".to_owned(),
        );
        self.conflict(variable, (domains, "the host names stand here too"), words);
    }

    pub(super) fn named_hosts(&mut self, at: &str, domains: Option<&Domains>) -> Vec<Placed> {
        let Some(domains) = domains else {
            return Vec::new();
        };
        self.domains_policy(at, domains);
        let (word, list) = match (&domains.list, &domains.hosts) {
            (Some(list), None) => ("list", list),
            (None, Some(hosts)) => ("hosts", hosts),
            (Some(_), Some(_)) => {
                let words = (
                    "`hosts` and `list` are the same key".to_owned(),
                    "keep `list`".to_owned(),
                );
                self.conflict(
                    &format!("{at}/hosts"),
                    (&format!("{at}/list"), "it stands here too"),
                    words,
                );
                return Vec::new();
            }
            (None, None) => {
                if !self.slips(at) {
                    let message = format!(
                        "`[{}]` lacks the key `list`",
                        crate::spec::check::dotted(at)
                    );
                    self.key_error(at, message, "add `list = [\"shop.example\"]`");
                }
                return Vec::new();
            }
        };
        let numbered = list.iter().enumerate();
        numbered
            .filter_map(|(index, text)| Some((format!("{at}/{word}/{index}"), text.clone()?)))
            .collect()
    }

    /// Whether the schema refused the whole, or a key that may have been meant for the list.
    fn slips(&self, at: &str) -> bool {
        let policies = [format!("{at}/_policy"), format!("{at}/policy")];
        let mut faulty = self.faulty.iter().filter(|part| !policies.contains(part));
        faulty.any(|part| part == at || part.starts_with(&format!("{at}/")))
    }

    fn domains_policy(&mut self, at: &str, domains: &Domains) {
        let given = [
            ("_policy", domains.strict_policy),
            ("policy", domains.policy),
        ];
        let mut given = given.into_iter().filter(|(_, policy)| policy.is_some());
        let Some((first, _)) = given.next() else {
            return;
        };
        if let Some((second, _)) = given.next() {
            let words = (
                format!("`{second}` and `{first}` are the same key"),
                format!("keep `{first}`"),
            );
            self.conflict(
                &format!("{at}/{second}"),
                (&format!("{at}/{first}"), "it stands here too"),
                words,
            );
        } else if at == "/domains" {
            let message = "without effect here: host names always follow the commit";
            self.note(&format!("{at}/{first}"), message);
        }
    }

    pub(super) fn parsed_hosts(&mut self, texts: Vec<Placed>) -> Vec<HostName> {
        let many = texts.len() > 1;
        let mut hosts = Vec::new();
        let mut first: BTreeMap<HostName, String> = BTreeMap::new();
        for (pointer, text) in texts {
            let Some(host) = self.host(&pointer, &text) else {
                continue;
            };
            if host.as_str() == "_" && many {
                let hint = "remove the other names, or `_`";
                self.error(&pointer, "`_` catches every name and stands alone", hint);
            } else if let Some(first) = first.get(&host) {
                let words = (
                    format!("the host name `{host}` stands here a second time"),
                    "remove one of the two".to_owned(),
                );
                self.conflict(&pointer, (first, "it stands here first"), words);
            } else {
                first.insert(host.clone(), pointer);
                hosts.push(host);
            }
        }
        hosts
    }

    fn host(&mut self, pointer: &str, text: &str) -> Option<HostName> {
        let host = normal(text);
        if host.is_none() {
            let message = if text.trim().is_empty() {
                "a host name cannot be empty".to_owned()
            } else {
                format!("`{}` is not a valid host name", shortened(text))
            };
            self.error(pointer, message, host_hint(text));
        }
        host
    }
}

/// A host name in its one form: ASCII, lower case, without the final dot.
fn normal(text: &str) -> Option<HostName> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text == "_" {
        return HostName::parse(text).ok();
    }
    let (star, name) = match text.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", text),
    };
    let ascii = idna::domain_to_ascii(name).ok()?;
    HostName::parse(&format!("{star}{ascii}")).ok()
}

fn host_hint(text: &str) -> String {
    let trimmed = text.trim();
    let bare = trimmed.split_once("://").map_or(trimmed, |(_, rest)| rest);
    let bare = bare.split(['/', ':', '?']).next().unwrap_or_default();
    let near = bare.replace(['_', ' '], "-");
    if bare != text && normal(bare).is_some() {
        return format!("write the name alone: `{bare}`");
    }
    if near != text && text != "_" && normal(&near).is_some() {
        return format!("a host name has letters, digits and `-`: `{near}`");
    }
    if text.contains('*') {
        return "`*.` may stand at the beginning only, for one part: `*.shop.example`; `_` alone catches every name".to_owned();
    }
    if let Some(part) = bare
        .split('.')
        .find(|part| idna::domain_to_ascii(part).is_err())
    {
        return format!(
            "`{}` is not a part that a host name can have",
            shortened(part)
        );
    }
    "write parts of letters, digits and `-`, with dots between: `shop.example`; each has at most 63 characters, all have 253".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Option<String> {
        normal(text).map(|host| host.to_string())
    }

    #[test]
    fn t24_a_host_name_has_one_form() {
        for (text, form) in [
            ("Shop.Test.", "shop.test"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("*.Bücher.example", "*.xn--bcher-kva.example"),
            ("ｂａｎｋ.test", "bank.test"),
            ("bank。test", "bank.test"),
            ("_", "_"),
        ] {
            assert_eq!(host(text).as_deref(), Some(form), "{text}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            "xn--zz--zz.test",
            "a_b.test",
            "*",
            "*.",
            "a.*.test",
            "a\n.test",
            "-a.test",
            "[::1]",
            "a b",
            "a.test..",
            "_.test",
        ] {
            assert_eq!(host(bad), None, "{bad}");
        }
        assert_eq!(host(&"a.".repeat(127)), Some("a.".repeat(126) + "a"));
        assert_eq!(host(&("a".repeat(64) + ".test")), None);
        assert_eq!(host(&"a.".repeat(200)), None);
    }

    #[test]
    fn a_whole_address_is_told_its_name() {
        assert_eq!(
            host_hint("https://shop.test/x"),
            "write the name alone: `shop.test`"
        );
        assert!(host_hint("my_app.test").ends_with("`my-app.test`"));
        assert!(host_hint("*").starts_with("`*.`"));
    }
}
