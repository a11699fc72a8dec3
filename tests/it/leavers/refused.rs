//! What stopped a leaver stands in the log.

use chrono::TimeDelta;
use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::{LENIENT, hire, off, send, speaking};
use crate::support::app::*;

/// What the log says of refusals of one kind.
pub(super) fn refused(app: &TestApp, action: &str) -> Vec<Value> {
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

#[test]
fn whatever_is_final_and_may_have_been_a_leaving_is_recorded() {
    for_each_app(|app| {
        let idp = app.idp();
        let who = hire(app, &idp, "mira");
        let id = who.path.trim_start_matches("/Users/");
        let gone = patch(json!([off()])).to_string();
        let put = |active: &str| and(user(&who.name), json!({"active": active})).to_string();
        let (doubtful, stays) = (put("perhaps"), put("true"));
        let json_type = ("content-type", "application/scim+json");
        let (other, large) = (("if-match", "W/\"7\""), vec![b' '; (16 << 20) + 1]);
        let cases: [(_, _, _, &[u8], _, _); 10] = [
            ("PATCH", "user.patched", other, gone.as_bytes(), 412, "412"),
            ("DELETE", "user.deleted", other, b"", 412, "412"),
            ("PUT", "user.replaced", json_type, doubtful.as_bytes(), 400, "invalidValue"),
            ("PATCH", "user.patched", json_type, b"{\"Operations\": [", 400, "invalidSyntax"),
            ("PUT", "user.replaced", json_type, b"", 400, "invalidSyntax"),
            ("PUT", "user.replaced", json_type, b"[]", 400, "invalidSyntax"),
            ("PATCH", "user.patched", ("content-type", "text/plain"), gone.as_bytes(), 415, "415"),
            ("PATCH", "user.patched", json_type, &large, 413, "413"),
            ("PUT", "user.replaced", json_type, &large, 413, "413"),
            // What says that somebody stays, or is answered by what is to be tried again, is none of these.
            ("PUT", "", other, stays.as_bytes(), 412, ""),
        ];
        for (method, attempted, header, body, status, code) in cases {
            for again in [false, true] {
                let records = app.log().len();
                let answer = idp.send(method, &who.path, &[header], body);
                assert_eq!(answer.status, status, "{method} {answer}");
                let expected = json!([id, "failure", {"attempted": attempted, "code": code, "names": []}]);
                match again || code.is_empty() {
                    true => assert_eq!(app.log().len(), records, "{method} {code}"),
                    false => assert_eq!(refused(app, "user.refused").last(), Some(&expected)),
                }
            }
            app.clock.advance(TimeDelta::hours(1));
        }
        assert_eq!(refused(app, "user.refused").len(), 9);
        // Nobody can say whom a group that cannot be read would have kept; another connection's is not this one's.
        let team = idp.post("/Groups", group("team", &[id])).expect(201).id();
        idp.send("PUT", &format!("/Groups/{team}"), &[], "{").scim_error(400, "invalidSyntax");
        let change = json!({"attempted": "group.replaced", "code": "invalidSyntax", "names": []});
        assert_eq!(refused(app, "group.refused"), [json!([team, "failure", change])]);
        let (other, records) = (app.connect(Dialect::Okta), app.log().len());
        other.send("PATCH", &who.path, &[], "{").scim_error(400, "invalidSyntax");
        other.send("PATCH", &who.path, &[("content-type", "text/plain")], &gone).scim_error(415, "");
        app.admin().send("PATCH", &who.path, &[], "{").scim_error(403, "");
        assert_eq!((app.log().len(), app.verify(&who.key)), (records, "VALID".to_owned()));
    });
}
