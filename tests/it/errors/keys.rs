//! Keys that do not work, lie in the wrong place or may not do this, and where no key is looked at.

use chrono::TimeDelta;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::app::*;

/// What every key that does not work is told, whatever the reason (RFC 6750 §3.1).
const INVALID_TOKEN: &str =
    "Bearer realm=\"keyroll\", error=\"invalid_token\", error_description=\"the key is not valid\"";

#[test]
fn without_a_key_that_works_nobody_gets_in() {
    for_each_app(|app| {
        assert_snapshot!(app.anonymous().get("/Users"), @r#"
            401
            www-authenticate: Bearer realm="keyroll"
            {
              "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
              "status": "401",
              "detail": "a key is required: Authorization: Bearer …"
            }
            "#);
        assert_snapshot!(app.anonymous().get("/v1/keys"), @r#"
            401
            www-authenticate: Bearer realm="keyroll"
            {
              "type": "about:blank",
              "title": "Unauthorized",
              "status": 401,
              "code": "unauthenticated",
              "detail": "a key is required: Authorization: Bearer …",
              "request_id": "request-0002"
            }
            "#);
        let good = app.idp();
        let key = good.key();
        // Another secret with its own right checksum, another class, a typing error.
        let forged = "krp_000000000000_00000000000000000000000000000000000000000000000000";
        let class = key.replace("krp_", "kru_");
        let typo = format!("{}x", &key[..key.len() - 1]);
        let revoked = app.issue(&good.post("/Users", user("mira@example.com")).expect(201).id());
        app.admin().post(&format!("/v1/keys/{}/revoke", app.id_of(&revoked)), json!({})).expect(200);
        let expected = app.with_key(forged).get("/Users").text;
        for bad in [class.as_str(), &typo, &revoked, "", "x", "kr", &key.to_uppercase(), &format!("{key}{key}")] {
            let answer = app.with_key(bad).get("/Users");
            answer.scim_error(401, "");
            assert_eq!(answer.header("www-authenticate"), INVALID_TOKEN);
            // Why it does not work is told to nobody (A01).
            assert_eq!(answer.text, expected, "{bad}");
        }
        for scheme in ["Basic", "Token", "krp_x"] {
            let header = format!("{scheme} {key}");
            let answer = app.anonymous().send("GET", "/Users", &[("authorization", &header)], "");
            assert_eq!(answer.scim_error(401, ""), "Authorization: expected Bearer and a key");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"keyroll\"");
        }
        for scheme in ["bearer", "BEARER"] {
            let header = format!("{scheme} {key}");
            app.anonymous()
                .send("GET", &format!("/Users/{}", app.id(8)), &[("authorization", &header)], "")
                .expect(200);
        }
    });
}

#[test]
fn a_key_is_taken_from_one_header_only() {
    let app = TestApp::sqlite();
    let idp = app.idp();
    let key = idp.key();
    let header = format!("Bearer {key}");
    let two = idp.send("GET", "/Users", &[("authorization", &header)], "");
    assert_eq!(two.scim_error(400, ""), "more than one Authorization header");
    let two = idp.send("GET", "/v1/whoami", &[("authorization", "Basic eDp5")], "");
    assert_eq!(two.problem(400, "malformed"), "more than one Authorization header");
    for query in [
        format!("access_token={key}"),
        format!("filter={key}"),
        format!("filter=userName%20eq%20%22{key}%22"),
        format!("{key}=1"),
        format!("x={}", key.replace('_', "%5F")),
    ] {
        for actor in [app.anonymous(), app.idp()] {
            let refused = actor.get(&format!("/Users?{query}"));
            assert_eq!(refused.scim_error(400, ""), "a key must not be in a URL: revoke it, it is in logs by now");
            assert!(!refused.text.contains(key));
        }
    }
    app.anonymous().get(&format!("/v1/keys?key={key}")).problem(400, "malformed");
    let bytes = key.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    for written in [key.to_owned(), key.replace('_', "%5F"), key.replace('_', "%255f"), key.replace('k', "%6B"), bytes]
    {
        for path in [
            "/Users/{key}",
            "/{key}",
            "/Users?x={key}",
            "/Users/1?filter=userName%20eq%20%22{key}%22",
            "/Users/1/{key}/x",
            "/nowhere/at/all?x={key}",
        ] {
            for (method, actor) in [("GET", app.idp()), ("GET", app.anonymous()), ("PURGE", app.idp())] {
                let refused = actor.send(method, &path.replace("{key}", &written), &[], "");
                assert_eq!(refused.scim_error(400, ""), "a key must not be in a URL: revoke it, it is in logs by now");
                assert!(!refused.text.contains(key) && !refused.text.contains(&written), "{written}");
            }
        }
        for path in ["/v1/users/{key}", "/v1/nowhere/{key}", "/.well-known/{key}"] {
            app.admin().get(&path.replace("{key}", &written)).problem(400, "malformed");
        }
    }
    for (name, value) in [("x-api-key", key), ("cookie", &format!("token={key}"))] {
        app.anonymous().send("GET", "/Users", &[(name, value)], "").scim_error(401, "");
    }
}

#[test]
fn a_refused_key_says_why_in_its_challenge() {
    for_each_app(|app| {
        let invalid_request =
            |text: &str| format!("Bearer realm=\"keyroll\", error=\"invalid_request\", error_description=\"{text}\"");
        let (idp, mira) = (app.idp(), app.idp().post("/Users", user("mira@example.com")).expect(201).id());
        let identity = app.issue(&mira);
        let expiring = app.issue(&mira);
        let header = format!("Bearer {identity}");
        for (path, lacking) in [
            ("/Users", "keyroll:users:read"),
            ("/v1/keys", "keyroll:keys:read"),
            ("/access/v1/evaluation", "keyroll:access:evaluate"),
        ] {
            let method = if path.starts_with("/access") { "POST" } else { "GET" };
            let ask = |key: &str| app.with_key(key).send(method, path, &[], "");
            // Two ways at once are one too many, even where the second is never looked at.
            let two = idp.send(method, path, &[("authorization", &header)], "").expect(400);
            assert_eq!(two.header("www-authenticate"), invalid_request("more than one Authorization header"), "{path}");
            let two = app.with_key(&identity).send(method, &format!("{path}?access_token=x"), &[], "").expect(400);
            let text = "access_token beside an Authorization header";
            assert_eq!(two.header("www-authenticate"), invalid_request(text), "{path}");
            let refused = ask(&identity).expect(403);
            let scope = format!(
                "Bearer realm=\"keyroll\", error=\"insufficient_scope\", \
                 error_description=\"this key does not hold {lacking}\", scope=\"{lacking}\""
            );
            assert_eq!(refused.header("www-authenticate"), scope, "{path}");
            assert_eq!(app.anonymous().send(method, path, &[], "").expect(401).header("www-authenticate"), REALM);
            assert_eq!(ask("kru_x").expect(401).header("www-authenticate"), INVALID_TOKEN, "{path}");
        }
        app.clock.advance(TimeDelta::days(91));
        for key in [&identity, &expiring] {
            assert_eq!(app.with_key(key).get("/Me").expect(401).header("www-authenticate"), INVALID_TOKEN);
        }
        // What may not be done at all is no matter of scope.
        assert_eq!(app.idp().get("/v1/whoami").expect(200).header("www-authenticate"), "");
        assert_eq!(app.idp().get("/v1/keys").expect(403).header("www-authenticate"), "");
    });
}

const REALM: &str = "Bearer realm=\"keyroll\"";

#[test]
fn open_endpoints_do_not_look_at_keys() {
    for_each_app(|app| {
        let open = ["/healthz", "/readyz", "/.well-known/jwks.json", "/.well-known/authzen-configuration"];
        let revoked = app.issue(&app.idp().post("/Users", user("mira@example.com")).expect(201).id());
        app.admin().post(&format!("/v1/keys/{}/revoke", app.id_of(&revoked)), json!({})).expect(200);
        for path in open {
            let expected = app.anonymous().get(path).expect(200).text;
            for header in ["Bearer someone-elses-token", &format!("Bearer {revoked}"), "Basic eDp5", "x", ""] {
                let answer = app.anonymous().send("GET", path, &[("authorization", header)], "");
                assert_eq!(answer.expect(200).text, expected, "{path} {header}");
            }
            let two = app.idp().send("GET", path, &[("authorization", "Bearer x")], "");
            assert_eq!(two.expect(200).text, expected, "{path}");
        }
        // Discovery is no open endpoint: it shows each connection its own view.
        app.with_key(&revoked).get("/ServiceProviderConfig").scim_error(401, "");
    });
}
