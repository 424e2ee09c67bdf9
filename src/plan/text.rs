//! A plan for people: what changes, why, and where the spec says so. Quiet about what does not change.

use std::fmt::{self, Write as _};

use super::{Action, Change, Class, FieldChange, Plan, Reason, Step};

/// The plan as text, without colour.
pub fn render(plan: &Plan) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        change_text(&mut text, change);
    }
    for held in &plan.held {
        line(
            &mut text,
            format_args!("! {}: held: {}", held.app, held.message),
        );
        for hint in &held.hints {
            line(&mut text, format_args!("    hint: {hint}"));
        }
    }
    for error in &plan.errors {
        line(&mut text, format_args!("! {error}"));
    }
    for note in &plan.notes {
        line(&mut text, format_args!("note: {note}"));
    }
    summary(&mut text, plan);
    text
}

fn summary(text: &mut String, plan: &Plan) {
    let (changes, held, same) = (plan.changes.len(), plan.held.len(), plan.unchanged.len());
    if changes == 0 && held == 0 && plan.errors.is_empty() {
        line(
            text,
            format_args!("nothing to do: {same} app(s) are as they should be"),
        );
    } else {
        line(
            text,
            format_args!(
                "plan {}: {changes} to change, {held} held, {same} unchanged",
                plan.id.short()
            ),
        );
    }
}

fn change_text(text: &mut String, change: &Change) {
    let downtime = if change.downtime {
        ", with a pause in service"
    } else {
        ""
    };
    line(
        text,
        format_args!(
            "{} {} ({}{downtime})  {}",
            sign(change),
            change.app,
            change.class,
            change.id.short()
        ),
    );
    for step in &change.steps {
        step_text(text, step);
    }
}

fn step_text(text: &mut String, step: &Step) {
    let mut why = reason(&step.reason);
    if let (Some(at), false) = (&step.at, matches!(step.reason, Reason::Follows)) {
        write!(why, "  [{}:{}", at.file, at.line).expect("writing to a string cannot fail");
        if let Some(commit) = &step.commit {
            write!(why, " {}", commit.chars().take(8).collect::<String>())
                .expect("writing to a string cannot fail");
        }
        why.push(']');
    }
    line(
        text,
        format_args!(
            "    {:<16} {}{}",
            step.action.name(),
            detail(&step.action),
            separated(&why)
        ),
    );
    if let Action::Build { plan, .. } = &step.action {
        let layers = plan.layers.iter().flat_map(|layer| &layer.steps);
        for build in layers.chain(&plan.steps) {
            line(text, format_args!("        $ {}", build.command));
        }
    }
}

fn separated(why: &str) -> String {
    if why.is_empty() {
        String::new()
    } else {
        format!("  — {why}")
    }
}

fn sign(change: &Change) -> char {
    if change
        .steps
        .iter()
        .any(|step| step.action == Action::Tombstone)
    {
        '-'
    } else if change
        .steps
        .iter()
        .any(|step| step.reason == Reason::Created)
    {
        '+'
    } else {
        '~'
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoOp => "no-op",
            Self::Route => "route",
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::Rebuild => "rebuild",
            Self::Data => "data",
        })
    }
}

fn detail(action: &Action) -> String {
    match action {
        Action::Build {
            builder,
            plan,
            source,
        } => format!(
            "{} with {builder}, source {}",
            plan.toolchain,
            source.short()
        ),
        Action::EnsurePackages { packages } => packages.join(", "),
        Action::ReuseArtifact { .. } => "the artifact is the same".to_owned(),
        Action::EnsureAddon { addon } => format!("{} `{}`", addon.kind, addon.name),
        Action::ReleaseCommand { commands, .. } => commands.join("; "),
        Action::Deploy {
            counts, deployer, ..
        } => format!("{} with {deployer}", count_list(counts)),
        Action::Scale { counts, .. } => count_list(counts),
        Action::Gate { check, .. } => check
            .path
            .clone()
            .unwrap_or_else(|| "a listening port".to_owned()),
        Action::Switch {
            route: Some(route), ..
        } => route
            .hosts
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        Action::Switch { .. } => "not routed".to_owned(),
        Action::Drain { seconds, .. } => format!("at most {seconds} s"),
        Action::Unroute { proxy } => format!("from {proxy}"),
        Action::Retain { keep } => format!("the newest {keep} releases"),
        Action::MakeRoom => "its cache, and releases that are not needed".to_owned(),
        Action::Stop { .. } | Action::Tombstone => String::new(),
    }
}

fn count_list(counts: &hop3_plugin_api::Counts) -> String {
    counts
        .iter()
        .map(|(worker, count)| format!("{worker}={count}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Created => "new".to_owned(),
        Reason::Changed { fields } => fields.iter().map(field).collect::<Vec<_>>().join(", "),
        Reason::NotRunning { instances } => format!("not running: {}", instances.join(", ")),
        Reason::Removed => "no longer in the config repo".to_owned(),
        Reason::Requested { why } => why.clone(),
        Reason::Drifted { what } => what.clone(),
        Reason::LeftOver => "left over from a change that did not finish".to_owned(),
        Reason::Follows => String::new(),
    }
}

fn field(change: &FieldChange) -> String {
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{} {from} → {to}", change.field),
        (None, Some(to)) => format!("{} + {to}", change.field),
        (Some(from), None) => format!("{} - {from}", change.field),
        (None, None) => format!("{} changed", change.field),
    }
}

/// Adds a line; control characters of a config repo never reach a terminal.
fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    let content = content.to_string();
    text.extend(content.chars().map(|c| {
        if c.is_control() || is_bidi(c) {
            '\u{fffd}'
        } else {
            c
        }
    }));
    text.push('\n');
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
