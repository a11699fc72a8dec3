//! Limits (design §5): each refusal has its status and names its limit.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::support::server::{Answer, Installation, Server, USER, connect, raw, read_answer};

#[test]
fn a_connection_over_its_rate_gets_429_and_when_to_come_back() {
    let place = Installation::sqlite();
    let server = place.serve(&["--rate-limit", "60/min"]);
    let (idp, admin) = (server.idp(), server.admin());
    let answers: Vec<_> = (0..75).map(|_| idp.get("/scim/v2/Users?count=0")).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    // One more a second while the test runs.
    assert!((5..=15).contains(&refused.len()), "{}", refused.len());
    for answer in refused {
        assert_eq!(answer.error(), "429 -: the rate limit of this connection is exceeded");
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=2).contains(&seconds), "{answer:?}");
    }
    // Admins and health checks are not counted, and discovery without a key is not either.
    for _ in 0..70 {
        admin.get("/scim/v2/Users?count=0").expect(200);
        server.client("").get("/healthz").expect(200);
    }
    // Operations of a job count one by one: a job is no way around the limit.
    let operation = json!({"method": "DELETE", "path": "/Users/x"});
    let job = json!({"schemas": [crate::support::server::BULK], "Operations": vec![operation; 30]});
    let answer = loop {
        let answer = idp.post("/scim/v2/Bulk", &job);
        if answer.status != 429 {
            break answer.expect(200).json();
        }
    };
    let statuses: Vec<&Value> = answer["Operations"].as_array().unwrap().iter().map(|r| &r["status"]).collect();
    assert!(statuses.iter().filter(|status| **status == "429").count() >= 25, "{statuses:?}");
}

#[test]
fn the_rate_limit_can_be_switched_off() {
    let place = Installation::sqlite();
    let server = place.serve(&["--rate-limit", "off"]);
    let idp = server.idp();
    // More than the default lets through at once.
    for _ in 0..1_100 {
        idp.get("/scim/v2/ServiceProviderConfig").expect(200);
    }
}

fn body_of(bytes: usize) -> String {
    let frame = json!({"schemas": [USER], "userName": "", "nickName": ""}).to_string();
    frame.replace("\"nickName\":\"\"", &format!("\"nickName\":\"{}\"", "n".repeat(bytes - frame.len())))
}

#[test]
fn a_body_may_have_16_mib_and_no_byte_more() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    let idp = server.idp();
    let max = 16 << 20;
    // Read as a whole: its content is refused, not its size.
    let whole = idp.send("POST", "/scim/v2/Users", &[], body_of(max)).unwrap();
    assert!(whole.error().starts_with("400 invalidValue: userName"), "{}", whole.error());
    let refusal = format!("413 -: the body has more than {max} bytes: maxPayloadSize is {max}");
    let head = |length: &str| {
        let key = server.keys().provisioning;
        format!("POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{length}\r\n\r\n")
    };
    // Said in advance: nothing of it is read.
    let said = raw(server.address, head(&format!("Content-Length: {}", max + 1)).as_bytes()).unwrap();
    assert_eq!(said.error(), refusal);
    // Not said: counted.
    let mut stream = connect(server.address);
    stream.write_all(head("Content-Type: application/json\r\nTransfer-Encoding: chunked").as_bytes()).unwrap();
    let chunk = format!("100000\r\n{}\r\n", "n".repeat(1 << 20));
    for _ in 0..16 {
        stream.write_all(chunk.as_bytes()).unwrap();
    }
    stream.write_all(b"1\r\nn\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().error(), refusal);
    let advertised = idp.get("/scim/v2/ServiceProviderConfig").expect(200).json();
    assert_eq!(advertised["bulk"]["maxPayloadSize"], max);
    assert_eq!(advertised["bulk"]["maxOperations"], 1_000);
}

