//! `[env]`: each form of a variable to where its value comes from. No credential passes as plain text.

use hop3_plugin_api::{
    AddonInstance, AddonName, AppName, EnvKey, EnvTemplate, EnvValue, Generator, HostName,
};

use super::Draft;
use super::addons::prefixes;
use crate::spec::sections::{Env, EnvEntry, GeneratedForm, Reference};
use crate::spec::suggest::{did_you_mean, one_of};

/// The longest value that the kernel passes to a process, with its name.
const VALUE_LIMIT: usize = 128 * 1024 - 256;

/// Variables by which a process would load foreign code.
pub(super) const LOADER_HOOKS: [&str; 4] = [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "GLIBC_TUNABLES",
];

/// The same, for build steps, which start with shells.
pub(super) const BUILD_HOOKS: [&str; 6] = [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "GLIBC_TUNABLES",
    "BASH_ENV",
    "ENV",
];

/// Beginnings of well-known credentials.
const CREDENTIALS: [&str; 10] = [
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "ghp_",
    "gho_",
    "github_pat_",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
];

/// What references may refer to.
pub(super) struct Facts<'a> {
    pub(super) name: Option<&'a AppName>,
    pub(super) hosts: &'a [HostName],
    pub(super) addons: &'a [AddonInstance],
}

impl Draft<'_> {
    pub(super) fn env(&mut self, section: Option<&Env>, facts: &Facts<'_>) -> EnvTemplate {
        let mut template = EnvTemplate {
            addons: prefixes(facts.addons),
            ..EnvTemplate::default()
        };
        let Some(section) = section else {
            return template;
        };
        for key in &section.hidden {
            self.hidden(key);
        }
        for (key, entry) in &section.entries {
            let pointer = format!("/env/{key}");
            self.refuse_loader_hook(&pointer, key, &LOADER_HOOKS);
            if let Some(value) = self.variable(&pointer, entry, facts) {
                template.values.insert(key.clone(), value);
            }
        }
        for (key, text) in &section.computed {
            self.computed(&mut template, section, (key, text));
        }
        template
    }

    fn hidden(&mut self, key: &str) {
        let message = if key == "_policy" {
            "plain values always follow the commit; generated secrets are always kept".to_owned()
        } else {
            format!("`{key}` starts with `_` and is not passed to the app")
        };
        self.note(&format!("/env/{key}"), message);
    }

    fn variable(&mut self, pointer: &str, entry: &EnvEntry, facts: &Facts<'_>) -> Option<EnvValue> {
        match entry {
            EnvEntry::Text(text) => {
                self.refuse_credential(pointer, text);
                self.refuse_unpassable(pointer, text);
                Some(EnvValue::Literal {
                    value: text.clone(),
                })
            }
            EnvEntry::Number(number) => Some(EnvValue::Literal {
                value: number.to_string(),
            }),
            EnvEntry::Bool(yes) => Some(EnvValue::Literal {
                value: yes.to_string(),
            }),
            EnvEntry::Generated(form) => Some(self.generated(pointer, form)),
            EnvEntry::Reference(reference) => self.reference(pointer, reference, facts),
            EnvEntry::Secret => {
                let key = pointer.trim_start_matches("/env/");
                self.unbuilt(pointer, format!("[env] {key} from an encrypted secret"));
                None
            }
        }
    }

    fn generated(&mut self, pointer: &str, form: &GeneratedForm) -> EnvValue {
        if form.display == Some(true) {
            self.note(
                &format!("{pointer}/display"),
                "without effect here: no secret is ever shown",
            );
        }
        let usual = if form.generate == Generator::Password {
            24
        } else {
            32
        };
        EnvValue::Generated {
            generator: form.generate,
            length: form.length.map_or(usual, |length| length.0),
            prefix: form.prefix.clone().unwrap_or_default(),
        }
    }

    fn reference(
        &mut self,
        pointer: &str,
        reference: &Reference,
        facts: &Facts<'_>,
    ) -> Option<EnvValue> {
        let from = reference
            .from
            .as_ref()
            .or(reference.from_.as_ref())
            .filter(|from| !from.is_empty());
        match (reference.external_ip, from, &reference.key) {
            (Some(true), None, None) => {
                self.unbuilt(pointer, "`{ external_ip = true }` in [env]");
                None
            }
            (Some(_), _, _) => {
                let hint = "write `{ external_ip = true }` alone, or `{ from = \"addon\", key = \"NAME\" }`";
                self.error(pointer, "`external_ip` goes with no other key", hint);
                None
            }
            (None, _, None) => {
                self.error(
                    pointer,
                    "the reference lacks the key `key`",
                    "name the variable that is meant",
                );
                None
            }
            (None, None, Some(fact)) => self.fact(pointer, fact, facts),
            (None, Some(from), Some(key)) => self.addon_variable(pointer, from, key, facts.addons),
        }
    }

    fn fact(&mut self, pointer: &str, fact: &str, facts: &Facts<'_>) -> Option<EnvValue> {
        let name = facts.name.map(ToString::to_string);
        let value = match fact {
            "name" => name,
            "domain" => facts.hosts.first().map(ToString::to_string).or(name),
            _ => {
                let hint = did_you_mean(fact, ["domain", "name"])
                    .unwrap_or_else(|| "the app's facts are `domain` and `name`; a variable of an addon needs `from`".to_owned());
                self.error(
                    &format!("{pointer}/key"),
                    format!("the app has no fact `{fact}`"),
                    hint,
                );
                None
            }
        };
        value.map(|value| EnvValue::Literal { value })
    }

    fn addon_variable(
        &mut self,
        pointer: &str,
        from: &str,
        key: &str,
        addons: &[AddonInstance],
    ) -> Option<EnvValue> {
        let Some(addon) = named(from, addons) else {
            if self.in_doubt("/addons") || self.in_doubt("/provider") {
                return None;
            }
            let names: Vec<&str> = addons.iter().map(|addon| addon.name.as_str()).collect();
            let hint = did_you_mean(from, names.iter().copied()).unwrap_or_else(|| {
                if names.is_empty() {
                    "the app has no `[[addons]]`".to_owned()
                } else {
                    format!("its addons are {}", one_of(&names))
                }
            });
            self.error(
                &format!("{pointer}/from"),
                format!("the app has no addon `{from}`"),
                hint,
            );
            return None;
        };
        match EnvKey::parse(key) {
            Ok(key) => Some(EnvValue::Addon { addon, key }),
            Err(error) => {
                self.error(&format!("{pointer}/key"), error.to_string(), None);
                None
            }
        }
    }

    fn computed(
        &mut self,
        template: &mut EnvTemplate,
        section: &Env,
        (key, text): (&EnvKey, &String),
    ) {
        let pointer = format!("/env/computed/{key}");
        self.refuse_loader_hook(&pointer, key, &LOADER_HOOKS);
        self.refuse_unpassable(&pointer, text);
        if section.entries.contains_key(key) {
            let hint = format!(
                "the other stands at line {}; keep one",
                self.position(&format!("/env/{key}")).line
            );
            self.error(&pointer, format!("`{key}` stands in `[env]` too"), hint);
        }
        let value = EnvValue::Computed {
            template: text.clone(),
        };
        template.values.insert(key.clone(), value);
    }

    /// No credential belongs in git in the clear. The value is shown nowhere.
    pub(super) fn refuse_credential(&mut self, pointer: &str, text: &str) {
        if looks_like_credential(text) {
            let hint = "store it as a secret: `{ secret = \"name\" }`, or compose it from an addon's variables in `[env.computed]`; \
                        then replace it where it was issued, for git keeps what was committed";
            let message = "this looks like a credential, and everybody who can read the config repo can read it";
            self.found
                .push(self.tree.error(pointer, message).hint(hint).redacted());
        }
    }

    pub(super) fn refuse_loader_hook(&mut self, pointer: &str, key: &EnvKey, hooks: &[&str]) {
        if hooks.contains(&key.as_str()) {
            let message = format!("`{key}` would load foreign code into every process");
            self.found.push(
                self.tree
                    .key_error(pointer, message)
                    .hint("set it in the app's own start script if it must be"),
            );
        }
    }

    fn refuse_unpassable(&mut self, pointer: &str, text: &str) {
        if text.contains('\0') {
            self.error(
                pointer,
                "no variable can hold a NUL byte",
                "remove it, or encode the value",
            );
        } else if text.len() > VALUE_LIMIT {
            let message = format!(
                "the value has {} bytes, more than a process can be given ({VALUE_LIMIT})",
                text.len()
            );
            self.error(pointer, message, "put it in a file of the source");
        }
    }
}

