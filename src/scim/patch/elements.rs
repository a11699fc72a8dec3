//! Operations on multi-valued attributes: their whole, or elements that a filter chooses.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::super::attribute::Attribute;
use super::super::error::{Error, ScimType};
use super::super::filter::{Bound, Filter, element_matches, index_text};
use super::super::path::AttrRef;
use super::super::tolerance::{Tolerance, Tolerances};
use super::super::validate::{self, ELEMENTS_MAX, is_label, is_labels};
use super::merge::{given_object, merge, set_sub, settled};
use super::target::described;
use super::{Op, Operation};

/// Which elements, and which part of them.
pub(super) struct Choice<'c> {
    /// The filter, bound and as written; `None` for every element.
    pub(super) filter: Option<(&'c Bound, &'c Filter)>,
    pub(super) sub: Option<&'static Attribute>,
}

/// Changes all elements: no filter, no sub-attribute.
pub(super) fn whole(
    attr: &AttrRef,
    old: Option<Value>,
    operation: &Operation,
    tolerances: &mut Tolerances,
) -> Result<Option<Value>, Error> {
    let at = attr.to_string();
    let attribute = attr.attribute;
    if operation.op == Op::Remove {
        return match &operation.value {
            None | Some(Value::Null) => settled(attribute, old.as_ref(), None, &at),
            Some(value) => {
                let kept = without(attr, list(old.clone()), value, tolerances)?;
                settled(attribute, old.as_ref(), some(kept), &at)
            }
        };
    }
    let given = validate::value(attribute, operation.value.clone().unwrap_or_default(), &at, tolerances)?;
    if operation.op == Op::Replace || old.is_none() {
        let mut given = list(given);
        let set: Vec<_> = (0..given.len()).filter(|i| given.get(*i).is_some_and(is_primary)).collect();
        clear_others(&mut given, &set);
        // Adding nothing to nothing takes nothing away, not even what is required.
        if operation.op == Op::Add && given.is_empty() {
            return Ok(old);
        }
        return settled(attribute, old.as_ref(), some(given), &at);
    }
    let merged = join(attribute, list(old.clone()), list(given));
    limited(&merged, &at)?;
    settled(attribute, old.as_ref(), some(merged), &at)
}

/// Adds elements; one that is there already takes over what is new in it (RFC 7644 §3.5.2.1).
fn join(attribute: &Attribute, mut elements: Vec<Value>, given: Vec<Value>) -> Vec<Value> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(elements.len() + given.len());
    for (place, element) in elements.iter().enumerate() {
        places.entry(identity(attribute, element)).or_insert(place);
    }
    let mut set = vec![];
    for element in given {
        let place = *places.entry(identity(attribute, &element)).or_insert(elements.len());
        if is_primary(&element) {
            set.push(place);
        }
        match (elements.get_mut(place), element) {
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
            (Some(old), new) => *old = new,
            (None, new) => elements.push(new),
        }
    }
    clear_others(&mut elements, &set);
    elements
}

/// Changes the elements that a choice finds, or a sub-attribute of each.
pub(super) fn chosen(
    attr: &AttrRef,
    old: Option<Value>,
    operation: &Operation,
    choice: &Choice<'_>,
    tolerances: &mut Tolerances,
) -> Result<Option<Value>, Error> {
    let elements = list(old.clone());
    let fits = |element: &Value| match (choice.filter, element) {
        (Some((filter, _)), Value::Object(element)) => element_matches(filter, element),
        (filter, _) => filter.is_none(),
    };
    let found: Vec<usize> =
        elements.iter().enumerate().filter(|(_, element)| fits(element)).map(|(place, _)| place).collect();
    let value = match operation.op {
        Op::Remove => Value::Null,
        Op::Add | Op::Replace => operation.value.clone().unwrap_or_default(),
    };
    let mut change = Change { attr, at: attr.to_string(), elements, found, tolerances };
    match (change.found.is_empty(), choice.sub) {
        (true, _) => change.create(operation.op, choice, value)?,
        (false, Some(sub)) => change.set(sub, value)?,
        (false, None) => change.replace(operation.op, value)?,
    }
    let elements = change.finish()?;
    settled(attr.attribute, old.as_ref(), some(elements), &attr.to_string()).or_else(|error| match old {
        // Nothing was there and nothing was asked to go.
        None => Ok(None),
        Some(_) => Err(error),
    })
}

