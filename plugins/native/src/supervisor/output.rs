//! What an instance writes: through a FIFO that the supervisor holds open on both ends into a log file that is rotated.
//!
//! A FIFO and not a pipe, because it can belong to the app's user: an app may open `/dev/stdout` again. The supervisor is its own
//! second writer and reader, so neither end can break, and the app never gets SIGPIPE.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hop3_plugin_api::UserId;
use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags};

/// A log is rotated when it is larger.
pub(crate) const ROTATE_AT: u64 = 10 * 1024 * 1024;
/// How many rotated logs are kept.
pub(crate) const KEPT: u32 = 3;

/// How much is copied at once, and how often before others get their turn.
const CHUNK: usize = 8 * 1024;
const TURNS: usize = 32;

/// An instance's output.
pub(super) struct Output {
    fifo: File,
    log: Log,
}

impl Output {
    /// Makes the FIFO, opens it and unlinks it: nothing is left whatever happens.
    pub(super) fn open(fifo: &Path, owner: Option<UserId>, log: PathBuf) -> io::Result<Self> {
        drop(fs::remove_file(fifo));
        rustix::fs::mknodat(CWD, fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        let opened = open_owned(fifo, owner);
        fs::remove_file(fifo)?;
        Ok(Self {
            fifo: opened?,
            log: Log::new(log),
        })
    }

    /// A descriptor for the instance: its own open file, so that no flag of the supervisor's reaches the app.
    pub(super) fn writer(&self) -> io::Result<File> {
        File::options()
            .write(true)
            .open(format!("/proc/self/fd/{}", self.fifo.as_raw_fd()))
    }

    /// Copies what is there to the log; at most 256 KiB, so that a flood starves nobody.
    pub(super) fn copy(&mut self) {
        let mut buffer = [0; CHUNK];
        for _ in 0..TURNS {
            match self.fifo.read(&mut buffer) {
                Ok(read) if read > 0 => self.log.write(&buffer[..read]),
                _ => return,
            }
        }
    }

    /// Adds a line of the supervisor's own.
    pub(super) fn note(&mut self, text: &str) {
        self.copy();
        self.log.note(text);
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }
}

fn open_owned(fifo: &Path, owner: Option<UserId>) -> io::Result<File> {
    if let Some(user) = owner.filter(|_| rustix::process::geteuid().is_root()) {
        std::os::unix::fs::chown(fifo, Some(user.uid), Some(user.gid))?;
    }
    File::options()
        .read(true)
        .write(true)
        .custom_flags(nonblocking())
        .open(fifo)
}

fn nonblocking() -> i32 {
    OFlags::NONBLOCK
        .union(OFlags::NOFOLLOW)
        .bits()
        .cast_signed()
}

/// A log file. What cannot be written (a full disk) is dropped: the app goes on.
struct Log {
    path: PathBuf,
    file: Option<File>,
    in_line: bool,
}

impl Log {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            in_line: false,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self
            .file
            .as_mut()
            .is_none_or(|file| !is_current(file, &self.path))
        {
            self.file = open_log(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return };
        if file.write_all(bytes).is_err() {
            self.file = None;
            return;
        }
        self.in_line = bytes.last() != Some(&b'\n');
        rotate_if_large(file, &self.path);
    }

    fn note(&mut self, text: &str) {
        let start = if self.in_line { "\n" } else { "" };
        self.write(format!("{start}[hop3] {text}\n").as_bytes());
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

/// Two releases write the same log while one takes over from the other; either may have rotated it.
fn is_current(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => open.ino() == named.ino() && open.dev() == named.dev(),
        _ => false,
    }
}

/// Renames the logs one number up. The lock keeps two supervisors from doing it twice.
fn rotate_if_large(file: &File, path: &Path) {
    let large = file.metadata().is_ok_and(|meta| meta.len() > ROTATE_AT);
    let locked = large && rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
    if locked && is_current(file, path) {
        for number in (1..KEPT).rev() {
            drop(fs::rename(rotated(path, number), rotated(path, number + 1)));
        }
        drop(fs::rename(path, rotated(path, 1)));
    }
}

fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(dir: &Path) -> Output {
        Output::open(&dir.join("x.out"), None, dir.join("web.0.log")).unwrap()
    }

    #[test]
    fn what_is_written_reaches_the_log_and_the_fifo_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = output(dir.path());
        output.writer().unwrap().write_all(b"no newline").unwrap();
        output.note("exited with status 1");
        let log = fs::read_to_string(dir.path().join("web.0.log")).unwrap();
        assert_eq!(log, "no newline\n[hop3] exited with status 1\n");
        assert!(!dir.path().join("x.out").exists());
    }

    #[test]
    fn a_log_is_rotated_at_ten_mebibytes_and_three_old_ones_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.0.log");
        let mut log = Log::new(path.clone());
        let megabyte = vec![b'x'; 1024 * 1024];
        for _ in 0..55 {
            log.write(&megabyte);
        }
        let size = |path: PathBuf| fs::metadata(path).unwrap().len() / (1024 * 1024);
        assert_eq!(size(rotated(&path, 1)), 11);
        assert_eq!(size(rotated(&path, 3)), 11);
        assert!(!rotated(&path, 4).exists());
        log.write(b"next");
        assert_eq!(fs::read(&path).unwrap(), b"next");
    }

    #[test]
    fn a_log_that_another_release_rotated_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.0.log");
        let mut old = Log::new(path.clone());
        old.write(b"one\n");
        fs::rename(&path, rotated(&path, 1)).unwrap();
        old.write(b"two\n");
        assert_eq!(fs::read(&path).unwrap(), b"two\n");
    }

    #[test]
    fn a_log_that_cannot_be_written_loses_lines_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut output =
            Output::open(&dir.path().join("x.out"), None, dir.path().join("no/log")).unwrap();
        output.writer().unwrap().write_all(b"lost").unwrap();
        output.copy();
        assert!(
            matches!(output.fifo.read(&mut [0; 8]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        );
    }
}
