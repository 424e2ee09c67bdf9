//! `share-from` of `[[addons]]`: whose data is shared must be there, and must be that app's own. Pure.

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::AppName;

use super::app::{AppSpec, Share};
use super::diagnostic::Diagnostic;
use super::repo_checks::{Held, Surroundings, hold};
use super::suggest::{did_you_mean, one_of, shortened};

/// How an addon of the host itself is named.
const OF_HOST: &str = "host/";

/// Holds every app that shares from what is not there.
pub(super) fn check(specs: &[&AppSpec], surroundings: &Surroundings, held: &mut Held) {
    if specs.iter().all(|spec| spec.shares.is_empty()) {
        return;
    }
    let known = Known {
        here: specs.iter().map(|spec| (&spec.name, *spec)).collect(),
        surroundings,
    };
    for spec in specs {
        for share in &spec.shares {
            if let Some((message, hint)) = known.problem(spec, share) {
                let diagnostic = Diagnostic::error_at(share.at.clone(), message)
                    .key(&share.pointer)
                    .hint(hint);
                hold(held, spec, diagnostic);
            }
        }
    }
}

type Problem = (String, Option<String>);

struct Known<'a> {
    here: BTreeMap<&'a AppName, &'a AppSpec>,
    surroundings: &'a Surroundings,
}

impl Known<'_> {
    fn problem(&self, spec: &AppSpec, share: &Share) -> Option<Problem> {
        if let Some(addon) = share.from.strip_prefix(OF_HOST) {
            return self.of_host(addon);
        }
        // What is no name was refused with the spec.
        let name = AppName::parse(&share.from).ok()?;
        if name == spec.name {
            let hint = "remove `share-from`: the addon is this app's own";
            return Some((
                "the app shares from itself".to_owned(),
                Some(hint.to_owned()),
            ));
        }
        match self.here.get(&name) {
            Some(owner) => Self::of_app(owner, share),
            None if self.surroundings.broken.contains(&name) => None,
            None => Some(self.absent(&name)),
        }
    }

    fn of_host(&self, addon: &str) -> Option<Problem> {
        let addons = &self.surroundings.host_addons;
        if addons.contains(addon) {
            return None;
        }
        let place = self.surroundings.here();
        let addon = shortened(addon);
        let hint = did_you_mean(&addon, addons.iter().map(String::as_str)).or_else(|| {
            Some("a host's own addons are the `[[addons]]` of its file in `hosts/`".to_owned())
        });
        Some((format!("{place} has no addon `{addon}`"), hint))
    }

    /// The owner must have an addon of the type that is its own.
    fn of_app(owner: &AppSpec, share: &Share) -> Option<Problem> {
        let kind = share.kind.as_deref()?;
        let owned: BTreeSet<&str> = owner
            .addons
            .iter()
            .map(|addon| addon.kind.as_str())
            .collect();
        if !owned.contains(kind) {
            let message = format!("the app `{}` has no addon of the type `{kind}`", owner.name);
            let owned: Vec<&str> = owned.into_iter().collect();
            let hint = (!owned.is_empty()).then(|| format!("its addons are {}", one_of(&owned)));
            return Some((message, hint));
        }
        let passed_on = owner
            .shares
            .iter()
            .find(|theirs| theirs.kind.as_deref() == Some(kind))?;
        let message = format!(
            "the app `{}` has its `{kind}` from somebody else",
            owner.name
        );
        Some((
            message,
            Some(format!("name the owner: `{}`", shortened(&passed_on.from))),
        ))
    }

    fn absent(&self, name: &AppName) -> Problem {
        let elsewhere = self.surroundings.known.as_ref();
        if elsewhere.contains(name) {
            let place = self.surroundings.here();
            let message =
                format!("the app `{name}` does not run on {place}, so nothing of it can be shared");
            return (message, Some(format!("let {place} run `{name}` too")));
        }
        let known = self.here.keys().copied().chain(elsewhere);
        let hint = did_you_mean(name.as_str(), known.map(AppName::as_str));
        (format!("there is no app `{name}` to share from"), hint)
    }
}
