//! Create, replace and patch: what the client sent becomes a draft; `save` does the rest.

use serde_json::{Map, Value};

use crate::domain::Operation;
use crate::domain::principal::PrincipalKind;
use crate::scim::attribute::Attribute;
use crate::scim::patch::{self, RowChange};
use crate::scim::project::Projection;
use crate::scim::tolerance::Tolerances;
use crate::scim::validate::{self, Incoming};
use crate::scim::{self, ResourceType, json, reference};
use crate::service::conditions::{Conditions, etag};
use crate::service::directory::refusals::{self, Asked};
use crate::service::directory::resources::save::{Draft, Ready, Saved, create, update};
use crate::service::directory::resources::unique::called;
use crate::service::directory::resources::{Answer, Wanted, load};
use crate::service::directory::{render, resources};
use crate::service::{Change, Context, Error, Service, authorize, change};
use crate::store::{self, Foreseen};

/// A group whose direct members are more than this is not echoed by PATCH.
const ECHOED_MEMBERS_MAX: i64 = 100;

impl Service {
    /// Creates a resource. A refusal by which somebody stays is recorded.
    ///
    /// # Errors
    /// 400 for a body that breaks the schema, 409 for a value that is taken.
    pub fn create_resource(
        &self,
        context: &Context,
        resource_type: &'static ResourceType,
        body: &[u8],
        wanted: &Wanted,
    ) -> Result<Answer, Error> {
        let read = |tolerances: &mut Tolerances| {
            ready(validate::document(read_body(self, context, body)?, resource_type, tolerances)?, resource_type)
        };
        let save = move |change: &mut Change<'_>, ready: &Ready, tolerances: &mut Tolerances| {
            create(change, resource_type, ready, tolerances)
        };
        let done = write(self, context, (Operation::Create, resource_type), wanted, read, |_| None, save);
        done.map_err(|error| refused_creation(self, context, resource_type, body, error))
    }

    /// Replaces a resource (RFC 7644 §3.5.1): what the body leaves out is cleared, except `active`. A refusal by which
    /// somebody stays is recorded.
    ///
    /// # Errors
    /// 404 without such a resource: PUT creates nothing. 412 for another version.
    pub fn replace_resource(
        &self,
        context: &Context,
        resource_type: &'static ResourceType,
        id: &str,
        body: &[u8],
        wanted: &Wanted,
        conditions: &Conditions,
    ) -> Result<Answer, Error> {
        let target = (resource_type, id);
        let (id, conditions) = (id.to_owned(), conditions.clone());
        let done = write(
            self,
            context,
            (Operation::Replace, resource_type),
            wanted,
            |tolerances| Ok(validate::document(read_body(self, context, body)?, resource_type, tolerances)?),
            |incoming| resources::foreseen(context, target.1, incoming.leaves),
            move |change, incoming, tolerances| {
                replace_in(change, resource_type, &id, incoming.clone(), &conditions, tolerances)
            },
        );
        done.map_err(|error| {
            let body = || read_body(self, context, body).ok();
            let asked = || Asked::of(Operation::Replace, resource_type, body().as_ref());
            refusals::record(self, context, Operation::Replace, target, asked, error)
        })
    }

    /// Patches a resource (RFC 7644 §3.5.2): all of the operations or none. A refusal by which somebody stays is
    /// recorded.
    ///
    /// # Errors
    /// 400 for an operation that cannot be applied; nothing has changed then.
    pub fn patch_resource(
        &self,
        context: &Context,
        resource_type: &'static ResourceType,
        id: &str,
        body: &[u8],
        wanted: &Wanted,
        conditions: &Conditions,
    ) -> Result<Answer, Error> {
        let target = (resource_type, id);
        let (id, conditions) = (id.to_owned(), conditions.clone());
        let done = write(
            self,
            context,
            (Operation::Patch, resource_type),
            wanted,
            |tolerances| Ok(patch::parse(read_body(self, context, body)?, resource_type, tolerances)?),
            |operations| resources::foreseen_by(context, target, operations),
            move |change, operations, tolerances| {
                patch_in(change, resource_type, &id, operations, &conditions, tolerances)
            },
        );
        done.map_err(|error| {
            let body = || read_body(self, context, body).ok();
            let asked = || Asked::of(Operation::Patch, resource_type, body().as_ref());
            refusals::record(self, context, Operation::Patch, target, asked, error)
        })
    }
}

/// Reads the JSON of a request as its dialect does.
///
/// # Errors
/// 400 for a body that is not there, malformed, or over a limit of depth or size.
pub fn read_body(service: &Service, context: &Context, body: &[u8]) -> Result<Value, Error> {
    if body.is_empty() {
        return Err(scim::Error::syntax("the request has no body").into());
    }
    let tolerances = service.tolerances(context);
    Ok(json::parse(&tolerances.json_bytes(body), &tolerances.json_limits())?)
}

