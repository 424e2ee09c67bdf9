//! The proxy's helper processes as a program of their own, for its tests.

use std::process::ExitCode;

use hop3_plugin_api::Plugin as _;
use hop3_plugin_builtin_proxy::BuiltinProxyPlugin;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    BuiltinProxyPlugin
        .entrypoints()
        .into_iter()
        .find(|entrypoint| entrypoint.name == name)
        .map_or(ExitCode::FAILURE, |entrypoint| {
            (entrypoint.run)(args.collect())
        })
}
