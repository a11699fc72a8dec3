//! Attacks on the parser, the filters, Bulk and lists (credentials.md §4: A18–A22, A29): each is refused with
//! the right words, and costs the server neither its life nor its memory nor anybody else's request.

use std::io::Write;

use serde_json::{Value, json};

use crate::support::server::{
    Answer, BULK, Client, GROUP, Installation, PATCH, SEARCH, Server, USER, connect, encode, is_silent, raw,
};

/// A server under attack.
pub struct Target {
    pub place: Installation,
    pub server: Server,
    pub idp: Client,
    pid: u32,
    /// The id of ann.
    ann: String,
    /// VmHWM before the attack, in KiB.
    peak: u64,
}

impl Target {
    pub fn new(place: Installation) -> Target {
        let server = place.serve(&["--rate-limit", "off"]);
        let (idp, pid) = (server.idp(), server.pid());
        // Threads and caches that every server has after its first requests.
        let mut ids = ["ann", "ben", "100%", "a_b"].into_iter().map(|name| {
            idp.get("/scim/v2/Users").expect(200);
            let made = idp.post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name})).expect(201);
            made.json()["id"].as_str().unwrap().to_owned()
        });
        let ann = ids.next().unwrap();
        assert_eq!(ids.count(), 3);
        server.reset_peak();
        let peak = server.peak_kib();
        Target { place, server, idp, pid, ann, peak }
    }

    /// What a filter finds, asked both ways: a number, or the error.
    fn filter(&self, filter: &str) -> String {
        let by_url = self.idp.get(&format!("/scim/v2/Users?filter={}", encode(filter)));
        let by_body = self.idp.post("/scim/v2/Users/.search", &json!({"schemas": [SEARCH], "filter": filter}));
        let [by_url, by_body] = [by_url, by_body].map(|answer| found(&answer));
        assert_eq!(by_url, by_body, "{filter}");
        by_url
    }

    /// The same process is alive, has taken no more than this, and its log is whole.
    pub fn survives(mut self, more_mib: u64) {
        let more = (self.server.peak_kib() - self.peak) / 1024;
        assert!(self.server.is_alive() && self.server.pid() == self.pid);
        assert!(more < more_mib, "the attack took {more} MiB");
        self.idp.get("/scim/v2/Users").expect(200);
        self.place.run(&["log", "verify"]).expect(0);
    }
}

/// The number of results, or the error.
fn found(answer: &Answer) -> String {
    if answer.status == 200 { answer.json()["totalResults"].to_string() } else { answer.error() }
}

