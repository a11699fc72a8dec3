//! What of a resource an answer shows: `returned` (RFC 7643 §7), `attributes` and `excludedAttributes`
//! (RFC 7644 §3.9).
//!
//! A projection is compiled once per request and resource type into a plan: one decision per attribute.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::attribute::{Attribute, Returned};
use super::error::Error;
use super::path::{self, AttrRef, Name};
use super::schema::{COMMON, ResourceType, Schema};
use super::validate;

/// The most names in one list.
pub const NAMES_MAX: usize = 1_000;

/// Which attributes of one resource type an answer shows.
#[derive(Clone, Debug)]
pub struct Projection {
    resource_type: &'static ResourceType,
    mode: Mode,
    names: Vec<Name>,
    requested: Vec<Name>,
    base: Plan,
    extensions: HashMap<&'static str, Plan>,
}

/// What `names` are for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Default,
    Include,
    Exclude,
}

type Plan = HashMap<&'static str, Keep>;

/// What is shown of one attribute.
#[derive(Clone, Debug, PartialEq)]
enum Keep {
    Nothing,
    All,
    /// These sub-attributes.
    Only(Vec<&'static str>),
}

impl Projection {
    /// A projection from the two lists of a request, at most one of which may have names. Names that the
    /// type does not know are ignored: a query over several types may use names of another.
    pub fn new(
        attributes: &[String],
        excluded: &[String],
        resource_type: &'static ResourceType,
    ) -> Result<Self, Error> {
        let (mode, list) = match (attributes, excluded) {
            ([], []) => (Mode::Default, attributes),
            (_, []) => (Mode::Include, attributes),
            ([], _) => (Mode::Exclude, excluded),
            // RFC 7644 §3.4.2.5: the two are mutually exclusive.
            _ => return Err(Error::value("attributes and excludedAttributes exclude each other")),
        };
        if list.len() > NAMES_MAX {
            let name = if excluded.is_empty() { "attributes" } else { "excludedAttributes" };
            return Err(Error::value(format!("{name}: has {} names, at most {NAMES_MAX} are accepted", list.len())));
        }
        Ok(Self::compiled(resource_type, mode, resolved(list, resource_type), vec![]))
    }

    /// Whatever is returned by default.
    pub fn everything(resource_type: &'static ResourceType) -> Self {
        Self::compiled(resource_type, Mode::Default, vec![], vec![])
    }

    /// The same, and beside it the attributes with `returned: request` that these names stand for: those
    /// that the client itself wrote in a POST, PUT or PATCH (RFC 7643 §7).
    #[must_use]
    pub fn with_requested(self, names: &[String]) -> Self {
        let requested = resolved(names, self.resource_type);
        Self::compiled(self.resource_type, self.mode, self.names, requested)
    }

    /// Whether the request names no attributes.
    pub fn is_default(&self) -> bool {
        self.mode == Mode::Default
    }

    /// Whether a top-level attribute, by its canonical name, is shown at all. `members` and `groups` are
    /// costly: what is not shown need not be read.
    pub fn wants(&self, name: &str) -> bool {
        self.base.get(name).is_some_and(|keep| *keep != Keep::Nothing)
    }

    /// Whether an attribute is shown at all, be it of an extension.
    pub fn shows(&self, at: AttrRef) -> bool {
        let plan = match at.extension {
            None => Some(&self.base),
            Some(extension) => self.extensions.get(extension.id.as_str()),
        };
        plan.and_then(|plan| plan.get(at.attribute.name.as_str())).is_some_and(|keep| *keep != Keep::Nothing)
    }

    /// Takes away what is not shown from a full document with canonical names. `schemas` is always there
    /// and lists the schemas of what is left (RFC 7643 §3).
    pub fn apply(&self, document: &mut Map<String, Value>) {
        document.retain(|key, value| match self.extensions.get(key.as_str()) {
            Some(plan) => {
                let Some(container) = value.as_object_mut() else { return false };
                container.retain(|key, value| shown(plan, key, value));
                !container.is_empty()
            }
            None => shown(&self.base, key, value),
        });
        let schemas = validate::schemas_of(document, self.resource_type).into();
        match document.get_mut("schemas") {
            Some(present) => *present = schemas,
            None => _ = document.shift_insert(0, "schemas".into(), schemas),
        }
    }

    fn compiled(resource_type: &'static ResourceType, mode: Mode, names: Vec<Name>, requested: Vec<Name>) -> Self {
        let mut projection =
            Projection { resource_type, mode, names, requested, base: Plan::new(), extensions: HashMap::new() };
        projection.base = projection.plan(None, COMMON.iter().chain(&resource_type.schema.attributes));
        for extension in resource_type.extensions.iter().copied() {
            let plan = projection.plan(Some(extension), extension.attributes.iter());
            projection.extensions.insert(&extension.id, plan);
        }
        projection
    }

    fn plan(&self, extension: Option<&'static Schema>, attributes: impl Iterator<Item = &'static Attribute>) -> Plan {
        attributes.map(|a| (a.name.as_str(), self.keep(AttrRef { extension, attribute: a, sub: None }))).collect()
    }

