//! `GET /v1/mappings`: what services keep. Equal tags mean equal bytes, and the tag moves with what is shown.

mod signed;
mod story;

use insta::assert_snapshot;
use keyroll::service::keys::Owner;
use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;

const PATH: &str = "/v1/mappings";
const READ: &str = "keyroll:mappings:read";

/// A service with a key of its own.
fn service(app: &TestApp) -> Actor<'_> {
    app.with_key(&app.issue_on_host(Owner::Operator, &[READ]))
}

fn map(app: &TestApp, role: &str, source: Value) -> String {
    app.admin().post(PATH, json!({"role": role, "source": source})).expect(201).id()
}

/// The tag, the number in the body, and that they are the same.
fn seq(answer: &Answer) -> i64 {
    let seq = answer["as_of_seq"].as_i64().unwrap();
    assert_eq!(answer.header("etag"), format!("\"{seq}\""));
    seq
}

/// The tag of the same, packed.
fn packed_tag(plain: &Answer) -> String {
    format!("\"{}-gzip\"", seq(plain))
}

#[test]
fn the_fixed_shape_and_what_a_service_needs_beside_it() {
    for_each_app(|app| {
        billing(app);
        let finance =
            app.idp().post("/Groups", and(group("Finance", &[]), json!({"externalId": "f-1"}))).expect(201).id();
        map(app, "billing.viewer", json!({"group": {"displayName": "finance"}}));
        map(app, "billing.viewer", json!({"group": {"externalId": "f-1"}}));
        map(app, "billing.viewer", json!({"group": {"displayName": "Later"}}));
        let answer = service(app).get(PATH).expect(200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("vary"), "Accept-Encoding");
        assert_eq!(answer["mappings"][1]["groups"][0]["id"], json!(finance));
        assert_snapshot!(answer, @r#"
        200
        etag: "12"
        {
          "as_of_seq": 12,
          "mappings": [
            {
              "id": "019b8d62-7a80-7000-8000-000000000007",
              "role": "keyroll.admin",
              "permissions": ["keyroll:*:*"],
              "source": {
                "person": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000002"},
                "reason": "init",
                "expires_at": null
              }
            },
            {
              "id": "019b8d62-7a80-7000-8000-000000000009",
              "role": "billing.viewer",
              "permissions": ["billing:invoices:read"],
              "source": {"group":{"displayName":"finance"}},
              "groups": [
                {
                  "id": "019b8d62-7a80-7000-8000-000000000008",
                  "displayName": "Finance",
                  "externalIds": ["f-1"]
                }
              ]
            },
            {
              "id": "019b8d62-7a80-7000-8000-00000000000a",
              "role": "billing.viewer",
              "permissions": ["billing:invoices:read"],
              "source": {"group":{"externalId":"f-1"}},
              "groups": [
                {
                  "id": "019b8d62-7a80-7000-8000-000000000008",
                  "displayName": "Finance",
                  "externalIds": ["f-1"]
                }
              ]
            },
            {
              "id": "019b8d62-7a80-7000-8000-00000000000b",
              "role": "billing.viewer",
              "permissions": ["billing:invoices:read"],
              "source": {"group":{"displayName":"Later"}},
              "groups": []
            }
          ]
        }
        "#);
    });
}

/// One that has ended by itself is still there: no record says that it has.
#[test]
fn time_alone_changes_nothing() {
    for_each_app(|app| {
        billing(app);
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let person = json!({"person": {"type": "user", "id": mira}, "reason": "stand-in",
            "expires_at": "2026-01-05T09:30:00Z"});
        let id = map(app, "billing.viewer", person);
        let answer = service(app).get(PATH).expect(200);
        assert_eq!(answer["mappings"][1]["source"]["expires_at"], json!("2026-01-05T09:30:00.000Z"));
        // One by one they are shown alike.
        assert_eq!(answer["mappings"][1], app.admin().get(&format!("{PATH}/{id}")).expect(200).body);
        app.clock.advance(chrono::TimeDelta::hours(1));
        assert_eq!(service(app).get(PATH).expect(200).text, answer.text);
    });
}

#[test]
fn the_tag_moves_with_what_is_shown_and_with_nothing_else() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        map(app, "billing.viewer", json!({"group": {"displayName": "Finance"}}));
        let service = service(app);
        let mut last = seq(&service.get(PATH).expect(200));
        let mut moves = |what: &str, expected: bool| {
            let now = seq(&service.get(PATH).expect(200));
            assert_eq!(now > last, expected, "{what}: {last} → {now}");
            last = now;
        };
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        moves("a user comes", false);
        let other = idp.post("/Groups", group("Other", &[&mira])).expect(201).id();
        moves("a group comes that nobody mapped", false);
        let finance = idp.post("/Groups", group("Finance", &[&mira])).expect(201).id();
        moves("the mapped group comes", true);
        let path = format!("/Groups/{finance}");
        idp.patch(&path, add("members", json!([{"value": other}]))).expect(200);
        moves("a group joins the mapped one", false);
        idp.patch(&path, remove("members")).expect(200);
        idp.patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
        idp.delete(&format!("/Users/{mira}")).expect(204);
        moves("members and users go", false);
        idp.patch(&path, replace("externalId", "f-1")).expect(200);
        moves("the mapped group has an externalId", true);
        idp.patch(&path, replace("displayName", "FINANCE")).expect(200);
        moves("the mapped group is written otherwise", true);
        idp.patch(&path, replace("displayName", "FINANCE")).expect(200);
        moves("nothing has changed", false);
        idp.patch(&path, replace("displayName", "Money")).expect(200);
        moves("the mapped group is no longer called so", true);
        idp.delete(&path).expect(204);
        moves("it goes when it is no longer mapped", false);
        idp.patch(&format!("/Groups/{other}"), replace("displayName", "Finance")).expect(200);
        moves("another group takes the name", true);
        idp.delete(&format!("/Groups/{other}")).expect(204);
        moves("the mapped group goes", true);
        admin.post("/v1/roles", json!({"name": "clerk", "includes": ["billing.viewer"]})).expect(201);
        moves("a role comes", true);
        admin.put("/v1/roles/clerk", json!({"description": "x"})).expect(200);
        moves("a role changes", true);
        admin.post("/v1/apis", json!({"name": "open", "open": true})).expect(201);
        moves("an api comes", true);
        let id = map(app, "clerk", json!({"rule": "title pr"}));
        moves("a mapping comes", true);
        admin.delete(&format!("{PATH}/{id}")).expect(204);
        moves("a mapping goes", true);
        admin.delete("/v1/roles/billing.viewer").problem(409, "in_use");
        app.issue_on_host(Owner::Operator, &[READ]);
        moves("a refusal and a key", false);
    });
}

