//! Over what gives permissions of Keyroll itself an identity provider may only reduce.

use serde_json::{Value, json};

use crate::support::app::*;

/// Maps `keyroll.admin` to a source.
fn admins(app: &TestApp, source: Value) {
    app.admin().post("/v1/mappings", json!({"role": "keyroll.admin", "source": source})).expect(201);
}

fn by_name(name: &str) -> Value {
    json!({"group": {"displayName": name}})
}

/// The write is 403, changes nothing, and leaves one record, which names the permissions.
#[track_caller]
pub fn refused_naming(app: &TestApp, method: &str, path: &str, body: Value, permissions: &[&str]) {
    let before = app.log().len();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    app.idp().send(method, path, &[], body).scim_error(403, "");
    let log = app.log();
    assert_eq!(log.len(), before + 1, "{method} {path}");
    let last = log.last().unwrap();
    assert_eq!((&last["action"], &last["outcome"]), (&json!("access.refused"), &json!("failure")));
    assert_eq!(last["change"]["permissions"], json!(permissions), "{method} {path}");
}

#[track_caller]
fn refused(app: &TestApp, method: &str, path: &str, body: Value) {
    refused_naming(app, method, path, body, &["keyroll:*:*"]);
}

fn permissions(app: &TestApp, id: &str) -> Value {
    app.admin().get(&format!("/v1/users/{id}/access")).expect(200)["permissions"].clone()
}

#[test]
fn a_group_that_gives_is_only_reduced() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let tom = idp.post("/Users", user("tom@example.com")).expect(201).id();
        let admins_group = idp.post("/Groups", group("Admins", &[&mira])).expect(201).id();
        let inner = idp.post("/Groups", group("Berlin", &[])).expect(201).id();
        let path = format!("/Groups/{admins_group}");
        idp.patch(&path, add("members", json!([{"value": inner}]))).expect(200);
        admins(app, by_name("admins"));
        assert_eq!(permissions(app, &mira), json!(["keyroll:*:*"]));
        refused(app, "PATCH", &path, add("members", json!([{"value": tom}])));
        refused(app, "PUT", &path, group("Admins", &[&mira, &inner, &tom]));
        refused(app, "PATCH", &path, replace("displayName", "Others"));
        refused(app, "PATCH", &path, replace("externalId", "x"));
        // A group inside gives as well.
        refused(app, "PATCH", &format!("/Groups/{inner}"), add("members", json!([{"value": tom}])));
        refused(app, "PATCH", &format!("/Groups/{inner}"), replace("displayName", "Potsdam"));
        assert_eq!(permissions(app, &tom), json!([]));
        // What changes neither name nor access passes, and so does taking away.
        idp.put(&path, group("ADMINS", &[&mira, &inner])).expect(200);
        idp.patch(&path, remove(&format!("members[value eq \"{mira}\"]"))).expect(200);
        assert_eq!(permissions(app, &mira), json!([]));
        refused(app, "PATCH", &path, add("members", json!([{"value": mira}])));
        idp.delete(&path).expect(204);
    });
}

#[test]
fn nobody_takes_a_mapped_name() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let other = idp.post("/Groups", group("Others", &[&mira])).expect(201).id();
        admins(app, by_name("Admins"));
        admins(app, json!({"group": {"externalId": "root"}}));
        refused(app, "POST", "/Groups", group("ADMINS", &[&mira]));
        refused(app, "POST", "/Groups", and(group("Nobody", &[]), json!({"externalId": "root"})));
        refused(app, "PATCH", &format!("/Groups/{other}"), replace("displayName", "Admins"));
        refused(app, "PATCH", &format!("/Groups/{other}"), replace("externalId", "root"));
        let job = bulk(json!([{"method": "POST", "path": "/Groups", "bulkId": "a", "data": group("Admins", &[])}]));
        let before = app.log().len();
        let answer = idp.post("/Bulk", job).expect(200);
        assert_eq!(answer["Operations"][0]["status"], json!("403"));
        assert_eq!(app.log().len(), before + 1);
        assert_eq!(permissions(app, &mira), json!([]));
    });
}

