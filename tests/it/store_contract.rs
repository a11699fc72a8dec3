//! What the store promises, on SQLite and on PostgreSQL alike.

mod access;
mod candidates;
mod fixture;
mod groups;
mod opening;
mod plans;
mod resources;
mod rounds;
mod write_back;
mod writing;
