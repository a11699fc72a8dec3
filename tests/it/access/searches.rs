//! AuthZEN's searches: what would be allowed.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;

fn subject(kind: &str, id: &str) -> Value {
    json!({"type": kind, "id": id})
}

/// A user who holds a role with these permissions by a grant to the person.
fn holder(app: &TestApp, name: &str, permissions: &[&str]) -> String {
    let id = app.idp().post("/Users", user(&format!("{name}@example.com"))).expect(201).id();
    app.admin().post("/v1/roles", json!({"name": name, "permissions": permissions})).expect(201);
    let source = json!({"person": {"type": "user", "id": id}, "reason": "x"});
    app.admin().post("/v1/mappings", json!({"role": name, "source": source})).expect(201);
    id
}

/// The results of a search for actions.
fn actions(app: &TestApp, subject: Value, resource: &str) -> Value {
    let body = json!({"subject": subject, "resource": {"type": resource, "id": "1"}, "context": {}, "foo": 1});
    let answer = app.admin().post("/access/v1/search/action", body).expect(200);
    let count = answer["results"].as_array().unwrap().len();
    assert_eq!(answer["page"], json!({"next_token": "", "count": count}));
    answer["results"].clone()
}

#[test]
fn actions_that_a_subject_may_carry_out() {
    for_each_app(|app| {
        billing(app);
        let more = json!({"name": "crm", "permissions": [
            {"name": "leads:write"}, {"name": "leads:read"}, {"name": "leads:drop"}, {"name": "notes:read"}]});
        app.admin().post("/v1/apis", more).expect(201);
        let open = json!({"name": "open", "open": true, "permissions": [{"name": "x:read"}, {"name": "x:write"}]});
        app.admin().post("/v1/apis", open).expect(201);
        let wide =
            ["crm:leads:*", "crm:*:read", "open:x:*", "open:x:dance", "open:y:*", "open:*:sing", "keyroll:keys:*"];
        let mira = subject("user", &holder(app, "mira", &wide));
        let names = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Value>();
        assert_eq!(actions(app, mira.clone(), "crm:leads"), names(&["drop", "read", "write"]));
        assert_eq!(actions(app, mira.clone(), "crm:notes"), names(&["read"]));
        // Of an open api: what is registered, and what was granted by name.
        assert_eq!(actions(app, mira.clone(), "open:x"), names(&["dance", "read", "sing", "write"]));
        assert_eq!(actions(app, mira.clone(), "open:y"), names(&["sing"]));
        for none in ["billing:invoices", "crm", "crm:*", "none:x", "record"] {
            assert_eq!(actions(app, mira.clone(), none), json!([]), "{none}");
        }
        assert_eq!(actions(app, subject("user", "nobody"), "crm:leads"), json!([]));
        assert_eq!(actions(app, subject("spaceship", "1"), "crm:leads"), json!([]));
        // A key: both halves.
        let all = names(&["hold", "identify", "issue", "read", "revoke", "verify", "write"]);
        assert_eq!(actions(app, mira.clone(), "keyroll:keys"), all);
        let grant = json!([{"permissions": ["keyroll:keys:read", "keyroll:keys:verify"]}]);
        let key = app.admin().post("/v1/keys", json!({"owner": mira, "grant": grant})).expect(201).id();
        assert_eq!(actions(app, subject("key", &key), "keyroll:keys"), names(&["read", "verify"]));
        assert_eq!(actions(app, subject("key", &key), "crm:leads"), json!([]));
        app.admin().post(&format!("/v1/keys/{key}/revoke"), json!({})).expect(200);
        assert_eq!(actions(app, subject("key", &key), "keyroll:keys"), json!([]));
    });
}

#[test]
fn resources_are_every_one_or_none() {
    for_each_app(|app| {
        billing(app);
        let mira = holder(app, "mira", &["billing:invoices:read"]);
        let found = |id: &str, resource: &str, action: &str| {
            let body = json!({"subject": subject("user", id), "action": {"name": action},
                "resource": {"type": resource, "id": "ignored"}});
            app.admin().post("/access/v1/search/resource", body).expect(200).body
        };
        let all = json!({"page": {"next_token": "", "count": 1}, "results": [{"type": "billing:invoices", "id": "*"}]});
        let none = json!({"page": {"next_token": "", "count": 0}, "results": []});
        assert_eq!(found(&mira, "billing:invoices", "read"), all);
        assert_eq!(found(&mira, "billing:invoices", "write"), none);
        assert_eq!(found(&mira, "record", "read"), none);
        assert_eq!(found(&app.id(99), "billing:invoices", "read"), none);
    });
}

