//! Jobs, and operations of jobs, that are refused although they say that somebody leaves: in whatever words they say whom,
//! the refusal is recorded.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::refused::refused;
use super::{EXACT, Hired, LENIENT, hire, off, speaking};
use crate::support::app::*;

/// Puts an operation where none is expected.
type Wrap = fn(Value) -> Value;

/// A record of a refusal is there that was not there before: what was attempted, and why it was refused.
#[track_caller]
fn recorded(app: &TestApp, who: &Hired, attempted: &str, odd: &str) {
    let id = who.path.trim_start_matches("/Users/");
    let own = refused(app, "user.refused").into_iter().filter(|record| record[0] == id).collect::<Vec<_>>();
    assert_eq!(own.len(), 1, "{odd} {own:?}");
    assert_eq!((&own[0][1], &own[0][2]["attempted"]), (&json!("failure"), &json!(attempted)), "{odd}");
    assert_eq!(app.verify(&who.key), "VALID", "{odd}");
}

#[test]
fn an_operation_whose_place_is_odd_is_recorded() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            for (n, odd) in [
                "/Users/ID?x=1",
                "/Users/ID#x",
                "/Users/ID/active",
                "/v2/Users/ID",
                "/api/v2/scim/users/ID/",
                "../Users/ID",
                "[/Users/ID]",
                "/User/ID",
            ]
            .into_iter()
            .enumerate()
            {
                for (method, attempted) in
                    [("PATCH", "user.patched"), ("PUT", "user.replaced"), ("DELETE", "user.deleted")]
                {
                    let who = hire(app, &idp, &format!("{}{n}{method}", dialect.name()));
                    let path = odd.replace("ID", who.path.trim_start_matches("/Users/"));
                    let put = and(user(&who.name), json!({"active": false}));
                    let data = if method == "PUT" { put } else { patch(json!([off()])) };
                    let done = idp.post("/Bulk", bulk(json!([{"method": method, "path": path, "data": data}])));
                    assert_eq!(done.expect(200)["Operations"][0]["status"], json!("400"), "{path}");
                    recorded(app, &who, attempted, &path);
                }
            }
        }
    });
}

#[test]
fn an_operation_that_stands_in_something_else_is_recorded() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let of = |who: &Hired| json!({"method": "DELETE", "path": who.path});
            let odd: [(&str, Wrap); 5] = [
                ("numbered", |one| json!({"0": one})),
                ("named", |one| json!([{"operation": one}])),
                ("listed", |one| json!({"Operation": [one]})),
                ("path", |one| json!([and(one.clone(), json!({"path": [one["path"]]}))])),
                ("method", |one| json!([and(one, json!({"method": ["DELETE"]}))])),
            ];
            for (name, job) in odd {
                let who = hire(app, &idp, &format!("{}-{name}", dialect.name()));
                let answer = idp.post("/Bulk", bulk(job(of(&who))));
                assert!([200, 400].contains(&answer.status), "{name}");
                recorded(app, &who, "user.deleted", name);
            }
        }
    });
}

#[test]
fn what_is_harmless_about_a_place_or_a_method_is_borne() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let set = |who: &Hired, part: Value| {
                and(json!({"method": "PATCH", "path": who.path, "data": patch(json!([off()]))}), part)
            };
            for (n, odd) in [
                |path: &str| json!({"path": format!(" {path}\t")}),
                |path: &str| json!({"path": format!("scim/v2{path}")}),
                |path: &str| json!({"path": format!("https://keyroll.example/scim/v2{path} ")}),
                |_: &str| json!({"method": " Patch "}),
            ]
            .into_iter()
            .enumerate()
            {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let done = idp.post("/Bulk", bulk(json!([set(&who, odd(&who.path))]))).expect(200);
                let status = done["Operations"][0]["status"].clone();
                if LENIENT.contains(&dialect) {
                    let expected = (json!("200"), "OWNER_INACTIVE".to_owned());
                    assert_eq!((status, app.verify(&who.key)), expected, "{n} {done}");
                } else {
                    assert_eq!(status, json!("400"), "{n} {done}");
                    recorded(app, &who, "user.patched", &n.to_string());
                }
            }
        }
    });
}

