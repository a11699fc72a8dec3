//! Builds values, each name of an object once.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::deep;
use super::limits::Limits;
use super::tree::Build;

/// Keys in one object: a document has dozens, and each costs ten times its length in memory.
const KEYS_MAX: usize = 1_000;

/// Up to here comparing a key with the others costs less than a hash.
const KEYS_FEW: usize = 16;

/// Names of one body that stand there again and are forgotten: each costs a look at what it says.
const FORGOTTEN_MAX: usize = 1_000;

/// The names of one object's members, whose values are `T`.
struct Distinct<'b, T> {
    members: Vec<(Cow<'b, str>, T)>,
    /// The places of names in lower case, once they are many.
    folded: HashMap<String, usize>,
}

impl<'b, T> Distinct<'b, T> {
    fn new() -> Distinct<'b, T> {
        Distinct { members: vec![], folded: HashMap::new() }
    }

    /// Where a name is already, in any letter case; it is to be added if it is nowhere.
    fn place<E: serde::de::Error>(&mut self, name: &str) -> Result<Option<usize>, E> {
        let count = self.members.len();
        if count >= KEYS_MAX {
            return Err(E::custom(format_args!("an object has more than {KEYS_MAX} keys")));
        }
        if count < KEYS_FEW {
            return Ok(self.members.iter().position(|(own, _)| own.eq_ignore_ascii_case(name)));
        }
        if self.folded.is_empty() {
            let names = self.members.iter().map(|(own, _)| own.to_ascii_lowercase());
            self.folded = names.zip(0..).collect();
        }
        let place = *self.folded.entry(name.to_ascii_lowercase()).or_insert(count);
        Ok(Some(place).filter(|place| *place < count))
    }
}

fn twice<E: serde::de::Error>(name: &str) -> E {
    E::custom(format_args!("the key {name:?} is there twice"))
}

/// Refuses U+0000: PostgreSQL's text cannot hold it, so it may not differ between stores.
fn text<T: AsRef<str>, E: serde::de::Error>(text: T) -> Result<T, E> {
    if text.as_ref().contains('\0') { Err(E::custom("a string holds U+0000")) } else { Ok(text) }
}

/// One body that is read.
pub(super) struct Reading<'l> {
    room: Cell<usize>,
    limits: &'l Limits,
    /// Names that stood there again: the earlier value is not kept.
    forgotten: RefCell<Vec<String>>,
}

impl<'l> Reading<'l> {
    pub(super) fn new(limits: &'l Limits) -> Reading<'l> {
        Reading { room: Cell::new(limits.memory_bytes_max), limits, forgotten: RefCell::default() }
    }

    pub(super) fn forgotten(self) -> Vec<String> {
        self.forgotten.into_inner()
    }
}

/// Builds values as long as there is room for them: `{"a":1}` takes thirty times its length.
pub(super) struct Strict<'l, T> {
    of: &'l Reading<'l>,
    /// Arrays and objects around it.
    depth: usize,
    built: PhantomData<T>,
}

impl<T> Clone for Strict<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Strict<'_, T> {}

impl<'l, T> Strict<'l, T> {
    pub(super) fn new(of: &'l Reading<'l>) -> Strict<'l, T> {
        Strict { of, depth: 0, built: PhantomData }
    }

    /// For what lies inside.
    fn inner(self) -> Self {
        Strict { depth: self.depth + 1, ..self }
    }

    fn take<E: serde::de::Error>(self, bytes: usize) -> Result<(), E> {
        let max = self.of.limits.memory_bytes_max;
        let left = self.of.room.get().checked_sub(bytes);
        self.of.room.set(left.ok_or_else(|| E::custom(format_args!("its values take more than {max} bytes")))?);
        Ok(())
    }
}

impl<'de, T: Build<'de>> Strict<'_, T> {
    /// Notes that the earlier value of a name does not count, where that is borne.
    fn forget<E: serde::de::Error>(self, name: &str, earlier: &T) -> Result<(), E> {
        let mut forgotten = self.of.forgotten.borrow_mut();
        let judged = self.of.limits.may_forget.zip(earlier.as_value());
        if forgotten.len() >= FORGOTTEN_MAX || !judged.is_some_and(|(may, earlier)| may(name, earlier)) {
            return Err(twice(name));
        }
        forgotten.push(name.to_owned());
        Ok(())
    }
}

impl<'de, T: Build<'de>> DeserializeSeed<'de> for Strict<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        let Some(tells) = self.of.limits.tells.filter(|_| self.depth >= self.of.limits.depth_max) else {
            return deserializer.deserialize_any(self);
        };
        // Nothing deeper is entered.
        let raw = <&RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with(['[', '{']) {
            return serde_json::Deserializer::from_str(raw.get()).deserialize_any(self).map_err(D::Error::custom);
        }
        // What somebody may leave by is taken for said, and judged by what stands beside it.
        Ok(match deep::holds(raw.get(), tells) {
            true => T::object(vec![(Cow::Borrowed("status"), T::text(Cow::Borrowed("inactive")))]),
            false => T::text(Cow::Borrowed("\0")),
        })
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
        Ok(T::text(Cow::Borrowed(if self.of.limits.unstorable { value } else { text(value)? })))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<T, E> {
        self.take(value.len())?;
        let value = if self.of.limits.unstorable { value } else { text(value)? };
        Ok(T::text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<T, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self.inner())? {
            self.take(size_of::<Value>())?;
            array.push(element);
        }
        Ok(T::array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<T, A::Error> {
        let (mut object, mut others) = (Distinct::new(), vec![]);
        let may_repeat = |name: &str| self.of.limits.repeated.iter().any(|own| own.eq_ignore_ascii_case(name));
        while let Some(name) = members.next_key_seed(Name)? {
            let place = object.place(&name)?;
            let is_listed = may_repeat(&name);
            if let (Some((_, earlier)), false) = (place.and_then(|at| object.members.get(at)), is_listed) {
                self.forget(&name, earlier)?;
            }
            self.take(size_of::<(usize, String, Value)>() + name.len())?;
            let value = members.next_value_seed(self.inner())?;
            match place.map(|at| (at, object.members.get_mut(at))) {
                Some((at, _)) if is_listed => others.push((at, value)),
                Some((_, Some(earlier))) => earlier.1 = value,
                _ => object.members.push((name, value)),
            }
        }
        let mut lists: BTreeMap<usize, Vec<T>> = BTreeMap::new();
        for (at, value) in others {
            lists.entry(at).or_default().push(value);
        }
        for (at, mut list) in lists {
            if let Some((_, value)) = object.members.get_mut(at) {
                list.insert(0, std::mem::replace(value, T::null()));
                *value = T::array(list);
            }
        }
        Ok(T::object(object.members))
    }
}

/// Reads the name of a member.
struct Name;

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
        text(name).map(Cow::Borrowed)
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text::<_, E>(name)?.to_owned()))
    }
}

/// Reads an object whose values stay text. `.0` tells which names may stand there again: they come again.
pub(super) struct RawMembers<F>(pub(super) F);

impl<'de, F: Fn(&str) -> bool> Visitor<'de> for RawMembers<F> {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut again) = (Distinct::new(), vec![]);
        while let Some(name) = members.next_key_seed(Name)? {
            match found.place(&name)? {
                None => found.members.push((name, members.next_value()?)),
                Some(_) if (self.0)(&name) && again.len() < FORGOTTEN_MAX => again.push((name, members.next_value()?)),
                Some(_) => return Err(twice(&name)),
            }
        }
        found.members.extend(again);
        Ok(found.members)
    }
}