struct Change<'c> {
    attr: &'c AttrRef,
    at: String,
    elements: Vec<Value>,
    /// The places of the chosen elements.
    found: Vec<usize>,
    tolerances: &'c mut Tolerances,
}

impl Change<'_> {
    /// Nothing matches. Adding and replacing make the element that the filter describes, if it may
    /// (RFC 7644 §3.5.2.3: `noTarget`; Entra expects the element).
    fn create(&mut self, op: Op, choice: &Choice<'_>, value: Value) -> Result<(), Error> {
        let attribute = self.attr.attribute;
        let value = self.unwrapped(choice.sub, value);
        let missing = || Error::new(ScimType::NoTarget, format!("{}: no element matches", self.attr));
        if op == Op::Remove || value.is_null() {
            let allowed = choice.filter.is_none() || self.tolerances.allow(Tolerance::RemoveAbsent);
            return if allowed { Ok(()) } else { Err(missing()) };
        }
        let mut element = match choice.filter {
            // `replace` where there is no value is `add` (RFC 7644 §3.5.2.3).
            None => Map::new(),
            Some((_, written)) => {
                let described = described(attribute, written).ok_or_else(missing)?;
                let tolerance = if op == Op::Add { Tolerance::AddCreates } else { Tolerance::ReplaceCreates };
                if !self.tolerances.allow(tolerance) {
                    return Err(missing());
                }
                self.described(described)?
            }
        };
        match choice.sub {
            Some(sub) => {
                let at = format!("{}.{}", self.at, sub.name);
                set_sub(&mut element, sub, value, &at, self.tolerances)?;
            }
            None => {
                let given = given_object(attribute, value, &self.at, self.tolerances)?.unwrap_or_default();
                let names: Vec<String> = given.keys().cloned().collect();
                merge(&mut element, attribute, given, &self.at, self.tolerances)?;
                if is_emptied(attribute, &names, &element) {
                    return Ok(());
                }
            }
        }
        let primary = element.get("primary") == Some(&Value::Bool(true));
        self.found.push(self.elements.len());
        self.elements.push(Value::Object(element));
        self.settle_primary(primary)
    }

    /// The element that a filter describes. One whose value is said to be empty gets another one: its labels stay.
    fn described(&mut self, described: Map<String, Value>) -> Result<Map<String, Value>, Error> {
        let attribute = self.attr.attribute;
        let labels: Map<_, _> = described.clone().into_iter().filter(|(name, _)| is_label(name)).collect();
        for members in [described, labels] {
            let element = validate::element(attribute, Value::Object(members), &self.at, self.tolerances)?;
            if let Some(Value::Object(element)) = element {
                return Ok(element);
            }
        }
        Ok(Map::new())
    }

    /// What is meant by what was sent for an element or a part of it: everything that says that there is no
    /// value says it here as it does elsewhere, and a list of one is its one.
    fn unwrapped(&mut self, sub: Option<&'static Attribute>, value: Value) -> Value {
        let is_complex = sub.unwrap_or(self.attr.attribute).is_complex();
        match value {
            Value::Array(list) if list.is_empty() => Value::Null,
            Value::Object(members) if is_complex && members.is_empty() => Value::Null,
            Value::String(text) if text.is_empty() && self.tolerances.allow(Tolerance::EmptyText) => Value::Null,
            Value::Array(mut list) if list.len() == 1 && list.first().is_some_and(|one| fits(is_complex, one)) => {
                let tolerance = if is_complex { Tolerance::ComplexBare } else { Tolerance::ListOfOne };
                match self.tolerances.allow(tolerance) {
                    true => self.unwrapped(sub, list.pop().unwrap_or_default()),
                    false => Value::Array(list),
                }
            }
            value => value,
        }
    }

    /// Sets or unassigns a sub-attribute of every chosen element.
    fn set(&mut self, sub: &'static Attribute, value: Value) -> Result<(), Error> {
        let at = format!("{}.{}", self.attr, sub.name);
        for place in &self.found {
            if let Some(Value::Object(element)) = self.elements.get_mut(*place) {
                let had = element.contains_key(&sub.name);
                set_sub(element, sub, value.clone(), &at, self.tolerances)?;
                // What is left of an e-mail without its address says nothing.
                if had && !element.contains_key(&sub.name) && is_labels(element) {
                    element.clear();
                }
            }
        }
        let primary = sub.name == "primary" && self.chosen().any(is_primary);
        self.settle_primary(primary)
    }

    /// Takes away, replaces or completes every chosen element.
    fn replace(&mut self, op: Op, value: Value) -> Result<(), Error> {
        let attribute = self.attr.attribute;
        let mut primary = false;
        // Adding an element without any part takes nothing away.
        if op == Op::Add && value.as_object().is_some_and(Map::is_empty) {
            return Ok(());
        }
        let value = self.unwrapped(None, value);
        for place in &self.found {
            let Some(element) = self.elements.get_mut(*place) else { continue };
            let value = value.clone();
            match (op, &mut *element) {
                (Op::Add, Value::Object(members)) if !value.is_null() => {
                    let Some(given) = given_object(attribute, value, &self.at, self.tolerances)? else { continue };
                    let names: Vec<String> = given.keys().cloned().collect();
                    let named = names.iter().any(|key| key.eq_ignore_ascii_case("primary"));
                    merge(members, attribute, given, &self.at, self.tolerances)?;
                    if is_emptied(attribute, &names, members) {
                        members.clear();
                    }
                    primary |= named && is_primary(element);
                }
                // RFC 7644 §3.5.2.3: "all matching record values SHALL be replaced".
                _ => {
                    let new = validate::element(attribute, value, &self.at, self.tolerances)?;
                    *element = new.unwrap_or_default();
                    primary |= is_primary(element);
                }
            }
        }
        self.settle_primary(primary)
    }

    fn chosen(&self) -> impl Iterator<Item = &Value> {
        self.found.iter().filter_map(|place| self.elements.get(*place))
    }

    /// One value may be primary: the one that was just set (RFC 7644 §3.5.2).
    fn settle_primary(&mut self, set: bool) -> Result<(), Error> {
        if set && self.found.len() > 1 {
            return Err(Error::value(format!("{}: {} values would be primary", self.attr, self.found.len())));
        }
        if set {
            clear_others(&mut self.elements, &self.found);
        }
        Ok(())
    }

    /// Drops empty elements, and doubles that a change of several made.
    fn finish(mut self) -> Result<Vec<Value>, Error> {
        self.elements
            .retain(|element| !matches!(element, Value::Null) && element.as_object().is_none_or(|e| !e.is_empty()));
        limited(&self.elements, &self.at)?;
        if self.found.len() > 1 {
            return Ok(join(self.attr.attribute, vec![], self.elements));
        }
        Ok(self.elements)
    }
}

