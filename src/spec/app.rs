//! What a valid spec says, typed, merged with its Procfile. Everything downstream works on this value and never sees TOML.

use std::collections::BTreeMap;
use std::time::Duration;

use hop3_plugin_api::{
    AddonInstance, AppConfig, AppName, Counts, EnvTemplate, HostName, Limits, PluginName,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::positions::Positions;
use super::sections::{SecretName, Transport};

/// A place in a file of the config repo. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// The path from the repo's root.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Position {
    /// The first place of a file, for what concerns it as a whole.
    pub fn start(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: 1,
            column: 1,
        }
    }
}

/// One app's spec.
#[derive(Debug, Clone, PartialEq)]
pub struct AppSpec {
    /// `metadata.id`, else the directory's name.
    pub name: AppName,
    /// The app's directory from the repo's root: `apps/shop`.
    pub directory: String,
    /// The file that declares it: its `hop3.toml`, else its Procfile.
    pub file: String,
    /// What plugins see: `[build]`, workers, `[static]`, `[docker]`, `[plugin.*]`.
    pub config: AppConfig,
    /// `[source]`; absent means the app's own directory.
    pub source: Option<SourceSpec>,
    /// Commands that run once per release, before the switch.
    pub release_commands: Vec<String>,
    /// `[env]`.
    pub env: EnvTemplate,
    /// `[domains]` or `HOST_NAME`.
    pub hosts: Vec<HostName>,
    /// `[healthcheck]` and its older twins.
    pub health: HealthCheck,
    /// `[[addons]]`.
    pub addons: Vec<AddonInstance>,
    /// `[scale]`; a worker that is not named here runs once.
    pub scale: Counts,
    /// `[deploy]`.
    pub deploy: DeploySettings,
    /// `[proxy]` and `[deploy] allow-http`.
    pub proxy: ProxySettings,
    /// `[limits]`.
    pub limits: Limits,
    /// The encrypted secrets of the config repo that it names. Whether their files are there is not known here.
    pub secrets: Vec<SecretUse>,
    /// `[[ports]]`: ports of the host that it claims, each once.
    pub ports: Vec<PortClaim>,
    /// `[[addons]]` with `share-from`.
    pub shares: Vec<Share>,
    /// Sections and keys that validate but are not built yet: the app cannot be planned while there are any.
    pub unbuilt: Vec<Unbuilt>,
    /// Where each key stands, by JSON pointer: `/run/start`. Values of a Procfile stand at `/run/workers/<kind>`.
    pub positions: Positions,
}

impl AppSpec {
    /// The key that stands at a place, as JSON pointer; empty when none does. Of several it is the innermost.
    pub fn pointer(&self, at: &Position) -> String {
        self.positions.pointer(at).unwrap_or_default().to_owned()
    }

    /// Where a key stands: itself, else the nearest table around it that the spec has, else the file's first line.
    pub fn position(&self, pointer: &str) -> Position {
        let mut at = pointer;
        loop {
            if let Some(position) = self.positions.get(at) {
                return position;
            }
            match at.rsplit_once('/') {
                Some((parent, _)) if !parent.is_empty() => at = parent,
                _ => {
                    return Position::start(&self.file);
                }
            }
        }
    }
}

/// One use of an encrypted secret: `secrets/<host>/<name>.age`, else `secrets/<name>.age`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUse {
    /// Its name.
    pub name: SecretName,
    /// The key that names it, as JSON pointer: `/env/TOKEN/secret`.
    pub pointer: String,
    /// Where the name stands.
    pub at: Position,
}

/// One port of the host that an app claims for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortClaim {
    /// Its number; never one of the host's own.
    pub number: u16,
    /// Its protocol.
    pub protocol: Transport,
    /// A name, for people.
    pub name: Option<String>,
    /// Who may reach it; none means everybody.
    pub source: Option<Network>,
    /// The key that claims it, as JSON pointer: `/ports/0/number`.
    pub pointer: String,
    /// Where the number stands.
    pub at: Position,
}

/// An addon whose data belongs to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The addon's type.
    pub kind: Option<String>,
    /// Whose it is: an app's name, or `host/<name>`.
    pub from: String,
    /// The key that says so, as JSON pointer: `/addons/0/share-from`.
    pub pointer: String,
    /// Where the owner is named.
    pub at: Position,
}

/// Something that is valid but cannot be carried out by this version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unbuilt {
    /// The section or key: `[[jobs]]`.
    pub what: String,
    /// Where it stands.
    pub at: Position,
}

/// `[source]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceSpec {
    /// A container image by digest.
    Image(String),
}

/// When a new release counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HealthCheck {
    /// The path that is asked; without one a listening port is enough.
    pub path: Option<String>,
    /// Status codes that are good, as inclusive range.
    pub status: (u16, u16),
    /// Text that the body must contain.
    pub contains: Option<String>,
    /// For one request.
    pub timeout: Duration,
    /// Good answers in a row.
    pub successes: u16,
    /// The longest from the start of the processes to health.
    pub start_timeout: Duration,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: None,
            status: (200, 399),
            contains: None,
            timeout: Duration::from_secs(30),
            successes: 2,
            start_timeout: Duration::from_mins(1),
        }
    }
}

/// How a new release replaces the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The new one starts beside the old one and takes over when it is healthy.
    BlueGreen,
    /// The old one stops first.
    Recreate,
}

/// What happens to a once step that was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInterrupt {
    /// It runs again.
    Retry,
    /// The app is held until a person looks.
    Hold,
}

/// `[deploy]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeploySettings {
    /// The deployer asked for.
    pub deployer: Option<PluginName>,
    /// Apps that must be healthy first.
    pub after: Vec<AppName>,
    /// How a release replaces another.
    pub strategy: Strategy,
    /// Whether unrouted workers of both releases may run at once.
    pub overlap: bool,
    /// How long requests in flight may take after the switch.
    pub drain_timeout: Duration,
    /// Releases kept, the current one included.
    pub keep_releases: u16,
    /// What happens to an interrupted release command.
    pub on_interrupt: OnInterrupt,
    /// Whether drift is repaired or only reported.
    pub heal: bool,
    /// Whether a release that does not stay up may give way to the one before although its release commands have run.
    #[serde(default)]
    pub return_after_release_command: bool,
}

impl Default for DeploySettings {
    fn default() -> Self {
        Self {
            deployer: None,
            after: Vec::new(),
            strategy: Strategy::BlueGreen,
            overlap: false,
            drain_timeout: Duration::from_secs(30),
            keep_releases: 5,
            on_interrupt: OnInterrupt::Retry,
            heal: true,
            return_after_release_command: false,
        }
    }
}

/// `[proxy]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProxySettings {
    /// Plain HTTP beside HTTPS.
    pub allow_http: bool,
    /// Unknown paths below a static root get `index.html`.
    pub spa: bool,
    /// Largest request body in bytes.
    pub body_size: Option<u64>,
    /// How long an answer may take to begin.
    pub timeout: Option<Duration>,
    /// Headers added to every answer.
    pub headers: BTreeMap<String, String>,
}
