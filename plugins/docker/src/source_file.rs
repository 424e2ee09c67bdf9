//! What the source offers to the builder: a Dockerfile, a compose file, or nothing because the app is an image.

use hop3_plugin_api::{Abort, AppConfig, PlanContext, Result, SourceTree};

use crate::settings::DockerTable;

const COMPOSE_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// What is built, and how it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// An image with its digest, pulled at deploy.
    Image(String),
    /// A Dockerfile; with a compose file where the spec asks for it.
    Dockerfile {
        /// Where it and the directory are that the build is shown.
        from: Dockerfile,
        compose: Option<String>,
    },
    /// A compose file whose images are all pulled.
    Compose(String),
}

/// The file and the context of a build, as paths of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dockerfile {
    pub(crate) path: String,
    /// Empty for the source's root.
    pub(crate) context: String,
}

impl Dockerfile {
    const USUAL: &'static str = "Dockerfile";

    /// The one that the spec names, else the usual one of the context.
    fn of(cx: &PlanContext<'_>, table: &DockerTable) -> Result<Option<Self>> {
        let context = inside("context", table.context.as_deref().unwrap_or("."))?;
        if let Some(named) = &table.dockerfile {
            let path = inside("dockerfile", named)?;
            present(cx, "dockerfile", &path)?;
            return Ok(Some(Self { path, context }));
        }
        let path = below(&context, Self::USUAL);
        if table.context.is_some() {
            present(cx, "context", &path)?;
        }
        Ok(cx.source.has(&path).then_some(Self { path, context }))
    }

    /// Whether it is what `docker build` takes by itself.
    pub(crate) fn is_usual(&self) -> bool {
        self.path == below(&self.context, Self::USUAL)
    }
}

fn present(cx: &PlanContext<'_>, key: &str, path: &str) -> Result<()> {
    if cx.source.has(path) {
        return Ok(());
    }
    let message = format!("`{key}` in `[docker]` asks for `{path}`, which is not in the source");
    Err(Abort::new(message)
        .hint("name a file from the source's root, with its directories")
        .into())
}

/// A path of the source, without `.` and never out of it.
fn inside(key: &str, path: &str) -> Result<String> {
    let steps: Vec<&str> = path
        .split('/')
        .filter(|step| *step != "." && !step.is_empty())
        .collect();
    if path.starts_with('/') || steps.contains(&"..") {
        let message = format!("`{key}` in `[docker]` leads out of the source: `{path}`");
        let hint = "write a path from the source's root, such as `deploy/web`";
        return Err(Abort::new(message).hint(hint).into());
    }
    Ok(steps.join("/"))
}

fn below(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

impl Recipe {
    /// What this app offers, `None` when it is not one for this builder.
    pub(crate) fn of(cx: &PlanContext<'_>) -> Result<Option<Self>> {
        let table = DockerTable::of(cx.config)?;
        if let Some(image) = &table.image {
            return pinned(image).map(Some);
        }
        let compose = compose_file(cx.source);
        if let Some(from) = Dockerfile::of(cx, &table)? {
            let compose = compose.filter(|_| table.wants_compose());
            return Ok(Some(Self::Dockerfile { from, compose }));
        }
        Ok(compose.map(Self::Compose))
    }

    /// Remarks for people on what is not looked at.
    pub(crate) fn notes(&self, cx: &PlanContext<'_>) -> Vec<String> {
        let mut notes = ignored_settings(cx.config);
        if let (Self::Dockerfile { compose: None, .. }, Some(file)) =
            (self, compose_file(cx.source))
        {
            notes.push(format!(
                "`{file}` is not used beside a Dockerfile; `[docker] runtime = \"docker-compose\"` makes it count"
            ));
        }
        notes
    }
}

fn ignored_settings(config: &AppConfig) -> Vec<String> {
    let build = &config.build;
    let hooks = [
        &build.before_build,
        &build.build,
        &build.after_build,
        &build.test,
    ];
    let mut notes = Vec::new();
    if hooks.iter().any(|commands| !commands.is_empty()) {
        notes.push(
            "commands of `[build]` are not run by the docker builder; put them into the Dockerfile"
                .to_owned(),
        );
    }
    if !build.env.is_empty() {
        notes.push(
            "`[build.env]` does not reach a Dockerfile; `[docker.build-args]` does".to_owned(),
        );
    }
    notes
}

fn compose_file(source: &dyn SourceTree) -> Option<String> {
    let found = COMPOSE_FILES.iter().find(|name| source.has(name))?;
    Some((*found).to_owned())
}

fn pinned(image: &str) -> Result<Recipe> {
    let digest = image.split_once("@sha256:").map(|(_, hex)| hex);
    let whole = digest.is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    });
    if whole {
        Ok(Recipe::Image(image.to_owned()))
    } else {
        Err(
            Abort::new(format!("the image `{image}` is not pinned to a digest"))
                .hint("write it as `name@sha256:<digest>`")
                .into(),
        )
    }
}
