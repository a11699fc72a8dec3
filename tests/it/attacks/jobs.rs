//! Bulk jobs that are large, go in circles, outlive their key or come many at once.

use serde_json::{Value, json};

use super::{Target, found};
use crate::support::server::{Answer, BULK, GROUP, Installation, USER};

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
