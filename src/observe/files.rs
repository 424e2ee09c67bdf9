//! The stamped files of one app, by name, and how one is read.

use std::path::{Path, PathBuf};

use hop3_plugin_api::serde::de::DeserializeOwned;
use hop3_plugin_api::{AppName, Host, HostError};

use crate::release::app_dir;

/// The stamped files of one app, by name. The only place that knows where they are.
#[derive(Debug, Clone)]
pub struct StateFiles {
    app: PathBuf,
}

impl StateFiles {
    /// The files of an app.
    pub fn new(data_dir: &Path, app: &AppName) -> Self {
        Self {
            app: app_dir(data_dir, app),
        }
    }

    /// `apps/<app>`.
    pub fn app(&self) -> &Path {
        &self.app
    }

    /// All releases.
    pub fn releases(&self) -> PathBuf {
        self.app.join("releases")
    }

    /// One release.
    pub fn release(&self, number: u32) -> PathBuf {
        self.releases().join(number.to_string())
    }

    /// A release's stamp.
    pub fn stamp(&self, number: u32) -> PathBuf {
        self.release(number).join("release.json")
    }

    /// What is known of a release's once steps.
    pub fn once(&self, number: u32) -> PathBuf {
        self.release(number).join("once.json")
    }

    /// Where the exit of a once step goes when the agent dies meanwhile.
    pub fn once_exit(&self, number: u32, command: usize) -> PathBuf {
        self.release(number)
            .join(format!("once-{command}.exit.json"))
    }

    /// The link to the current release.
    pub fn current(&self) -> PathBuf {
        self.app.join("current")
    }

    /// The number of the current release.
    pub fn current_number(&self) -> PathBuf {
        self.state().join("current.json")
    }

    /// What may vanish at any time.
    pub fn cache(&self) -> PathBuf {
        self.app.join("cache")
    }

    /// Stamps that belong to no release.
    pub fn state(&self) -> PathBuf {
        self.app.join("state")
    }

    /// The highest release number that was ever used.
    pub fn counter(&self) -> PathBuf {
        self.state().join("last-release.json")
    }

    /// The site as it was last put in place.
    pub fn site(&self) -> PathBuf {
        self.state().join("site.json")
    }

    /// Addons that were made.
    pub fn addons(&self) -> PathBuf {
        self.state().join("addons.json")
    }

    /// A person's choice of a release.
    pub fn pin(&self) -> PathBuf {
        self.state().join("pin.json")
    }

    /// One generated secret.
    pub fn secret(&self, key: &str) -> PathBuf {
        self.state().join("secrets").join(key)
    }

    /// Says that the app is gone and its data is still here.
    pub fn tombstone(&self) -> PathBuf {
        self.state().join("tombstone.json")
    }
}

/// What once steps have come to: written before each starts and after each ends.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OnceRecord {
    /// Commands in their order; the last one may have started without an exit.
    pub commands: Vec<OnceCommand>,
    /// Whether all have succeeded.
    pub done: bool,
}

/// One command of a once step.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OnceCommand {
    /// The command.
    pub command: String,
    /// How it ended; absent while it runs or when that is not known.
    pub exit: Option<hop3_plugin_api::Exit>,
}

/// A stamped file as a value, `None` when it is missing. A file that cannot be understood is an error: it is neither believed nor ignored.
pub(crate) async fn read_json<T: DeserializeOwned>(
    host: &dyn Host,
    path: &Path,
) -> Result<Option<T>, HostError> {
    let Some(bytes) = host.read(path).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| unusable(path, format!("it cannot be read: {error}")))
}

/// A stamp that says nothing that could be acted on.
pub(super) fn unusable(path: &Path, reason: String) -> HostError {
    HostError::Refused {
        doing: format!("go by the stamp `{}`", path.display()),
        reason,
    }
}
