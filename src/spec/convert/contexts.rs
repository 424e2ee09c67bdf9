//! `[contexts.<name>]`: a client's, without effect on a host, and checked all the same.

use std::collections::BTreeMap;

use super::Draft;
use crate::spec::sections::{Context, ContextName, Env, EnvEntry};

/// Parameters of an address that hold credentials.
const SECRET_PARAMETERS: [&str; 4] = ["token", "password", "secret", "api_key"];

impl Draft<'_> {
    pub(super) fn contexts(&mut self, contexts: Option<&BTreeMap<ContextName, Context>>) {
        for (name, context) in contexts.into_iter().flatten() {
            let at = format!("/contexts/{name}");
            self.server(&format!("{at}/server"), &context.server.0);
            let hosts = format!("{at}/domains");
            let named = self.named_hosts(&hosts, context.domains.as_ref());
            self.parsed_hosts(named);
            let Some(env) = &context.env else { continue };
            self.context_env(&at, env);
            if context.domains.is_some() && env.entries.contains_key("HOST_NAME") {
                self.two_host_names(&format!("{at}/env/HOST_NAME"), &hosts);
            }
        }
    }

    fn server(&mut self, pointer: &str, server: &str) {
        let (_, rest) = server.split_once("://").unwrap_or(("", server));
        let authority = rest.split('/').next().unwrap_or_default();
        let query = server.split_once('?').map_or("", |(_, query)| query);
        let mut names = query
            .split('&')
            .filter_map(|pair| pair.split_once('=').map(|(name, _)| name));
        let password = authority
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':'));
        if password || names.any(|name| SECRET_PARAMETERS.contains(&name.to_lowercase().as_str())) {
            let message = "the server's address holds a credential, and everybody who can read the repository can read it";
            let hint = "write the address alone; the client asks for the rest";
            self.tell(|tree| tree.error(pointer, message).hint(hint).redacted());
        } else if server.trim() != server {
            let hint = format!("write `\"{}\"`", server.trim());
            self.error(pointer, "the server's address has blanks around it", hint);
        }
    }

    fn context_env(&mut self, at: &str, env: &Env) {
        for (key, entry) in &env.entries {
            if let EnvEntry::Text(text) = entry {
                self.refuse_credential(&format!("{at}/env/{key}"), text);
            }
        }
        for (key, text) in &env.computed {
            self.refuse_credential_in_template(&format!("{at}/env/computed/{key}"), text);
        }
    }
}
