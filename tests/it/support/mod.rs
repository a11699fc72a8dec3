//! What the tests share: databases to run on.

pub mod databases;
pub mod postgres;

pub use databases::for_each_database;
