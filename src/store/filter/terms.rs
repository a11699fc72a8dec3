//! What the index says about one term of a filter.

use chrono::{DateTime, Timelike, Utc};
use serde_json::json;

use super::cond::{Clock, Cond, Leaf, Path, Relation, RowTest, Spread, Test, Which};
use super::values::{Tests, tests};
use crate::domain::Id;
use crate::scim::attribute::Kind;
use crate::scim::filter::{Bound, Operand, Operator, matches};
use crate::scim::path::{AttrRef, Name, resolve};
use crate::scim::schema::registry;
use crate::scim::{ResourceType, Uniqueness};
use crate::store::index::path_key;

/// What every match meets, and what only matches meet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bounds {
    pub(super) upper: Cond,
    pub(super) lower: Cond,
    /// Whether both are the same, so that no document is needed.
    pub(super) exact: bool,
}

impl Bounds {
    /// What the index says nothing about.
    pub(super) const UNKNOWN: Bounds = Bounds { upper: Cond::True, lower: Cond::False, exact: false };

    pub(super) fn exact(cond: impl Into<Cond>) -> Bounds {
        let cond = cond.into();
        Bounds { upper: cond.clone(), lower: cond, exact: true }
    }

    pub(super) fn between(lower: Cond, upper: Cond) -> Bounds {
        Bounds { upper, lower, exact: false }
    }

    pub(super) fn all(parts: impl IntoIterator<Item = Bounds>) -> Bounds {
        Bounds::combine(parts, Cond::all)
    }

    pub(super) fn any(parts: impl IntoIterator<Item = Bounds>) -> Bounds {
        Bounds::combine(parts, Cond::any)
    }

    fn combine(parts: impl IntoIterator<Item = Bounds>, join: fn(Vec<Cond>) -> Cond) -> Bounds {
        let (mut uppers, mut lowers, mut exact) = (vec![], vec![], true);
        for part in parts {
            uppers.push(part.upper);
            lowers.push(part.lower);
            exact &= part.exact;
        }
        Bounds { upper: join(uppers), lower: join(lowers), exact }
    }

    pub(super) fn opposite(self) -> Bounds {
        Bounds { upper: self.lower.opposite(), lower: self.upper.opposite(), exact: self.exact }
    }

    /// One is a constant where the other decides: the residual need not.
    pub(super) fn settled(self) -> Bounds {
        let exact = self.exact || self.upper == self.lower;
        Bounds { exact, ..self }
    }
}

/// Where conditions on resources of a type come from.
#[derive(Clone, Copy)]
pub(super) struct Binder {
    pub(super) resource_type: &'static ResourceType,
    /// Whose externalId counts.
    pub(super) connection: Option<i64>,
}

impl Binder {
    pub(super) fn present(self, target: AttrRef) -> Bounds {
        match self.source(target) {
            Source::Id | Source::Clock(_) | Source::Constant => Bounds::exact(Cond::True),
            Source::ExternalId => Bounds::exact(self.external_id(Test::Any)),
            Source::Members => Bounds::exact(Leaf::Member(None)),
            Source::Groups => Bounds::exact(Leaf::Group(Which::Any)),
            Source::GroupName(path) => Bounds::exact(named(path, Test::Any)),
            Source::Other => self.indexed_present(target),
        }
    }

    /// Whether an indexed path, or any of those of a complex attribute, has a row.
    pub(super) fn indexed_present(self, target: AttrRef) -> Bounds {
        let row = |path| Cond::from(Leaf::Row(RowTest { path, test: Test::Any }));
        // A time that cannot be read is present and not indexed.
        let always = matches!(target.leaf().kind, Kind::String | Kind::Boolean | Kind::Reference | Kind::Binary);
        match self.indexed(target) {
            Some(path) if always => Bounds::exact(row(path)),
            Some(path) => Bounds::between(row(path), Cond::True),
            None if target.leaf().is_complex() => {
                let subs = target.attribute.sub_attributes.iter();
                let paths = subs.filter_map(|sub| self.indexed(AttrRef { sub: Some(sub), ..target }));
                Bounds::between(Cond::any(paths.map(row)), Cond::True)
            }
            None => Bounds::UNKNOWN,
        }
    }

