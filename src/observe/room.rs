//! Whether the data dir can take any change: its file system is writable and has some space left. Asks the kernel; changes nothing.
//!
//! Before it is full it is scarce: then what can be made again gives way. Data never does.

use std::path::Path;

use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

/// Below this many free bytes nothing is begun.
const LEAST_BYTES: u64 = 16 * 1024 * 1024;
/// Below this many free inodes neither.
const LEAST_FILES: u64 = 200;
/// Below a twentieth of the whole, but within these bounds, free bytes are scarce.
const SCARCE_BYTES: std::ops::RangeInclusive<u64> = 32 * 1024 * 1024..=1024 * 1024 * 1024;

/// What the data dir can take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Room {
    /// Changes.
    #[default]
    Enough,
    /// Changes, but there is little left.
    Scarce,
    /// Nothing: it is full.
    Full {
        /// What is left, for people.
        left: String,
    },
    /// Nothing: it is read-only.
    ReadOnly,
}

impl Room {
    /// What this data dir can take now. One that cannot be asked about is tried.
    pub fn of(data_dir: &Path) -> Self {
        statvfs(data_dir).map_or(Self::Enough, |status| Self::judge(&status))
    }

    fn judge(status: &StatVfs) -> Self {
        let bytes = status.f_bavail.saturating_mul(status.f_frsize);
        // A file system that makes inodes as they are needed has none to count.
        let no_files = status.f_files > 0 && status.f_favail < LEAST_FILES;
        if status.f_flag.contains(StatVfsMountFlags::RDONLY) {
            Self::ReadOnly
        } else if bytes < LEAST_BYTES {
            let left = format!("{} MiB", bytes / (1024 * 1024));
            Self::Full { left }
        } else if no_files {
            let left = format!("{} inodes", status.f_favail);
            Self::Full { left }
        } else if bytes < scarce(status) {
            Self::Scarce
        } else {
            Self::Enough
        }
    }

    /// Whether what can be made again should give way.
    pub fn is_scarce(&self) -> bool {
        matches!(self, Self::Scarce | Self::Full { .. })
    }

    /// Why nothing can be changed, if so.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Enough | Self::Scarce => None,
            Self::Full { left } => Some(format!("the data dir's file system is full: {left} left")),
            Self::ReadOnly => Some("the data dir's file system is read-only".to_owned()),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Enough | Self::Scarce => None,
            Self::Full { .. } => {
                Some("free at least 16 MiB there; everything goes on by itself then")
            }
            Self::ReadOnly => Some("make it writable again; everything goes on by itself then"),
        }
    }
}

fn scarce(status: &StatVfs) -> u64 {
    let whole = status.f_blocks.saturating_mul(status.f_frsize);
    (whole / 20).clamp(*SCARCE_BYTES.start(), *SCARCE_BYTES.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> StatVfs {
        StatVfs {
            f_bsize: 4096,
            f_frsize: 4096,
            f_blocks: 1_000_000,
            f_bfree: 500_000,
            f_bavail: 400_000,
            f_files: 100_000,
            f_ffree: 50_000,
            f_favail: 50_000,
            f_fsid: 1,
            f_flag: StatVfsMountFlags::empty(),
            f_namemax: 255,
        }
    }

    #[test]
    fn f03_a_disk_without_bytes_or_inodes_takes_nothing() {
        assert_eq!(Room::judge(&status()), Room::Enough);
        let little = StatVfs {
            f_bavail: 40_000,
            ..status()
        };
        assert_eq!(Room::judge(&little), Room::Scarce);
        let bytes = StatVfs {
            f_bavail: 300,
            ..status()
        };
        assert!(matches!(Room::judge(&bytes), Room::Full { left } if left == "1 MiB"));
        let files = StatVfs {
            f_favail: 7,
            ..status()
        };
        assert!(matches!(Room::judge(&files), Room::Full { left } if left == "7 inodes"));
        let uncounted = StatVfs {
            f_files: 0,
            f_favail: 0,
            ..status()
        };
        assert_eq!(Room::judge(&uncounted), Room::Enough);
        assert!(Room::judge(&bytes).is_scarce() && !Room::judge(&status()).is_scarce());
    }

    #[test]
    fn f05_a_read_only_disk_takes_nothing() {
        let frozen = StatVfs {
            f_flag: StatVfsMountFlags::RDONLY,
            ..status()
        };
        assert_eq!(Room::judge(&frozen), Room::ReadOnly);
        assert!(Room::ReadOnly.problem().is_some());
    }
}
