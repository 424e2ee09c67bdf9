//! File systems that are small or read-only, for as long as a test wants them. Needs root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Something mounted; dropping it takes it away.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// An empty file system of a few megabytes in memory.
    pub(crate) fn small(place: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let size = format!("size={megabytes}m,mode=755");
        mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], place)
    }

    /// What is there already, read-only.
    pub(crate) fn read_only(place: &Path) -> Option<Self> {
        let bound = mount(&["--bind", place.to_str().unwrap()], place)?;
        let frozen = run("mount", &["-o", "remount,bind,ro"], place);
        frozen.then_some(bound)
    }
}

fn mount(arguments: &[&str], place: &Path) -> Option<Mount> {
    run("mount", arguments, place).then(|| Mount(place.to_owned()))
}

fn run(program: &str, arguments: &[&str], place: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).arg(place).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process of the test that is just ending may still stand in it.
        run("umount", &["--lazy"], &self.0);
    }
}
