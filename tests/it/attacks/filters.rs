//! Filters that want more than a filter may say, or more than reading one may cost.

use serde_json::json;

use super::Target;
use crate::support::server::{Installation, PATCH, SEARCH, encode, raw};

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
