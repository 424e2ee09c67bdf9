//! What every plugin's tests share: a machine that obeys the test, faults on demand, ready-made contexts, and the conformance suites that
//! each kind of plugin must pass. Never part of a product binary.
//!
//! ```
//! use hop3_plugin_testing::TestApp;
//!
//! let app = TestApp::new("shop").file("requirements.txt", "flask==3.1\n");
//! assert!(app.plan_context().source.has("requirements.txt"));
//! assert!(app.transcript().is_empty());
//! ```
#![expect(
    clippy::missing_panics_doc,
    reason = "to panic is how a test helper fails"
)]

mod app;
pub mod conformance;
pub mod dockerd;
mod fake;
mod fault;
mod log;

pub use app::TestApp;
pub use fake::FakeHost;
pub use fault::{Fault, FaultHost, FaultMode, Point, Trouble};
pub use log::{Recorder, Silent};
