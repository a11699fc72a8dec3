//! What is refused in a group that gives a permission of Keyroll keeps nobody in it: whoever is taken out is out, and
//! what comes beside it is left out and named.

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::protect::refused_naming;
use crate::support::app::*;

const ADMIN: &str = "keyroll:*:*";

fn admins(app: &TestApp, source: Value) {
    app.admin().post("/v1/mappings", json!({"role": "keyroll.admin", "source": source})).expect(201);
}

fn holds(app: &TestApp, id: &str) -> bool {
    app.admin().get(&format!("/v1/users/{id}/access")).expect(200)["permissions"] == json!([ADMIN])
}

fn gone(id: &str) -> Value {
    json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")})
}

fn come(ids: &[&str]) -> Value {
    json!({"op": "add", "path": "members", "value": values(ids)})
}

fn values(ids: &[&str]) -> Value {
    json!(ids.iter().map(|id| json!({"value": id})).collect::<Vec<_>>())
}

/// A write alone or as an operation of a job: its status, and the tolerances that it needed.
#[track_caller]
pub fn send(idp: &Actor<'_>, way: &str, method: &str, path: &str, body: &Value) -> (u16, String) {
    if way == "alone" {
        let answer = idp.send(method, path, &[], body.to_string());
        return (answer.status, answer.header("keyroll-tolerance").to_owned());
    }
    let answer = idp.post("/Bulk", bulk(json!([{"method": method, "path": path, "data": body}]))).expect(200);
    let status = answer["Operations"][0]["status"].as_str().unwrap().parse().unwrap();
    (status, answer.header("keyroll-tolerance").to_owned())
}

struct Staff {
    leaver: String,
    stays: String,
    joiner: String,
}

fn staff(idp: &Actor<'_>, tag: &str) -> Staff {
    let hire = |name: &str| idp.post("/Users", user(&format!("{name}-{tag}@example.com"))).expect(201).id();
    Staff { leaver: hire("leaver"), stays: hire("stays"), joiner: hire("joiner") }
}

/// A write that takes the leaver out of a group called Admins, and asks for more.
fn writes(staff: &Staff) -> Vec<(&'static str, Value, Vec<&'static str>, bool)> {
    let Staff { leaver, stays, joiner } = staff;
    let named = |name: &str| json!({"op": "replace", "path": "displayName", "value": name});
    let called = json!({"op": "replace", "path": "externalId", "value": "x-9"});
    vec![
        ("PATCH", patch(json!([gone(leaver), come(&[joiner])])), vec![], true),
        ("PATCH", patch(json!([come(&[joiner]), gone(leaver)])), vec![], true),
        ("PATCH", patch(json!([named("Others"), gone(leaver)])), vec!["displayName"], false),
        (
            "PATCH",
            patch(json!([gone(leaver), come(&[joiner]), named("Others"), called])),
            vec!["displayName", "externalId"],
            true,
        ),
        ("PATCH", replace("members", values(&[joiner, stays])), vec![], true),
        ("PATCH", patch(json!([{"op": "remove", "path": "members"}, come(&[stays, joiner])])), vec![], true),
        ("PUT", group("Admins", &[stays, joiner]), vec![], true),
        ("PUT", group("Others", &[stays]), vec!["displayName"], false),
        (
            "PUT",
            and(group("Others", &[stays, joiner]), json!({"externalId": "x-9"})),
            vec!["displayName", "externalId"],
            true,
        ),
    ]
}

#[test]
fn what_is_refused_beside_it_keeps_nobody_among_admins() {
    for_each_app(|app| {
        admins(app, json!({"group": {"displayName": "Admins"}}));
        // Alone it is what nobody may make: so the group is there before the mapping is.
        for (dialect, ways) in
            [(Dialect::Auto, &["alone", "Bulk"][..]), (Dialect::Entra, &["alone"]), (Dialect::Okta, &["alone"])]
        {
            let idp = if dialect == Dialect::Auto { app.idp() } else { app.connect(dialect) };
            for (n, way) in ways.iter().enumerate() {
                for at in 0..writes(&staff(&idp, &format!("{}{n}probe", dialect.name()))).len() {
                    carried_out(app, &idp, way, at, &format!("{}{n}x{at}", dialect.name()));
                }
            }
        }
    });
}

/// One of the writes: the leaver is out, and nothing else has changed.
#[track_caller]
fn carried_out(app: &TestApp, idp: &Actor<'_>, way: &str, at: usize, tag: &str) {
    let staff = staff(idp, tag);
    let name = format!("Admins-{tag}");
    let group_id = idp.post("/Groups", group(&name, &[&staff.leaver, &staff.stays])).expect(201).id();
    admins(app, json!({"group": {"id": group_id}}));
    let path = format!("/Groups/{group_id}");
    let (method, mut body, names, adds) = writes(&staff).remove(at);
    if body["displayName"] == json!("Admins") {
        body["displayName"] = json!(name);
    }
    assert!(holds(app, &staff.leaver));
    let records = app.log().len();
    let (status, tolerances) = send(idp, way, method, &path, &body);
    assert_eq!((status, tolerances.as_str()), (200, "auto-009"), "{way} {body}");
    let shown = idp.get(&path).expect(200);
    assert_eq!(shown.members(), [staff.stays.as_str()], "{body}");
    assert_eq!((&shown["displayName"], &shown["externalId"]), (&json!(name), &Value::Null));
    assert!(!holds(app, &staff.leaver) && holds(app, &staff.stays) && !holds(app, &staff.joiner), "{body}");
    let log = app.log();
    let [refused, written] = &log[records..] else { panic!("{:?}", &log[records..]) };
    assert_eq!((&refused["action"], &refused["outcome"]), (&json!("access.refused"), &json!("failure")));
    assert_eq!(refused["change"]["permissions"], json!([ADMIN]));
    let change = &written["change"];
    assert_eq!((&change["removed"], &change["tolerances"]), (&json!([staff.leaver]), &json!(["auto-009"])));
    assert_eq!((&change["added"], &change["paths"]), (&Value::Null, &json!([])), "{change}");
    let listed = |name: &str| change.get(name).cloned().unwrap_or_else(|| json!([]));
    assert_eq!(listed("dropped"), json!(names));
    assert_eq!(listed("kept_out"), if adds { json!([staff.joiner]) } else { json!([]) });
}

