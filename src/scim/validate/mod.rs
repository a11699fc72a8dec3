//! Inbound resources: names become canonical, values are checked, and the final state is held against the
//! schema.

mod limit;
mod order;
mod schemas;
mod simple;
mod state;
mod truth;
mod value;

use serde_json::{Map, Value};

use super::attribute::{Attribute, Mutability};
use super::error::Error;
use super::path::{self, Name};
use super::people::{Says, is_spoken_of, may_be, tells};
use super::plain::plain;
use super::schema::{ResourceType, Schema};
use super::tolerance::{Tolerance, Tolerances};
use super::unknown;

pub use limit::{UNMADE, fits, within_limit};
pub use order::{ordered, schemas_of};
pub use state::{complete, immutable};
pub use value::{ELEMENTS_MAX, ROWS_MAX, element, elements_max, is_label, is_labels, is_one, value};

/// The body of a POST or PUT, made canonical.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// The document: `schemas` first, then the attributes in the order of the schema.
    pub document: Map<String, Value>,
    /// Canonical paths of attributes that the body names and gives no value: `active` of `"active": null`.
    pub unassigned: Vec<String>,
    /// Whether it says of a principal that it is not active.
    pub leaves: bool,
    /// What is wrong with an attribute that was left out for it, and may only stay so where the rest says who has
    /// access: a creation cannot do without.
    pub lacking: Option<Error>,
    /// Names of required attributes that were left out for a text that cannot be taken, and what is wrong with it: what
    /// is stored stays, and a creation cannot do without.
    pub over: Vec<(String, Error)>,
    /// Who may be in a group, or answers for an agent, under a name that nobody understands (`member`, `Group:members`,
    /// `users`, `urn:x:members`), where nothing else says so. A replacement would take out whom it names; a creation takes nobody out.
    pub unclear: Option<Error>,
}

/// Makes the body of a POST or PUT canonical. Read-only attributes are left out (RFC 7644 §3.3, §3.5.1).
pub fn document(
    body: Value,
    resource_type: &'static ResourceType,
    tolerances: &mut Tolerances,
) -> Result<Incoming, Error> {
    let body = plain(body, tolerances)?;
    let Value::Object(body) = body else {
        return Err(Error::syntax(format!("expected a resource as an object, got {}", simple::kind_of(&body))));
    };
    let listed = body.iter().find(|(key, _)| key.eq_ignore_ascii_case("schemas")).map(|(_, listed)| listed);
    if let Err(error) = schemas::check(listed, resource_type, tolerances) {
        tolerances.spare(error, "schemas")?;
    }
    let mut reader = Reader {
        resource_type,
        tolerances,
        document: Map::new(),
        unassigned: vec![],
        active: None,
        named: false,
        lacking: None,
        over: vec![],
        unclear: None,
    };
    for (key, value) in body {
        reader.top_level(&key, value)?;
    }
    let decided = reader.active()?;
    let Reader { document, unassigned, named, mut lacking, over, unclear, tolerances, .. } = reader;
    let leaves = decided && document.get("active") != Some(&Value::Bool(true));
    // A group's body says who is in it even where it does not name members: nobody. So does an agent's of its owners.
    if resource_type.people().is_some() && !named && !leaves {
        lacking = lacking.or(tolerances.put_off());
    }
    tolerances.settle(leaves, named)?;
    let unclear = unclear.filter(|_| !named);
    Ok(Incoming { document: ordered(document, resource_type), unassigned, leaves, lacking, over, unclear })
}

/// Collects the attributes of one body.
struct Reader<'t> {
    resource_type: &'static ResourceType,
    tolerances: &'t mut Tolerances,
    document: Map<String, Value>,
    unassigned: Vec<String>,
    /// `active` of a principal as sent; several values of it if it is there several times.
    active: Option<(&'static Attribute, Value)>,
    /// Whether the body names members or owners.
    named: bool,
    lacking: Option<Error>,
    over: Vec<(String, Error)>,
    unclear: Option<Error>,
}

