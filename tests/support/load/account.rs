//! Counting: turns what happened to each request into the report. Does no input or output and reads no clock.

use std::time::Duration;

use super::load::{Latency, Report, Seen};

const PROBLEMS_KEPT: usize = 20;

/// What happened to one request. Times are since the start of the load.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// What was asked, for people: `GET /`.
    pub(crate) request: String,
    /// Whether it asks for an answer at once; slow requests are left out of latencies and stalls.
    pub(crate) quick: bool,
    /// When it was due.
    pub(crate) due: Duration,
    /// When its first byte could have been sent: after the last connection error, if there was one.
    pub(crate) started: Duration,
    /// When its answer was complete, or it was given up.
    pub(crate) finished: Duration,
    /// Whether it took a second try.
    pub(crate) retried: bool,
    /// The release and version that answered as expected, if the answer named one; or what was wrong.
    pub(crate) answer: Result<Option<(u64, String)>, String>,
}

/// The running count. Outcomes are recorded in the order in which they finish.
#[derive(Debug, Default)]
pub(crate) struct Account {
    report: Report,
    descending: bool,
    latencies: Vec<Duration>,
    last_due: Duration,
    last_answer: Duration,
    longest_stall: Duration,
}

impl Account {
    /// An empty count for switches that each lead to a higher release number, or to a lower one.
    pub(crate) fn new(descending: bool) -> Self {
        Self {
            descending,
            ..Self::default()
        }
    }

    pub(crate) fn record(&mut self, outcome: &Outcome) {
        self.report.total += 1;
        self.last_due = self.last_due.max(outcome.due);
        self.report.retried += u64::from(outcome.retried && outcome.answer.is_ok());
        match &outcome.answer {
            Ok(release) => self.record_answer(outcome, release.as_ref()),
            Err(problem) => {
                self.report.failed += 1;
                self.note(outcome, problem);
            }
        }
    }

    /// The report up to now, for a load that began at `started_at` (seconds since 1970) and ends now.
    pub(crate) fn close(mut self, started_at: f64, now: Duration) -> Report {
        // Not up to now: the last moments of a load only wait for slow answers.
        self.end_stall(self.last_due);
        self.latencies.sort_unstable();
        Report {
            started_at,
            seconds: now.as_secs_f64(),
            latency: latency(&self.latencies),
            longest_stall: self.longest_stall.as_secs_f64(),
            ..self.report
        }
    }

    fn record_answer(&mut self, outcome: &Outcome, release: Option<&(u64, String)>) {
        self.report.ok += 1;
        if outcome.quick {
            self.latencies
                .push(outcome.finished.saturating_sub(outcome.due));
            self.end_stall(outcome.finished);
        }
        if let Some((release, version)) = release {
            self.check_order(outcome, *release);
            self.see(*release, version, outcome.finished.as_secs_f64());
        }
    }

    fn end_stall(&mut self, now: Duration) {
        let stall = now.saturating_sub(self.last_answer);
        self.longest_stall = self.longest_stall.max(stall);
        self.last_answer = self.last_answer.max(now);
    }

    fn check_order(&mut self, outcome: &Outcome, release: u64) {
        let started = outcome.started.as_secs_f64();
        let replaces = |other: u64| {
            if self.descending {
                other < release
            } else {
                other > release
            }
        };
        let is_later = |seen: &&Seen| replaces(seen.release) && seen.first <= started;
        if let Some(later) = self.report.seen.iter().find(is_later) {
            let problem = format!(
                "answered by release {release} although release {} had answered at {:.3} s",
                later.release, later.first
            );
            self.report.stale += 1;
            self.note(outcome, &problem);
        }
    }

    fn see(&mut self, release: u64, version: &str, now: f64) {
        let same = |seen: &&mut Seen| seen.release == release && seen.version == version;
        if let Some(seen) = self.report.seen.iter_mut().find(same) {
            seen.last = now;
            seen.answers += 1;
        } else {
            self.report.seen.push(Seen {
                release,
                version: version.to_owned(),
                first: now,
                last: now,
                answers: 1,
            });
        }
    }

    fn note(&mut self, outcome: &Outcome, problem: &str) {
        if self.report.problems.len() < PROBLEMS_KEPT {
            let (started, finished) = (
                outcome.started.as_secs_f64(),
                outcome.finished.as_secs_f64(),
            );
            self.report.problems.push(format!(
                "{} at {started:.3}–{finished:.3} s: {problem}",
                outcome.request
            ));
        }
    }
}

fn latency(sorted: &[Duration]) -> Latency {
    Latency {
        p50: quantile(sorted, 500),
        p99: quantile(sorted, 990),
        p999: quantile(sorted, 999),
        max: quantile(sorted, 1000),
    }
}

