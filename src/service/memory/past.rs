//! What is known of a log that may have gone on otherwise: a failover without a synchronous standby loses what was
//! acknowledged last, and so does whoever puts an older database in place. Nobody can see it in the log that is left, but
//! a server that knew the other.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, Utc};

use crate::domain::TenantKey;
use crate::domain::log::{Fork, Head};
use crate::service::{Error, Service};
use crate::store::{self, Conn};

/// Records whose hashes are kept: where a log forked behind them is known exactly.
const HASHES_MAX: usize = 512;

/// The last records that were known.
#[derive(Clone, Debug, Default)]
pub(in crate::service::memory) struct Past {
    /// The number behind the last of them.
    next: i64,
    hashes: VecDeque<[u8; 32]>,
}

impl Past {
    /// Takes in the next record; after a gap, what was before is not known any more.
    pub(in crate::service::memory) fn push(&mut self, seq: i64, hash: [u8; 32]) {
        if seq != self.next {
            self.hashes.clear();
        }
        if self.hashes.len() == HASHES_MAX {
            self.hashes.pop_front();
        }
        self.hashes.push_back(hash);
        self.next = seq + 1;
    }

    /// Begins anew with the end of a log.
    pub(in crate::service::memory) fn begin(&mut self, end: &Head) {
        *self = Past::default();
        if end.next_seq > 0 {
            self.push(end.next_seq - 1, end.hash);
        }
    }

    /// The first record that is known.
    fn first(&self) -> i64 {
        self.next - self.hashes.len() as i64
    }

    /// The last record that a log has as well; the one before all that is known, if it has none of them.
    fn last_in(&self, stored: &HashMap<i64, [u8; 32]>) -> i64 {
        let mut known = (self.first()..self.next).rev().zip(self.hashes.iter().rev());
        known.find(|(seq, hash)| stored.get(seq) == Some(hash)).map_or(self.first() - 1, |(seq, _)| seq)
    }
}

/// Looks, under the lock of the log, whether it is another than was known, and notes that for every node. Gives the last
/// record that both have, unless somebody has accepted that what came after it is lost.
pub(in crate::service::memory) fn find_fork(
    service: &Service,
    tenant: TenantKey,
    known: &Head,
    past: Past,
) -> Result<Option<i64>, Error> {
    let accepted = known.fork.accepted;
    let found = service.inner.store.write_for(tenant, vec![], move |conn| mark(conn, tenant, &past, accepted))?;
    if let Some(after) = found {
        let fix = "what was acknowledged after it is lost: see docs/nodes.md, and keyroll log accept-fork";
        log::error!(seq = after; "the log is not the one that this server knew, beyond this record: {fix}");
    }
    Ok(found)
}

fn mark(
    conn: &mut Conn,
    tenant: TenantKey,
    past: &Past,
    accepted: Option<DateTime<Utc>>,
) -> Result<Option<i64>, Error> {
    let head = store::log::lock_head(conn, tenant)?;
    let stored = store::log::hashes(conn, tenant, past.first(), past.next.min(head.next_seq))?;
    let last = past.last_in(&stored);
    let stands = last + 1 == past.next;
    if stands || head.fork.accepted > accepted {
        return Ok(None);
    }
    let after = head.fork.after.map_or(last, |known| known.min(last));
    if head.fork.after != Some(after) {
        store::log::set_fork(conn, tenant, &Head { fork: Fork { after: Some(after), ..head.fork }, ..head })?;
    }
    Ok(Some(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_logs_have_their_last_common_record_where_their_hashes_part() {
        let hash = |n: i64| [u8::try_from(n % 251).unwrap(); 32];
        let mut past = Past::default();
        (40..50).for_each(|seq| past.push(seq, hash(seq)));
        let stored = |end: i64| (30..end).map(|seq| (seq, hash(seq))).collect::<HashMap<_, _>>();
        assert_eq!([past.last_in(&stored(60)), past.last_in(&stored(45)), past.last_in(&stored(40))], [49, 44, 39]);
        // As long as the other, and otherwise from one record on.
        let other = stored(47).into_iter().chain((47..60).map(|seq| (seq, [255; 32]))).collect();
        assert_eq!(past.last_in(&other), 46);
        // Behind a gap nothing is known of what was before it, nor beyond what is kept.
        past.push(60, hash(60));
        assert_eq!((past.first(), past.last_in(&stored(50))), (60, 59));
        (61..2_000).for_each(|seq| past.push(seq, hash(seq)));
        assert_eq!((past.first(), past.last_in(&stored(50))), (1_488, 1_487));
    }
}
