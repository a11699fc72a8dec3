//! Keyroll: a SCIM 2.0 server that turns identity changes into access changes.
//!
//! An identity provider pushes joiners, movers and leavers; API keys hang on the people that it pushes; a
//! leaver's keys are dead when the response leaves the server, and the log proves it afterwards.
//!
//! # The map
//!
//! Imports point one way only, and no module of a layer but `service` and `cli` comes back to itself by what it names;
//! `tests/it/tidy.rs` holds them to it:
//!
//! ```text
//! main → cli → http → service → store → domain → scim
//!           ↘ worker ↗
//! ```
//!
//! | layer | what is there | what is not |
//! | --- | --- | --- |
//! | [`scim`] | the protocol, pure: schemas, paths, filters, PATCH, validation, projection, messages | time, randomness, IO |
//! | [`domain`] | the nouns: ids, operations, permissions, principals, credentials, secrets, log records | rows, use cases |
//! | [`store`] | rows of SQLite and PostgreSQL ↔ domain; the writer, the filter planner | rules, status codes |
//! | [`service`] | use cases: authorize → validate → change → record, in one transaction | HTTP |
//! | [`http`] | extract, call the service, render | SQL, rules |
//! | [`worker`] | jobs that follow the logs and the clock beside the requests, on one node at a time | SQL, HTTP |
//! | [`cli`] | parse, call the service, print | handlers, SQL |
//! | [`config`] | flags over environment over file | everything else |
//!
//! The service is the largest. Each of its folders is a room about one noun, and names only rooms before it:
//!
//! ```text
//! memory · work · access · caller · nodes · change · keys · log · impact · catalogue · directory · reports · apply · authzen ·
//! backup · tenants
//! ```
//!
//! Two logs are kept apart: the **audit log** ([`domain::log`], [`store::log`], [`service::log`], `keyroll log`) is the
//! chain of records that proves what happened; the **server's log** ([`cli`]'s logger, `http::line`) is what an operator
//! reads while it runs.
//!
//! # Where to begin
//!
//! | what changes | where |
//! | --- | --- |
//! | a route, a permission, the action that the audit log names | a line of [`domain::operation`]; the compiler asks for the rest |
//! | a resource type, an attribute, an index for filters | `schemas/*.json` |
//! | a tolerance | the table in [`scim::tolerance`], and the branch that allows it |
//! | a column | both folders of `migrations/`, then the file in `store/` that is named as the table |
//! | a limit | [`service::Limits`] for the server's; `scim/validate/` for a value's |
//! | what a client is told | where it is refused; its words also in `http/log_allowlist.txt`, if the server's log is to repeat them |
//!
//! # Invariants
//!
//! - **One list of what the server can do**: [`domain::Operation`]. Routes, permissions, log actions and the
//!   thread that does the work are columns of one table.
//! - **One path for every resource type**: `schemas/*.json` say what a User, a Group or an Agent is; adding
//!   a type is adding a file. Only liveness (principals) and members (rows) have code of their own.
//! - **One door for changes**: `service::change::perform`. A change, its consequences for keys and its
//!   log records commit together or not at all.
//! - **One evaluator for filters**: [`scim::filter::matches`]. The planner narrows down what it looks at.
//! - **Keys carry no authority**: a key works while its owner is live, and may do at most what its owner may.
//! - The tenant comes from the key and is the first argument of every store function.
//! - Clock and randomness are arguments; their one home is [`service::runtime`].
//!
//! # One request's walk: `PATCH /scim/v2/Users/{id}` with `active` `"False"`
//!
//! 1. `http::routes` has found the operation, `http::handle` gives the request an id, `http::auth` the bearer.
//! 2. `service::caller` makes it a caller: checksum, selector, digest, row MAC, owner.
//! 3. `http::scim` calls `Service::patch_resource`, which reads the body strictly ([`scim::json`]).
//! 4. `perform` authorizes the caller, waits for the tenant's turn to write, locks the log, and authorizes it again as it
//!    stands there.
//! 5. `service::directory` reads the row, checks `If-Match`, and hands the stored document
//!    to [`scim::patch::apply`], which knows the dialect's tolerances and touches nothing but a copy.
//! 6. `save` writes document, unique values, index and members as far as they changed; `cascade` decides
//!    what the change means for the principal: suspended. No key row changes: verification looks at the owner.
//! 7. `change` appends `user.patched` and `principal.suspended` to the log; the transaction commits.
//! 8. The representation is rendered and sent with its ETag. The next verification says OWNER_INACTIVE.

pub mod cli;
pub mod config;
pub mod domain;
pub mod http;
pub mod scim;
pub mod service;
pub mod store;
pub mod worker;