    pub(super) fn compare(self, bound: &Bound, target: AttrRef, op: Operator, operand: &Operand) -> Bounds {
        match (self.source(target), operand) {
            (Source::Id, Operand::Text(text)) => id(op, text),
            (Source::Clock(clock), Operand::Time(time)) => Bounds::exact(at(clock, op, *time)),
            (Source::Constant, Operand::Text(text)) => self.constant(bound, target, op, text),
            (Source::ExternalId, Operand::Text(text)) => some_value(op, text, true, |test| self.external_id(test)),
            (Source::Members, Operand::Text(text)) if is_value(target) => related(op, text, member),
            (Source::Groups, Operand::Text(text)) if is_value(target) => related(op, text, group),
            (Source::GroupName(path), Operand::Text(text)) => some_value(op, text, false, |test| named(path, test)),
            (Source::Other, _) => self.indexed_compare(target, op, operand),
            _ => Bounds::UNKNOWN,
        }
    }

    /// A comparison with the values of an indexed path.
    pub(super) fn indexed_compare(self, target: AttrRef, op: Operator, operand: &Operand) -> Bounds {
        let (Some(path), Some(text)) = (self.indexed(target), operand.index_text()) else { return Bounds::UNKNOWN };
        let whole = matches!(target.leaf().kind, Kind::Boolean | Kind::DateTime);
        some_value(op, &text, whole, |test| Leaf::Row(RowTest { path, test }).into())
    }

    fn external_id(self, test: Test) -> Cond {
        self.connection.map_or(Cond::False, |connection| Leaf::ExternalId(connection, test).into())
    }

    /// What is the same in every resource of the type.
    fn constant(self, bound: &Bound, target: AttrRef, op: Operator, text: &str) -> Bounds {
        if target.sub.is_some_and(|sub| sub.name == "resourceType") {
            let document = json!({"meta": {"resourceType": self.resource_type.name}});
            return Bounds::exact(Cond::from(document.as_object().is_some_and(|document| matches(bound, document))));
        }
        let base = target.attribute.name == "schemas" && self.resource_type.schema.id.eq_ignore_ascii_case(text);
        if base && op == Operator::Eq { Bounds::exact(Cond::True) } else { Bounds::UNKNOWN }
    }

    /// The indexed path of that name.
    fn indexed(self, target: AttrRef) -> Option<Path> {
        let name = target.to_string();
        if !self.resource_type.indexed.contains(&name) {
            return None;
        }
        let leaf = target.leaf();
        let spread = match leaf.kind {
            Kind::Boolean => Spread::Many,
            _ if !leaf.canonical_values.is_empty() => Spread::Many,
            _ if leaf.uniqueness != Uniqueness::None => Spread::One,
            _ => Spread::Some,
        };
        let key = path_key(&self.resource_type.name, &name);
        Some(Path { key, is_multi_valued: target.attribute.multi_valued || leaf.multi_valued, spread })
    }

    pub(super) fn source(self, target: AttrRef) -> Source {
        if target.extension.is_some() {
            return Source::Other;
        }
        let sub = target.sub.map(|sub| sub.name.as_str());
        // Every member and group has these; `display` it may have.
        let always = matches!(sub, None | Some("value" | "$ref" | "type"));
        if self.resource_type.rows.is_some_and(|rows| std::ptr::eq(rows, target.attribute)) && always {
            return Source::Members;
        }
        match (target.attribute.name.as_str(), sub) {
            ("id", None) => Source::Id,
            ("externalId", None) => Source::ExternalId,
            ("schemas", None) | ("meta", None | Some("resourceType" | "version" | "location")) => Source::Constant,
            ("meta", Some("created")) => Source::Clock(Clock::Created),
            ("meta", Some("lastModified")) => Source::Clock(Clock::Modified),
            ("groups", _) if always => Source::Groups,
            ("groups", Some("display")) => group_names().map_or(Source::Other, Source::GroupName),
            _ => Source::Other,
        }
    }
}

