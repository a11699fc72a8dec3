//! What the tests share: databases to run on, and a server to talk to.

pub mod app;
pub mod databases;
pub mod postgres;

pub use databases::for_each_database;
