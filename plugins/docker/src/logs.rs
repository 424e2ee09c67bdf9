//! Logs of containers as lines with cursors. A cursor is the engine's own time of the line, in nanoseconds since 1970.

use hop3_plugin_api::{Context, LogLine, LogQuery, Result, WorkerName};

use crate::containers;
use crate::engine::Engine;
use crate::names;

const NANOS: u64 = 1_000_000_000;

struct Source {
    id: String,
    /// `web.0`.
    name: String,
}

/// Lines of every container of the app, oldest first.
pub(crate) async fn lines(cx: &Context<'_>, query: &LogQuery) -> Result<Vec<LogLine>> {
    let engine = Engine::new(cx.machine)?;
    let mut lines = Vec::new();
    for source in sources(&engine, cx, query).await? {
        lines.extend(of_source(&engine, &source, query).await?);
    }
    lines.sort_by_key(|line| line.cursor);
    if query.after.is_empty() {
        let surplus = lines.len().saturating_sub(query.lines);
        lines.drain(..surplus);
    }
    Ok(lines)
}

async fn sources(engine: &Engine<'_>, cx: &Context<'_>, query: &LogQuery) -> Result<Vec<Source>> {
    let format = format!(
        "{{{{.ID}}}} {{{{.Label \"{}\"}}}} {{{{.Label \"{}\"}}}}",
        names::WORKER,
        names::INDEX
    );
    let words = ["ps", "--all", "--no-trunc", "--format", &format].map(str::to_owned);
    let filters = containers::filters(cx.install, cx.plan.app, None);
    let answer = engine
        .ask("list containers", words.into_iter().chain(filters))
        .await?;
    let wanted = query.worker.as_ref().map(WorkerName::as_str);
    Ok(answer
        .lines()
        .filter_map(|line| source(line, wanted))
        .collect())
}

fn source(line: &str, wanted: Option<&str>) -> Option<Source> {
    let mut words = line.split(' ');
    let (id, worker, index) = (words.next()?, words.next()?, words.next()?);
    wanted
        .is_none_or(|wanted| wanted == worker)
        .then(|| Source {
            id: id.to_owned(),
            name: format!("{worker}.{index}"),
        })
}

async fn of_source(engine: &Engine<'_>, source: &Source, query: &LogQuery) -> Result<Vec<LogLine>> {
    let cursor = query.after.get(&source.name).copied();
    let from = match cursor {
        Some(at) => [
            "--since".to_owned(),
            format!("{}.{:09}", at / NANOS, at % NANOS),
        ],
        None => ["--tail".to_owned(), query.lines.to_string()],
    };
    let words = ["logs".to_owned(), "--timestamps".to_owned()];
    let args = words.into_iter().chain(from).chain([source.id.clone()]);
    let answer = engine.ask("read logs", args).await?;
    let lines = answer.lines().filter_map(|line| parse(line, &source.name));
    Ok(lines
        .filter(|line| cursor.is_none_or(|at| line.cursor > at))
        .collect())
}

fn parse(line: &str, source: &str) -> Option<LogLine> {
    let (time, text) = line.split_once(' ').unwrap_or((line, ""));
    Some(LogLine {
        source: source.to_owned(),
        text: text.to_owned(),
        cursor: nanoseconds(time)?,
    })
}

/// Reads `2026-11-22T14:55:30.000000001Z`, the only form that the engine writes.
fn nanoseconds(time: &str) -> Option<u64> {
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    let seconds = (days(year, month, day)? * 24 + hour) * 3600 + minute * 60 + second;
    let nanos: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    seconds.checked_mul(NANOS)?.checked_add(nanos)
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let parts: Vec<u64> = text
        .split(separator)
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// Days from 1970-01-01, counting years from March, so that the leap day is the last one.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    (year * 365 + leap_days + day_of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_time_is_read_to_the_nanosecond() {
        assert_eq!(nanoseconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            nanoseconds("2026-11-22T14:55:30.000000001Z"),
            Some(1_795_359_330_000_000_001)
        );
        assert_eq!(
            nanoseconds("2024-02-29T23:59:59.5Z"),
            Some(1_709_251_199_500_000_000)
        );
        assert_eq!(nanoseconds("yesterday"), None);
    }

    #[test]
    fn a_line_keeps_its_text_byte_for_byte() {
        let line = parse("1970-01-01T00:00:01Z   two  spaces ", "web.0").unwrap();
        assert_eq!((line.text.as_str(), line.cursor), ("  two  spaces ", NANOS));
    }
}
