//! Keys meet access: what may be granted, and what a key may do now.

use keyroll::service::keys::Owner;
use keyroll::service::keys::request::GrantTexts;
use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;
use crate::support::random::Random;

/// Gives somebody a role; the mapping's id.
pub fn give(app: &TestApp, kind: &str, id: &str, role: &str) -> String {
    let source = json!({"person": {"type": kind, "id": id}, "reason": "test"});
    app.admin().post("/v1/mappings", json!({"role": role, "source": source})).expect(201).id()
}

/// Asks for a key with a grant.
fn issue(issuer: &Actor<'_>, kind: &str, id: &str, permissions: &[&str]) -> Answer {
    let owner = json!({"type": kind, "id": id});
    issuer.post("/v1/keys", json!({"owner": owner, "grant": [{"permissions": permissions}]}))
}

/// A user's key with a grant.
pub fn key(app: &TestApp, id: &str, permissions: &[&str]) -> String {
    issue(&app.admin(), "user", id, permissions).expect(201)["key"].as_str().unwrap().to_owned()
}

/// What verification says of a key and a permission, twice: read, and remembered.
#[track_caller]
pub fn ask(app: &TestApp, key: &str, permission: &str) -> String {
    let code = || {
        let answer = app.admin().post("/v1/verify", json!({"key": key, "permission": permission})).expect(200);
        let code = answer["code"].as_str().unwrap().to_owned();
        assert_eq!(answer["valid"], json!(code == "VALID"));
        assert_eq!(answer["permission"], if code == "VALID" { json!(permission) } else { Value::Null });
        code
    };
    let (first, second) = (code(), code());
    assert_eq!(first, second);
    first
}

const READ: &str = "billing:invoices:read";
const VALID: &str = "VALID";
const LACKS: &str = "INSUFFICIENT_PERMISSIONS";

#[test]
fn a_grant_names_what_an_api_offers_and_the_owner_holds() {
    for_each_app(|app| {
        billing(app);
        app.admin().post("/v1/apis", json!({"name": "open", "open": true})).expect(201);
        let role = json!({"name": "all", "permissions": ["billing:*:*", "open:*:*", "keyroll:keys:*"]});
        app.admin().post("/v1/roles", role).expect(201);
        let admin = app.admin();
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        for (sent, index) in [
            (&["billing:invoices:write"][..], 0),
            (&[READ, "none:invoices:read"], 1),
            (&[READ, "billing:*:write"], 1),
            (&[READ, "*:invoices:read"], 1),
            (&[READ, READ, "*:*:*"], 2),
            (&["keyroll:nothing:read"], 0),
        ] {
            let refused = issue(&admin, "user", &mira, sent);
            let pointer = format!("/grant/0/permissions/{index}");
            assert!(refused.problem(422, "invalid").starts_with(sent[index]), "{refused}");
            assert_eq!(refused["pointer"], json!(pointer));
        }
        let over = |permission: &str| {
            let refused = issue(&admin, "user", &mira, &[permission]);
            assert_eq!(refused.problem(403, "forbidden"), format!("the owner does not hold {permission}"));
        };
        [READ, "billing:*:*", "billing:*:read", "open:x:y"].into_iter().for_each(over);
        give(app, "user", &mira, "billing.viewer");
        // What is held by name covers no pattern.
        ["billing:*:*", "billing:*:read", "open:x:y"].into_iter().for_each(over);
        let issued = issue(&admin, "user", &mira, &[READ, READ]).expect(201);
        assert_eq!(issued["grant"], json!([{"permissions": [READ]}]));
        give(app, "user", &mira, "all");
        issue(&admin, "user", &mira, &["billing:*:read", "open:x:y", "keyroll:keys:read"]).expect(201);
        // Who may issue keys itself passes that on from the host alone.
        for permission in ["keyroll:keys:issue", "keyroll:keys:*"] {
            let detail = format!("{permission} would let the key issue keys: only the host grants that");
            assert_eq!(issue(&admin, "user", &mira, &[permission]).problem(403, "forbidden"), detail);
        }
        let on_host = |permission: &str| {
            let owner = Owner::Named("mira@example.com".to_owned());
            app.service.issue_key_on_host(&app.host(), owner, "", &GrantTexts::of(&[permission.to_owned()]), None)
        };
        on_host("keyroll:keys:issue").unwrap();
        let map = "keyroll mapping create --role keyroll.provisioner --user mira@example.com --reason TEXT";
        assert_eq!(
            on_host("keyroll:users:read").unwrap_err().to_string(),
            format!("the owner does not hold keyroll:users:read: role keyroll.provisioner gives it: {map}")
        );
        assert_eq!(on_host("billing:x:y").unwrap_err().to_string(), "billing:x:y: api billing has no such permission");
    });
}