fn with_header(server: &Server, bytes: usize) -> crate::support::server::Answer {
    let key = server.keys().provisioning;
    let filler = "a".repeat(bytes);
    let request =
        format!("GET /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nX-Filler: {filler}\r\n\r\n");
    raw(server.address, request.as_bytes()).unwrap()
}

#[test]
fn header_fields_may_have_16_kib() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    with_header(&server, 16_000).expect(200);
    assert_eq!(with_header(&server, 16_384).error(), "431 -: the header fields have more than 16384 bytes");
}

#[test]
fn counted_lists_end_at_their_limit() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    let idp = server.idp();
    let emails = |count: usize| {
        let emails: Vec<Value> = (0..count).map(|n| json!({"value": format!("{n}@example.com")})).collect();
        idp.post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "many", "emails": emails}))
    };
    assert_eq!(emails(10_001).error(), "400 invalidValue: emails: has 10001 values, at most 10000 are accepted");
    let id = emails(10_000).expect(201).json()["id"].as_str().unwrap().to_owned();
    let patch = |count: usize| {
        let operation = json!({"op": "replace", "path": "nickName", "value": "n"});
        let body = json!({"schemas": [crate::support::server::PATCH], "Operations": vec![operation; count]});
        idp.patch(&format!("/scim/v2/Users/{id}?attributes=nickName"), &body)
    };
    patch(1_000).expect(200);
    assert_eq!(patch(1_001).error(), "413 -: patch: 1001 operations; the limit is 1000");
}

#[test]
fn what_is_no_request_is_refused_without_a_body() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "a".repeat(200 << 10));
    let long_url = format!("GET /scim/v2/Users?filter={} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000));
    let endless_url = format!("GET /{}", "a".repeat(200 << 10));
    let get = "GET /scim/v2/Users HTTP/1.1\r\n";
    let post = "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\n";
    let cases = [
        (format!("{get}Host: x\r\n{many}\r\n"), 431),
        (format!("{get}Host: x\r\n{long}\r\n"), 431),
        (long_url, 400),
        (endless_url, 431),
        (format!("{get}\r\n"), 400),
        (format!("{get}Host: x\r\nHost: y\r\n\r\n"), 400),
        (format!("{get}Host: x\r\nX-Any: a\0b\r\n\r\n"), 400),
        ("GET /scim/v2/Users\0 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET /scim/v2/Users?filter=id eq \"x\" HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("{post}Content-Length: +5\r\n\r\n"), 400),
        (format!("{post}Content-Length: -1\r\n\r\n"), 400),
        (format!("{post}Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400),
        (format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
        (format!("{post}Transfer-Encoding: gzip\r\n\r\n"), 400),
    ];
    for (request, status) in &cases {
        let line = &request[..request.len().min(120)];
        let mut stream = connect(server.address);
        // The server may hang up before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        let answer = read_answer(&mut stream).unwrap_or_else(|| panic!("no answer to {line:?}"));
        check_empty(&answer, *status, line);
        assert_eq!(stream.read(&mut [0]).unwrap_or_default(), 0, "{line:?}");
    }
    // Behind a good request on the same connection, each has its own answer.
    let mut stream = connect(server.address);
    let key = server.keys().provisioning;
    let good = format!("GET /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(good.as_bytes()).unwrap();
    read_answer(&mut stream).unwrap().expect(200);
    stream.write_all(b"nonsense\r\n\r\n").unwrap();
    check_empty(&read_answer(&mut stream).unwrap(), 400, "behind a good request");
    // A head that does not end.
    let mut stream = connect(server.address);
    stream.write_all(b"GET /scim/v2/Users HTTP/1.1\r\nHost: x\r\n").unwrap();
    check_empty(&read_answer(&mut stream).unwrap(), 408, "a head that does not end");
}

#[track_caller]
fn check_empty(answer: &Answer, status: u16, what: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{what}: {answer:?}");
    assert_eq!((answer.header("content-length"), answer.header("x-request-id")), (Some("0"), None), "{what}");
}