#[test]
fn pages_put_together_are_the_whole() {
    for_each_app(|app| {
        let names: Vec<Value> = (0..250).map(|n| json!({"name": format!("x:a{n:03}")})).collect();
        app.admin().post("/v1/apis", json!({"name": "crm", "permissions": names})).expect(201);
        let mira = holder(app, "mira", &["crm:*:*"]);
        let ask = |page: Value| {
            let body = json!({"subject": subject("user", &mira), "resource": {"type": "crm:x", "id": "1"},
                "context": {"b": 1, "a": [2]}, "page": page});
            app.admin().post("/access/v1/search/action", body)
        };
        let whole: Vec<Value> = (0..250).map(|n| json!({"name": format!("a{n:03}")})).collect();
        for limit in [json!(null), json!(1_000_000), json!(99), json!(250), json!(125)] {
            let (mut all, mut token, mut pages) = (vec![], String::new(), 0);
            loop {
                let page = ask(json!({"limit": limit, "token": token})).expect(200);
                all.extend(page["results"].as_array().unwrap().clone());
                pages += 1;
                token = page["page"]["next_token"].as_str().unwrap().to_owned();
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(all, whole, "{limit}");
            let expected = match limit.as_u64() {
                None | Some(99) => 3,
                Some(125) => 2,
                _ => 1,
            };
            assert_eq!(pages, expected, "{limit}");
        }
        // A page of nothing leads to the next one; a token carries the size of the pages.
        let nothing = ask(json!({"limit": 0})).expect(200);
        assert_eq!((&nothing["results"], &nothing["page"]["count"]), (&json!([]), &json!(0)));
        assert_ne!(nothing["page"]["next_token"], json!(""));
        let token = ask(json!({"limit": 2})).expect(200)["page"]["next_token"].clone();
        assert_eq!(ask(json!({"token": token})).expect(200)["results"], json!([whole[2], whole[3]]));
        // The request stays the same, in whatever order its members are written.
        let other = |change: Value| {
            let body = json!({"resource": {"id": "1", "type": "crm:x"}, "page": {"token": token},
                "context": {"a": [2], "b": 1}, "subject": {"id": mira, "type": "user"}});
            app.admin().post("/access/v1/search/action", and(body, change))
        };
        assert_eq!(other(json!({})).expect(200)["results"], json!([whole[2], whole[3]]));
        for change in [
            json!({"context": {"a": [2], "b": 2}}),
            json!({"resource": {"type": "crm:x", "id": "2"}}),
            json!({"subject": subject("user", "operator")}),
            json!({"page": {"token": token, "limit": 3}}),
            json!({"page": {"token": token, "properties": {"sort": 1}}}),
        ] {
            let answer = other(change.clone());
            assert_eq!(
                (answer.status, &answer.body),
                (400, &json!("page.token: it belongs to another query")),
                "{change}"
            );
        }
        let elsewhere = json!({"subject": subject("user", &mira), "action": {"name": "a001"},
            "resource": {"type": "crm:x", "id": "1"}, "context": {"b": 1, "a": [2]}, "page": {"token": token}});
        let answer = app.admin().post("/access/v1/search/resource", elsewhere);
        assert_eq!((answer.status, &answer.body), (400, &json!("page.token: it belongs to another query")));
        app.clock.advance(TimeDelta::seconds(3_601));
        assert_eq!(other(json!({})).body, json!("page.token: it is too old, begin again"));
    });
}

#[test]
fn subjects_that_may() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        let person = |name: &str| idp.post("/Users", user(&format!("{name}@example.com"))).expect(201).id();
        let (mira, tom, ann) = (person("mira"), person("tom"), person("ann"));
        let owners = json!({"owners": [{"value": ann}]});
        let bot = idp.post("/Agents", and(agent("bot"), owners)).expect(201).id();
        admin.post("/v1/roles", json!({"name": "all", "permissions": ["billing:*:*"]})).expect(201);
        let inner = idp.post("/Groups", group("Berlin", &[&tom, &bot])).expect(201).id();
        idp.post("/Groups", group("Finance", &[&mira, &inner])).expect(201);
        let map = |role: &str, source: Value| {
            admin.post("/v1/mappings", json!({"role": role, "source": source})).expect(201);
        };
        map("billing.viewer", json!({"group": {"displayName": "Finance"}}));
        map("all", json!({"group": {"displayName": "Berlin"}}));
        map("all", json!({"rule": "userName eq \"ann@example.com\""}));
        let ask = |kind: &str, (resource, action): (&str, &str), page: Value| {
            let body = json!({"subject": {"type": kind, "id": "ignored"}, "action": {"name": action},
                "resource": {"type": resource, "id": "1"}, "page": page});
            admin.post("/access/v1/search/subject", body)
        };
        let found = |kind: &str, asked: (&str, &str)| ask(kind, asked, json!({})).expect(200).body;
        let all = |kind: &str, ids: &[&str]| {
            let results: Vec<Value> = ids.iter().map(|id| subject(kind, id)).collect();
            json!({"page": {"next_token": "", "count": ids.len()}, "results": results})
        };
        let read = ("billing:invoices", "read");
        assert_eq!(found("user", read), all("user", &[&mira, &tom, &ann]));
        assert_eq!(found("agent", read), all("agent", &[&bot]));
        for (kind, asked) in [
            ("user", ("billing:invoices", "write")),
            ("user", ("record", "read")),
            ("spaceship", read),
            ("agent", ("keyroll:users", "write")),
        ] {
            assert_eq!(found(kind, asked), all(kind, &[]), "{kind} {asked:?}");
        }
        let operator = admin.get("/v1/users/operator").expect(200).id();
        assert_eq!(found("user", ("keyroll:users", "write")), all("user", &[&operator]));
        // Each of them may indeed, and nobody who is not live is named.
        idp.patch(&format!("/Users/{ann}"), replace("active", false)).expect(200);
        assert_eq!(found("user", read), all("user", &[&mira, &tom]));
        assert_eq!(found("agent", read), all("agent", &[]));
        idp.patch(&format!("/Users/{ann}"), replace("active", true)).expect(200);
        // Pages put together are the whole.
        for limit in [1, 2, 3] {
            let nothing = ask("user", read, json!({"limit": 0})).expect(200);
            assert_eq!(nothing["results"], json!([]));
            let (mut token, mut whole) = (json!(""), vec![]);
            loop {
                let page = ask("user", read, json!({"limit": limit, "token": token})).expect(200);
                let results = page["results"].as_array().unwrap();
                assert!(results.len() <= limit, "{page}");
                whole.extend(results.clone());
                token = page["page"]["next_token"].clone();
                if token == json!("") {
                    break;
                }
            }
            assert_eq!(json!(whole), all("user", &[&mira, &tom, &ann])["results"], "{limit}");
        }
        let token = ask("user", read, json!({"limit": 1})).expect(200)["page"]["next_token"].clone();
        let elsewhere = ask("agent", read, json!({"token": token}));
        assert_eq!((elsewhere.status, &elsewhere.body), (400, &json!("page.token: it belongs to another query")));
        assert_eq!(ask("user", read, json!({"token": token})).expect(200)["results"], json!([subject("user", &tom)]));
    });
}