/// The elements without those that a list names: what Entra and Okta mean by `remove` with a value.
fn without(
    attr: &AttrRef,
    elements: Vec<Value>,
    value: &Value,
    tolerances: &mut Tolerances,
) -> Result<Vec<Value>, Error> {
    let attribute = attr.attribute;
    if !tolerances.allow(Tolerance::RemoveValues) {
        return Err(Error::value(format!("{attr}: remove takes no value")));
    }
    let named = list(validate::value(attribute, value.clone(), &attr.to_string(), tolerances)?);
    let mut by_value: HashMap<String, Vec<&Value>> = HashMap::new();
    let mut others = vec![];
    for named in &named {
        match part(attribute, named, "value") {
            Some(key) => by_value.entry(key).or_default().push(named),
            None => others.push(named),
        }
    }
    let before = elements.len();
    let is_named = |element: &Value| {
        let same_value = part(attribute, element, "value").and_then(|key| by_value.get(&key));
        same_value.is_some_and(|named| named.iter().any(|named| same_type(attribute, named, element)))
            || others.iter().any(|named| contains(element, named))
    };
    let kept: Vec<Value> = elements.into_iter().filter(|element| !is_named(element)).collect();
    if kept.len() == before && !named.is_empty() && !tolerances.allow(Tolerance::RemoveAbsent) {
        return Err(Error::new(ScimType::NoTarget, format!("{attr}: no element matches")));
    }
    Ok(kept)
}

