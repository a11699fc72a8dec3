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

/// A type of requests.
pub(super) fn taken<T: JsonSchema>(schemas: &mut Schemas) -> Value {
    schemas.taken.subschema_for::<T>().to_value()
}

/// A type of answers.
pub(super) fn given<T: JsonSchema>(schemas: &mut Schemas) -> Value {
    schemas.given.subschema_for::<T>().to_value()
}
