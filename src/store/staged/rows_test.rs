use super::merge::{after, can_follow};
use super::*;

fn text(text: &'static str) -> Cell<'static> {
    text.into()
}

#[test]
fn two_changes_of_a_row_are_written_as_one() {
    let both = |table: &Table, before: Op<'static>, next: Op<'static>| {
        assert!(can_follow(&before, &next));
        after(table, before, next)
    };
    // Fixed columns stay, others are replaced, versions are counted, and times go on.
    let fixed = || vec![Cell::Null; 4];
    let made = |name: &'static str, version: i64, modified: i64| {
        let mut row = fixed();
        row.extend([text(name), text("{}"), version.into(), modified.into()]);
        row
    };
    let change = |name: &'static str, modified: i64| vec![text(name), text("{}"), 1.into(), modified.into()];
    assert_eq!(
        both(&RESOURCES, Op::Insert(made("a", 1, 50)), Op::Update(change("b", 40))),
        Some(Op::Insert(made("b", 2, 51)))
    );
    let twice = both(&RESOURCES, Op::Update(change("a", 50)), Op::Update(change("b", 60)));
    assert_eq!(twice, Some(Op::Update(vec![text("b"), text("{}"), 2.into(), 60.into()])));
    assert_eq!(both(&RESOURCES, Op::Insert(made("a", 1, 50)), Op::Delete), None);
    assert_eq!(both(&RESOURCES, Op::Update(change("a", 50)), Op::Delete), Some(Op::Delete));
    assert_eq!(both(&COUNTERS, Op::Put(vec![3.into()]), Op::Put(vec![(-1).into()])), Some(Op::Put(vec![2.into()])));
    let first = both(&PRINCIPAL_HISTORY, Op::Keep(vec![true.into()]), Op::Keep(vec![false.into()]));
    assert_eq!(first, Some(Op::Keep(vec![true.into()])));
    for (before, next) in [
        (Op::Delete, Op::Insert(vec![])),
        (Op::Insert(vec![]), Op::Insert(vec![])),
        (Op::Delete, Op::Update(vec![])),
        (Op::Keep(vec![]), Op::Delete),
    ] {
        assert!(!can_follow(&before, &next), "{before:?} {next:?}");
    }
}

#[test]
fn what_waits_is_bounded() {
    let mut unit = Unit::begin(1);
    let document = "x".repeat(BYTES_MAX / 2);
    for key in 0..3 {
        let row = vec![Cell::Null, Cell::from(document.as_str()), 1.into(), 1.into()];
        unit.own.put(&RESOURCES, vec![key.into()], Op::Update(row).into_owned());
        unit.keep_own();
        assert_eq!(unit.is_heavy(), key == 2, "{key}");
    }
    unit.done = Layer::default();
    assert!(!unit.is_heavy());
}

#[test]
fn tables_stand_in_the_order_of_their_places() {
    for (place, table) in tables::ALL.iter().enumerate() {
        assert_eq!(table.place, place, "{}", table.name);
    }
}
