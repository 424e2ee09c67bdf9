//! Whether it pays to byte-compile an app's own modules before it runs.
//!
//! Starting Python in the sandbox to do it takes longer than a small app's modules take to compile whenever a process imports them. Reads
//! the source's listings and the sizes of modules, and stops at the first sign that the app is not small.

use std::path::Path;

use hop3_plugin_api::{PlanContext, Result, SourceKind};

/// The command that compiles: it never fails, and leaves out what is not the app's own.
pub(super) const COMPILE: &str = "import compileall, re, sys; compileall.compile_dir(sys.argv[1], quiet=1, rx=re.compile(r'/(\\.venv|\\.git|node_modules)/'))";

/// Compiling this much takes a process of the app about 10 ms at its start.
const SMALL_BYTES: u64 = 64 * 1024;
/// Looking at more entries than this costs more than it can spare.
const SMALL_ENTRIES: usize = 256;

/// Directories that [`COMPILE`] leaves out.
const FOREIGN: [&str; 3] = [".venv", ".git", "node_modules"];

/// Whether an app's modules are more than a process compiles in passing.
pub(super) fn pays(cx: &PlanContext<'_>) -> Result<bool> {
    let (mut bytes, mut entries) = (SMALL_BYTES, SMALL_ENTRIES);
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        for entry in cx.source.list(&directory)? {
            let Some(left) = entries.checked_sub(1) else {
                return Ok(true);
            };
            entries = left;
            let path = below(&directory, &entry.name);
            match entry.kind {
                SourceKind::Directory if !FOREIGN.contains(&entry.name.as_str()) => open.push(path),
                SourceKind::File { .. } if is_module(&path) => {
                    match bytes.checked_sub(size(cx, &path)) {
                        Some(left) => bytes = left,
                        None => return Ok(true),
                    }
                }
                _ => {}
            }
        }
    }
    Ok(false)
}

/// A module's size; one that is larger than a small app may be has the size of one that is too large, unread.
fn size(cx: &PlanContext<'_>, path: &str) -> u64 {
    match cx.source.read_up_to(path, SMALL_BYTES) {
        Ok(content) => content.map_or(0, |bytes| bytes.len() as u64),
        Err(_) => SMALL_BYTES + 1,
    }
}

fn is_module(path: &str) -> bool {
    Path::new(path).extension() == Some("py".as_ref())
}

fn below(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use hop3_plugin_api::{AppConfig, AppName, Digest, SourceEntry, SourceError, SourceTree};

    use super::*;

    /// Some modules of one size, side by side.
    #[derive(Debug)]
    struct Modules {
        count: usize,
        size: usize,
    }

    impl SourceTree for Modules {
        fn digest_without(&self, _: &[&str]) -> Digest {
            self.digest()
        }

        fn digest(&self) -> Digest {
            Digest::of_bytes(b"")
        }

        fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
            self.read_up_to(path, u64::MAX)
        }

        fn read_up_to(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
            if self.size as u64 > limit {
                let (path, message) = (path.to_owned(), "it is too large".to_owned());
                return Err(SourceError { path, message });
            }
            Ok(Some(vec![b'#'; self.size]))
        }

        fn link_target(&self, _path: &str) -> Result<Option<String>, SourceError> {
            Ok(None)
        }

        fn list(&self, _directory: &str) -> Result<Vec<SourceEntry>, SourceError> {
            let module = |number| SourceEntry {
                name: format!("module{number}.py"),
                kind: SourceKind::File { executable: false },
            };
            Ok((0..self.count).map(module).collect())
        }
    }

    fn pays_for(count: usize, size: usize) -> bool {
        let cx = PlanContext {
            app: &AppName::parse("shop").unwrap(),
            source: &Modules { count, size },
            config: &AppConfig::default(),
        };
        pays(&cx).unwrap()
    }

    #[test]
    fn a_small_app_is_compiled_in_passing_and_a_large_one_before() {
        assert!(!pays_for(0, 0));
        assert!(!pays_for(4, 10_000));
        assert!(pays_for(10, 10_000), "many bytes together");
        assert!(pays_for(1, 100_000), "one large module");
        assert!(pays_for(300, 1), "many files");
    }
}