#[test]
fn what_is_no_search() {
    let app = TestApp::sqlite();
    billing(&app);
    let good = json!({"subject": subject("user", "x"), "action": {"name": "read"},
        "resource": {"type": "billing:invoices", "id": "1"}});
    let refused = |path: &str, own: Value, message: &str| {
        let answer = app.admin().post(&format!("/access/v1/search/{path}"), and(good.clone(), own));
        assert_eq!((answer.status, &answer.body), (400, &json!(message)), "{path}");
    };
    for path in ["action", "resource"] {
        refused(path, json!({"subject": null}), "subject: expected an object");
        refused(path, json!({"subject": {"type": "user"}}), "subject.id: is required");
        refused(path, json!({"resource": {"id": "1"}}), "resource.type: is required");
        refused(path, json!({"context": 1}), "context: expected an object");
        refused(path, json!({"page": []}), "page: expected an object");
        refused(path, json!({"page": {"limit": -1}}), "page.limit: expected a whole number from 0 on");
        refused(path, json!({"page": {"limit": "1"}}), "page.limit: expected a whole number from 0 on");
        refused(path, json!({"page": {"token": 1}}), "page.token: expected a string");
        refused(path, json!({"page": {"token": "x"}}), "page.token: not one of this server's");
    }
    refused("action", json!({"resource": {"type": "billing:invoices"}}), "resource.id: is required");
    refused("resource", json!({"action": null}), "action: expected an object");
    refused("subject", json!({"subject": {}}), "subject.type: is required");
    refused(
        "subject",
        json!({"subject": {"type": "key"}}),
        "subject.type: keys are not searched for, only user and agent",
    );
    refused("subject", json!({"action": {}}), "action.name: is required");
    refused("subject", json!({"resource": {"type": "billing:invoices"}}), "resource.id: is required");
    refused("subject", json!({"page": {"token": "x"}}), "page.token: not one of this server's");
}