/// The addon of a name; a type stands for its only addon.
fn named(from: &str, addons: &[AddonInstance]) -> Option<AddonName> {
    let by_name = addons.iter().find(|addon| addon.name.as_str() == from);
    let mut by_type = addons.iter().filter(|addon| addon.kind.as_str() == from);
    let only = by_type.next().filter(|_| by_type.next().is_none());
    by_name.or(only).map(|addon| addon.name.clone())
}

fn looks_like_credential(text: &str) -> bool {
    CREDENTIALS.iter().any(|start| text.starts_with(start)) || url_with_password(text)
}

/// `scheme://user:password@…`
fn url_with_password(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let plain = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    let authority = rest
        .split(|c: char| c == '/' || c.is_whitespace())
        .next()
        .unwrap_or_default();
    let user = authority
        .split_once('@')
        .and_then(|(user, _)| user.split_once(':'));
    plain && user.is_some_and(|(_, password)| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_known_by_its_beginning_or_its_place_in_a_url() {
        for bad in [
            "ghp_x",
            "AKIAIOSFODNN7EXAMPLE",
            "postgres://u:p@h/db",
            "redis://:p@h",
            "x+y://${U}:${P}@h",
        ] {
            assert!(looks_like_credential(bad), "{bad}");
        }
        for good in [
            "postgresql://localhost/mydb",
            "http://a.test:80/@x",
            "a:b@c",
            "https://user@h/",
            "git@h:x",
        ] {
            assert!(!looks_like_credential(good), "{good}");
        }
    }
}
