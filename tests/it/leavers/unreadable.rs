//! Texts that nobody can keep, names that others have, and members that are empty.

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::{EXACT, LENIENT, hire, last_write, off, send, speaking};
use crate::support::app::*;

/// U+0000, half a character, and bytes of another encoding.
const TEXTS: [&[u8]; 4] = [b"a\\u0000", b"Mira \\ud83d", b"\\udc00", b"Jos\xe9"];

fn with(frame: &str, text: &[u8]) -> Vec<u8> {
    let (before, after) = frame.split_once("TEXT").unwrap();
    [before.as_bytes(), text, after.as_bytes()].concat()
}

#[test]
fn a_text_that_nobody_can_keep_keeps_nobody_alive() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, text) in TEXTS.iter().enumerate() {
                let check = |who: &super::Hired, answer: Answer| {
                    assert_eq!(answer.header("keyroll-tolerance"), "auto-008");
                    assert_eq!(idp.get(&who.path).expect(200)["title"], json!("Dr"));
                    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
                };
                let hired = |what: &str| {
                    let who = hire(app, &idp, &format!("{}{n}{what}", dialect.name()));
                    idp.patch(&who.path, replace("title", "Dr")).expect(200);
                    who
                };
                let frame = patch(json!([{"op": "replace", "value": {"title": "TEXT", "active": false}}])).to_string();
                let who = hired("patch");
                check(&who, idp.send("PATCH", &who.path, &[], with(&frame, text)).expect(200));
                let dropped = last_write(app, "user.patched")["change"]["dropped"].clone();
                assert_eq!(dropped, json!(["title"]));
                let who = hired("bulk");
                let job = bulk(json!([{"method": "PATCH", "path": who.path, "data": "DATA"}])).to_string();
                let done = idp.send("POST", "/Bulk", &[], with(&job.replace("\"DATA\"", &frame), text)).expect(200);
                assert_eq!(done["Operations"][0]["status"], json!("200"));
                check(&who, done);
                // By PUT what is left out is cleared; another one's name keeps nobody alive either.
                let who = hired("put");
                let whole = and(user(&who.name), json!({"title": "TEXT", "active": false})).to_string();
                let put = idp.send("PUT", &who.path, &[], with(&whole, text)).expect(200);
                assert_eq!((&put["title"], put.header("keyroll-tolerance")), (&Value::Null, "auto-008"));
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
                let who = hired("name");
                let whole = and(user("TEXT"), json!({"active": false})).to_string();
                let put = idp.send("PUT", &who.path, &[], with(&whole, text)).expect(200);
                assert_eq!((&put["userName"], put.header("keyroll-tolerance")), (&json!(who.name), "auto-008"));
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
                let member = group("team", &["TEXT"]).to_string();
                let made = idp.send("POST", "/Groups", &[], with(&member, text)).expect(201);
                assert_eq!(made.members(), Vec::<&str>::new());
                idp.delete(&format!("/Groups/{}", made.id())).expect(204);
            }
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            for text in TEXTS {
                let frame = patch(json!([{"op": "replace", "path": "title", "value": "TEXT"}, off()])).to_string();
                idp.send("PATCH", &who.path, &[], with(&frame, text)).scim_error(400, "invalidSyntax");
                assert_eq!(app.verify(&who.key), "VALID");
            }
        }
    });
}

#[test]
fn an_external_id_that_is_taken_keeps_nobody_alive() {
    for_each_app(|app| {
        app.sql("UPDATE connections SET unique_external_ids = TRUE");
        let idp = app.idp();
        let first = idp.post("/Users", and(user("first@example.com"), json!({"externalId": "7"}))).expect(201).id();
        for (n, way) in ["alone", "Bulk"].into_iter().enumerate() {
            let taken = json!({"op": "replace", "path": "externalId", "value": "7"});
            let who = hire(app, &idp, &format!("patch{n}"));
            idp.patch(&who.path, replace("externalId", format!("own{n}"))).expect(200);
            let (status, _, _, answer) = send(&idp, way, "PATCH", &who.path, &patch(json!([taken])));
            let told = format!("externalId: the value is taken by {first}");
            assert_eq!((status, answer["detail"].as_str()), (409, Some(told.as_str())));
            let (status, _, tolerances, _) = send(&idp, way, "PATCH", &who.path, &patch(json!([off(), taken])));
            assert_eq!((status, tolerances.as_str()), (200, "auto-009"));
            assert_eq!(last_write(app, "user.patched")["change"]["dropped"], json!(["externalId"]));
            assert_eq!(idp.get(&who.path).expect(200)["externalId"], json!(format!("own{n}")));
            assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
            let who = hire(app, &idp, &format!("put{n}"));
            let whole = and(user(&who.name), json!({"externalId": "7", "active": false}));
            assert_eq!(send(&idp, way, "PUT", &who.path, &whole).0, 200);
            assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
        }
        // The dialects that tolerate nothing refuse the whole.
        let rfc = app.connect(Dialect::Rfc);
        app.sql("UPDATE connections SET unique_external_ids = TRUE");
        let rfc = app.with_key(rfc.key());
        rfc.post("/Users", and(user("second@example.com"), json!({"externalId": "7"}))).expect(201);
        let who = hire(app, &rfc, "rfc");
        let whole = and(user(&who.name), json!({"externalId": "7", "active": false}));
        rfc.put(&who.path, whole).scim_error(409, "uniqueness");
        assert_eq!(app.verify(&who.key), "VALID");
    });
}

#[test]
fn what_is_empty_in_a_job_is_not_there() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let (left, gone) =
                (hire(app, &idp, &format!("{}1", dialect.name())), hire(app, &idp, &format!("{}2", dialect.name())));
            let job = bulk(json!([
                {"method": "PATCH", "path": left.path, "bulkId": "", "version": "", "data": patch(json!([off()]))},
                {"method": "DELETE", "path": gone.path, "bulkId": "", "version": ""},
                {"method": "POST", "path": "/Users", "bulkId": "", "data": user("new@example.com")},
            ]));
            let done = idp.post("/Bulk", job).expect(200);
            assert_eq!(statuses(&done), ["200", "204", "400"]);
            assert_eq!((app.verify(&left.key), app.verify(&gone.key)), ("OWNER_INACTIVE".into(), "REVOKED".into()));
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let job = bulk(json!([
                {"method": "DELETE", "path": who.path, "bulkId": ""},
                {"method": "DELETE", "path": who.path, "version": ""},
            ]));
            assert_eq!(statuses(&idp.post("/Bulk", job).expect(200)), ["400", "412"]);
        }
    });
}

fn statuses(done: &Answer) -> Vec<&str> {
    done["Operations"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect()
}
