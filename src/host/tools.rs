//! Which program a name means: only files that nobody but root and the agent's own user can have put there.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hop3_plugin_api::{HostError, Program};

/// Finds programs and nothing else; the `PATH` of whoever started the agent plays no part.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) path: Vec<PathBuf>,
    pub(super) agent: PathBuf,
}

impl Tools {
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        self.path
            .iter()
            .filter(|directory| plain && directory.is_absolute())
            .map(|directory| directory.join(name))
            .find(|candidate| is_trusted_program(candidate))
    }

    /// A program and its arguments as they are executed. The only place in the product where a shell is named.
    pub(super) fn command(
        &self,
        program: &Program,
        args: &[String],
    ) -> Result<(PathBuf, Vec<String>), HostError> {
        match program {
            Program::Named(name) => Ok((self.require(name)?, args.to_vec())),
            Program::Agent => Ok((self.agent.clone(), args.to_vec())),
            Program::At(path) => Ok((path.clone(), args.to_vec())),
            Program::AppShell(command) => {
                let words = ["-c".to_owned(), command.clone()];
                Ok((
                    "/bin/sh".into(),
                    words.iter().chain(args).cloned().collect(),
                ))
            }
        }
    }

    fn require(&self, name: &str) -> Result<PathBuf, HostError> {
        self.find(name).ok_or_else(|| HostError::MissingProgram {
            program: name.to_owned(),
            searched: self
                .path
                .iter()
                .map(|directory| directory.display().to_string())
                .collect::<Vec<_>>()
                .join(":"),
        })
    }
}

/// An executable file that is trusted itself, in trusted directories, before and after its links are followed.
fn is_trusted_program(candidate: &Path) -> bool {
    let Ok(real) = fs::canonicalize(candidate) else {
        return false;
    };
    let executable =
        fs::metadata(&real).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0);
    executable
        && is_trusted(&real)
        && [candidate, &real]
            .iter()
            .all(|path| path.parent().is_some_and(is_trusted))
}

/// A search path without the directories in which somebody else could put a program.
pub(crate) fn trusted_path(path: &OsStr) -> OsString {
    let trusted = std::env::split_paths(path).filter(|dir| dir.is_absolute() && is_trusted(dir));
    // Nothing is left that could not be joined: every part came from a split.
    std::env::join_paths(trusted).unwrap_or_default()
}

fn is_trusted(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    fs::metadata(path)
        .is_ok_and(|meta| meta.mode() & 0o002 == 0 && (meta.uid() == 0 || meta.uid() == own))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn tools(path: &[&Path]) -> Tools {
        Tools {
            path: path.iter().map(|path| (*path).to_owned()).collect(),
            agent: "/proc/self/exe".into(),
        }
    }

    fn executable(path: &Path, mode: u32) {
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn t37_a_program_that_others_can_write_is_never_found() {
        let root = tempfile::tempdir().unwrap();
        let (open, closed) = (root.path().join("open"), root.path().join("closed"));
        fs::create_dir(&open).unwrap();
        fs::create_dir(&closed).unwrap();
        executable(&open.join("git"), 0o755);
        executable(&closed.join("git"), 0o755);
        executable(&closed.join("psql"), 0o757);
        executable(&closed.join("plain"), 0o644);
        symlink(open.join("git"), closed.join("alias")).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let tools = tools(&[&open, Path::new("relative"), &closed]);
        assert_eq!(tools.find("git"), Some(closed.join("git")));
        let all = std::env::join_paths([&open, Path::new("relative"), &closed]).unwrap();
        assert_eq!(trusted_path(&all), closed.as_os_str());
        for name in ["psql", "plain", "alias", "missing", "", "..", "../open/git"] {
            assert_eq!(tools.find(name), None, "{name}");
        }
    }

    #[test]
    fn a_missing_program_says_where_it_was_looked_for() {
        let tools = tools(&[Path::new("/nowhere"), Path::new("/else")]);
        let error = tools
            .command(&Program::Named("go".to_owned()), &[])
            .unwrap_err();
        assert!(
            error.hint().unwrap().contains("/nowhere:/else"),
            "{:?}",
            error.hint()
        );
    }
}
