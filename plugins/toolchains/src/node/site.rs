//! Sites that Node builds and nothing serves: which generator, and which directory it makes. Pure.

use hop3_plugin_api::serde_json::Value;
use hop3_plugin_api::{PlanContext, Result};

use super::package::Package;
use super::start;
use crate::place::Place;
use crate::source;

/// Generators with the directory that each makes, by the package that brings them. What uses another one inside comes first.
const GENERATORS: [(&str, &str); 12] = [
    ("react-scripts", "build"),
    ("@vue/cli-service", "dist"),
    ("gatsby", "public"),
    ("@docusaurus/core", "build"),
    ("@11ty/eleventy", "_site"),
    ("hexo", "public"),
    ("vitepress", ".vitepress/dist"),
    ("@sveltejs/adapter-static", "build"),
    ("astro", "dist"),
    ("parcel", "dist"),
    ("@angular/cli", "dist"),
    ("vite", "dist"),
];

/// Commands that serve sources to a developer.
const DEV_SERVERS: [&str; 11] = [
    "react-scripts start",
    "ng serve",
    "ng s",
    "vite",
    "parcel",
    "webpack serve",
    "webpack-dev-server",
    "vue-cli-service serve",
    "gatsby develop",
    "astro dev",
    "docusaurus start",
];

/// Whether a command is a server for developers.
pub(super) fn is_dev_server(command: &str) -> bool {
    let command = command.strip_prefix("npx ").unwrap_or(command);
    DEV_SERVERS.iter().any(|server| {
        let rest = command.strip_prefix(server);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}

/// The directory to publish, where the app is a site and no server: the spec names it, or a generator makes it and nothing starts.
pub(super) fn publish(place: &Place<'_>, package: &Package) -> Result<Option<String>> {
    let config = place.cx.config;
    let runs = config
        .workers
        .keys()
        .any(|worker| worker.as_str() != "static");
    if runs {
        return Ok(None);
    }
    let named = config.build.static_dir.as_deref();
    let named = named.or_else(|| config.workers.get("static").map(String::as_str));
    if let Some(named) = named {
        return crate::static_site::named(place, named.trim()).map(Some);
    }
    let serves = start::start_script(package).is_some() || start::framework(package).is_some();
    if serves && !exports(&place.cx, package)? {
        return Ok(None);
    }
    generated(place, package)
}

/// The directory that the package's generator makes, relative to the project's root.
pub(super) fn generated(place: &Place<'_>, package: &Package) -> Result<Option<String>> {
    if exports(&place.cx, package)? {
        return Ok(Some(place.own("out")));
    }
    let Some((name, usual)) = GENERATORS.iter().find(|(name, _)| package.depends_on(name)) else {
        return Ok(None);
    };
    let named = match *name {
        "vite" => vite_directory(place)?,
        "@angular/cli" => angular_directory(place)?,
        _ => None,
    };
    let directory = named.unwrap_or_else(|| (*usual).to_owned());
    Ok(Some(place.own(&directory)))
}

/// Next writes plain files when its settings say so.
fn exports(cx: &PlanContext<'_>, package: &Package) -> Result<bool> {
    if !package.depends_on("next") {
        return Ok(false);
    }
    for file in ["next.config.js", "next.config.mjs", "next.config.ts"] {
        let text = source::text(cx, file)?.unwrap_or_default();
        let text: String = text.split_whitespace().collect();
        if text.contains("output:'export'") || text.contains("output:\"export\"") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `outDir` of vite.config, where it is a plain string.
fn vite_directory(place: &Place<'_>) -> Result<Option<String>> {
    for extension in ["js", "ts", "mjs", "mts"] {
        let file = place.own(&format!("vite.config.{extension}"));
        let text = source::text(&place.cx, &file)?.unwrap_or_default();
        let value = text
            .split_once("outDir:")
            .map(|(_, rest)| rest.trim_start());
        let quoted = value.and_then(|value| {
            let quote = value.chars().next().filter(|c| "'\"".contains(*c))?;
            value[1..].split(quote).next()
        });
        if let Some(directory) = quoted.and_then(source::normalised) {
            return Ok(Some(directory));
        }
    }
    Ok(None)
}

/// `outputPath` of the first project of angular.json; the newer builder puts what browsers load one level below.
fn angular_directory(place: &Place<'_>) -> Result<Option<String>> {
    let settings = source::json(&place.cx, &place.own("angular.json"))?.unwrap_or_default();
    let projects = settings.get("projects").and_then(Value::as_object);
    let Some((name, project)) = projects.and_then(|projects| projects.iter().next()) else {
        return Ok(None);
    };
    let build = ["/architect/build", "/targets/build"];
    let build = build.iter().find_map(|at| project.pointer(at));
    let path = build.and_then(|build| build.pointer("/options/outputPath"));
    let path = path.and_then(|path| path.as_str().or_else(|| path.get("base")?.as_str()));
    let path = path.map_or_else(|| format!("dist/{name}"), str::to_owned);
    let builder = build.and_then(|build| build.get("builder")?.as_str());
    let nested = builder.is_some_and(|builder| builder.ends_with(":application"));
    Ok(Some(if nested {
        format!("{path}/browser")
    } else {
        path
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_for_developers_is_told_from_one_for_visitors() {
        for command in [
            "vite",
            "vite --host",
            "ng serve",
            "react-scripts start",
            "npx parcel src/index.html",
        ] {
            assert!(is_dev_server(command), "{command}");
        }
        for command in ["node server.js", "vitest", "next start", "serve -s build"] {
            assert!(!is_dev_server(command), "{command}");
        }
    }
}
