//! Groups: members, nesting, and answers that are streamed.

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

fn people(app: &TestApp, count: usize) -> Vec<String> {
    let numbers: Vec<usize> = (0..count).collect();
    let mut ids = vec![];
    for chunk in numbers.chunks(1_000) {
        let operation = |n: &usize| json!({"method": "POST", "path": "/Users", "bulkId": format!("b{n}"), "data": user(&format!("u{n}@example.com"))});
        let done = app.idp().post("/Bulk", bulk(chunk.iter().map(operation).collect())).expect(200);
        for result in done["Operations"].as_array().unwrap() {
            let location = result["location"].as_str().unwrap_or_else(|| panic!("{result}"));
            ids.push(location.rsplit('/').next().unwrap().to_owned());
        }
    }
    ids
}

fn make(app: &TestApp, name: &str, members: &[&str]) -> String {
    app.idp().post("/Groups", group(name, members)).expect(201).id()
}

#[test]
fn members_are_what_their_ids_name() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", and(user("mira@example.com"), json!({"displayName": "Mira"}))).expect(201).id();
        let bot = idp.post("/Agents", agent("deploy")).expect(201).id();
        let inner = make(app, "inner", &[]);
        let lies = json!([{"value": mira, "type": "Group", "display": "x", "$ref": "https://evil.example/"},
            {"value": bot}, {"value": inner}, {"value": mira}]);
        let team = idp.post("/Groups", json!({"schemas": [GROUP], "displayName": "team", "members": lies})).expect(201);
        let base = "https://keyroll.example/scim/v2";
        assert_eq!(
            team["members"],
            json!([
                {"value": mira, "$ref": format!("{base}/Users/{mira}"), "type": "User", "display": "Mira"},
                {"value": bot, "$ref": format!("{base}/Agents/{bot}"), "type": "Agent", "display": "deploy"},
                {"value": inner, "$ref": format!("{base}/Groups/{inner}"), "type": "Group", "display": "inner"},
            ])
        );
        // A new name shows at once: it is stored in one place.
        idp.patch(&format!("/Users/{mira}"), replace("displayName", "M.")).expect(200);
        let shown = idp.get(&format!("/Groups/{}", team.id())).expect(200);
        assert_eq!((&shown["members"][0]["display"], shown.header("etag")), (&json!("M."), "W/\"1\""));
    });
}

#[test]
fn nesting_counts_for_the_members_of_members() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let inner = make(app, "inner", &[&mira]);
        let middle = make(app, "middle", &[&inner]);
        let outer = make(app, "outer", &[&middle, &inner]);
        let groups = |id: &str| {
            let user = idp.get(&format!("/Users/{id}")).expect(200);
            let mut groups: Vec<String> = user["groups"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| format!("{} {}", one["display"].as_str().unwrap(), one["type"].as_str().unwrap()))
                .collect();
            groups.sort();
            groups
        };
        assert_eq!(groups(&mira), ["inner direct", "middle indirect", "outer indirect"]);
        idp.patch(&format!("/Groups/{outer}"), add("members", json!([{"value": mira}]))).expect(200);
        assert_eq!(groups(&mira), ["inner direct", "middle indirect", "outer direct"]);
        idp.patch(&format!("/Groups/{middle}"), remove("members")).expect(200);
        assert_eq!(groups(&mira), ["inner direct", "outer direct"]);
        idp.delete(&format!("/Groups/{outer}")).expect(204);
        assert_eq!(groups(&mira), ["inner direct"]);
        // The user's own version is not moved by what groups do.
        assert_eq!(idp.get(&format!("/Users/{mira}")).expect(200).header("etag"), "W/\"1\"");
    });
}

#[test]
fn no_group_is_in_itself() {
    for_each_app(|app| {
        let idp = app.idp();
        let c = make(app, "c", &[]);
        let b = make(app, "b", &[&c]);
        let a = make(app, "a", &[&b]);
        let before = app.log().len();
        let refusal = "members: a group cannot be its own member, directly or through others";
        for (group_id, member) in [(&a, &a), (&b, &a), (&c, &a), (&c, &b)] {
            let path = format!("/Groups/{group_id}");
            let added = idp.patch(&path, add("members", json!([{"value": member}])));
            assert_eq!(added.scim_error(400, "invalidValue"), refusal);
            // Where somebody goes by it, the circle alone is left out: see `leavers`.
            if *group_id != c {
                continue;
            }
            for answer in [
                idp.patch(&path, replace("members", json!([{"value": member}]))),
                idp.put(&path, group("x", &[member])),
            ] {
                assert_eq!(answer.scim_error(400, "invalidValue"), refusal);
            }
        }
        // Whether somebody stays in a group by a refusal, nobody knows: that one is recorded.
        assert_eq!(app.log().len(), before + 1);
        assert_eq!(idp.get(&format!("/Groups/{c}")).expect(200).members(), Vec::<&str>::new());
        // Two ways to the same member are no circle.
        idp.patch(&format!("/Groups/{a}"), add("members", json!([{"value": c}]))).expect(200);
        // The way back is free once the way there is gone.
        idp.patch(&format!("/Groups/{a}"), remove("members")).expect(200);
        idp.patch(&format!("/Groups/{c}"), add("members", json!([{"value": a}]))).expect(200);
    });
}

