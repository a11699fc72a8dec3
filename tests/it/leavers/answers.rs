//! What an answer should look like keeps nobody alive.

use serde_json::json;

use super::{EXACT, LENIENT, hire, off, speaking};
use crate::support::app::*;

/// What is asked of the answer, which cannot be had, and the refusal of a read for it.
const SHAPES: [(&str, &str, u16); 5] = [
    ("", "text/html", 406),
    ("?attributes=%FF", "", 400),
    ("?x%FE=1", "", 400),
    ("?attributes=userName&excludedAttributes=title", "", 400),
    ("?attributes=userName&attributes=title", "", 400),
];

#[test]
fn what_the_answer_should_look_like_keeps_nobody_alive() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, (query, accept, refused)) in SHAPES.iter().enumerate() {
                let headers: &[(&str, &str)] = &[("accept", accept)];
                let name = |what: &str| format!("{}{n}{what}", dialect.name());
                let who = hire(app, &idp, &name("patch"));
                let path = format!("{}{query}", who.path);
                assert_eq!(idp.send("GET", &path, headers, "").status, *refused, "{path}");
                let left = idp.send("PATCH", &path, headers, patch(json!([off()])).to_string()).expect(200);
                assert_eq!((left.header("content-type"), &left["active"]), ("application/scim+json", &json!(false)));
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{path}");
                let who = hire(app, &idp, &name("put"));
                let path = format!("{}{query}", who.path);
                let whole = and(user(&who.name), json!({"active": false}));
                assert_eq!(idp.send("PUT", &path, headers, whole.to_string()).expect(200)["active"], json!(false));
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{path}");
                let who = hire(app, &idp, &name("bulk"));
                let job = bulk(json!([{"method": "DELETE", "path": who.path}]));
                let done = idp.send("POST", &format!("/Bulk{query}"), headers, job.to_string()).expect(200);
                assert_eq!(done["Operations"][0]["status"], json!("204"));
                let who = hire(app, &idp, &name("delete"));
                idp.send("DELETE", &format!("{}{query}", who.path), headers, "").expect(204);
                assert_eq!(app.verify(&who.key), "REVOKED", "{path}");
                let joins = user(&name("joins")).to_string();
                idp.send("POST", &format!("/Users{query}"), headers, joins).expect(201);
            }
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            for (query, accept, refused) in SHAPES {
                let who = hire(app, &idp, &format!("{}{}", dialect.name(), query.len()));
                let path = format!("{}{query}", who.path);
                let body = patch(json!([off()])).to_string();
                assert_eq!(idp.send("PATCH", &path, &[("accept", accept)], body).status, refused, "{path}");
                assert_eq!(app.verify(&who.key), "VALID", "{path}");
            }
        }
    });
}

#[test]
fn what_comes_with_a_delete_keeps_nobody_alive() {
    for_each_app(|app| {
        let idp = app.idp();
        for (n, headers) in [
            [("content-type", "text/plain"), ("x-any", "1")],
            [("content-type", "application/json"), ("content-encoding", "gzip")],
        ]
        .iter()
        .enumerate()
        {
            let who = hire(app, &idp, &format!("mira{n}"));
            idp.send("PATCH", &who.path, headers, "active=false").scim_error(415, "");
            idp.send("DELETE", &who.path, headers, "active=false").expect(204);
            assert_eq!(app.verify(&who.key), "REVOKED");
        }
    });
}
