//! Directories that the proxy serves itself: `[static]`, its older place, and variables of single proxies.

use std::collections::BTreeMap;

use hop3_plugin_api::EnvTemplate;

use super::proxy::proxy_variables;
use super::{Draft, stays_beneath};
use crate::spec::sections::{Run, UrlPath};
use crate::spec::suggest::shortened;
use crate::spec::tree::escape;

impl Draft<'_> {
    pub(super) fn static_paths(
        &mut self,
        own: Option<&BTreeMap<UrlPath, String>>,
        run: Option<&Run>,
        env: &EnvTemplate,
    ) -> BTreeMap<String, String> {
        let older = run
            .and_then(|run| run.static_paths.as_ref())
            .map(|paths| ("/run/static", paths));
        let own = own
            .filter(|paths| !paths.is_empty())
            .map(|paths| ("/static", paths));
        if own.is_some() && older.is_some() {
            self.outdone("/run/static", "[static]");
        }
        let mut all = BTreeMap::new();
        if let Some((at, paths)) = own.or(older) {
            for (url, directory) in paths {
                let pointer = format!("{at}/{}", escape(url.as_str()));
                self.static_path(&pointer, (url, directory), &mut all);
            }
        }
        for (pointer, value) in proxy_variables(env, "STATIC_PATHS") {
            for pair in value.split(',').filter(|pair| !pair.trim().is_empty()) {
                self.static_pair(&pointer, pair.trim(), &mut all);
            }
        }
        all
    }

    /// `/assets:public/assets`
    fn static_pair(&mut self, pointer: &str, pair: &str, all: &mut BTreeMap<String, String>) {
        let Some((url, directory)) = pair.split_once(':') else {
            let message = format!("`{}` names no directory", shortened(pair));
            self.error(
                pointer,
                message,
                "write `/assets:public/assets`, pairs separated by commas",
            );
            return;
        };
        match url.parse::<UrlPath>() {
            Ok(url) => self.static_path(pointer, (&url, directory), all),
            Err(error) => {
                let message = format!("`{}` is not a valid {}", shortened(url), error.what);
                self.error(pointer, message, format!("use {}", error.rule));
            }
        }
    }

    fn static_path(
        &mut self,
        pointer: &str,
        (url, directory): (&UrlPath, &str),
        all: &mut BTreeMap<String, String>,
    ) {
        let beneath = match directory.trim_start_matches("./") {
            "" if !directory.is_empty() => ".",
            beneath => beneath,
        };
        if stays_beneath(beneath) {
            all.insert(url.as_str().to_owned(), beneath.to_owned());
            return;
        }
        let message = format!("the directory `{}` leaves the source", shortened(directory));
        let relative = directory.trim_start_matches('/');
        let hint = if stays_beneath(relative) {
            format!(
                "write `\"{}\"`, from the source's root",
                shortened(relative)
            )
        } else {
            "use a relative path without `..`".to_owned()
        };
        self.error(pointer, message, hint);
    }
}
