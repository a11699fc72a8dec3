//! Attacks on the parser, the filters, Bulk and lists (credentials.md §4: A18–A22, A29): each is refused with
//! the right words, and costs the server neither its life nor its memory nor anybody else's request.

mod bodies;
mod filters;
mod jobs;

use serde_json::json;

use crate::support::server::{Answer, Client, Installation, SEARCH, Server, USER, encode, raw};

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
