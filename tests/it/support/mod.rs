//! What the tests share: databases to run on, the application to talk to, and the program itself.

mod answer;
pub mod app;
mod bodies;
pub mod client;
pub mod databases;
pub mod overtaken;
pub mod plans;
pub mod postgres;
pub mod proxy;
pub mod random;
pub mod server;

pub use databases::for_each_database;
