//! `keyroll backup` and `keyroll restore`.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::{Output, host, open, print, settings};
use crate::config::Config;
use crate::service::runtime::{SystemClock, SystemEntropy};
use crate::service::{Error, backup};

/// A backup to write, or to check.
#[derive(Args, Debug)]
pub(super) struct Backup {
    /// The folder: a new one, or with --check that of a backup
    dir: PathBuf,
    /// Check a backup: its MAC and hash, both keys, the chain of the log, and the row of each key
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    output: Output,
}

/// A backup to put back.
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The folder of the backup
    dir: PathBuf,
    /// Replace what the database holds; a SQLite file stays beside it as keyroll.db.replaced
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn back_up(config: &Config, asked: &Backup) -> Result<(), Error> {
    if asked.check {
        let found = backup::check(&settings(config), &asked.dir)?;
        return show(&found, asked.output, "intact");
    }
    let service = open(config)?;
    let made = service.back_up(&host(&service, "backup")?, &asked.dir)?;
    show(&made, asked.output, "written: root.key and signing.key are not in it: keep them apart from it")
}

pub(super) fn restore(config: &Config, asked: &Restore) -> Result<(), Error> {
    let done = backup::restore(&settings(config), &asked.dir, asked.replace, &SystemClock, &SystemEntropy)?;
    show(&done, asked.output, "restored: whatever came after these records is gone, revoked keys work again")
}

fn show(found: &Value, output: Output, said: &str) -> Result<(), Error> {
    if output.json {
        return print::json(found);
    }
    for log in found.get("logs").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| log.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        let [tenant, seq, time] = ["tenant", "seq", "time"].map(|name| text(name).unwrap_or_default());
        print::line(&format!("tenant {tenant}: newest record {seq} of {time}"));
    }
    print::line(said);
    Ok(())
}
