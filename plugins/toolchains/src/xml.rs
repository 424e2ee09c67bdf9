//! XML manifests, as far as plans must understand them: elements with their path, attributes, text and line. Never judges whether a
//! document is well formed; the tool that owns it does.

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    /// Its name and those of the elements around it: `project/artifactId`.
    pub(crate) path: String,
    /// Everything after its name in the start tag.
    attributes: String,
    /// Its text, without that of elements in it.
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Element {
    /// The value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let mut rest = self.attributes.as_str();
        while let Some((key, after)) = rest.split_once('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| "'\"".contains(*c))?;
            let (value, next) = after[1..].split_once(quote)?;
            if key.trim() == name {
                return Some(value);
            }
            rest = next;
        }
        None
    }
}

/// The elements of a document, in the order in which they begin.
pub(crate) fn elements(text: &str) -> Vec<Element> {
    let mut found: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('<').map(|offset| at + offset) {
        add_text(&mut found, &open, &text[at..start]);
        let tag = &text[start..];
        let Some(end) = tag_end(tag) else {
            break;
        };
        let inner = tag[1..end].trim_end_matches('>');
        if inner.starts_with('/') {
            open.pop();
        } else if !inner.starts_with(['!', '?']) {
            let line = text[..start].matches('\n').count() + 1;
            let element = element(&found, &open, inner, line);
            if !inner.ends_with('/') {
                open.push(found.len());
            }
            found.push(element);
        }
        at = start + end;
    }
    found
}

/// Where a tag, a comment or a section that is none ends.
fn tag_end(tag: &str) -> Option<usize> {
    let close = [("<!--", "-->"), ("<![CDATA[", "]]>")];
    let close = close.iter().find(|(start, _)| tag.starts_with(start));
    let close = close.map_or(">", |(_, end)| end);
    tag.find(close).map(|at| at + close.len())
}

fn add_text(found: &mut [Element], open: &[usize], text: &str) {
    if let Some(element) = open.last().and_then(|index| found.get_mut(*index)) {
        element.text.push_str(text.trim());
    }
}

fn element(found: &[Element], open: &[usize], inner: &str, line: usize) -> Element {
    let (name, attributes) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    let parent = open.last().map(|index| found[*index].path.as_str());
    let name = name.trim_end_matches('/');
    Element {
        path: parent.map_or_else(|| name.to_owned(), |parent| format!("{parent}/{name}")),
        attributes: attributes.trim_end_matches('/').to_owned(),
        text: String::new(),
        line,
    }
}

/// The text of the first element at a path.
pub(crate) fn text_at<'a>(elements: &'a [Element], path: &str) -> Option<&'a str> {
    let found = elements.iter().find(|element| element.path == path)?;
    Some(found.text.as_str()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_their_path_text_attributes_and_line() {
        let text = "<?xml version=\"1.0\"?>\n<!-- <a> -->\n<project xmlns=\"x\">\n  <name>shop</name>\n  <Ref Include='a' Version = \"1\" />\n  <in><name>other</name></in>\n</project>";
        let found = elements(text);
        let paths: Vec<&str> = found.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "project",
                "project/name",
                "project/Ref",
                "project/in",
                "project/in/name"
            ]
        );
        assert_eq!(text_at(&found, "project/name"), Some("shop"));
        assert_eq!(found[1].line, 4);
        assert_eq!(found[2].attribute("Version"), Some("1"));
        assert_eq!(found[2].attribute("Include"), Some("a"));
        assert_eq!(found[2].attribute("Other"), None);
    }

    #[test]
    fn a_document_that_breaks_off_gives_what_was_there() {
        assert_eq!(elements("<a><b>x").len(), 2);
        assert!(elements("<a").is_empty());
    }
}
