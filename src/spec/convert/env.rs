//! `[env]`: each form of a variable to where its value comes from. No credential passes as plain text.

use hop3_plugin_api::{
    AddonInstance, AddonName, AppName, EnvKey, EnvTemplate, EnvValue, Generator, HostName,
};

use super::Draft;
use super::addons::prefixes;
use super::env_checks::{GIVEN, LOADER_HOOKS};
use crate::spec::app::SecretUse;
use crate::spec::linked::Part;
use crate::spec::sections::{Env, EnvEntry, GeneratedForm, Reference, SecretName};
use crate::spec::suggest::{all_of, did_you_mean, shortened};
use crate::spec::tree::escape;

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
        for (key, value) in &section.hidden {
            self.hidden(key, value);
        }
        for (key, entry) in &section.entries {
            let pointer = format!("/env/{key}");
            self.refuse_loader_hook(&pointer, key, &LOADER_HOOKS);
            if GIVEN.contains(&key.as_str()) {
                let message = format!(
                    "each instance that gets requests is given its own `{key}`; this value reaches only the others"
                );
                self.note(&pointer, message);
            }
            if let Some(value) = self.variable(&pointer, entry, facts) {
                template.values.insert(key.clone(), value);
            }
        }
        for (key, text) in &section.computed {
            self.computed(&mut template, section, (key, text));
        }
        template
    }

    fn hidden(&mut self, key: &str, value: &serde_json::Value) {
        if let Some(text) = value.as_str() {
            self.refuse_credential(&format!("/env/{}", escape(key)), text);
        }
        let message = if key == "_policy" {
            "plain values always follow the commit; generated secrets are always kept".to_owned()
        } else {
            format!(
                "`{}` starts with `_` and is not passed to the app",
                shortened(key)
            )
        };
        self.note(&format!("/env/{}", escape(key)), message);
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
            EnvEntry::Secret(name) => {
                self.uses_secret(&format!("{pointer}/secret"), name);
                self.encrypted(pointer)
            }
            EnvEntry::Age => self.encrypted(pointer),
        }
    }

    fn encrypted(&mut self, pointer: &str) -> Option<EnvValue> {
        let key = pointer.trim_start_matches("/env/");
        self.unbuilt(pointer, format!("[env] {key} from an encrypted secret"));
        None
    }

    fn uses_secret(&mut self, pointer: &str, name: &SecretName) {
        let at = self.tree.place(pointer).value.start;
        self.secrets.push(SecretUse {
            name: name.clone(),
            pointer: pointer.to_owned(),
            at: self.tree.source.position(at),
        });
    }

    fn generated(&mut self, pointer: &str, form: &GeneratedForm) -> EnvValue {
        if form.display == Some(true) {
            self.note(
                &format!("{pointer}/display"),
                "without effect here: no secret is ever shown",
            );
        }
        if form.generate == Generator::Uuid && form.length.is_some() {
            let message = "without effect here: a UUID has the length that it has";
            self.note(&format!("{pointer}/length"), message);
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
        let from = self.named_addon(pointer, reference);
        if self.in_doubt(pointer) {
            return None;
        }
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
            (None, from, None) => {
                let from = from.map_or("addon", |(_, from)| from);
                let hint = format!(
                    "name the variable that is meant: `{{ from = \"{from}\", key = \"DATABASE_URL\" }}`"
                );
                self.error(pointer, "the reference lacks the key `key`", hint);
                None
            }
            (None, None, Some(fact)) => self.fact(pointer, fact, facts),
            (None, Some(from), Some(key)) => self.addon_variable(pointer, from, key, facts.addons),
        }
    }

    /// The key that names the addon, and the name, where there is one.
    fn named_addon<'r>(
        &mut self,
        pointer: &str,
        reference: &'r Reference,
    ) -> Option<(&'static str, &'r str)> {
        if reference.from.is_some() && reference.from_.is_some() {
            let words = (
                "`from_` and `from` are the same key".to_owned(),
                "keep `from`".to_owned(),
            );
            let other = format!("{pointer}/from");
            let label = "it stands here too";
            self.conflict(&format!("{pointer}/from_"), (&other, label), words);
        }
        let from = reference.from.as_deref().map(|from| ("from", from));
        let other = reference.from_.as_deref().map(|from| ("from_", from));
        from.or(other).filter(|(_, from)| !from.is_empty())
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
        (word, from): (&str, &str),
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
                    no_addons(from)
                } else {
                    format!("its addons are {}", all_of(&names))
                }
            });
            self.error(
                &format!("{pointer}/{word}"),
                format!("the app has no addon `{}`", shortened(from)),
                hint,
            );
            return None;
        };
        match EnvKey::parse(key) {
            Ok(key) => Some(EnvValue::Addon { addon, key }),
            Err(error) => {
                let message = format!("`{}` is not a valid {}", shortened(key), error.what);
                self.error(
                    &format!("{pointer}/key"),
                    message,
                    format!("use {}", error.rule),
                );
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
        self.refuse_credential_in_template(&pointer, text);
        if section.entries.contains_key(key) {
            let words = (
                format!("`{key}` stands in `[env]` too"),
                "keep one of the two".to_owned(),
            );
            self.conflict(
                &pointer,
                (&format!("/env/{key}"), "it stands here first"),
                words,
            );
        }
        self.refuse_unfillable(&pointer, section, (key, text), template.addons.is_empty());
        let value = EnvValue::Computed {
            template: text.clone(),
        };
        template.values.insert(key.clone(), value);
    }
}

fn no_addons(from: &str) -> String {
    if Part::Addon.of_the_format().contains(&from) {
        format!("add `[[addons]]` with `type = \"{from}\"`")
    } else {
        "the app has no `[[addons]]`; `{ key = \"domain\" }` alone is a fact of the app".to_owned()
    }
}

/// The addon of a name; a type stands for its only addon.
fn named(from: &str, addons: &[AddonInstance]) -> Option<AddonName> {
    let by_name = addons.iter().find(|addon| addon.name.as_str() == from);
    let mut by_type = addons.iter().filter(|addon| addon.kind.as_str() == from);
    let only = by_type.next().filter(|_| by_type.next().is_none());
    by_name.or(only).map(|addon| addon.name.clone())
}
