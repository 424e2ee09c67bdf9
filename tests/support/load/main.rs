//! The `load` program: sends one load and prints its report.
//!
//! Its only argument is a [`load::Load`] as JSON, every field of which has a default. It ends after `seconds`, or else when its standard input does.
#![expect(
    clippy::disallowed_types,
    reason = "a test's helper reads the clock itself"
)]

mod account;
mod client;
#[expect(
    dead_code,
    reason = "the half that starts this program belongs to the tests"
)]
#[path = "../load.rs"]
mod load;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use account::{Account, Outcome};
use client::{Client, Failure, Kind};
use load::{Load, Report};

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_else(|| "{}".to_owned());
    let done = serde_json::from_str(&argument)
        .map_err(std::io::Error::from)
        .and_then(|load| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            print(&runtime.block_on(async { Sender::new(load).send_all().await }))
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "error: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn print(report: &Report) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, report)?;
    writeln!(stdout)
}

struct Sender {
    load: Load,
    client: Client,
    started: Instant,
    account: Mutex<Account>,
}

impl Sender {
    fn new(load: Load) -> Arc<Self> {
        Arc::new(Self {
            client: Client::new(load.clone()),
            account: Mutex::new(Account::new(load.descending)),
            load,
            started: Instant::now(),
        })
    }

    async fn send_all(self: Arc<Self>) -> Report {
        let started_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let mut requests = JoinSet::new();
        tokio::select! {
            () = self.send_on_schedule(&mut requests) => {}
            () = end_of_input(), if self.load.seconds.is_none() => {}
        }
        while requests.join_next().await.is_some() {}
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *account).close(
            started_at.unwrap_or_default().as_secs_f64(),
            self.started.elapsed(),
        )
    }

    async fn send_on_schedule(self: &Arc<Self>, requests: &mut JoinSet<()>) {
        let end = self.load.seconds.map(Duration::from_secs_f64);
        for number in 0.. {
            let due = due(number, self.load.rate);
            if end.is_some_and(|end| due >= end) {
                return;
            }
            tokio::time::sleep_until(self.started + due).await;
            requests.spawn(Arc::clone(self).send(number, due));
            while requests.try_join_next().is_some() {}
        }
    }

    async fn send(self: Arc<Self>, number: u64, due: Duration) {
        let kind = kind(&self.load, number);
        let keep = share(number, 2) < self.load.kept_per_mille;
        let mut started = self.started.elapsed();
        let mut answer = self.in_time(self.client.ask(kind, keep)).await;
        let retried = matches!(answer, Err(Failure::Connection(_)));
        if retried {
            started = self.started.elapsed();
            answer = self.in_time(self.client.ask_again(kind)).await;
        }
        let outcome = Outcome {
            request: self.client.describe(kind),
            quick: kind != Kind::Slow,
            due,
            started,
            finished: self.started.elapsed(),
            retried,
            answer: answer.map_err(|failure| match failure {
                Failure::Connection(text) | Failure::Answer(text) => text,
            }),
        };
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.record(&outcome);
    }

    async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let limit = Duration::from_secs_f64(self.load.timeout_seconds);
        let late = |_| Failure::Answer(format!("no answer within {limit:?}"));
        tokio::time::timeout(limit, asking)
            .await
            .map_err(late)
            .flatten()
    }
}

/// When a request is to be sent, since the start.
fn due(number: u64, rate: u32) -> Duration {
    Duration::from_nanos(number * 1_000_000_000 / u64::from(rate.max(1)))
}

fn kind(load: &Load, number: u64) -> Kind {
    if share(number, 0) < load.slow_per_mille {
        Kind::Slow
    } else if share(number, 1) < load.post_per_mille {
        Kind::Post
    } else {
        Kind::Page
    }
}

/// A number below 1000 that depends on the request's number and on what is being decided, and looks like chance (`SplitMix64`).
fn share(number: u64, question: u64) -> u32 {
    let mut mixed = (number * 3 + question + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((mixed ^ (mixed >> 31)) % 1000).expect("below a thousand")
}

/// Whoever started this process has closed the pipe, or is gone.
async fn end_of_input() {
    let (ended, end) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        drop(ended);
    });
    end.await.ok();
}