#[test]
fn who_has_it_is_told_so() {
    for_each_app(|app| {
        billing(app);
        map(app, "billing.viewer", json!({"group": {"displayName": "Finance"}}));
        let service = service(app);
        let plain = service.get(PATH).expect(200);
        let tag = plain.header("etag").to_owned();
        let packed_tag = packed_tag(&plain);
        let ask = |name: &str, tags: &str, coding: &str| {
            service.send("GET", PATH, &[(name, tags), ("accept-encoding", coding)], "")
        };
        for tags in [tag.clone(), format!("W/{tag}"), format!("\"0\" , {tag}"), "*".to_owned()] {
            let answer = ask("if-none-match", &tags, "identity").expect(304);
            assert_eq!((answer.header("etag"), answer.text.as_str()), (tag.as_str(), ""));
            assert_eq!(answer.header("vary"), "Accept-Encoding");
            assert_eq!(answer.header("cache-control"), "private, no-cache");
        }
        // Each form is judged by its own tag.
        let answer = ask("if-none-match", &packed_tag, "gzip").expect(304);
        assert_eq!((answer.header("etag"), answer.header("content-encoding")), (packed_tag.as_str(), ""));
        for (tags, coding) in [(&packed_tag, "identity"), (&tag, "gzip"), (&"\"1\"".to_owned(), "identity")] {
            assert_eq!(ask("if-none-match", tags, coding).expect(200).body, plain.body);
        }
        assert_eq!(ask("if-match", &tag, "identity").expect(200).body, plain.body);
        ask("if-match", "\"1\"", "identity").problem(412, "precondition_failed");
        let head = service.send("HEAD", PATH, &[], "").expect(200);
        assert_eq!(head.header("etag"), tag);
    });
}