    fn keep(&self, whole: AttrRef) -> Keep {
        let attribute = whole.attribute;
        let named = Named::of(&self.names, whole);
        let requested = Named::of(&self.requested, whole);
        let nothing = match (self.mode, attribute.returned) {
            (_, Returned::Never) => true,
            (_, Returned::Always) => false,
            (Mode::Include, _) => !named.any(),
            (Mode::Exclude, _) if named.whole => true,
            (_, Returned::Request) => !requested.any(),
            (_, Returned::Default) => false,
        };
        if nothing {
            return Keep::Nothing;
        }
        let kept: Vec<&'static str> = attribute
            .sub_attributes
            .iter()
            .filter(|sub| match (self.mode, sub.returned) {
                (_, Returned::Never) => false,
                (_, Returned::Always) => true,
                (Mode::Include, returned) if !named.subs.is_empty() => {
                    named.has(sub) || named.whole && returned == Returned::Default
                }
                (Mode::Exclude, _) if named.has(sub) => false,
                (_, Returned::Request) => requested.has(sub),
                (_, Returned::Default) => true,
            })
            .map(|sub| sub.name.as_str())
            .collect();
        match kept.len() {
            all if all == attribute.sub_attributes.len() => Keep::All,
            _ => Keep::Only(kept),
        }
    }
}

/// How a list of names speaks of one attribute.
struct Named {
    whole: bool,
    subs: Vec<&'static Attribute>,
}

impl Named {
    fn of(names: &[Name], whole: AttrRef) -> Named {
        let mut named = Named { whole: false, subs: vec![] };
        for name in names {
            match name {
                // A bare URN is the extension as a whole (RFC 7644 §3.10).
                Name::Extension(schema) => named.whole |= whole.extension == Some(*schema),
                Name::Attribute(found) if (AttrRef { sub: None, ..*found }) == whole => match found.sub {
                    Some(sub) => named.subs.push(sub),
                    None => named.whole = true,
                },
                Name::Attribute(_) => {}
            }
        }
        named
    }

    fn any(&self) -> bool {
        self.whole || !self.subs.is_empty()
    }

