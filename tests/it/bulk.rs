//! Bulk jobs (RFC 7644 §3.7).

use insta::assert_snapshot;
use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

fn post(path: &str, bulk_id: &str, data: Value) -> Value {
    json!({"method": "POST", "path": path, "bulkId": bulk_id, "data": data})
}

fn with_manager(name: &str, manager: &str) -> Value {
    and(user(name), json!({ENTERPRISE: {"manager": {"value": manager}}}))
}

impl Answer {
    /// The statuses of a job's results.
    fn statuses(&self) -> Vec<&str> {
        let results = self.body["Operations"].as_array().unwrap_or_else(|| panic!("{self}"));
        results.iter().map(|result| result["status"].as_str().unwrap()).collect()
    }

    /// The id in the location of a result.
    fn made(&self, index: usize) -> &str {
        let location = self.body["Operations"][index]["location"].as_str().unwrap_or_else(|| panic!("{self}"));
        location.rsplit('/').next().unwrap()
    }
}

#[test]
fn each_operation_has_its_result() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let job = bulk(json!([
            post("/Users", "a", user("rolf@example.com")),
            post("/Users", "b", user("MIRA@example.com")),
            {"method": "patch", "path": format!("/Users/{mira}"), "data": replace("active", "False")},
            {"method": "PATCH", "path": format!("/Users/{mira}"), "data": replace("id", 7)},
            {"method": "DELETE", "path": format!("/Users/{mira}"), "data": {"ignored": true}},
        ]));
        assert_snapshot!(idp.post("/Bulk", job), @r#"
            200
            keyroll-tolerance: entra-002
            {
              "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"],
              "Operations": [
                {
                  "location": "https://keyroll.example/scim/v2/Users/019b8d62-7a80-7000-8000-000000000009",
                  "method": "POST",
                  "bulkId": "a",
                  "version": "W/\"1\"",
                  "status": "201"
                },
                {
                  "method": "POST",
                  "bulkId": "b",
                  "status": "409",
                  "response": {
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                    "status": "409",
                    "scimType": "uniqueness",
                    "detail": "userName: the value is taken by 019b8d62-7a80-7000-8000-000000000008"
                  }
                },
                {
                  "location": "https://keyroll.example/scim/v2/Users/019b8d62-7a80-7000-8000-000000000008",
                  "method": "PATCH",
                  "version": "W/\"2\"",
                  "status": "200"
                },
                {
                  "location": "https://keyroll.example/scim/v2/Users/019b8d62-7a80-7000-8000-000000000008",
                  "method": "PATCH",
                  "status": "400",
                  "response": {
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                    "status": "400",
                    "scimType": "mutability",
                    "detail": "Operations[0]: id: is read-only"
                  }
                },
                {
                  "location": "https://keyroll.example/scim/v2/Users/019b8d62-7a80-7000-8000-000000000008",
                  "method": "DELETE",
                  "status": "204"
                }
              ]
            }
            "#);
        assert_eq!(
            app.actions(),
            ["user.created", "user.created", "user.patched", "principal.suspended", "user.deleted"]
        );
        let log = app.log();
        assert_eq!(log[1]["request"], log[4]["request"]);
    });
}

#[test]
fn references_may_point_forward_and_into_paths() {
    for_each_app(|app| {
        let idp = app.idp();
        let done = idp.post("/Bulk", bulk(json!([
            {"method": "PATCH", "path": "/Groups/bulkId:team", "data": add("members", json!([{"value": "bulkId:rolf"}]))},
            post("/Groups", "team", group("team", &["bulkId:mira"])),
            post("/Users", "rolf", with_manager("rolf@example.com", "bulkId:mira")),
            post("/Users", "mira", user("mira@example.com")),
            {"method": "PATCH", "path": "/Groups/bulkId:team", "data": remove("members[value eq \"bulkId:mira\"]")},
        ]))).expect(200);
        assert_eq!(done.statuses(), ["200", "201", "201", "201", "200"]);
        let (team, rolf, mira) = (done.made(1), done.made(2), done.made(3));
        assert_eq!(idp.get(&format!("/Groups/{team}")).expect(200).members(), [rolf]);
        let manager = &idp.get(&format!("/Users/{rolf}")).expect(200)[ENTERPRISE]["manager"];
        assert_eq!(manager["value"], json!(mira));
        assert_eq!(done["Operations"][0]["location"], json!(format!("https://keyroll.example/scim/v2/Groups/{team}")));
    });
}

