//! The one door for changes: one transaction for what is changed and what the log says of it.

use std::sync::Arc;

use crate::domain::Operation;
use crate::domain::log::Entry;
use crate::scim::ResourceType;
use crate::service::caller::standing;
use crate::service::change::Recorded;
use crate::service::change::refusals::Refused;
use crate::service::{Change, Context, Error, Service, authorize, clocks, memory};
use crate::store::{self, Conn, Foreseen};

/// A change that waits for its transaction.
pub(crate) struct Work<T> {
    operation: Operation,
    resource_type: &'static ResourceType,
    foreseen: Option<Foreseen>,
    change: Box<ChangeFn<T>>,
}

type ChangeFn<T> = dyn Fn(&mut Change<'_>) -> Result<T, Error> + Send;

impl<T> Work<T> {
    pub(crate) fn new(
        operation: Operation,
        resource_type: &'static ResourceType,
        foreseen: Option<Foreseen>,
        change: impl Fn(&mut Change<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Work<T> {
        Work { operation, resource_type, foreseen, change: Box::new(change) }
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
    perform_on(service, context, (operation, resource_type), None, f)
}

/// The same of a resource that is known before: it is looked up together with those of others that wait.
///
/// # Errors
/// As [`perform`].
pub(crate) fn perform_on<T: Send + 'static>(
    service: &Service,
    context: &Context,
    (operation, resource_type): (Operation, Option<&'static ResourceType>),
    foreseen: Option<Foreseen>,
    f: impl Fn(&mut Change<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    authorize(&context.caller, operation, resource_type)?;
    let (inside, own) = (service.clone(), context.clone());
    let foreseen = foreseen.into_iter().collect();
    let done = service.inner.store.write_for(context.caller.tenant.key, foreseen, move |conn| {
        perform_in(&inside, conn, &own, (operation, resource_type), &f)
    });
    keep_refusal(service, context, operation, resource_type, noted(context, done))
}

/// Takes down, for the request's line, what has been recorded.
fn noted<T>(context: &Context, done: Result<Done<T>, Error>) -> Result<T, Error> {
    let (value, recorded) = done?;
    if let Some(Recorded { first, last, reduces }) = recorded {
        context.noted.recorded(first, last, reduces);
    }
    Ok(value)
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
        let Some(recorded) = service.inner.refusals.gain(connection, entry, now) else { return done };
        entry = recorded;
    }
    let (inside, own) = (service.clone(), context.clone());
    let record = move |change: &mut Change<'_>| {
        change.record(entry.clone());
        Ok(())
    };
    let recorded = service.inner.store.write_for(context.caller.tenant.key, vec![], move |conn| {
        perform_in(&inside, conn, &own, (operation, resource_type), &record)
    });
    let recorded = noted(context, recorded);
    if let (Err(_), Some(connection)) = (&recorded, connection) {
        service.inner.refusals.give_back(connection, &Refused::Gain);
    }
    recorded.and(done)
}

/// What a change gives, and what it has recorded.
type Done<T> = (T, Option<Recorded>);

/// The part of a change that is inside its transaction. The log is locked first: changes of a tenant take turns, and
/// each finds what those before it have left. A key that was revoked or lost its permission since authentication writes
/// nothing.
fn perform_in<T>(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    (operation, resource_type): (Operation, Option<&'static ResourceType>),
    f: impl Fn(&mut Change<'_>) -> Result<T, Error>,
) -> Result<Done<T>, Error> {
    let head = store::log::lock_head(conn, context.caller.tenant.key)?;
    clocks::believe(service, Some(head.time)).map_err(Error::Busy)?;
    if let Some(after) = head.fork.after.filter(|_| operation != Operation::LogAcceptFork) {
        return Err(Error::Forked(after));
    }
    store::ahead::read(conn, context.caller.tenant.key)?;
    let caller = standing::refresh_at(service, conn, &context.caller, &head)?;
    authorize(&caller, operation, resource_type)?;
    let (request, noted) = (context.request.clone(), Arc::clone(&context.noted));
    let context = Context { caller, request, noted, seen: None };
    let mut change = Change::new(service, conn, &context, operation, head);
    let value = f(&mut change)?;
    Ok((value, change.finish()?))
}

/// Makes several changes, each of which succeeds or fails by itself.
pub(crate) fn perform_each<T: Send + 'static>(
    service: &Service,
    context: &Context,
    work: Vec<Work<T>>,
) -> Vec<Result<T, Error>> {
    let kinds: Vec<_> = work.iter().map(|work| (work.operation, work.resource_type)).collect();
    let inside = |work: Work<T>| {
        let (service, own) = (service.clone(), context.clone());
        let Work { operation, resource_type, foreseen, change } = work;
        let run = move |conn: &mut Conn| perform_in(&service, conn, &own, (operation, Some(resource_type)), &change);
        (foreseen.into_iter().collect(), run)
    };
    let done = service.inner.store.write_each(context.caller.tenant.key, work.into_iter().map(inside).collect());
    let keep = |(done, (operation, resource_type)): (_, (Operation, &'static ResourceType))| {
        keep_refusal(service, context, operation, Some(resource_type), noted(context, done))
    };
    done.into_iter().zip(kinds).map(keep).collect()
}
