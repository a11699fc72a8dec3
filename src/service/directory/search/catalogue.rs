//! The catalogue of roles and permissions, as identity providers read it: `/Roles` and `/Entitlements`
//! (draft-ietf-scim-roles-entitlements).
//!
//! No table holds these documents: they are made from the policy, and searched as every other list is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::domain::mapping::Mapping;
use crate::domain::{Operation, Permission, Policy, Role};
use crate::scim::ResourceType;
use crate::scim::message::SearchRequest;
use crate::scim::path::{self, Name};
use crate::scim::project::Projection;
use crate::service::access::policy;
use crate::service::body::{Body, PIECE_BYTES, Rest};
use crate::service::directory::resources::{Answer, Wanted, tolerances};
use crate::service::directory::search;
use crate::service::directory::search::{Part, SearchAnswer, parts};
use crate::service::{Context, Error, Service, caller, registry};
use crate::store::ResourceKey;
use crate::store::search::{Page, Query, Sort, Start, search_held};

/// What the catalogue holds.
enum Item<'p> {
    Role(&'p Role),
    Permission { permission: Permission, description: &'p str },
}

impl Item<'_> {
    /// What elements of a user's `roles` and `entitlements` call it; also its id.
    fn value(&self) -> &str {
        match self {
            Item::Role(role) => &role.name,
            Item::Permission { permission, .. } => permission.as_str(),
        }
    }

    /// A number that is the same as long as it is called so: cursors go on behind it.
    fn key(&self) -> ResourceKey {
        let mut number = [0; 8];
        number.iter_mut().zip(Sha256::digest(self.value())).for_each(|(to, from)| *to = from);
        ResourceKey(i64::from_be_bytes(number))
    }
}

/// The items of a page that are still to be sent.
#[derive(Debug)]
struct Catalogue {
    context: Context,
    operation: Operation,
    policy: Arc<Policy>,
    projection: Projection,
    keys: Vec<ResourceKey>,
    at: usize,
}

impl Rest for Catalogue {
    fn next(&mut self, service: &Service) -> Result<Option<Body>, Error> {
        let keys = self.keys.get(self.at..).unwrap_or_default();
        if keys.is_empty() {
            return Ok(None);
        }
        let view = view_of(service, &self.context, self.operation, &self.policy)?;
        let wanted: HashSet<ResourceKey> = keys.iter().copied().collect();
        let items = view.items().map(|item| (item.key(), item)).filter(|(key, _)| wanted.contains(key));
        let items: HashMap<ResourceKey, Item<'_>> = items.collect();
        let mut text = String::new();
        let mut at = self.at;
        for item in keys.iter().filter_map(|key| items.get(key)) {
            if at > 0 {
                text.push(',');
            }
            let mut document = view.document(item);
            self.projection.apply(&mut document);
            text.push_str(&serde_json::to_string(&document)?);
            at += 1;
            if text.len() >= PIECE_BYTES {
                break;
            }
        }
        self.at = at;
        Ok((!text.is_empty()).then(|| Body::text(text)))
    }
}

/// The catalogue as one caller sees it.
struct View<'p> {
    policy: &'p Policy,
    resource_type: &'static ResourceType,
    /// The name of the caller's connection.
    connection: Option<&'p str>,
    base_url: String,
    /// The roles that include a role, by name.
    containers: HashMap<&'p str, Vec<&'p str>>,
}

impl Service {
    /// Lists and searches roles or permissions.
    ///
    /// # Errors
    /// 403 without the permission, 400 for a filter, sort, cursor or count that cannot be met.
    pub fn search_catalogue(
        &self,
        context: &Context,
        operation: Operation,
        request: &SearchRequest,
    ) -> Result<SearchAnswer, Error> {
        let policy =
            caller::ask(self, context, operation, None, |conn| policy::now(self, conn, context.caller.tenant.key))?;
        let view = view_of(self, context, operation, &policy)?;
        let mut tolerances = tolerances(context);
        let mut parts = parts(vec![view.resource_type], request, &mut tolerances)?;
        for part in &mut parts {
            part.sort = part.sort.or_else(|| by_value(view.resource_type));
        }
        let find = |part: &Part, start: &Start, limit, _| -> Result<Page, Error> {
            let documents = view.items().map(|item| (item.key(), view.document(&item)));
            Ok(search_held(documents, &view.query(part), start, limit))
        };
        let mut results = search::page(self, context, &parts, request, find)?;
        let keys = std::mem::take(&mut results.keys);
        // The policy that was searched is the one that is shown: nothing is left out of it meanwhile.
        let (head, tail) = results.frame(request, Some(keys.len()));
        let projection = parts.pop().map(|part| part.projection).ok_or(Error::NotFound)?;
        let context = context.clone();
        let rest = Catalogue { context, operation, policy: Arc::clone(&policy), projection, keys, at: 0 };
        Ok(SearchAnswer { body: Body::framed(self, head, rest, tail)?, tolerances: tolerances.header() })
    }

