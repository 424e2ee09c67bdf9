//! What there is of Docker on a host, for `doctor`: the client, the engine behind it, compose and buildx. Changes nothing.

use hop3_plugin_api::{Finding, HostContext};

use crate::engine::{Compose, Engine};

const CLIENT: &str = "Debian's package is `docker.io`, Red Hat's is `moby-engine`";

pub(crate) async fn examine(machine: HostContext<'_>) -> Vec<Finding> {
    let engine = match Engine::new(machine) {
        Ok(engine) => engine,
        Err(error) => return vec![Finding::faulty("docker", error.to_string())],
    };
    if !engine.is_installed() {
        return vec![Finding::missing("docker", CLIENT)];
    }
    let words = ["version", "--format", "{{.Server.Version}}"];
    let version = engine.ask("ask the engine for its version", words).await;
    let there = match version {
        Ok(version) => Finding::fine("docker engine", version.trim()),
        Err(error) => Finding::faulty("docker engine", told(&error))
            .hint("start it, or name its address as `host` of `[plugin.docker]` in agent.toml"),
    };
    vec![there, compose(&engine).await, buildx(&engine).await]
}

async fn compose(engine: &Engine<'_>) -> Finding {
    match Compose::find(engine).await {
        Ok(Compose::V2) => Finding::fine("docker compose", "version 2"),
        Ok(Compose::V1) => Finding::fine("docker compose", "version 1"),
        Err(error) => Finding::missing(
            "docker compose",
            error.hints().into_iter().next().unwrap_or_default(),
        ),
    }
}

/// Without it images are built by the engine's classic builder.
async fn buildx(engine: &Engine<'_>) -> Finding {
    let version = engine.task("ask for buildx's version", ["buildx", "version"]);
    match engine.run(&version).await {
        Ok(exit) if exit.success() => Finding::fine("docker buildx", exit.tail.trim()),
        Ok(_) => Finding::missing(
            "docker buildx",
            "only Dockerfiles that need BuildKit miss it: the package is `docker-buildx`, or `docker-buildx-plugin` of Docker itself",
        ),
        Err(error) => Finding::faulty("docker buildx", told(&error)),
    }
}

fn told(error: &hop3_plugin_api::PluginError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