#[test]
fn an_operation_whose_method_or_data_is_odd_is_recorded() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let gone = patch(json!([off()]));
            for (n, (odd, attempted)) in [
                (json!({"method": null, "data": gone}), "user.patched"),
                (json!({"method": 7, "data": gone}), "user.patched"),
                (json!({"method": "UPDATE", "data": gone}), "user.patched"),
                (json!({"method": "REMOVE"}), "user.patched"),
                (json!({"method": "POST", "bulkId": "a", "data": {"active": false}}), "user.created"),
                (json!({"method": "POST", "data": {"active": "off"}}), "user.created"),
                (json!({"method": "PATCH"}), "user.patched"),
                (json!({"method": "PUT", "data": null}), "user.replaced"),
                (json!({"method": "PATCH", "data": gone, "version": 7}), "user.patched"),
                (json!({"method": "PATCH", "data": gone.to_string()}), "user.patched"),
                (json!({"method": "PUT", "path": "/Users", "data": {"id": "ID", "active": false}}), "user.replaced"),
                (
                    json!({"method": "PATCH", "path": "/Users", "data": {"userName": "NAME", "active": 0}}),
                    "user.patched",
                ),
                (
                    json!({"method": "PUT", "path": "/Users", "data": {"userName": "NAME", "active": 0}}),
                    "user.replaced",
                ),
                (json!({"method": "DELETE", "path": "/Users", "data": {"userName": "NAME"}}), "user.deleted"),
            ]
            .into_iter()
            .enumerate()
            {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let operation = and(json!({"path": who.path}), odd.clone()).to_string();
                let operation = operation.replace("\"ID\"", &format!("{:?}", who.path.trim_start_matches("/Users/")));
                let operation: Value = serde_json::from_str(&operation.replace("NAME", &who.name)).unwrap();
                let done = idp.post("/Bulk", bulk(json!([operation]))).expect(200);
                assert_eq!(done["Operations"][0]["status"], json!("400"), "{operation} {done}");
                recorded(app, &who, attempted, &operation.to_string());
            }
            // Nobody leaves by what only reads, or says that somebody is there.
            let who = hire(app, &idp, dialect.name());
            let records = app.log().len();
            for stays in [
                json!({"method": "GET"}),
                json!({"method": "UPDATE", "data": {"active": true}}),
                json!({"method": "POST", "data": user(&who.name)}),
            ] {
                let done = idp.post("/Bulk", bulk(json!([and(json!({"path": who.path}), stays.clone())]))).expect(200);
                assert_eq!((&done["Operations"][0]["status"], app.log().len()), (&json!("400"), records), "{stays}");
            }
        }
    });
}

#[test]
fn a_whole_job_that_is_odd_is_recorded() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let jobs: [fn(Value) -> String; 6] = [
                |operation| json!([operation]).to_string(),
                |operation| json!([bulk(json!([{"method": "GET", "path": "/Users"}, operation]))]).to_string(),
                |operation| and(bulk(json!([])), json!({"Operations": json!([operation]).to_string()})).to_string(),
                |operation| {
                    and(bulk(json!([])), json!({"Operations": json!([operation.to_string()]).to_string()})).to_string()
                },
                |operation| format!("{}]", bulk(json!([operation])).to_string().replace('/', "\\/")),
                |operation| bulk(json!([operation])).to_string().replace("\"data\":", "\"data\":."),
            ];
            for (n, job) in jobs.into_iter().enumerate() {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let job = job(json!({"method": "PATCH", "path": who.path, "data": patch(json!([off()]))}));
                let answer = idp.send("POST", "/Bulk", &[], job.clone());
                assert_eq!(answer.status, 400, "{job} {answer}");
                recorded(app, &who, "user.patched", &job);
            }
        }
    });
}

#[test]
fn of_a_job_of_any_size_few_names_are_looked_up() {
    for_each_app(|app| {
        let idp = app.idp();
        let (who, other) = (hire(app, &idp, "mira"), hire(app, &idp, "tom"));
        let made = |name: &str| json!({"method": "POST", "path": "/Users", "bulkId": name, "data": and(user(name), json!({"active": false}))});
        let strangers = |count: usize| (0..count).map(|n| made(&format!("n{n}")));
        let over = strangers(1_000).chain([json!({"method": "DELETE", "path": other.path})]);
        for (job, recorded_at) in [
            (
                strangers(99).chain([made(&who.name)]).chain(strangers(1_000)).collect::<Value>(),
                Some((&who, "user.created")),
            ),
            // An id is found wherever it stands.
            (over.collect(), Some((&other, "user.deleted"))),
            (strangers(100).chain([made(&who.name)]).chain(strangers(1_000)).collect(), None),
        ] {
            let records = app.log().len();
            assert_eq!(idp.post("/Bulk", bulk(job)).status, 413);
            match recorded_at {
                Some((who, attempted)) => recorded(app, who, attempted, "a large job"),
                None => assert_eq!(app.log().len(), records),
            }
            app.clock.advance(TimeDelta::hours(1));
        }
    });
}

