//! One agent per data dir.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use hop3_plugin_api::HostError;
use rustix::fs::{FlockOperation, OFlags, flock, fstatfs};
use rustix::io::Errno;

/// How long a lock may outlive the process that took it: a child that it was just starting holds it until it becomes another program.
const LINGER: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// What `statfs` calls NFS, whose locks a dead host can keep.
const NFS: u64 = 0x6969;

/// The lock on a data dir, held for as long as the value lives.
///
/// Guarantees: it ends with the process, whatever its children do, because the descriptor is closed on exec.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the lock `<data>/agent/lock`, or says who holds it.
    ///
    /// Assumptions: `<data>/agent` exists.
    pub fn take(data: &Path) -> Result<Self, HostError> {
        let path = data.join("agent/lock");
        let failed = |e: io::Error| HostError::file("lock", path.as_path(), e);
        let mut file = open(&path).map_err(failed)?;
        if is_nfs(&file).map_err(failed)? {
            return Err(refused(
                data,
                "it lies on NFS, where a lock protects nothing",
            ));
        }
        let started = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) => {}
                Err(error) => return Err(failed(error.into())),
            }
            let holder = holder(&mut file);
            if holder.is_some_and(lives) || started.elapsed() > LINGER {
                return Err(refused(data, &held_by(holder)));
            }
            std::thread::sleep(PAUSE);
        }
        // On a full disk nobody is told who holds it; it is held all the same.
        match note_holder(&mut file) {
            Err(error) if error.kind() != io::ErrorKind::StorageFull => return Err(failed(error)),
            _ => {}
        }
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

#[expect(
    clippy::cast_sign_loss,
    reason = "the type of this number differs between architectures, its value does not"
)]
fn is_nfs(file: &File) -> io::Result<bool> {
    Ok(fstatfs(file)?.f_type as u64 == NFS)
}

fn note_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Who noted itself last, if it can be told.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn lives(pid: u32) -> bool {
    super::process::stat(pid).is_some_and(|stat| stat.runs())
}

fn held_by(holder: Option<u32>) -> String {
    match holder {
        Some(pid) => format!("another agent holds it: process {pid}"),
        None => "another agent holds it".to_owned(),
    }
}

fn refused(data: &Path, reason: &str) -> HostError {
    HostError::Refused {
        doing: format!("use the data dir `{}`", data.display()),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f20_the_second_holder_is_told_the_first_ones_process() {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("agent")).unwrap();
        let first = DataDirLock::take(data.path()).unwrap();
        let error = DataDirLock::take(data.path()).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        DataDirLock::take(data.path()).unwrap();
    }

    #[test]
    fn f20_a_lock_whose_holder_has_died_is_waited_for() {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("agent")).unwrap();
        let left = DataDirLock::take(data.path()).unwrap();
        // No process has this number.
        std::fs::write(data.path().join("agent/lock"), "4194305\n").unwrap();
        let heir = std::thread::spawn(move || {
            std::thread::sleep(PAUSE * 5);
            drop(left);
        });
        DataDirLock::take(data.path()).unwrap();
        heir.join().unwrap();
    }
}
