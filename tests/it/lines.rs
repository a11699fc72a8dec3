//! What the server's own log says of requests: one line each, with who, from where, what, and why not.

use chrono::TimeDelta;
use keyroll::service::keys::Owner;
use keyroll::service::keys::request::GrantTexts;
use serde_json::{Value, json};

use crate::support::app::for_each_app;
use crate::support::server::{Answer, BULK, GROUP, Installation, PATCH, Server, USER, raw};

/// The lines that a server wrote until it ended.
struct Lines(Vec<Value>);

impl Lines {
    fn of(server: Server) -> Lines {
        server.terminate();
        let (_, _, stderr) = server.wait();
        Lines(stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect())
    }

    /// The one line about a request.
    #[track_caller]
    fn about(&self, answer: &Answer) -> Value {
        let id = answer.header("x-request-id").unwrap();
        let mut found: Vec<&Value> = self.0.iter().filter(|line| line["request"] == id).collect();
        assert_eq!(found.len(), 1, "{id}: {found:?}");
        found.pop().unwrap().clone()
    }

    /// How many of them are about this.
    fn count(&self, wanted: impl Fn(&Value) -> bool) -> usize {
        self.0.iter().filter(|line| wanted(line)).count()
    }
}

/// The named members of a line.
fn shown(line: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| ((*name).to_owned(), line[*name].clone())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn a_request_has_one_line_that_says_who_and_what_and_why_not() {
    for place in Installation::each() {
        let server = place.serve_with(&["--log-format", "json"], &[("KEYROLL_LOG", "info")]);
        let (idp, admin) = (server.idp(), server.admin());
        let body = json!({"schemas": [USER], "userName": "mira.okafor", "displayName": "Mira Okafor"});
        let made = idp.post("/scim/v2/Users", &body).expect(201);
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let taken = idp.post("/scim/v2/Users", &body).expect(409);
        let tolerated =
            json!({"schemas": [PATCH], "Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
        let patched = idp.patch(&format!("/scim/v2/Users/{id}"), &tolerated).expect(200);
        let leaves =
            json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "employeeStatus", "value": "left"}]});
        let refused = idp.patch(&format!("/scim/v2/Users/{id}"), &leaves).expect(400);
        let filtered = idp.get("/scim/v2/Users?filter=mira.okafor%20is%20555-0100").expect(400);
        let one = |name: &str| json!({"method": "POST", "path": "/Users", "bulkId": name, "data": {"schemas": [USER], "userName": name}});
        let job = json!({"schemas": [BULK], "Operations": [one("mira.okafor"), one("ben"), one("eve")]});
        let bulk = idp.post("/scim/v2/Bulk", &job).expect(200);
        let lacking = idp.get("/v1/keys").expect(403);
        let absent = idp.get("/nowhere/mira.okafor").expect(404);
        let probe = idp.get("/healthz").expect(200);
        let read = admin.get(&format!("/scim/v2/Users/{id}")).expect(200);
        let unread = raw(server.address, b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n").unwrap();
        assert_eq!(unread.status, 400);
        let whoami = idp.get("/v1/whoami").expect(200).json();
        let lines = Lines::of(server);

        let line = lines.about(&made);
        let names = "level message method route status from by connection key resource_type resource";
        let names: Vec<&str> = names.split(' ').collect();
        let expected = json!({"level": "info", "message": "Create", "method": "POST", "route": "/scim/v2/{endpoint}",
            "status": 201, "from": "127.0.0.1", "by": "connection", "connection": "default", "key": whoami["key_id"],
            "resource_type": "User", "resource": id});
        assert_eq!(shown(&line, &names), expected);
        assert!(line["seq"].is_u64() && line["micros"].is_u64() && line["ts"].is_string(), "{line}");
        let line = lines.about(&taken);
        assert_eq!(shown(&line, &["status", "code", "seq"]), json!({"status": 409, "code": "uniqueness", "seq": null}));
        assert!(line["why"].as_str().unwrap().starts_with("userName"), "{line}");
        let line = lines.about(&patched);
        assert_eq!(shown(&line, &["message", "resource"]), json!({"message": "Patch", "resource": id}));
        assert!(line["tolerances"].is_string() && line["seq_last"].as_u64() > line["seq"].as_u64(), "{line}");
        let why = "employeeStatus: says that somebody leaves, and there is no such attribute: active says it";
        assert_eq!(lines.about(&refused)["why"], why);
        let line = lines.about(&filtered);
        assert_eq!(line["code"], "invalidFilter", "{line}");
        assert!(line["why"].as_str().unwrap().starts_with("filter: "), "{line}");
        let expected = json!({"outcomes": "201:2,409/uniqueness:1", "first_failed": 0, "why": format!("userName: the value is taken by {id}")});
        assert_eq!(shown(&lines.about(&bulk), &["outcomes", "first_failed", "why"]), expected);
        assert_eq!(lines.about(&lacking)["code"], "forbidden");
        let expected = json!({"message": "no such endpoint or method", "method": "GET", "path": "/nowhere/…"});
        assert_eq!(shown(&lines.about(&absent), &["message", "method", "path"]), expected);
        assert_eq!(shown(&lines.about(&read), &["by", "connection"]), json!({"by": "user", "connection": null}));
        // What is no request has no line: there are no other 400 than these two.
        assert_eq!(lines.count(|line| line["status"] == 400), 2);
        // Probes are nobody's news.
        assert_eq!(lines.count(|line| line["request"] == probe.header("x-request-id").unwrap()), 0);
        let text = format!("{:?}", lines.0).to_ascii_lowercase();
        for value in ["okafor", "mira", "555-0100", "eve\""] {
            assert!(!text.contains(value), "{value}");
        }
    }
}

