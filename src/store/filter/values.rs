//! Comparisons with the values of the index, which keeps only their first bytes.

use super::cond::{Relation, Test};
use crate::scim::filter::Operator;
use crate::store::index::{VALUE_BYTES_MAX, cut};

/// Two tests: what every value that compares so passes, and what only such values pass; `None` is none.
pub(super) struct Tests {
    pub(super) upper: Test,
    pub(super) lower: Option<Test>,
}

impl Tests {
    fn exact(test: Test) -> Tests {
        Tests { lower: Some(test.clone()), upper: test }
    }

    fn wide(upper: Test) -> Tests {
        Tests { upper, lower: None }
    }
}

/// A cut value has at least this many bytes: a character has at most four, and the next did not fit.
pub(super) const CUT_BYTES_MIN: usize = VALUE_BYTES_MAX - 3;

/// The tests for a comparison with a text; `whole` if values are never cut.
pub(super) fn tests(op: Operator, text: &str, whole: bool) -> Tests {
    let owned = || text.to_owned();
    // Values are never empty, and all of them contain nothing.
    if text.is_empty() && op.is_within() {
        return Tests::exact(Test::Any);
    }
    let fits = whole || text.len() <= VALUE_BYTES_MAX;
    match op {
        Operator::Eq if fits => Tests::exact(Test::In(vec![owned()])),
        Operator::Eq => Tests::wide(Test::CutTo(cut(text, VALUE_BYTES_MAX).to_owned())),
        Operator::Ne if whole || text.len() < CUT_BYTES_MIN => Tests::exact(Test::Compare(Relation::Unequal, owned())),
        Operator::Ne if fits => Tests::exact(Test::UnequalOrCut(owned())),
        // What is whole is another text, even if it is all that is left of this one.
        Operator::Ne => Tests::wide(Test::Any),
        Operator::Sw if whole || text.len() <= CUT_BYTES_MIN => Tests::exact(starts_with(text)),
        Operator::Sw => Tests::wide(starts_with(cut(text, CUT_BYTES_MIN))),
        Operator::Co if whole => Tests::exact(Test::Contains(owned())),
        Operator::Ew if whole => Tests::exact(Test::EndsWith(owned())),
        Operator::Co => Tests { upper: Test::ContainsOrCut(owned()), lower: Some(Test::Contains(owned())) },
        // What a cut value ends with is not known.
        Operator::Ew => Tests { upper: Test::EndsWithOrCut(owned()), lower: Some(Test::EndsWithUncut(owned())) },
        Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le => ordered(op, text, whole),
    }
}

fn ordered(op: Operator, text: &str, whole: bool) -> Tests {
    let relation = match op {
        Operator::Gt => Relation::Greater,
        Operator::Ge => Relation::AtLeast,
        Operator::Lt => Relation::Less,
        _ => Relation::AtMost,
    };
    // A cut value is longer than the text, so where they differ lies within what is kept.
    if whole || text.len() < CUT_BYTES_MIN {
        return Tests::exact(Test::Compare(relation, text.to_owned()));
    }
    let head = cut(text, CUT_BYTES_MIN - 1);
    match (op, after(head)) {
        (Operator::Gt | Operator::Ge, _) => Tests::wide(Test::Compare(Relation::AtLeast, head.to_owned())),
        (_, Some(end)) => Tests::wide(Test::Compare(Relation::Less, end)),
        (_, None) => Tests::wide(Test::Any),
    }
}

fn starts_with(text: &str) -> Test {
    Test::Between(text.to_owned(), after(text))
}

/// The first text behind all those that start with this one; `None` if there is none.
fn after(text: &str) -> Option<String> {
    let mut chars: Vec<char> = text.chars().collect();
    while let Some(last) = chars.pop() {
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_text() {
        assert_eq!(after("ab").as_deref(), Some("ac"));
        assert_eq!(after("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(after("\u{10ffff}"), None);
    }

    #[test]
    fn what_reaches_the_cut_is_not_decided() {
        let exact = |op, bytes| tests(op, &"x".repeat(bytes), false).lower.is_some();
        for (op, most) in
            [(Operator::Eq, 512), (Operator::Ne, 512), (Operator::Sw, 509), (Operator::Gt, 508), (Operator::Le, 508)]
        {
            assert!(exact(op, most), "{op} {most}");
            assert!(!exact(op, most + 1), "{op} {}", most + 1);
        }
    }
}
