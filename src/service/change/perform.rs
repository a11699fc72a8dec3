//! The one door for changes: one transaction for what is changed and what the log says of it.

use std::sync::Arc;

use crate::domain::Operation;
use crate::domain::log::{Entry, render_time};
use crate::scim::ResourceType;
use crate::service::caller::{authenticate, standing};
use crate::service::change::refusals::Refused;
use crate::service::{Change, Context, Error, Service, authorize, clocks, memory};
use crate::store::{self, Conn};

/// A change that waits for its transaction.
pub(crate) struct Work<T> {
    operation: Operation,
    resource_type: &'static ResourceType,
    change: Box<ChangeFn<T>>,
}

type ChangeFn<T> = dyn Fn(&mut Change<'_>) -> Result<T, Error> + Send;

impl<T> Work<T> {
    pub(crate) fn new(
        operation: Operation,
        resource_type: &'static ResourceType,
        change: impl Fn(&mut Change<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Work<T> {
        Work { operation, resource_type, change: Box::new(change) }
    }
}

/// Makes a change: authorizes the caller as it stands inside the transaction, runs `f`, and appends
/// what `f` recorded. All of it commits together or not at all (promise P3).
///
/// # Errors
/// If the caller may not, or `f` or the store fails; then nothing has changed.
pub(crate) fn perform<T: Send + 'static>(
    service: &Service,
    context: &Context,
    operation: Operation,
    resource_type: Option<&'static ResourceType>,
    f: impl Fn(&mut Change<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    authorize(&context.caller, operation, resource_type)?;
    let (inside, own) = (service.clone(), context.clone());
    let mark = context.noted.mark();
    let done = service.inner.store.write(move |conn| {
        own.noted.forget(mark);
        perform_in(&inside, conn, &own, operation, resource_type, &f)
    });
    if done.is_err() {
        context.noted.forget(mark);
    }
    keep_refusal(service, context, operation, resource_type, done)
}

/// Records a refusal: what was refused was undone, and its record with it, so this one stands by itself.
fn keep_refusal<T>(
    service: &Service,
    context: &Context,
    operation: Operation,
    resource_type: Option<&'static ResourceType>,
    done: Result<T, Error>,
) -> Result<T, Error> {
    let Err(Error::Protected { entry, .. }) = &done else { return done };
    let mut entry = Entry::clone(entry);
    let connection = context.caller.connection().map(|connection| connection.key);
    if let Some(connection) = connection {
        let now = memory::now_in(service, context.caller.tenant.key);
        let Some(place) = service.inner.refusals.take(connection, &Refused::Gain, now) else { return done };
        if let Some(until) = place.unrecorded_until {
            entry = entry.with("unrecorded_until", render_time(until));
        }
    }
    let (inside, own) = (service.clone(), context.clone());
    let record = move |change: &mut Change<'_>| {
        change.record(entry.clone());
        Ok(())
    };
    let recorded =
        service.inner.store.write(move |conn| perform_in(&inside, conn, &own, operation, resource_type, &record));
    if let (Err(_), Some(connection)) = (&recorded, connection) {
        service.inner.refusals.give_back(connection, &Refused::Gain);
    }
    recorded.and(done)
}

/// The part of a change that is inside its transaction.
fn perform_in<T>(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    operation: Operation,
    resource_type: Option<&'static ResourceType>,
    f: impl Fn(&mut Change<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    clocks::believe(service).map_err(Error::Busy)?;
    // A key that was revoked or lost its permission since authentication writes nothing. The embedded
    // database's changes take turns, so nobody else waits for its log.
    let head = match service.is_embedded() {
        true => Some(store::log::lock_head(conn, context.caller.tenant.key)?),
        false => None,
    };
    let caller = match &head {
        Some(head) => standing::refresh_at(service, conn, &context.caller, head)?,
        None => authenticate::refresh(service, conn, &context.caller)?,
    };
    authorize(&caller, operation, resource_type)?;
    let (request, noted) = (context.request.clone(), Arc::clone(&context.noted));
    let context = Context { caller, request, noted, seen: None };
    let mut change = Change::new(service, conn, &context, operation, resource_type);
    if let Some(head) = head {
        change.build_on(head)?;
    }
    let value = f(&mut change)?;
    change.finish()?;
    Ok(value)
}

/// Makes several changes, each of which succeeds or fails by itself. On the embedded database one commit
/// serves all of them; on PostgreSQL a change holds locks that the next one must not wait under, so
/// each has its own.
pub(crate) fn perform_each<T: Send + 'static>(
    service: &Service,
    context: &Context,
    work: Vec<Work<T>>,
) -> Vec<Result<T, Error>> {
    fn one<T>(service: &Service, conn: &mut Conn, context: &Context, work: &Work<T>) -> Result<T, Error> {
        perform_in(service, conn, context, work.operation, Some(work.resource_type), &work.change)
    }
    if !service.is_embedded() {
        let alone = |work: Work<T>| perform(service, context, work.operation, Some(work.resource_type), work.change);
        return work.into_iter().map(alone).collect();
    }
    let kinds: Vec<_> = work.iter().map(|work| (work.operation, work.resource_type)).collect();
    let (inside, own) = (service.clone(), context.clone());
    let mark = context.noted.mark();
    let done = service.inner.store.write(move |conn| {
        own.noted.forget(mark);
        let mut each = |work: &Work<T>| store::nested(conn, |conn| one(&inside, conn, &own, work));
        Ok::<_, Error>(work.iter().map(&mut each).collect::<Result<Vec<_>, _>>()?)
    });
    let keep = |(done, (operation, resource_type)): (_, (Operation, &'static ResourceType))| {
        keep_refusal(service, context, operation, Some(resource_type), done)
    };
    match done {
        Ok(done) => done.into_iter().zip(kinds).map(keep).collect(),
        // A commit that fails has failed all of them.
        Err(error) => {
            let text = error.to_string();
            let lost = || match &error {
                Error::Unavailable(store::Error::ReadOnly) => Error::Unavailable(store::Error::ReadOnly),
                _ => Error::Unavailable(store::Error::Unavailable(text.clone())),
            };
            kinds.iter().map(|_| Err(lost())).collect()
        }
    }
}