    /// Reads a role or a permission by its value.
    ///
    /// # Errors
    /// 403 without the permission, 404 if there is none.
    pub fn read_catalogue(
        &self,
        context: &Context,
        operation: Operation,
        value: &str,
        wanted: &Wanted,
    ) -> Result<Answer, Error> {
        let policy =
            caller::ask(self, context, operation, None, |conn| policy::now(self, conn, context.caller.tenant.key))?;
        let view = view_of(self, context, operation, &policy)?;
        let projection = wanted.projection(view.resource_type)?;
        let item = view.items().find(|item| item.value() == value).ok_or(Error::NotFound)?;
        let mut document = view.document(&item);
        projection.apply(&mut document);
        let body = Some(Body::text(serde_json::to_string(&document)?));
        Ok(Answer { location: view.location(&item), etag: String::new(), body, tolerances: String::new() })
    }
}

fn view_of<'p>(
    service: &Service,
    context: &'p Context,
    operation: Operation,
    policy: &'p Policy,
) -> Result<View<'p>, Error> {
    let name = match operation {
        Operation::Roles => "Role",
        Operation::Entitlements => "Entitlement",
        _ => return Err(Error::NotFound),
    };
    let mut containers: HashMap<&str, Vec<&str>> = HashMap::new();
    for role in policy.roles().values() {
        for inner in &role.includes {
            containers.entry(inner).or_default().push(&role.name);
        }
    }
    Ok(View {
        policy,
        resource_type: registry().catalogue_by_name(name).ok_or(Error::NotFound)?,
        connection: context.caller.connection().map(|connection| connection.name.as_str()),
        base_url: service.scim_base_url().to_owned(),
        containers,
    })
}

/// What a list is sorted by that names nothing else: it has no other order than its values'.
fn by_value(resource_type: &'static ResourceType) -> Option<Sort> {
    match path::resolve(resource_type, "value") {
        Some(Name::Attribute(by)) => Some(Sort { by, descending: false }),
        _ => None,
    }
}

impl<'p> View<'p> {
    fn items(&self) -> Box<dyn Iterator<Item = Item<'p>> + 'p> {
        if self.resource_type.name == "Role" {
            return Box::new(self.policy.roles().values().map(Item::Role));
        }
        Box::new(self.policy.apis().values().flat_map(|api| {
            let permissions = api.permissions.iter().map(|one| (format!("{}:{}", api.name, one.name), one));
            permissions.filter_map(|(text, one)| {
                Some(Item::Permission { permission: Permission::parse(&text)?, description: &one.description })
            })
        }))
    }

    fn query<'q>(&'q self, part: &'q Part) -> Query<'q> {
        Query {
            resource_type: self.resource_type,
            filter: part.filter.as_ref(),
            connection: None,
            base_url: &self.base_url,
            sort: part.sort,
        }
    }

    fn location(&self, item: &Item<'_>) -> String {
        format!("{}{}/{}", self.base_url, self.resource_type.endpoint, item.value())
    }

    /// The whole document; what is unassigned is left out (RFC 7643 §2.5).
    fn document(&self, item: &Item<'_>) -> Map<String, Value> {
        let value = item.value();
        let mut document = Map::new();
        let mut set = |name: &str, value: Value| {
            if value.as_array().is_none_or(|list| !list.is_empty()) {
                document.insert(name.to_owned(), value);
            }
        };
        set("schemas", json!([self.resource_type.schema.id]));
        set("id", value.into());
        set("value", value.into());
        let description = match item {
            Item::Role(role) => &role.description,
            Item::Permission { description, .. } => *description,
        };
        set("display", if description.is_empty() { value } else { description }.into());
        if let Item::Permission { permission, .. } = item {
            set("type", permission.api().into());
        }
        set("supported", self.is_supported(item).into());
        set("limitedAssignmentsPermitted", false.into());
        if let Item::Role(role) = item {
            set("contains", role.includes.as_slice().into());
            set("containedBy", self.containers.get(value).map_or(&[][..], Vec::as_slice).into());
        }
        set("meta", json!({"resourceType": self.resource_type.name, "location": self.location(item)}));
        document
    }

    /// Whether a user whose identity provider asserts the value holds what it names.
    fn is_supported(&self, item: &Item<'_>) -> bool {
        let attribute = match item {
            Item::Role(_) => "roles",
            Item::Permission { .. } => "entitlements",
        };
        let gives = |mapping: &Mapping| match item {
            Item::Role(role) => self.policy.gains(&mapping.role).iter().any(|gain| gain.role == role.name),
            Item::Permission { permission, .. } => {
                self.policy.permissions(&mapping.role).is_some_and(|all| all.cover(permission))
            }
        };
        let may = |mapping: &Mapping| {
            let by = self.policy.roles().get(&mapping.role).map_or(&[][..], |role| &role.assertable_by);
            self.connection.map_or(!by.is_empty(), |own| by.iter().any(|name| name == own))
        };
        let mapped = self.policy.of_asserted(attribute, item.value()).iter();
        // Nobody gains a permission of Keyroll itself by what an identity provider writes (design §5).
        mapped
            .filter_map(|at| self.policy.mapped(*at))
            .any(|one| may(&one.mapping) && gives(&one.mapping) && self.policy.keyroll_of(one).is_empty())
    }
}
