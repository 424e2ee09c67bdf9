//! What every plugin of a kind must do, whatever it does it with. Each suite panics with a sentence that names the broken promise.
//!
//! The contexts come from a [`crate::TestApp`]; a suite has the effects of the calls that it makes and nothing else.

pub mod addon;
pub mod deployer;
pub mod proxy;
pub mod section;
pub mod toolchain;
