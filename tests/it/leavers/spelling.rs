//! A leaver is out of a group however the removal is spelt, as long as it is clear who is meant.

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::{EXACT, LENIENT, last_write, send, speaking};
use crate::support::app::*;

/// Removals of one member or owner, and the tolerance that each needs.
fn removals(people: &str, id: &str) -> Vec<(Value, &'static str)> {
    let upper = id.to_ascii_uppercase();
    let at = |rest: String| json!({"op": "remove", "path": format!("{people}{rest}")});
    let listed = |value: Value| json!({"op": "remove", "path": people, "value": value});
    vec![
        (at(format!("[value eq \"{id}\"].value")), "auto-015"),
        (json!({"op": "remove", "path": format!("{people}.value"), "value": id}), "auto-015"),
        (at(format!("[value eq '{id}']")), "authentik-001"),
        (json!({"op": "remove", "value": {people: [{"value": id}]}}), "auto-014"),
        (at(format!("[value eq \"{upper}\"]")), "auto-016"),
        (at(format!("[value eq \"{id} \"]")), "auto-016"),
        (listed(json!([{"value": upper}])), "auto-016"),
        (listed(json!([{"value": format!(" {id}")}])), "auto-016"),
        (listed(json!([{"value": [id]}])), "auto-016"),
        (listed(json!([{"$ref": format!("https://example.com/scim/v2/Users/{id}")}])), "auto-016"),
        (listed(json!([{"value": format!("https://example.com/scim/v2/Users/{id}")}])), "auto-016"),
        (at(format!("[value eq \"/Users/{upper}\"]")), "auto-016"),
        (listed(json!([id])), "entra-006"),
    ]
}

#[test]
fn a_removal_that_nobody_understands_is_not_left_out() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let hire = |name: &str| idp.post("/Users", user(&format!("{name}{}", dialect.name()))).expect(201).id();
            let (stays, leaver) = (hire("stays"), hire("leaver"));
            let path = format!("/Groups/{}", idp.post("/Groups", group("team", &[&stays, &leaver])).expect(201).id());
            let at = |path: String| json!({"op": "remove", "path": path});
            let odd = [
                at(format!("members/{leaver}")),
                at("/members/1".to_owned()),
                at(format!("Group:members[value eq \"{leaver}\"]")),
                at(format!("{GROUP}.members[value eq \"{leaver}\"]")),
                at(format!("member[value eq \"{leaver}\"]")),
                at(format!("[\"members\", \"{leaver}\"]")),
                json!({"op": "remove", "path": "members", "value": format!("value eq \"{leaver}\"")}),
                json!({"op": "remove", "path": "members", "value": [json!([{"value": leaver}]).to_string()]}),
                json!({"op": "replace", "path": "members", "value": json!([{"value": stays}]).to_string()}),
                json!({"op": "replace", "path": "Group.Members", "value": [{"value": stays}]}),
                json!({"op": "replace", "value": {"Group.members": [{"value": stays}]}}),
            ];
            let clear = at(format!("members[value eq \"{stays}\"]"));
            for odd in odd.iter().filter(|odd| dialect != Dialect::Rfc || odd.get("path").is_some()) {
                for job in [json!([odd]), json!([clear, odd])] {
                    let (status, kind, ..) = send(&idp, "alone", "PATCH", &path, &patch(job));
                    assert_eq!((status, kind.starts_with("invalid")), (400, true), "{dialect:?} {odd}");
                }
                let members = idp.get(&path).expect(200).members().len();
                assert_eq!(members, 2, "{dialect:?} {odd}");
            }
            let put = and(group("team", &[]), json!({"members": format!("{stays},{stays}")}));
            idp.put(&path, put).expect(400);
            if LENIENT.contains(&dialect) {
                // What somebody else's schema calls members are not ours.
                let foreign = at("urn:example:hr:Group:members".to_owned());
                let left = idp.patch(&path, patch(json!([foreign, clear]))).expect(200);
                assert_eq!((left.members(), left.header("keyroll-tolerance")), (vec![leaver.as_str()], "entra-009"));
            }
        }
    });
}

