//! Which toolchain builds a source whose spec names none. Pure; the same question for every caller.

use std::sync::Arc;

use crate::{LanguageToolchain, PlanContext, Verdict};

/// How much a file says about the language of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It names the app and its dependencies: `go.mod`. Two of them are a question for a person.
    Manifest,
    /// It belongs to a language and to no package manager: `index.php`. The first toolchain that finds one wins.
    Sign,
    /// It often stands beside an app of another language: `package.json`, `index.html`.
    Companion,
}

/// What speaks for a language in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// How much it says.
    pub rank: Rank,
    /// The file, relative to the root of the source.
    pub file: String,
}

/// What a toolchain does, as its code has it: for `plugins show` and for documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToolchainDescription {
    /// Programs that its plans may need, without a version in their names.
    pub tools: &'static [&'static str],
    /// Files that it recognises.
    pub detects: &'static [&'static str],
    /// Lock files that it installs from, and with which command.
    pub locks: &'static [(&'static str, &'static str)],
    /// Files that may pin its version, the strongest first.
    pub pins: &'static [&'static str],
    /// What it runs after dependencies are installed.
    pub builds: &'static [&'static str],
    /// How it guesses the start, the best guess first.
    pub starts: &'static [&'static str],
    /// Directories that are made data because its frameworks write there.
    pub writes: &'static [&'static str],
    /// Where dependencies are installed, and what else a user should know.
    pub remarks: &'static [&'static str],
}

/// What became of looking.
pub enum Detection {
    /// It builds the source.
    Found(Arc<dyn LanguageToolchain>),
    /// Manifests of several languages: a toolchain's name and its manifest, where it names one.
    Several(Vec<(&'static str, Option<String>)>),
    /// Nobody takes it: every toolchain and why not.
    Nothing(Vec<(&'static str, String)>),
}

/// Asks every toolchain. One manifest decides, two are ambiguous; without one the first sign does, and without any the first companion.
pub fn detect(toolchains: &[Arc<dyn LanguageToolchain>], cx: &PlanContext<'_>) -> Detection {
    let mut accepting = Vec::new();
    let mut reasons = Vec::new();
    for toolchain in toolchains {
        match toolchain.accept(cx) {
            Verdict::Accept => accepting.push((toolchain, toolchain.evidence(cx))),
            Verdict::Reject(reason) => reasons.push((toolchain.name(), reason)),
        }
    }
    let rank = |evidence: &Option<Evidence>| evidence.as_ref().map_or(Rank::Manifest, |e| e.rank);
    let manifests: Vec<_> = accepting
        .iter()
        .filter(|(_, evidence)| rank(evidence) == Rank::Manifest)
        .collect();
    if manifests.len() > 1 {
        let named = manifests
            .into_iter()
            .map(|(t, evidence)| (t.name(), evidence.as_ref().map(|e| e.file.clone())));
        return Detection::Several(named.collect());
    }
    // The first of equals: `min_by_key` keeps the order in which they were linked.
    match accepting.iter().min_by_key(|(_, evidence)| rank(evidence)) {
        Some((toolchain, _)) => Detection::Found(Arc::clone(toolchain)),
        None => Detection::Nothing(reasons),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AppConfig, AppName, BuildPlan, DirectoryTree, PluginError, Result};

    struct Speaker(&'static str, Option<Rank>, bool);

    impl LanguageToolchain for Speaker {
        fn name(&self) -> &'static str {
            self.0
        }

        fn detects(&self) -> &'static [&'static str] {
            &["a file"]
        }

        fn accept(&self, _cx: &PlanContext<'_>) -> Verdict {
            Verdict::when(self.2, "no")
        }

        fn evidence(&self, _cx: &PlanContext<'_>) -> Option<Evidence> {
            self.1.map(|rank| Evidence {
                rank,
                file: format!("{}.file", self.0),
            })
        }

        fn plan(&self, _cx: &PlanContext<'_>) -> Result<BuildPlan> {
            Err(PluginError::Config {
                message: "it is never asked".to_owned(),
                hint: None,
            })
        }
    }

    fn found(speakers: &[(&'static str, Option<Rank>)]) -> String {
        let all = speakers
            .iter()
            .map(|(name, rank)| Arc::new(Speaker(name, *rank, true)) as Arc<dyn LanguageToolchain>);
        let silent = Arc::new(Speaker("silent", Some(Rank::Manifest), false));
        let all: Vec<_> = std::iter::once(silent as Arc<dyn LanguageToolchain>)
            .chain(all)
            .collect();
        let cx = PlanContext {
            app: &AppName::parse("shop").unwrap(),
            source: &DirectoryTree::new("/nonexistent"),
            config: &AppConfig::default(),
        };
        match detect(&all, &cx) {
            Detection::Found(toolchain) => toolchain.name().to_owned(),
            Detection::Several(named) => format!("{named:?}"),
            Detection::Nothing(reasons) => format!("nothing: {reasons:?}"),
        }
    }

    #[test]
    fn one_manifest_decides_and_two_are_a_question() {
        let (manifest, sign, companion) = (
            Some(Rank::Manifest),
            Some(Rank::Sign),
            Some(Rank::Companion),
        );
        assert_eq!(
            found(&[("a", companion), ("b", sign), ("c", manifest)]),
            "c"
        );
        assert_eq!(found(&[("a", companion), ("b", sign), ("c", sign)]), "b");
        assert_eq!(found(&[("a", companion), ("b", companion)]), "a");
        assert_eq!(found(&[("a", None), ("b", sign)]), "a");
        assert_eq!(
            found(&[("a", manifest), ("b", sign), ("c", None)]),
            r#"[("a", Some("a.file")), ("c", None)]"#
        );
        assert_eq!(found(&[]), r#"nothing: [("silent", "no")]"#);
    }
}