#[test]
fn a_path_that_is_no_endpoint_is_named_without_keys() {
    let place = Installation::sqlite();
    let server = place.serve_with(&["--log-format", "json"], &[("KEYROLL_LOG", "info")]);
    let (idp, key) = (server.idp(), server.keys().admin);
    let with_key = format!("/v1/key/{key}");
    let cases = [
        (idp.get("/scim/v2/User"), 404, "GET", "/scim/v2/User"),
        (idp.delete("/scim/v2/Schemas"), 405, "DELETE", "/scim/v2/Schemas"),
        (idp.post("/V1/Verify", &json!({})), 404, "POST", "/V1/Verify"),
        (idp.get(&with_key), 400, "GET", "/v1/key/…"),
        (idp.get("/"), 404, "GET", "/"),
    ];
    let text = format!("BREW /v1/{key} HTTP/1.1\r\nHost: x\r\n\r\n");
    let brewed = raw(server.address, text.as_bytes()).unwrap();
    let lines = Lines::of(server);
    for (answer, status, method, path) in cases {
        let expected = json!({"status": status, "method": method, "path": path});
        assert_eq!(shown(&lines.about(&answer.expect(status)), &["status", "method", "path"]), expected);
    }
    let why = "a key must not be in a URL: revoke it, it is in logs by now";
    let expected = json!({"method": null, "path": "/v1/…", "why": why});
    assert_eq!(shown(&lines.about(&brewed), &["method", "path", "why"]), expected);
    assert!(!format!("{:?}", lines.0).contains(&key[17..40]));
}

