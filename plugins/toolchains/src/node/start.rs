//! How a Node app starts when its spec does not say. Pure.

use super::package::Package;
use super::site::is_dev_server;
use crate::place::Place;
use crate::source;

/// Servers of frameworks, by the package that brings them.
const FRAMEWORKS: [(&str, &str); 6] = [
    ("next", "next start --hostname 127.0.0.1 --port $PORT"),
    ("nuxt", "node .output/server/index.mjs"),
    ("@nestjs/core", "node dist/main"),
    ("@sveltejs/adapter-node", "node build"),
    ("@astrojs/node", "node dist/server/entry.mjs"),
    ("@remix-run/serve", "remix-serve build/server/index.js"),
];

/// Scripts that are started as they are, best first.
const SCRIPTS: [&str; 7] = [
    "server.js",
    "app.js",
    "index.js",
    "server.mjs",
    "index.mjs",
    "server.cjs",
    "index.cjs",
];

/// The `start` script, a framework's server, else a script.
pub(super) fn guess(place: &Place<'_>, package: &Package) -> Option<String> {
    start_script(package)
        .or_else(|| framework(package).map(str::to_owned))
        .or_else(|| script(place, Some(package)))
}

/// The script itself, because a manager in between would keep signals to itself, and reads its own settings; with hooks around it or
/// variables of the manager in it, the manager runs it.
pub(super) fn start_script(package: &Package) -> Option<String> {
    let start = package
        .script("start")
        .filter(|start| !is_dev_server(start))?;
    if needs_manager(package) {
        return Some("npm start".to_owned());
    }
    Some(start.to_owned())
}

/// Whether the `start` script is more than its command.
pub(super) fn needs_manager(package: &Package) -> bool {
    let hooked = package.script("prestart").is_some() || package.script("poststart").is_some();
    hooked
        || package
            .script("start")
            .is_some_and(|start| start.contains("npm_"))
}

/// The server of the framework that the package depends on.
pub(super) fn framework(package: &Package) -> Option<&'static str> {
    let found = FRAMEWORKS.iter().find(|(name, _)| package.depends_on(name));
    found.map(|(_, command)| *command)
}

/// `main`, where it is there or is yet to be built, else a script with a usual name.
pub(super) fn script(place: &Place<'_>, package: Option<&Package>) -> Option<String> {
    let has = |path: &str| place.cx.source.has(&place.own(path));
    let main = package.and_then(|package| {
        let main = source::normalised(package.string("/main")?)?;
        let built = package.script("build").is_some() && !main.contains("src/");
        (has(&main) || built && main.contains('/')).then_some(main)
    });
    let usual = || {
        SCRIPTS
            .iter()
            .find(|path| has(path))
            .map(|path| (*path).to_owned())
    };
    main.or_else(usual).map(|path| format!("node {path}"))
}