/// The smallest value that at least `per_mille` of all values do not exceed, in milliseconds.
fn quantile(sorted: &[Duration], per_mille: usize) -> f64 {
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    let value = sorted.get(rank.saturating_sub(1));
    value.map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(started: u64, finished: u64) -> Outcome {
        Outcome {
            request: "GET /".to_owned(),
            quick: true,
            due: Duration::from_millis(started),
            started: Duration::from_millis(started),
            finished: Duration::from_millis(finished),
            retried: false,
            answer: Ok(None),
        }
    }

    fn answered_by(release: u64, started: u64, finished: u64) -> Outcome {
        Outcome {
            answer: Ok(Some((release, format!("v{release}")))),
            ..outcome(started, finished)
        }
    }

    fn report_of(outcomes: &[Outcome]) -> Report {
        let mut account = Account::default();
        for outcome in outcomes {
            account.record(outcome);
        }
        let end = outcomes.iter().map(|outcome| outcome.finished).max();
        account.close(0.0, end.unwrap_or_default())
    }

    #[test]
    fn an_old_release_may_finish_what_it_started_before_the_switch() {
        let report = report_of(&[
            answered_by(1, 0, 5),
            answered_by(2, 10, 15),
            answered_by(1, 14, 30),
        ]);
        assert_eq!(report.stale, 0, "{}", report.summary());
        assert!(report.is_flawless());
    }

    #[test]
    fn an_old_release_that_answers_a_request_begun_after_the_switch_is_stale() {
        let report = report_of(&[
            answered_by(1, 0, 5),
            answered_by(2, 10, 15),
            answered_by(1, 15, 18),
        ]);
        assert_eq!(report.stale, 1);
        assert!(!report.is_flawless());
        assert_eq!(
            report.problems,
            [
                "GET / at 0.015–0.018 s: answered by release 1 although release 2 had answered at 0.015 s"
            ]
        );
    }

    #[test]
    fn when_releases_descend_the_higher_one_is_stale() {
        let mut account = Account::new(true);
        for outcome in [
            answered_by(2, 0, 5),
            answered_by(1, 10, 15),
            answered_by(1, 16, 20),
            answered_by(2, 17, 21),
        ] {
            account.record(&outcome);
        }
        assert_eq!(account.close(0.0, Duration::from_millis(21)).stale, 1);
    }

    #[test]
    fn releases_are_listed_in_the_order_in_which_they_first_answered() {
        let report = report_of(&[
            answered_by(1, 0, 5),
            answered_by(2, 6, 10),
            answered_by(1, 4, 12),
            answered_by(2, 13, 15),
        ]);
        let seen: Vec<_> = report
            .seen
            .iter()
            .map(|seen| (seen.release, seen.answers, seen.first, seen.last))
            .collect();
        assert_eq!(seen, [(1, 2, 0.005, 0.012), (2, 2, 0.010, 0.015)]);
        assert_eq!(report.first_answer_of("v2"), Some(0.010));
        assert_eq!(report.first_answer_of("v3"), None);
    }

    #[test]
    fn a_retry_that_helps_is_counted_and_is_no_failure() {
        let helped = Outcome {
            retried: true,
            ..outcome(0, 5)
        };
        let in_vain = Outcome {
            answer: Err("connection refused".to_owned()),
            ..helped.clone()
        };
        let report = report_of(&[helped, in_vain]);
        assert_eq!(
            (report.total, report.ok, report.failed, report.retried),
            (2, 1, 1, 1)
        );
        assert_eq!(
            report.problems,
            ["GET / at 0.000–0.005 s: connection refused"]
        );
    }

    #[test]
    fn latency_counts_from_when_a_request_was_due() {
        let late = Outcome {
            due: Duration::from_millis(2),
            ..outcome(40, 52)
        };
        let report = report_of(&[late]);
        assert!((report.latency.max - 50.0).abs() < 1e-9);
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let outcomes: Vec<_> = (1..=1000).map(|latency| outcome(0, latency)).collect();
        let latency = report_of(&outcomes).latency;
        assert_eq!(
            latency,
            Latency {
                p50: 500.0,
                p99: 990.0,
                p999: 999.0,
                max: 1000.0
            }
        );
        assert_eq!(report_of(&[]).latency, Latency::default());
    }

    #[test]
    fn neither_failures_nor_slow_requests_interrupt_a_stall() {
        let failure = Outcome {
            answer: Err("status 502".to_owned()),
            ..outcome(10, 500)
        };
        let slow = Outcome {
            quick: false,
            ..outcome(0, 700)
        };
        let report = report_of(&[outcome(0, 100), failure, slow, outcome(800, 900)]);
        assert!((report.longest_stall - 0.8).abs() < 1e-9);
        assert!((report.latency.max - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_stall_lasts_until_the_last_request_was_due() {
        let failure = Outcome {
            answer: Err("connection refused".to_owned()),
            ..outcome(5000, 9000)
        };
        let report = report_of(&[outcome(0, 100), failure]);
        assert!((report.longest_stall - 4.9).abs() < 1e-9);
    }

    #[test]
    fn only_the_first_problems_are_kept_and_all_are_counted() {
        let failure = Outcome {
            answer: Err("status 502".to_owned()),
            ..outcome(0, 1)
        };
        let report = report_of(&vec![failure; 50]);
        assert_eq!((report.failed, report.problems.len()), (50, PROBLEMS_KEPT));
    }
}
