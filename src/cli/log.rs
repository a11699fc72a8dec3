//! `keyroll log`.

use clap::Subcommand;
use serde_json::json;

use super::{Output, host, print};
use crate::domain::Id;
use crate::service::log::{Rows, Verification};
use crate::service::{Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Check that every record follows its predecessor, up to the head, and that Keyroll wrote every key's row
    ///
    /// The row of every key has a MAC under root.key: an edit of its owner, its permissions, its dates or its
    /// revocation is named, and that key is refused. What no check of today notices: records that were cut off at
    /// the end together with the head; an old row of a key that was put back; an edit of principals.active, of
    /// memberships, or of the catalogue of roles and mappings, which decide what a key may do.
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
    /// Accept that what was acknowledged after a record is lost, so that servers answer again
    ///
    /// After a failover to a standby that lacked the last commits, or with an older database in its place, the log is not
    /// the one that servers knew. A key that was revoked in what is lost may be alive in what is left: let the identity
    /// providers push everybody once more, and revoke again what was revoked last.
    AcceptFork {
        /// The last record that is left of what servers knew, as /readyz and the server's log name it
        #[arg(long, value_name = "SEQ", allow_negative_numbers = true)]
        at: i64,
        #[command(flatten)]
        output: Output,
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
        Command::AcceptFork { at, output } => {
            service.accept_fork(&host(service, "log accept-fork")?, at)?;
            print::show(&json!({"accepted": at}), output)
        }
    }
}

fn verify(service: &Service, output: Output) -> Result<(), Error> {
    let Verification { chain, credentials } = service.verify_log(&host(service, "log verify")?)?;
    let reason = match (&chain, tampered(&credentials)) {
        (Err(broken), Some(tampered)) => Some(format!("the log is broken: {broken}; {tampered}")),
        (Err(broken), None) => Some(format!("the log is broken: {broken}")),
        (Ok(_), tampered) => tampered,
    };
    if output.json {
        let (records, broken) = (chain.as_ref().ok(), chain.as_ref().err());
        print::json(&json!({
            "intact": reason.is_none(),
            "records": records,
            "credentials": credentials.total,
            "reason": broken,
            "tampered": credentials.ids,
            "tampered_total": credentials.tampered,
            "note": BLIND_SPOT,
        }))?;
    }
    if let Some(reason) = reason {
        return Err(Error::Refused(reason));
    }
    if let (Ok(records), false) = (chain, output.json) {
        let keys = credentials.total;
        print::line(&format!(
            "{records} records, each follows its predecessor\n{keys} keys, each as Keyroll wrote it\nnote: {BLIND_SPOT}"
        ));
    }
    Ok(())
}

/// What is wrong with the rows of credentials.
fn tampered(rows: &Rows) -> Option<String> {
    let unnamed = rows.tampered - rows.ids.len() as u64;
    let ids = rows.ids.iter().map(Id::to_string).collect::<Vec<_>>().join(" ");
    let more = if unnamed > 0 { format!(" and {unnamed} more") } else { String::new() };
    match rows.tampered {
        0 => None,
        1 => Some(format!("1 key was changed in the database from outside, and is refused: {ids}")),
        n => Some(format!("{n} keys were changed in the database from outside, and are refused: {ids}{more}")),
    }
}
