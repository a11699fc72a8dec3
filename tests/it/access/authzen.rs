//! OpenID AuthZEN: what services that speak the standard are told.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;

/// A service, with the one permission that it needs.
fn service(app: &TestApp) -> Actor<'_> {
    let owner = keyroll::service::keys::Owner::Operator;
    app.with_key(&app.issue_on_host(owner, &["keyroll:access:evaluate"]))
}

fn subject(kind: &str, id: &str) -> Value {
    json!({"type": kind, "id": id})
}

fn question(subject: Value, resource: &str, action: &str) -> Value {
    json!({"subject": subject, "action": {"name": action}, "resource": {"type": resource, "id": "17"}})
}

/// Mira is in Finance, whose members read invoices.
fn finance(app: &TestApp) -> (String, String) {
    billing(app);
    let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
    let group = app.idp().post("/Groups", group("Finance", &[&mira])).expect(201).id();
    let source = json!({"group": {"displayName": "Finance"}});
    app.admin().post("/v1/mappings", json!({"role": "billing.viewer", "source": source})).expect(201);
    (mira, group)
}

#[test]
fn a_decision_about_an_agent_hangs_on_its_sponsor() {
    for_each_app(|app| {
        let (mira, _) = finance(app);
        let (idp, admin, service) = (app.idp(), app.admin(), service(app));
        let bot = idp.post("/Agents", and(agent("deploy"), json!({"owners": [{"value": mira}]}))).expect(201).id();
        idp.post("/Groups", and(group("Bots", &[&bot]), json!({"externalId": "bots-1"}))).expect(201);
        let source = json!({"group": {"externalId": "bots-1"}});
        let may = || {
            let asked = question(subject("agent", &bot), "billing:invoices", "read");
            service.post("/access/v1/evaluation", asked).expect(200)["decision"].clone()
        };
        assert_eq!(may(), json!(false));
        admin.post("/v1/mappings", json!({"role": "billing.viewer", "source": source})).expect(201);
        assert_eq!(may(), json!(true));
        admin.post(&format!("/v1/users/{mira}/suspend"), json!({})).expect(200);
        assert_eq!(may(), json!(false));
        admin.post(&format!("/v1/users/{mira}/activate"), json!({})).expect(200);
        assert_eq!(may(), json!(true));
        idp.patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
        assert_eq!(may(), json!(false));
    });
}

