//! `keyroll nodes`.

use super::{Output, host, print};
use crate::service::{Error, Service};

/// The columns of the table.
const COLUMNS: [&str; 8] = ["id", "version", "host", "address", "status", "started", "last_seen", "behind"];

pub(super) fn run(service: &Service, output: Output) -> Result<(), Error> {
    print::list(&service.list_nodes(&host(service, "nodes")?)?, "nodes", &COLUMNS, output)?;
    if service.is_embedded() && !output.json {
        print::note("the embedded database is one machine's: its servers are told by `fuser keyroll.db`");
    }
    Ok(())
}
