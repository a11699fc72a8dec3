//! Accepting that a log has lost what servers knew, so that they answer again.

use crate::domain::Operation;
use crate::domain::log::Entry;
use crate::service::change::perform;
use crate::service::{Context, Error, Service};

impl Service {
    /// Records that whatever was acknowledged after a record is lost; from then on the log that is left holds.
    ///
    /// # Errors
    /// [`Error::Refused`] if no server knew another log, or they part after another record.
    pub fn accept_fork(&self, context: &Context, at: i64) -> Result<(), Error> {
        perform(self, context, Operation::LogAcceptFork, None, move |change| {
            match change.fork().after {
                Some(after) if after == at => {}
                Some(after) => {
                    let found = format!("the log forked after record {after}: accept it with --at {after}");
                    return Err(Error::Refused(found));
                }
                None => return Err(Error::Refused("no server has found that the log forked".to_owned())),
            }
            change.accept_fork()?;
            let tenant = change.tenant().id;
            change.record(Entry::new(change.operation.action(), "tenant", tenant).with("at", at));
            Ok(())
        })
    }
}
