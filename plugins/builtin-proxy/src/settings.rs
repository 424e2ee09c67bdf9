//! What the operator sets, and what a process of the proxy is started with. Never an app's wish.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use hop3_plugin_api::schemars::{self, JsonSchema};
use hop3_plugin_api::{Section, Slot, UserId};
use serde::{Deserialize, Serialize};

/// `[plugin.builtin-proxy]` of agent.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BuiltinProxyConfig {
    /// Addresses on which plain HTTP is served, for instance `0.0.0.0:80`.
    #[schemars(length(min = 1, max = 16))]
    pub listen: Vec<SocketAddr>,
    /// The system user that serves requests; without it, and without root, the agent's own. It keeps one right of root's: reading files,
    /// so that it can serve every app's static files.
    pub user: Option<String>,
    /// How many threads serve requests; as many as there are cores when absent.
    #[schemars(range(min = 1, max = 64))]
    pub threads: Option<u16>,
}

impl Default for BuiltinProxyConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80))],
            user: None,
            threads: None,
        }
    }
}

impl Section for BuiltinProxyConfig {
    const SLOT: Slot = Slot::Host;
    const NAME: &'static str = "builtin-proxy";
}

/// Everything a holder and its workers are told, as the one JSON argument of both.
///
/// Two launches that are equal need no new process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Launch {
    /// The version of the binary that was asked to start it.
    pub(crate) version: String,
    /// Where to listen.
    pub(crate) listen: Vec<SocketAddr>,
    /// How many threads, as set.
    pub(crate) threads: Option<u16>,
    /// The user to become.
    pub(crate) user: Option<UserId>,
    /// The directory of `config.json`.
    pub(crate) sites: PathBuf,
    /// The directory of the control sockets.
    pub(crate) run: PathBuf,
}

impl Launch {
    /// Reads the argument of a helper process.
    pub(crate) fn from_args(args: Vec<String>) -> Result<Self, String> {
        let [text] = <[String; 1]>::try_from(args)
            .map_err(|_| "expected one argument, the launch as JSON")?;
        serde_json::from_str(&text).map_err(|e| format!("could not read the launch: {e}"))
    }

    /// The argument of a helper process.
    pub(crate) fn to_arg(&self) -> String {
        serde_json::to_string(self).expect("a launch serialises to JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_launches_survive_their_own_writing() {
        let settings = BuiltinProxyConfig::default();
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(
            text,
            r#"{"listen":["0.0.0.0:80"],"user":null,"threads":null}"#
        );
        assert_eq!(
            serde_json::from_str::<BuiltinProxyConfig>(&text).unwrap(),
            settings
        );
        let launch = Launch {
            version: "1".into(),
            listen: settings.listen,
            threads: Some(2),
            user: None,
            sites: "/s".into(),
            run: "/r".into(),
        };
        assert_eq!(Launch::from_args(vec![launch.to_arg()]), Ok(launch));
        assert!(Launch::from_args(Vec::new()).is_err());
    }
}
