//! The environment that all instances and commands of a release share. Pure.
//!
//! From weak to strong: what the host gives everybody (`PATH`, `HOME`, `TMPDIR`), what the toolchain needs, what the spec says, and the
//! app's identity. Values are never read by a shell, so they arrive byte for byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hop3_plugin_api::{Abort, Context, Launch, Result};

/// The longest `NAME=value` that the kernel passes to a program, with its final zero.
const VARIABLE_LIMIT: usize = 128 * 1024;

/// A release's private temporary directory.
pub(super) fn temporary_dir(release_dir: &Path) -> PathBuf {
    release_dir.join("tmp")
}

/// The shared environment.
pub(super) fn shared(
    cx: &Context<'_>,
    launch: &Launch<'_>,
    tool_path: &str,
) -> Result<BTreeMap<String, String>> {
    let places = Places::of(cx, launch)?;
    let runtime = &launch.artifact.runtime;
    let mut path = runtime
        .path
        .iter()
        .map(|directory| places.fill(directory))
        .collect::<Result<Vec<_>, _>>()?;
    path.push(tool_path.to_owned());
    let mut env = BTreeMap::from([
        ("PATH".to_owned(), path.join(":")),
        ("HOME".to_owned(), text(&cx.paths.data)?),
        (
            "TMPDIR".to_owned(),
            text(&temporary_dir(&cx.paths.release))?,
        ),
    ]);
    for (key, value) in &runtime.env {
        env.insert(key.to_string(), places.fill(value)?);
    }
    for (key, value) in cx.env {
        env.insert(key.to_string(), value.expose().to_owned());
    }
    env.insert("HOP3_APP".to_owned(), launch.release.app.to_string());
    env.insert("HOP3_RELEASE".to_owned(), launch.release.number.to_string());
    env.iter().try_for_each(|(key, value)| check(key, value))?;
    Ok(env)
}

/// Says which variable the kernel would refuse, without its value.
fn check(key: &str, value: &str) -> Result<(), Abort> {
    if value.contains('\0') {
        return Err(
            Abort::new(format!("the variable `{key}` holds a zero byte"))
                .hint("encode binary values, for instance as base64"),
        );
    }
    if key.len() + value.len() + 2 > VARIABLE_LIMIT {
        return Err(Abort::new(format!(
            "the variable `{key}` has {} bytes, more than a program can be given",
            value.len()
        ))
        .hint("put large values into a file of the app"));
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, Abort> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Abort::new(format!("the path `{}` is not UTF-8", path.display())))
}

/// What `${app}`, `${data}` and `${layer:NAME}` stand for.
struct Places<'a> {
    app: String,
    data: String,
    root: &'a Path,
    layers: &'a BTreeMap<String, String>,
}

impl<'a> Places<'a> {
    fn of(cx: &'a Context<'_>, launch: &'a Launch<'_>) -> Result<Self> {
        Ok(Self {
            app: text(&launch.artifact.directory(&cx.paths.app)?)?,
            data: text(&cx.paths.data)?,
            root: &cx.paths.app,
            layers: &launch.artifact.runtime.layers,
        })
    }

    /// Fills the placeholders; any other `${…}` is the app's own text and stays.
    fn fill(&self, template: &str) -> Result<String, Abort> {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else {
                break;
            };
            let name = &rest[start + 2..start + length];
            filled.push_str(&rest[..start]);
            match self.value(name)? {
                Some(value) => filled.push_str(&value),
                None => filled.push_str(&rest[start..=start + length]),
            }
            rest = &rest[start + length + 1..];
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str) -> Result<Option<String>, Abort> {
        match (name, name.strip_prefix("layer:")) {
            ("app", _) => Ok(Some(self.app.clone())),
            ("data", _) => Ok(Some(self.data.clone())),
            (_, Some(layer)) => self.layer(layer).map(Some),
            _ => Ok(None),
        }
    }

    fn layer(&self, name: &str) -> Result<String, Abort> {
        let directory = self.layers.get(name).ok_or_else(|| {
            Abort::new(format!(
                "the artifact refers to a layer `{name}` that it does not have"
            ))
        })?;
        text(&self.root.join(directory))
    }
}

