//! Refused gains of access do not fill the log.

use chrono::TimeDelta;
use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

/// Until when each of the recorded refusals says that no other is recorded.
fn refusals(app: &TestApp) -> Vec<Value> {
    let own = app.log().into_iter().filter(|record| record["action"] == "access.refused");
    own.map(|mut record| record["change"]["unrecorded_until"].take()).collect()
}

#[test]
fn refused_gains_are_recorded_a_hundred_times_an_hour() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let source = json!({"group": {"displayName": "Admins"}});
        app.admin().post("/v1/mappings", json!({"role": "keyroll.admin", "source": source})).expect(201);
        let path = format!("/Groups/{}", idp.post("/Groups", group("Others", &[&mira])).expect(201).id());
        let try_all = |idp: &Actor<'_>| {
            for _ in 0..20 {
                idp.post("/Groups", group("Admins", &[])).scim_error(403, "");
                idp.patch(&path, replace("displayName", "Admins")).scim_error(403, "");
            }
            let one = json!({"method": "POST", "path": "/Groups", "bulkId": "a", "data": group("Admins", &[])});
            let operations: Vec<Value> = (0..40).map(|n| and(one.clone(), json!({"bulkId": n.to_string()}))).collect();
            let done = idp.post("/Bulk", bulk(json!(operations))).expect(200);
            for operation in done["Operations"].as_array().unwrap() {
                assert_eq!(operation["status"], json!("403"), "{operation}");
            }
        };
        try_all(&idp);
        assert_eq!(refusals(app), vec![Value::Null; 80]);
        try_all(&idp);
        let records = app.log().len();
        let recorded = refusals(app);
        assert_eq!(recorded.len(), 100);
        assert_eq!(recorded.last(), Some(&json!("2026-01-05T10:00:00.000000Z")));
        assert_eq!(recorded.iter().filter(|until| until.is_null()).count(), 99);
        // What is over changes nothing, here or there; another connection has its own hundred.
        try_all(&idp);
        assert_eq!(app.log().len(), records);
        let other = app.connect(Dialect::Okta);
        other.post("/Groups", group("Admins", &[])).scim_error(403, "");
        assert_eq!(refusals(app).len(), 101);
        // A clock that is set back gives nothing back; an hour does.
        app.clock.advance(TimeDelta::hours(-3));
        idp.post("/Groups", group("Admins", &[])).scim_error(403, "");
        app.clock.advance(TimeDelta::minutes(59));
        idp.post("/Groups", group("Admins", &[])).scim_error(403, "");
        assert_eq!(refusals(app).len(), 101);
        app.clock.advance(TimeDelta::minutes(1));
        try_all(&idp);
        assert_eq!(refusals(app).len(), 181);
    });
}

#[test]
fn so_are_those_beside_what_is_carried_out() {
    for_each_app(|app| {
        let idp = app.idp();
        let hire = |n: usize| idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
        let (joiner, leavers): (String, Vec<String>) = (hire(0), (1..=106).map(hire).collect());
        let all: Vec<&str> = leavers.iter().map(String::as_str).collect();
        let path = format!("/Groups/{}", idp.post("/Groups", group("Staff", &all)).expect(201).id());
        let source = json!({"group": {"displayName": "Staff"}});
        app.admin().post("/v1/mappings", json!({"role": "keyroll.admin", "source": source})).expect(201);
        for (n, leaver) in leavers.iter().take(105).enumerate() {
            let gone = json!({"op": "remove", "path": format!("members[value eq \"{leaver}\"]")});
            let data = patch(json!([gone, {"op": "add", "path": "members", "value": [{"value": joiner}]}]));
            match n % 2 {
                0 => assert!(matches!(idp.patch(&path, data).status, 200 | 204)),
                _ => {
                    let job = bulk(json!([{"method": "PATCH", "path": path, "data": data}]));
                    let done = idp.post("/Bulk", job).expect(200);
                    assert_eq!(done["Operations"][0]["status"], json!("200"), "{done}");
                }
            }
        }
        assert_eq!(idp.get(&path).expect(200).members(), [leavers[105].as_str()]);
        let recorded = refusals(app);
        assert_eq!(recorded.len(), 100);
        assert_eq!(recorded.last(), Some(&json!("2026-01-05T10:00:00.000000Z")));
    });
}
