//! What JSON is read into: a [`Value`] to keep, or a [`Tree`] to look at and drop.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// Something that JSON can be read into.
pub trait Build<'b>: Sized {
    /// From `null`.
    fn null() -> Self;
    /// From `true` or `false`.
    fn bool(value: bool) -> Self;
    /// From a number.
    fn number(value: Number) -> Self;
    /// From a text.
    fn text(value: Cow<'b, str>) -> Self;
    /// From the elements of an array.
    fn array(elements: Vec<Self>) -> Self;
    /// From the members of an object, no two of the same name.
    fn object(members: Vec<(Cow<'b, str>, Self)>) -> Self;
}

impl<'b> Build<'b> for Value {
    fn null() -> Value {
        Value::Null
    }

    fn bool(value: bool) -> Value {
        Value::Bool(value)
    }

    fn number(value: Number) -> Value {
        Value::Number(value)
    }

    fn text(value: Cow<'b, str>) -> Value {
        Value::String(value.into_owned())
    }

    fn array(elements: Vec<Value>) -> Value {
        Value::Array(elements)
    }

    fn object(members: Vec<(Cow<'b, str>, Value)>) -> Value {
        // Collected at the end: a map that grows has room for four members when it has one.
        Value::Object(members.into_iter().map(|(name, value)| (name.into_owned(), value)).collect())
    }
}

/// A JSON value that borrows the text it was read from. It is built and dropped in a third of the time of a
/// [`Value`]: for what is asked often and kept nowhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree<'b> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Cow<'b, str>),
    /// An array.
    Array(Vec<Tree<'b>>),
    /// An object.
    Object(Members<'b>),
}

/// The members of an object, as they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members<'b>(pub(super) Vec<(Cow<'b, str>, Tree<'b>)>);

impl<'b> Members<'b> {
    /// A member; names are compared exactly.
    pub fn get(&self, name: &str) -> Option<&Tree<'b>> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Each name with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tree<'b>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

/// The same value, borrowed.
impl<'v> From<&'v Value> for Tree<'v> {
    fn from(value: &'v Value) -> Tree<'v> {
        match value {
            Value::Null => Tree::Null,
            Value::Bool(value) => Tree::Bool(*value),
            Value::Number(number) => Tree::Number(number.clone()),
            Value::String(text) => Tree::Text(Cow::Borrowed(text)),
            Value::Array(items) => Tree::Array(items.iter().map(Tree::from).collect()),
            Value::Object(members) => Tree::Object(Members(
                members.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), Tree::from(value))).collect(),
            )),
        }
    }
}

impl<'b> Build<'b> for Tree<'b> {
    fn null() -> Tree<'b> {
        Tree::Null
    }

    fn bool(value: bool) -> Tree<'b> {
        Tree::Bool(value)
    }

    fn number(value: Number) -> Tree<'b> {
        Tree::Number(value)
    }

    fn text(value: Cow<'b, str>) -> Tree<'b> {
        Tree::Text(value)
    }

    fn array(elements: Vec<Tree<'b>>) -> Tree<'b> {
        Tree::Array(elements)
    }

    fn object(members: Vec<(Cow<'b, str>, Tree<'b>)>) -> Tree<'b> {
        Tree::Object(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, parse};
    use super::*;

    #[test]
    fn a_tree_borrows_what_needs_no_decoding() {
        let text = br#"{"a":"plain","b":"\u00e9","c":[null,true,1.5,-2],"d":{}}"#;
        let tree: Tree = parse(text, &Limits::default()).unwrap();
        let Tree::Object(members) = tree else { panic!("{tree:?}") };
        assert!(matches!(members.get("a"), Some(Tree::Text(Cow::Borrowed("plain")))));
        assert!(matches!(members.get("b"), Some(Tree::Text(Cow::Owned(text))) if text == "é"));
        let number = |text: &str| Tree::Number(text.parse().unwrap());
        let elements = vec![Tree::Null, Tree::Bool(true), number("1.5"), number("-2")];
        assert_eq!(members.get("c"), Some(&Tree::Array(elements)));
        assert_eq!(members.get("d"), Some(&Tree::Object(Members::default())));
        assert_eq!((members.get("A"), members.iter().count()), (None, 4));
    }
}
