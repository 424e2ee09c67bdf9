//! How a Python app starts when its spec does not say: a server that is installed and the module that it serves, else a script. Pure.

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::{PlanContext, Result, WorkerName};

use crate::source;
use crate::steps::web;

/// Modules that may hold the app, best first.
const MODULES: [&str; 9] = [
    "wsgi.py",
    "asgi.py",
    "app.py",
    "main.py",
    "application.py",
    "server.py",
    "app/__init__.py",
    "app/main.py",
    "src/app.py",
];

/// Names that an app object usually has.
const OBJECTS: [&str; 3] = ["app", "application", "api"];

/// Scripts that are started as they are, best first.
const SCRIPTS: [&str; 3] = ["main.py", "app.py", "server.py"];

/// Words that only modules of ASGI frameworks hold.
const ASGI_WORDS: [&str; 6] = [
    "fastapi",
    "starlette",
    "quart",
    "litestar",
    "get_asgi_application",
    "async def app(",
];

/// What was guessed.
#[derive(Debug, Default)]
pub(super) struct Start {
    pub(super) workers: BTreeMap<WorkerName, String>,
    /// Whether Django's static files are to be collected.
    pub(super) collects_static: bool,
    pub(super) notes: Vec<String>,
}

/// An app object in a module.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// `package.module:object`.
    target: String,
    asgi: bool,
}

/// Guesses from the source and the names of the installed packages.
pub(super) fn guess(cx: &PlanContext<'_>, installed: &BTreeSet<String>) -> Result<Start> {
    let mut start = Start::default();
    let django = django_package(cx)?;
    if let Some(package) = &django {
        collect_static(cx, package, &mut start)?;
    }
    let command = match server_command(cx, installed, django.as_deref())? {
        Some(command) => Some(command),
        None => script(cx),
    };
    start.workers = command.map(web).unwrap_or_default();
    Ok(start)
}

fn script(cx: &PlanContext<'_>) -> Option<String> {
    let script = SCRIPTS.iter().find(|script| cx.source.has(script))?;
    Some(format!("python {script}"))
}

fn server_command(
    cx: &PlanContext<'_>,
    installed: &BTreeSet<String>,
    django: Option<&str>,
) -> Result<Option<String>> {
    let has = |name: &str| installed.contains(name);
    if !has("gunicorn") && !has("uvicorn") {
        return Ok(None);
    }
    let found = match django {
        Some(package) => Some(django_app(package, !has("gunicorn"))),
        None => app_object(cx)?,
    };
    Ok(found.and_then(|found| match found {
        Found { target, asgi: true } if has("uvicorn") => {
            Some(format!("uvicorn --host 127.0.0.1 --port $PORT {target}"))
        }
        Found {
            target,
            asgi: false,
        } if has("gunicorn") => Some(format!("gunicorn --bind 127.0.0.1:$PORT {target}")),
        _ => None,
    }))
}

fn django_app(package: &str, asgi: bool) -> Found {
    let module = if asgi { "asgi" } else { "wsgi" };
    Found {
        target: format!("{package}.{module}:application"),
        asgi,
    }
}

fn app_object(cx: &PlanContext<'_>) -> Result<Option<Found>> {
    for module in MODULES {
        let text = source::text(cx, module)?.unwrap_or_default();
        if let Some(object) = object(&text) {
            return Ok(Some(Found {
                target: target(&dotted(module), object),
                asgi: is_asgi(module, &text),
            }));
        }
    }
    Ok(None)
}

/// A factory's parentheses must not reach the shell bare.
fn target(module: &str, object: &str) -> String {
    if object.ends_with(')') {
        format!("'{module}:{object}'")
    } else {
        format!("{module}:{object}")
    }
}

fn is_asgi(module: &str, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    module == "asgi.py" || ASGI_WORDS.iter().any(|word| text.contains(word))
}

/// An object that the module's top level assigns, imports or defines, else Flask's `create_app()`.
fn object(text: &str) -> Option<&'static str> {
    let named = OBJECTS
        .into_iter()
        .find(|name| text.lines().any(|line| binds(line, name)));
    let factory = || text.contains("\ndef create_app(").then_some("create_app()");
    named.or_else(factory)
}

fn binds(line: &str, name: &str) -> bool {
    if let Some((_, imported)) = line
        .strip_prefix("from ")
        .and_then(|rest| rest.split_once(" import "))
    {
        return imported
            .split(',')
            .any(|item| item.split_whitespace().next_back() == Some(name));
    }
    let function = ["def ", "async def "]
        .iter()
        .find_map(|start| line.strip_prefix(start));
    if let Some(rest) = function.and_then(|rest| rest.strip_prefix(name)) {
        return rest.starts_with('(');
    }
    let Some(rest) = line.strip_prefix(name) else {
        return false;
    };
    let rest = rest.trim_start();
    let assigned = rest.starts_with('=') && !rest.starts_with("==");
    assigned || (rest.starts_with(':') && rest.contains('='))
}

fn dotted(module: &str) -> String {
    let module = module.strip_suffix(".py").unwrap_or(module);
    let module = module.strip_suffix("/__init__").unwrap_or(module);
    module.replace('/', ".")
}

/// The package with Django's settings, where `manage.py` says that there is one.
fn django_package(cx: &PlanContext<'_>) -> Result<Option<String>> {
    if !cx.source.has("manage.py") {
        return Ok(None);
    }
    let packages = source::directories(cx, "")?;
    Ok(packages
        .into_iter()
        .find(|package| cx.source.has(&format!("{package}/wsgi.py"))))
}

/// Django refuses to collect without `STATIC_ROOT`. `DISABLE_COLLECTSTATIC` in `[build.env]` turns it off, for settings that cannot be
/// loaded without run-time secrets.
fn collect_static(cx: &PlanContext<'_>, package: &str, start: &mut Start) -> Result<()> {
    let settings = source::text(cx, &format!("{package}/settings.py"))?;
    let Some(settings) = settings else {
        start.notes.push(format!(
            "`{package}/settings.py` was not found, so static files are not collected: add `python manage.py collectstatic --noinput` to `build` in `[build]`"
        ));
        return Ok(());
    };
    let wanted = settings.lines().any(|line| line.starts_with("STATIC_ROOT"));
    let disabled = cx.config.build.env.contains_key("DISABLE_COLLECTSTATIC");
    start.collects_static = wanted && !disabled;
    if !wanted {
        start
            .notes
            .push("the settings have no STATIC_ROOT, so static files are not collected".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_object_is_what_the_top_level_binds() {
        for line in [
            "app = Flask(__name__)",
            "app: Flask = make()",
            "from shop import app",
            "from shop import make as app",
            "def app(environ, start):",
            "async def app(scope):",
        ] {
            assert!(binds(line, "app"), "{line}");
        }
        for line in [
            "    app = 1",
            "apple = 1",
            "app == 1",
            "app.run()",
            "from app import x",
            "import app",
        ] {
            assert!(!binds(line, "app"), "{line}");
        }
    }
}
