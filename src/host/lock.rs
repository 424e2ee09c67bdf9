//! One agent per data dir.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hop3_plugin_api::HostError;
use rustix::fs::{FlockOperation, OFlags, flock, fstatfs};

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
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(refused(data, &holder(&mut file))),
            Err(error) => return Err(failed(error.into())),
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

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let told = file.take(32).read_to_string(&mut text).ok();
    match told.and_then(|_| text.trim().parse::<u32>().ok()) {
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
}