#[test]
fn no_attribute_makes_an_admin() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let path = format!("/Users/{mira}");
        admins(app, json!({"rule": "userType eq \"Root\""}));
        refused(app, "PATCH", &path, replace("userType", "root"));
        refused(app, "POST", "/Users", and(user("tom@example.com"), json!({"userType": "Root"})));
        refused(app, "PUT", &path, and(user("mira@example.com"), json!({"userType": "Root"})));
        idp.patch(&path, replace("title", "x")).expect(200);
        assert_eq!(permissions(app, &mira), json!([]));
    });
}

#[test]
fn a_person_who_is_an_admin_is_neither_revived_nor_renamed() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let path = format!("/Users/{mira}");
        admins(app, json!({"person": {"type": "user", "id": mira}, "reason": "admin"}));
        refused(app, "PATCH", &path, replace("userName", "other@example.com"));
        refused(app, "PATCH", &path, replace("displayName", "Other"));
        idp.patch(&path, replace("title", "x")).expect(200);
        idp.patch(&path, replace("active", false)).expect(200);
        assert_eq!(permissions(app, &mira), json!([]));
        refused(app, "PATCH", &path, replace("active", true));
        idp.patch(&path, replace("title", "y")).expect(200);
        idp.delete(&path).expect(204);
    });
}

#[test]
fn nothing_that_a_write_does_beside_it_keeps_an_admin_alive() {
    for_each_app(|app| {
        let idp = app.idp();
        admins(app, json!({"rule": "userType eq \"Root\""}));
        let hired = |name: &str| {
            let id = idp.post("/Users", user(&format!("{name}@example.com"))).expect(201).id();
            admins(app, json!({"person": {"type": "user", "id": id}, "reason": "admin"}));
            (format!("/Users/{id}"), app.issue(&id), id)
        };
        let renamed = |name: &str| and(user(&format!("{name}@example.com")), json!({"active": false}));
        let both = json!([{"op": "replace", "path": "userName", "value": "gone-1@example.com"},
            {"op": "replace", "path": "userType", "value": "Root"}, {"op": "replace", "path": "active", "value": "False"}]);
        let job = |path: &str, body: Value| bulk(json!([{"method": "PUT", "path": path, "data": body}]));
        for (n, way) in ["PATCH", "PUT", "Bulk"].into_iter().enumerate() {
            let (path, key, id) = hired(&format!("boss{n}"));
            match way {
                "PATCH" => drop(idp.patch(&path, patch(both.clone())).expect(200)),
                "PUT" => drop(idp.put(&path, renamed("gone-2")).expect(200)),
                _ => {
                    let done = idp.post("/Bulk", job(&path, renamed("gone-3"))).expect(200);
                    assert_eq!(done["Operations"][0]["status"], json!("200"), "{done}");
                }
            }
            assert_eq!(app.verify(&key), "OWNER_INACTIVE", "{way}");
            // Inactive, it is written as any other; to come back is an admin's to say.
            assert_eq!(idp.patch(&path, replace("displayName", way)).expect(200)["displayName"], json!(way));
            refused(app, "PATCH", &path, replace("active", true));
            refused(app, "PUT", &path, and(user("back@example.com"), json!({"active": true})));
            assert_eq!((app.verify(&key), permissions(app, &id)), ("OWNER_INACTIVE".to_owned(), json!([])));
        }
        // Nobody gains by a way around: what was written while inactive counts when it comes back.
        let plain = idp.post("/Users", and(user("plain@example.com"), json!({"active": false}))).expect(201).id();
        let path = format!("/Users/{plain}");
        idp.patch(&path, replace("userType", "Root")).expect(200);
        refused(app, "PATCH", &path, replace("active", true));
        let both = json!([{"op": "replace", "path": "active", "value": true}, {"op": "remove", "path": "userType"}]);
        assert_eq!(idp.patch(&path, patch(both)).expect(200)["active"], json!(true));
    });
}