/// Where the values of an attribute are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Id,
    ExternalId,
    Clock(Clock),
    /// In every view, and not in the document.
    Constant,
    Members,
    Groups,
    /// The names of groups, by the index of groups.
    GroupName(Path),
    /// In the document, perhaps indexed.
    Other,
}

fn is_value(target: AttrRef) -> bool {
    target.sub.is_some_and(|sub| sub.name == "value")
}

/// The index of the names of groups, which is what `groups` displays.
fn group_names() -> Option<Path> {
    let mut types = registry().types.iter().copied().filter(|one| one.rows.is_some());
    // Names of several types would be in several indexes.
    let (Some(resource_type), None) = (types.next(), types.next()) else { return None };
    // So would those that several attributes say.
    let [display] = resource_type.display.as_slice() else { return None };
    match resolve(resource_type, &display.name)? {
        Name::Attribute(target) => Binder { resource_type, connection: None }.indexed(target),
        _ => None,
    }
}

fn named(path: Path, test: Test) -> Cond {
    Leaf::Group(Which::Named(RowTest { path, test })).into()
}

/// It has this member.
fn member(id: Id) -> Leaf {
    Leaf::Member(Some(id))
}

/// It is in this group.
fn group(id: Id) -> Leaf {
    Leaf::Group(Which::Id(id))
}

/// Some value compares so; for `ne`, also no value.
fn some_value(op: Operator, text: &str, whole: bool, cond: impl Fn(Test) -> Cond) -> Bounds {
    let found = spread(tests(op, text, whole), &cond);
    if op != Operator::Ne {
        return found;
    }
    Bounds::any([found, Bounds::exact(cond(Test::Any).opposite())])
}

fn spread(tests: Tests, cond: impl Fn(Test) -> Cond) -> Bounds {
    match tests.lower {
        Some(lower) if lower == tests.upper => Bounds::exact(cond(lower)),
        Some(lower) => Bounds::between(cond(lower), cond(tests.upper)),
        None => Bounds::between(Cond::False, cond(tests.upper)),
    }
}

/// Ids have one spelling.
fn id(op: Operator, text: &str) -> Bounds {
    let equal = Id::parse(text).map_or(Cond::False, |id| Leaf::Id(vec![id]).into());
    match op {
        Operator::Eq => Bounds::exact(equal),
        Operator::Ne => Bounds::exact(equal.opposite()),
        _ => Bounds::UNKNOWN,
    }
}

/// Whether some member or group has that id.
fn related(op: Operator, text: &str, leaf: fn(Id) -> Leaf) -> Bounds {
    match op {
        Operator::Eq => Bounds::exact(Id::parse(text).map_or(Cond::False, |id| leaf(id).into())),
        _ => Bounds::UNKNOWN,
    }
}

/// Stored times are whole milliseconds, and shown so; the operand may lie between two.
fn at(clock: Clock, op: Operator, time: DateTime<Utc>) -> Cond {
    const LEAP: u32 = 1_000_000_000;
    // A leap second comes after everything in the second that it follows.
    let whole = time.nanosecond() < LEAP && time.nanosecond().is_multiple_of(1_000_000);
    let millis = if time.nanosecond() < LEAP { time.timestamp_millis() } else { time.timestamp() * 1_000 + 999 };
    let relation = match (op, whole) {
        (Operator::Eq, false) => return Cond::False,
        (Operator::Ne, false) => return Cond::True,
        (Operator::Eq, true) => Relation::Equal,
        (Operator::Ne, true) => Relation::Unequal,
        (Operator::Ge, true) => Relation::AtLeast,
        (Operator::Gt, _) | (Operator::Ge, false) => Relation::Greater,
        (Operator::Lt, true) => Relation::Less,
        (Operator::Le, _) | (Operator::Lt, false) => Relation::AtMost,
        (Operator::Co | Operator::Sw | Operator::Ew, _) => return Cond::False,
    };
    Leaf::Time(clock, relation, millis).into()
}