#[test]
fn members_go_by_list_by_filter_and_all_at_once() {
    for_each_app(|app| {
        let idp = app.idp();
        let ids = people(app, 6);
        let bot = idp.post("/Agents", agent("deploy")).expect(201).id();
        let ids: Vec<&str> = ids.iter().map(String::as_str).chain([bot.as_str()]).collect();
        let team = format!("/Groups/{}", make(app, "team", &ids));
        let is = |operation: Value, expected: &[&str]| {
            let answer = idp.patch(&team, patch(json!([operation]))).expect(200);
            assert_eq!(answer.members(), expected, "{operation}");
            assert_eq!(idp.get(&team).expect(200).members(), expected, "{operation}");
        };
        let value = |id: &str| json!({"value": id});
        is(json!({"op": "remove", "path": format!("members[value eq \"{}\"]", ids[0])}), &ids[1..]);
        is(json!({"op": "remove", "path": "members", "value": [value(ids[1]), value(ids[0])]}), &ids[2..]);
        is(
            json!({"op": "remove", "path": format!("members[value eq \"{}\" or value eq \"{}\"]", ids[2], ids[3])}),
            &ids[4..],
        );
        is(json!({"op": "remove", "path": "members[type eq \"Agent\"]"}), &ids[4..6]);
        is(json!({"op": "remove", "path": "members[display eq \"nobody\"]"}), &ids[4..6]);
        is(json!({"op": "add", "path": "members", "value": value(ids[4])}), &ids[4..6]);
        is(json!({"op": "add", "value": {"members": [value(ids[0])]}}), &[ids[0], ids[4], ids[5]]);
        is(json!({"op": "replace", "path": "members", "value": [value(ids[5]), value(ids[1])]}), &[ids[1], ids[5]]);
        is(json!({"op": "replace", "path": "members", "value": []}), &[]);
        is(json!({"op": "add", "path": "members", "value": [value(ids[3]), value(ids[3])]}), &[ids[3]]);
        is(json!({"op": "remove", "path": "members"}), &[]);
        let refused = idp.patch(&team, replace(&format!("members[value eq \"{}\"].value", ids[0]), ids[1]));
        refused.scim_error(400, "mutability");
    });
}

#[test]
fn who_is_added_and_removed_is_recorded() {
    for_each_app(|app| {
        let ids = people(app, 3);
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let team = format!("/Groups/{}", make(app, "team", &ids[..2]));
        let change = and(replace("members", json!([{"value": ids[1]}, {"value": ids[2]}])), json!({}));
        app.idp().patch(&team, change).expect(200);
        let last = app.log().pop().unwrap();
        assert_eq!(last["change"], json!({"paths": [], "added": [ids[2]], "removed": [ids[0]]}));
        // Adding one again and removing one who is not there is no change; who was not there is named.
        let before = app.idp().get(&team).expect(200);
        let same = app
            .idp()
            .patch(
                &team,
                patch(json!([{"op": "add", "path": "members", "value": [{"value": ids[1]}]},
            {"op": "remove", "path": format!("members[value eq \"{}\"]", ids[0])}])),
            )
            .expect(200);
        assert_eq!(same.header("etag"), before.header("etag"));
        let last = app.log().pop().unwrap();
        assert_eq!(last["change"], json!({"paths": [], "tolerances": ["auto-002"], "unknown": [ids[0]]}));
    });
}

#[test]
fn who_does_not_exist_is_no_member() {
    for_each_app(|app| {
        let idp = app.connect(Dialect::Rfc);
        let (theirs, _) = app.tenant("second");
        let foreign = theirs.post("/Users", user("mira@example.com")).expect(201).id();
        let gone = idp.post("/Users", user("gone@example.com")).expect(201).id();
        idp.delete(&format!("/Users/{gone}")).expect(204);
        let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[])).expect(201).id());
        let before = app.log().len();
        for id in [foreign.as_str(), &gone, &app.id(100), "x", &gone.to_uppercase()] {
            let detail = format!("members: no resource has the id {id:?}");
            for answer in [
                idp.patch(&team, add("members", json!([{"value": id}]))),
                idp.put(&team, group("team 2", &[id])),
                idp.post("/Groups", group("team 3", &[id])),
            ] {
                assert_eq!(answer.scim_error(400, "invalidValue"), detail);
            }
        }
        for bad in [json!([{}]), json!([{"value": ""}]), json!([7]), json!({"display": "x"})] {
            idp.patch(&team, add("members", bad)).scim_error(400, "invalidValue");
        }
        assert_eq!(idp.get(&team).expect(200).header("etag"), "W/\"1\"");
        // The refusal by which somebody may have stayed in it is recorded.
        assert_eq!(app.log().len(), before + 1);
        theirs.get(&team).scim_error(404, "");
    });
}

