//! What people see: results on standard output, everything else on standard error, and one meaning per exit code.
#![expect(clippy::print_stderr, reason = "this is the module that prints")]

use std::io::{ErrorKind, IsTerminal as _, Write};
use std::process::ExitCode;

use hop3_plugin_api::{Abort, Finding, PluginError};

use super::Color;
use crate::execute::chain;

/// Exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Nothing to do, or done.
    Success,
    /// It failed.
    Error,
    /// A plan holds changes.
    Changes,
    /// Policy holds something.
    Held,
    /// The command line is wrong.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Error => 1,
            Exit::Changes => 2,
            Exit::Held => 3,
            Exit::Usage => 64,
        })
    }
}

/// Why a command failed, for the person who typed it.
#[derive(Debug)]
pub(super) struct CliError {
    message: String,
    hints: Vec<String>,
}

impl CliError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(super) fn refused(message: String, hints: Vec<String>) -> Self {
        Self { message, hints }
    }

    /// The same as something that is wrong with a host.
    pub(super) fn finding(self, name: &str) -> Finding {
        let finding = Finding::faulty(name, self.message);
        match self.hints.into_iter().next() {
            Some(hint) => finding.hint(hint),
            None => finding,
        }
    }
}

impl From<Abort> for CliError {
    fn from(abort: Abort) -> Self {
        Self {
            message: abort.message,
            hints: abort.hint.into_iter().collect(),
        }
    }
}

impl From<PluginError> for CliError {
    fn from(error: PluginError) -> Self {
        Self {
            message: chain(&error),
            hints: error.hints(),
        }
    }
}

impl From<hop3_plugin_api::HostError> for CliError {
    fn from(error: hop3_plugin_api::HostError) -> Self {
        PluginError::from(error).into()
    }
}

/// A result on standard output.
pub(super) fn out(text: &str) {
    written(&mut anstream::stdout(), text);
}

/// A result on standard output, in colour if so.
pub(super) fn show(text: &str, color: Color) {
    let choice = if shows_color(color) {
        anstream::ColorChoice::Always
    } else {
        anstream::ColorChoice::Never
    };
    written(
        &mut anstream::AutoStream::new(std::io::stdout(), choice),
        text,
    );
}

/// Whether to use colour on standard output.
pub(super) fn shows_color(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
        }
    }
}

/// A remark on standard error.
pub(super) fn say(text: &str) {
    written(&mut anstream::stderr(), &format!("{text}\n"));
}

/// A document on standard output. What could change how a terminal shows the rest is written as an escape, which means the same in JSON.
pub(super) fn json<T: serde::Serialize>(value: &T) {
    let text = serde_json::to_string_pretty(value).expect("documents serialise");
    let shown = |c: char| {
        if changes_display(c) {
            format!("\\u{:04x}", u32::from(c))
        } else {
            c.to_string()
        }
    };
    let text: String = text.chars().map(shown).collect();
    plain(&format!("{text}\n"));
}

/// A file on standard output, byte by byte.
pub(super) fn plain(text: &str) {
    written(&mut std::io::stdout(), text);
}

/// Writes; a reader that has seen enough (`… | head`) is no mistake.
fn written(stream: &mut impl Write, text: &str) {
    let result = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
    if let Err(error) = result
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("error: could not write the result: {error}");
    }
}

/// Whether to use colour on standard error.
pub(super) fn colored(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal(),
    }
}

/// Whether a character acts on a terminal, or on the direction of the text around it.
fn changes_display(c: char) -> bool {
    (c.is_control() && c != '\n') || is_bidi(c)
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of an app or a commit, made harmless for a terminal.
pub(super) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if changes_display(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Where the log goes: standard error, without what could turn the text around it. Escape sequences in values are escaped before.
pub(super) struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text: String = text
            .chars()
            .map(|c| if is_bidi(c) { '\u{fffd}' } else { c })
            .collect();
        std::io::stderr().write_all(text.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Ends a command.
pub(super) fn exit(result: Result<Exit, CliError>, color: Color) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            let (red, plain) = if colored(color) {
                ("\x1b[1;31m", "\x1b[0m")
            } else {
                ("", "")
            };
            eprintln!("{red}error{plain}: {}", harmless(&error.message));
            for hint in &error.hints {
                eprintln!("hint: {}", harmless(hint));
            }
            Exit::Error.into()
        }
    }
}

/// Ends a wrong command line, or help.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    if error.print().is_err() {
        return Exit::Error.into();
    }
    if error.use_stderr() {
        Exit::Usage.into()
    } else {
        Exit::Success.into()
    }
}
