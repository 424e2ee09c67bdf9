//! `[metadata]`, `[source]`, `[build]` and `[docker]`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU16;

use hop3_plugin_api::{AppName, EnvKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::common::{Command, Package, Period, Version};

/// Who the app is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Metadata {
    /// The app's name; the directory's name when absent.
    pub(crate) id: Option<AppName>,
    /// The app's version, for people.
    pub(crate) version: Option<String>,
    /// A title, for people.
    pub(crate) title: Option<String>,
    /// Another title, for people.
    pub(crate) name: Option<String>,
    /// What the app is, for people.
    pub(crate) description: Option<String>,
    /// Who made it, for people.
    pub(crate) author: Option<String>,
    /// Its licence, for people.
    pub(crate) license: Option<String>,
    /// Its web page, for people.
    pub(crate) homepage: Option<String>,
    /// Its categories, for people.
    pub(crate) categories: Option<Vec<String>>,
    /// Its tags, for people.
    pub(crate) tags: Option<Vec<String>>,
    /// The name that the app had before, so that it keeps its data. Not built yet.
    pub(crate) moved_from: Option<AppName>,
}

/// Where the app's code comes from: exactly one of `git`, `url` and `image`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct SourceSection {
    /// A git repository's URL; needs one of `branch`, `tag`, `semver` and `commit`. Not built yet.
    pub(crate) git: Option<String>,
    /// The branch to follow. Not built yet.
    pub(crate) branch: Option<RefName>,
    /// The tag to take. Not built yet.
    pub(crate) tag: Option<RefName>,
    /// The range of versions to follow, such as `^1.4`: the newest tag in it. Not built yet.
    pub(crate) semver: Option<VersionRange>,
    /// The commit to take. Not built yet.
    pub(crate) commit: Option<CommitId>,
    /// The directory within the source. Not built yet.
    pub(crate) path: Option<String>,
    /// An archive's URL; needs `sha256`. Not built yet.
    pub(crate) url: Option<String>,
    /// The archive's digest. Not built yet.
    pub(crate) sha256: Option<Sha256>,
    /// A container image, pinned by digest: `name@sha256:…`.
    pub(crate) image: Option<String>,
}

text!(
    /// The name of a branch or tag.
    RefName,
    "^(?![-/.])(?!.*(?:\\.\\.|//|@\\{|/\\.|\\.lock$|[/.]$))[^\\x00-\\x20\\x7f~^:?*\\[\\\\]{1,200}$",
    "the name of a branch or tag, such as `main`",
    |text| {
        let hostile = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
        let parts = ["..", "//", "@{", "/."];
        (1..=200).contains(&text.chars().count())
            && !text.starts_with(['-', '/', '.'])
            && !text.ends_with(['/', '.'])
            && std::path::Path::new(text).extension().is_none_or(|extension| extension != "lock")
            && !parts.iter().any(|part| text.contains(part))
            && !text.contains(hostile)
    }
);

text!(
    /// A range of versions.
    VersionRange,
    "^[0-9vxX*^~<>=][0-9A-Za-z.*^~<>=|,+ -]{0,99}$",
    "a range of versions, such as `^1.4` or `>=2, <3`",
    |text| {
        let begins = |c: char| c.is_ascii_digit() || "vxX*^~<>=".contains(c);
        let rest = |c: char| c.is_ascii_alphanumeric() || ".*^~<>=|,+ -".contains(c);
        text.len() <= 100 && text.starts_with(begins) && text.chars().all(rest)
    }
);

text!(
    /// A commit by its whole id.
    CommitId,
    "^[0-9a-f]{40}(?:[0-9a-f]{24})?$",
    "the whole id of the commit: 40 hexadecimal digits",
    |text| matches!(text.len(), 40 | 64) && lower_hex(text)
);

text!(
    /// A digest.
    Sha256,
    "^[0-9a-f]{64}$",
    "the 64 hexadecimal digits that `sha256sum` prints",
    |text| text.len() == 64 && lower_hex(text)
);

