//! `[proxy]`, and variables by which older specs speak to one proxy.

use hop3_plugin_api::{EnvTemplate, EnvValue};

use super::{Draft, stays_beneath};
use crate::spec::app::ProxySettings;
use crate::spec::sections::{ByteSize, Deploy, Proxy};
use crate::spec::suggest::shortened;
use crate::spec::tree::escape;

/// Proxies whose variables older specs set.
const PROXIES: [&str; 3] = ["NGINX_", "CADDY_", "TRAEFIK_"];

impl Draft<'_> {
    pub(super) fn proxy(
        &mut self,
        section: Option<&Proxy>,
        deploy: Option<&Deploy>,
        env: &EnvTemplate,
    ) -> ProxySettings {
        let none = Proxy::default();
        let section = section.unwrap_or(&none);
        self.headers(section);
        self.error_pages(section);
        self.proxy_variables(env);
        ProxySettings {
            allow_http: self.allow_http(deploy, env),
            spa: section.spa.unwrap_or(false),
            body_size: section.body_size.map(ByteSize::bytes),
            timeout: section.timeout.map(|period| period.0),
            headers: section
                .headers
                .iter()
                .flatten()
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect(),
        }
    }

    fn headers(&mut self, section: &Proxy) {
        for (name, value) in section.headers.iter().flatten() {
            if value.contains(|c: char| c.is_control()) {
                let pointer = format!("/proxy/headers/{}", escape(name.as_str()));
                let message = "a header's value holds a control character";
                self.error(&pointer, message, "write it on one line");
            }
        }
    }

    fn error_pages(&mut self, section: &Proxy) {
        for (status, file) in section.error_pages.iter().flatten() {
            if !stays_beneath(file) {
                let message = format!("the file `{}` leaves the source", shortened(file));
                let hint = "use a relative path without `..`";
                self.error(&format!("/proxy/error-pages/{status}"), message, hint);
            }
        }
    }

    /// `[deploy] allow-http`, unless a variable says it for one proxy.
    fn allow_http(&mut self, deploy: Option<&Deploy>, env: &EnvTemplate) -> bool {
        let mut allowed = deploy.and_then(|deploy| deploy.allow_http);
        for (pointer, value) in proxy_variables(env, "HTTPS_ONLY") {
            let Some(only) = truth(&value) else {
                let message = format!("`{}` is neither true nor false", shortened(&value));
                self.error(&pointer, message, "write `\"true\"` or `\"false\"`");
                continue;
            };
            if allowed == Some(only) && self.tree.value.pointer("/deploy/allow-http").is_some() {
                let name = pointer.trim_start_matches("/env/").to_owned();
                self.outdone("/deploy/allow-http", &format!("[env] {name}"));
            }
            allowed = Some(!only);
        }
        allowed.unwrap_or(false)
    }

    /// Variables for one proxy: those that would include files are refused, those without a twin are told.
    fn proxy_variables(&mut self, env: &EnvTemplate) {
        for key in env.values.keys() {
            let name = key.as_str();
            let Some(rest) = PROXIES.iter().find_map(|proxy| name.strip_prefix(proxy)) else {
                continue;
            };
            let pointer = format!("/env/{name}");
            match rest {
                "HTTPS_ONLY" | "STATIC_PATHS" => {}
                _ if rest.contains("INCLUDE") => {
                    let message =
                        format!("`{name}` would put a file into the proxy's configuration");
                    self.key_error(&pointer, message, "use the keys of `[proxy]`");
                }
                "SOCKET" => {
                    self.unbuilt(&pointer, format!("[env] {name}: a socket of the app's own"))
                }
                _ if rest.starts_with("CACHE") => {
                    self.unbuilt(&pointer, format!("[env] {name}, which is `[proxy] cache`"));
                }
                "SERVER_NAME" => self.variable_note(&pointer, name, "use `[domains] list`"),
                _ => self.variable_note(
                    &pointer,
                    name,
                    "the keys of `[proxy]` say what a proxy can be told",
                ),
            }
        }
    }

    fn variable_note(&mut self, pointer: &str, name: &str, hint: &str) {
        let message = format!("`{name}` reaches the app, and has no effect on the proxy");
        self.remark(|tree| tree.note(pointer, message).hint(hint));
    }
}

/// The plain values of a variable, for whichever proxy it is set.
pub(super) fn proxy_variables(env: &EnvTemplate, name: &str) -> Vec<(String, String)> {
    let keys = PROXIES.iter().map(|proxy| format!("{proxy}{name}"));
    keys.filter_map(|key| match env.values.get(key.as_str()) {
        Some(EnvValue::Literal { value }) => Some((format!("/env/{key}"), value.clone())),
        _ => None,
    })
    .collect()
}

fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" | "" => Some(false),
        _ => None,
    }
}