#[cfg(test)]
mod tests {
    use hop3_plugin_testing::TestApp;

    use super::*;
    use crate::agent::tests::sample::{Sample, key};

    fn env_of(app: &TestApp, sample: &Sample) -> BTreeMap<String, String> {
        shared(&app.context(), &sample.launch(), "/usr/bin:/bin").unwrap()
    }

    #[test]
    fn an_app_gets_a_home_a_path_a_private_temporary_directory_and_its_name() {
        let app = TestApp::new("shop");
        let env = env_of(&app, &Sample::new());
        assert_eq!(env["PATH"], "/usr/bin:/bin");
        assert_eq!(env["HOME"], app.paths.data.display().to_string());
        assert!(
            env["TMPDIR"].ends_with("/releases/1/tmp"),
            "{}",
            env["TMPDIR"]
        );
        assert_eq!((&*env["HOP3_APP"], &*env["HOP3_RELEASE"]), ("shop", "1"));
        assert_eq!(env.len(), 5);
    }

    #[test]
    fn t26_every_value_of_the_spec_arrives_byte_for_byte() {
        let values = [
            "'",
            "\"",
            "a\nb\r\n",
            "$HOME ${app} `id` %h \\",
            "ü𝄞\u{202e}",
            "",
        ];
        let app = values
            .iter()
            .enumerate()
            .fold(TestApp::new("shop"), |app, (index, value)| {
                app.variable(&format!("V{index}"), value)
            });
        let env = env_of(&app, &Sample::new());
        for (index, value) in values.iter().enumerate() {
            assert_eq!(env[&format!("V{index}")], *value);
        }
    }

    #[test]
    fn the_spec_overrides_the_toolchain_and_neither_changes_the_identity() {
        let mut sample = Sample::new();
        let runtime = &mut sample.artifact.runtime;
        runtime.env.insert(key("MODE"), "toolchain".to_owned());
        runtime.env.insert(key("HOP3_APP"), "other".to_owned());
        runtime.env.insert(key("ONLY"), "toolchain".to_owned());
        let app = TestApp::new("shop")
            .variable("MODE", "spec")
            .variable("HOP3_RELEASE", "99");
        let env = env_of(&app, &sample);
        assert_eq!((&*env["MODE"], &*env["ONLY"]), ("spec", "toolchain"));
        assert_eq!((&*env["HOP3_APP"], &*env["HOP3_RELEASE"]), ("shop", "1"));
    }

    #[test]
    fn placeholders_of_the_toolchain_become_directories() {
        let mut sample = Sample::new();
        let runtime = &mut sample.artifact.runtime;
        runtime.path = vec!["${layer:venv}/bin".to_owned(), "${app}/bin".to_owned()];
        runtime
            .layers
            .insert("venv".to_owned(), "layers/abc".to_owned());
        runtime
            .env
            .insert(key("MIXED"), "${data}:${other}:${app".to_owned());
        let app = TestApp::new("shop");
        let root = app.paths.app.display();
        let env = env_of(&app, &sample);
        assert_eq!(
            env["PATH"],
            format!("{root}/layers/abc/bin:{root}/releases/1/app/bin:/usr/bin:/bin")
        );
        assert_eq!(env["MIXED"], format!("{root}/data:${{other}}:${{app"));
    }

    #[test]
    fn t26_what_the_kernel_would_refuse_is_refused_by_name_and_without_its_value() {
        for (value, words) in [
            ("a\0canary".to_owned(), "zero byte"),
            ("x".repeat(200 * 1024), "204800 bytes"),
        ] {
            let app = TestApp::new("shop").variable("BAD", &value);
            let sample = Sample::new();
            let error = shared(&app.context(), &sample.launch(), "/bin").unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains("`BAD`") && message.contains(words),
                "{message}"
            );
            assert!(!message.contains("canary"));
        }
    }

    #[test]
    fn a_layer_that_does_not_exist_is_named() {
        let mut sample = Sample::new();
        sample.artifact.runtime.path = vec!["${layer:venv}/bin".to_owned()];
        let app = TestApp::new("shop");
        let error = shared(&app.context(), &sample.launch(), "/bin").unwrap_err();
        assert!(error.to_string().contains("`venv`"), "{error}");
    }
}
