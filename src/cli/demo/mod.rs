//! `demo`: the whole thing on the example repo, in a directory of its own, without root and without any service. Everything it says it has
//! observed over HTTP.

mod stage;
mod visitor;

use std::time::Duration;

use super::output::{CliError, Exit, harmless, say};
use stage::Stage;

/// The longest that one change may take to go live.
const PATIENCE: Duration = Duration::from_mins(2);

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// End after the story instead of waiting for Ctrl-C.
    #[arg(long)]
    once: bool,
    /// The port on which the apps answer; a free one when it is taken.
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

/// Runs the story; exit 0 only when all of it was seen.
pub(super) fn demo(args: &DemoArgs) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(|error| CliError::new(error.to_string()))?
        .block_on(perform(args))
}

async fn perform(args: &DemoArgs) -> Result<Exit, CliError> {
    // The visitors' HTTP client asks for one although it speaks no TLS here.
    crate::repo::install_tls_provider();
    let stage = Stage::set(args.port).await?;
    let told = tokio::select! {
        told = tell(&stage, args.once) => told,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(|e| CliError::new(e.to_string())),
    };
    if told.is_err() {
        say(&format!(
            "the agent's last words:\n{}",
            harmless(&stage.last_words())
        ));
    }
    say("\nending the agent, the apps and the proxy …");
    let ended = stage.end().await;
    told.and(ended).map(|()| Exit::Success)
}

async fn tell(stage: &Stage, once: bool) -> Result<(), CliError> {
    first_commit(stage).await?;
    good_commit(stage).await?;
    bad_commit(stage).await?;
    revert(stage).await?;
    if !once {
        say("\nEverything above goes on until you press Ctrl-C. Commit something yourself:");
        say(&format!(
            "  cd {}\n  edit apps/site/public/index.html && git commit -am 'hello'",
            stage.repo().display()
        ));
        std::future::pending::<()>().await;
    }
    Ok(())
}

async fn first_commit(stage: &Stage) -> Result<(), CliError> {
    say(&format!(
        "1. a config repo with three apps: {}",
        stage.repo().display()
    ));
    for (app, path) in [("site", "/"), ("guestbook", "/"), ("echo", "/")] {
        let visitor = stage.visitor(app);
        visitor
            .until(path, PATIENCE, |answer| answer.status == 200)
            .await?;
        say(&format!("   {app:<10} answers at {}", visitor.url("/")));
    }
    Ok(())
}

/// A change of the app's code goes live while somebody keeps asking, and no request fails.
async fn good_commit(stage: &Stage) -> Result<(), CliError> {
    say("\n2. a commit changes the guestbook, while a visitor keeps asking");
    let visitor = stage.visitor("guestbook");
    let crowd = visitor.keep_asking("/health");
    stage.edit("apps/guestbook/VERSION", |_| "second edition\n".to_owned())?;
    let started = tokio::time::Instant::now();
    stage.commit("Guestbook: second edition").await?;
    visitor
        .until("/health", PATIENCE, |answer| {
            answer.version == "second edition"
        })
        .await?;
    let took = started.elapsed();
    let (asked, failed) = crowd.stop().await;
    if failed > 0 {
        return Err(CliError::new(format!(
            "{failed} of {asked} requests failed during the deploy"
        )));
    }
    say(&format!(
        "   live after {:.1} s; {asked} requests meanwhile, none failed",
        took.as_secs_f64()
    ));
    Ok(())
}

/// One commit breaks the guestbook and improves the site: only the site changes.
async fn bad_commit(stage: &Stage) -> Result<(), CliError> {
    say("\n3. a commit breaks the guestbook and improves the site");
    let (guestbook, site) = (stage.visitor("guestbook"), stage.visitor("site"));
    stage.edit("apps/guestbook/VERSION", |_| "broken edition\n".to_owned())?;
    stage.edit("apps/guestbook/server.py", |text| {
        format!("raise SystemExit(\"this commit is broken\")\n{text}")
    })?;
    stage.edit("apps/site/public/index.html", |text| {
        text.replace("</body>", "<p>improved</p>\n</body>")
    })?;
    stage
        .commit("Break the guestbook, improve the site")
        .await?;
    site.until("/", PATIENCE, |answer| answer.body.contains("improved"))
        .await?;
    say("   the site's change is live");
    let why = stage.until_failing("guestbook", PATIENCE).await?;
    say(&format!(
        "   the guestbook's is refused: {}",
        harmless(&why)
    ));
    let answer = guestbook.ask("/health").await.map_err(CliError::new)?;
    if answer.version != "second edition" {
        return Err(CliError::new(format!(
            "the guestbook answers as `{}`, not as the release before",
            answer.version
        )));
    }
    say("   and its old release goes on serving");
    Ok(())
}

async fn revert(stage: &Stage) -> Result<(), CliError> {
    say("\n4. the commit is reverted");
    let site = stage.visitor("site");
    stage.git(&["revert", "--no-edit", "HEAD"]).await?;
    site.until("/", PATIENCE, |answer| !answer.body.contains("improved"))
        .await?;
    stage
        .until_running(&["site", "guestbook", "echo"], PATIENCE)
        .await?;
    let answer = stage
        .visitor("guestbook")
        .ask("/health")
        .await
        .map_err(CliError::new)?;
    if answer.version != "second edition" {
        return Err(CliError::new(
            "the guestbook does not serve the reverted commit",
        ));
    }
    say("   all three apps run what the repo says");
    Ok(())
}