#[test]
fn what_only_adds_or_renames_is_refused_as_before() {
    for_each_app(|app| {
        let idp = app.idp();
        let Staff { leaver, stays, joiner } = staff(&idp, "a");
        let group_id = idp.post("/Groups", group("Admins", &[&stays])).expect(201).id();
        admins(app, json!({"group": {"id": group_id}}));
        let path = format!("/Groups/{group_id}");
        for (method, body) in [
            ("PATCH", patch(json!([come(&[&joiner])]))),
            // Who is none goes by neither.
            ("PATCH", patch(json!([gone(&leaver), come(&[&joiner])]))),
            ("PATCH", patch(json!([gone(&leaver), {"op": "replace", "path": "displayName", "value": "x"}]))),
            // Who is back in the end has not gone.
            ("PATCH", patch(json!([{"op": "remove", "path": "members"}, come(&[&stays, &joiner])]))),
            ("PUT", group("Admins", &[&stays, &joiner])),
            ("PUT", group("Others", &[&stays])),
        ] {
            refused_naming(app, method, &path, body.clone(), &[ADMIN]);
            assert_eq!(send(&idp, "Bulk", method, &path, &body).0, 403, "{body}");
        }
        assert_eq!(idp.get(&path).expect(200).members(), [stays.as_str()]);
        // What the others say of those who are in it already is nothing new.
        let same = idp.patch(&path, patch(json!([gone(&leaver), come(&[&stays])]))).expect(200);
        assert!(!same.header("keyroll-tolerance").contains("auto-009"), "{same}");
        for dialect in [Dialect::Rfc, Dialect::Strict] {
            let idp = app.connect(dialect);
            let exact = staff(&idp, dialect.name());
            let made = idp.post("/Groups", group("Admins", &[&exact.leaver])).expect(201).id();
            admins(app, json!({"group": {"id": made}}));
            let swap = patch(json!([gone(&exact.leaver), come(&[&exact.joiner])]));
            idp.patch(&format!("/Groups/{made}"), swap).scim_error(403, "");
            assert!(holds(app, &exact.leaver) && !holds(app, &exact.joiner));
        }
    });
}

#[test]
fn a_group_inside_is_taken_out_though_another_may_not_come_in() {
    for_each_app(|app| {
        let idp = app.idp();
        let old = staff(&idp, "old");
        let new = staff(&idp, "new");
        let inner = idp.post("/Groups", group("Berlin", &[&old.leaver, &old.stays])).expect(201).id();
        let other = idp.post("/Groups", group("Potsdam", &[&new.joiner])).expect(201).id();
        let outer = idp.post("/Groups", group("Root", &[&inner, &new.stays])).expect(201).id();
        admins(app, json!({"group": {"id": outer}}));
        // In a group inside: whoever goes goes, whoever comes does not.
        let swap = patch(json!([gone(&old.leaver), come(&[&new.leaver])]));
        let left = idp.patch(&format!("/Groups/{inner}"), swap).expect(200);
        assert_eq!((left.members(), left.header("keyroll-tolerance")), (vec![old.stays.as_str()], "auto-009"));
        assert!(!holds(app, &old.leaver) && !holds(app, &new.leaver) && holds(app, &old.stays));
        // The group inside itself.
        let put = idp.put(&format!("/Groups/{outer}"), group("Root", &[&other, &new.stays])).expect(200);
        assert_eq!((put.members(), put.header("keyroll-tolerance")), (vec![new.stays.as_str()], "auto-009"));
        assert!(!holds(app, &old.stays) && !holds(app, &new.joiner) && holds(app, &new.stays));
    });
}

#[test]
fn a_name_that_a_mapping_waits_for_is_not_taken_beside_a_removal() {
    for_each_app(|app| {
        let idp = app.idp();
        admins(app, json!({"group": {"displayName": "Admins"}}));
        admins(app, json!({"group": {"externalId": "root"}}));
        let staff = staff(&idp, "a");
        let body = and(group("Sales", &[&staff.leaver, &staff.stays]), json!({"externalId": "s-1"}));
        let path = format!("/Groups/{}", idp.post("/Groups", body).expect(201).id());
        // The name does not come, and so the joiner gains nothing: it comes in.
        let swap = patch(json!([
            {"op": "replace", "path": "displayName", "value": "ADMINS"}, gone(&staff.leaver), come(&[&staff.joiner])]));
        let left = idp.patch(&path, swap).expect(200);
        assert_eq!(left.members(), [staff.stays.as_str(), &staff.joiner]);
        assert_eq!((&left["displayName"], left.header("keyroll-tolerance")), (&json!("Sales"), "auto-009"));
        let put = and(group("Sales", &[&staff.joiner]), json!({"externalId": "root"}));
        let left = idp.put(&path, put).expect(200);
        assert_eq!((left.members(), &left["externalId"]), (vec![staff.joiner.as_str()], &json!("s-1")));
        assert!([&staff.leaver, &staff.stays, &staff.joiner].into_iter().all(|id| !holds(app, id)));
        idp.patch(&path, replace("displayName", "Admins")).scim_error(403, "");
    });
}
