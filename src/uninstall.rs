//! Ends everything of this installation that runs: for the demo and for taking the agent off a host. Data stays.

use hop3_plugin_api::{AppName, Result};

use crate::machine::Machine;
use crate::observe::Scanner;
use crate::release::paths;

/// Effect: ends every release of every app, then every proxy. What fails holds up nothing else; the first failure is returned.
pub async fn stop_everything(machine: &Machine) -> Result<()> {
    let mut result = Ok(());
    for app in (Scanner { machine }).apps().await? {
        result = result.and(stop_app(machine, &app).await);
    }
    for proxy in machine.registry.proxies.iter() {
        result = result.and(proxy.stop(&machine.host_context()).await);
    }
    result
}

async fn stop_app(machine: &Machine, app: &AppName) -> Result<()> {
    let mut result = Ok(());
    for release in (Scanner { machine }).stamps(app).await?.releases.values() {
        let deployer = machine.deployer_of(release)?;
        let app_paths = paths(&machine.dirs.data, &release.id);
        let cx = machine.bare_context(&release.target, &app_paths);
        result = result.and(deployer.stop(&cx, &release.id).await);
    }
    result
}
