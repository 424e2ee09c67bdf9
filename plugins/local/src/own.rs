//! What a builder does itself instead of running a tool: writing a file, and finding the one that a tool has made. All of it as the app's
//! user and in the sandbox, like any step: the directory is the app's, and may lead anywhere.

use hop3_plugin_api::{Abort, BuildStep, Exit, Pick, Program, Result, Secret, Task};

use crate::workshop::{Bench, Workshop};

impl Workshop<'_> {
    /// Puts a file in place, with the directories that lead to it.
    pub(crate) async fn write(
        &self,
        step: &BuildStep,
        bench: &Bench<'_>,
        (path, content): (&str, &str),
    ) -> Result<()> {
        let path = self.fill(path, bench.layer);
        if let Some((directory, _)) = path.rsplit_once('/') {
            self.call(step, bench, "mkdir", &["-p", "--", directory])
                .await?;
        }
        let target = format!("of={path}");
        let mut task = self.own_task(step, bench, "dd", &[&target, "status=none"]);
        task.input = Some(Secret::new(content));
        self.require(step, self.cx.host.run(&task).await?)?;
        Ok(())
    }

    /// Links to the file that fits.
    pub(crate) async fn link(
        &self,
        step: &BuildStep,
        bench: &Bench<'_>,
        pick: &Pick,
    ) -> Result<()> {
        for directory in &pick.directories {
            let names = self
                .files(step, bench, (directory, &pick.extension))
                .await?;
            let Some(name) = choose(pick, directory, &names)? else {
                continue;
            };
            let path = format!("{directory}/{name}");
            self.say(&format!("{}: {path}", step.name));
            if path == pick.link {
                return Ok(());
            }
            let target = relative(&path, &pick.link);
            let args = ["-s", "-f", "-n", "--", &target, &pick.link];
            return self.call(step, bench, "ln", &args).await.map(drop);
        }
        Err(Abort::new(format!(
            "the build left no `*{}` that could run in `{}`",
            pick.extension,
            pick.directories.join("` or `")
        ))
        .hint("set `start` in `[run]`, or `package` in `[plugin.toolchains]` to the part that makes one")
        .into())
    }

    /// Names of files in a directory of the build, none where there is no directory.
    async fn files(
        &self,
        step: &BuildStep,
        bench: &Bench<'_>,
        (directory, extension): (&str, &str),
    ) -> Result<Vec<String>> {
        let pattern = format!("*{extension}");
        let args = [
            directory,
            "-mindepth",
            "1",
            "-maxdepth",
            "1",
            "-type",
            "f",
            "-name",
            &pattern,
        ];
        let task = self.own_task(step, bench, "find", &args);
        let exit = self.cx.host.run(&task).await?;
        if !exit.success() {
            return Ok(Vec::new());
        }
        let names = exit.tail.lines().filter_map(|path| path.rsplit('/').next());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    async fn call(
        &self,
        step: &BuildStep,
        bench: &Bench<'_>,
        program: &str,
        args: &[&str],
    ) -> Result<Exit> {
        let task = self.own_task(step, bench, program, args);
        self.require(step, self.cx.host.run(&task).await?)
    }

    fn own_task(&self, step: &BuildStep, bench: &Bench<'_>, program: &str, args: &[&str]) -> Task {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.task_of(step, bench, (Program::Named(program.to_owned()), args))
    }
}

/// The file that counts, `None` where none fits.
fn choose<'a>(pick: &Pick, directory: &str, names: &'a [String]) -> Result<Option<&'a str>> {
    let stem = |name: &str| {
        name.strip_suffix(&pick.extension)
            .unwrap_or(name)
            .to_owned()
    };
    let has = |name: &str, word: &str| {
        let stem = stem(name);
        stem.ends_with(&format!("-{word}")) || stem.starts_with(&format!("{word}-"))
    };
    let fit = names
        .iter()
        .filter(|name| !pick.without.iter().any(|word| has(name, word)));
    let fit: Vec<&str> = fit.map(String::as_str).collect();
    let preferred = pick.prefer.iter().map(|word| {
        fit.iter()
            .filter(|name| has(name, word))
            .copied()
            .collect::<Vec<_>>()
    });
    let best = preferred
        .into_iter()
        .find(|names| !names.is_empty())
        .unwrap_or(fit);
    match best.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => Err(Abort::new(format!(
            "the build left several files that could run in `{directory}`: `{}`",
            several.join("`, `")
        ))
        .hint("set `start` in `[run]` to the command that runs the right one")
        .into()),
    }
}

/// A path as a link at another place names it.
fn relative(path: &str, link: &str) -> String {
    let mut path: Vec<&str> = path.split('/').collect();
    let mut from: Vec<&str> = link.split('/').collect();
    from.pop();
    while let (Some(a), Some(b)) = (path.first(), from.first()) {
        if a != b {
            break;
        }
        path.remove(0);
        from.remove(0);
    }
    let up = from.iter().map(|_| "..");
    up.chain(path.iter().copied()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str]) -> Result<Option<String>> {
        let owned = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let pick = Pick {
            directories: owned(&["target"]),
            extension: ".jar".to_owned(),
            without: owned(&["sources", "plain", "original"]),
            prefer: owned(&["standalone", "jar-with-dependencies"]),
            link: "target/app.jar".to_owned(),
        };
        Ok(choose(&pick, "target", &owned(names))?.map(str::to_owned))
    }

    #[test]
    fn the_archive_that_runs_is_told_by_its_name() {
        for (names, wanted) in [
            (vec!["shop-1.0.jar"], Some("shop-1.0.jar")),
            (
                vec!["shop-1.0-sources.jar", "shop-1.0.jar"],
                Some("shop-1.0.jar"),
            ),
            (vec!["original-shop.jar", "shop.jar"], Some("shop.jar")),
            (vec!["shop-plain.jar", "shop.jar"], Some("shop.jar")),
            (
                vec!["shop.jar", "shop-standalone.jar"],
                Some("shop-standalone.jar"),
            ),
            (
                vec!["shop-jar-with-dependencies.jar", "shop.jar"],
                Some("shop-jar-with-dependencies.jar"),
            ),
            (vec!["plain.jar"], Some("plain.jar")),
            (vec!["shop-sources.jar"], None),
            (vec![], None),
        ] {
            assert_eq!(chosen(&names).unwrap().as_deref(), wanted, "{names:?}");
        }
        let error = chosen(&["a.jar", "b.jar"]).unwrap_err();
        assert!(error.to_string().contains("`a.jar`, `b.jar`"), "{error}");
    }

    #[test]
    fn a_link_names_its_target_from_where_it_lies() {
        assert_eq!(relative("target/x.jar", "target/app.jar"), "x.jar");
        assert_eq!(
            relative("target/uberjar/x.jar", "target/app.jar"),
            "uberjar/x.jar"
        );
        assert_eq!(relative("out/x.jar", "target/app.jar"), "../out/x.jar");
    }
}