#[test]
fn a_key_mints_no_bigger_key_a06() {
    for_each_app(|app| {
        billing(app);
        let role = json!({"name": "issuer", "permissions": ["keyroll:keys:issue", "keyroll:keys:read"]});
        app.admin().post("/v1/roles", role).expect(201);
        let [mira, rolf] =
            ["mira@example.com", "rolf@example.com"].map(|name| app.idp().post("/Users", user(name)).expect(201).id());
        for id in [&mira, &rolf] {
            give(app, "user", id, "billing.viewer");
        }
        give(app, "user", &mira, "issuer");
        give(app, "user", &rolf, "keyroll.auditor");
        let minter = app.issue_on_host(Owner::Named("mira@example.com".to_owned()), &["keyroll:keys:issue"]);
        let minter = app.with_key(&minter);
        // To itself: only what this key is allowed.
        let refused = issue(&minter, "user", &mira, &[READ]);
        assert_eq!(refused.problem(403, "forbidden"), format!("the caller does not hold {READ}"));
        issue(&minter, "user", &mira, &["keyroll:keys:issue"]).problem(403, "forbidden");
        // To others: what they hold, but of Keyroll itself nothing that the caller does not hold.
        issue(&minter, "user", &rolf, &[READ]).expect(201);
        let refused = issue(&minter, "user", &rolf, &["keyroll:users:read"]);
        assert_eq!(refused.problem(403, "forbidden"), "the caller does not hold keyroll:users:read");
        // Whoever loses the permission mints no more, with the same key.
        let issued = app.admin().get("/v1/keys").expect(200)["keys"].as_array().unwrap().len();
        app.admin().put("/v1/roles/issuer", json!({"permissions": []})).expect(200);
        issue(&minter, "user", &rolf, &[READ]).problem(403, "forbidden");
        // An identity key mints nothing (A07).
        let identity = app.with_key(&app.issue(&mira));
        issue(&identity, "user", &mira, &[READ]).problem(403, "forbidden");
        assert_eq!(app.admin().get("/v1/keys").expect(200)["keys"].as_array().unwrap().len(), issued + 1);
        // A provisioning key, too (A05).
        issue(&app.idp(), "user", &mira, &[READ]).problem(403, "forbidden");
    });
}

#[test]
fn what_a_key_may_do() {
    for_each_app(|app| {
        billing(app);
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let identity = app.issue(&mira);
        assert_eq!((app.verify(&identity).as_str(), ask(app, &identity, READ).as_str()), (VALID, LACKS));
        let mapping = give(app, "user", &mira, "billing.viewer");
        // The owner's access does not widen a key.
        assert_eq!(ask(app, &identity, READ), LACKS);
        let viewer = key(app, &mira, &[READ]);
        assert_eq!(ask(app, &viewer, READ), VALID);
        for other in ["billing:invoices:write", "none:invoices:read", "billing:*:read", "*:*:*", "keyroll:users:read"] {
            assert_eq!(ask(app, &viewer, other), LACKS, "{other}");
        }
        // What no api has is a slip of the pen, and named as that.
        let detail = |question: Value| {
            let answer = app.admin().post("/v1/verify", and(json!({"key": viewer}), question)).expect(200);
            assert_eq!((&answer["valid"], &answer["code"]), (&json!(false), &json!(LACKS)));
            answer["detail"].clone()
        };
        let known = detail(json!({"permission": "keyroll:users:read"}));
        let unknown = detail(json!({"permission": "billing:invoice:read"}));
        assert_eq!((known, unknown), (Value::Null, json!("UNKNOWN_PERMISSION: no api registers billing:invoice:read")));
        let api = json!({"api": "none", "method": "GET", "path": "/"});
        assert_eq!(detail(api), json!("UNKNOWN_PERMISSION: no api has this name"));
        let route = json!({"api": "billing", "method": "GET", "path": "/v9/none"});
        assert_eq!(detail(route), json!("UNKNOWN_PERMISSION: no route of the api billing has this method and path"));
        assert_eq!(app.verify(&viewer), VALID);
        let answer = app.admin().post("/v1/verify", json!({"key": viewer, "permission": READ})).expect(200);
        let id = app.with_key(&viewer).get("/v1/whoami").expect(200)["key_id"].clone();
        let owner = json!({"type": "user", "id": mira, "userName": "mira@example.com"});
        let expected = json!({"valid": true, "code": "VALID", "key_id": id, "owner": owner,
            "expires_at": "2026-04-05T09:00:00.000Z", "permission": READ});
        assert_eq!(answer.body, expected);
        // The connection's own key does what a connection does.
        assert_eq!(ask(app, app.idp().key(), "keyroll:users:write"), VALID);
        assert_eq!(ask(app, app.idp().key(), "keyroll:keys:issue"), LACKS);
        // A dead key says why it is dead, whatever it is asked.
        app.admin().delete(&format!("/v1/mappings/{mapping}")).expect(204);
        assert_eq!(ask(app, &viewer, READ), LACKS);
        app.idp().patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
        assert_eq!(ask(app, &viewer, READ), "OWNER_INACTIVE");
        app.admin().post(&format!("/v1/keys/{}/revoke", id.as_str().unwrap()), json!({})).expect(200);
        assert_eq!(ask(app, &viewer, READ), "REVOKED");
        let (_, stranger) = app.tenant("second");
        let unknown = stranger.post("/v1/verify", json!({"key": viewer, "permission": READ})).expect(200);
        assert_eq!(unknown.body, json!({"valid": false, "code": "NOT_FOUND"}));
    });
}

