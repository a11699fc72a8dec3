//! What is answered when nothing can be done: SCIM errors under `/scim`, problems under `/v1`.

mod keys;

use insta::assert_snapshot;
use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

#[test]
fn what_is_not_there() {
    let app = TestApp::sqlite();
    assert_snapshot!(app.idp().get("/Users/a/b/c"), @r#"
        404
        {
          "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
          "status": "404",
          "detail": "there is no such endpoint"
        }
        "#);
    assert_snapshot!(app.idp().get("/v1/nothing"), @r#"
        404
        {
          "type": "about:blank",
          "title": "Not Found",
          "status": 404,
          "code": "not_found",
          "detail": "there is no such endpoint",
          "request_id": "request-0002"
        }
        "#);
    for path in ["/scim", "/scim/v1/Users", "/scim/v2/Users/a/b", "/scim/v3"] {
        app.idp().get(path).scim_error(404, "");
    }
    for answer in [app.idp().get("/Devices"), app.idp().post("/Devices", json!({})), app.idp().get("/Devices/x")] {
        assert_eq!(answer.scim_error(404, ""), "not found");
    }
    app.anonymous().get("/v1/whoami").problem(401, "unauthenticated");
    app.anonymous().get("/Devices").scim_error(401, "");
}

/// The methods of `Allow`, in alphabetical order.
fn allowed(answer: &Answer) -> String {
    let mut methods: Vec<&str> = answer.header("allow").split(", ").collect();
    methods.sort_unstable();
    methods.join(", ")
}

#[test]
fn methods_that_are_not_allowed_name_those_that_are() {
    let app = TestApp::sqlite();
    let id = app.id(10);
    for (method, path, allow) in [
        ("PUT", "/Users".to_owned(), "GET, HEAD, POST"),
        ("DELETE", "/Groups".to_owned(), "GET, HEAD, POST"),
        ("POST", format!("/Users/{id}"), "DELETE, GET, HEAD, PATCH, PUT"),
        ("GET", "/Bulk".to_owned(), "POST"),
        ("GET", "/Users/.search".to_owned(), "POST"),
        ("PUT", "/.search".to_owned(), "POST"),
        ("OPTIONS", "/Users".to_owned(), "GET, HEAD, POST"),
    ] {
        let answer = app.idp().send(method, &path, &[], "");
        assert_eq!(answer.scim_error(405, ""), "this method is not allowed here", "{method} {path}");
        assert_eq!(allowed(&answer), allow, "{method} {path}");
    }
    let answer = app.admin().delete("/v1/keys");
    answer.problem(405, "method_not_allowed");
    assert_eq!(allowed(&answer), "GET, HEAD, POST");
    // A header does not make one method another (A30).
    let made = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
    let headers = [("x-http-method-override", "DELETE")];
    app.idp().send("POST", &format!("/Users/{made}?_method=DELETE"), &headers, "{}").scim_error(405, "");
    app.idp().get(&format!("/Users/{made}")).expect(200);
}

#[test]
fn media_types() {
    let app = TestApp::sqlite();
    let idp = app.idp();
    let send = |kind: &str, name: &str| idp.send("POST", "/Users", &[("content-type", kind)], user(name).to_string());
    for (n, kind) in ["application/json", "application/scim+json; charset=utf-8", "Application/JSON;charset=UTF-8", ""]
        .iter()
        .enumerate()
    {
        send(kind, &format!("u{n}@example.com")).expect(201);
    }
    for kind in [
        "text/plain",
        "application/xml",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
        "application/jsonx",
    ] {
        let refused = send(kind, "x@example.com");
        assert_eq!(refused.scim_error(415, ""), "Content-Type: expected application/scim+json or application/json");
    }
    for encoding in ["gzip", "br", "deflate, gzip"] {
        let refused = idp.send("POST", "/Users", &[("content-encoding", encoding)], user("x@example.com").to_string());
        assert_eq!(refused.scim_error(415, ""), "Content-Encoding: compressed bodies are not accepted");
    }
    let accept = |value: &str| idp.send("GET", &format!("/Users/{}", app.id(8)), &[("accept", value)], "");
    for good in
        ["application/scim+json", "application/json", "*/*", "application/*", "text/html, application/json;q=0.5", ""]
    {
        assert_eq!(accept(good).expect(200).header("content-type"), "application/scim+json", "{good}");
    }
    for bad in ["text/html", "application/xml", "text/*"] {
        accept(bad).scim_error(406, "");
    }
}

#[test]
fn bodies_that_cannot_be_read() {
    let app = TestApp::sqlite();
    let (idp, admin) = (app.idp(), app.admin());
    let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
    let wide = format!("[{}]", "0,".repeat(1_000_000) + "0");
    for (body, detail) in [
        ("", "the request has no body"),
        ("{", "malformed JSON: EOF while parsing an object at line 1 column 1"),
        (
            "{\"userName\":\"a\",\"username\":\"b\"}",
            "malformed JSON: the key \"username\" is there twice at line 1 column 26",
        ),
        ("\u{feff}{}", "malformed JSON: it starts with a byte order mark"),
        ("[]", "expected a resource as an object, got an array"),
        ("\"x\"", "expected a resource as an object, got a string"),
        (&deep, "JSON has more than 32 levels of nesting at byte 32"),
        (&wide, "JSON has more than 1000000 values at byte 1999998"),
    ] {
        let answer = idp.send("POST", "/Users", &[], body);
        assert_eq!(answer.scim_error(400, "invalidSyntax"), detail);
    }
    // What is required cannot be left out.
    for text in [&b"a\\u0000"[..], b"\\ud800", b"\xff"] {
        let invalid = idp.send("POST", "/Users", &[], [&b"{\"userName\":\""[..], text, b"\"}"].concat());
        let told = "userName: holds U+0000, half a character, or bytes that are no UTF-8";
        assert_eq!(invalid.scim_error(400, "invalidValue"), told);
    }
    let rfc = app.connect(Dialect::Rfc);
    let name = rfc.send("POST", "/Users", &[], "{\"a\\u0000\":1}");
    assert_eq!(name.scim_error(400, "invalidSyntax"), "malformed JSON: a string holds U+0000 at line 1 column 10");
    for (text, told) in [
        (&b"a\\u0000"[..], "malformed JSON: a string holds U+0000 at line 1 column 21"),
        (b"\\ud800", "malformed JSON: unexpected end of hex escape at line 1 column 20"),
        (b"\xff", "malformed JSON: invalid unicode code point at line 1 column 14"),
    ] {
        let invalid = rfc.send("POST", "/Users", &[], [&b"{\"userName\":\""[..], text, b"\"}"].concat());
        assert_eq!(invalid.scim_error(400, "invalidSyntax"), told);
    }
    for (body, detail) in [("", "malformed JSON"), ("{", "malformed JSON"), ("[]", "the body must be a JSON object")] {
        assert!(admin.send("POST", "/v1/keys", &[], body).problem(400, "malformed").starts_with(detail), "{body}");
    }
    assert_eq!(app.actions(), ["credential.issued"]);
}

#[test]
fn requests_that_are_too_large() {
    let app = TestApp::with(None, |settings| settings.limits.body_bytes_max = 2_000);
    let idp = app.idp();
    let title = |bytes: usize| and(user("mira@example.com"), json!({"title": "x".repeat(bytes)}));
    let overhead = title(0).to_string().len();
    idp.post("/Users", title(2_000 - overhead)).expect(201);
    let refused = idp.post("/Users", title(2_001 - overhead));
    assert_eq!(refused.scim_error(413, ""), "the body has more than 2000 bytes: maxPayloadSize is 2000");
    let refused = app.admin().post("/v1/keys", json!({"name": "x".repeat(2_000)}));
    refused.problem(413, "too_large");

    let large = "x".repeat(16 << 10);
    let refused = idp.send("GET", "/Users", &[("x-large", &large)], "");
    assert_eq!(refused.scim_error(431, ""), "the header fields have more than 16384 bytes");
    idp.send("GET", "/Schemas", &[("x-large", &large[..15 << 10])], "").expect(200);
}

#[test]
fn too_many_requests_wait() {
    let app = TestApp::with(None, |settings| settings.limits.requests_per_minute = Some(3));
    let idp = app.idp();
    for _ in 0..3 {
        idp.get(&format!("/Users/{}", app.id(10))).scim_error(404, "");
    }
    let refused = idp.get(&format!("/Users/{}", app.id(10)));
    assert_eq!(refused.scim_error(429, ""), "the rate limit of this connection is exceeded");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    // Each operation of a job counts, and admins are not in this queue.
    app.admin().get(&format!("/Users/{}", app.id(10))).scim_error(404, "");
    let app = TestApp::with(None, |settings| settings.limits.requests_per_minute = Some(3));
    let one = |n: usize| json!({"method": "POST", "path": "/Users", "bulkId": n.to_string(), "data": user(&format!("u{n}@example.com"))});
    let done = app.idp().post("/Bulk", bulk((0..4).map(one).collect())).expect(200);
    let statuses: Vec<&Value> = done["Operations"].as_array().unwrap().iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, ["201", "201", "429", "429"]);
}

#[test]
fn every_answer_has_a_request_id() {
    let app = TestApp::sqlite();
    let idp = app.idp();
    let id = |method: &str, path: &str, sent: &str| {
        idp.send(method, path, &[("x-request-id", sent)], "").header("x-request-id").to_owned()
    };
    for (method, path) in
        [("GET", "/Schemas"), ("GET", "/Users/x"), ("PUT", "/Users"), ("GET", "/v1/nothing"), ("GET", "/healthz")]
    {
        assert_eq!(id(method, path, "abc-DEF_123"), "abc-DEF_123", "{method} {path}");
        for odd in ["short", "with space", &"x".repeat(65), idp.key(), "a\"b\"c\"d\"e"] {
            let own = id(method, path, odd);
            assert!(own.len() == 36 && own.starts_with("019b8d62-7a80-7000-"), "{method} {path} {odd}: {own}");
        }
    }
}

#[test]
fn the_server_is_healthy() {
    for_each_app(|app| {
        assert_eq!(app.anonymous().get("/healthz").expect(200).body, json!({"status": "ok"}));
        assert_eq!(app.anonymous().get("/readyz").expect(200).body["status"], "ready");
    });
}

#[test]
fn every_read_of_v1_has_a_head_and_an_empty_cursor_begins() {
    let app = TestApp::sqlite();
    let admin = app.admin();
    let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
    let key = app.id_of(&app.issue(&mira));
    for path in ["/v1/keys", &format!("/v1/keys/{key}"), "/v1/whoami", "/v1/users", "/v1/users/operator", "/healthz"] {
        let (get, head) = (admin.get(path).expect(200), admin.send("HEAD", path, &[], "").expect(200));
        for name in ["content-type", "cache-control"] {
            assert_eq!(get.header(name), head.header(name), "{path}");
        }
    }
    for list in ["/v1/keys", "/v1/users"] {
        assert_eq!(admin.get(&format!("{list}?cursor=")).expect(200).text, admin.get(list).expect(200).text);
        admin.get(&format!("{list}?cursor=x")).problem(400, "malformed");
    }
}
