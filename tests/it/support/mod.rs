//! What the tests share: databases to run on, the application to talk to, and the program itself.

mod answer;
pub mod app;
mod bodies;
pub mod client;
pub mod databases;
pub mod described;
pub mod overtaken;
pub mod plans;
pub mod postgres;
pub mod proxy;
pub mod random;
pub mod server;

use std::time::{Duration, Instant};

pub use databases::for_each_database;

/// Nothing that a test waits for takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer, and fails if that takes far too long.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: waited for that in vain");
        std::thread::yield_now();
    }
}