#[test]
fn text_may_speak_of_bulk_ids() {
    for_each_app(|app| {
        let idp = app.idp();
        let titled = |name: &str, title: &str| and(user(name), json!({"title": title}));
        let done = idp.post("/Bulk", bulk(json!([
            post("/Users", "q1", titled("bulkId:z1", "see bulkId:q1")),
            post("/Users", "q12", titled("b@example.com", "notes on bulkId:unknown thing")),
            post("/Groups", "team", group("bulkId:q1", &["bulkId:q1", "bulkId:q12"])),
            {"method": "PATCH", "path": "/Groups/bulkId:team", "data": remove("members[value eq \"bulkId:q12\"]")},
            {"method": "PATCH", "path": "/Users/bulkId:q12", "data": replace("nickName", "bulkId:q1")},
        ]))).expect(200);
        assert_eq!(done.statuses(), ["201", "201", "201", "200", "200"], "{done}");
        let first = idp.get(&format!("/Users/{}", done.made(0))).expect(200);
        assert_eq!((&first["userName"], &first["title"]), (&json!("bulkId:z1"), &json!("see bulkId:q1")));
        let second = idp.get(&format!("/Users/{}", done.made(1))).expect(200);
        assert_eq!(second["nickName"], json!("bulkId:q1"));
        let team = idp.get(&format!("/Groups/{}", done.made(2))).expect(200);
        assert_eq!(team["displayName"], json!("bulkId:q1"));
        assert_eq!(team.members(), [done.made(0)]);
    });
}

#[test]
fn circles_are_made_whole() {
    for_each_app(|app| {
        let idp = app.idp();
        for names in [vec!["a", "b"], vec!["c", "d", "e"], vec!["f"]] {
            let one = |n: usize| {
                let next = names[(n + 1) % names.len()];
                post("/Users", names[n], with_manager(&format!("{}@example.com", names[n]), &format!("bulkId:{next}")))
            };
            let done = idp.post("/Bulk", bulk((0..names.len()).map(one).collect())).expect(200);
            assert_eq!(done.statuses(), vec!["201"; names.len()], "{done}");
            for n in 0..names.len() {
                let stored = idp.get(&format!("/Users/{}", done.made(n))).expect(200);
                let next = done.made((n + 1) % names.len());
                assert_eq!(stored[ENTERPRISE]["manager"]["value"], json!(next));
                assert_eq!(stored["userName"], json!(format!("{}@example.com", names[n])));
                assert_eq!(&stored["meta"]["version"], &done["Operations"][n]["version"]);
            }
        }
    });
}

#[test]
fn a_circle_with_a_bad_member_leaves_nothing() {
    for_each_app(|app| {
        let idp = app.idp();
        let taken = idp.post("/Users", user("taken@example.com")).expect(201).id();
        let before = app.log().len();
        let job = bulk(json!([
            post("/Users", "a", with_manager("a@example.com", "bulkId:b")),
            post("/Users", "b", with_manager("b@example.com", "bulkId:c")),
            post("/Users", "c", with_manager("taken@example.com", "bulkId:a")),
            post("/Users", "d", with_manager("d@example.com", "bulkId:a")),
            post("/Users", "e", user("e@example.com")),
            post("/Users", "f", with_manager("f@example.com", "bulkId:nobody")),
        ]));
        let done = idp.post("/Bulk", job).expect(200);
        assert_eq!(done.statuses(), ["409", "409", "409", "409", "201", "409"]);
        let detail = |n: usize| done["Operations"][n]["response"]["detail"].as_str().unwrap();
        let told = format!("the circle of references was not created: userName: the value is taken by {taken}");
        assert_eq!(detail(0), told);
        assert_eq!(detail(3), "Operations[3]: bulkId:a was not created");
        assert_eq!(detail(5), "Operations[5]: bulkId:nobody was not created");
        assert_eq!(app.log().len(), before + 1);
        for name in ["a", "b", "d"] {
            idp.post("/Users", user(&format!("{name}@example.com"))).expect(201);
        }
        // Groups in a circle refer to each other, but may not hold each other.
        let groups = bulk(json!([
            post("/Groups", "x", group("x", &["bulkId:y"])),
            post("/Groups", "y", group("y", &["bulkId:x"]))
        ]));
        assert_eq!(idp.post("/Bulk", groups).expect(200).statuses(), ["409", "409"]);
        idp.post("/Groups", group("x", &[])).expect(201);
    });
}

