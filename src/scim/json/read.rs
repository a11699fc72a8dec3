//! Types read from a [`Tree`] by serde: a refusal knows the member that it is about, and repeats nothing of what was
//! sent.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::tree::{Members, Tree};

/// Why a tree is not what was expected, and where.
#[derive(Debug)]
pub struct ReadError {
    /// From the inside out.
    path: Vec<String>,
    detail: String,
}

/// What is said of a member that nobody asked for.
const NO_SUCH_MEMBER: &str = "no such member";

impl ReadError {
    fn new(detail: String) -> ReadError {
        ReadError { path: vec![], detail }
    }

    fn at(name: &str, detail: &str) -> ReadError {
        ReadError { path: vec![name.to_owned()], detail: detail.to_owned() }
    }

    fn within(mut self, name: impl Into<String>) -> ReadError {
        self.path.push(name.into());
        self
    }

    /// The names of members and the numbers in lists that lead to it, from the outside in.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.path.iter().rev().map(String::as_str)
    }

    /// Whether it is about a member that nobody asked for.
    pub fn is_unknown(&self) -> bool {
        self.detail == NO_SUCH_MEMBER
    }

    /// A sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// `subject.id: is required`.
impl Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.path().enumerate() {
            write!(f, "{}{name}", if n == 0 { "" } else { "." })?;
        }
        write!(f, "{}{}", if self.path.is_empty() { "" } else { ": " }, self.detail)
    }
}

impl std::error::Error for ReadError {}

/// What was sent is left out of every sentence.
impl Error for ReadError {
    fn custom<T: Display>(detail: T) -> ReadError {
        ReadError::new(detail.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> ReadError {
        ReadError::new(format!("expected {}", in_words(&expected.to_string())))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> ReadError {
        ReadError::new(format!("expected {}", in_words(&expected.to_string())))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> ReadError {
        ReadError::new(format!("expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> ReadError {
        ReadError::new(format!("expected {}", one_of(expected)))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> ReadError {
        ReadError::at(field, NO_SUCH_MEMBER)
    }

    fn missing_field(field: &'static str) -> ReadError {
        ReadError::at(field, "is required")
    }
}

/// What serde expects, where it says so in Rust's words.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a map" => "an object",
        "a borrowed string" => "a string",
        "a sequence" => "an array",
        other => other,
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

impl<'de> Deserializer<'de> for &'de Tree<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(whole), _) => visitor.visit_u64(whole),
                (None, Some(whole)) => visitor.visit_i64(whole),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Tree::Text(text) => visitor.visit_borrowed_str(text),
            Tree::Array(items) => visitor.visit_seq(Items { rest: items.iter(), read: 0 }),
            Tree::Object(members) => visitor.visit_map(Named::of(members)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Tree::Null => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self {
            Tree::Text(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            Tree::Object(members) => visitor.visit_enum(MapAccessDeserializer::new(Named::of(members))),
            _ => Err(ReadError::unknown_variant("", variants)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

/// So that a tree inside another, or one that stands alone, is read alike.
impl<'de> IntoDeserializer<'de, ReadError> for &'de Tree<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Items<'de, 'b> {
    rest: std::slice::Iter<'de, Tree<'b>>,
    read: usize,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some(item) = self.rest.next() else { return Ok(None) };
        let at = self.read;
        self.read += 1;
        seed.deserialize(item).map(Some).map_err(|error| error.within(at.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The members that are still to be read, and the one whose name was.
struct Named<'de, 'b> {
    rest: std::slice::Iter<'de, (Cow<'b, str>, Tree<'b>)>,
    value: Option<&'de (Cow<'b, str>, Tree<'b>)>,
}

impl<'de, 'b> Named<'de, 'b> {
    fn of(members: &'de Members<'b>) -> Named<'de, 'b> {
        Named { rest: members.0.iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Named<'de, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        self.value = self.rest.next();
        let Some((name, _)) = self.value else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some((name, value)) = self.value.take() else { return Err(ReadError::custom("a value without a name")) };
        seed.deserialize(value).map_err(|error| error.within(name.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer<'b> {
        word: Option<&'b str>,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Inner {
        Here,
        There,
        Of(u8),
    }

    #[test]
    fn a_refusal_names_the_place_and_repeats_nothing() {
        let check = |body: Value, expected: &str| {
            let tree = Tree::from(&body);
            let read = Outer::deserialize(&tree).map(|outer| format!("{outer:?}"));
            assert_eq!(read.unwrap_or_else(|error| error.to_string()), expected, "{body}");
        };
        check(json!({"word": "a\nb"}), "Outer { word: Some(\"a\\nb\"), inner: [] }");
        check(json!({"word": null, "inner": ["here", {"of": 3}]}), "Outer { word: None, inner: [Here, Of(3)] }");
        check(json!({"word": 5}), "word: expected a string");
        check(json!({"inner": "kru_secret"}), "inner: expected an array");
        check(json!({"inner": ["here", "kru_secret"]}), "inner.1: expected here, there or of");
        check(json!({"inner": [7]}), "inner.0: expected here, there or of");
        check(json!({"inner": [{"of": -1}]}), "inner.0.of: expected a whole number from 0 on");
        check(json!({"kru_secret": 1}), "kru_secret: no such member");
        check(json!("kru_secret"), "expected struct Outer");
    }

    proptest! {
        #[test]
        fn a_tree_reads_as_the_value_that_it_was_made_of(
            numbers in proptest::collection::vec(any::<i64>(), 0..3), text in ".{0,8}", real in any::<f32>(),
        ) {
            let value = json!({"numbers": numbers, "text": text, "more": [real, u64::MAX, null, true, {}, []]});
            prop_assert_eq!(Value::deserialize(&Tree::from(&value)).unwrap(), value);
        }
    }
}