#[test]
fn a_verification_names_the_verdict_and_the_key() {
    for place in Installation::each() {
        let server = place.serve_with(&["--log-format", "json"], &[("KEYROLL_LOG", "info")]);
        let admin = server.admin();
        let issued = place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0).json();
        let (id, key) = (issued["id"].clone(), issued["key"].as_str().unwrap().to_owned());
        let verify = |body| admin.post("/v1/verify", &body).expect(200);
        let valid = verify(json!({"key": key}));
        // From memory, too.
        let again = verify(json!({"key": key}));
        let lacking = verify(json!({"key": key, "permission": "billing:invoices:read"}));
        let unknown =
            verify(json!({"key": format!("{}{}", &key[..key.len() - 1], if key.ends_with('x') { 'y' } else { 'x' })}));
        place.run(&["key", "revoke", id.as_str().unwrap()]).expect(0);
        let revoked = verify(json!({"key": key}));
        let refused = admin.post("/v1/verify", &json!({})).expect(422);
        let lines = Lines::of(server);
        for (answer, verdict, of) in [
            (valid, json!("VALID"), &id),
            (again, json!("VALID"), &id),
            (lacking, json!("INSUFFICIENT_PERMISSIONS"), &id),
            (unknown, json!("NOT_FOUND"), &Value::Null),
            (revoked, json!("REVOKED"), &id),
            (refused, Value::Null, &Value::Null),
        ] {
            let line = lines.about(&answer);
            assert_eq!(shown(&line, &["verdict", "verified"]), json!({"verdict": verdict, "verified": of}));
        }
        assert!(!format!("{:?}", lines.0).contains(&key[17..60]));
    }
}

