//! The grammar of cron schedules: five fields with names, ranges, lists and steps. It reads no clock.

/// One of the five fields.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        least: 0,
        most: 59,
        words: &[],
    },
    Field {
        name: "hour",
        least: 0,
        most: 23,
        words: &[],
    },
    Field {
        name: "day of the month",
        least: 1,
        most: 31,
        words: &[],
    },
    Field {
        name: "month",
        least: 1,
        most: 12,
        words: &MONTHS,
    },
    Field {
        name: "day of the week",
        least: 0,
        most: 7,
        words: &DAYS,
    },
];

/// What is wrong with a schedule, if anything.
pub(crate) fn problem(schedule: &str) -> Option<String> {
    let parts: Vec<&str> = schedule.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Some(format!("a schedule has five fields, not {}", parts.len()));
    }
    let mut fields = FIELDS.iter().zip(parts);
    fields.find_map(|(field, part)| part.split(',').find_map(|item| field.problem(item)))
}

/// Splits a Procfile's cron command into its schedule and its command.
pub(crate) fn split(line: &str) -> Option<(String, &str)> {
    let mut rest = line.trim();
    let mut schedule = Vec::new();
    for _ in 0..FIELDS.len() {
        let (field, after) = rest.split_once(char::is_whitespace)?;
        schedule.push(field);
        rest = after.trim_start();
    }
    (!rest.is_empty()).then(|| (schedule.join(" "), rest))
}

impl Field {
    fn problem(&self, item: &str) -> Option<String> {
        let (range, step) = item
            .split_once('/')
            .map_or((item, None), |(range, step)| (range, Some(step)));
        if let Some(step) = step.filter(|step| !matches!(step.parse::<u32>(), Ok(1..=59))) {
            return Some(format!("`{step}` is not a step of the {}", self.name));
        }
        if range == "*" {
            return None;
        }
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        match (self.value(from), self.value(to)) {
            (Some(first), Some(last)) if first <= last => None,
            (Some(_), Some(_)) => Some(format!("`{range}` runs backwards")),
            (None, _) => Some(self.refusal(from)),
            (_, None) => Some(self.refusal(to)),
        }
    }

    fn value(&self, text: &str) -> Option<u32> {
        let word = text.to_lowercase();
        if let Some(index) = self.words.iter().position(|known| *known == word) {
            return u32::try_from(index).ok().map(|index| index + self.least);
        }
        let digits =
            !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|value| digits && (self.least..=self.most).contains(value))
    }

    fn refusal(&self, text: &str) -> String {
        let words = if self.words.is_empty() {
            ""
        } else {
            ", or a name"
        };
        format!(
            "`{text}` is no {}: it goes from {} to {}{words}",
            self.name, self.least, self.most
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ranges_lists_and_steps_are_understood() {
        for good in [
            "* * * * *",
            "*/5 0-23 1,15 jan-mar MON-fri",
            "0 2 * * 7",
            "1-10/2 * * dec sun",
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
    }

    #[test]
    fn a_field_out_of_its_range_is_named() {
        assert_eq!(
            problem("0 24 * * *").unwrap(),
            "`24` is no hour: it goes from 0 to 23"
        );
        for bad in [
            "60 * * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "* * * *",
            "a * * * *",
        ] {
            assert!(problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_command_follows_the_five_fields() {
        assert_eq!(
            split("0 2\t* * * ./clean --all"),
            Some(("0 2 * * *".to_owned(), "./clean --all"))
        );
        assert_eq!(split("0 2 * * *"), None);
    }
}
