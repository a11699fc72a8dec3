//! Whoever reads the log from a position on.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::time::timeout;

use super::Watch;
use crate::domain::operation::Place;
use crate::http::run::run;
use crate::service::log::feed::{Kinds, Page};
use crate::service::{Context, Error, Service};

/// How often the caller is looked at again while nothing happens (promise P4).
const RECHECK: Duration = Duration::from_secs(1);

/// Somebody who reads the log from a position on.
pub(super) struct Reader {
    pub(super) service: Service,
    pub(super) watch: Arc<Watch>,
    pub(super) context: Context,
    pub(super) kinds: Kinds,
    pub(super) after: i64,
    pub(super) count: i64,
}

impl Reader {
    /// The next stretch of the log.
    pub(super) async fn read(&mut self) -> Result<Page, Error> {
        let (context, kinds, after, count) = (self.context.clone(), self.kinds.clone(), self.after, self.count);
        let work = move |service: &Service| service.changes(&context, &kinds, after, count);
        let page = run(&self.service, Place::Blocking, work).await?;
        self.after = page.next;
        Ok(page)
    }

    /// Waits until there is more; `false` if the server stops first. Fails once the key may not follow.
    pub(super) async fn news(&self) -> Result<bool, Error> {
        let tenant = self.context.caller.tenant.key;
        let mut news = pin!(self.watch.beyond(&self.service, tenant, self.after));
        loop {
            if let Ok(outcome) = timeout(RECHECK, news.as_mut()).await {
                return outcome;
            }
            let context = self.context.clone();
            run(&self.service, Place::Inline, move |service| service.may_follow(&context)).await?;
        }
    }
}