#[test]
fn a_decision_follows_the_directory() {
    for_each_app(|app| {
        let (mira, group) = finance(app);
        let service = service(app);
        let ask = |subject: Value, resource: &str, action: &str| {
            let answer = service.post("/access/v1/evaluation", question(subject, resource, action)).expect(200);
            assert_eq!(answer.header("content-type"), "application/json");
            answer.body
        };
        let user = || subject("user", &mira);
        let no = |reason: &str| json!({"decision": false, "context": {"reason": reason}});
        let not_held = no("the subject does not hold billing:invoices:read");
        assert_eq!(ask(user(), "billing:invoices", "read"), json!({"decision": true}));
        assert_eq!(ask(user(), "billing:invoices", "write"), no("no api registers billing:invoices:write"));
        let no_name = no("resource.type and action.name name no permission api:resource and action");
        for (resource, action) in [("record", "read"), ("billing:*", "read"), ("billing", "invoices:read")] {
            assert_eq!(ask(user(), resource, action), no_name);
        }
        // Nobody, somebody of another kind, a name, and somebody of another tenant: one answer.
        let foreign = app.tenant("second").0.post("/Users", user_of("eve")).expect(201).id();
        for other in [
            subject("user", &app.id(99)),
            subject("agent", &mira),
            subject("group", &group),
            subject("user", "mira@example.com"),
            subject("user", &foreign),
            subject("spaceship", ""),
        ] {
            assert_eq!(ask(other.clone(), "billing:invoices", "read"), not_held, "{other}");
        }
        assert_eq!(ask(subject("user", "operator"), "keyroll:users", "write"), json!({"decision": true}));
        assert_eq!(ask(subject("user", "operator"), "billing:invoices", "read"), not_held);
        assert_eq!(ask(subject("agent", "operator"), "keyroll:users", "write")["decision"], json!(false));
        // A mover and a leaver are so at the next question.
        let path = format!("/Groups/{group}");
        app.idp().patch(&path, remove("members")).expect(200);
        assert_eq!(ask(user(), "billing:invoices", "read"), not_held);
        app.idp().patch(&path, add("members", json!([{"value": mira}]))).expect(200);
        assert_eq!(ask(user(), "billing:invoices", "read"), json!({"decision": true}));
        app.idp().patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
        assert_eq!(ask(user(), "billing:invoices", "read"), not_held);
        // A pattern reaches what is registered, and an open api takes every name.
        app.admin().post("/v1/apis", json!({"name": "open", "open": true})).expect(201);
        app.admin().post("/v1/roles", json!({"name": "all", "permissions": ["billing:*:*", "open:x:*"]})).expect(201);
        let tom = app.idp().post("/Users", user_of("tom")).expect(201).id();
        let person =
            json!({"person": {"type": "user", "id": tom}, "reason": "x", "expires_at": "2026-01-06T00:00:00Z"});
        app.admin().post("/v1/mappings", json!({"role": "all", "source": person})).expect(201);
        let tom = || subject("user", &tom);
        assert_eq!(ask(tom(), "billing:invoices", "read"), json!({"decision": true}));
        assert_eq!(ask(tom(), "billing:invoices", "write"), no("no api registers billing:invoices:write"));
        assert_eq!(ask(tom(), "open:x", "anything"), json!({"decision": true}));
        assert_eq!(ask(tom(), "open:y", "anything"), no("the subject does not hold open:y:anything"));
        app.clock.advance(TimeDelta::days(1));
        assert_eq!(ask(tom(), "billing:invoices", "read"), not_held);
    });
}

fn user_of(name: &str) -> Value {
    user(&format!("{name}@example.com"))
}

