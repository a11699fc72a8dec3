//! Whether a caller may do something: the one place that decides it.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::domain::caller::Identity;
use crate::domain::operation::Keys;
use crate::domain::{Caller, Operation, Permission};
use crate::scim::ResourceType;
use crate::service::{Error, registry};

/// What each operation needs, by the name of the resource type where it depends on one; parsed once.
static NEEDED: LazyLock<HashMap<(Operation, &'static str), Permission>> = LazyLock::new(|| {
    let of_types = |operation: &Operation| {
        let operation = *operation;
        let types = registry().types.iter().map(move |one| (&*one.name, operation.permission_for(&one.endpoint)));
        types.chain([("", operation.permission().to_owned())]).map(move |(name, text)| ((operation, name), text))
    };
    let all = Operation::ALL.iter().flat_map(of_types);
    all.filter_map(|(key, text)| Some((key, Permission::parse(&text)?))).collect()
});

/// Decides whether the caller may do this.
///
/// # Errors
/// [`Error::Lacking`], naming the permission, or [`Error::Forbidden`] to keys of another kind; without a key, and not on
/// the host, [`Error::Unauthenticated`].
pub fn authorize(
    caller: &Caller,
    operation: Operation,
    resource_type: Option<&'static ResourceType>,
) -> Result<(), Error> {
    let holder = match &caller.identity {
        Identity::Host => return Ok(()),
        Identity::Anonymous if operation.keys() == Keys::Open => return Ok(()),
        Identity::Anonymous => return Err(Error::Unauthenticated("a key is required")),
        Identity::Key(holder) => holder,
    };
    let denied = |detail: String| Err(Error::Forbidden(detail));
    match operation.keys() {
        Keys::Open | Keys::None | Keys::Any => return Ok(()),
        Keys::Host => return denied("this is done on the host only".to_owned()),
        Keys::Admin if holder.connection.is_some() => {
            return denied("a provisioning key may use SCIM only".to_owned());
        }
        Keys::Scim if operation.writes() && holder.connection.is_none() => {
            return denied("only an identity provider's connection writes through SCIM".to_owned());
        }
        Keys::Admin | Keys::Scim => {}
    }
    let type_name = resource_type.map_or("", |resource_type| &*resource_type.name);
    let needed = NEEDED.get(&(operation, type_name));
    let needed =
        needed.ok_or_else(|| Error::internal(format!("{} has no permission for {type_name:?}", operation.name())))?;
    if caller.may(needed) { Ok(()) } else { Err(Error::Lacking(Box::new(needed.clone()))) }
}