fn lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// How the code becomes something that runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are named as the keys are"
)]
pub(crate) struct Build {
    /// `auto` (default: a Dockerfile → `docker`, else `local`), or a builder's name.
    pub(crate) builder: Option<String>,
    /// A toolchain's name; found by looking at the source when absent.
    pub(crate) toolchain: Option<String>,
    /// The directory that a static site publishes.
    pub(crate) static_dir: Option<String>,
    /// Commands before the toolchain's.
    pub(crate) before_build: Option<Command>,
    /// Commands after dependencies are installed.
    pub(crate) build: Option<Command>,
    /// Commands after everything else.
    pub(crate) after_build: Option<Command>,
    /// Smoke tests; a failure fails the build.
    pub(crate) test: Option<Command>,
    /// Further pip packages.
    pub(crate) pip_install: Option<Vec<String>>,
    /// Host packages that the build needs.
    pub(crate) packages: Option<Vec<Package>>,
    /// Files that a client does not upload; without effect here.
    pub(crate) ignore: Option<Vec<String>>,
    /// The version of Node.
    pub(crate) node_version: Option<Version>,
    /// The version of Python.
    pub(crate) python_version: Option<Version>,
    /// The version of Ruby.
    pub(crate) ruby_version: Option<Version>,
    /// The version of Go.
    pub(crate) go_version: Option<Version>,
    /// The version of Rust.
    pub(crate) rust_version: Option<Version>,
    /// The version of PHP.
    pub(crate) php_version: Option<Version>,
    /// The version of Java.
    pub(crate) java_version: Option<Version>,
    /// The version of Clojure.
    pub(crate) clojure_version: Option<Version>,
    /// The version of Elixir.
    pub(crate) elixir_version: Option<Version>,
    /// The version of .NET.
    pub(crate) dotnet_version: Option<Version>,
    /// Whether a missing lock file is accepted.
    pub(crate) allow_unlocked: Option<bool>,
    /// The longest that the whole build may take.
    pub(crate) timeout: Option<Period>,
    /// `none`: the build reaches no network at all. A spec can ask for less than the host allows, never for more.
    pub(crate) network: Option<BuildNetwork>,
    /// `required`: a host that cannot sandbox the build must refuse it.
    pub(crate) sandbox: Option<BuildSandbox>,
    /// Variables for build steps only, or the names of variables of `[env]` that build steps may see.
    pub(crate) env: Option<BuildEnv>,
}

impl Build {
    /// The versions asked for, by tool.
    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        let all = [
            ("node", &self.node_version),
            ("python", &self.python_version),
            ("ruby", &self.ruby_version),
            ("go", &self.go_version),
            ("rust", &self.rust_version),
            ("php", &self.php_version),
            ("java", &self.java_version),
            ("clojure", &self.clojure_version),
            ("elixir", &self.elixir_version),
            ("dotnet", &self.dotnet_version),
        ];
        let given = all
            .into_iter()
            .filter_map(|(tool, version)| Some((tool.to_owned(), version.clone()?.0)));
        given.collect()
    }
}

/// How much network a build asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BuildNetwork {
    None,
}

/// How much confinement a build asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BuildSandbox {
    Required,
}

/// Variables of build steps: their values, or names of variables of `[env]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum BuildEnv {
    Names(Vec<EnvKey>),
    Values(BTreeMap<EnvKey, String>),
}

impl JsonSchema for BuildEnv {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BuildEnv".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let key = EnvKey::json_schema(generator);
        let pattern = key.get("pattern").and_then(|p| p.as_str()).unwrap_or(".*");
        json_schema!({
            "type": ["array", "object"],
            "items": key,
            "patternProperties": { pattern: { "type": "string" } },
            "additionalProperties": false
        })
    }
}

/// Containers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Docker {
    /// The port on which the container listens.
    pub(crate) port: Option<NonZeroU16>,
    /// `docker` or `docker-compose`.
    pub(crate) runtime: Option<String>,
    /// Arguments of the image's build. Their values are in the config repo and in the image's history: no place for secrets.
    pub(crate) build_args: Option<BTreeMap<String, String>>,
    /// The file that the image is built from, from the source's root. Default: the `Dockerfile` of `context`.
    pub(crate) dockerfile: Option<String>,
    /// The directory that the build is shown, from the source's root. Default: the root.
    pub(crate) context: Option<String>,
    /// The stage of the Dockerfile that is built, as `FROM … AS <name>` calls it. Default: the last one.
    pub(crate) target: Option<String>,
}