/// The refusal of a creation, recorded if by it somebody stays who has that name already: some providers say so that
/// somebody leaves whom they take for a new one.
fn refused_creation(
    service: &Service,
    context: &Context,
    resource_type: &'static ResourceType,
    body: &[u8],
    error: Error,
) -> Error {
    let Ok(body) = read_body(service, context, body) else { return error };
    let asked = Asked::of(Operation::Create, resource_type, Some(&body));
    if asked == Asked::Nothing {
        return error;
    }
    match called(service, context, resource_type, &body) {
        Ok(Some(id)) => {
            let target = (resource_type, &*id.to_string());
            refusals::record(service, context, Operation::Create, target, || asked, error)
        }
        Ok(None) => error,
        Err(failure) => failure,
    }
}

/// The frame of every write: what needs no transaction is read and checked before it, and the answer is rendered
/// after its commit. What is done in it may have to be done again.
fn write<R: Send + 'static>(
    service: &Service,
    context: &Context,
    (operation, resource_type): (Operation, &'static ResourceType),
    wanted: &Wanted,
    read: impl FnOnce(&mut Tolerances) -> Result<R, Error>,
    foreseen: impl FnOnce(&R) -> Option<Foreseen>,
    save: impl Fn(&mut Change<'_>, &R, &mut Tolerances) -> Result<Saved, Error> + Send + 'static,
) -> Result<Answer, Error> {
    let mut tolerances = service.tolerances(context);
    let projection = wanted.projection(resource_type)?;
    authorize(&context.caller, operation, Some(resource_type))?;
    let read = read(&mut tolerances)?;
    let (kind, foreseen) = ((operation, Some(resource_type)), foreseen(&read));
    let (saved, tolerances) = change::perform_on(service, context, kind, foreseen, move |change| {
        let mut tolerances = tolerances.clone();
        let saved = save(change, &read, &mut tolerances)?;
        Ok((saved, tolerances))
    })?;
    let (kind, id) = ((operation, resource_type), &saved.view.resource.id);
    refusals::keep_dropped(service, context, kind, id, saved.dropped.as_ref())?;
    // A large group is not echoed by PATCH unless the client says what it wants.
    let may_be_quiet = operation == Operation::Patch && wanted.attributes.is_empty();
    answer_saved(service, context, resource_type, &saved, &projection, may_be_quiet, &tolerances)
}

/// The answer to a write, rendered after its commit: the transaction is not kept open for it.
fn answer_saved(
    service: &Service,
    context: &Context,
    resource_type: &'static ResourceType,
    saved: &Saved,
    projection: &Projection,
    may_be_quiet: bool,
    tolerances: &Tolerances,
) -> Result<Answer, Error> {
    let resource = &saved.view.resource;
    let rows_shown = resource_type.rows.is_some_and(|attribute| projection.wants(&attribute.name));
    let body = service.read(|conn| {
        let (tenant, limit) = (context.caller.tenant.key, ECHOED_MEMBERS_MAX + 1);
        let count = |conn| store::members::count_up_to(conn, tenant, resource.key, limit);
        if may_be_quiet && rows_shown && count(conn)? > ECHOED_MEMBERS_MAX {
            return Ok(None);
        }
        let views = render::view(service, conn, context, resource_type, &saved.view, projection)?;
        render::render(service, conn, context, resource_type, &views, resource, projection).map(Some)
    })?;
    Ok(Answer {
        location: resources::location(service, resource_type, &resource.id),
        etag: etag(resource.version),
        body,
        tolerances: tolerances.header(),
    })
}

const ACTIVE: &str = "active";
pub(in crate::service::directory::resources) const EXTERNAL_ID: &str = "externalId";

/// Creates inside a change, by Bulk.
pub(in crate::service) fn create_in(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    incoming: Incoming,
    tolerances: &mut Tolerances,
) -> Result<Saved, Error> {
    create(change, resource_type, &ready(incoming, resource_type)?, tolerances)
}

/// All of a creation that needs no transaction.
fn ready(mut incoming: Incoming, resource_type: &'static ResourceType) -> Result<Ready, Error> {
    if let Some(error) = incoming.lacking.take().or_else(|| incoming.over.pop().map(|(_, error)| error)) {
        return Err(error.into());
    }
    let mut draft = draft(incoming, resource_type)?;
    if resource_type.principal && !draft.unassigned.iter().any(|name| name == ACTIVE) {
        draft.document.entry(ACTIVE).or_insert(Value::Bool(true));
        draft.document = validate::ordered(draft.document, resource_type);
    }
    Ready::new(draft, resource_type)
}

/// Replaces inside a change.
pub(in crate::service) fn replace_in(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    id: &str,
    incoming: Incoming,
    conditions: &Conditions,
    tolerances: &mut Tolerances,
) -> Result<Saved, Error> {
    let before = load(change, resource_type, id, conditions)?;
    if let Some(error) = incoming.unclear.as_ref().filter(|_| !incoming.leaves) {
        return Err(error.clone().into());
    }
    let over: Vec<String> = incoming.over.iter().map(|(name, _)| name.clone()).collect();
    let mut draft = draft(incoming, resource_type)?;
    for name in over {
        if let (Some(old), false) = (before.document.get(&name), draft.document.contains_key(&name)) {
            draft.document.insert(name, old.clone());
        }
    }
    // RFC 7644 §3.5.1 lets a server guess an omitted `active`; guessing either way is wrong.
    let keep = resource_type.principal && !draft.unassigned.iter().any(|name| name == ACTIVE);
    if let (true, Some(active)) = (keep, before.document.get(ACTIVE)) {
        draft.document.entry(ACTIVE).or_insert_with(|| active.clone());
    }
    if resource_type.rows.is_some() && draft.rows.is_empty() {
        draft.rows.push(RowChange::RemoveAll);
    }
    validate::immutable(&before.document, &mut draft.document, resource_type)?;
    draft.document = validate::ordered(draft.document, resource_type);
    update(change, resource_type, before, draft, tolerances)
}

/// Patches inside a change.
pub(in crate::service) fn patch_in(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    id: &str,
    operations: &[patch::Operation],
    conditions: &Conditions,
    tolerances: &mut Tolerances,
) -> Result<Saved, Error> {
    let mut before = load(change, resource_type, id, conditions)?;
    // It stands in the document while the operations, which may name it, are applied.
    let external_id = before.external_id.as_deref().map(|id| (EXTERNAL_ID.to_owned(), id.into()));
    before.document.extend(external_id);
    let applied = match operations.iter().any(|one| one.target.chooses_people(resource_type)) {
        true => {
            let seen = completed(change, resource_type, &before.document)?;
            let mut applied = patch::apply(&seen, operations, resource_type, tolerances)?;
            reference::bare(&mut applied.document, resource_type);
            applied
        }
        false => patch::apply(&before.document, operations, resource_type, tolerances)?,
    };
    before.document.shift_remove(EXTERNAL_ID);
    let mut document = applied.document;
    let external_id = take_external_id(&mut document);
    let draft = Draft {
        document,
        external_id,
        rows: applied.rows,
        unassigned: vec![],
        leaves: applied.leaves,
        members: applied.members,
        lacking: None,
    };
    update(change, resource_type, before, draft, tolerances)
}

/// A document with what is made of its references: a filter chooses by what is shown, members and owners alike.
fn completed(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    document: &Map<String, Value>,
) -> Result<Map<String, Value>, Error> {
    let mut documents = [document.clone()];
    let (tenant, base) = (change.key(), change.service.scim_base_url());
    store::references::complete(change.conn, tenant, base, resource_type, &mut documents)?;
    let [document] = documents;
    Ok(document)
}

/// What a POST or PUT body becomes: the document, and what has rows of its own.
fn draft(incoming: Incoming, resource_type: &'static ResourceType) -> Result<Draft, Error> {
    let Incoming { mut document, unassigned, leaves, lacking, over: _, unclear: _ } = incoming;
    let external_id = take_external_id(&mut document);
    let rows = match resource_type.rows.and_then(|rows| Some((rows, document.remove(&rows.name)?))) {
        Some((rows, members)) => vec![RowChange::Replace(members_of(rows, &members)?)],
        None => vec![],
    };
    Ok(Draft { document, external_id, rows, unassigned, leaves, members: false, lacking })
}

/// The members that a body names; one without a value refuses it.
fn members_of(rows: &Attribute, value: &Value) -> Result<Vec<patch::Member>, Error> {
    let member = |(index, element): (usize, &Value)| match element.get("value").and_then(Value::as_str) {
        Some(value) => Ok(patch::Member { value: value.to_owned(), type_hint: None }),
        None => Err(scim::Error::value(format!("{}[{index}].value: is required", rows.name)).into()),
    };
    value.as_array().into_iter().flatten().enumerate().map(member).collect()
}

fn take_external_id(document: &mut Map<String, Value>) -> Option<String> {
    match document.remove(EXTERNAL_ID) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Names that SCIM may not give to any person (design §5).
pub(in crate::service::directory::resources) fn check_reserved(
    resource_type: &ResourceType,
    document: &Map<String, Value>,
) -> Result<(), Error> {
    let person = PrincipalKind::of_type(resource_type).filter(|kind| *kind == PrincipalKind::User);
    let Some(naming) = person.and(resource_type.naming) else { return Ok(()) };
    let name = resource_type.name_in(document).unwrap_or_default();
    if scim::text::fold(name).trim_start().starts_with("keyroll:") {
        let detail = format!("{}: names that start with keyroll: are reserved", naming.name);
        return Err(scim::Error::new(scim::ScimType::Uniqueness, detail).into());
    }
    Ok(())
}