#[test]
fn a_key_may_what_it_was_granted_and_its_owner_still_may() {
    for_each_app(|app| {
        billing(app);
        let (service, admin) = (service(app), app.admin());
        let mira = app.idp().post("/Users", user_of("mira")).expect(201).id();
        let both = json!({"name": "both", "permissions": ["billing:invoices:read", "keyroll:keys:read"]});
        admin.post("/v1/roles", both).expect(201);
        let source = json!({"person": {"type": "user", "id": mira}, "reason": "x"});
        let map = || admin.post("/v1/mappings", json!({"role": "both", "source": source})).expect(201).id();
        let mapping = map();
        let grant = json!([{"permissions": ["keyroll:keys:read"]}]);
        let issue = || {
            let body = json!({"owner": subject("user", &mira), "grant": grant});
            admin.post("/v1/keys", body).expect(201).id()
        };
        let ask = |subject: Value, resource: &str, action: &str| {
            let answer = service.post("/access/v1/evaluation", question(subject, resource, action)).expect(200);
            answer["context"]["reason"].as_str().unwrap_or("yes").to_owned()
        };
        let of_key = |id: &str| ask(subject("key", id), "keyroll:keys", "read");
        let (key, no) = (issue(), "the subject does not hold keyroll:keys:read");
        assert_eq!(of_key(&key), "yes");
        assert_eq!(of_key(&app.id_of(&app.issue(&mira))), no);
        assert_eq!(of_key(&mira), no);
        assert_eq!(ask(subject("user", &key), "keyroll:keys", "read"), no);
        // The owner may more than the key, and the key never more than the owner.
        let not_granted = "the subject does not hold billing:invoices:read";
        assert_eq!(ask(subject("user", &mira), "billing:invoices", "read"), "yes");
        assert_eq!(ask(subject("key", &key), "billing:invoices", "read"), not_granted);
        admin.delete(&format!("/v1/mappings/{mapping}")).expect(204);
        assert_eq!(of_key(&key), no);
        map();
        assert_eq!(of_key(&key), "yes");
        // A provisioning key holds what SCIM needs, and nothing else.
        let all = admin.get("/v1/keys").expect(200)["keys"].clone();
        let provisioning = all.as_array().unwrap().iter().find(|key| key["class"] == json!("p")).unwrap()["id"].clone();
        let provisioning = || subject("key", provisioning.as_str().unwrap());
        assert_eq!(ask(provisioning(), "keyroll:users", "write"), "yes");
        assert_eq!(ask(provisioning(), "keyroll:keys", "read"), no);
        // A key of another tenant is nobody, and a dead one says how it died.
        let other = app.tenant("second").1.get("/v1/keys").expect(200)["keys"][0]["id"].clone();
        assert_eq!(of_key(other.as_str().unwrap()), no);
        admin.post(&format!("/v1/users/{mira}/suspend"), json!({})).expect(200);
        assert_eq!(of_key(&key), "the key does not work: OWNER_INACTIVE");
        admin.post(&format!("/v1/users/{mira}/activate"), json!({})).expect(200);
        let stolen = issue();
        assert_eq!(of_key(&stolen), "yes");
        admin.post(&format!("/v1/keys/{stolen}/revoke"), json!({})).expect(200);
        assert_eq!(of_key(&stolen), "the key does not work: REVOKED");
        // Two keys of one owner, one of them dead, in one request.
        let both: Vec<Value> = [&stolen, &key].iter().map(|id| json!({"subject": subject("key", id)})).collect();
        let body = and(question(subject("key", ""), "keyroll:keys", "read"), json!({"evaluations": both}));
        let answer = service.post("/access/v1/evaluations", body).expect(200);
        let decisions: Vec<&Value> =
            answer["evaluations"].as_array().unwrap().iter().map(|one| &one["decision"]).collect();
        assert_eq!(decisions, [&json!(false), &json!(true)]);
        // A row that was edited is worth nothing.
        app.sql(&format!("UPDATE credentials SET expires_at = expires_at + 1 WHERE id = {}", app.bytes(&key)));
        assert_eq!(of_key(&key), no);
    });
}

#[test]
fn many_questions_at_once() {
    for_each_app(|app| {
        let (mira, _) = finance(app);
        let tom = app.idp().post("/Users", user_of("tom")).expect(201).id();
        let service = service(app);
        let ask = |body: Value| service.post("/access/v1/evaluations", body).expect(200).body;
        let yes = json!({"decision": true});
        let no = json!({"decision": false, "context": {"reason": "the subject does not hold billing:invoices:read"}});
        let base = question(subject("user", &mira), "billing:invoices", "read");
        // Without a list, or with an empty one, the request itself is the question.
        assert_eq!(ask(base.clone()), yes);
        assert_eq!(ask(and(base.clone(), json!({"evaluations": []}))), yes);
        // The example of the specification: a default for everything but the resource.
        let documents = json!([
            {"resource": {"type": "billing:invoices", "id": "1"}},
            {"resource": {"type": "billing:invoices", "id": "2"}, "subject": subject("user", &tom)},
            {"resource": {"type": "billing:invoices", "id": "3"}},
        ]);
        let defaults = json!({"subject": subject("user", &mira), "action": {"name": "read"}, "more": 1});
        let with = |semantic: &str| {
            let options = json!({"evaluations_semantic": semantic, "another_option": "value"});
            ask(and(defaults.clone(), json!({"evaluations": documents, "options": options})))
        };
        assert_eq!(with("execute_all"), json!({"evaluations": [yes, no, yes]}));
        assert_eq!(with("deny_on_first_deny"), json!({"evaluations": [yes, no]}));
        assert_eq!(with("permit_on_first_permit"), json!({"evaluations": [yes]}));
        assert_eq!(ask(and(defaults.clone(), json!({"evaluations": documents}))), with("execute_all"));
        // What is wrong with one of them stays there; a key and a person in one request.
        let key = app.id_of(&app.issue(&mira));
        let mixed = json!([
            {}, "x", {"subject": "alice"}, {"resource": {"type": "billing:invoices"}},
            {"subject": subject("key", &key)}, {"subject": subject("user", "operator")}, {"action": null},
        ]);
        let defaults = json!({"subject": subject("user", &mira), "action": {"name": "read"},
            "resource": {"type": "billing:invoices", "id": "1"}, "evaluations": mixed});
        let failed =
            |message: &str| json!({"decision": false, "context": {"error": {"status": 400, "message": message}}});
        let expected = [
            yes.clone(),
            failed("expected an object"),
            failed("subject: expected an object"),
            failed("resource.id: is required"),
            no.clone(),
            no.clone(),
            yes.clone(),
        ];
        assert_eq!(ask(defaults.clone())["evaluations"], json!(expected));
        let first = and(defaults, json!({"options": {"evaluations_semantic": "deny_on_first_deny"}}));
        assert_eq!(ask(first)["evaluations"], json!(expected[..2]));
    });
}