#[test]
fn a_request_is_asked_for_by_its_route() {
    for_each_app(|app| {
        billing(app);
        let weak = json!({"permissions": [{"name": "invoices:read"}, {"name": "all:read"}], "routes": [
            {"method": "GET", "path": "/v2/invoices/{id}", "permission": "invoices:read"},
            {"method": "GET", "path": "/v2/{kind}/{id}", "permission": "all:read"}]});
        app.admin().put("/v1/apis/billing", weak).expect(200);
        app.admin().post("/v1/roles", json!({"name": "all", "permissions": ["billing:all:read"]})).expect(201);
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let mapping = give(app, "user", &mira, "billing.viewer");
        give(app, "user", &mira, "all");
        let asked = |key: &str, api: &str, method: &str, path: &str| {
            let body = json!({"key": key, "api": api, "method": method, "path": path});
            app.admin().post("/v1/verify", body).expect(200)
        };
        let (viewer, other) = (key(app, &mira, &[READ]), key(app, &mira, &["billing:all:read"]));
        for (method, path) in
            [("GET", "/v2/invoices/42"), ("HEAD", "/v2/invoices/42"), ("GET", "/v2/invoices/42?x=/../y")]
        {
            let answer = asked(&viewer, "billing", method, path);
            assert_eq!((&answer["code"], &answer["permission"]), (&json!(VALID), &json!(READ)), "{method} {path}");
            assert_eq!(asked(&other, "billing", method, path)["code"], json!(LACKS), "{method} {path}");
        }
        assert_eq!(asked(&other, "billing", "GET", "/v2/receipts/42")["permission"], json!("billing:all:read"));
        // No other spelling of the path opens it to the weaker permission.
        for path in [
            "/v2/%69nvoices/42",
            "/v2/%69%6e%76oices/42",
            "/v2/receipts/../invoices/42",
            "/v2/x/..",
            "//v2/invoices/42",
            "/v2//invoices/42",
            "/v2/invoices;x/42",
            "/v2/invoices%2f42/x",
            "/v2/invoices/42/",
        ] {
            for key in [&viewer, &other] {
                let answer = asked(key, "billing", "GET", path);
                assert_eq!((&answer["code"], &answer["permission"]), (&json!(LACKS), &Value::Null), "{path}");
            }
        }
        for (api, method) in [("billing", "POST"), ("billing", "get"), ("keyroll", "GET"), ("", "GET"), ("*", "GET")] {
            assert_eq!(asked(&viewer, api, method, "/v2/invoices/42")["code"], json!(LACKS), "{api} {method}");
        }
        app.admin().delete(&format!("/v1/mappings/{mapping}")).expect(204);
        assert_eq!(asked(&viewer, "billing", "GET", "/v2/invoices/42")["code"], json!(LACKS));
    });
}

