//! The integration tests: one binary, one module for each subject.

#![expect(clippy::disallowed_methods, reason = "tests read their own settings and the clock of the machine")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what a test needs is there, or the test fails; what it prints is shown then"
)]
#![expect(unreachable_pub, reason = "one binary: nothing is exported")]

mod attacks;
mod cli;
mod crash;
mod filters;
mod fuzz;
mod lifecycle;
mod limits;
mod nodes;
mod resources;
mod secrets;
mod store_contract;
mod support;
mod tidy;