#[test]
fn a_removal_removes_however_it_is_spelt() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let hire = |name: &str| idp.post("/Users", user(&format!("{name}{}", dialect.name()))).expect(201).id();
            let (stays, leaver, inner) =
                (hire("stays"), hire("leaver"), idp.post("/Groups", group("inner", &[])).expect(201).id());
            let path = format!("/Groups/{}", idp.post("/Groups", group("team", &[&stays])).expect(201).id());
            // A job takes the same way for every dialect, and so does a group in it.
            let ways: &[(&str, &str)] = match dialect {
                Dialect::Auto => &[("alone", &leaver), ("Bulk", &leaver), ("alone", &inner)],
                _ => &[("alone", &leaver)],
            };
            for (way, id) in ways {
                for (removal, tolerance) in removals("members", id) {
                    idp.patch(&path, add("members", json!([{"value": id}]))).expect(200);
                    let (status, _, tolerances, answer) = send(&idp, way, "PATCH", &path, &patch(json!([removal])));
                    assert_eq!(status, 200, "{removal}: {answer}");
                    assert!(tolerances.split(", ").any(|name| name == tolerance), "{removal}: {tolerances}");
                    assert_eq!(idp.get(&path).expect(200).members(), [stays.as_str()], "{removal}");
                    assert_eq!(last_write(app, "group.patched")["change"]["removed"], json!([id]));
                }
            }
            // Whoever comes in is spelt in as many ways.
            for value in [json!([{"value": leaver.to_ascii_uppercase()}]), json!([{"value": [leaver]}])] {
                let joined = idp.patch(&path, add("members", value)).expect(200);
                assert_eq!(
                    (joined.members(), joined.header("keyroll-tolerance")),
                    (vec![stays.as_str(), &leaver], "auto-016")
                );
                let put = and(group("team", &[]), json!({"members": [{"value": stays.to_ascii_uppercase()}]}));
                let put = idp.put(&path, put).expect(200);
                assert_eq!((put.members(), put.header("keyroll-tolerance")), (vec![stays.as_str()], "auto-016"));
            }
        }
    });
}

#[test]
fn the_exact_dialects_take_one_spelling() {
    for_each_app(|app| {
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let leaver = idp.post("/Users", user(&format!("leaver{}", dialect.name()))).expect(201).id();
            let path = format!("/Groups/{}", idp.post("/Groups", group("team", &[&leaver])).expect(201).id());
            for (removal, _) in removals("members", &leaver) {
                let answer = idp.patch(&path, patch(json!([removal])));
                // An id in another spelling is nobody's.
                assert!(matches!(answer.status, 200 | 400), "{removal} {answer}");
                assert_eq!(idp.get(&path).expect(200).members(), [leaver.as_str()], "{removal}");
            }
        }
    });
}

#[test]
fn whoever_is_no_member_is_named() {
    for_each_app(|app| {
        let idp = app.idp();
        let hire = |name: &str| idp.post("/Users", user(name)).expect(201).id();
        let (member, other, unknown) = (hire("member"), hire("other"), app.id(999));
        let path = format!("/Groups/{}", idp.post("/Groups", group("team", &[&member])).expect(201).id());
        for id in [&other, &unknown] {
            let before = app.log().len();
            for _ in 0..2 {
                let same = idp.patch(&path, remove(&format!("members[value eq \"{id}\"]"))).expect(200);
                assert_eq!((same.header("keyroll-tolerance"), same.members()), ("auto-002", vec![member.as_str()]));
                assert_eq!(last_write(app, "group.patched")["change"]["unknown"], json!([id]));
            }
            assert_eq!(app.log().len(), before + 1);
        }
        let same = idp.patch(&path, remove("members[type eq \"Agent\"]")).expect(200);
        assert_eq!((same.header("keyroll-tolerance"), same.members()), ("auto-002", vec![member.as_str()]));
        assert_eq!(last_write(app, "group.patched")["change"]["unknown_total"], json!(1));
        let listed = json!([{"op": "remove", "path": "members", "value": [{"value": other}, {"value": member}, {"value": unknown}]}]);
        let left = idp.patch(&path, patch(listed)).expect(200);
        assert_eq!((left.header("keyroll-tolerance"), left.members()), ("entra-003, auto-002", vec![]));
        let mut absent = [other.clone(), unknown.clone()];
        absent.sort();
        let change = last_write(app, "group.patched")["change"].clone();
        assert_eq!((&change["removed"], &change["unknown"]), (&json!([member]), &json!(absent)));
    });
}

