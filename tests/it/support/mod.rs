//! What the tests share: databases to run on, and the program itself.
//! What the tests share: databases to run on, and a server to talk to.

mod answer;
pub mod app;
mod bodies;
pub mod databases;
pub mod postgres;
pub mod random;
pub mod server;

pub use databases::for_each_database;