#[test]
fn a_no_beside_an_operation_or_a_job_is_never_dropped() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let title = patch(json!([{"op": "replace", "path": "title", "value": "Dr"}]));
            for (n, beside) in [
                json!({"active": false}),
                json!({"accountEnabled": "False"}),
                json!({"urn:example:hr:User": {"status": {"code": "inactive"}}}),
                json!({"isDeleted": 1}),
            ]
            .into_iter()
            .enumerate()
            {
                for of_job in [false, true] {
                    let who = hire(app, &idp, &format!("{}{n}{of_job}", dialect.name()));
                    let place = |data: &Value, method: &str| {
                        let operation = json!({"method": method, "path": who.path, "data": data});
                        match of_job {
                            true => and(bulk(json!([operation])), beside.clone()),
                            false => bulk(json!([and(operation, beside.clone())])),
                        }
                    };
                    let put = and(user(&who.name), json!({"title": "Dr"}));
                    for (method, data) in [("PATCH", &title), ("PUT", &put)] {
                        let done = idp.post("/Bulk", place(data, method)).expect(200);
                        let result = &done["Operations"][0];
                        let detail = result["response"]["detail"].as_str().unwrap_or_default();
                        let name = beside.as_object().unwrap().keys().next().unwrap();
                        assert!(detail.contains(name) && detail.contains("says that somebody leaves"), "{result}");
                        assert_eq!(result["status"], json!("400"), "{beside} {result}");
                        assert_eq!(idp.get(&who.path).expect(200)["title"], Value::Null);
                    }
                    recorded(app, &who, "user.patched", &beside.to_string());
                    // Beside what says it where it counts, it is only named.
                    let done = idp.post("/Bulk", place(&patch(json!([off()])), "PATCH")).expect(200);
                    let status = &done["Operations"][0]["status"];
                    if LENIENT.contains(&dialect) {
                        assert_eq!((status, app.verify(&who.key)), (&json!("200"), "OWNER_INACTIVE".to_owned()));
                        assert_eq!(done.header("keyroll-tolerance"), "auto-001");
                    } else {
                        assert_eq!((status, app.verify(&who.key)), (&json!("400"), "VALID".to_owned()));
                    }
                    idp.post("/Bulk", place(&json!({}), "DELETE")).expect(200);
                    assert_eq!(app.verify(&who.key), "REVOKED");
                }
            }
            // What says nothing of the kind is left out as before.
            let who = hire(app, &idp, dialect.name());
            let odd = and(
                bulk(json!([{"method": "PATCH", "path": who.path, "data": title, "note": "active"}])),
                json!({"active": true, "client": {"name": "x"}}),
            );
            assert_eq!(idp.post("/Bulk", odd).expect(200)["Operations"][0]["status"], json!("200"));
        }
    });
}

#[test]
fn a_circle_of_creations_is_about_whoever_is_there_already() {
    for_each_app(|app| {
        let idp = app.idp();
        let who = hire(app, &idp, "mira");
        let manager = |of: &str| json!({ENTERPRISE: {"manager": {"value": format!("bulkId:{of}")}}});
        let made = |name: &str, id: &str, of: &str| json!({"method": "POST", "path": "/Users", "bulkId": id, "data": and(user(name), manager(of))});
        let mut job = bulk(json!([made("new@example.com", "a", "b"), made(&who.name, "b", "a")]));
        job["Operations"][1]["data"]["active"] = json!(false);
        let done = idp.post("/Bulk", job).expect(200);
        assert_eq!(done["Operations"][1]["status"], json!("409"), "{done}");
        recorded(app, &who, "user.created", "circle");
        app.clock.advance(TimeDelta::hours(1));
    });
}