    fn has(&self, sub: &Attribute) -> bool {
        self.subs.iter().any(|named| std::ptr::eq(*named, sub))
    }
}

fn resolved(names: &[String], resource_type: &'static ResourceType) -> Vec<Name> {
    names.iter().filter_map(|name| path::resolve(resource_type, name.trim())).collect()
}

/// Trims one value; whether anything is left of it.
fn shown(plan: &Plan, key: &str, value: &mut Value) -> bool {
    match plan.get(key) {
        None | Some(Keep::Nothing) => false,
        Some(Keep::All) => true,
        Some(Keep::Only(subs)) => {
            let trim = |element: &mut Value| match element {
                Value::Object(members) => {
                    members.retain(|name, _| subs.contains(&name.as_str()));
                    !members.is_empty()
                }
                _ => false,
            };
            match value {
                Value::Array(elements) => {
                    elements.retain_mut(trim);
                    !elements.is_empty()
                }
                value => trim(value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::registry;
    use serde_json::json;

    const U: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
    const E: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    fn user() -> &'static ResourceType {
        registry().by_name("User").unwrap()
    }

    fn list(names: &str) -> Vec<String> {
        names.split_whitespace().map(|name| name.replace("{U}", U).replace("{E}", E)).collect()
    }

    /// Projects one user; `schemas` is shown as the number of its URNs.
    fn check(attributes: &str, excluded: &str, expected: &str) {
        let document = json!({
            "schemas": [U, E], "id": "1", "externalId": "x", "userName": "a",
            "name": {"givenName": "G", "familyName": "F"},
            "emails": [{"value": "a@b", "type": "work"}, {"type": "home"}],
            E: {"division": "d", "manager": {"value": "2", "displayName": "B"}},
            "meta": {"version": "W/\"1\"", "created": "t"},
        });
        let Value::Object(mut document) = document else { return };
        let got = match Projection::new(&list(attributes), &list(excluded), user()) {
            Ok(projection) => {
                projection.apply(&mut document);
                let count = document["schemas"].as_array().unwrap().len();
                document["schemas"] = count.into();
                Value::Object(document).to_string().replace(E, "{E}").replace('"', "")
            }
            Err(error) => error.detail,
        };
        assert_eq!(got, expected, "attributes={attributes} excludedAttributes={excluded}");
    }

    #[test]
    fn attributes_select() {
        check("userName", "", "{schemas:1,id:1,userName:a}");
        check("USERNAME meta.version", "", r"{schemas:1,id:1,userName:a,meta:{version:W/\1\}}");
        check("{U}:userName", "", "{schemas:1,id:1,userName:a}");
        check("name", "", "{schemas:1,id:1,name:{givenName:G,familyName:F}}");
        check("name.givenName", "", "{schemas:1,id:1,name:{givenName:G}}");
        check("name.givenName name", "", "{schemas:1,id:1,name:{givenName:G,familyName:F}}");
        check("name.middleName", "", "{schemas:1,id:1}");
        check("emails.value", "", "{schemas:1,id:1,emails:[{value:a@b}]}");
        check("emails.display", "", "{schemas:1,id:1}");
        check("nonsense", "", "{schemas:1,id:1}");
        check("id", "", "{schemas:1,id:1}");
        check("schemas", "", "{schemas:1,id:1}");
        check("externalId", "", "{schemas:1,id:1,externalId:x}");
        check("{E}", "", "{schemas:2,id:1,{E}:{division:d,manager:{value:2,displayName:B}}}");
        check("{E}:division", "", "{schemas:2,id:1,{E}:{division:d}}");
        check("{E}:manager.value", "", "{schemas:2,id:1,{E}:{manager:{value:2}}}");
        check("{E}:department", "", "{schemas:1,id:1}");
        check("division", "", "{schemas:1,id:1}");
    }

    #[test]
    fn excluded_attributes_take_away() {
        let rest = "externalId emails {E} meta name";
        check("", rest, "{schemas:1,id:1,userName:a}");
        check("", &format!("{rest} id schemas"), "{schemas:1,id:1,userName:a}");
        check("", &format!("{rest} nonsense"), "{schemas:1,id:1,userName:a}");
        let but_name = rest.replace(" name", "");
        check("", &format!("{but_name} name.givenName"), "{schemas:1,id:1,userName:a,name:{familyName:F}}");
        check("", &format!("{but_name} name.givenName name.familyName"), "{schemas:1,id:1,userName:a}");
        let but_emails = rest.replace(" emails", "");
        check("", &format!("{but_emails} emails.type"), "{schemas:1,id:1,userName:a,emails:[{value:a@b}]}");
        let but_extension = rest.replace("{E}", "{E}:manager");
        check("", &but_extension, "{schemas:2,id:1,userName:a,{E}:{division:d}}");
    }

    #[test]
    fn lists_are_exclusive_and_bounded() {
        check("id", "meta", "attributes and excludedAttributes exclude each other");
        check(&"x ".repeat(1_001), "", "attributes: has 1001 names, at most 1000 are accepted");
    }

    #[test]
    fn costly_attributes_are_known_beforehand() {
        let wants = |attributes: &str, excluded: &str| {
            Projection::new(&list(attributes), &list(excluded), user()).unwrap().wants("groups")
        };
        assert!(Projection::everything(user()).wants("groups") && Projection::everything(user()).is_default());
        assert_eq!((wants("userName", ""), wants("groups", ""), wants("groups.value", "")), (false, true, true));
        assert_eq!((wants("", "groups"), wants("", "groups.value"), wants("", "name")), (false, true, true));
        assert!(!Projection::everything(user()).wants("nonsense"));
    }

    #[test]
    fn returned_is_honoured() {
        let schema: &'static Schema = Box::leak(Box::new(
            serde_json::from_value(json!({"id": "urn:t", "name": "T", "attributes": [
                {"name": "never", "returned": "never"}, {"name": "request", "returned": "request"},
                {"name": "always", "returned": "always"}, {"name": "plain"},
                {"name": "part", "type": "complex", "subAttributes": [
                    {"name": "always", "returned": "always"}, {"name": "plain"}, {"name": "never", "returned": "never"},
                    {"name": "request", "returned": "request"}]}
            ]}))
            .unwrap(),
        ));
        let resource_type: &'static ResourceType = Box::leak(Box::new(ResourceType {
            name: "T".into(),
            endpoint: "/Ts".into(),
            schema,
            extensions: vec![],
            indexed: vec![],
            principal: false,
            principal_kind: None,
            rows: None,
            naming: None,
            display: vec![],
            sponsors: None,
        }));
        let shown = |attributes: &str, excluded: &str, requested: &str| {
            let part = json!({"always": 1, "plain": 2, "never": 3, "request": 4});
            let document = json!({"never": 1, "request": 2, "always": 3, "plain": 4, "part": part});
            let mut document = document.as_object().unwrap().clone();
            let projection = Projection::new(&list(attributes), &list(excluded), resource_type).unwrap();
            projection.with_requested(&list(requested)).apply(&mut document);
            Value::Object(document).to_string().replace('"', "").replace("schemas:[urn:t],", "")
        };
        assert_eq!(shown("", "", ""), "{always:3,plain:4,part:{always:1,plain:2}}");
        assert_eq!(shown("never", "", ""), "{always:3}");
        assert_eq!(shown("request", "", ""), "{request:2,always:3}");
        assert_eq!(shown("", "always", ""), "{always:3,plain:4,part:{always:1,plain:2}}");
        assert_eq!(shown("", "part.always part.plain", ""), "{always:3,plain:4,part:{always:1}}");
        assert_eq!(shown("part.plain", "", ""), "{always:3,part:{always:1,plain:2}}");
        assert_eq!(shown("part.request", "", ""), "{always:3,part:{always:1,request:4}}");
        assert_eq!(shown("", "part", "request"), "{request:2,always:3,plain:4}");
        assert_eq!(shown("", "", "part.request"), "{always:3,plain:4,part:{always:1,plain:2,request:4}}");
    }
}
