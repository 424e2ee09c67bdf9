//! Somebody who asks an app over HTTP and believes only the answers.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::cli::output::CliError;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What an app answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) version: String,
    pub(super) body: String,
}

/// Asks one app.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    client: reqwest::Client,
    host: String,
    port: u16,
}

/// A visitor who keeps asking in the background.
pub(super) struct Crowd {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<(u32, u32)>,
}

impl Visitor {
    /// Somebody who asks `<app>.localhost` at the proxy's address.
    pub(super) fn new(app: &str, proxy: SocketAddr) -> Result<Self, CliError> {
        let host = format!("{app}.localhost");
        let client = reqwest::Client::builder()
            .no_proxy()
            .resolve(&host, proxy)
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| CliError::new(format!("could not make an HTTP client: {error}")))?;
        Ok(Self {
            client,
            host,
            port: proxy.port(),
        })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.host, self.port)
    }

    pub(super) async fn ask(&self, path: &str) -> Result<Answer, String> {
        let response = self
            .client
            .get(self.url(path))
            .send()
            .await
            .map_err(|error| crate::execute::chain(&error))?;
        let version = response
            .headers()
            .get("x-version")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let status = response.status().as_u16();
        let body = response
            .text()
            .await
            .map_err(|error| crate::execute::chain(&error))?;
        Ok(Answer {
            status,
            version,
            body,
        })
    }

    /// Asks until the answer is as wanted.
    pub(super) async fn until(
        &self,
        path: &str,
        patience: Duration,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, CliError> {
        let deadline = Instant::now() + patience;
        loop {
            let last = match self.ask(path).await {
                Ok(answer) if wanted(&answer) => return Ok(answer),
                Ok(answer) => format!("it answered {} as `{}`", answer.status, answer.version),
                Err(error) => error,
            };
            if Instant::now() >= deadline {
                return Err(CliError::new(format!(
                    "{} did not get there within {} s: {last}",
                    self.url(path),
                    patience.as_secs()
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Keeps asking until told to stop, and counts.
    pub(super) fn keep_asking(&self, path: &'static str) -> Crowd {
        let visitor = self.clone();
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let (mut asked, mut failed) = (0, 0);
            while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                asked += 1;
                failed += u32::from(
                    !visitor
                        .ask(path)
                        .await
                        .is_ok_and(|answer| answer.status == 200),
                );
                tokio::time::sleep(PAUSE / 4).await;
            }
            (asked, failed)
        });
        Crowd { stop, task }
    }
}

impl Crowd {
    /// How many requests were made, and how many of them failed.
    pub(super) async fn stop(self) -> (u32, u32) {
        drop(self.stop);
        self.task.await.unwrap_or((0, 1))
    }
}
