//! Reading instances' logs. Only whole lines are told: the rest of a line comes with the next call.

use std::path::Path;

use hop3_plugin_api::{Host, LogLine, LogQuery, Result, WorkerName};

/// Lines of all logs that the query asks for, log by log.
pub(super) async fn read(host: &dyn Host, dir: &Path, query: &LogQuery) -> Result<Vec<LogLine>> {
    let mut lines = Vec::new();
    for source in sources(host, dir, query.worker.as_ref()).await? {
        let log = Log { host, dir, source };
        lines.extend(match query.after.get(&log.source) {
            Some(cursor) => log.after(*cursor).await?,
            None => log.last(query.lines).await?,
        });
    }
    Ok(lines)
}

/// The instances that have a log: `web.0` for `web.0.log` or, right after it was rotated, `web.0.log.1`.
async fn sources(host: &dyn Host, dir: &Path, worker: Option<&WorkerName>) -> Result<Vec<String>> {
    let mut sources: Vec<String> = host
        .list(dir)
        .await?
        .into_iter()
        .filter_map(|entry| source_of(&entry.name, worker))
        .collect();
    sources.sort_by_key(|source| (worker_of(source).to_owned(), index_of(source)));
    sources.dedup();
    Ok(sources)
}

fn source_of(file_name: &str, wanted: Option<&WorkerName>) -> Option<String> {
    let plain = file_name.strip_suffix(".1").unwrap_or(file_name);
    let source = plain.strip_suffix(".log")?;
    index_of(source)?;
    let worker = worker_of(source);
    wanted
        .is_none_or(|wanted| wanted.as_str() == worker)
        .then(|| source.to_owned())
}

fn worker_of(source: &str) -> &str {
    source.rsplit_once('.').map_or(source, |(worker, _)| worker)
}

fn index_of(source: &str) -> Option<u16> {
    source.rsplit_once('.')?.1.parse().ok()
}

/// One instance's log.
struct Log<'a> {
    host: &'a dyn Host,
    dir: &'a Path,
    source: String,
}

impl Log<'_> {
    async fn current(&self) -> Result<Vec<u8>> {
        self.content(".log").await
    }

    /// The log before it was last rotated.
    async fn older(&self) -> Result<Vec<u8>> {
        self.content(".log.1").await
    }

    async fn content(&self, suffix: &str) -> Result<Vec<u8>> {
        let path = self.dir.join(format!("{}{suffix}", self.source));
        Ok(self.host.read(&path).await?.unwrap_or_default())
    }

    /// What was written since. A position beyond the end is one in the log that has been rotated meanwhile.
    async fn after(&self, cursor: u64) -> Result<Vec<LogLine>> {
        let current = self.current().await?;
        let cursor = usize::try_from(cursor).unwrap_or(usize::MAX);
        if cursor <= current.len() {
            return Ok(self.lines(&current, cursor));
        }
        let mut lines = self.lines(&self.older().await?, cursor);
        lines.extend(self.lines(&current, 0));
        Ok(lines)
    }

    async fn last(&self, count: usize) -> Result<Vec<LogLine>> {
        let current = self.current().await?;
        let lines = self.lines(&current, start_of_last(&current, count));
        if lines.len() >= count {
            return Ok(lines);
        }
        let older = self.older().await?;
        let missing = start_of_last(&older, count - lines.len());
        let mut all = self.lines(&older, missing);
        all.extend(lines);
        Ok(all)
    }

    /// The whole lines from a position on.
    fn lines(&self, content: &[u8], from: usize) -> Vec<LogLine> {
        let mut cursor = from;
        content
            .get(from..)
            .unwrap_or_default()
            .split_inclusive(|byte| *byte == b'\n')
            .filter_map(|line| {
                cursor += line.len();
                Some(LogLine {
                    source: self.source.clone(),
                    text: String::from_utf8_lossy(line.strip_suffix(b"\n")?).into_owned(),
                    cursor: u64::try_from(cursor).unwrap_or(u64::MAX),
                })
            })
            .collect()
    }
}

/// Where the last so many whole lines begin.
fn start_of_last(content: &[u8], count: usize) -> usize {
    let newlines = content.iter().enumerate().rev();
    newlines
        .filter(|(_, byte)| **byte == b'\n')
        .nth(count)
        .map_or(0, |(position, _)| position + 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hop3_plugin_api::FileWrite;
    use hop3_plugin_testing::FakeHost;

    use super::*;

    async fn write(host: &FakeHost, name: &str, content: &[u8]) {
        host.write_atomic(FileWrite::private(host.root().join(name), content))
            .await
            .unwrap();
    }

    async fn told(host: &FakeHost, query: &LogQuery) -> Vec<String> {
        let lines = read(host, host.root(), query).await.unwrap();
        let show = |line: LogLine| format!("{} {}@{}", line.source, line.text, line.cursor);
        lines.into_iter().map(show).collect()
    }

    fn last(lines: usize) -> LogQuery {
        LogQuery {
            lines,
            ..LogQuery::default()
        }
    }

    fn after(cursor: u64) -> LogQuery {
        LogQuery {
            after: BTreeMap::from([("web.0".to_owned(), cursor)]),
            ..LogQuery::default()
        }
    }

    #[tokio::test]
    async fn the_last_lines_of_each_instance_are_told_in_order_and_other_files_are_not_logs() {
        let host = FakeHost::new();
        write(&host, "web.0.log", b"a\nb\nc\n").await;
        write(&host, "web.10.log", b"x\n").await;
        write(&host, "web.2.log", b"y\n").await;
        write(&host, "supervisor.log", b"no\n").await;
        write(&host, "run.txt", b"no\n").await;
        let expected = ["web.0 b@4", "web.0 c@6", "web.2 y@2", "web.10 x@2"];
        assert_eq!(told(&host, &last(2)).await, expected);
        let query = LogQuery {
            worker: Some(WorkerName::parse("queue").unwrap()),
            ..last(2)
        };
        assert!(told(&host, &query).await.is_empty());
    }

    #[tokio::test]
    async fn following_continues_after_the_cursor_and_never_tells_half_a_line() {
        let host = FakeHost::new();
        write(&host, "web.0.log", b"one\ntw").await;
        assert_eq!(told(&host, &last(9)).await, ["web.0 one@4"]);
        assert!(told(&host, &after(4)).await.is_empty());
        write(&host, "web.0.log", b"one\ntwo\n").await;
        assert_eq!(told(&host, &after(4)).await, ["web.0 two@8"]);
    }

    #[tokio::test]
    async fn a_rotation_between_two_calls_loses_no_line() {
        let host = FakeHost::new();
        write(&host, "web.0.log.1", b"one\ntwo\nthree\n").await;
        write(&host, "web.0.log", b"four\n").await;
        let expected = ["web.0 three@14", "web.0 four@5"];
        assert_eq!(told(&host, &after(8)).await, expected);
        assert_eq!(told(&host, &last(2)).await, expected);
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_replaced_and_do_not_move_the_cursor() {
        let host = FakeHost::new();
        write(&host, "web.0.log", b"a\xffb\n").await;
        assert_eq!(told(&host, &last(1)).await, ["web.0 a\u{fffd}b@4"]);
    }
}
