//! Ids: UUIDv7, minted from the clock and the random source that the caller hands in.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use uuid::fmt::Hyphenated;
use uuid::{Builder, Uuid};

use super::clock::Entropy;

/// The id of a resource, principal, credential, connection or tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Uuid);

impl Id {
    /// Nobody's.
    pub const NIL: Id = Id(Uuid::nil());

    /// Makes a new id: time-ordered, with 74 random bits.
    pub fn mint(now: DateTime<Utc>, entropy: &dyn Entropy) -> Id {
        let mut random = [0; 10];
        entropy.fill(&mut random);
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Id(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Reads the one spelling that is an id: lower-case and hyphenated. Any other is no id.
    pub fn parse(text: &str) -> Option<Id> {
        let id = Id(Uuid::try_parse(text).ok()?);
        (text == id.encode(&mut Id::buffer())).then_some(id)
    }

    /// Room for [`Id::encode`].
    pub fn buffer() -> [u8; Hyphenated::LENGTH] {
        [0; Hyphenated::LENGTH]
    }

    /// The text of the id, without an allocation.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; Hyphenated::LENGTH]) -> &'b str {
        self.0.hyphenated().encode_lower(buffer)
    }

    /// The 16 bytes that are stored.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads stored bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Id> {
        Uuid::from_slice(bytes).ok().map(Id)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut Id::buffer()))
    }
}

impl serde::Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.encode(&mut Id::buffer()))
    }
}

impl<'de> serde::Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Id {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "uuid"})
    }
}

/// Reads an id from the text that it is written as.
struct Text;

impl serde::de::Visitor<'_> for Text {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Id, E> {
        Id::parse(text).ok_or_else(|| E::custom("not an id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_is_an_id() {
        let text = "01939e7a-5b1c-7def-8abc-0123456789ab";
        assert_eq!(Id::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        assert_eq!(Id::parse(&text.to_uppercase()), None);
        assert_eq!(Id::parse(&text.replace('-', "")), None);
        assert_eq!(Id::parse(&format!("{{{text}}}")), None);
        assert_eq!(Id::parse("bulkId:1"), None);
    }
}