#[test]
fn it_is_packed_for_whoever_wants_it_so() {
    for_each_app(|app| {
        billing(app);
        map(app, "billing.viewer", json!({"group": {"displayName": "Finance"}}));
        let service = service(app);
        let plain = service.get(PATH).expect(200);
        let ask = |coding: &str| service.send("GET", PATH, &[("accept-encoding", coding)], "").expect(200);
        let packed = ask("br, gzip");
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert_eq!(packed.header("etag"), packed_tag(&plain));
        assert_eq!((&packed.text, packed.header("vary")), (&plain.text, "Accept-Encoding"));
        assert_eq!(ask("gzip").bytes, packed.bytes);
        let refused = ask("gzip;q=0, identity");
        assert_eq!((refused.header("content-encoding"), &refused.bytes), ("", &plain.bytes));
    });
}

#[test]
fn a_long_one_comes_in_pieces() {
    for_each_app(|app| {
        billing(app);
        // Longer than what the index holds of a name, and the same up to there.
        let name = |n: usize| format!("{}{n:04}", "Ä".repeat(990));
        for n in 0..70 {
            map(app, "billing.viewer", json!({"group": {"displayName": name(n)}}));
        }
        let group = app.idp().post("/Groups", group(&name(7).to_lowercase(), &[])).expect(201).id();
        let service = service(app);
        let plain = service.get(PATH).expect(200);
        assert!(plain.text.len() > 1 << 17, "{}", plain.text.len());
        let mappings = plain["mappings"].as_array().unwrap();
        assert_eq!(mappings.len(), 71);
        for (n, mapping) in mappings[1..].iter().enumerate() {
            assert_eq!(mapping["source"]["group"]["displayName"], json!(name(n)));
            let ids: Vec<&Value> = mapping["groups"].as_array().unwrap().iter().map(|group| &group["id"]).collect();
            assert_eq!(ids, if n == 7 { vec![&group] } else { vec![] }, "{n}");
        }
        let packed = service.send("GET", PATH, &[("accept-encoding", "gzip")], "").expect(200);
        assert_eq!(packed.text, plain.text);
        assert!(packed.bytes.len() * 5 < plain.bytes.len());
        assert_eq!(service.send("GET", PATH, &[("accept-encoding", "gzip")], "").expect(200).bytes, packed.bytes);
    });
}

#[test]
fn who_may_read_it() {
    for_each_app(|app| {
        app.anonymous().get(PATH).problem(401, "unauthenticated");
        app.idp().get(PATH).problem(403, "forbidden");
        let other = app.with_key(&app.issue_on_host(Owner::Operator, &["keyroll:changes:read"]));
        other.get(PATH).problem(403, "forbidden");
        // Nor does anybody learn by a tag how far it has come.
        other.send("GET", PATH, &[("if-none-match", "*")], "").problem(403, "forbidden");
        // Another tenant's mappings are another snapshot.
        billing(app);
        map(app, "billing.viewer", json!({"group": {"displayName": "Finance"}}));
        let (_, admin) = app.tenant("second");
        let theirs = admin.get(PATH).expect(200);
        assert_eq!(theirs["mappings"].as_array().unwrap().len(), 1);
        assert_eq!(theirs["mappings"][0]["role"], json!("keyroll.admin"));
    });
}
