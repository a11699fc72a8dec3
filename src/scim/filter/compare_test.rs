use serde_json::json;

use super::super::super::schema::registry;
use super::super::Operand;
use super::*;

fn attr(kind: Kind) -> Attribute {
    let mut attr = registry().by_name("User").unwrap().attribute("title").cloned().unwrap();
    attr.kind = kind;
    attr
}

#[test]
fn numbers_compare_exactly() {
    let number = |a: Value, b: Value| {
        let attr = attr(Kind::Integer);
        scalar(&attr, &a).unwrap().compare(&scalar(&attr, &b).unwrap())
    };
    assert_eq!(number(json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64)), Ordering::Greater);
    assert_eq!(number(json!(1), json!(1.0)), Ordering::Equal);
    assert_eq!(number(json!(-1), json!(u64::MAX)), Ordering::Less);
    assert_eq!(number(json!(0.5), json!(1)), Ordering::Less);
}

#[test]
fn index_texts_keep_the_order_of_values() {
    let text = |kind, value: Value| index_text(&attr(kind), &value);
    assert_eq!(text(Kind::String, json!("ÅSE")).as_deref(), Some("åse"));
    assert_eq!(text(Kind::Reference, json!("ÅSE")).as_deref(), Some("ÅSE"));
    assert_eq!(text(Kind::Boolean, json!(true)).as_deref(), Some("true"));
    assert_eq!(
        text(Kind::DateTime, json!("2011-05-13T06:42:34+02:00")).as_deref(),
        Some("2011-05-13T04:42:34.000000000Z")
    );
    assert_eq!(text(Kind::Integer, json!(1)), None);
    assert_eq!(text(Kind::String, json!("")), None);
    assert_eq!(text(Kind::String, json!(1)), None);
    assert_eq!(text(Kind::DateTime, json!("0000-01-01T00:00:00+23:00")), None);
    assert_eq!(Operand::Text("x".into()).index_text().as_deref(), Some("x"));
    assert_eq!(Operand::Bool(false).index_text().as_deref(), Some("false"));
    assert_eq!(Operand::Null.index_text(), None);
}

proptest::proptest! {
    #[test]
    fn index_order_is_evaluation_order(a: String, b: String, exact: bool) {
        let attr = Attribute { case_exact: exact, ..attr(Kind::String) };
        let (x, y) = (json!(a), json!(b));
        if let (Some(x), Some(y)) = (scalar(&attr, &x), scalar(&attr, &y)) {
            proptest::prop_assert_eq!(x.compare(&y), x.index_text().cmp(&y.index_text()));
        }
    }
}
