//! `keyroll log`.

use clap::Subcommand;
use serde_json::json;

use super::{Output, host, print};
use crate::service::log::Verification;
use crate::service::{Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Check that every record follows its predecessor, up to the head
    Verify(Output),
    /// Show the newest records, one JSON object per line
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        count: i64,
        /// Print JSON (it always is)
        #[arg(long)]
        json: bool,
    },
}

/// What this check cannot see, so that nobody takes it for more than it is.
const BLIND_SPOT: &str =
    "records cut off at the end together with the head cannot be detected without a saved checkpoint";

pub(super) fn run(service: &Service, command: Command) -> Result<(), Error> {
    match command {
        Command::Verify(output) => verify(service, output),
        Command::Tail { count, .. } => {
            for record in service.tail_log(&host(service, "log tail")?, count)? {
                print::json(&record)?;
            }
            Ok(())
        }
    }
}

fn verify(service: &Service, output: Output) -> Result<(), Error> {
    let found = service.verify_log(&host(service, "log verify")?)?;
    match found {
        Verification::Intact { records } if output.json => {
            print::json(&json!({"intact": true, "records": records, "note": BLIND_SPOT}))
        }
        Verification::Intact { records } => {
            print::line(&format!("{records} records, each follows its predecessor\nnote: {BLIND_SPOT}"));
            Ok(())
        }
        Verification::Broken(reason) => {
            if output.json {
                print::json(&json!({"intact": false, "reason": reason}))?;
            }
            Err(Error::Refused(format!("the log is broken: {reason}")))
        }
    }
}
