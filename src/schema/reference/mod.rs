//! Reference pages of everything that people write, made of the schemas: each key with its type, default, an example and its meaning. Pure:
//! from schemas to Markdown.

mod outline;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use self::outline::{Row, Section, outline};
use super::Schemas;
use super::samples::{SAMPLES, samples};
use crate::spec::{AppFiles, AppSpec, Unbuilt, load_app};

/// What a page is about.
struct Page {
    name: &'static str,
    schema: &'static str,
    title: &'static str,
    introduction: &'static str,
    samples: &'static [&'static str],
    /// What becomes of a key that is not built.
    unbuilt: &'static str,
}

const PAGES: [Page; 3] = [
    Page {
        name: "hop3.toml",
        schema: "hop3",
        title: "hop3.toml",
        introduction: "An app of a config repo: `apps/<dir>/hop3.toml`, or `apps/<dir>/hop3/hop3.toml`. Every section is optional, an empty file is a valid app, \
            and a `Procfile` beside it is read too; where both name a worker, this file wins.",
        samples: &[
            "hop3.toml",
            "hop3-archive.toml",
            "hop3-image.toml",
            "hop3-older.toml",
        ],
        unbuilt: "is accepted, but an app that uses it is not planned",
    },
    Page {
        name: "agent.toml",
        schema: "agent",
        title: "agent.toml",
        introduction: "What the operator of one host decides, and nobody who writes the config repo: `/etc/hop3-agent/agent.toml`. Every key is optional.",
        samples: &["agent.toml"],
        unbuilt: "is known, and refused by this version",
    },
    Page {
        name: "hosts",
        schema: "host",
        title: "hosts/<host>.toml",
        introduction: "What one host runs of the config repo: `hosts/<host>.toml` in it. Without a directory `hosts` every host runs every app; with one, a host \
            without a file runs nothing.",
        samples: &["hosts/web1.toml"],
        unbuilt: "is known, and refused by this version",
    },
];

/// Every page by its name: `hop3.toml`, `agent.toml`, `hosts`.
pub fn pages(schemas: &Schemas) -> BTreeMap<&'static str, String> {
    let outlines = PAGES.iter().map(|page| (page, sections(page, schemas)));
    outlines
        .map(|(page, sections)| (page.name, text(page, &sections)))
        .collect()
}

/// Keys that no sample has although they are built, by page: each needs an example.
pub fn without_example(schemas: &Schemas) -> BTreeMap<&'static str, Vec<String>> {
    let lacking = |page: &Page| {
        let sections = sections(page, schemas);
        let rows = sections.iter().flat_map(|section| &section.rows);
        let rows = rows.filter(|row| row.example.is_none() && !row.unbuilt);
        (page.name, rows.map(|row| row.pointer.clone()).collect())
    };
    PAGES.iter().map(lacking).collect()
}

fn sections(page: &Page, schemas: &Schemas) -> Vec<Section> {
    let document = match page.schema {
        "agent" => &schemas.agent,
        "host" => &schemas.host,
        _ => &schemas.hop3,
    };
    let unbuilt = if page.schema == "hop3" {
        unbuilt(schemas)
    } else {
        BTreeSet::new()
    };
    outline(&document.schema, &samples(page.schema), &unbuilt)
}

/// What of the samples validates and is not built, by pointer: asked of the reader itself, so that no page promises more than it does.
fn unbuilt(schemas: &Schemas) -> BTreeSet<String> {
    let mut pointers = BTreeSet::new();
    for sample in SAMPLES.iter().filter(|sample| sample.schema == "hop3") {
        let files = AppFiles {
            directory: "apps/sample",
            spec: Some((sample.file, sample.text.as_bytes())),
            procfile: None,
        };
        if let Some(spec) = load_app(schemas, &files).spec {
            let found = spec.unbuilt.iter().map(|it| named(it, &spec));
            pointers.extend(found.map(|pointer| generalised(&pointer, &spec)));
        }
    }
    pointers
}

/// The key that is not built. Some are told at their section: `[source] git` stands at `/source`.
fn named(unbuilt: &Unbuilt, spec: &AppSpec) -> String {
    let pointer = spec.pointer(&unbuilt.at);
    let key = unbuilt.what.split_once("] ").map_or("", |(_, key)| key);
    let below = format!("{pointer}/{key}");
    if spec.positions.has(&below) {
        below
    } else {
        pointer
    }
}

/// A pointer into a sample as one into its schema: of any item of a list, of any name of a form.
fn generalised(pointer: &str, spec: &AppSpec) -> String {
    if let Some(name) = pointer.strip_prefix("/env/") {
        let form = format!("/env/{name}/");
        let key = spec
            .positions
            .pointers()
            .find_map(|it| it.strip_prefix(&form));
        return format!("/env/<name>/{}", key.unwrap_or_default());
    }
    let step = |step: &str| match step.parse::<usize>() {
        Ok(_) => "*".to_owned(),
        Err(_) => step.to_owned(),
    };
    pointer.split('/').map(step).collect::<Vec<_>>().join("/")
}

fn text(page: &Page, sections: &[Section]) -> String {
    let mut out = format!("# {}\n\n", page.title);
    out.push_str("<!-- Made by `hop3-agent reference --write` from the schema and the examples; a test compares it. -->\n\n");
    writeln!(out, "{}\n", page.introduction).expect("writing to a string cannot fail");
    let links: Vec<String> = page
        .samples
        .iter()
        .map(|file| format!("[{file}](examples/{file})"))
        .collect();
    writeln!(
        out,
        "Every key of this page stands in a file that is valid as a whole: {}. Durations are whole seconds or a number with a unit, `90s`, `5m`, `2h`, `1d`; \
         sizes are bytes or a number with a unit, `512K`, `64M`, `2G`. What is marked *not built* {}.\n",
        links.join(", "),
        page.unbuilt
    )
    .expect("writing to a string cannot fail");
    out.push_str(&contents(sections));
    for section in sections {
        out.push_str(&section_text(section));
    }
    out.trim_end().to_owned() + "\n"
}

fn contents(sections: &[Section]) -> String {
    let main = sections.iter().filter(|section| section.depth == 0);
    let links: Vec<String> = main
        .map(|section| {
            format!(
                "[{}](#{})",
                words::heading(&section.title),
                words::anchor(&section.title)
            )
        })
        .collect();
    format!("{}\n\n", links.join(" · "))
}

fn section_text(section: &Section) -> String {
    let level = "#".repeat(2 + section.depth.min(2));
    let mut out = format!("{level} {}\n\n", words::heading(&section.title));
    let marked = if section.unbuilt { " *Not built.*" } else { "" };
    if !section.description.is_empty() || section.unbuilt {
        writeln!(out, "{}{marked}\n", section.description)
            .expect("writing to a string cannot fail");
    }
    if section.rows.is_empty() {
        return out;
    }
    out.push_str("| key | type | default | example | meaning |\n| --- | --- | --- | --- | --- |\n");
    for row in &section.rows {
        out.push_str(&row_text(row));
    }
    out.push('\n');
    out
}

fn row_text(row: &Row) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let mark = if row.unbuilt { "*Not built.* " } else { "" };
    let needed = if row.required { "Required. " } else { "" };
    format!(
        "| `{}` | {} | {} | {} | {mark}{needed}{} |\n",
        row.key,
        cell(&row.kind),
        cell(&row.default.as_deref().map(words::code).unwrap_or_default()),
        cell(&row.example.as_deref().map(words::code).unwrap_or_default()),
        cell(&row.meaning),
    )
}
