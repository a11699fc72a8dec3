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
        let settings = settings.with_transform(RecursiveTransform(omit_null));
        Schemas {
            taken: settings.clone().for_deserialize().into_generator(),
            given: settings.for_serialize().into_generator(),
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

/// A type of requests.
pub(super) fn taken<T: JsonSchema>(schemas: &mut Schemas) -> Value {
    schemas.taken.subschema_for::<T>().to_value()
}

/// A type of answers.
pub(super) fn given<T: JsonSchema>(schemas: &mut Schemas) -> Value {
    schemas.given.subschema_for::<T>().to_value()
}
