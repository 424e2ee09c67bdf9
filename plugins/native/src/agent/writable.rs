//! Directories that an app writes: they are data, kept beside the releases and linked into each.
//!
//! What lies in the data directory is the app's to exchange for a link at any moment, so everything there is made by the app's own user.

use std::collections::BTreeSet;
use std::path::Path;

use hop3_plugin_api::{Abort, Context, FileKind, Host, Launch, Program, Result, Sandbox, Task};

use super::inside;

/// Links every writable directory of the spec and of the toolchain. What the source ships in one is copied when the data begins.
pub(super) async fn link(cx: &Context<'_>, launch: &Launch<'_>) -> Result<()> {
    let artifact = launch.artifact.directory(&cx.paths.app)?;
    let declared = launch.artifact.runtime.writable.iter();
    let all: BTreeSet<&str> = declared
        .chain(&cx.plan.config.writable)
        .map(|directory| directory.trim_end_matches('/'))
        .collect();
    for directory in &all {
        check(directory)?;
        let data = inside(&cx.paths.data, directory, "the writable directory")?;
        let covered = all.iter().any(|outer| is_beneath(directory, outer));
        if covered {
            make(cx, &data).await?;
        } else {
            link_one(cx, &artifact, directory, &data).await?;
        }
    }
    Ok(())
}

fn check(directory: &str) -> Result<(), Abort> {
    if directory.is_empty() || directory == "." {
        return Err(
            Abort::new("the whole app cannot be a writable directory").hint(
                "name the directories that the app writes; everything else is replaced by each release",
            ),
        );
    }
    Ok(())
}

fn is_beneath(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.starts_with('/'))
}

async fn link_one(cx: &Context<'_>, artifact: &Path, directory: &str, data: &Path) -> Result<()> {
    let link = inside(artifact, directory, "the writable directory")?;
    ensure_parents(cx.host, artifact, directory).await?;
    let fresh = cx.host.list(data).await?.is_empty();
    match kind_of(cx.host, &link).await? {
        Some(FileKind::Directory) => {
            if fresh {
                begin(cx, &link, data).await?;
            }
            cx.host.remove_beneath(artifact, &link).await?;
        }
        Some(FileKind::File | FileKind::Other) => {
            return Err(Abort::new(format!(
                "the writable directory `{directory}` is a file in the source"
            ))
            .into());
        }
        Some(FileKind::Symlink) | None => {}
    }
    make(cx, data).await?;
    Ok(cx.host.ensure_link(&link, data).await?)
}

/// Makes the directories above a link. One that is itself a link could lead anywhere, so it is refused.
async fn ensure_parents(host: &dyn Host, artifact: &Path, directory: &str) -> Result<()> {
    let mut at = artifact.to_owned();
    let Some((parents, _)) = directory.rsplit_once('/') else {
        return Ok(());
    };
    for part in parents.split('/') {
        at.push(part);
        match kind_of(host, &at).await? {
            None => host.ensure_dir(&at, 0o755, None).await?,
            Some(FileKind::Directory) => {}
            Some(_) => {
                return Err(Abort::new(format!(
                    "the writable directory `{directory}` lies beneath `{part}`, which is no directory in the source"
                ))
                .into());
            }
        }
    }
    Ok(())
}

async fn kind_of(host: &dyn Host, path: &Path) -> Result<Option<FileKind>> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(None);
    };
    let entries = host.list(parent).await?;
    Ok(entries
        .into_iter()
        .find(|entry| name == entry.name.as_str())
        .map(|entry| entry.kind))
}

/// Begins a data directory with what the source ships, beside its place and then renamed: one that is there is complete.
async fn begin(cx: &Context<'_>, shipped: &Path, data: &Path) -> Result<()> {
    let beside = data.with_added_extension("new");
    cx.host.remove_beneath(&cx.paths.data, &beside).await?;
    make(cx, &beside).await?;
    let (from, into) = (text(&shipped.join(".")), text(&beside));
    as_app(cx, "cp", &["-R", "--", &from, &into], Some(shipped)).await?;
    cx.host.remove_beneath(&cx.paths.data, data).await?;
    as_app(cx, "mv", &["-T", "--", &into, &text(data)], None).await
}

async fn make(cx: &Context<'_>, directory: &Path) -> Result<()> {
    let arguments = ["-p", "-m", "0750", "--", &text(directory)];
    as_app(cx, "mkdir", &arguments, None).await
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a program as the app's user, in the app's data directory and confined to it.
async fn as_app(
    cx: &Context<'_>,
    program: &str,
    arguments: &[&str],
    readable: Option<&Path>,
) -> Result<()> {
    let what = format!("prepare a writable directory of {}", cx.plan.app);
    let mut task = Task::new(what, Program::Named(program.to_owned()), &cx.paths.data)
        .args(arguments.iter().copied());
    task.user = cx.user;
    task.sandbox = Sandbox {
        enabled: true,
        writable: vec![cx.paths.data.clone()],
        readable: readable.map(Path::to_owned).into_iter().collect(),
        ..Sandbox::default()
    };
    cx.host.run(&task).await?.require_success(&task)?;
    Ok(())
}