#[test]
fn a_job_bears_so_many_errors() {
    for_each_app(|app| {
        let idp = app.idp();
        let operations = json!([
            post("/Users", "a", user("a@example.com")),
            post("/Users", "b", user("a@example.com")),
            post("/Users", "c", user("c@example.com")),
            post("/Users", "d", user("a@example.com")),
            post("/Users", "e", user("e@example.com")),
        ]);
        let job = |limit: u64| and(bulk(operations.clone()), json!({"failOnErrors": limit}));
        assert_eq!(idp.post("/Bulk", job(1)).expect(200).statuses(), ["201", "409"]);
        assert_eq!(idp.post("/Bulk", job(2)).expect(200).statuses(), ["409", "409"]);
        assert_eq!(idp.post("/Bulk", job(3)).expect(200).statuses(), ["409", "409", "201", "409"]);
        assert_eq!(idp.post("/Bulk", job(9)).expect(200).statuses(), ["409", "409", "409", "409", "201"]);
    });
}

#[test]
fn a_job_over_the_limits_is_refused_whole() {
    for_each_app(|app| {
        let idp = app.idp();
        let operations: Vec<Value> =
            (0..1_001).map(|n| post("/Users", &format!("b{n}"), user(&format!("u{n}@example.com")))).collect();
        let refused = idp.post("/Bulk", bulk(json!(operations)));
        assert_eq!(refused.scim_error(413, ""), "the job has 1001 operations: maxOperations is 1000");
        assert_eq!(app.actions(), Vec::<String>::new());
    });
    let app = TestApp::with(None, |settings| settings.limits.body_bytes_max = 1_000);
    let large = bulk(json!([post("/Users", "a", and(user("a@example.com"), json!({"title": "x".repeat(1_000)})))]));
    let length = large.to_string().len().to_string();
    for headers in [&[][..], &[("content-length", length.as_str())]] {
        let refused = app.idp().send("POST", "/Bulk", headers, large.to_string());
        assert_eq!(refused.scim_error(413, ""), "the body has more than 1000 bytes: maxPayloadSize is 1000");
    }
}

#[test]
fn odd_operations_fail_alone() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let cases = [
            (post("/Bulk", "a", bulk(json!([]))), "400", "path: /Bulk names no resource type"),
            (
                post("/Users?x=1", "b", user("b@example.com")),
                "400",
                "path: /Users?x=1 has a query, which a bulk operation cannot",
            ),
            (post(&format!("/Users/{mira}"), "c", user("c@example.com")), "400", "path: POST goes to a resource type"),
            (json!({"method": "DELETE", "path": "/Users"}), "400", "path: DELETE goes to a resource"),
            (json!({"method": "DELETE", "path": format!("/Users/{mira}/x")}), "400", ""),
            (json!({"method": "DELETE", "path": format!("../Users/{mira}")}), "400", ""),
            (json!({"method": "GET", "path": format!("/Users/{mira}")}), "400", ""),
            (
                json!({"method": "POST", "path": "/Users", "data": user("d@example.com")}),
                "400",
                "Operations[7].bulkId: is missing, and POST needs one",
            ),
            (
                json!({"method": "PATCH", "path": format!("/Users/{mira}")}),
                "400",
                "Operations[8].data: is missing, and PATCH needs it",
            ),
            (json!({"method": "DELETE", "path": "/Me"}), "400", ""),
            (json!({"method": "DELETE", "path": "/Schemas/x"}), "400", ""),
            (json!(7), "400", ""),
            (json!({"method": "DELETE", "path": format!("/Users/{}", app.id(100))}), "404", "not found"),
            (post("/Users", "z", user("z@example.com")), "201", ""),
        ];
        let job = bulk(cases.iter().map(|(operation, ..)| operation.clone()).collect());
        let done = idp.post("/Bulk", job).expect(200);
        for ((operation, status, detail), result) in cases.iter().zip(done["Operations"].as_array().unwrap()) {
            assert_eq!(result["status"], json!(status), "{operation}: {result}");
            if *status != "201" {
                assert_eq!(result["response"]["status"], json!(status));
                assert!(result["response"]["detail"].as_str().unwrap().contains(detail), "{operation}: {result}");
            }
        }
        // By some of them somebody stays; of one kind one record is enough.
        assert_eq!(app.actions(), ["user.created", "user.refused", "user.created"]);
        for (job, scim_type) in [(bulk(json!([])), "invalidSyntax"), (json!({"schemas": [BULK]}), "invalidSyntax")] {
            idp.post("/Bulk", job).scim_error(400, scim_type);
        }
    });
}

