//! Words for kinds of values and kinds of names, and what somebody may have meant by a bad one.

use hop3_plugin_api::{AddonName, AppName, EnvKey, HostName, NameError, PluginName, WorkerName};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::spec::sections::{
    ContextName, ErrorStatus, HeaderName, JobName, RedirectFrom, SecretName, UrlPath, VolumeName,
};
use crate::spec::suggest::{shortened, slug};

/// The rule of a kind of name.
pub(super) struct NameRule {
    what: &'static str,
    rule: &'static str,
    valid: fn(&str) -> bool,
}

impl NameRule {
    /// Found by the pattern that stands for it in schemas.
    pub(super) fn of_pattern(pattern: &str) -> Option<Self> {
        Self::all()
            .into_iter()
            .find(|(known, _)| known == pattern)
            .map(|(_, rule)| rule)
    }

    /// Found by its name.
    pub(super) fn of_kind(what: &str) -> Option<Self> {
        Self::all()
            .into_iter()
            .map(|(_, rule)| rule)
            .find(|rule| rule.what == what)
    }

    fn all() -> Vec<(String, Self)> {
        let all = [
            of::<AppName>(),
            of::<PluginName>(),
            of::<AddonName>(),
            of::<WorkerName>(),
            of::<EnvKey>(),
            of::<HostName>(),
            of::<SecretName>(),
            of::<VolumeName>(),
            of::<JobName>(),
            of::<ContextName>(),
            of::<HeaderName>(),
            of::<UrlPath>(),
            of::<RedirectFrom>(),
            of::<ErrorStatus>(),
        ];
        all.into_iter().flatten().collect()
    }

    /// What is wrong with a text.
    pub(super) fn refusal(&self, text: &str) -> String {
        if self.reserved(text) {
            return format!("`{text}` is a reserved word and cannot be an {}", self.what);
        }
        if text.trim().is_empty() {
            let article = if self.what.starts_with(['a', 'e']) {
                "an"
            } else {
                "a"
            };
            return format!("{article} {} cannot be empty", self.what);
        }
        format!("`{}` is not a valid {}", shortened(text), self.what)
    }

    /// What would be right, with a name that is close to the text if there is one.
    pub(super) fn hint(&self, text: &str) -> String {
        if self.reserved(text) {
            return format!(
                "it means something to the host or to a database; `{text}-app` would do"
            );
        }
        let near = slug(text, self.what).filter(|near| near != text && (self.valid)(near));
        match near {
            Some(near) => format!("write `{near}`: {}", self.rule),
            None => format!("use {}", self.rule),
        }
    }

    fn reserved(&self, text: &str) -> bool {
        self.what == "app name" && !(self.valid)(text) && (self.valid)(&format!("{text}-app"))
    }
}

/// What a pattern of a schema stands for: "app name".
pub(crate) fn name_of(pattern: &str) -> Option<&'static str> {
    NameRule::of_pattern(pattern).map(|rule| rule.what)
}

/// A kind of name by its pattern.
fn of<T: JsonSchema + std::str::FromStr<Err = NameError>>() -> Option<(String, NameRule)> {
    let schema = T::json_schema(&mut SchemaGenerator::default());
    let pattern = schema.get("pattern").and_then(Value::as_str)?.to_owned();
    let error = "".parse::<T>().err()?;
    let rule = NameRule {
        what: error.what,
        rule: error.rule,
        valid: |text| text.parse::<T>().is_ok(),
    };
    Some((pattern, rule))
}

/// The kinds of values that a schema takes: "a string or a list".
pub(super) fn either(types: &[String]) -> String {
    let words: Vec<&str> = types.iter().map(|one| article(one)).collect();
    match words.split_last() {
        Some((&"a boolean", [])) => "`true` or `false`".to_owned(),
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

fn article(kind: &str) -> &'static str {
    match kind {
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "a boolean",
        "array" => "a list",
        "object" => "a table",
        _ => "a string",
    }
}

/// A value of the wrong kind.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Bool(yes) => format!("`{yes}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        Value::Null => "nothing".to_owned(),
    }
}

/// A value that would be right if it were written plainly.
pub(super) fn without_quotes(expected: &[String], value: &Value) -> Option<String> {
    let wants = |kind: &str| expected.iter().any(|one| one == kind);
    match value {
        Value::Number(number) => {
            let float = number.as_f64().unwrap_or_default();
            if wants("integer") && number.is_f64() && float.fract() == 0.0 {
                return Some(format!("write `{float:.0}`"));
            }
            let truth = wants("boolean") && (float == 0.0 || number.as_i64() == Some(1));
            truth.then(|| format!("write `{}`", float > 0.0))
        }
        Value::String(text) => unquoted(&wants, text),
        _ => None,
    }
}

/// A number or a truth where a text belongs.
pub(super) fn in_quotes(expected: &[String], value: &Value) -> Option<String> {
    let plain = value.is_number() || value.is_boolean();
    (plain && expected.iter().any(|one| one == "string"))
        .then(|| format!("put it in quotes: `\"{value}\"`"))
}

/// A list of one text where a text belongs: that text.
pub(super) fn without_brackets(expected: &[String], value: &Value) -> Option<String> {
    let [Value::String(text)] = value.as_array()?.as_slice() else {
        return None;
    };
    let text = shortened(text);
    (expected.iter().any(|one| one == "string"))
        .then(|| format!("write it without brackets: `\"{}\"`", text.escape_debug()))
}

fn unquoted(wants: &impl Fn(&str) -> bool, text: &str) -> Option<String> {
    if wants("boolean") {
        let meant = match text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => "true",
            "false" | "no" | "off" | "0" => "false",
            _ => return None,
        };
        return Some(format!("write `{meant}` without quotes"));
    }
    if (wants("integer") || wants("number")) && text.parse::<f64>().is_ok_and(f64::is_finite) {
        return Some(format!("write `{}` without quotes", shortened(text)));
    }
    (wants("array") && !wants("string")).then(|| {
        format!(
            "put it in brackets: `[\"{}\"]`",
            shortened(text).escape_debug()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_name_has_its_rule_in_words() {
        let kinds = NameRule::all();
        assert_eq!(kinds.len(), 14);
        for (pattern, rule) in kinds {
            assert_eq!(NameRule::of_pattern(&pattern).unwrap().what, rule.what);
            assert_eq!(NameRule::of_kind(rule.what).unwrap().rule, rule.rule);
        }
        assert!(NameRule::of_pattern("^x$").is_none());
    }

    #[test]
    fn a_bad_name_is_told_a_good_one_that_is_near() {
        let app = NameRule::of_kind("app name").unwrap();
        assert!(app.hint("My Shop").starts_with("write `my-shop`: "));
        assert!(app.hint("root").contains("`root-app` would do"));
        assert!(app.hint("").starts_with("use 1 to 40"));
    }
}