#[test]
fn what_is_no_question() {
    let app = TestApp::sqlite();
    let (mira, _) = finance(&app);
    let service = service(&app);
    let good = question(subject("user", &mira), "billing:invoices", "read");
    let refused = |path: &str, body: &Value, status: u16, message: &str| {
        let answer = service.post(path, body.clone());
        assert_eq!((answer.status, &answer.body), (status, &json!(message)), "{path} {body}");
        assert_eq!(answer.header("content-type"), "application/json");
    };
    for (own, message) in [
        (json!({"subject": "alice"}), "subject: expected an object"),
        (json!({"subject": {"id": "x"}}), "subject.type: is required"),
        (json!({"subject": {"type": "user"}}), "subject.id: is required"),
        (json!({"action": {}}), "action.name: is required"),
        (json!({"action": {"name": 123}}), "action.name: expected a string"),
        (json!({"resource": {"id": "x"}}), "resource.type: is required"),
        (json!({"resource": {"type": "x"}}), "resource.id: is required"),
        (json!({"context": "x"}), "context: expected an object"),
    ] {
        refused("/access/v1/evaluation", &and(good.clone(), own.clone()), 400, message);
        refused("/access/v1/evaluations", &and(good.clone(), own), 400, message);
    }
    let null = and(good.clone(), json!({"subject": null}));
    refused("/access/v1/evaluation", &null, 400, "subject: expected an object");
    refused("/access/v1/evaluations", &null, 400, "subject: is required");
    let one = json!({"evaluations": [{}]});
    for (own, message) in [
        (json!({"evaluations": {}}), "evaluations: expected an array"),
        (json!({"options": []}), "options: expected an object"),
        (and(one.clone(), json!({"action": "read"})), "action: expected an object"),
    ] {
        refused("/access/v1/evaluations", &and(good.clone(), own), 400, message);
    }
    let known = "execute_all, deny_on_first_deny or permit_on_first_permit";
    let odd = and(good.clone(), json!({"options": {"evaluations_semantic": "some"}}));
    refused("/access/v1/evaluations", &odd, 400, &format!("options.evaluations_semantic: expected {known}"));
    let many = and(good.clone(), json!({"evaluations": vec![json!({}); 1_001]}));
    refused("/access/v1/evaluations", &many, 413, "evaluations: 1001 are too many, at most 1000");
    let most = and(good, json!({"evaluations": vec![json!({}); 1_000]}));
    let answer = service.post("/access/v1/evaluations", most).expect(200);
    assert_eq!(answer["evaluations"], json!(vec![json!({"decision": true}); 1_000]));
}

