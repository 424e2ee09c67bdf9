//! `validate`: every mistake of every file in one run, without a network or an agent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::output::{CliError, Exit, colored, json, out, say};
use super::{Global, settings};
use crate::config::{AgentConfig, HostConfig};
use crate::registry::Registry;
use crate::schema::Schemas;
use crate::spec::{
    AppFiles, AppSpec, Diagnostic, Sources, Surroundings, app_name_of, load_app, render,
    repo_checks,
};

/// Options of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct ValidateArgs {
    /// Config repos, app directories, or single files, `agent.toml` among them; this directory by default.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What was found in all files.
struct Findings<'a> {
    schemas: &'a Schemas,
    files: usize,
    specs: Vec<AppSpec>,
    surroundings: Surroundings,
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
}

/// Checks files; exit 1 when one has an error.
pub(super) fn validate(
    args: &ValidateArgs,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    let schemas = settings::schemas(registry);
    let mut findings = Findings {
        schemas: &schemas,
        files: 0,
        specs: Vec::new(),
        surroundings: Surroundings::default(),
        diagnostics: Vec::new(),
        sources: BTreeMap::new(),
    };
    let here = [PathBuf::from(".")];
    for path in if args.paths.is_empty() {
        &here[..]
    } else {
        &args.paths
    } {
        findings.path(path)?;
    }
    let conflicts = repo_checks(&findings.specs, &findings.surroundings);
    findings
        .diagnostics
        .extend(conflicts.into_values().flatten());
    Ok(findings.report(args.json, colored(global.color)))
}

impl Findings<'_> {
    fn path(&mut self, path: &Path) -> Result<(), CliError> {
        if path.join("apps").is_dir() {
            return self.repo(path);
        }
        if path.is_dir() {
            if self.app(path, &display(path))? {
                return Ok(());
            }
            let nothing = CliError::new(format!(
                "`{}` holds no app and no config repo",
                path.display()
            ));
            return Err(nothing.hint(
                "an app has a `hop3.toml` or a `Procfile`; a config repo has a directory `apps`",
            ));
        }
        let name = display(path);
        if path.file_name().is_some_and(|file| file == "agent.toml") {
            return self.operator(path, &name, agent);
        }
        if path
            .parent()
            .is_some_and(|parent| parent.ends_with("hosts"))
        {
            return self.operator(path, &name, host);
        }
        let content = read(path)?;
        let directory = path.parent().map(display).unwrap_or_default();
        let file = (name.as_str(), content.as_slice());
        let procfile = path.file_name().is_some_and(|name| name == "Procfile");
        let files = AppFiles {
            directory: &directory,
            spec: (!procfile).then_some(file),
            procfile: procfile.then_some(file),
        };
        self.load(&files);
        Ok(())
    }

    fn repo(&mut self, root: &Path) -> Result<(), CliError> {
        for directory in entries(&root.join("apps"))?
            .into_iter()
            .filter(|path| path.is_dir())
        {
            let name = directory.strip_prefix(root).unwrap_or(&directory);
            self.app(&directory, &display(name))?;
        }
        let hosts = root.join("hosts");
        if hosts.is_dir() {
            for file in entries(&hosts)?
                .into_iter()
                .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            {
                let name = display(file.strip_prefix(root).unwrap_or(&file));
                self.operator(&file, &name, host)?;
            }
        }
        Ok(())
    }

    /// Reads a file of the operator's; `remarks` tells what is to be said of it.
    fn operator(&mut self, file: &Path, name: &str, remarks: Remarks) -> Result<(), CliError> {
        self.files += 1;
        let text = String::from_utf8_lossy(&read(file)?).into_owned();
        let found = remarks(&text, name, self.schemas);
        self.diagnostics.extend(found);
        self.sources.insert(name.to_owned(), text);
        Ok(())
    }

    /// Reads the app in a directory; false when there is none.
    fn app(&mut self, directory: &Path, name: &str) -> Result<bool, CliError> {
        let (spec, procfile) = (
            first(directory, "hop3.toml")?,
            first(directory, "Procfile")?,
        );
        if spec.is_none() && procfile.is_none() {
            return Ok(false);
        }
        let named = |found: Option<(String, Vec<u8>)>| {
            found.map(|(file, bytes)| (format!("{name}/{file}"), bytes))
        };
        let (spec, procfile) = (named(spec), named(procfile));
        self.load(&AppFiles {
            directory: name,
            spec: spec
                .as_ref()
                .map(|(file, bytes)| (file.as_str(), bytes.as_slice())),
            procfile: procfile
                .as_ref()
                .map(|(file, bytes)| (file.as_str(), bytes.as_slice())),
        });
        Ok(true)
    }

    fn load(&mut self, files: &AppFiles<'_>) {
        let loaded = load_app(self.schemas, files);
        self.files += usize::from(files.spec.is_some()) + usize::from(files.procfile.is_some());
        self.sources.extend(loaded.sources);
        self.diagnostics.extend(loaded.diagnostics);
        match loaded.spec {
            Some(spec) => self.specs.push(spec),
            None => self.surroundings.broken.extend(app_name_of(files)),
        }
    }

    fn report(&self, as_json: bool, color: bool) -> Exit {
        let errors = self.diagnostics.iter().filter(|d| d.is_error()).count();
        let notes = self.diagnostics.len() - errors;
        if as_json {
            json(&self.diagnostics);
        } else {
            out(&render(&self.diagnostics, &self.sources, color));
            for unbuilt in self.specs.iter().flat_map(|spec| &spec.unbuilt) {
                let at = &unbuilt.at;
                out(&format!(
                    "note: {}:{}: {} is valid, but this version cannot carry it out\n",
                    at.file, at.line, unbuilt.what
                ));
            }
        }
        say(&format!(
            "{} file(s): {errors} error(s), {notes} note(s)",
            self.files
        ));
        if errors == 0 {
            Exit::Success
        } else {
            Exit::Error
        }
    }
}

/// What is to be said of a file: its mistakes, or remarks on a valid one.
type Remarks = fn(&str, &str, &Schemas) -> Vec<Diagnostic>;

fn host(text: &str, name: &str, schemas: &Schemas) -> Vec<Diagnostic> {
    HostConfig::parse(text, name, schemas).map_or_else(|errors| errors, |config| config.notes)
}

fn agent(text: &str, name: &str, schemas: &Schemas) -> Vec<Diagnostic> {
    AgentConfig::parse(text, name, schemas).map_or_else(|errors| errors, |config| config.notes)
}

/// A file of an app, in `hop3/` first.
fn first(directory: &Path, name: &str) -> Result<Option<(String, Vec<u8>)>, CliError> {
    for relative in [format!("hop3/{name}"), name.to_owned()] {
        let path = directory.join(&relative);
        if path.is_file() {
            return Ok(Some((relative, read(&path)?)));
        }
    }
    Ok(None)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |error: std::io::Error| {
        CliError::new(format!("could not list `{}`: {error}", directory.display()))
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path)
        .map_err(|error| CliError::new(format!("could not read `{}`: {error}", path.display())))
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