/// Whether an element has the type that another one names, if it names one.
fn same_type(attribute: &Attribute, named: &Value, element: &Value) -> bool {
    part(attribute, named, "type").is_none_or(|wanted| part(attribute, element, "type") == Some(wanted))
}

/// Whether an element has everything that another one says.
fn contains(element: &Value, named: &Value) -> bool {
    match (element, named) {
        (Value::Object(element), Value::Object(named)) => {
            named.iter().all(|(key, value)| element.get(key) == Some(value))
        }
        _ => element == named,
    }
}

/// The comparison key of a sub-attribute; of the element itself if it is simple and `value` is asked for.
fn part(attribute: &Attribute, element: &Value, name: &str) -> Option<String> {
    if !attribute.is_complex() {
        return if name == "value" { index_text(attribute, element) } else { None };
    }
    let sub = attribute.sub(name)?;
    index_text(sub, element.get(&sub.name)?)
}

/// What makes two elements the same: value and type, or everything where there is no value.
fn identity(attribute: &Attribute, element: &Value) -> String {
    match (part(attribute, element, "value"), element) {
        (Some(value), _) => format!("{value}\0{}", part(attribute, element, "type").unwrap_or_default()),
        (None, Value::Object(members)) => {
            let ordered = attribute.sub_attributes.iter().filter_map(|sub| members.get_key_value(&sub.name));
            Value::Object(ordered.map(|(key, value)| (key.clone(), value.clone())).collect()).to_string()
        }
        (None, other) => other.to_string(),
    }
}

/// Of the elements that were set to primary the last one is; no other element stays so.
fn clear_others(elements: &mut [Value], set: &[usize]) {
    let Some(last) = set.last() else { return };
    for (place, element) in elements.iter_mut().enumerate() {
        if place != *last
            && is_primary(element)
            && let Value::Object(members) = element
        {
            members.insert("primary".into(), Value::Bool(false));
        }
    }
}

/// Whether a list holds what one value of this kind may be.
fn fits(is_complex: bool, one: &Value) -> bool {
    match one {
        Value::Array(_) => false,
        Value::Object(_) => is_complex,
        _ => true,
    }
}

fn is_primary(element: &Value) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}

/// Whether some of what was given took the value of an element away, and nothing but labels is left.
fn is_emptied(attribute: &Attribute, given: &[String], element: &Map<String, Value>) -> bool {
    let subs = given.iter().filter_map(|name| attribute.sub(name));
    let mut gone = subs.filter(|sub| !sub.is_made() && !is_label(&sub.name) && !element.contains_key(&sub.name));
    is_labels(element) && gone.next().is_some()
}

fn limited(elements: &[Value], at: &str) -> Result<(), Error> {
    if elements.len() > ELEMENTS_MAX {
        return Err(Error::value(format!("{at}: has {} values, at most {ELEMENTS_MAX} are accepted", elements.len())));
    }
    Ok(())
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(elements)) => elements,
        Some(Value::Null) | None => vec![],
        Some(one) => vec![one],
    }
}

fn some(elements: Vec<Value>) -> Option<Value> {
    if elements.is_empty() { None } else { Some(Value::Array(elements)) }
}