#[test]
fn a_shared_bulk_id_fails_who_refers_to_it() {
    for_each_app(|app| {
        let idp = app.idp();
        let leaver = idp.post("/Users", user("leaver@example.com")).expect(201).id();
        let key = app.issue(&leaver);
        let (path, off) = (format!("/Users/{leaver}"), json!({"op": "replace", "path": "active", "value": false}));
        let job = bulk(json!([
            post("/Users", "a", user("x@example.com")),
            post("/Users", "a", user("y@example.com")),
            post("/Groups", "b", group("team", &["bulkId:a"])),
            {"method": "PATCH", "path": path, "bulkId": "c", "data": patch(json!([off]))},
            {"method": "PATCH", "path": path, "bulkId": "c", "data": replace("title", "gone")},
        ]));
        for dialect in [Dialect::Rfc, Dialect::Strict] {
            let refused = app.connect(dialect).post("/Bulk", job.clone());
            assert_eq!(refused.scim_error(400, "invalidValue"), "Operations[1].bulkId: a is there twice");
        }
        assert_eq!(app.verify(&key), "VALID");
        let done = idp.post("/Bulk", job).expect(200);
        assert_eq!(done.statuses(), ["201", "201", "409", "200", "200"]);
        assert_eq!(done["Operations"][2]["response"]["detail"], "Operations[2]: bulkId:a was not created");
        assert_eq!((app.verify(&key).as_str(), done.header("keyroll-tolerance")), ("OWNER_INACTIVE", "auto-017"));
    });
}

#[test]
fn a_path_may_be_a_location() {
    for_each_app(|app| {
        let idp = app.idp();
        let exact = app.connect(Dialect::Rfc);
        let hire = |name: &str| idp.post("/Users", user(name)).expect(201);
        for (n, name) in ["a@example.com", "b@example.com"].into_iter().enumerate() {
            let made = hire(name);
            let (id, key) = (made.id(), app.issue(&made.id()));
            let location = made["meta"]["location"].as_str().unwrap().to_owned();
            let path = if n == 0 { location.clone() } else { format!("/scim/v2/Users/{id}") };
            let job = bulk(json!([{"method": "DELETE", "path": path}]));
            let refused = exact.post("/Bulk", job.clone()).expect(200);
            assert_eq!((refused.statuses(), app.verify(&key)), (vec!["400"], "VALID".into()));
            let done = idp.post("/Bulk", job).expect(200);
            assert_eq!((done.statuses(), &done["Operations"][0]["location"]), (vec!["204"], &json!(location)));
            assert_eq!(app.verify(&key), "REVOKED");
        }
    });
}

#[test]
fn a_key_that_is_revoked_stops_in_the_middle_of_a_job_a21() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let own = idp.get("/v1/whoami").expect(200)["key_id"].as_str().unwrap().to_owned();
        let operations: Vec<Value> =
            (0..1_000).map(|n| post("/Users", &format!("b{n}"), user(&format!("u{n}@example.com")))).collect();
        let done = std::thread::scope(|scope| {
            let job = scope.spawn(|| idp.post("/Bulk", bulk(json!(operations))).expect(200));
            // The first user is there: the job runs.
            while admin.get("/v1/users").expect(200)["users"].as_array().unwrap().len() < 3 {}
            admin.post(&format!("/v1/keys/{own}/revoke"), json!({})).expect(200);
            let made = admin.get("/v1/users?count=1000").expect(200)["users"].as_array().unwrap().len() - 2;
            (job.join().unwrap(), made)
        });
        let (done, made) = done;
        let created = done.statuses().iter().filter(|status| **status == "201").count();
        assert!(created < 1_000 && created > 0, "{created} were created: the job was not interrupted");
        assert_eq!(created, made, "none was created after the answer to the revocation");
        assert!(done.statuses()[created..].iter().all(|status| *status == "401"));
        let last = app.log().pop().unwrap();
        assert_eq!(last["action"], json!("credential.revoked"), "nothing follows the revocation");
        idp.get("/Users").scim_error(401, "");
    });
}