#[test]
fn errors_are_a_sentence_and_the_request_id_comes_back() {
    let app = TestApp::sqlite();
    let (mira, _) = finance(&app);
    let service = service(&app);
    let good = question(subject("user", &mira), "billing:invoices", "read").to_string();
    let path = "/access/v1/evaluation";
    let shown = |answer: &Answer| {
        assert_eq!(answer.header("content-type"), "application/json", "{answer}");
        format!("{} {}", answer.status, answer.body.as_str().unwrap_or_else(|| panic!("no sentence: {answer}")))
    };
    let sent = |body: &str, kind: &str| shown(&service.send("POST", path, &[("content-type", kind)], body));
    assert!(sent("{", "application/json").starts_with("400 malformed JSON: "));
    assert_eq!(sent("[]", "application/json"), "400 the body must be a JSON object");
    assert!(sent("", "application/json").starts_with("400 malformed JSON: "));
    let media_type = "400 Content-Type: expected application/scim+json or application/json";
    assert_eq!(sent(&good, "text/plain"), media_type);
    assert_eq!(shown(&app.with_key("kru_x").post(path, json!({}))), "401 the key is not valid");
    let nobody = app.anonymous().post(path, json!({}));
    assert_eq!(shown(&nobody), "401 a key is required: Authorization: Bearer …");
    assert_eq!(nobody.header("www-authenticate"), "Bearer realm=\"keyroll\"");
    let reader = app.issue_on_host(keyroll::service::keys::Owner::Operator, &["keyroll:access:read"]);
    for path in ["evaluation", "evaluations", "search/subject", "search/action", "search/resource"] {
        let answer = app.with_key(&reader).post(&format!("/access/v1/{path}"), json!({}));
        assert_eq!(shown(&answer), "403 this key does not hold keyroll:access:evaluate");
        assert_eq!(
            shown(&app.idp().post(&format!("/access/v1/{path}"), json!({}))),
            "403 a provisioning key may use SCIM only"
        );
    }
    let method = service.get(path);
    assert_eq!((shown(&method).as_str(), method.header("allow")), ("405 this method is not allowed here", "POST"));
    assert_eq!(shown(&service.get("/access/v1/nothing")), "404 there is no such endpoint");
    // Whatever is sent comes back, if it can stand in a header and is no key; what is recorded is another matter.
    let echoed = |method: &str, path: &str, id: &str| {
        service.send(method, path, &[("x-request-id", id)], &good).header("x-request-id").to_owned()
    };
    for (method, path) in
        [("POST", path), ("POST", "/access/v1/evaluations"), ("GET", path), ("GET", "/access/v1/nothing")]
    {
        for id in ["bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "7", "a b \"c\" {d}", &"x".repeat(256)] {
            assert_eq!(echoed(method, path, id), id, "{method} {path}");
        }
        for id in [service.key(), &format!("my {}", service.key()), &"x".repeat(257)] {
            let own = echoed(method, path, id);
            assert!(own.len() == 36 && own.starts_with("019b8d62-7a80-7000-"), "{method} {path}: {own}");
        }
    }
    let refused = app.anonymous().send("POST", path, &[("x-request-id", "of mine")], "{}");
    assert_eq!((refused.status, refused.header("x-request-id")), (401, "of mine"));
}

#[test]
fn the_configuration_names_what_there_is() {
    let app = TestApp::sqlite();
    let service = service(&app);
    let answer = app.anonymous().get("/.well-known/authzen-configuration").expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    assert_eq!(
        answer.body,
        json!({
            "policy_decision_point": "https://keyroll.example",
            "access_evaluation_endpoint": "https://keyroll.example/access/v1/evaluation",
            "access_evaluations_endpoint": "https://keyroll.example/access/v1/evaluations",
            "search_subject_endpoint": "https://keyroll.example/access/v1/search/subject",
            "search_resource_endpoint": "https://keyroll.example/access/v1/search/resource",
            "search_action_endpoint": "https://keyroll.example/access/v1/search/action",
        })
    );
    for (name, url) in answer.body.as_object().unwrap() {
        if name.ends_with("_endpoint") {
            let path = url.as_str().unwrap().strip_prefix("https://keyroll.example").unwrap();
            assert_eq!(service.post(path, json!({})).status, 400, "{name}");
        }
    }
}
