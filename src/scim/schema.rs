//! Schemas and resource types as data: `schemas/*.json` is both what is published and what drives
//! parsing, validation, filters, PATCH and projection.
//!
//! A file holds either a resource type (`resourceType`, `schema`), an extension (`extends`, `schema`)
//! or a schema that is only published (`schema` alone). Beside these it may list `indexed`: the paths
//! that the store keeps an index of. Where resources of a type are principals, `principal` says of which kind, and
//! `sponsors` which attribute names who answers for them, if somebody must. `rows` names the attribute whose values
//! are rows; `display` the attributes that say what others call a resource, of which the first that does counts. The
//! attribute that names one resource among all is the one that is unique. A resource type marked as `catalogue` is
//! read here and changed elsewhere: it is neither stored as resources are nor listed among the types that clients
//! provision.

use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::attribute::{Attribute, Uniqueness};

static FILES: Dir = include_dir!("$CARGO_MANIFEST_DIR/schemas");

/// A schema: a URN and its attributes.
#[derive(Debug, Deserialize)]
pub struct Schema {
    /// The URN.
    pub id: String,
    /// A short name.
    pub name: String,
    /// The attributes, in the order in which they are published.
    pub attributes: Vec<Attribute>,
}

impl Schema {
    /// Finds an attribute by name, in any letter case.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}

/// A resource type: an endpoint, a base schema and its extensions (RFC 7643 §6).
#[derive(Debug)]
pub struct ResourceType {
    /// `User`; also its id.
    pub name: String,
    /// `/Users`.
    pub endpoint: String,
    /// The base schema.
    pub schema: &'static Schema,
    /// The extensions; none is required.
    pub extensions: Vec<&'static Schema>,
    /// Canonical paths of indexed attributes: `userName`, `emails.value`, `urn:…:User:employeeNumber`.
    pub indexed: Vec<String>,
    /// Whether resources of this type are principals: they may own credentials.
    pub principal: bool,
    /// What kind of principals they are.
    pub principal_kind: Option<String>,
    /// The attribute whose values are rows of their own: `members` of a Group.
    pub rows: Option<&'static Attribute>,
    /// The attribute whose value is one resource's alone: `userName` of a User.
    pub naming: Option<&'static Attribute>,
    /// The attributes that say what others call a resource: `displayName`.
    pub display: Vec<&'static Attribute>,
    /// The attribute that names who answers for a principal: `owners` of an Agent.
    pub sponsors: Option<&'static Attribute>,
}

impl ResourceType {
    /// The base schema and the extensions.
    pub fn schemas(&self) -> impl Iterator<Item = &'static Schema> {
        std::iter::once(self.schema).chain(self.extensions.iter().copied())
    }

    /// Finds a schema of this type by URN, in any letter case: the base schema or an extension.
    pub fn schema_by_urn(&self, urn: &str) -> Option<&'static Schema> {
        self.schemas().find(|s| s.id.eq_ignore_ascii_case(urn))
    }

    /// Whether an attribute says who has access: `active` of a principal, the members of a group, the owners of an
    /// agent.
    pub fn decides(&self, attribute: &Attribute) -> bool {
        self.principal && attribute.name == "active" || self.names_people(attribute)
    }

    /// The attribute that names those whose access hangs on the resource, or on whom its own hangs.
    pub fn people(&self) -> Option<&'static Attribute> {
        self.rows.or(self.sponsors)
    }

    /// Whether an attribute is that one.
    pub fn names_people(&self, attribute: &Attribute) -> bool {
        self.people().is_some_and(|people| std::ptr::eq(people, attribute))
    }

    /// The name of an attribute among those of all types: `User.userName`.
    pub fn qualified(&self, attribute: &str) -> String {
        format!("{}.{attribute}", self.name)
    }

    /// The value that is one resource's alone.
    pub fn name_in<'d>(&self, document: &'d Map<String, Value>) -> Option<&'d str> {
        document.get(&self.naming?.name)?.as_str()
    }

    /// What a resource is called where another one refers to it.
    pub fn display_in<'d>(&self, document: &'d Map<String, Value>) -> Option<&'d str> {
        self.display.iter().find_map(|attribute| document.get(&attribute.name)?.as_str())
    }

    /// The attributes that others know a resource by, each once.
    pub fn names(&self) -> impl Iterator<Item = &'static Attribute> {
        let naming = self.naming.filter(|naming| !self.display.iter().any(|one| std::ptr::eq(*one, *naming)));
        naming.into_iter().chain(self.display.iter().copied())
    }

    /// Finds an extension by URN, in any letter case.
    pub fn extension(&self, urn: &str) -> Option<&'static Schema> {
        self.extensions.iter().copied().find(|s| s.id.eq_ignore_ascii_case(urn))
    }

    /// Finds a top-level attribute by its short name: a common one (`id`, `externalId`, `meta`,
    /// `schemas`) or one of the base schema.
    pub fn attribute(&'static self, name: &str) -> Option<&'static Attribute> {
        COMMON.iter().find(|a| a.name.eq_ignore_ascii_case(name)).or_else(|| self.schema.attribute(name))
    }
}

