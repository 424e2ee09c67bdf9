//! What no variable may be: a credential in the clear, a hook into every process, more than a process can be given, a reference to nothing.

use hop3_plugin_api::EnvKey;

use super::Draft;
use crate::spec::credentials;
use crate::spec::sections::Env;
use crate::spec::suggest::did_you_mean;
use crate::spec::template::references;

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

/// Variables that each instance is given when it starts.
pub(super) const GIVEN: [&str; 2] = ["PORT", "BIND_ADDRESS"];

impl Draft<'_> {
    /// A template sees the app's other variables, and computed ones only if they are filled before it.
    pub(super) fn refuse_unfillable(
        &mut self,
        pointer: &str,
        section: &Env,
        (key, text): (&EnvKey, &String),
        all_known: bool,
    ) {
        let mut problems = references(text).filter_map(|name| {
            let computed = section.computed.contains_key(name);
            if section.entries.contains_key(name) || computed && name < key.as_str() {
                return None;
            }
            if GIVEN.contains(&name) || computed {
                return Some(too_early(name, key));
            }
            let unknown = all_known && EnvKey::parse(name).is_ok() && !self.in_doubt("/env");
            unknown.then(|| no_variable(name, section))
        });
        if let Some((message, hint)) = problems.next() {
            drop(problems);
            self.error(pointer, message, hint);
        }
    }

    /// No credential belongs in git in the clear. The value is shown nowhere.
    pub(super) fn refuse_credential(&mut self, pointer: &str, text: &str) {
        if credentials::looks_like_one(text) {
            self.credential(pointer);
        }
    }

    /// The same for a text with references: one may stand for a password.
    pub(super) fn refuse_credential_in_template(&mut self, pointer: &str, text: &str) {
        if credentials::template_holds_one(text) {
            self.credential(pointer);
        }
    }

    fn credential(&mut self, pointer: &str) {
        let hint = "store it as a secret: `{ secret = \"name\" }`, or compose it from an addon's variables in `[env.computed]`; \
                    then replace it where it was issued, for git keeps what was committed";
        let message =
            "this looks like a credential, and everybody who can read the config repo can read it";
        self.tell(|tree| tree.error(pointer, message).hint(hint).redacted());
    }

    pub(super) fn refuse_loader_hook(&mut self, pointer: &str, key: &EnvKey, hooks: &[&str]) {
        if hooks.contains(&key.as_str()) {
            let message = format!("`{key}` would load foreign code into every process");
            self.key_error(
                pointer,
                message,
                "set it in the app's own start script if it must be",
            );
        }
    }

    pub(super) fn refuse_unpassable(&mut self, pointer: &str, text: &str) {
        if text.len() > VALUE_LIMIT {
            let message = format!(
                "the value has {} bytes, more than a process can be given ({VALUE_LIMIT})",
                text.len()
            );
            self.error(pointer, message, "put it in a file of the source");
        }
    }
}

/// A variable that exists, but not yet when this one is filled.
fn too_early(name: &str, key: &EnvKey) -> (String, String) {
    if GIVEN.contains(&name) {
        let message = format!("`{name}` is known only when an instance starts");
        return (
            message,
            format!("write `${name}` in the command that needs it"),
        );
    }
    let hint = "computed values are filled in the order of their names; repeat what is in it";
    let message = format!("`{name}` is not known yet when `{key}` is filled");
    (message, hint.to_owned())
}

fn no_variable(name: &str, section: &Env) -> (String, String) {
    let names = section.entries.keys().map(EnvKey::as_str);
    let hint = did_you_mean(name, names)
        .unwrap_or_else(|| "add it to `[env]`, or write `$$` for a dollar sign".to_owned());
    (format!("the app has no variable `{name}`"), hint)
}
