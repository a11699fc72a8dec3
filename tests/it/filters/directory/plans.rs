//! What tenants shall hold: at random, or always the same.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{AgentPlan, GroupPlan, Plan, UserPlan};

/// Values that collide, nest, differ by case, width and composition, and surround the cut at 512 bytes.
pub fn texts() -> impl Strategy<Value = String> {
    let long = |text: &str, bytes: usize| text.repeat(bytes / text.len());
    prop_oneof![
        6 => prop::sample::select(vec!["a", "A", "ab", "abc", "b", "B", "ba", "éa", "E\u{301}A", "Ａ", "ß", "z\u{10ffff}", "%", "_", "a%", "?", "'"]).prop_map(str::to_owned),
        1 => Just(String::new()),
        1 => "[abé]{1,3}",
        2 => (prop::sample::select(vec!["a", "é", "日"]), 505_usize..520, "[ab]{0,2}").prop_map(move |(unit, bytes, end)| long(unit, bytes) + &end),
    ]
}

fn put(
    name: &'static str,
    value: impl Strategy<Value = Option<Value>> + 'static,
) -> BoxedStrategy<(&'static str, Option<Value>)> {
    value.prop_map(move |value| (name, value)).boxed()
}

fn text() -> impl Strategy<Value = Option<Value>> {
    prop::option::of(texts().prop_map(Value::from))
}

fn object(members: Vec<BoxedStrategy<(&'static str, Option<Value>)>>) -> impl Strategy<Value = Value> {
    members.prop_map(|members| {
        let present = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(present.collect())
    })
}

fn emails() -> impl Strategy<Value = Option<Value>> {
    let email = object(vec![
        put("value", text()),
        put("type", prop::option::of(prop::sample::select(vec!["work", "Work", "home"]).prop_map(Value::from))),
        put("display", text()),
        put("primary", prop::option::weighted(0.2, any::<bool>().prop_map(Value::from))),
    ]);
    prop::option::of(prop::collection::vec(email, 0..4).prop_map(Value::from))
}

pub fn document() -> impl Strategy<Value = Value> {
    let name = object(vec![put("givenName", text()), put("familyName", text()), put("formatted", text())]);
    let extension = object(vec![
        put("employeeNumber", text()),
        put("department", text()),
        put("manager", prop::option::of(object(vec![put("value", text())]))),
    ]);
    object(vec![
        put("displayName", text()),
        put("title", text()),
        put("active", prop::option::of(any::<bool>().prop_map(Value::from))),
        put("emails", emails()),
        put("name", prop::option::of(name)),
        put("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", prop::option::of(extension)),
    ])
}

fn user() -> impl Strategy<Value = UserPlan> {
    let external_id = prop::option::of(texts().prop_filter("of some use", |text| text.len() < 500));
    (document(), external_id, 0_i64..3, 0_i64..3).prop_map(|(document, external_id, second, millisecond)| UserPlan {
        document,
        external_id,
        second,
        millisecond,
    })
}

fn agent() -> impl Strategy<Value = AgentPlan> {
    let document = object(vec![
        put("displayName", text()),
        put("description", text()),
        put("active", prop::option::of(any::<bool>().prop_map(Value::from))),
        put(
            "roles",
            prop::option::of(texts().prop_map(|text| json!([{"value": "x"}, {"value": text, "primary": true}]))),
        ),
    ]);
    let external_id = prop::option::of(texts().prop_filter("of some use", |text| text.len() < 500));
    (document, external_id, 0_i64..3).prop_map(|(document, external_id, second)| AgentPlan {
        document,
        external_id,
        second,
    })
}

pub fn plans() -> impl Strategy<Value = Plan> {
    let group = (texts(), prop::collection::btree_set(0_usize..16, 0..6))
        .prop_map(|(name, members)| GroupPlan { name: format!("g{name}"), members });
    (prop::collection::vec(user(), 0..12), prop::collection::vec(agent(), 0..4), prop::collection::vec(group, 0..5))
        .prop_map(|(users, agents, groups)| Plan { users, agents, groups })
}

/// A few users, always the same.
pub fn example() -> Plan {
    let user = |n: i64| UserPlan {
        document: json!({"displayName": format!("u{n}"), "active": n % 2 == 0, "emails": [{"type": "work", "value": format!("u{n}")}]}),
        external_id: Some(format!("{n}")),
        second: n,
        millisecond: 0,
    };
    Plan { users: (0..7).map(user).collect(), agents: vec![], groups: vec![] }
}

/// Users and groups whose names end around the cut at 512 bytes; each user is in the group of its name.
pub fn around_the_cut() -> Plan {
    let name = |bytes: usize| "z".repeat(bytes);
    let user = |bytes| UserPlan {
        document: json!({"displayName": name(bytes)}),
        external_id: None,
        second: 0,
        millisecond: 0,
    };
    let group = |bytes: usize| GroupPlan { name: name(bytes), members: BTreeSet::from([bytes - 510]) };
    Plan { users: (510..515).map(user).collect(), agents: vec![], groups: (510..515).map(group).collect() }
}

/// Users with the same value several times.
pub fn twins() -> Plan {
    let email = json!({"value": "a", "type": "work"});
    let user = |n: i64| UserPlan {
        document: json!({"displayName": format!("u{n}"), "active": true, "emails": [email, email, email]}),
        external_id: None,
        second: n,
        millisecond: 0,
    };
    Plan { users: (0..3).map(user).collect(), agents: vec![], groups: vec![] }
}

/// Many users, some without a value here and there.
pub fn crowd(count: i64) -> Plan {
    let user = |n: i64| {
        let mut document = json!({"title": format!("t{}", n * 7919 % count)});
        if n % 3 > 0 {
            document["displayName"] = format!("d{}", n * 104_729 % count).into();
        }
        UserPlan { document, external_id: None, second: n / 10, millisecond: 0 }
    };
    Plan { users: (0..count).map(user).collect(), agents: vec![], groups: vec![] }
}

/// Many users and agents, some of both with the same name or with none, and a few groups.
pub fn mixed_crowd() -> Plan {
    let name = |n: i64| if n % 4 > 0 { json!(format!("d{}", n * 7919 % 600)) } else { Value::Null };
    let user = |n: i64| UserPlan {
        document: json!({"displayName": name(n)}),
        external_id: None,
        second: n / 10,
        millisecond: 0,
    };
    let agent = |n: i64| AgentPlan { document: json!({"displayName": name(n)}), external_id: None, second: n / 7 };
    let group = |n: i64| GroupPlan { name: format!("d{}", n * 31), members: BTreeSet::new() };
    let (users, agents) = ((0..900).map(user).collect(), (0..480).map(agent).collect());
    Plan { users, agents, groups: (0..20).map(group).collect() }
}
