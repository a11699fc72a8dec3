//! The integration tests: one binary, one module for each subject.

#![expect(clippy::disallowed_methods, reason = "tests read their own settings and the clock of the machine")]

mod store_contract;
mod support;
