//! JSON Schemas of what operations take and give, each under its name in one place.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// How a type is described.
pub(super) type Describe = fn(&mut Schemas) -> Value;

/// Where the schemas of a document stand in it.
const PLACE: &str = "/components/schemas";

/// The schemas of a document. What is read and what is written differ: of the one a member may be missing, of the
/// other it is always there.
pub(super) struct Schemas {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Schemas {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = PLACE.into());
        let settings = settings.with_transform(RecursiveTransform(enumerate));
        let given = settings.clone().for_serialize().with_transform(RecursiveTransform(omit_or_show));
        Schemas {
            taken: settings.for_deserialize().with_transform(RecursiveTransform(omit_null)).into_generator(),
            given: given.into_generator(),
        }
    }

    /// Every schema that was named, by its name.
    pub(super) fn into_named(mut self) -> Map<String, Value> {
        let mut named = self.given.take_definitions(true);
        named.append(&mut self.taken.take_definitions(true));
        named.sort_keys();
        named
    }
}

/// A text that is one of several is one enumeration: a choice between constants is more than many generators of
/// clients understand. What each of them means goes into the description.
fn enumerate(schema: &mut Schema) {
    let Some(Value::Array(choices)) = schema.get("oneOf") else { return };
    let values: Option<Vec<Value>> = choices.iter().map(|one| one.get("const").cloned()).collect();
    let Some(values) = values else { return };
    let meant = choices
        .iter()
        .zip(&values)
        .filter_map(|(one, value)| Some(format!("- `{}`: {}", value.as_str()?, one.get("description")?.as_str()?)));
    let own = schema.get("description").and_then(Value::as_str).map(str::to_owned);
    let meant = meant.collect::<Vec<_>>().join("\n");
    schema.insert("description".to_owned(), own.into_iter().chain([meant]).collect::<Vec<_>>().join("\n\n").into());
    schema.insert("type".to_owned(), "string".into());
    schema.insert("enum".to_owned(), values.into());
    schema.remove("oneOf");
}

/// What may be missing and must not be null has no value by default.
fn omit_null(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

/// What an answer leaves out is not null where it is there.
fn omit_or_show(schema: &mut Schema) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let Some(Value::Object(members)) = schema.get_mut("properties") else { return };
    for (_, member) in members.iter_mut().filter(|(name, _)| !is_required(name)) {
        let Some(member) = member.as_object_mut() else { continue };
        if let Some(Value::Array(types)) = member.get_mut("type") {
            types.retain(|one| one != "null");
            if let [one] = types.as_slice() {
                let one = one.clone();
                member.insert("type".to_owned(), one);
            }
        }
        // A reference that may be null is one of two choices.
        if let Some(Value::Array(choices)) = member.get("anyOf")
            && let [Value::Object(one), null] = choices.as_slice()
            && null["type"] == "null"
        {
            let mut one = one.clone();
            member.remove("anyOf");
            member.append(&mut one);
        }
    }
}

/// Adds a member to an object.
pub(super) fn add(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

/// A type of requests.
pub(super) fn taken<T: JsonSchema>(schemas: &mut Schemas) -> Value {
    schemas.taken.subschema_for::<T>().to_value()
}

/// A type of answers.
pub(super) fn given<T: JsonSchema>(schemas: &mut Schemas) -> Value {
    schemas.given.subschema_for::<T>().to_value()
}
