//! A service that follows what changes in Keyroll, and goes on where it was after any interruption.
//!
//! ```text
//! key=$(keyroll key issue --owner operator --grant keyroll:changes:read --json | …)
//! KEYROLL_SERVICE_KEY=$key cargo run --example service_reader -- http://127.0.0.1:8080 position.txt
//! ```
//!
//! Each change is printed once, as one line of JSON, in the order of the log. The position is kept in a
//! file and moves on when a change has been handled; whoever is killed between the two handles that one
//! change twice, so what a service does with a change should bear that.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for people, with a clock and chance of its own"
)]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

/// Longer than the server ever waits before it answers.
const PATIENCE: Duration = Duration::from_secs(40);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Why there are no changes.
enum Trouble {
    /// It may be better in a moment: the server restarts, the network is gone.
    Passing(String),
    /// Asking again would not help: the key is dead, or the log is not the one that was read before.
    Lasting(String),
}

/// Where to ask, and with what.
struct Keyroll {
    agent: ureq::Agent,
    base_url: String,
    key: String,
}

impl Keyroll {
    /// What follows a position: waits up to 25 s for it.
    fn changes(&self, after: Option<i64>) -> Result<Value, Trouble> {
        let after = after.map(|seq| format!("?after={seq}")).unwrap_or_default();
        let url = format!("{}/v1/changes{after}", self.base_url);
        let request = self.agent.get(&url).header("Authorization", format!("Bearer {}", self.key));
        let passing = |error: ureq::Error| Trouble::Passing(error.to_string());
        let mut answer = request.call().map_err(passing)?;
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().map_err(passing)?;
        match answer.status().as_u16() {
            200 => serde_json::from_str(&text).map_err(|error| Trouble::Passing(error.to_string())),
            status @ (408 | 429 | 500..) => Err(Trouble::Passing(format!("{status}: {text}"))),
            status => Err(Trouble::Lasting(format!("{status}: {text}"))),
        }
    }
}

/// The last change that was handled.
fn load(file: &Path) -> Result<Option<i64>, String> {
    match fs::read_to_string(file) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| format!("{}: no position", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

/// Keeps the position: whoever reads the file finds the old one or the new one, never half of it.
fn store(file: &Path, seq: i64) -> std::io::Result<()> {
    let draft = file.with_extension("new");
    let mut new = File::create(&draft)?;
    writeln!(new, "{seq}")?;
    new.sync_all()?;
    fs::rename(&draft, file)
}

/// Follows the changes until asking again would not help.
fn follow(keyroll: &Keyroll, file: &Path) -> Result<(), String> {
    let mut position = load(file)?;
    let mut attempt = 0;
    loop {
        let answer = match keyroll.changes(position) {
            Ok(answer) => answer,
            Err(Trouble::Lasting(reason)) => return Err(reason),
            Err(Trouble::Passing(reason)) => {
                eprintln!("service_reader: trying again: {reason}");
                std::thread::sleep(pause(attempt));
                attempt += 1;
                continue;
            }
        };
        attempt = 0;
        for change in answer.get("changes").and_then(Value::as_array).into_iter().flatten() {
            let seq = change.get("seq").and_then(Value::as_i64).ok_or("a change without a number")?;
            println!("{change}");
            store(file, seq).map_err(|error| format!("{}: {error}", file.display()))?;
            position = Some(seq);
        }
        // Behind the last change there can be some that a filter left out.
        position = answer.get("next").and_then(Value::as_i64).or(position);
    }
}

/// Twice as long each time, and by chance up to half of it less, so that readers do not come back together.
fn pause(attempt: u32) -> Duration {
    let longest = BACKOFF_MAX.min(Duration::from_millis(100 << attempt.min(10)));
    longest.mul_f64(1.0 - rand::random::<f64>() / 2.0)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ([base_url, file], Ok(key)) = (arguments.as_slice(), std::env::var("KEYROLL_SERVICE_KEY")) else {
        eprintln!("usage: KEYROLL_SERVICE_KEY=… service_reader BASE_URL POSITION_FILE");
        return ExitCode::from(2);
    };
    let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
    let keyroll = Keyroll { agent: agent.into(), base_url: base_url.trim_end_matches('/').to_owned(), key };
    match follow(&keyroll, Path::new(file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("service_reader: {reason}");
            ExitCode::FAILURE
        }
    }
}