impl Reader<'_> {
    fn top_level(&mut self, key: &str, value: Value) -> Result<(), Error> {
        if key.eq_ignore_ascii_case("schemas") {
            return Ok(());
        }
        if let Some(schema) = self.resource_type.schema_by_urn(key) {
            return self.container(schema, value);
        }
        match path::resolve(self.resource_type, key) {
            // A dotted name is a path (RFC 7644 §3.10), no name of a member.
            Some(Name::Attribute(found)) if found.sub.is_none() => self.take(found.extension, found.attribute, value),
            _ => self.unknown(key, &value),
        }
    }

    /// The attributes of an extension, under its URN (RFC 7643 §3.3); also those of the base schema.
    fn container(&mut self, schema: &'static Schema, value: Value) -> Result<(), Error> {
        let members = match value {
            Value::Object(members) => members,
            Value::Null => Map::new(),
            Value::Array(list) if list.is_empty() => Map::new(),
            Value::String(s) if s.is_empty() && self.tolerances.allow(Tolerance::EmptyText) => Map::new(),
            Value::Array(mut list) if is_one(&list) && self.tolerances.allow(Tolerance::ComplexBare) => {
                return self.container(schema, list.pop().unwrap_or_default());
            }
            other => {
                let detail = format!("{}: expected an object, got {}", schema.id, simple::kind_of(&other));
                return self.set_aside(Error::value(detail), &schema.id, &other);
            }
        };
        if members.is_empty() {
            self.unassigned.push(schema.id.clone());
        }
        let extension = (!std::ptr::eq(schema, self.resource_type.schema)).then_some(schema);
        for (name, member) in members {
            match schema.attribute(&name) {
                Some(attribute) => self.take(extension, attribute, member)?,
                None => self.unknown(&format!("{}:{name}", schema.id), &member)?,
            }
        }
        Ok(())
    }

    /// Sets aside what is wrong with a value, unless it says who has access.
    fn set_aside(&mut self, error: Error, at: &str, value: &Value) -> Result<(), Error> {
        let says = |wanted| tells(self.resource_type, value, wanted);
        match (says(Says::Active), says(Says::People)) {
            (true, _) => Err(error),
            (false, true) if !self.resource_type.principal => Err(error),
            (false, true) => self.tolerances.spare_doubtful(at, error),
            (false, false) => self.tolerances.spare(error, at),
        }
    }

    /// Takes an attribute; what is wrong with it is set aside, unless it says who has access.
    fn take(
        &mut self,
        extension: Option<&'static Schema>,
        attribute: &'static Attribute,
        value: Value,
    ) -> Result<(), Error> {
        let at = path::AttrRef { extension, attribute, sub: None }.to_string();
        let names_people = self.resource_type.names_people(attribute);
        if self.resource_type.decides(attribute) && !names_people {
            return self.note_active(attribute, value, &at);
        }
        self.named |= names_people;
        let done = self.assign(extension, attribute, value, &at);
        done.or_else(|error| match names_people {
            // Where nobody is active by it, it does not matter who answers for it.
            true if self.resource_type.principal => self.tolerances.spare_doubtful(&at, error),
            true => Err(error),
            false => {
                if attribute.required {
                    self.lacking.get_or_insert_with(|| error.clone());
                }
                self.tolerances.spare(error, &at)
            }
        })
    }

    /// The short and the qualified name of `active` are two keys to JSON. Which one counts is decided when all of
    /// them are known.
    fn note_active(&mut self, attribute: &'static Attribute, value: Value, at: &str) -> Result<(), Error> {
        let value = match self.active.take() {
            None => value,
            Some((_, earlier)) if self.tolerances.dialect().is_lenient() => Value::Array(vec![earlier, value]),
            Some(_) => return Err(Error::syntax(format!("{at}: is there twice"))),
        };
        self.active = Some((attribute, value));
        Ok(())
    }

    /// Takes what was said of `active`; gives whether anything was.
    fn active(&mut self) -> Result<bool, Error> {
        let Some((attribute, value)) = self.active.take() else { return Ok(false) };
        self.assign(None, attribute, value, &attribute.name).map(|()| true)
    }

    fn assign(
        &mut self,
        extension: Option<&'static Schema>,
        attribute: &'static Attribute,
        value: Value,
        at: &str,
    ) -> Result<(), Error> {
        if attribute.mutability == Mutability::ReadOnly {
            return unknown::ignored(at, &value, self.tolerances);
        }
        let value = match within_limit(attribute, value, at, self.tolerances) {
            Err(error) if extension.is_none() && self.tolerances.allow(Tolerance::OverLimit) => {
                self.tolerances.drop_path(at);
                self.over.push((attribute.name.clone(), error));
                return Ok(());
            }
            value => value?,
        };
        let Some(value) = value else { return Ok(()) };
        let Some(value) = value::value(attribute, value, at, self.tolerances)? else {
            self.unassigned.push(at.to_owned());
            return Ok(());
        };
        state::one_primary(&value, at)?;
        let holder = match extension {
            Some(extension) => {
                self.document.entry(extension.id.as_str()).or_insert_with(|| Map::new().into()).as_object_mut()
            }
            None => Some(&mut self.document),
        };
        // The short and the qualified name of one attribute are two keys to JSON.
        match holder.and_then(|holder| holder.insert(attribute.name.clone(), value)) {
            Some(_) => Err(Error::syntax(format!("{at}: is there twice"))),
            None => Ok(()),
        }
    }

    fn unknown(&mut self, key: &str, value: &Value) -> Result<(), Error> {
        let rtype = self.resource_type;
        let refusal = |what: &str| Error::syntax(format!("{key}: {} has no such {what}", rtype.name));
        let speaks = || {
            let is_ours = is_spoken_of(rtype, key) || !key.contains(':') && tells(rtype, value, Says::People);
            is_ours || may_be(key, value)
        };
        if rtype.people().is_some() && speaks() {
            self.unclear.get_or_insert_with(|| refusal("attribute").naming(key));
        }
        unknown::member(rtype, key, value, self.tolerances, refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::registry;
    use crate::scim::tolerance::Dialect::{self, Auto, Entra, Rfc, Strict};

    const U: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
    const E: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    /// Reads a User whose `{U}` and `{E}` stand for the URNs; gives the document, ` - ` and what is
    /// unassigned, ` | ` and the tolerances, or the detail.
    fn check(dialect: Dialect, body: &str, expected: &str) {
        let body = serde_json::from_str(&body.replace("{U}", U).replace("{E}", E)).unwrap();
        let mut tolerances = Tolerances::new(dialect);
        let mut got = match document(body, registry().by_name("User").unwrap(), &mut tolerances) {
            Ok(Incoming { document, unassigned, .. }) if unassigned.is_empty() => Value::Object(document).to_string(),
            Ok(Incoming { document, unassigned, .. }) => {
                format!("{} - {}", Value::Object(document), unassigned.join(" "))
            }
            Err(error) => error.detail,
        };
        if !tolerances.header().is_empty() {
            got += &format!(" | {}", tolerances.header());
        }
        assert_eq!(got.replace(U, "{U}").replace(E, "{E}"), expected);
    }

    #[test]
    fn names_become_canonical_and_ordered() {
        check(Rfc, r#"{"schemas":["{U}"],"userName":"a"}"#, r#"{"schemas":["{U}"],"userName":"a"}"#);
        check(
            Rfc,
            r#"{"{E}":{"DEPARTMENT":"d","employeeNumber":"1"},"TITLE":"t","username":"a","externalId":"x","SCHEMAS":["{U}","{E}"]}"#,
            r#"{"schemas":["{U}","{E}"],"externalId":"x","userName":"a","title":"t","{E}":{"employeeNumber":"1","department":"d"}}"#,
        );
        check(Rfc, r#"{"schemas":["{U}"],"{U}:userName":"a"}"#, r#"{"schemas":["{U}"],"userName":"a"}"#);
        check(Rfc, r#"{"schemas":["{U}"],"{U}":{"userName":"a"}}"#, r#"{"schemas":["{U}"],"userName":"a"}"#);
        check(Rfc, r#"{"schemas":["{U}"],"{E}:division":"d"}"#, r#"{"schemas":["{U}","{E}"],"{E}":{"division":"d"}}"#);
        check(Rfc, r#"{"schemas":["{U}"],"{U}:userName":"a","userName":"b"}"#, "userName: is there twice");
        check(Rfc, r#"{"schemas":["{U}"],"{E}:division":"d","{E}":{"division":"e"}}"#, "{E}:division: is there twice");
        check(Rfc, "[]", "expected a resource as an object, got an array");
    }

    #[test]
    fn schemas_are_checked() {
        check(Rfc, r#"{"userName":"a"}"#, "schemas: {U} is missing");
        check(Rfc, r#"{"schemas":[],"userName":"a"}"#, "schemas: {U} is missing");
        check(Rfc, r#"{"schemas":null}"#, "schemas: {U} is missing");
        check(Rfc, r#"{"schemas":["{E}"],"userName":"a"}"#, "schemas: {U} is missing");
        check(Auto, r#"{"userName":"a"}"#, r#"{"schemas":["{U}"],"userName":"a"} | okta-001"#);
        check(Auto, r#"{"schemas":["{E}"]}"#, r#"{"schemas":["{U}"]} | okta-001"#);
        check(Rfc, r#"{"schemas":"{U}"}"#, r#"{"schemas":["{U}"]}"#);
        check(Rfc, r#"{"schemas":[1]}"#, "schemas: expected an array of URNs");
        check(Rfc, r#"{"schemas":["{U}","{U}"]}"#, "schemas: {U} is there twice");
        check(Rfc, r#"{"schemas":["{U}","urn:x"]}"#, "schemas: urn:x is no schema of User");
        check(Auto, r#"{"schemas":["{U}","urn:x"]}"#, r#"{"schemas":["{U}"]} | entra-009"#);
        check(Rfc, r#"{"schemas":["{U}","{E}"]}"#, r#"{"schemas":["{U}"]}"#);
        check(
            Rfc,
            r#"{"schemas":["{U}"],"{E}":{"division":"d"}}"#,
            r#"{"schemas":["{U}","{E}"],"{E}":{"division":"d"}}"#,
        );
    }

    #[test]
    fn an_extension_in_a_list_of_one_is_that_extension() {
        let d = r#"{"schemas":["{U}","{E}"],"{E}":{"division":"d"}} | entra-006"#;
        check(Auto, r#"{"schemas":["{U}"],"{E}":[{"division":"d"}]}"#, d);
        check(Auto, r#"{"schemas":["{U}"],"{E}":[""]}"#, r#"{"schemas":["{U}"]} - {E} | entra-006, entra-007"#);
        check(Rfc, r#"{"schemas":["{U}"],"{E}":[""]}"#, "{E}: expected an object, got an array");
    }

    #[test]
    fn the_unknown_is_dropped_or_refused() {
        check(Rfc, r#"{"schemas":["{U}"],"password":"p"}"#, r#"{"schemas":["{U}"]} | auto-001"#);
        check(Strict, r#"{"schemas":["{U}"],"password":"p"}"#, "password: User has no such attribute");
        check(Strict, r#"{"schemas":["{U}"],"name.givenName":"p"}"#, "name.givenName: User has no such attribute");
        check(Strict, r#"{"schemas":["{U}"],"{E}":{"x":1}}"#, "{E}:x: User has no such attribute");
        check(Strict, r#"{"schemas":["{U}"],"{U}:x":1}"#, "{U}:x: User has no such attribute");
        check(Rfc, r#"{"schemas":["{U}"],"urn:x":{}}"#, "urn:x: User has no such schema");
        check(Entra, r#"{"schemas":["{U}"],"urn:x":{}}"#, r#"{"schemas":["{U}"]} | entra-009"#);
        check(Entra, r#"{"schemas":["{U}"],"http://x/y":1}"#, r#"{"schemas":["{U}"]} | entra-009"#);
    }

    #[test]
    fn read_only_is_left_out() {
        check(Strict, r#"{"schemas":["{U}"],"id":"x","meta":{"version":1},"groups":"?"}"#, r#"{"schemas":["{U}"]}"#);
        check(
            Strict,
            r#"{"schemas":["{U}"],"{E}":{"manager":{"value":"1","displayName":"B"}}}"#,
            r#"{"schemas":["{U}","{E}"],"{E}":{"manager":{"value":"1"}}}"#,
        );
    }

    #[test]
    fn explicitly_unassigned_is_told() {
        check(Rfc, r#"{"schemas":["{U}"],"active":null,"name":{}}"#, r#"{"schemas":["{U}"]} - name active"#);
        check(Auto, r#"{"schemas":["{U}"],"active":""}"#, r#"{"schemas":["{U}"]} - active | entra-007"#);
        check(Rfc, r#"{"schemas":["{U}"],"{E}":null}"#, r#"{"schemas":["{U}"]} - {E}"#);
        check(Rfc, r#"{"schemas":["{U}"],"{E}":[]}"#, r#"{"schemas":["{U}"]} - {E}"#);
        check(Rfc, r#"{"schemas":["{U}"],"{E}":{"division":null}}"#, r#"{"schemas":["{U}"]} - {E}:division"#);
        check(Rfc, r#"{"schemas":["{U}"],"{E}":"x"}"#, "{E}: expected an object, got a string");
    }

    #[test]
    fn at_most_one_value_is_primary() {
        let two = r#"[{"value":"a","primary":true},{"value":"b","primary":true}]"#;
        let body = format!(r#"{{"schemas":["{{U}}"],"emails":{two}}}"#);
        check(Rfc, &body, "emails: 2 values are primary, at most one may be");
        let text = body.replace("true", "\"True\"");
        check(Auto, &text, "emails: 2 values are primary, at most one may be | entra-002");
    }

    #[test]
    fn of_two_values_of_active_the_one_that_says_no_holds() {
        let both = |one: &str, other: &str| format!(r#"{{"schemas":["{{U}}"],"active":{one},"{{U}}:active":{other}}}"#);
        for (one, other) in [("true", "false"), ("false", "true"), ("\"perhaps\"", "false"), ("false", "\"perhaps\"")] {
            check(Auto, &both(one, other), r#"{"schemas":["{U}"],"active":false} | auto-012"#);
            check(Rfc, &both(one, other), "active: is there twice");
        }
        check(Auto, &both("true", "null"), r#"{"schemas":["{U}"]} - active | auto-012"#);
        check(Auto, &both("true", "true"), r#"{"schemas":["{U}"],"active":true} | auto-012"#);
        let nested = r#"{"schemas":["{U}"],"{U}":{"active":false},"active":true}"#;
        check(Auto, nested, r#"{"schemas":["{U}"],"active":false} | auto-012"#);
    }

    #[test]
    fn values_carry_their_path() {
        check(Rfc, r#"{"schemas":["{U}"],"active":1}"#, "active: expected a boolean, got a number");
        check(Rfc, r#"{"schemas":["{U}"],"{E}":{"Division":1}}"#, "{E}:division: expected a string, got a number");
        check(
            Rfc,
            r#"{"schemas":["{U}"],"EMAILS":[{"value":"a"},{"PRIMARY":"x"}]}"#,
            "emails[1].primary: expected a boolean, got a string",
        );
    }
}