#[test]
fn nobody_becomes_an_admin_by_losing_a_manager() {
    const MANAGER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager";
    for_each_app(|app| {
        let idp = app.idp();
        let boss = idp.post("/Users", user("boss@example.com")).expect(201).id();
        let rep = idp.post("/Users", user("rep@example.com")).expect(201).id();
        idp.patch(&format!("/Users/{rep}"), replace(MANAGER, json!({"value": boss}))).expect(200);
        let key = app.issue(&boss);
        let path = format!("/Users/{boss}");
        app.admin().post("/v1/roles", json!({"name": "billing.viewer", "permissions": []})).expect(201);
        let without = |role: &str| json!({"role": role, "source": {"rule": format!("userName sw \"rep\" and not ({MANAGER} pr)")}});
        let viewers = app.admin().post("/v1/mappings", without("billing.viewer")).expect(201).id();
        let admins = app.admin().post("/v1/mappings", without("keyroll.admin")).expect(201).id();
        refused(app, "DELETE", &path, Value::Null);
        let last = app.log().pop().unwrap();
        assert_eq!((&last["subject"]["id"], &last["change"]["deletes"]), (&json!(rep), &json!(boss)));
        // Nothing has changed, and what is safe stays possible: a leaver's keys die.
        assert_eq!((permissions(app, &rep), app.verify(&key)), (json!([]), "VALID".to_owned()));
        idp.patch(&path, replace("active", false)).expect(200);
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
        app.admin().delete(&format!("/v1/mappings/{admins}")).expect(204);
        idp.delete(&path).expect(204);
        let log = app.log();
        let patched = log.iter().rfind(|record| record["action"] == "user.patched").unwrap();
        assert_eq!(
            (&patched["subject"]["id"], &patched["change"]["mappings"], &patched["change"]["roles"]),
            (&json!(rep), &json!([viewers]), &json!(["billing.viewer"]))
        );
    });
}

#[test]
fn an_agent_gains_nothing_by_its_sponsors() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let tom = idp.post("/Users", user("tom@example.com")).expect(201).id();
        let owned = and(agent("deploy"), json!({"owners": [{"value": mira}]}));
        let deploy = idp.post("/Agents", owned).expect(201).id();
        let person = json!({"person": {"type": "agent", "id": deploy}, "reason": "x"});
        admin.post("/v1/mappings", json!({"role": "keyroll.admin", "source": person})).expect(201);
        let permissions = || admin.get(&format!("/v1/agents/{deploy}/access")).expect(200)["permissions"].clone();
        assert_eq!(permissions(), json!(["keyroll:*:*"]));
        refused(app, "PATCH", &format!("/Agents/{deploy}"), add("owners", json!([{"value": tom}])));
        idp.patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
        assert_eq!(permissions(), json!([]));
        // The person comes back, the agent does not: see `returns`.
        idp.patch(&format!("/Users/{mira}"), replace("active", true)).expect(200);
        assert_eq!(permissions(), json!([]));
        refused(app, "PATCH", &format!("/Agents/{deploy}"), add("owners", json!([{"value": tom}])));
    });
}

#[test]
fn records_name_the_mappings_and_roles_that_a_write_concerns() {
    for_each_app(|app| {
        super::catalogue::billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        admin.post("/v1/roles", json!({"name": "clerk", "includes": ["billing.viewer"]})).expect(201);
        let mapping = json!({"role": "clerk", "source": by_name("Finance")});
        let id = admin.post("/v1/mappings", mapping).expect(201).id();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let finance = idp.post("/Groups", group("Finance", &[&mira])).expect(201).id();
        idp.patch(&format!("/Groups/{finance}"), remove("members")).expect(200);
        idp.patch(&format!("/Groups/{finance}"), replace("displayName", "Money")).expect(200);
        idp.patch(&format!("/Groups/{finance}"), replace("displayName", "Finance")).expect(200);
        idp.delete(&format!("/Groups/{finance}")).expect(204);
        let log = app.log();
        let groups: Vec<&Value> = log.iter().filter(|record| record["subject"]["type"] == json!("group")).collect();
        assert_eq!(groups.len(), 5);
        for record in groups {
            assert_eq!(record["change"]["mappings"], json!([id]), "{record}");
            assert_eq!(record["change"]["roles"], json!(["billing.viewer", "clerk"]));
        }
    });
}