/// A schema file, before extensions are joined with their types.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    resource_type: Option<Declared>,
    #[serde(default)]
    extends: Option<String>,
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    catalogue: bool,
    #[serde(default)]
    rows: Option<String>,
    #[serde(default)]
    sponsors: Option<String>,
    #[serde(default)]
    display: Vec<String>,
    #[serde(default)]
    indexed: Vec<String>,
    schema: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Declared {
    name: String,
    endpoint: String,
    description: String,
}

/// Every schema and resource type that this build serves.
#[derive(Debug)]
pub struct Registry {
    /// Resource types in the order of their files' names, with their descriptions.
    pub types: Vec<&'static ResourceType>,
    /// Types that are only read: roles and entitlements.
    pub catalogue: Vec<&'static ResourceType>,
    /// What `/ResourceTypes` says beside the type's own fields.
    pub descriptions: Vec<String>,
    /// The schemas exactly as published, without `meta`.
    pub published: Vec<(&'static Schema, Value)>,
}

impl Registry {
    /// Finds a type by name, in the exact spelling.
    pub fn by_name(&self, name: &str) -> Option<&'static ResourceType> {
        self.types.iter().copied().find(|t| t.name == name)
    }

    /// Finds a type of the catalogue by name, in the exact spelling.
    pub fn catalogue_by_name(&self, name: &str) -> Option<&'static ResourceType> {
        self.catalogue.iter().copied().find(|t| t.name == name)
    }

    /// Where the resources of a type are: `/Users`; nothing for a type that there is not.
    pub fn endpoint_of(&self, name: &str) -> &'static str {
        self.by_name(name).map_or("", |found| &found.endpoint)
    }

    /// Finds a type by its endpoint without the slash, in any letter case: `Users`, `users`.
    pub fn by_endpoint(&self, endpoint: &str) -> Option<&'static ResourceType> {
        let own =
            |t: &&ResourceType| t.endpoint.strip_prefix('/').is_some_and(|own| own.eq_ignore_ascii_case(endpoint));
        self.types.iter().copied().find(own)
    }
}

/// The attributes that every resource has (RFC 7643 §3, §3.1); no schema lists them.
pub static COMMON: LazyLock<Vec<Attribute>> = LazyLock::new(|| loaded(serde_json::from_str(COMMON_JSON)));

const COMMON_JSON: &str = r#"[
  {"name":"schemas","type":"reference","multiValued":true,"required":true,"caseExact":true,"returned":"always"},
  {"name":"id","type":"string","caseExact":true,"mutability":"readOnly","returned":"always","uniqueness":"global"},
  {"name":"externalId","type":"string","caseExact":true},
  {"name":"meta","type":"complex","mutability":"readOnly","subAttributes":[
    {"name":"resourceType","type":"string","caseExact":true,"mutability":"readOnly"},
    {"name":"created","type":"dateTime","mutability":"readOnly"},
    {"name":"lastModified","type":"dateTime","mutability":"readOnly"},
    {"name":"location","type":"reference","caseExact":true,"mutability":"readOnly"},
    {"name":"version","type":"string","caseExact":true,"mutability":"readOnly"}]}
]"#;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut files: Vec<_> = FILES.files().filter(|f| f.path().extension().is_some_and(|e| e == "json")).collect();
    files.sort_by_key(|f| f.path());
    let files: Vec<_> = files.iter().map(|file| (file.path().display().to_string(), file.contents())).collect();
    loaded(load(&files))
});

