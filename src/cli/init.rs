//! `init`: an example config repo and settings to start from.

use std::path::{Path, PathBuf};

use hop3_plugin_api::{FileWrite, Host};
use rust_embed::RustEmbed;

use super::documents::{documents, pretty};
use super::output::{CliError, Exit, out};
use crate::host::{HostConfig, SystemHost};
use crate::registry::Registry;

/// The example repo, part of this binary.
#[derive(RustEmbed)]
#[folder = "examples/gitops-repo"]
struct Example;

/// Settings for a host, with everything explained.
const AGENT_TOML: &str = include_str!("../../examples/agent.toml");

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// The directory to make; it must not exist yet.
    #[arg(value_name = "DIR", default_value = "config-repo")]
    directory: PathBuf,
    /// Print example settings for a host (agent.toml) instead.
    #[arg(long)]
    settings: bool,
}

/// Schemas that editors check the files of a config repo with.
const FOR_EDITORS: [&str; 2] = ["hop3", "host"];

/// Writes the example.
pub(super) fn init(args: &InitArgs, registry: &Registry) -> Result<Exit, CliError> {
    if args.settings {
        out(AGENT_TOML);
        return Ok(Exit::Success);
    }
    if args.directory.exists() {
        return Err(
            CliError::new(format!("`{}` exists already", args.directory.display()))
                .hint("name a directory to make"),
        );
    }
    let host = SystemHost::new(HostConfig::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let directory =
        std::path::absolute(&args.directory).map_err(|error| CliError::new(error.to_string()))?;
    runtime
        .map_err(|error| CliError::new(error.to_string()))?
        .block_on(async {
            write_example(&host, &directory).await?;
            write_schemas(&host, &directory, registry).await
        })?;
    out(&format!(
        "wrote an example config repo to {0}; editors with taplo check and complete its files by {0}/.taplo.toml\n\
         next: rename {0}/hosts/demo.toml after your host, then cd {0} && git init -b main && git add . && git commit -m 'Three apps'\n\
         then: hop3-agent init --settings > /etc/hop3-agent/agent.toml\n",
        args.directory.display()
    ));
    Ok(Exit::Success)
}

/// Effect: writes the schemas of this binary, whose plugins may be others than those of the one that the example was made with.
async fn write_schemas(
    host: &dyn Host,
    directory: &Path,
    registry: &Registry,
) -> Result<(), CliError> {
    for (name, document) in documents(registry) {
        if FOR_EDITORS.contains(&name) {
            let path = directory.join("schema").join(format!("{name}.json"));
            let file = FileWrite::private(path, pretty(&document).into_bytes());
            host.write_atomic(file.mode(0o644)).await?;
        }
    }
    Ok(())
}

/// Effect: writes the example repo into a directory.
pub(super) async fn write_example(host: &dyn Host, directory: &Path) -> Result<(), CliError> {
    for name in Example::iter() {
        let file = Example::get(&name).expect("a listed file is embedded");
        let path = directory.join(name.as_ref());
        host.ensure_dir(
            path.parent().expect("a file lies in a directory"),
            0o755,
            None,
        )
        .await?;
        let mode = if name.ends_with(".sh") { 0o755 } else { 0o644 };
        host.write_atomic(FileWrite::private(path, file.data.into_owned()).mode(mode))
            .await?;
    }
    Ok(())
}
