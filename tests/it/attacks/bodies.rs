//! Bodies that are deep, wide, many or slow.

use std::io::Write;

use super::Target;
use crate::support::server::{Installation, PATCH, USER, connect, is_silent};

#[test]
fn a20_json_bombs_are_refused_where_they_stand() {
    let target = Target::new(Installation::sqlite());
    let user = format!(r#"{{"schemas":["{USER}"],"userName":"x","#);
    let keys: String = (0..1_000_000).map(|n| format!("\"k{n}\":1,")).collect();
    for (body, expected) in [
        ("[".repeat(10_000), "JSON has more than 32 levels of nesting at byte 32"),
        ("{\"a\":".repeat(10_000), "JSON has more than 32 levels of nesting at byte 160"),
        (format!("{{{keys}\"z\":1}}"), "JSON has more than 1000000 values at byte 11888878"),
        ("1".repeat(16_000_000), "JSON has more than 40 digits in a number at byte 40"),
        (user.clone() + r#""title":"a","title":"b"}"#, "the key \"title\" is there twice"),
        (user.clone() + r#""title":"a","tItLe":"b"}"#, "the key \"tItLe\" is there twice"),
        (
            user.clone() + r#""a":1,"a\u0000":1}"#,
            "two names of one object are the same without what cannot be kept of them",
        ),
        (user.clone() + r#""x":1e999}"#, "number out of range"),
        ("\u{feff}{}".to_owned(), "malformed JSON: it starts with a byte order mark"),
        ("null".to_owned(), "expected a resource as an object, got null"),
        ("{}{}".to_owned(), "trailing characters"),
        ("{".to_owned(), "EOF while parsing an object"),
    ] {
        let error = target.idp.send("POST", "/scim/v2/Users", &[], &body).unwrap().error();
        assert!(error.starts_with("400 invalidSyntax: ") && error.contains(expected), "{error}");
    }
    let utf8 = target.idp.send("POST", "/scim/v2/Users", &[], b"{\"userName\":\"\xff\xfe\"}").unwrap();
    let told = "400 invalidValue: userName: holds U+0000, half a character, or bytes that are no UTF-8";
    assert_eq!(utf8.error(), told);
    for text in [r"a\u0000b", r"\ud800"] {
        // Nothing of it is kept.
        let body = format!(r#"{}"nickName":"{text}"}}"#, user.replace("\"x\"", &format!("{text:?}")));
        let kept = target.idp.send("POST", "/scim/v2/Users", &[], &body).unwrap().expect(201).json();
        assert_eq!(kept.get("nickName"), None, "{kept}");
    }
    let gzip = target.idp.send("POST", "/scim/v2/Users", &[("content-encoding", "gzip")], b"\x1f\x8b\x08\x00").unwrap();
    assert_eq!(gzip.error(), "415 -: Content-Encoding: compressed bodies are not accepted");
    target.survives(64);
}

#[test]
fn a20_many_small_values_stay_small() {
    let target = Target::new(Installation::sqlite());
    // Just within the limit of values: only the object has too many keys.
    let keys: String = (0..900_000).map(|n| format!("\"k{n}\":1,")).collect();
    let body = format!(r#"{{{keys}"schemas":["{USER}"],"userName":"x"}}"#);
    let error = target.idp.send("POST", "/scim/v2/Users", &[], &body).unwrap().error();
    assert!(error.starts_with("400 invalidSyntax: malformed JSON: an object has more than 1000 keys"), "{error}");
    assert!(target.server.peak_kib() - target.peak < 64 << 10);
    // Values of an array are what a list of members is made of: each costs a serde_json::Value.
    let body = format!(r#"{{"x":[{}1],"schemas":["{USER}"],"userName":"x"}}"#, "1,".repeat(900_000));
    target.idp.send("POST", "/scim/v2/Users", &[], &body).unwrap().expect(201);
    target.survives(80);
}

#[test]
fn a20_many_small_objects_stay_small() {
    let target = Target::new(Installation::sqlite());
    // Each takes thirty times its length: the limit of values alone would let 250 MiB through.
    let body = format!(r#"{{"x":[{}1],"schemas":["{USER}"],"userName":"x"}}"#, r#"{"a":1},"#.repeat(499_000));
    let error = target.idp.send("POST", "/scim/v2/Users", &[], &body).unwrap().error();
    let refused = "400 invalidSyntax: malformed JSON: its values take more than 67108864 bytes";
    assert!(error.starts_with(refused), "{error}");
    target.survives(112);
}

#[test]
fn a20_names_and_values_are_read_once_however_they_lie_in_each_other() {
    let target = Target::new(Installation::sqlite());
    let path = format!("/scim/v2/Users/{}", target.ann);
    let nested =
        (0..26).fold("1".to_owned(), |value, _| format!(r#"{{"name":"x","path":"y","key":"z","value":{value}}}"#));
    let wide = format!("[{}0]", "0,".repeat(100_000));
    for (name, value) in [("x", &nested), (&*"a ".repeat(100_000), &wide)] {
        let put = format!(r#"{{"schemas":["{USER}"],"userName":"ann","{name}":{value}}}"#);
        let operation = format!(r#"{{"op":"replace","path":"{name}","value":{value}}}"#);
        let patch = format!(r#"{{"schemas":["{PATCH}"],"Operations":[{operation}]}}"#);
        for (method, body) in [("PUT", put), ("PATCH", patch)] {
            let done = target.idp.send(method, &path, &[], &body).unwrap().expect(200).json();
            assert_eq!(done["userName"], "ann", "{method}");
        }
    }
    target.survives(64);
}

#[test]
fn a20_slow_bodies_and_heads_do_not_hold_up_anybody() {
    let target = Target::new(Installation::sqlite());
    let key = &target.server.keys().provisioning;
    let head = format!("POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n");
    let chunked =
        format!("{head}Content-Type: application/scim+json\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{{\"user\r\n");
    let slow: Vec<_> = (0..100)
        .map(|n| {
            let mut stream = connect(target.server.address);
            stream.write_all(if n % 2 == 0 { chunked.as_bytes() } else { head.as_bytes() }).unwrap();
            stream
        })
        .collect();
    for _ in 0..50 {
        target.idp.get("/scim/v2/Users").expect(200);
    }
    // All of these were answered while every body was still waited for.
    assert!(slow.iter().step_by(2).all(is_silent));
    drop(slow);
    target.survives(64);
}
