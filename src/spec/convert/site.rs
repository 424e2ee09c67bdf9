//! What the outside sees: host names, static directories, health and the proxy.

use std::collections::BTreeMap;
use std::time::Duration;

use hop3_plugin_api::{EnvTemplate, EnvValue, HostName};

use super::{Draft, stays_beneath};
use crate::spec::app::{HealthCheck, ProxySettings};
use crate::spec::sections::{Deploy, Domains, Env, EnvEntry, Health, Proxy, Run};
use crate::spec::suggest::shortened;

/// Proxies whose variables older specs set.
const PROXIES: [&str; 3] = ["NGINX_", "CADDY_", "TRAEFIK_"];

impl Draft<'_> {
    pub(super) fn hosts(&mut self, domains: Option<&Domains>, env: Option<&Env>) -> Vec<HostName> {
        let variable = env.and_then(|env| env.entries.get("HOST_NAME"));
        let named = self.named_hosts(domains);
        match (domains, variable) {
            (Some(_), Some(_)) => {
                let hint = "remove `HOST_NAME`; `[domains]` sets it";
                self.error(
                    "/env/HOST_NAME",
                    "`HOST_NAME` and `[domains]` cannot both stand",
                    hint,
                );
            }
            (None, Some(EnvEntry::Text(text))) => {
                let words = text
                    .split_whitespace()
                    .map(|word| ("/env/HOST_NAME".to_owned(), word.to_owned()));
                return self.parsed_hosts(words.collect());
            }
            (None, Some(_)) => {
                self.error(
                    "/env/HOST_NAME",
                    "`HOST_NAME` must be a text",
                    "better, use `[domains] list`",
                );
            }
            _ => {}
        }
        self.parsed_hosts(named)
    }

    fn named_hosts(&mut self, domains: Option<&Domains>) -> Vec<(String, String)> {
        let Some(domains) = domains else {
            return Vec::new();
        };
        if domains.strict_policy.is_some() || domains.policy.is_some() {
            self.note(
                "/domains",
                "host names always follow the commit; the policy has no effect",
            );
        }
        let (word, list) = match (&domains.list, &domains.hosts) {
            (Some(list), None) => ("list", list),
            (None, Some(hosts)) => ("hosts", hosts),
            (Some(_), Some(_)) => {
                self.error(
                    "/domains/hosts",
                    "`hosts` and `list` are the same",
                    "keep `list`",
                );
                return Vec::new();
            }
            (None, None) if self.in_doubt("/domains") => return Vec::new(),
            (None, None) => {
                let found = self
                    .tree
                    .key_error("/domains", "`[domains]` lacks the key `list`");
                self.found
                    .push(found.hint("write `list = [\"shop.example\"]`"));
                return Vec::new();
            }
        };
        let numbered = list.iter().enumerate();
        numbered
            .map(|(index, text)| (format!("/domains/{word}/{index}"), text.clone()))
            .collect()
    }

    fn parsed_hosts(&mut self, texts: Vec<(String, String)>) -> Vec<HostName> {
        let many = texts.len() > 1;
        let mut hosts: Vec<HostName> = Vec::new();
        for (pointer, text) in texts {
            let Some(host) = self.host(&pointer, &text) else {
                continue;
            };
            if host.as_str() == "_" && many {
                self.error(
                    &pointer,
                    "`_` catches every name and stands alone",
                    "remove the other names, or `_`",
                );
            } else if hosts.contains(&host) {
                self.error(
                    &pointer,
                    format!("the host name `{host}` stands here a second time"),
                    "remove one of the two",
                );
            } else {
                hosts.push(host);
            }
        }
        hosts
    }

    /// A host name in its one form: lower case, without the final dot.
    fn host(&mut self, pointer: &str, text: &str) -> Option<HostName> {
        let normal = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        HostName::parse(&normal)
            .map_err(|error| {
                let hint = if text.is_ascii() {
                    host_hint(text, error.rule)
                } else {
                    "write it in its ASCII form (punycode), as in `xn--bcher-kva.example` for `bücher.example`".to_owned()
                };
                self.error(pointer, format!("`{}` is not a valid host name", shortened(text)), hint);
            })
            .ok()
    }

    pub(super) fn static_paths(
        &mut self,
        own: Option<&BTreeMap<String, String>>,
        run: Option<&Run>,
        env: &EnvTemplate,
    ) -> BTreeMap<String, String> {
        let older = run
            .and_then(|run| run.static_paths.as_ref())
            .map(|paths| ("/run/static", paths));
        let own = own
            .filter(|paths| !paths.is_empty())
            .map(|paths| ("/static", paths));
        let mut all = BTreeMap::new();
        if let Some((at, paths)) = own.or(older) {
            for (url, directory) in paths {
                self.static_path(
                    &format!("{at}/{}", crate::spec::tree::escape(url)),
                    (url, directory),
                    &mut all,
                );
            }
        }
        for (pointer, value) in proxy_variables(env, "STATIC_PATHS") {
            for pair in value.split(',').filter(|pair| !pair.trim().is_empty()) {
                let pair = pair.trim().split_once(':').unwrap_or((pair, ""));
                self.static_path(&pointer, pair, &mut all);
            }
        }
        all
    }

    fn static_path(
        &mut self,
        pointer: &str,
        (url, directory): (&str, &str),
        all: &mut BTreeMap<String, String>,
    ) {
        let directory = directory.trim_start_matches("./");
        if !url_path(url) {
            let message = format!("`{}` is not a URL path", shortened(url));
            self.found.push(
                self.tree
                    .key_error(pointer, message)
                    .hint("it starts with `/`, without `..`, blanks or quotes"),
            );
        } else if !stays_beneath(directory) {
            let message = format!("the directory `{}` leaves the source", shortened(directory));
            self.error(pointer, message, "use a relative path without `..`");
        } else {
            all.insert(url.to_owned(), directory.to_owned());
        }
    }

    pub(super) fn health(&mut self, section: Option<&Health>, run: Option<&Run>) -> HealthCheck {
        let none = Health::default();
        let section = section.unwrap_or(&none);
        let defaults = HealthCheck::default();
        let older = run
            .and_then(|run| run.healthcheck.clone())
            .filter(|path| !path.is_empty());
        let older_timeout = run.and_then(|run| run.healthcheck_timeout);
        let timeout = section
            .timeout
            .or(older_timeout)
            .map(std::num::NonZeroU64::get);
        HealthCheck {
            path: self.health_path(section.path.as_ref(), older),
            status: self.status(section).unwrap_or(defaults.status),
            contains: section.contains.clone(),
            timeout: timeout.map_or(defaults.timeout, Duration::from_secs),
            successes: section.successes.unwrap_or(defaults.successes),
            start_timeout: run
                .and_then(|run| run.start_timeout)
                .map_or(defaults.start_timeout, |seconds| seconds.0),
        }
    }

    fn health_path(&mut self, own: Option<&String>, older: Option<String>) -> Option<String> {
        let (pointer, path) = match own.filter(|path| !path.is_empty()) {
            Some(path) => ("/healthcheck/path", path.clone()),
            None => ("/run/healthcheck", older?),
        };
        if !path.starts_with('/')
            || path.starts_with("//")
            || path.contains(|c: char| c.is_control() || c == ' ')
        {
            let message = format!("`{}` is not a path", shortened(&path));
            self.error(pointer, message, "write it from the app's root, as in `/healthz`; health is only asked of the app itself");
        }
        Some(path)
    }

    fn status(&mut self, section: &Health) -> Option<(u16, u16)> {
        let (from, to) = section.status?.0;
        if from > to {
            self.error(
                "/healthcheck/status",
                format!("the range {from}-{to} runs backwards"),
                format!("write `{to}-{from}`"),
            );
        }
        Some((from, to))
    }

    pub(super) fn proxy(
        &mut self,
        section: Option<&Proxy>,
        deploy: Option<&Deploy>,
        env: &EnvTemplate,
    ) -> ProxySettings {
        let none = Proxy::default();
        let section = section.unwrap_or(&none);
        let headers = section.headers.clone().unwrap_or_default();
        for (name, value) in &headers {
            self.header(name, value);
        }
        self.proxy_variables(env);
        let https_only = proxy_variables(env, "HTTPS_ONLY")
            .into_iter()
            .next()
            .map(|(_, value)| truthy(&value));
        let allow_http = deploy.and_then(|deploy| deploy.allow_http).unwrap_or(false);
        ProxySettings {
            allow_http: https_only.map_or(allow_http, |only| !only),
            spa: section.spa.unwrap_or(false),
            body_size: section
                .body_size
                .map(super::super::sections::ByteSize::bytes),
            timeout: section.timeout.map(|period| period.0),
            headers,
        }
    }

    fn header(&mut self, name: &str, value: &str) {
        let pointer = format!("/proxy/headers/{}", crate::spec::tree::escape(name));
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            let message = format!("`{}` is not a header's name", shortened(name));
            self.found.push(
                self.tree
                    .key_error(&pointer, message)
                    .hint("use letters, digits and `-`"),
            );
        }
        if value.contains(|c: char| c.is_control()) {
            self.error(
                &pointer,
                "a header's value holds a control character",
                "write it on one line",
            );
        }
    }

    /// Variables that older specs set for one proxy: those that would include files are refused, those without a twin are told.
    fn proxy_variables(&mut self, env: &EnvTemplate) {
        for key in env.values.keys() {
            let Some(rest) = PROXIES
                .iter()
                .find_map(|proxy| key.as_str().strip_prefix(proxy))
            else {
                continue;
            };
            let pointer = format!("/env/{key}");
            match rest {
                "HTTPS_ONLY" | "STATIC_PATHS" => {}
                _ if rest.contains("INCLUDE") => {
                    let message =
                        format!("`{key}` would put a file into the proxy's configuration");
                    self.found.push(
                        self.tree
                            .key_error(&pointer, message)
                            .hint("use the keys of `[proxy]`"),
                    );
                }
                _ => self.note(
                    &pointer,
                    format!("`{key}` has no effect on the proxy; see `[proxy]`"),
                ),
            }
        }
    }
}

/// The plain values of a variable, for whichever proxy it is set.
fn proxy_variables(env: &EnvTemplate, name: &str) -> Vec<(String, String)> {
    let keys = PROXIES.iter().map(|proxy| format!("{proxy}{name}"));
    keys.filter_map(|key| match env.values.get(key.as_str()) {
        Some(EnvValue::Literal { value }) => Some((format!("/env/{key}"), value.clone())),
        _ => None,
    })
    .collect()
}

fn truthy(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

fn url_path(url: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~%+@,:".contains(c);
    url.starts_with('/')
        && !url.contains("//")
        && !url.split('/').any(|part| part == "..")
        && url.chars().all(plain)
}

fn host_hint(text: &str, rule: &str) -> String {
    let bare = text
        .trim()
        .split_once("://")
        .map_or(text.trim(), |(_, rest)| rest);
    let bare = bare
        .split(['/', ':'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if bare != text && HostName::parse(&bare).is_ok() {
        return format!("write the name alone: `{bare}`");
    }
    format!("use {rule}")
}
