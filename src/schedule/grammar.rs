//! The grammar of the five fields: from text to items, every mistake with its bytes. What the items mean is not its business.

use std::ops::Range;

use super::error::{Field, Mistake, ScheduleError};
use super::limits::{Limits, WEEKDAYS, number};
use super::meant::miscounted;

/// Five lists that name every value one by one are shorter.
const LENGTH_LIMIT: usize = 600;

/// What separates fields. A line break does not.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];

/// A schedule as it is written.
#[derive(Debug)]
pub(super) struct Expression {
    /// Its fields, in the order of [`Field::ALL`].
    pub(super) words: [Word; 5],
}

/// One field as it is written.
#[derive(Debug)]
pub(super) struct Word {
    /// Its bytes in the schedule.
    pub(super) span: Range<usize>,
    text: String,
    items: Vec<Item>,
}

impl Word {
    /// Whether it is no restriction.
    pub(super) fn is_open(&self) -> bool {
        self.text.starts_with('*')
    }
}

/// Every `step`th value from the first to the last.
#[derive(Debug)]
struct Item {
    first: u32,
    last: u32,
    step: u32,
}

impl Expression {
    /// The fields with one blank in between.
    pub(super) fn text(&self) -> String {
        self.words
            .each_ref()
            .map(|word| word.text.as_str())
            .join(" ")
    }

    /// The fields as the `cron` crate reads them.
    pub(super) fn translated(&self) -> String {
        let fields = Field::ALL.iter().zip(&self.words);
        let fields: Vec<String> = fields
            .map(|(field, word)| translated(*field, word))
            .collect();
        fields.join(" ")
    }
}

fn translated(field: Field, word: &Word) -> String {
    let items = word.items.iter().flat_map(|item| item.translated(field));
    items.collect::<Vec<_>>().join(",")
}

impl Item {
    fn translated(&self, field: Field) -> Vec<String> {
        let values = (self.first..=self.last).step_by(self.step as usize);
        if field == Field::DayOfWeek {
            return values
                .map(|day| WEEKDAYS[day as usize % 7].to_owned())
                .collect();
        }
        // A step beyond the range, which the crate refuses, leaves the first value.
        if self.step > self.last - self.first {
            return vec![self.first.to_string()];
        }
        vec![format!("{}-{}/{}", self.first, self.last, self.step)]
    }
}

/// The words of a text: what stands between blanks and tabs. Anything else, also a line break, is part of a word.
pub(super) fn words(text: &str) -> Vec<Range<usize>> {
    let start_of = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    let words = text.split(BLANKS).filter(|word| !word.is_empty());
    words
        .map(|word| start_of(word)..start_of(word) + word.len())
        .collect()
}

/// Reads the five fields.
pub(super) fn read(text: &str) -> Result<Expression, ScheduleError> {
    let words = words(text);
    if text.len() > LENGTH_LIMIT {
        let message = format!(
            "a schedule has at most {LENGTH_LIMIT} bytes, not {}",
            text.len()
        );
        return Err(ScheduleError::of([whole(text, message, None)]));
    }
    let Ok(words) = <[Range<usize>; 5]>::try_from(words) else {
        return Err(ScheduleError::of([miscounted(text)]));
    };
    let mut mistakes = Vec::new();
    let mut index = 0;
    let words = words.map(|span| {
        let reader = Reader {
            limits: Limits::of(Field::ALL[index]),
            text,
            mistakes: &mut mistakes,
        };
        index += 1;
        reader.word(span)
    });
    if mistakes.is_empty() {
        Ok(Expression { words })
    } else {
        Err(ScheduleError::of(mistakes))
    }
}

/// A mistake of the whole text.
pub(super) fn whole(text: &str, message: String, hint: Option<String>) -> Mistake {
    Mistake {
        field: None,
        span: 0..text.len(),
        message,
        hint,
    }
}

/// Reads one field, and goes on after a mistake.
struct Reader<'a> {
    limits: Limits,
    text: &'a str,
    mistakes: &'a mut Vec<Mistake>,
}

