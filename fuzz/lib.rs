//! What holds of every app's files, whatever they say. Shared by the targets that read some.

use std::sync::LazyLock;

use hop3_agent::schema::Schemas;
use hop3_agent::spec::{AppFiles, Diagnostic, LoadedApp, app_name_of, load_app, render};

/// Where the fuzzed spec stands.
pub const SPEC: &str = "apps/shop/hop3.toml";
/// Where the fuzzed Procfile stands.
pub const PROCFILE: &str = "apps/shop/Procfile";

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| Schemas::compose(&[]));

/// Reads an app's files: there is a spec exactly when nothing is an error, and whatever is told stands in one of the files.
pub fn load(spec: Option<&[u8]>, procfile: Option<&[u8]>) -> LoadedApp {
    let files = AppFiles {
        directory: "apps/shop",
        spec: spec.map(|bytes| (SPEC, bytes)),
        procfile: procfile.map(|bytes| (PROCFILE, bytes)),
    };
    let loaded = load_app(&SCHEMAS, &files);
    let errors = loaded.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(loaded.spec.is_none(), errors, "{:?}", loaded.diagnostics);
    for diagnostic in &loaded.diagnostics {
        stands_in_its_file(diagnostic, &loaded);
    }
    if let Some(spec) = &loaded.spec {
        let name = app_name_of(&files);
        assert_eq!(
            name.as_ref(),
            Some(&spec.name),
            "a broken spec would hold another app"
        );
    }
    let text = render(&loaded.diagnostics, &loaded.sources, false);
    assert_eq!(text.is_empty(), loaded.diagnostics.is_empty());
    loaded
}

fn stands_in_its_file(diagnostic: &Diagnostic, loaded: &LoadedApp) {
    let position = &diagnostic.position;
    let Some(text) = loaded.sources.get(&position.file) else {
        panic!("{diagnostic:?} is in no file");
    };
    assert!(position.line >= 1 && position.column >= 1, "{diagnostic:?}");
    let line = text.split('\n').nth(position.line as usize - 1);
    let line = line.unwrap_or_else(|| panic!("{diagnostic:?} is below the file"));
    assert!(
        position.column as usize <= line.chars().count() + 1,
        "{diagnostic:?} is beside the file"
    );
    if let Some((start, end)) = diagnostic.span {
        assert!(
            start <= end && end <= text.len(),
            "{diagnostic:?} reaches beyond {} bytes",
            text.len()
        );
        assert!(
            text.is_char_boundary(start) && text.is_char_boundary(end),
            "{diagnostic:?} cuts a character"
        );
    }
    assert!(
        !diagnostic.message.is_empty() && !diagnostic.message.ends_with('.'),
        "{diagnostic:?}"
    );
}
