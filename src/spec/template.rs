//! `${NAME}` in the text of a computed variable: what checks a template and what fills it read it by the same rule.

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text that stands for itself.
    Text(&'a str),
    /// A variable to put in its place.
    Name(&'a str),
}

/// The parts of a template, in their order. `$$` is one dollar sign, and a `$` before anything but braces stands for itself.
pub(crate) fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        let (before, dollar) = rest.split_at(at);
        let (piece, after) = piece(dollar);
        pieces.extend([Piece::Text(before), piece]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// What begins with a dollar sign, and what comes after it.
fn piece(text: &str) -> (Piece<'_>, &str) {
    let (sign, rest) = text.split_at(1);
    if let Some(after) = rest.strip_prefix('$') {
        return (Piece::Text(sign), after);
    }
    let inner = rest.strip_prefix('{');
    match inner.and_then(|inner| inner.split_once('}')) {
        Some((name, after)) => (Piece::Name(name), after),
        None => (Piece::Text(sign), rest),
    }
}

/// The names that a template refers to.
pub(crate) fn references(template: &str) -> impl Iterator<Item = &str> {
    let named = |piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) => None,
    };
    pieces(template).into_iter().filter_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_and_dollar_signs_are_not() {
        let found: Vec<&str> = references("a${B}$$-${C}-$D-$${E}-${F").collect();
        assert_eq!(found, ["B", "C"]);
    }

    #[test]
    fn nothing_of_a_template_is_lost() {
        let text = |piece| match piece {
            Piece::Text(text) => text,
            Piece::Name(name) => name,
        };
        let whole = |template| pieces(template).into_iter().map(text).collect::<String>();
        assert_eq!(whole("ü$$ü${Ä}$ü${"), "ü$üÄ$ü${");
        assert_eq!(whole(""), "");
    }
}