#[test]
fn a_large_group_is_streamed_whole_and_in_order() {
    for_each_app(|app| {
        let idp = app.idp();
        let ids = people(app, 2_500);
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for count in [999, 1_000, 1_001, 2_000, 2_500] {
            let made = idp.post("/Groups", group(&format!("team {count}"), &ids[..count])).expect(201);
            let path = format!("/Groups/{}", made.id());
            // Bodies of POST and GET have the same members, whatever the borders of the chunks.
            for answer in [&made, &idp.get(&path).expect(200)] {
                assert_eq!(answer.members(), ids[..count], "{count}");
                assert_eq!(answer["meta"]["version"], json!("W/\"1\""));
                assert!(answer["members"][count - 1]["$ref"].as_str().unwrap().ends_with(ids[count - 1]));
            }
            let values = idp.get(&format!("{path}?attributes=members.value")).expect(200);
            assert_eq!(values.members(), ids[..count], "{count}");
            assert_eq!(values["members"][count - 1], json!({"value": ids[count - 1]}));
            assert_eq!(values["displayName"], Value::Null);
            let without = idp.get(&format!("{path}?excludedAttributes=members")).expect(200);
            assert_eq!((&without["members"], &without["displayName"]), (&Value::Null, &json!(format!("team {count}"))));
        }
        // The log lists members in records of a thousand.
        let log = app.log();
        let team = log.iter().rfind(|record| record["action"] == "group.created").unwrap();
        let records = log.iter().filter(|record| record["subject"] == team["subject"]);
        let added: Vec<usize> = records.map(|record| record["change"]["added"].as_array().unwrap().len()).collect();
        assert_eq!(added, [1_000, 1_000, 500]);
    });
}

#[test]
fn group_names_may_be_taken_in_another_connection_only() {
    for_each_app(|app| {
        let idp = app.idp();
        let team = idp.post("/Groups", group("team", &[])).expect(201).id();
        let refused = idp.post("/Groups", group("Team", &[]));
        let told = format!("displayName: the value is taken by {team}");
        assert_eq!(refused.scim_error(409, "uniqueness"), told);
        app.connect(Dialect::Entra).post("/Groups", group("team", &[])).expect(201);
        app.sql("UPDATE connections SET unique_group_names = FALSE WHERE name = 'default'");
        idp.post("/Groups", group("Crew", &[])).expect(201);
        idp.post("/Groups", group("crew", &[])).expect(201);
    });
}

#[test]
fn a_list_that_names_nobody_is_refused() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let team = idp.post("/Groups", group("team", &[&mira])).expect(201).id();
        let path = format!("/Groups/{team}");
        for members in [json!([{"display": "x"}]), json!([{"display": "x"}, {"$ref": "Users/"}])] {
            let body = and(group("team", &[]), json!({ "members": members }));
            assert!(idp.put(&path, body.clone()).scim_error(400, "invalidValue").ends_with("].value: is required"));
            idp.post("/Groups", and(body, json!({"displayName": "other"}))).scim_error(400, "invalidValue");
        }
        assert_eq!(idp.get(&path).expect(200).members(), [&mira]);
    });
}

#[test]
fn people_can_be_sorted_by_their_groups() {
    for_each_app(|app| {
        let idp = app.idp();
        let ids = ["ada", "ben", "cem"].map(|name| idp.post("/Users", user(name)).expect(201).id());
        idp.post("/Groups", group("z", &[&ids[0]])).expect(201);
        idp.post("/Groups", group("a", &[&ids[1]])).expect(201);
        let sorted = |query: &str| {
            let page = idp.get(&format!("/Users?{query}")).expect(200);
            let names = page["Resources"].as_array().unwrap().iter().map(|one| one["userName"].as_str().unwrap());
            names.collect::<Vec<_>>().join(" ")
        };
        // Who has no value is last, or first when descending (RFC 7644 §3.4.2.3).
        assert_eq!(sorted("sortBy=groups.display"), "ben ada cem");
        assert_eq!(sorted("sortBy=groups.display&sortOrder=descending"), "cem ada ben");
        // By id: z was made first.
        assert_eq!(sorted("sortBy=groups"), "ada ben cem");
    });
}