#[test]
fn a18_a_filter_matches_literally_or_is_refused() {
    for place in Installation::each() {
        let target = Target::new(place);
        for (filter, expected) in [
            (r#"userName eq "ann""#, "1"),
            (r#"userName eq "x\" or 1 eq 1""#, "0"),
            (r#"userName eq "x" or 1 eq 1"#, "400 invalidFilter: filter: expected an attribute at column 20"),
            (r#"userName eq "x" or userName pr"#, "4"),
            ("'; drop table resources; --", "400 invalidFilter: filter: expected an attribute at column 1"),
            (r#"userName eq "'; drop table resources; --""#, "0"),
            (r#"userName eq "x" --"#, "400 invalidFilter: filter: expected and, or or the end at column 17"),
            (r#"userName eq "%""#, "0"),
            (r#"userName eq "a%""#, "0"),
            (r#"userName eq "a__""#, "0"),
            (r#"userName co "%""#, "1"),
            (r#"userName ew "%""#, "1"),
            (r#"userName sw "_""#, "0"),
            (r#"userName co "_""#, "1"),
            (r#"userName co "\\""#, "0"),
            (r#"userName eq "a\u0000b""#, "400 invalidFilter: filter: U+0000 in the string at column 13"),
            (r#"userName eq "\ud800""#, "400 invalidFilter: filter: not a JSON string at column 13"),
            (r#"userName eq "\udc00\ud800""#, "400 invalidFilter: filter: not a JSON string at column 13"),
            (
                r#"userName eq "a" or password pr"#,
                "400 invalidFilter: filter: password at column 20: no such attribute",
            ),
            (r#"password sw "a""#, "400 invalidFilter: filter: password at column 1: no such attribute"),
            (r#"members eq "x""#, "400 invalidFilter: filter: members at column 1: no such attribute"),
            (r#"tenant eq 1"#, "400 invalidFilter: filter: tenant at column 1: no such attribute"),
            (
                "userName eq 1",
                "400 invalidFilter: filter: userName at column 1: it is a string, so it does not compare with 1",
            ),
        ] {
            assert_eq!(target.filter(filter), expected, "{filter}");
        }
        // In a body the strict reader sees it first.
        let nul = target.idp.get("/scim/v2/Users?filter=userName%20eq%20%22a%00b%22");
        assert_eq!(nul.error(), "400 invalidFilter: filter: not a JSON string at column 13");
        target.survives(64);
    }
}

#[test]
fn a19_a_deep_filter_is_refused_cheaply() {
    let target = Target::new(Installation::sqlite());
    let deep = "filter: nested deeper than the limit of 32";
    let long = |bytes: usize| format!("filter: {bytes} bytes; the limit is 16384");
    let cases = [
        ("(".repeat(5_000), deep.to_owned()),
        ("(".repeat(5_000) + "userName pr" + &")".repeat(5_000), deep.to_owned()),
        ("not (".repeat(3_000) + "bad token", deep.to_owned()),
        ("not (".repeat(100_000) + "bad token", long(500_009)),
        (["userName pr"; 10_000].join(" and "), long(159_995)),
        (["a pr"; 1_800].join(" or ") + " or not (a pr) or (((a pr", "filter: a at column 1: no such attribute".into()),
        (format!("userName eq \"{}\"", "a".repeat(1 << 20)), long((1 << 20) + 14)),
    ];
    for (filter, expected) in &cases {
        // In a URL more than 128 KiB are cut off by the HTTP server.
        let line = format!("GET /scim/v2/Users?filter={} HTTP/1.1\r\nHost: x\r\n", encode(filter));
        let key = &target.server.keys().provisioning;
        let request = format!("{line}Authorization: Bearer {key}\r\n\r\n");
        let by_url = raw(target.server.address, request.as_bytes());
        if request.len() > 128 << 10 {
            // The server may hang up before it has read everything.
            assert!(by_url.is_none_or(|answer| answer.status == 431));
        } else if by_url.as_ref().is_some_and(|answer| answer.body.is_empty()) {
            // Nor does it read more than 64 KiB as a URL.
            assert!(by_url.unwrap().status == 400 && line.len() > usize::from(u16::MAX));
        } else if request.len() > 64 << 10 {
            assert!(by_url.unwrap().error().starts_with("414 -: the URL is too long: "));
        } else if !expected.contains("column") {
            assert_eq!(by_url.unwrap().error(), format!("400 invalidFilter: {expected}"));
        }
        let search = json!({"schemas": [SEARCH], "filter": filter});
        let path = format!("emails[{filter}]");
        let patch = json!({"schemas": [PATCH], "Operations": [{"op": "remove", "path": path}]});
        let answers = [
            (target.idp.post("/scim/v2/Users/.search", &search), "400 invalidFilter: "),
            (target.idp.post("/scim/v2/.search", &search), "400 invalidFilter: "),
            (target.idp.patch("/scim/v2/Users/x", &patch), "400 invalidFilter: Operations[0]: "),
        ];
        for (answer, before) in answers {
            if expected.contains("column") {
                assert!(answer.error().starts_with("400 invalid"), "{answer:?}");
            } else {
                assert_eq!(answer.error(), format!("{before}{expected}"));
            }
        }
    }
    target.survives(10);
}

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
        (user.clone() + r#""a\u0000":1}"#, "a string holds U+0000"),
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

#[test]
fn a21_a_bulk_job_is_bounded_in_operations_members_and_nesting() {
    let target = Target::new(Installation::sqlite());
    let operation = |n: usize| {
        let data = json!({"schemas": [USER], "userName": format!("bulk{n}")});
        json!({"method": "POST", "path": "/Users", "bulkId": format!("b{n}"), "data": data})
    };
    let job = |operations: Vec<Value>| json!({"schemas": [BULK], "Operations": operations});
    let bulk = |body: &Value| target.idp.post("/scim/v2/Bulk", body);
    let over = bulk(&job((0..1_001).map(operation).collect()));
    assert_eq!(over.error(), "413 -: the job has 1001 operations: maxOperations is 1000");
    assert_eq!(found(&target.idp.get("/scim/v2/Users?count=0")), "4", "nothing of it was done");

    let done = bulk(&job((0..1_000).map(operation).collect())).expect(200).json();
    let results = done["Operations"].as_array().unwrap();
    assert!(results.len() == 1_000 && results.iter().all(|result| result["status"] == "201"));
    let id = |result: &Value| result["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let members: Vec<Value> = results.iter().map(|result| json!({"value": id(result)})).collect();
    let groups = (0..10).map(|n| {
        let data = json!({"schemas": [GROUP], "displayName": format!("group{n}"), "members": members});
        json!({"method": "POST", "path": "/Groups", "bulkId": format!("g{n}"), "data": data})
    });
    let done = bulk(&job(groups.collect())).expect(200).json();
    for result in done["Operations"].as_array().unwrap() {
        // One set, one version, one record: not one for each member.
        assert_eq!((&result["status"], &result["version"]), (&json!("201"), &json!("W/\"1\"")));
    }
    let records = target.place.run(&["log", "tail", "-n", "10"]).expect(0).stdout;
    assert_eq!(records.matches("\"action\":\"group.created\"").count(), 10, "{records}");

    let unknown: Vec<Value> = (0..5_000).map(|n| json!({"value": format!("{n:036}")})).collect();
    let amplified = (0..10).map(|n| {
        let data = json!({"schemas": [GROUP], "displayName": format!("many{n}"), "members": unknown});
        json!({"method": "POST", "path": "/Groups", "bulkId": format!("m{n}"), "data": data})
    });
    let done = bulk(&job(amplified.collect())).expect(200).json();
    for result in done["Operations"].as_array().unwrap() {
        assert_eq!(result["status"], json!("201"), "{result}");
    }
    // Nobody is a member, and a record names a thousand of those who are not.
    let records = target.place.run(&["log", "tail", "-n", "10"]).expect(0).stdout;
    assert_eq!(records.matches("\"unknown_total\":5000").count(), 10);
    assert_eq!(records.matches(&format!("\"{:036}\"", 999)).count(), 10);
    assert_eq!(records.matches(&format!("\"{:036}\"", 1_000)).count(), 0);
    let inner = json!({"method": "POST", "path": "/Bulk", "bulkId": "x", "data": job(vec![operation(5_000)])});
    let nested = bulk(&job(vec![inner])).expect(200).json();
    assert_eq!(nested["Operations"][0]["status"], "400");
    assert_eq!(nested["Operations"][0]["response"]["detail"], "path: /Bulk names no resource type");
    target.survives(64);
}

#[test]
fn a21_circles_of_groups_are_refused_as_a_whole() {
    for place in Installation::each() {
        let target = Target::new(place);
        let group = |n: usize, member: usize| {
            let members = json!([{"value": format!("bulkId:g{member}")}]);
            let data = json!({"schemas": [GROUP], "displayName": format!("circle{n}"), "members": members});
            json!({"method": "POST", "path": "/Groups", "bulkId": format!("g{n}"), "data": data})
        };
        let job = json!({"schemas": [BULK], "Operations": [group(0, 1), group(1, 2), group(2, 0)]});
        let done = target.idp.post("/scim/v2/Bulk", &job).expect(200).json();
        for result in done["Operations"].as_array().unwrap() {
            let detail = "the circle of references was not created: members: a group cannot be its own member, \
                directly or through others";
            assert_eq!(result["response"]["detail"], detail, "{done}");
            assert_eq!(result["status"], "409");
        }
        assert_eq!(found(&target.idp.get("/scim/v2/Groups?count=0")), "0");
        target.survives(64);
    }
}

#[test]
fn a21_a_key_that_dies_in_the_middle_of_its_job_does_no_more() {
    for place in Installation::each() {
        let target = Target::new(place);
        let admin = target.server.admin();
        let operations: Vec<Value> = (0..1_000)
            .map(|n| {
                let data = json!({"schemas": [USER], "userName": format!("bulk{n}")});
                json!({"method": "POST", "path": "/Users", "bulkId": format!("b{n}"), "data": data})
            })
            .collect();
        let key = admin.get("/v1/keys").json();
        let key = key["keys"].as_array().unwrap().iter().find(|key| key["class"] == "p").unwrap()["id"].clone();
        let job = json!({"schemas": [BULK], "Operations": operations});
        let done = std::thread::scope(|scope| {
            let idp = target.server.idp();
            let job = scope.spawn(move || idp.post("/scim/v2/Bulk", &job).expect(200).json());
            // Ten operations are done when ten more people are there.
            while admin.get("/v1/users?count=1000").json()["users"].as_array().unwrap().len() < 16 {}
            admin.post(&format!("/v1/keys/{}/revoke", key.as_str().unwrap()), &json!({})).expect(200);
            job.join().unwrap()
        });
        let statuses: Vec<&str> =
            done["Operations"].as_array().unwrap().iter().map(|result| result["status"].as_str().unwrap()).collect();
        let made = statuses.iter().take_while(|status| **status == "201").count();
        assert!((10..1_000).contains(&made), "{made}");
        assert!(statuses[made..].iter().all(|status| *status == "401"), "{:?}", &statuses[made..]);
        let people = admin.get("/v1/users?count=1000").json()["users"].as_array().unwrap().len();
        // The operator, the connection's agent and the four from before.
        assert_eq!(people, made + 6);
        assert_eq!(target.idp.get("/scim/v2/Users").status, 401);
        target.place.run(&["log", "verify"]).expect(0);
    }
}

#[test]
fn a21_large_jobs_at_once_are_bounded_together() {
    let target = Target::new(Installation::sqlite());
    let nick = "n".repeat(16_500);
    // Each operation lacks its userName: reading it is all the work.
    let operation =
        json!({"method": "POST", "path": "/Users", "bulkId": "b", "data": {"schemas": [USER], "nickName": nick}});
    let operations: Vec<String> =
        (0..990).map(|n| operation.to_string().replacen("\"b\"", &format!("\"b{n}\""), 1)).collect();
    let job = format!(r#"{{"schemas":["{BULK}"],"Operations":[{}]}}"#, operations.join(","));
    assert!(((15 << 20)..=(16 << 20)).contains(&job.len()), "{}", job.len());
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let send = |_| {
            let (idp, job) = (target.server.idp(), &job);
            scope.spawn(move || idp.send("POST", "/scim/v2/Bulk", &[], job))
        };
        // A refusal may come while the body is still being sent, and close the connection.
        let threads: Vec<_> = (0..8).map(send).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
    });
    let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!done.is_empty() && done.len() < 8, "{}", done.len());
    for answer in refused {
        assert_eq!(answer.error(), "503 -: too many large bodies at once: try again");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    target.survives(160);
}

#[test]
fn a22_heavy_reads_are_clamped_or_refused() {
    let target = Target::new(Installation::sqlite());
    let get = |query: &str| target.idp.get(&format!("/scim/v2/Users?{query}"));
    let page = |query: &str| {
        let page = get(query).expect(200).json();
        let shown = page["Resources"].as_array().map_or(0, Vec::len);
        format!("{shown} of {} from {}", page["totalResults"], page["startIndex"])
    };
    assert_eq!(page("count=1000000000"), "4 of 4 from 1");
    assert_eq!(page("count=-5&startIndex=-5"), "0 of 4 from 1");
    assert_eq!(page("startIndex=99999999999999999999"), "0 of 4 from 9223372036854775807");
    assert_eq!(page("startIndex=4"), "1 of 4 from 4");
    assert_eq!(page("sortBy=nickName"), "4 of 4 from 1");
    assert_eq!(page("sortBy=groups"), "4 of 4 from 1");
    assert_eq!(page(&format!("attributes={}", ["userName"; 1_000].join(","))), "4 of 4 from 1");
    for (query, expected) in [
        ("count=1e9", "400 invalidValue: count: expected an integer"),
        ("count=1000000000&cursor=", "400 invalidCount: count: at most 1000 with a cursor"),
        ("count=1&count=2", "400 invalidValue: count: is there twice"),
        ("sortBy=nope", "400 invalidValue: sortBy: nope is no attribute of this type"),
        ("cursor=AAAA", "400 invalidCursor: cursor: not one of this server's"),
        ("cursor=%00", "400 invalidCursor: cursor: not one of this server's"),
        ("cursor=&startIndex=1", "400 invalidValue: cursor and startIndex exclude each other"),
    ] {
        assert_eq!(get(query).error(), expected, "{query}");
    }
    for name in ["attributes", "excludedAttributes"] {
        let many = get(&format!("{name}={}", ["userName"; 1_001].join(",")));
        assert_eq!(many.error(), format!("400 invalidValue: {name}: has 1001 names, at most 1000 are accepted"));
    }
    let cursor = get("cursor=&count=2").expect(200).json()["nextCursor"].as_str().unwrap().to_owned();
    assert_eq!(get(&format!("cursor={cursor}")).expect(200).json()["Resources"].as_array().unwrap().len(), 2);
    for at in 0..cursor.len() {
        let other = if cursor.as_bytes()[at] == b'A' { "B" } else { "A" };
        let tampered = format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]);
        assert_eq!(get(&format!("cursor={tampered}")).error(), "400 invalidCursor: cursor: not one of this server's");
    }
    let elsewhere = "400 invalidCursor: cursor: it belongs to another query";
    assert_eq!(get(&format!("cursor={cursor}&filter=userName%20pr")).error(), elsewhere);
    assert_eq!(target.idp.get(&format!("/scim/v2/Groups?cursor={cursor}")).error(), elsewhere);
    assert_eq!(target.server.admin().get(&format!("/scim/v2/Users?cursor={cursor}")).error(), elsewhere);
    let count = get(&format!("cursor={cursor}&count=3"));
    assert_eq!(count.error(), "400 invalidCount: count: the first page had 2, every page has the same");
    target.survives(64);
}

#[test]
fn what_is_no_text_is_refused_in_paths_queries_and_headers() {
    for place in Installation::each() {
        let target = Target::new(place);
        let key = target.server.keys().provisioning;
        let ask = |line: &str, headers: &[u8]| {
            let mut request = format!("{line} HTTP/1.1\r\nHost: x\r\n").into_bytes();
            request.extend_from_slice(headers);
            request.extend_from_slice(b"\r\n");
            raw(target.server.address, &request).unwrap()
        };
        let bearer = format!("Authorization: Bearer {key}\r\n").into_bytes();
        for path in ["Users/%00", "Users/a%2fb", "Users/..%2f..", "Users/%F0%9F%98%80", "Schemas/%00"] {
            assert_eq!(ask(&format!("GET /scim/v2/{path}"), &bearer).error(), "404 -: not found", "{path}");
        }
        for (path, what) in [("Users/%ff", "path"), ("%ff", "path"), ("Users?filter=%ff%fe", "filter")] {
            let refused = ask(&format!("GET /scim/v2/{path}"), &bearer);
            assert_eq!(refused.error(), format!("400 -: {what}: is not UTF-8"), "{path}");
        }
        ask("GET /scim/v2/Users?%00=%00", &bearer).expect(200);
        let sort = ask("GET /scim/v2/Users?sortBy=%00", &bearer);
        assert_eq!(sort.error(), "400 invalidValue: sortBy: \0 is no attribute of this type");
        for unread in [ask("GET /scim/v2/Users\0", &bearer), ask("GET /scim/v2/Users", b"X-Any: a\0b\r\n")] {
            assert_eq!((unread.status, unread.body.as_str()), (400, ""));
        }
        let unauthenticated = "401 -: Authorization: expected Bearer and a key";
        assert_eq!(ask("GET /scim/v2/Users", b"Authorization: Bearer \xff\xfe\r\n").error(), unauthenticated);
        let tag = [&bearer[..], b"If-Match: \xff\"\r\n"].concat();
        // A condition that cannot be read must not pass as none.
        let deleted = ask(&format!("DELETE /scim/v2/Users/{}", target.ann), &tag);
        assert!(matches!(deleted.status, 400 | 412), "{deleted:?}");
        // A29: of two keys neither is looked at.
        let two = [&bearer[..], &bearer[..]].concat();
        assert_eq!(ask("GET /scim/v2/Users", &two).error(), "400 -: more than one Authorization header");
        target.survives(64);
    }
}