#[test]
fn questions_that_cannot_be_understood() {
    let app = TestApp::sqlite();
    billing(&app);
    let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
    let key = app.issue(&mira);
    let request = json!({"api": "billing", "method": "GET", "path": "/v2/invoices/42"});
    for (more, pointer) in [
        (json!({"permission": "billing:invoices"}), "/permission"),
        (json!({"permission": "Billing:invoices:read"}), "/permission"),
        (json!({"permission": ""}), "/permission"),
        (json!({"permission": null}), "/permission"),
        (json!({"permission": ["billing:invoices:read"]}), "/permission"),
        (and(request.clone(), json!({"permission": READ})), "/permission"),
        (json!({"permission": READ, "path": "/x"}), "/permission"),
        (json!({"method": "GET", "path": "/x"}), "/api"),
        (json!({"api": "billing", "path": "/x"}), "/method"),
        (json!({"api": "billing", "method": "GET"}), "/path"),
        (and(request.clone(), json!({"path": null})), "/path"),
        (and(request.clone(), json!({"path": "v2/invoices/42"})), "/path"),
        (and(request.clone(), json!({"path": "https://billing.example/v2/invoices/42"})), "/path"),
        (and(request.clone(), json!({"method": "GET /"})), "/method"),
        (and(request.clone(), json!({"method": ""})), "/method"),
        (and(request.clone(), json!({"ip": "here"})), "/ip"),
        (and(request, json!({"address": "192.0.2.1"})), "/address"),
    ] {
        let refused = app.admin().post("/v1/verify", and(json!({"key": key}), more.clone()));
        assert!(!refused.problem(422, "invalid").is_empty());
        assert_eq!(refused["pointer"], json!(pointer), "{more}");
    }
}

/// What a pattern covers, part by part.
fn covers(pattern: &str, single: &str) -> bool {
    let (own, asked): (Vec<&str>, Vec<&str>) = (pattern.split(':').collect(), single.split(':').collect());
    own[0] == asked[0] && (1..3).all(|n| own[n] == "*" || own[n] == asked[n])
}

/// What is asked for, and what is granted and held.
const SINGLES: [&str; 11] = [
    "shop:x:read",
    "shop:x:write",
    "shop:y:read",
    "shop:y:write",
    "open:x:read",
    "open:y:write",
    "none:x:read",
    "keyroll:keys:read",
    "keyroll:users:read",
    "keyroll:keys:issue",
    "keyroll:x:read",
];
const PATTERNS: [&str; 9] = [
    "shop:x:read",
    "shop:x:*",
    "shop:*:read",
    "shop:*:*",
    "open:x:read",
    "open:*:*",
    "keyroll:keys:read",
    "keyroll:*:read",
    "keyroll:*:*",
];

/// Whether an api offers it.
fn is_known(single: &str) -> bool {
    !["none:x:read", "shop:y:write", "keyroll:x:read"].contains(&single)
}

#[test]
fn effective_is_what_both_sides_cover() {
    for_each_app(|app| {
        let listed = json!([{"name": "x:read"}, {"name": "x:write"}, {"name": "y:read"}]);
        app.admin().post("/v1/apis", json!({"name": "shop", "permissions": listed})).expect(201);
        app.admin().post("/v1/apis", json!({"name": "open", "open": true})).expect(201);
        app.admin().post("/v1/roles", json!({"name": "some", "permissions": []})).expect(201);
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        give(app, "user", &mira, "some");
        let hold = |permissions: &[&str]| {
            app.admin().put("/v1/roles/some", json!({"permissions": permissions})).expect(200);
        };
        let mut random = Random(7);
        let mut some = |most: usize| -> Vec<&str> {
            (0..=random.below(most)).map(|_| PATTERNS[random.below(PATTERNS.len())]).collect()
        };
        let (mut issued, mut answers) = (0, [0, 0]);
        for _ in 0..20 {
            let (held, grant) = (some(7), some(2));
            hold(&held);
            // A grant is covered pattern by pattern; the right to issue is never among what HTTP grants.
            let is_capped = |one: &&str| held.iter().any(|own| covers(own, one)) && !covers(one, "keyroll:keys:issue");
            let fits = grant.iter().all(is_capped);
            let answer = issue(&app.admin(), "user", &mira, &grant);
            assert_eq!(answer.status, if fits { 201 } else { 403 }, "{grant:?} of {held:?}: {answer}");
            if !fits {
                continue;
            }
            issued += 1;
            let key = answer["key"].as_str().unwrap();
            for held in [held, some(5)] {
                hold(&held);
                for single in SINGLES {
                    let both = [&grant, &held].iter().all(|side| side.iter().any(|one| covers(one, single)));
                    let expected = both && is_known(single);
                    answers[usize::from(expected)] += 1;
                    assert_eq!(ask(app, key, single) == VALID, expected, "{single} of {grant:?} and {held:?}");
                }
            }
        }
        assert!(issued > 5 && answers[0] > 50 && answers[1] > 20, "{issued} {answers:?}");
    });
}