#[test]
fn what_fails_inside_a_job_has_its_cause_in_the_log() {
    for place in Installation::each() {
        let server = place.serve_with(&["--log-format", "json"], &[("KEYROLL_LOG", "info")]);
        place.sql("ALTER TABLE unique_values RENAME TO others");
        let one = |name: &str| json!({"method": "POST", "path": "/Users", "bulkId": name, "data": {"schemas": [USER], "userName": name}});
        let broken = json!({"method": "POST", "path": "/Nobodies", "bulkId": "z", "data": {}});
        let circle = |name: &str, other: &str| {
            let member = json!([{"value": format!("bulkId:{other}")}]);
            let group = json!({"schemas": [GROUP], "displayName": name, "members": member});
            json!({"method": "POST", "path": "/Groups", "bulkId": name, "data": group})
        };
        let job = json!({"schemas": [BULK], "Operations": [broken, one("ben"), circle("a", "b"), circle("b", "a")]});
        let bulk = server.idp().post("/scim/v2/Bulk", &job).expect(200);
        let statuses: Vec<Value> =
            bulk.json()["Operations"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
        assert_eq!(
            (&statuses[1], bulk.json()["Operations"][1]["response"]["detail"].clone()),
            (&json!("500"), json!("internal error"))
        );
        let lines = Lines::of(server);
        let id = bulk.header("x-request-id").unwrap();
        let causes: Vec<&str> = lines
            .0
            .iter()
            .filter(|line| line["request"] == id && line["level"] == "error")
            .map(|line| line["message"].as_str().unwrap())
            .collect();
        assert!(
            causes
                .iter()
                .any(|text| text.starts_with("Operations[1]: internal error: database: ")
                    && text.contains("unique_values")),
            "{causes:?}"
        );
        assert!(causes.iter().any(|text| text.starts_with("Operations[2]: internal error: database: ")), "{causes:?}");
        let line = lines.0.iter().find(|line| line["request"] == id && line["message"] == "Bulk").unwrap();
        assert_eq!(line["first_failed"], 0, "{line}");
        assert!(line["why"].as_str().unwrap().starts_with("path: "), "{line}");
    }
}

#[test]
fn behind_a_proxy_the_line_names_whom_it_forwards_for() {
    let place = Installation::sqlite();
    let flags = ["--log-format", "json", "--log-level", "info", "--behind-proxy", "127.0.0.1/32"];
    let server = place.serve(&flags);
    let idp = server.idp();
    let ask = |headers: &[(&str, &str)]| idp.send("GET", "/v1/whoami", headers, "").unwrap().expect(200);
    let cases = [
        (ask(&[("X-Forwarded-For", "203.0.113.9, 198.51.100.7")]), "198.51.100.7"),
        (ask(&[("Forwarded", "for=\"[2001:db8::1]:4711\";proto=https")]), "2001:db8::1"),
        // The proxy writes one of them; the other is the client's own.
        (ask(&[("X-Forwarded-For", "198.51.100.7"), ("Forwarded", "for=203.0.113.9")]), "127.0.0.1"),
        (ask(&[("X-Forwarded-For", "mira okafor")]), "127.0.0.1"),
        (ask(&[]), "127.0.0.1"),
    ];
    let lines = Lines::of(server);
    for (answer, expected) in cases {
        assert_eq!(lines.about(&answer)["from"], expected);
    }
    // Nobody is believed who was not named.
    let server = place.serve(&flags[..4]);
    let answer = server.idp().send("GET", "/v1/whoami", &[("X-Forwarded-For", "198.51.100.7")], "").unwrap();
    assert_eq!(Lines::of(server).about(&answer)["from"], "127.0.0.1");
}

#[test]
fn failures_of_authentication_are_told_once_and_a_key_that_ended_aloud() {
    for place in Installation::each() {
        let server = place.serve_with(&["--log-format", "json"], &[("KEYROLL_LOG", "info")]);
        for n in 0..40 {
            server.client(&format!("krp_{n}")).get("/scim/v2/Users").expect(401);
        }
        let issued = place.run(&["key", "issue", "--connection", "default", "--json"]).expect(0).json();
        let (key, id) = (issued["key"].as_str().unwrap(), issued["id"].as_str().unwrap());
        let ended = server.client(key);
        ended.get("/scim/v2/Users").expect(200);
        place.run(&["key", "revoke", id]).expect(0);
        let first = ended.get("/scim/v2/Users").expect(401);
        ended.get("/scim/v2/Groups").expect(401);
        let lines = Lines::of(server);
        assert_eq!(lines.count(|line| line["status"] == 401), 2);
        assert_eq!(
            lines.count(|line| line["status"] == 401 && line["from"] == "127.0.0.1" && line["key"].is_null()),
            1
        );
        let line = lines.about(&first);
        let expected = json!({"level": "warn", "connection": "default", "key": id, "key_status": "REVOKED"});
        assert_eq!(shown(&line, &["level", "connection", "key", "key_status"]), expected);
        assert!(line["key_since"].as_str().unwrap().ends_with('Z'), "{line}");
        // What was counted is told before the server has gone, however short its last minute was.
        let told = |name: &str, value: &Value| {
            let sum = |line: &&Value| {
                line["message"] == "more failures of authentication within a minute" && line[name] == *value
            };
            let found: Vec<&Value> = lines.0.iter().filter(sum).collect();
            assert_eq!(found.len(), 1, "{found:?}");
            shown(found[0], &["level", "failures", "why"])
        };
        let why = "the key is not valid";
        assert_eq!(told("from", &json!("127.0.0.1")), json!({"level": "warn", "failures": 39, "why": why}));
        assert_eq!(told("key", &json!(id)), json!({"level": "warn", "failures": 1, "why": why}));
        assert_eq!(lines.count(|line| line["status"] == 401 && line["key"].is_null() && line["why"] == why), 1);
        assert!(!format!("{:?}", lines.0).contains(&key[17..60]));
    }
}

#[test]
fn a_provisioning_key_that_ends_is_told_at_start() {
    for place in Installation::each() {
        place.run(&["init"]).expect(0);
        let issue = |lifetime: &str| {
            let issue = ["key", "issue", "--connection", "default", "--expires-in", lifetime, "--json"];
            place.run(&issue).expect(0).json()["id"].as_str().unwrap().to_owned()
        };
        let (id, _, last) = (issue("P10D"), issue("PT2H"), issue("P1D"));
        let server = place.serve_with(&[], &[("KEYROLL_LOG", "warn")]);
        let line = server.await_log("a provisioning key ends in 9 days: issue the next with keyroll key issue");
        assert!(line.contains(&format!("connection=default key={id} at=")) && line.contains(" WARN "), "{line}");
        let lines = server.await_log("a provisioning key ends in 23 hours: issue the next with keyroll key issue");
        assert!(lines.contains(&format!("connection=default key={last} at=")), "{lines}");
        let told = lines.matches("provisioning key ends").count();
        assert_eq!(told, 2, "the first one has half a year, and one is for two hours: {lines}");
    }
}

#[test]
fn keys_of_a_connection_are_named_from_a_month_before_their_end() {
    for_each_app(|app| {
        let days = || {
            let told = app.service.expiring_keys().unwrap().into_iter();
            told.map(|one| (one.connection, one.left.map(|left| left.num_days()))).collect::<Vec<_>>()
        };
        assert_eq!(days(), []);
        app.clock.advance(TimeDelta::days(149));
        assert_eq!(days(), []);
        for (by, left) in [(1, 30), (16, 14), (7, 7), (6, 1)] {
            app.clock.advance(TimeDelta::days(by));
            assert_eq!(days(), [("default".to_owned(), Some(left))]);
        }
        // Afterwards somebody has to know why the identity provider is refused.
        app.clock.advance(TimeDelta::days(3));
        assert_eq!(days(), [("default".to_owned(), None)]);
        // What is issued for an hour is meant to end, and works until then.
        let issue = |lifetime: &str| {
            let owner = Owner::Connection("default".to_owned());
            app.service.issue_key_on_host(&app.host(), owner, "host", &GrantTexts::of(&[]), Some(lifetime)).unwrap();
        };
        issue("PT23H");
        assert_eq!(days(), []);
        app.clock.advance(TimeDelta::days(1));
        assert_eq!(days(), [("default".to_owned(), None)]);
        issue("P1D");
        assert_eq!(days(), [("default".to_owned(), Some(1))]);
    });
}

#[test]
fn what_is_made_or_changed_is_named() {
    for place in Installation::each() {
        let server = place.serve_with(&["--log-format", "json"], &[("KEYROLL_LOG", "info")]);
        let admin = server.admin();
        let owner = admin.get("/v1/whoami").json()["owner"].clone();
        let issued = admin.post("/v1/keys", &json!({"owner": owner, "name": "short"})).expect(201);
        let (id, key) = (issued.json()["id"].clone(), issued.json()["key"].as_str().unwrap().to_owned());
        let role = json!({"name": "billing.reader"});
        let json = [("content-type", "application/json")];
        let replaced = |path: &str| admin.send("PUT", path, &json, "{}").unwrap();
        let cases = [
            (issued, "KeyIssue", id),
            (admin.post("/v1/apis", &json!({"name": "billing"})).expect(201), "ApiCreate", json!("billing")),
            (replaced("/v1/apis/billing").expect(200), "ApiReplace", json!("billing")),
            (admin.post("/v1/roles", &role).expect(201), "RoleCreate", json!("billing.reader")),
            (admin.post("/v1/roles", &role).expect(409), "RoleCreate", Value::Null),
            (replaced("/v1/roles/billing.reader").expect(200), "RoleReplace", json!("billing.reader")),
            (admin.delete("/v1/roles/billing.reader").expect(204), "RoleDelete", json!("billing.reader")),
            (admin.delete("/v1/roles/billing.reader").expect(404), "RoleDelete", Value::Null),
            (admin.delete("/v1/apis/billing").expect(204), "ApiDelete", json!("billing")),
        ];
        let lines = Lines::of(server);
        for (answer, message, resource) in cases {
            let expected = json!({"message": message, "resource": resource});
            assert_eq!(shown(&lines.about(&answer), &["message", "resource"]), expected);
        }
        assert!(!format!("{:?}", lines.0).contains(&key[17..60]));
    }
}