impl Reader<'_> {
    fn word(mut self, span: Range<usize>) -> Word {
        let text = self.text[span.clone()].to_owned();
        let mut at = span.start;
        let mut items = Vec::new();
        for item in text.split(',') {
            items.extend(self.item(at, item));
            at += item.len() + 1;
        }
        Word { span, text, items }
    }

    fn item(&mut self, at: usize, item: &str) -> Option<Item> {
        if item.is_empty() {
            let message = format!("a {} is missing beside the comma", self.limits.field);
            return self.refuse(at..at, message, None);
        }
        let Some((range, step)) = item.split_once('/') else {
            let (first, last) = self.range(at, item)?;
            return Some(Item {
                first,
                last,
                step: 1,
            });
        };
        let limits = self.range(at, range);
        let step = self.step(at + range.len() + 1, step)?;
        let (first, last) = limits?;
        if range == "*" || range.contains('-') {
            return Some(Item { first, last, step });
        }
        // For some programs this goes on to the end of the field, for others it is the one value.
        let [from, to] = [first, self.limits.highest()].map(|value| self.limits.written(value));
        let message = format!("`{item}` has a step without a range");
        self.refuse(
            at..at + item.len(),
            message,
            Some(format!("write `{from}-{to}/{step}`")),
        )
    }

    fn range(&mut self, at: usize, range: &str) -> Option<(u32, u32)> {
        if range == "*" {
            return Some((self.limits.least, self.limits.highest()));
        }
        let Some((from, to)) = range.split_once('-') else {
            let value = self.value(at, range)?;
            return Some((value, value));
        };
        let (first, last) = (self.value(at, from), self.value(at + from.len() + 1, to));
        let (first, last) = (first?, last?);
        // The Sunday that ends a week.
        let last = if first > 0 && to.eq_ignore_ascii_case(WEEKDAYS[0]) {
            7
        } else {
            last
        };
        if first <= last {
            return Some((first, last));
        }
        let [least, most] =
            [self.limits.least, self.limits.highest()].map(|value| self.limits.written(value));
        let hint = format!("write `{from}-{most},{least}-{to}`");
        self.refuse(
            at..at + range.len(),
            format!("`{range}` runs backwards"),
            Some(hint),
        )
    }

    fn value(&mut self, at: usize, text: &str) -> Option<u32> {
        self.limits.value(text).or_else(|| {
            let (message, hint) = (self.limits.refusal(text), self.limits.meant(text));
            self.refuse(at..at + text.len(), message, hint)
        })
    }

    fn step(&mut self, at: usize, text: &str) -> Option<u32> {
        let step = number(text).filter(|step| (1..=self.limits.count).contains(step));
        step.or_else(|| {
            let message = format!("`{text}` is not a step of the {}", self.limits.field);
            let hint = format!("a step goes from 1 to {}", self.limits.count);
            self.refuse(at..at + text.len(), message, Some(hint))
        })
    }

    fn refuse<T>(
        &mut self,
        span: Range<usize>,
        message: String,
        hint: Option<String>,
    ) -> Option<T> {
        self.mistakes.push(Mistake {
            field: Some(self.limits.field),
            span,
            message,
            hint,
        });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<(String, String)> {
        let found = read(text).err().into_iter().flatten();
        found
            .map(|mistake| (text[mistake.span].to_owned(), mistake.message))
            .collect()
    }

    fn hint(text: &str) -> Option<String> {
        read(text)
            .err()?
            .into_iter()
            .find_map(|mistake| mistake.hint)
    }

    fn translated(text: &str) -> String {
        read(text).expect("it is a schedule").translated()
    }

    #[test]
    fn weekdays_become_names_and_the_rest_numbers() {
        assert_eq!(
            translated("*/5 0-23 1,15 jan-MAR/2 1-5"),
            "0-59/5 0-23/1 1,15 1-3/2 mon,tue,wed,thu,fri"
        );
        assert_eq!(translated("* * * * 7"), "0-59/1 0-23/1 1-31/1 1-12/1 sun");
        assert_eq!(
            translated("*/60 */24 */31 */12 fri-sun"),
            "0 0 1 1 fri,sat,sun"
        );
        assert_eq!(translated("0 0 * * 5-7"), "0 0 1-31/1 1-12/1 fri,sat,sun");
        assert_eq!(
            translated("0 0 * * 1-7/2"),
            "0 0 1-31/1 1-12/1 mon,wed,fri,sun"
        );
    }

    #[test]
    fn every_mistake_is_found_with_its_bytes() {
        let found = mistakes("60 0-24,x 0 5-1 */0");
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(at, message)| (at.as_str(), message.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("60", "`60` is no minute: it goes from 0 to 59"),
                ("24", "`24` is no hour: it goes from 0 to 23"),
                ("x", "`x` is no hour: it goes from 0 to 23"),
                ("0", "`0` is no day of the month: it goes from 1 to 31"),
                ("5-1", "`5-1` runs backwards"),
                ("0", "`0` is not a step of the day of the week"),
            ]
        );
    }

    #[test]
    fn what_only_looks_like_a_number_is_refused() {
        for bad in [
            "+5", "-5", "005", "5.", "0x5", "５", "", "1-", "-", "1-2-3", "*/", "*/5/5", "/5",
            "**", "?", "1,,2", ",", "1,",
        ] {
            assert!(!mistakes(&format!("{bad} * * * *")).is_empty(), "{bad}");
        }
    }

    #[test]
    fn a_hint_says_what_to_write() {
        assert_eq!(hint("daily").as_deref(), Some("write `0 0 * * *`"));
        assert_eq!(hint("0 22-4 * * *").as_deref(), Some("write `22-23,0-4`"));
        assert_eq!(
            hint("0 0 * * sat-mon").as_deref(),
            Some("write `sat-sat,sun-mon`")
        );
        assert_eq!(hint("5/10 * * * *").as_deref(), Some("write `5-59/10`"));
        assert_eq!(hint("0 0 * * 7/2").as_deref(), Some("write `sun-sat/2`"));
        assert_eq!(
            hint("0 0 * * Monday").as_deref(),
            Some("did you mean `mon`?")
        );
        assert_eq!(
            hint("*/90 * * * *").as_deref(),
            Some("a step goes from 1 to 60")
        );
        assert_eq!(
            hint("* * * * * *").as_deref(),
            Some("a schedule has no seconds: write `* * * * *`")
        );
    }

    #[test]
    fn t41_a_line_break_separates_nothing_and_a_bomb_is_refused_whole() {
        assert_eq!(
            mistakes(
                "0 0 * *
*"
            )
            .len(),
            1
        );
        assert_eq!(
            mistakes(
                "0 0 * * *
"
            )
            .len(),
            1
        );
        assert_eq!(
            mistakes(&format!("{}0 * * * *", "0,".repeat(10_000))).len(),
            1
        );
        assert_eq!(mistakes(&"* ".repeat(100_000)).len(), 1);
    }
}
