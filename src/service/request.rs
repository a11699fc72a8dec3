//! Bodies of requests, read strictly into the types that use cases take: a member that nobody looks at is refused,
//! and each refusal points at the member and repeats nothing of what was sent.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::scim::json::{ReadError, Tree};
use crate::service::Error;

/// How long a text for people may be, in characters.
pub const TEXT_MAX: usize = 1_000;

/// Reads a body.
///
/// # Errors
/// 422 with the JSON pointer (RFC 6901) of the first member that is not as expected.
pub fn read<'de, T: Deserialize<'de>>(body: &'de Tree<'_>) -> Result<T, Error> {
    Object::deserialize(body).map(|Object(read)| read).map_err(|error| refuse(&error))
}

/// The same of what was read already.
///
/// # Errors
/// As [`read`].
pub fn read_value<T: DeserializeOwned>(body: &Value) -> Result<T, Error> {
    read(&Tree::from(body))
}

/// A refusal of a member, which ends in its name or its number in a list.
fn refuse(error: &ReadError) -> Error {
    let pointer: String = error.path().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect();
    let is_name = |part: &&str| part.parse::<usize>().is_err();
    match error.path().filter(is_name).last() {
        Some(name) => {
            let names = if error.is_unknown() { vec![name.to_owned()] } else { vec![] };
            Error::Invalid { pointer, detail: format!("{name}: {}", error.detail()), names }
        }
        None => Error::invalid(pointer, error.detail()),
    }
}

/// A member that may be missing, and not null.
///
/// # Errors
/// If it is null, or not as expected.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A text for people of at most so many characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<const MAX: usize = TEXT_MAX>(pub String);

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<MAX>, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.chars().nth(MAX) {
            None => Ok(Text(text)),
            Some(_) => Err(D::Error::custom(format!("expected a string of at most {MAX} characters"))),
        }
    }
}

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": MAX})
    }
}

/// The same that says something: empty is as good as missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonEmptyText(pub String);

impl Deref for NonEmptyText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for NonEmptyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NonEmptyText, D::Error> {
        let Text(text) = Text::<TEXT_MAX>::deserialize(deserializer)?;
        if text.is_empty() { Err(D::Error::custom("is required")) } else { Ok(NonEmptyText(text)) }
    }
}

impl JsonSchema for NonEmptyText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NonEmptyText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": TEXT_MAX})
    }
}

/// What an object says. Serde reads a struct from an array as well, member by member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Object<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A list of at most so many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(pub Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> List<T, MAX> {
        List(vec![])
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T, MAX>, D::Error> {
        struct Items<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if MAX == usize::MAX { f.write_str("an array") } else { write!(f, "an array of at most {MAX}") }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<List<T, MAX>, A::Error> {
                let items = Vec::deserialize(SeqAccessDeserializer::new(items))?;
                if items.len() > MAX {
                    return Err(A::Error::invalid_length(items.len(), &self));
                }
                Ok(List(items))
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

impl<T: JsonSchema, const MAX: usize> JsonSchema for List<T, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("List{MAX}Of{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "maxItems": MAX, "items": generator.subschema_for::<T>()})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read, and never looked at")]
    struct Asked {
        name: Text<3>,
        inner: Option<Object<Inner>>,
        list: Option<List<Object<Inner>, 2>>,
        kind: Option<Kind>,
        word: Option<NonEmptyText>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read, and never looked at")]
    struct Inner {
        flag: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        User,
        Agent,
    }

    #[test]
    fn a_refusal_points_at_the_member_and_repeats_nothing() {
        let check = |body: Value, pointer: &str, detail: &str| {
            let Err(Error::Invalid { pointer: at, detail: said, .. }) = read_value::<Asked>(&body) else {
                panic!("{body}")
            };
            assert_eq!((at.as_str(), said.as_str()), (pointer, detail), "{body}");
        };
        check(json!({}), "/name", "name: is required");
        check(json!({"name": 5}), "/name", "name: expected a string");
        check(json!({"name": null}), "/name", "name: expected a string");
        check(json!({"name": "kru_secret"}), "/name", "name: expected a string of at most 3 characters");
        check(json!({"name": "a", "what/else": 1}), "/what~1else", "what/else: no such member");
        check(json!({"name": "a", "inner": {"flag": "kru_secret"}}), "/inner/flag", "flag: expected a boolean");
        check(json!({"name": "a", "inner": {"flag": true, "x": 1}}), "/inner/x", "x: no such member");
        check(json!({"name": "a", "inner": {}}), "/inner/flag", "flag: is required");
        check(json!({"name": "a", "list": [{"flag": true}, {}]}), "/list/1/flag", "flag: is required");
        check(json!({"name": "a", "list": [{"flag": true}, 7]}), "/list/1", "list: expected an object");
        check(json!({"name": "a", "list": {}}), "/list", "list: expected an array of at most 2");
        check(json!({"name": "a", "inner": [true]}), "/inner", "inner: expected an object");
        let three = json!([{"flag": true}, {"flag": true}, {"flag": true}]);
        check(json!({"name": "a", "list": three}), "/list", "list: expected an array of at most 2");
        check(json!({"name": "a", "kind": "kru_secret"}), "/kind", "kind: expected user or agent");
        check(json!({"name": "a", "word": ""}), "/word", "word: is required");
        check(json!(["a", null, null, null, null]), "", "expected an object");
    }
}
