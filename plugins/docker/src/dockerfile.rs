//! Where the instructions of a Dockerfile stand, so that a failing step can be shown by its line. It is read for that alone: what an
//! instruction means is the builder's business.

/// A Dockerfile with its name, and what is known of a build that did not end in time.
pub(crate) struct Named<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
    /// Words about a deadline that passed.
    pub(crate) late: Option<String>,
}

/// An instruction with the line that it begins at, its words joined by one space each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) line: usize,
    pub(crate) words: String,
}

/// The instructions in their order, without comments. Documents within an instruction (`<<EOF`) are parts of it.
pub(crate) fn instructions(text: &str) -> Vec<Instruction> {
    let mut found: Vec<Instruction> = Vec::new();
    let (mut goes_on, mut document) = (false, None::<String>);
    for (index, line) in text.lines().enumerate() {
        let bare = line.trim();
        if let Some(end) = &document {
            if bare == end {
                document = None;
            }
            continue;
        }
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let part = bare.trim_end_matches('\\').trim_end();
        if goes_on && let Some(last) = found.last_mut() {
            last.words = format!("{} {part}", last.words);
        } else {
            let words = part.split_whitespace().collect::<Vec<_>>().join(" ");
            found.push(Instruction {
                line: index + 1,
                words,
            });
        }
        goes_on = bare.ends_with('\\');
        document = end_of_document(bare);
    }
    found
}

/// The word that ends a document which a line begins.
fn end_of_document(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("<<")?;
    let rest = rest.trim_start_matches('-').trim_start_matches(['"', '\'']);
    let name: String = rest
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic());
    named.then_some(name)
}

/// The line of an instruction as a builder repeats it, the last such line where the Dockerfile has several.
pub(crate) fn line_of(text: &str, instruction: &str) -> Option<usize> {
    let wanted: Vec<&str> = instruction.split_whitespace().collect();
    let wanted = wanted.join(" ");
    let found = instructions(text);
    let same = found.iter().rev().find(|it| it.words == wanted);
    Some(same?.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# syntax\nFROM base AS one\n\nRUN a \\\n  && b\nRUN <<EOF\nRUN c\nEOF\n  COPY   x  y\n";

    #[test]
    fn instructions_are_found_with_their_lines() {
        let found = instructions(TEXT);
        let found: Vec<(usize, &str)> = found
            .iter()
            .map(|it| (it.line, it.words.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (2, "FROM base AS one"),
                (4, "RUN a && b"),
                (6, "RUN <<EOF"),
                (9, "COPY x y")
            ]
        );
    }

    #[test]
    fn a_builders_own_spelling_of_an_instruction_leads_to_its_line() {
        assert_eq!(line_of(TEXT, "COPY x y"), Some(9));
        assert_eq!(line_of(TEXT, "RUN a   && b"), Some(4));
        assert_eq!(line_of(TEXT, "RUN c"), None);
        assert_eq!(line_of("FROM a\nRUN x\nRUN x\n", "RUN x"), Some(3));
    }
}
