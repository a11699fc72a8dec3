//! Builds values, each name of an object once.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::limits::Limits;
use super::tree::Build;

/// Keys in one object: a document has dozens, and each costs ten times its length in memory.
const KEYS_MAX: usize = 1_000;

/// Up to here comparing a key with the others costs less than a hash.
const KEYS_FEW: usize = 16;

/// The names of one object's members, whose values are `T`.
struct Distinct<'b, T> {
    members: Vec<(Cow<'b, str>, T)>,
    /// The names in lower case, once they are many.
    folded: HashSet<String>,
}

impl<'b, T> Distinct<'b, T> {
    fn new() -> Distinct<'b, T> {
        Distinct { members: vec![], folded: HashSet::new() }
    }

    /// Whether a name is there already in any letter case.
    fn is_new<E: serde::de::Error>(&mut self, name: &str) -> Result<bool, E> {
        if self.members.len() >= KEYS_MAX {
            return Err(E::custom(format_args!("an object has more than {KEYS_MAX} keys")));
        }
        let is_new = if self.members.len() < KEYS_FEW {
            !self.members.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
        } else {
            if self.folded.is_empty() {
                self.folded = self.members.iter().map(|(own, _)| own.to_ascii_lowercase()).collect();
            }
            self.folded.insert(name.to_ascii_lowercase())
        };
        Ok(is_new)
    }
}

fn twice<E: serde::de::Error>(name: &str) -> E {
    E::custom(format_args!("the key {name:?} is there twice"))
}

/// Refuses U+0000: PostgreSQL's text cannot hold it, so it may not differ between stores.
fn text<T: AsRef<str>, E: serde::de::Error>(text: T) -> Result<T, E> {
    if text.as_ref().contains('\0') { Err(E::custom("a string holds U+0000")) } else { Ok(text) }
}

/// Builds values as long as there is room for them: `{"a":1}` takes thirty times its length.
pub(super) struct Strict<'l, T> {
    room: &'l Cell<usize>,
    limits: &'l Limits,
    built: PhantomData<T>,
}

impl<T> Clone for Strict<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Strict<'_, T> {}

impl<'l, T> Strict<'l, T> {
    pub(super) fn new(room: &'l Cell<usize>, limits: &'l Limits) -> Strict<'l, T> {
        Strict { room, limits, built: PhantomData }
    }

    fn take<E: serde::de::Error>(self, bytes: usize) -> Result<(), E> {
        let max = self.limits.memory_bytes_max;
        let left = self.room.get().checked_sub(bytes);
        self.room.set(left.ok_or_else(|| E::custom(format_args!("its values take more than {max} bytes")))?);
        Ok(())
    }
}

impl<'de, T: Build<'de>> DeserializeSeed<'de> for Strict<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Build<'de>> Visitor<'de> for Strict<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(T::number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        Ok(T::number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<T, E> {
        Number::from_f64(value).map(T::number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<T, E> {
        self.take(value.len())?;
        Ok(T::text(Cow::Borrowed(if self.limits.unstorable { value } else { text(value)? })))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<T, E> {
        self.take(value.len())?;
        let value = if self.limits.unstorable { value } else { text(value)? };
        Ok(T::text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<T, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            self.take(size_of::<Value>())?;
            array.push(element);
        }
        Ok(T::array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<T, A::Error> {
        let (mut object, mut others) = (Distinct::new(), vec![]);
        let may_repeat = |name: &str| self.limits.repeated.is_some_and(|own| own.eq_ignore_ascii_case(name));
        while let Some(name) = members.next_key_seed(Name { unstorable: self.limits.unstorable })? {
            let is_new = object.is_new(&name)?;
            if !is_new && !may_repeat(&name) {
                return Err(twice(&name));
            }
            self.take(size_of::<(usize, String, Value)>() + name.len())?;
            let value = members.next_value_seed(self)?;
            if is_new { object.members.push((name, value)) } else { others.push(value) }
        }
        if !others.is_empty()
            && let Some((_, value)) = object.members.iter_mut().find(|(name, _)| may_repeat(name))
        {
            others.insert(0, std::mem::replace(value, T::null()));
            *value = T::array(others);
        }
        Ok(T::object(object.members))
    }
}

/// Reads the name of a member, which may hold U+0000 where any text may.
struct Name {
    unstorable: bool,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(if self.unstorable { name } else { text(name)? }))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(if self.unstorable { name } else { text(name)? }.to_owned()))
    }
}

/// Reads an object whose values stay text.
pub(super) struct RawMembers {
    pub(super) unstorable: bool,
}

impl<'de> Visitor<'de> for RawMembers {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Distinct::new();
        while let Some(name) = members.next_key_seed(Name { unstorable: self.unstorable })? {
            if !found.is_new(&name)? {
                return Err(twice(&name));
            }
            found.members.push((name, members.next_value()?));
        }
        Ok(found.members)
    }
}
