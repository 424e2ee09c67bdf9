//! Schedules in the files of an app: where one stands, and what is wrong with it. What a schedule is, `schedule` decides.

use std::ops::Range;

use super::diagnostic::Diagnostic;
use super::source::Source;
use crate::schedule::{Cron, FORM, Field, Mistake};

/// What a schedule with a command looks like.
const LINE: &str = "write `minute hour day month weekday command`";

/// Everything that is wrong with a schedule which stands somewhere within these bytes of a file, each mistake with its own place.
pub(crate) fn problems(source: &Source, within: Range<usize>, schedule: &str) -> Vec<Diagnostic> {
    let mistakes = Cron::parse(schedule).err().into_iter().flatten();
    // A text with escapes does not stand in the file as it is: then all of it is marked.
    let start = source.text[within.clone()]
        .find(schedule)
        .filter(|_| !schedule.is_empty());
    let place = |span: Range<usize>| {
        let start = start.map(|start| within.start + start);
        start.map_or(within.clone(), |start| start + span.start..start + span.end)
    };
    let told = |mistake: Mistake| {
        let hint = mistake.hint.unwrap_or_else(|| FORM.to_owned());
        source
            .error(place(mistake.span), mistake.message)
            .hint(hint)
    };
    mistakes.map(told).collect()
}

/// Everything that is wrong with a schedule and the command behind it, which stand somewhere within these bytes of a file.
pub(crate) fn line_problems(source: &Source, within: Range<usize>, line: &str) -> Vec<Diagnostic> {
    let Some((schedule, command)) = split(line) else {
        let error = source.error(within, "a cron line has five fields and a command");
        return vec![error.hint(LINE)];
    };
    let found = problems(source, within.clone(), schedule);
    let sixth = command.split_whitespace().next().unwrap_or_default();
    if !found.is_empty() || !sixth.starts_with('*') {
        return found;
    }
    let message = format!("a schedule has five fields, and `{sixth}` would be the command");
    vec![source.error(within, message).hint(LINE)]
}

/// Splits a cron command into its schedule and its command, as they are written.
fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let mut rest = line;
    for _ in Field::ALL {
        let (_, after) = rest.split_once([' ', '\t'])?;
        rest = after.trim_start_matches([' ', '\t']);
    }
    let schedule = line[..line.len() - rest.len()].trim_end();
    (!rest.is_empty()).then_some((schedule, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_marked_where_it_stands() {
        let source = Source::new("hop3.toml", "schedule = \"0 24 * * 8\"");
        let found = problems(&source, 11..23, "0 24 * * 8");
        let found: Vec<_> = found
            .into_iter()
            .map(|d| (d.span.unwrap(), d.message))
            .collect();
        assert_eq!(
            found,
            [
                ((14, 16), "`24` is no hour: it goes from 0 to 23".to_owned()),
                (
                    (21, 22),
                    "`8` is no day of the week: it goes from 0 to 7, or a name".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn a_schedule_with_escapes_is_marked_as_a_whole() {
        let source = Source::new("hop3.toml", r#"schedule = "0 24\t* * *""#);
        let found = problems(&source, 11..24, "0 24\t* * *");
        assert_eq!(found[0].span, Some((11, 24)));
        assert!(problems(&source, 11..24, "0 23\t* * *").is_empty());
    }

    #[test]
    fn a_command_follows_the_five_fields() {
        assert_eq!(
            split("0 2\t* *  * ./clean --all"),
            Some(("0 2\t* *  *", "./clean --all"))
        );
        assert_eq!(split("0 2 * * *"), None);
        assert_eq!(split("0 2 * * * "), None);
    }
}