#[test]
fn an_owner_is_found_in_another_spelling() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let name = |who: &str| format!("{who}-{}", dialect.name());
            let hire = |who: &str| idp.post("/Users", and(user(&name(who)), json!({"displayName": name(who)})));
            let (owner, stays) = (hire("owner").expect(201).id(), hire("stays").expect(201).id());
            let both = json!([{"value": owner}, {"value": stays, "primary": true}]);
            let made = idp.post("/Agents", and(agent(&name("bot")), json!({"owners": both}))).expect(201);
            let path = format!("/Agents/{}", made.id());
            let named = |answer: &Value| {
                let owners = answer["owners"].as_array().cloned().unwrap_or_default();
                owners.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            let shown = || named(&idp.get(&path).expect(200).body);
            // By what is shown of them, in every dialect.
            let url = format!("https://keyroll.example/scim/v2/Users/{owner}");
            for filter in [format!("$ref eq \"{url}\""), format!("display eq \"{}\"", name("owner"))] {
                let left = idp.patch(&path, remove(&format!("owners[{filter}]"))).expect(200);
                assert_eq!(
                    (named(&left.body), left.header("keyroll-tolerance")),
                    (vec![stays.clone()], ""),
                    "{filter}"
                );
                assert_eq!(left["owners"][0]["primary"], json!(true));
                idp.patch(&path, add("owners", json!([{"value": owner}]))).expect(200);
            }
            for (n, (removal, tolerance)) in removals("owners", &owner).into_iter().enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let (status, _, tolerances, answer) = send(&idp, way, "PATCH", &path, &patch(json!([removal])));
                if EXACT.contains(&dialect) {
                    assert!(matches!(status, 200 | 400), "{removal} {answer}");
                    assert_eq!(shown().len(), 2, "{removal}");
                    continue;
                }
                assert_eq!((status, shown()), (200, vec![stays.clone()]), "{removal}: {answer}");
                assert!(tolerances.split(", ").any(|name| name == tolerance), "{removal}: {tolerances}");
                idp.patch(&path, add("owners", json!([{"value": owner.to_ascii_uppercase()}]))).expect(200);
                assert_eq!(shown(), [stays.clone(), owner.clone()]);
            }
        }
    });
}

#[test]
fn an_owner_in_another_spelling_is_one_owner() {
    for_each_app(|app| {
        let idp = app.idp();
        let owner = idp.post("/Users", user("owner")).expect(201).id();
        let spelt = json!([{"value": owner.to_ascii_uppercase()}]);
        let made = idp.post("/Agents", and(agent("bot"), json!({"owners": spelt}))).expect(201);
        assert_eq!((&made["owners"][0]["value"], made.header("keyroll-tolerance")), (&json!(owner), "auto-016"));
        let path = format!("/Agents/{}", made.id());
        let again = idp.patch(&path, add("owners", spelt.clone())).expect(200);
        assert_eq!(again["owners"].as_array().map(Vec::len), Some(1));
        assert_eq!(again.header("etag"), made.header("etag"));
        let chosen = format!("owners[value eq \"{}\"]", owner.to_ascii_uppercase());
        let none = idp.patch(&path, replace(&chosen, Value::Null)).expect(200);
        assert_eq!((&none["owners"], none.header("keyroll-tolerance")), (&Value::Null, "auto-016"));
        let made = idp.patch(&path, add("owners", spelt.clone())).expect(200);
        let absent = idp.patch(&path, remove(&format!("owners[value eq \"{}\"]", app.id(999)))).expect(200);
        assert_eq!((absent.header("keyroll-tolerance"), absent.header("etag")), ("auto-002", made.header("etag")));
        idp.patch(&path, remove("owners")).expect(200);
        let back = idp.patch(&path, replace("owners", spelt)).expect(200);
        assert_eq!((&back["owners"][0]["value"], back.header("keyroll-tolerance")), (&json!(owner), "auto-016"));
    });
}
