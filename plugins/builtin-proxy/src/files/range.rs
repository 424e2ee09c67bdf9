//! The one range of bytes that a client may ask for. Pure.

/// What a `Range` header means for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no range, several ranges, or a unit that is not bytes.
    Whole,
    /// From the first to the last byte, both included.
    Part { first: u64, last: u64 },
    /// Nothing that the file has.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of so many bytes.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header
        .and_then(|text| text.strip_prefix("bytes="))
        .filter(|text| !text.contains(','))
        .and_then(|text| text.trim().split_once('-'))
    else {
        return Wanted::Whole;
    };
    match (number(first), number(last)) {
        (Ok(Some(first)), Ok(last)) => from_to(first, last.unwrap_or(u64::MAX), size),
        (Ok(None), Ok(Some(tail))) => from_to(size.saturating_sub(tail), u64::MAX, size),
        _ => Wanted::Whole,
    }
    .unless_empty_tail(first, last)
}

impl Wanted {
    /// `bytes=-0` asks for nothing.
    fn unless_empty_tail(self, first: &str, last: &str) -> Self {
        if first.is_empty() && last == "0" {
            Self::Unsatisfiable
        } else {
            self
        }
    }
}

fn from_to(first: u64, last: u64, size: u64) -> Wanted {
    if last < first {
        return Wanted::Whole;
    }
    if first >= size {
        return Wanted::Unsatisfiable;
    }
    Wanted::Part {
        first,
        last: last.min(size - 1),
    }
}

/// An empty text is no number and no error.
fn number(text: &str) -> Result<Option<u64>, ()> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .map(Some)
        .ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_honoured_and_everything_else_is_the_whole_file() {
        let part = |first, last| Wanted::Part { first, last };
        for (header, expected) in [
            ("bytes=0-3", part(0, 3)),
            ("bytes=5-", part(5, 9)),
            ("bytes=-4", part(6, 9)),
            ("bytes=-40", part(0, 9)),
            ("bytes=0-99", part(0, 9)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=3-1", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes=99999999999999999999-", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }
}
