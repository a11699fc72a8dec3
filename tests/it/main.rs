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

mod access;
mod agents;
mod agents_of_admins;
mod attacks;
mod authz_matrix;
mod bulk;
mod changes;
mod cli;
mod clocks;
mod connections;
mod crash;
mod defences;
mod deletion;
mod dialects;
mod discovery;
mod errors;
mod etag;
mod exposed;
mod external_ids;
mod failover;
mod files;
mod filters;
mod fuzz;
mod groups;
mod keys;
mod keys_conditions;
mod keys_listed;
mod keys_owner;
mod keys_rotate;
mod keys_steps;
mod leases;
mod leavers;
mod lifecycle;
mod limits;
mod lines;
mod long_answers;
mod lookalikes;
mod me;
mod month;
mod nodes;
mod openapi;
mod outages;
mod patch;
mod propagation;
mod queries;
mod races;
mod references;
mod resources;
mod restart;
mod restored;
mod search;
mod secrets;
mod signing;
mod sorted;
mod store_contract;
mod support;
mod tampered;
mod tidy;
mod turns;
mod upgrade;
mod worker;
