//! T26: variables that would steer a process, and values that do not survive the way to it.

use hop3_plugin_api::EnvValue;

use super::{spec, text};
use crate::plugins::schemas;
use crate::rows::row;

/// A value reaches the app byte by byte, or the spec is refused. What a process is given of it is another test's.
#[test]
fn t26_values_are_taken_byte_by_byte() {
    let schemas = schemas();
    let long = "x".repeat(120 * 1024);
    let values = [
        "a\nLD_PRELOAD=/tmp/x.so",
        "it's",
        "say \"hi\"",
        "$HOME ${HOME} $(id) `id`",
        "%h %n %%",
        "back\\slash \\n",
        " blanks around ",
        "",
        "\t\r\n\u{7f}\u{1b}[31m",
        "ünïcode 🦀 \u{202e}",
        &long,
    ];
    for value in values {
        let quoted = toml::Value::from(value).to_string();
        let spec = spec(&schemas, "apps/a", &format!("[env]\nVALUE = {quoted}\n"));
        let literal = EnvValue::Literal {
            value: value.to_owned(),
        };
        assert_eq!(spec.env.values["VALUE"], literal, "{quoted}");
    }
    row("T26", &[(values.len(), "values taken byte by byte")]);
}

#[test]
fn t26_values_that_no_process_can_be_given_are_refused() {
    let schemas = schemas();
    let long = "x".repeat(200 * 1024);
    let values = ["a\\u0000b", &long];
    for value in values {
        let loaded = text(&schemas, "apps/a", &format!("[env]\nVALUE = \"{value}\"\n"));
        assert!(loaded.spec.is_none());
        assert_eq!(loaded.diagnostics.len(), 1);
        assert_eq!(loaded.diagnostics[0].position.line, 2);
    }
    row("T26", &[(values.len(), "values refused with their line")]);
}

/// Names have at most 128 characters and not 64: frameworks map whole paths of settings to variables, which get longer than 64.
#[test]
fn t26_names_of_variables_have_a_grammar_and_no_loader_hook_is_one() {
    let schemas = schemas();
    let longest = "A".repeat(128);
    for good in [
        "A",
        "a1",
        "PATH",
        "GIT_SSH_COMMAND",
        "LD_LIBRARY",
        longest.as_str(),
    ] {
        let loaded = text(&schemas, "apps/a", &format!("[env]\n{good} = \"1\"\n"));
        assert!(loaded.spec.is_some(), "{good}: {:?}", loaded.diagnostics);
    }
    let too_long = "A".repeat(129);
    let bad_names = [
        "\"A=B\"",
        "\"A B\"",
        "\"A\\nB\"",
        "\"1A\"",
        "\"\"",
        "\"É\"",
        "\"A-B\"",
        "\"A.B\"",
        "LD_PRELOAD",
        "LD_AUDIT",
        "LD_LIBRARY_PATH",
        "GLIBC_TUNABLES",
        too_long.as_str(),
    ];
    for bad in bad_names {
        for table in ["env", "env.computed", "contexts.a.env"] {
            let content = format!("[contexts.a]\nserver = \"x\"\n[{table}]\n{bad} = \"1\"\n");
            let loaded = text(&schemas, "apps/a", &content);
            let hook = table == "contexts.a.env" && !bad.starts_with('"') && bad.len() < 128;
            assert_eq!(loaded.spec.is_none(), !hook, "{table}: {bad}");
        }
    }
    row(
        "T26",
        &[(
            bad_names.len(),
            "names of variables and loader hooks refused",
        )],
    );
}
