//! What the tests share: databases to run on, the application to talk to, and the program itself.

pub mod app;
pub mod client;
pub mod databases;
pub mod postgres;
pub mod random;
pub mod server;

pub use databases::for_each_database;
