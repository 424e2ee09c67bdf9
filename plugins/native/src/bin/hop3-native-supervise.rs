//! The plugin's helper processes without an agent around them, and an app for them to run: for this plugin's own tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::ExitCode;

use hop3_plugin_api::Plugin as _;
use hop3_plugin_native::NativePlugin;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    if name == "serve" {
        return serve().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    NativePlugin
        .entrypoints()
        .into_iter()
        .find(|entrypoint| entrypoint.name == name)
        .map_or(ExitCode::from(64), |entrypoint| {
            (entrypoint.run)(args.collect())
        })
}

/// Answers every request on `$BIND_ADDRESS:$PORT` with its process number.
#[expect(
    clippy::disallowed_methods,
    reason = "this is an app, and apps read their environment"
)]
fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let address = format!(
        "{}:{}",
        std::env::var("BIND_ADDRESS")?,
        std::env::var("PORT")?
    );
    let body = std::process::id().to_string();
    for stream in TcpListener::bind(address)?.incoming() {
        let mut stream = stream?;
        let request = BufReader::new(stream.try_clone()?);
        request
            .lines()
            .take_while(|line| line.as_ref().is_ok_and(|l| !l.is_empty()))
            .for_each(drop);
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
    Ok(())
}
