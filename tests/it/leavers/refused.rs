//! What stopped a leaver stands in the log.

use chrono::TimeDelta;
use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::{LENIENT, hire, off, send, speaking};
use crate::support::app::*;

/// What the log says of refusals of one kind.
fn refused(app: &TestApp, action: &str) -> Vec<Value> {
    let own = app.log().into_iter().filter(|record| record["action"] == action);
    own.map(|record| json!([record["subject"]["id"], record["outcome"], record["change"]])).collect()
}

#[test]
fn a_refusal_that_stops_a_leaver_is_recorded_once_an_hour() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let id = who.path.trim_start_matches("/Users/");
            let left = replace("employeeStatus", "left");
            let own = || {
                let found = refused(app, "user.refused").into_iter().filter(|record| record[0] == id);
                found.collect::<Vec<_>>()
            };
            for way in ["alone", "alone", "Bulk"] {
                assert_eq!(send(&idp, way, "PATCH", &who.path, &left).0, 400);
            }
            let change = json!({"attempted": "user.patched", "code": "invalidSyntax", "names": ["employeeStatus"]});
            let one = json!([id, "failure", change]);
            assert_eq!(own(), std::slice::from_ref(&one));
            // Another kind of refusal is one of its own, and an hour later so is the same.
            let taken = hire(app, &idp, &format!("{}-taken", dialect.name()));
            let body = and(user(&taken.name), json!({"accountEnabled": false}));
            idp.put(&who.path, and(user(&taken.name), json!({"isActive": "no"}))).scim_error(400, "invalidSyntax");
            assert_eq!(own().len(), 1);
            app.clock.advance(TimeDelta::hours(1));
            assert_eq!(send(&idp, "Bulk", "PUT", &who.path, &body).0, 400);
            let change = json!({"attempted": "user.replaced", "code": "invalidSyntax", "names": ["accountEnabled"]});
            assert_eq!(own(), [one, json!([id, "failure", change])]);
            // What stops nobody from leaving is not recorded, nor is what nobody here has.
            let records = app.log().len();
            idp.patch(&who.path, replace("emails", 7)).scim_error(400, "invalidValue");
            idp.put(&taken.path, user(&who.name)).scim_error(409, "uniqueness");
            idp.patch("/Users/01939e7a-5b1c-7def-8abc-0123456789ab", left).scim_error(400, "invalidSyntax");
            idp.post("/Users", and(user("new@example.com"), json!({"left": true}))).scim_error(400, "invalidSyntax");
            assert_eq!(app.log().len(), records);
        }
    });
}

#[test]
fn a_refusal_that_keeps_somebody_in_a_group_is_recorded() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let team = idp.post("/Groups", group("team", &[&mira])).expect(201).id();
        let lost = remove(&format!("members[value eq \"{mira}\"].shoe"));
        idp.patch(&format!("/Groups/{team}"), lost).scim_error(400, "invalidPath");
        let change = json!({"attempted": "group.patched", "code": "invalidPath", "names": ["shoe"]});
        assert_eq!(refused(app, "group.refused"), [json!([team, "failure", change])]);
        // The exact dialects refuse more, and another connection's resource is not this one's to write.
        let exact = app.connect(Dialect::Rfc);
        let who = hire(app, &exact, "exact");
        let both = patch(json!([off(), {"op": "replace", "path": "shoeSize", "value": 7}]));
        exact.patch(&who.path, both.clone()).scim_error(400, "invalidPath");
        let change = json!({"attempted": "user.patched", "code": "invalidPath", "names": ["shoeSize"]});
        let id = who.path.trim_start_matches("/Users/");
        assert_eq!(refused(app, "user.refused"), [json!([id, "failure", change])]);
        exact.patch(&format!("/Users/{mira}"), both).scim_error(400, "invalidPath");
        assert_eq!(refused(app, "user.refused").len(), 1);
    });
}
