//! `[build]`, with the Procfile's hooks and the packages of `[run]`.

use std::collections::BTreeMap;

use hop3_plugin_api::{BuildConfig, EnvKey, EnvTemplate, EnvValue, PluginName};

use super::env_checks::BUILD_HOOKS;
use super::run::Commands;
use super::{Draft, stays_beneath};
use crate::spec::linked::Part;
use crate::spec::procfile::Procfile;
use crate::spec::sections::{Build, BuildEnv, Command, Deploy, Package, Run};
use crate::spec::suggest::{did_you_mean, one_of, shortened};

impl Draft<'_> {
    pub(super) fn build(
        &mut self,
        section: Option<&Build>,
        run: Option<&Run>,
        env: &EnvTemplate,
        commands: &Commands,
    ) -> BuildConfig {
        let none = Build::default();
        let section = section.unwrap_or(&none);
        self.build_notes(section);
        BuildConfig {
            builder: self.choice(Part::Builder, "/build/builder", section.builder.as_deref()),
            toolchain: self.choice(
                Part::Toolchain,
                "/build/toolchain",
                section.toolchain.as_deref(),
            ),
            static_dir: self.static_dir(section, commands),
            before_build: hook(
                section.before_build.as_ref(),
                commands.before_build.as_ref(),
            ),
            build: hook(section.build.as_ref(), None),
            after_build: hook(section.after_build.as_ref(), commands.after_build.as_ref()),
            test: hook(section.test.as_ref(), None),
            pip_install: section.pip_install.clone().unwrap_or_default(),
            packages: packages(section, run),
            versions: section.versions(),
            allow_unlocked: section.allow_unlocked.unwrap_or(false),
            timeout: section.timeout.map(|period| period.0),
            env: self.build_env(section.env.as_ref(), env),
            offline: section.network.is_some(),
            sandbox_required: section.sandbox.is_some(),
        }
    }

    fn build_notes(&mut self, section: &Build) {
        if section.ignore.is_some() {
            self.note(
                "/build/ignore",
                "without effect here: nothing is uploaded, the source is what git holds",
            );
        }
    }

    /// A plugin's name; `auto` means none. Upper case is accepted, as it always was.
    pub(super) fn choice(
        &mut self,
        part: Part,
        pointer: &str,
        text: Option<&str>,
    ) -> Option<PluginName> {
        let text = text?.to_lowercase();
        if text == "auto" {
            return None;
        }
        let linked = &self.schemas.linked;
        let name = PluginName::parse(&text).ok();
        if name.is_none() || part == Part::Builder && !linked.knows(part, &text) {
            let message = format!("there is no {} `{}`", part.word(), shortened(&text));
            let names = [&["auto"], part.of_the_format()].concat();
            let near = did_you_mean(&text, names.iter().copied());
            let hint = near.unwrap_or_else(|| format!("write one of {}", one_of(&names)));
            self.error(pointer, message, hint);
            return None;
        }
        self.linked_or_told(part, pointer, &text);
        name
    }

    /// Tells of a name that planning will refuse on this binary's hosts.
    pub(super) fn linked_or_told(&mut self, part: Part, pointer: &str, name: &str) {
        let linked = &self.schemas.linked;
        let described = part == Part::Addon && self.schemas.addons.contains_key(name);
        if described || linked.has(part, name) {
            return;
        }
        let message = format!(
            "this binary brings no {} `{name}`, so it cannot deploy this app",
            part.word()
        );
        let hint = linked.instead(part, name);
        self.remark(|tree| tree.value_note(pointer, message).hint(hint));
    }

    /// Hooks of the Procfile that the spec's own replace.
    pub(super) fn outdone_hooks(&mut self, section: Option<&Build>, procfile: &Procfile) {
        let Some(section) = section else { return };
        let pairs = [
            ("prebuild", "[build] before-build", &section.before_build),
            ("postbuild", "[build] after-build", &section.after_build),
        ];
        for (kind, key, own) in pairs {
            if own.as_ref().is_some_and(|own| !own.lines().is_empty()) {
                self.outdone_line(kind, key, procfile);
            }
        }
    }

    fn static_dir(&mut self, section: &Build, commands: &Commands) -> Option<String> {
        let (pointer, directory) = match (&section.static_dir, &commands.static_dir) {
            (Some(directory), _) => ("/build/static-dir", directory),
            (None, Some(directory)) => ("/run/workers/static", directory),
            (None, None) => return None,
        };
        if !stays_beneath(directory) {
            let message = format!("the directory `{}` leaves the source", shortened(directory));
            self.error(
                pointer,
                message,
                "use a relative path without `..`, such as `public`",
            );
        }
        Some(directory.clone())
    }

    fn build_env(
        &mut self,
        section: Option<&BuildEnv>,
        env: &EnvTemplate,
    ) -> BTreeMap<EnvKey, String> {
        match section {
            None => BTreeMap::new(),
            Some(BuildEnv::Values(values)) => {
                for (key, value) in values {
                    self.refuse_credential(&format!("/build/env/{key}"), value);
                    self.refuse_loader_hook(&format!("/build/env/{key}"), key, &BUILD_HOOKS);
                }
                values.clone()
            }
            Some(BuildEnv::Names(names)) => self.passed_on(names, env),
        }
    }

    fn passed_on(&mut self, names: &[EnvKey], env: &EnvTemplate) -> BTreeMap<EnvKey, String> {
        let mut passed = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            let pointer = format!("/build/env/{index}");
            match env.values.get(name) {
                Some(EnvValue::Literal { value }) => {
                    passed.insert(name.clone(), value.clone());
                }
                Some(_) => {
                    let message = format!("`{name}` is known only when the app runs");
                    self.error(
                        &pointer,
                        message,
                        "a build sees plain values of `[env]` only",
                    );
                }
                None if self.tree.value.pointer(&format!("/env/{name}")).is_some() => {}
                None => {
                    let hint = did_you_mean(name.as_str(), env.values.keys().map(EnvKey::as_str));
                    self.error(&pointer, format!("`[env]` has no variable `{name}`"), hint);
                }
            }
        }
        passed
    }

    /// `[deploy] writable`, each below the release.
    pub(super) fn writable(&mut self, section: Option<&Deploy>) -> Vec<String> {
        let writable = section
            .and_then(|deploy| deploy.writable.clone())
            .unwrap_or_default();
        for (index, directory) in writable
            .iter()
            .enumerate()
            .filter(|(_, directory)| !stays_beneath(directory))
        {
            let message = format!("`{}` leaves the release", shortened(directory));
            self.error(
                &format!("/deploy/writable/{index}"),
                message,
                "use a relative path without `..`",
            );
        }
        writable
    }
}

/// The spec's hook, else the Procfile's.
fn hook(own: Option<&Command>, procfile: Option<&String>) -> Vec<String> {
    let own = own.map(Command::lines).unwrap_or_default();
    if own.is_empty() {
        procfile.cloned().into_iter().collect()
    } else {
        own
    }
}

fn packages(section: &Build, run: Option<&Run>) -> Vec<String> {
    let of_run = run.and_then(|run| run.packages.as_ref());
    let all = [section.packages.as_ref(), of_run]
        .into_iter()
        .flatten()
        .flatten();
    let mut packages: Vec<String> = Vec::new();
    for Package(name) in all {
        if !packages.contains(name) {
            packages.push(name.clone());
        }
    }
    packages
}