/// The schemas and resource types compiled into this binary.
pub fn registry() -> &'static Registry {
    &REGISTRY
}

#[expect(clippy::panic, reason = "the files are compiled in: a test loads them, so no shipped binary gets here")]
fn loaded<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("schemas: {error}"))
}

/// Reads schema files: what each is called, and what it holds.
fn load(files: &[(String, &[u8])]) -> Result<Registry, String> {
    let mut registry = Registry { types: vec![], catalogue: vec![], descriptions: vec![], published: vec![] };
    let mut parsed = vec![];
    for file in files {
        let (name, text) = file;
        let file: File = serde_json::from_slice(text).map_err(|e| format!("{name}: {e}"))?;
        let schema = Schema::deserialize(&file.schema).map_err(|e| format!("{name}: {e}"))?;
        let schema: &'static Schema = Box::leak(Box::new(schema));
        registry.published.push((schema, file.schema.clone()));
        parsed.push((file, schema));
    }
    for (file, schema) in &parsed {
        let Some(declared) = &file.resource_type else { continue };
        let extends: Vec<_> = parsed.iter().filter(|(f, _)| f.extends.as_ref() == Some(&declared.name)).collect();
        let named = |name: &String| {
            schema.attribute(name).ok_or_else(|| format!("{}: {name} is no attribute of it", declared.name))
        };
        let own = file.indexed.iter().cloned();
        let theirs = extends.iter().flat_map(|(f, s)| f.indexed.iter().map(|path| format!("{}:{path}", s.id)));
        let resource_type = ResourceType {
            name: declared.name.clone(),
            endpoint: declared.endpoint.clone(),
            schema,
            extensions: extends.iter().map(|(_, s)| *s).collect(),
            indexed: own.chain(theirs).collect(),
            principal: file.principal.is_some(),
            principal_kind: file.principal.clone(),
            rows: file.rows.as_ref().map(named).transpose()?,
            naming: schema.attributes.iter().find(|attribute| attribute.uniqueness != Uniqueness::None),
            display: file.display.iter().map(named).collect::<Result<_, _>>()?,
            sponsors: file.sponsors.as_ref().map(named).transpose()?,
        };
        let resource_type: &'static ResourceType = Box::leak(Box::new(resource_type));
        if file.catalogue {
            registry.catalogue.push(resource_type);
            continue;
        }
        registry.types.push(resource_type);
        registry.descriptions.push(declared.description.clone());
    }
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A type of robots, with these settings: what names and shows one, who answers for it, and what has rows.
    fn check(settings: Value, expected: Result<&str, &str>) {
        let attribute = |name: &str, uniqueness: &str| json!({"name": name, "uniqueness": uniqueness});
        let mut file = json!({
            "resourceType": {"name": "Robot", "endpoint": "/Robots", "description": "Robots."},
            "schema": {"id": "urn:robot", "name": "Robot", "attributes": [
                attribute("nick", "none"), attribute("serial", "server"), attribute("keepers", "none")]},
        });
        file.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let text = serde_json::to_vec(&file).unwrap();
        let loaded = load(&[("robot.json".to_owned(), &text)]).map(|registry| {
            let robot = registry.by_name("Robot").unwrap();
            let document = json!({"nick": "R2", "serial": "7"});
            let document = document.as_object().unwrap();
            let [sponsors, rows] = [robot.sponsors, robot.rows].map(|one| one.map_or("-", |one| &one.name));
            let shown = (robot.name_in(document).unwrap_or("-"), robot.display_in(document).unwrap_or("-"));
            format!("{} {} {sponsors} {rows}", shown.0, shown.1)
        });
        assert_eq!(loaded, expected.map(str::to_owned).map_err(str::to_owned), "{settings}");
    }

    #[test]
    fn adding_a_type_is_adding_a_file() {
        check(json!({}), Ok("7 - - -"));
        check(json!({"display": ["keepers", "nick"], "sponsors": "keepers"}), Ok("7 R2 keepers -"));
        check(json!({"rows": "keepers"}), Ok("7 - - keepers"));
        for setting in
            [json!({"rows": "wheels"}), json!({"sponsors": "wheels"}), json!({"display": ["nick", "wheels"]})]
        {
            check(setting, Err("Robot: wheels is no attribute of it"));
        }
    }
}
