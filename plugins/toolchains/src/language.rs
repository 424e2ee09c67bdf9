//! What a language's module provides, and the toolchain that is made of it: the same way into a source for all of them.

use hop3_plugin_api::{
    Abort, BuildPlan, Evidence, LanguageToolchain, PlanContext, PluginError, Rank, Result,
    ToolRequirement, ToolchainDescription, Verdict,
};

use crate::lift::lift;
use crate::node;
use crate::place::{Place, Subtree, join};
use crate::settings::ToolchainSettings;
use crate::source;

/// A language. Everything here is pure.
pub(crate) trait Language: Send + Sync {
    /// Its name in `[build] toolchain`.
    fn name(&self) -> &'static str;

    /// What it does, for people.
    fn describe(&self) -> ToolchainDescription;

    /// What speaks for it in the app's directory, with a path relative to that.
    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>>;

    /// What a source lacks that it does not accept.
    fn lacks(&self) -> &'static str;

    /// Where the project of the app in this directory begins: there, or further up where a workspace holds it.
    fn root(&self, _cx: &PlanContext<'_>, directory: &str) -> Result<String> {
        Ok(directory.to_owned())
    }

    /// How to build and start what lies there.
    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan>;

    /// Whether Node builds assets beside it.
    fn takes_assets(&self) -> bool {
        true
    }
}

/// The toolchain of a language.
#[derive(Clone, Copy)]
pub struct Toolchain(pub(crate) &'static dyn Language);

impl LanguageToolchain for Toolchain {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn detects(&self) -> &'static [&'static str] {
        self.0.describe().detects
    }

    fn describe(&self) -> ToolchainDescription {
        self.0.describe()
    }

    fn accept(&self, cx: &PlanContext<'_>) -> Verdict {
        if source::is_named(cx, self.name()) {
            return Verdict::Accept;
        }
        match self.find(cx) {
            Ok(found) => Verdict::when(found.is_some(), self.0.lacks()),
            Err(error) => Verdict::Reject(error.to_string()),
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Option<Evidence> {
        self.find(cx).ok().flatten()
    }

    fn plan(&self, cx: &PlanContext<'_>) -> Result<BuildPlan> {
        let settings = cx.section::<ToolchainSettings>()?;
        let directory = settings.directory(cx)?;
        let root = self.0.root(cx, &directory)?;
        let view = Subtree {
            whole: cx.source,
            directory: &root,
        };
        let place = Place {
            cx: PlanContext {
                source: &view,
                ..*cx
            },
            whole: cx.source,
            root: &root,
            directory: &directory,
            settings: &settings,
        };
        let planned = self.planned(&place).map_err(|error| placed(error, &root));
        let mut plan = lift(planned?, &root, &directory);
        if let Some(evidence) = self.find(cx)? {
            needed_by(&mut plan.tools, &evidence.file);
        }
        Ok(plan)
    }
}

/// Says which file makes a tool needed where none asked for a version of it.
pub(crate) fn needed_by(tools: &mut [ToolRequirement], file: &str) {
    for tool in tools.iter_mut().filter(|tool| tool.version.is_none()) {
        tool.pinned_by.get_or_insert_with(|| file.to_owned());
    }
}

/// A message about a project that is not the whole source says where that lies.
fn placed(error: PluginError, root: &str) -> PluginError {
    let place = |message: String| {
        if message.contains(root) {
            message
        } else {
            format!("in `{root}`: {message}")
        }
    };
    match error {
        PluginError::Config { message, hint } => PluginError::Config {
            message: place(message),
            hint,
        },
        PluginError::Abort(Abort { message, hint }) => PluginError::Abort(Abort {
            message: place(message),
            hint,
        }),
        other => other,
    }
}

impl Toolchain {
    /// The language's plan with what is added to any language's.
    fn planned(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let mut plan = self.0.plan(place)?;
        if self.0.takes_assets() {
            node::add_assets(place, &mut plan)?;
        }
        plan.notes.extend(no_start(&plan, &place.cx));
        Ok(plan)
    }

    /// The evidence, with a path relative to the source's root.
    fn find(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        let settings = cx.section::<ToolchainSettings>()?;
        let directory = settings.directory(cx)?;
        let view = Subtree {
            whole: cx.source,
            directory: &directory,
        };
        let found = self.0.evidence(&PlanContext {
            source: &view,
            ..*cx
        })?;
        Ok(found.map(|evidence| Evidence {
            file: join(&directory, &evidence.file),
            ..evidence
        }))
    }
}

/// Evidence of a file that the source has.
pub(crate) fn first_of(cx: &PlanContext<'_>, rank: Rank, files: &[&str]) -> Option<Evidence> {
    let file = files.iter().find(|file| cx.source.has(file))?;
    Some(Evidence {
        rank,
        file: (*file).to_owned(),
    })
}

/// A manifest, else a sign.
pub(crate) fn manifest_or_sign(
    cx: &PlanContext<'_>,
    manifests: &[&str],
    signs: &[&str],
) -> Option<Evidence> {
    first_of(cx, Rank::Manifest, manifests).or_else(|| first_of(cx, Rank::Sign, signs))
}

/// A remark where nobody knows how the app starts.
fn no_start(plan: &BuildPlan, cx: &PlanContext<'_>) -> Option<String> {
    let starts = plan.runtime.publish.is_some()
        || !plan.runtime.workers.is_empty()
        || !cx.config.workers.is_empty();
    (!starts).then(|| "no way to start the app was found: set `start` in `[run]`".to_owned())
}
