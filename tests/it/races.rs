//! Requests at the same time: threads, each with a System of its own, against one server.

use std::collections::HashSet;
use std::sync::Barrier;

use chrono::TimeDelta;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use keyroll::domain::log::RequestRef;
use keyroll::service::directory::resources::Wanted;
use keyroll::service::keys::Owner;
use keyroll::service::registry;
use serde_json::{Value, json};

use crate::support::app::*;
use crate::support::postgres;

/// Sends two requests at the same moment.
fn together(one: impl FnOnce() -> Answer + Send, other: impl FnOnce() -> Answer + Send) -> (Answer, Answer) {
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            barrier.wait();
            one()
        });
        barrier.wait();
        let second = other();
        (first.join().unwrap(), second)
    })
}

#[test]
fn patches_of_one_group_lose_nothing() {
    const CLIENTS: usize = 5;
    const EACH: usize = 12;
    for_each_app(|app| {
        let idp = app.idp();
        let ids: Vec<String> = (0..CLIENTS * EACH)
            .map(|n| idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id())
            .collect();
        let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[])).expect(201).id());
        let (team, idp) = (&team, &idp);
        std::thread::scope(|scope| {
            for mine in ids.chunks(EACH) {
                scope.spawn(move || {
                    for id in mine {
                        idp.patch(team, add("members", json!([{"value": id}]))).expect(200);
                    }
                });
            }
        });
        let stored = idp.get(team).expect(200);
        assert_eq!(stored.members(), ids.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(stored["meta"]["version"], json!(format!("W/\"{}\"", 1 + CLIENTS * EACH)));
        // Half of them go while the others are named again.
        std::thread::scope(|scope| {
            for (n, mine) in ids.chunks(EACH).enumerate() {
                scope.spawn(move || {
                    for id in mine {
                        let one = if n % 2 == 0 {
                            remove(&format!("members[value eq \"{id}\"]"))
                        } else {
                            add("members", json!([{"value": id}]))
                        };
                        idp.patch(team, one).expect(200);
                    }
                });
            }
        });
        let kept: Vec<&str> = ids.chunks(EACH).skip(1).step_by(2).flatten().map(String::as_str).collect();
        assert_eq!(idp.get(team).expect(200).members(), kept);
    });
}

#[test]
fn one_name_is_given_once() {
    for_each_app(|app| {
        let idp = app.idp();
        for n in 0..20 {
            let (lower, upper) = (format!("u{n}@example.com"), format!("U{n}@EXAMPLE.COM"));
            let (one, other) = together(|| idp.post("/Users", user(&lower)), || idp.post("/Users", user(&upper)));
            let (won, lost) = if one.status == 201 { (one, other) } else { (other, one) };
            let told = format!("userName: the value is taken by {}", won.expect(201).id());
            assert_eq!(lost.scim_error(409, "uniqueness"), told);
        }
        assert_eq!(app.actions(), vec!["user.created"; 20]);
    });
}

#[test]
fn one_version_is_changed_once() {
    for_each_app(|app| {
        let idp = app.idp();
        let path = format!("/Users/{}", idp.post("/Users", user("mira@example.com")).expect(201).id());
        for n in 1..=20 {
            let tag = format!("W/\"{n}\"");
            let send =
                |title: String| idp.send("PATCH", &path, &[("if-match", &tag)], replace("title", title).to_string());
            let (one, other) = together(|| send(format!("a{n}")), || send(format!("b{n}")));
            let mut statuses = [one.status, other.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 412], "{one} {other}");
        }
    });
}

#[test]
fn one_version_of_a_role_is_edited_once() {
    for_each_app(|app| {
        let admin = app.admin();
        admin.post("/v1/roles", json!({"name": "r"})).expect(201);
        for n in 1..=20 {
            let tag = admin.get("/v1/roles/r").expect(200).header("etag").to_owned();
            let edit = |text: String| {
                admin.send("PUT", "/v1/roles/r", &[("if-match", &tag)], json!({"description": text}).to_string())
            };
            let (one, other) = together(|| edit(format!("a{n}")), || edit(format!("b{n}")));
            let (won, lost) = if one.status == 200 { (one, other) } else { (other, one) };
            assert_eq!(lost.problem(412, "precondition_failed"), "the resource has another version");
            let now = admin.get("/v1/roles/r").expect(200);
            assert_eq!((now.header("etag"), &now.body), (won.header("etag"), &won.shown()));
        }
        assert_eq!(app.actions().len(), 21);
    });
}

#[test]
fn no_key_slips_out_beside_a_deactivation_a09() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mut issued = 0;
        for n in 0..200 {
            let mira = idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
            let issue = || admin.post("/v1/keys", json!({"owner": {"type": "user", "id": mira}}));
            let (issue, stop) = together(issue, || idp.patch(&format!("/Users/{mira}"), replace("active", false)));
            stop.expect(200);
            match issue.status {
                201 => {
                    issued += 1;
                    assert_eq!(app.verify(issue["key"].as_str().unwrap()), "OWNER_INACTIVE");
                }
                _ => assert!(issue.problem(409, "owner_not_active").contains(&mira)),
            }
            let keys = admin.get(&format!("/v1/keys?owner={mira}")).expect(200);
            for key in keys["keys"].as_array().unwrap() {
                assert_eq!(key["reasons"], json!(["owner_suspended"]));
            }
        }
        println!("{issued} of 200 keys were issued first");
        // Whatever the order of the requests, no key is issued to whom the log calls suspended.
        let mut suspended = HashSet::new();
        for record in app.log() {
            match record["action"].as_str().unwrap() {
                "principal.suspended" => _ = suspended.insert(record["subject"]["id"].clone()),
                "credential.issued" => assert!(!suspended.contains(&record["change"]["owner"]), "{record}"),
                _ => {}
            }
        }
    });
}

#[test]
fn what_an_owner_holds_is_looked_at_once_nobody_can_take_it_away() {
    let Some(url) = postgres::url() else { return };
    let app = TestApp::on(&url);
    let admin = app.admin();
    let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
    let agent = and(agent("ci"), json!({"owners": [{"value": mira}]}));
    let agent = app.idp().post("/Agents", agent).expect(201).id();
    app.idp().post("/Groups", group("auditors", &[&mira])).expect(201);
    let source = json!({"group": {"displayName": "auditors"}});
    admin.post("/v1/mappings", json!({"role": "keyroll.auditor", "source": source})).expect(201);
    let by_person = json!({"owner": {"type": "user", "id": mira}, "grant": [{"permissions": ["keyroll:users:read"]}]});
    let by_agent = json!({"owner": {"type": "agent", "id": agent}});
    admin.post("/v1/keys", by_person.clone()).expect(201);
    admin.post("/v1/keys", by_agent.clone()).expect(201);
    let mut other = PgConnection::establish(&url).unwrap();
    let mut beside = |taking: &str, body: Value| {
        other.batch_execute("BEGIN; SELECT * FROM log_heads FOR UPDATE").unwrap();
        std::thread::scope(|scope| {
            let issue = scope.spawn(|| app.admin().post("/v1/keys", body));
            postgres::wait_for_locks(&mut other, 1);
            other.batch_execute(&format!("{taking}; COMMIT")).unwrap();
            issue.join().unwrap()
        })
    };
    let refused = beside("UPDATE memberships SET until_seq = 1000", by_person);
    assert_eq!(refused.problem(403, "forbidden"), "the owner does not hold keyroll:users:read");
    let gone = format!("UPDATE principals SET active = FALSE WHERE id = {}", app.bytes(&mira));
    let refused = beside(&gone, by_agent);
    assert_eq!(refused.problem(409, "owner_not_active"), format!("the owner {agent} has no live sponsor"));
}

#[test]
fn no_key_outlives_a_deletion() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        for n in 0..40 {
            let mira = idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
            let issue = || admin.post("/v1/keys", json!({"owner": {"type": "user", "id": mira}}));
            let (issue, gone) = together(issue, || idp.delete(&format!("/Users/{mira}")));
            gone.expect(204);
            if issue.status == 201 {
                assert_eq!(app.verify(issue["key"].as_str().unwrap()), "REVOKED");
            }
            let keys = admin.get(&format!("/v1/keys?owner={mira}")).expect(200);
            assert!(
                keys["keys"].as_array().unwrap().iter().all(|key| key["revoke_reason"] == "owner_deleted"),
                "{keys}"
            );
        }
    });
}

#[test]
fn a_key_is_revoked_once_whoever_asks() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        for n in 0..40 {
            let mira = idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
            let key = app.id_of(&app.issue(&mira));
            let revoke = || admin.post(&format!("/v1/keys/{key}/revoke"), json!({}));
            // Neither waits for what the other holds.
            let (revoked, gone) = together(revoke, || idp.delete(&format!("/Users/{mira}")));
            revoked.expect(200);
            gone.expect(204);
            let records = app.log().into_iter().filter(|record| record["subject"]["id"] == json!(key));
            let actions: Vec<Value> = records.map(|record| record["action"].clone()).collect();
            assert_eq!(actions, ["credential.issued", "credential.revoked"]);
        }
    });
}

#[test]
fn opposite_edges_make_no_circle() {
    for_each_app(|app| {
        let idp = app.idp();
        for n in 0..30 {
            let a = idp.post("/Groups", group(&format!("a{n}"), &[])).expect(201).id();
            let b = idp.post("/Groups", group(&format!("b{n}"), &[])).expect(201).id();
            let put = |inner: &str, outer: &str| {
                idp.patch(&format!("/Groups/{outer}"), add("members", json!([{"value": inner}])))
            };
            let (one, other) = together(|| put(&a, &b), || put(&b, &a));
            let (won, lost) = if one.status == 200 { (one, other) } else { (other, one) };
            won.expect(200);
            lost.scim_error(400, "invalidValue");
        }
    });
}

#[test]
fn whoever_is_deleted_is_no_member_afterwards() {
    for_each_app(|app| {
        let idp = app.idp();
        let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[])).expect(201).id());
        for n in 0..40 {
            let mira = idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
            let join = || idp.patch(&team, add("members", json!([{"value": mira}])));
            let (joined, gone) = together(join, || idp.delete(&format!("/Users/{mira}")));
            gone.expect(204);
            if joined.status != 200 {
                joined.scim_error(400, "invalidValue");
            }
            assert_eq!(idp.get(&team).expect(200).members(), Vec::<&str>::new());
        }
    });
}

#[test]
fn who_was_let_in_before_its_key_died_writes_nothing_after() {
    for_each_app(|app| {
        let (users, mut number) = (registry().by_name("User").unwrap(), 0);
        let mut after = |death: &dyn Fn(&str)| {
            let key = app.issue_on_host(Owner::Connection("default".to_owned()), &[]);
            let context = app.service.enter(&key, RequestRef::default(), None).unwrap();
            let mut write = || {
                number += 1;
                let body = user(&format!("u{number}@example.com")).to_string();
                let made = app.service.create_resource(&context, users, body.as_bytes(), &Wanted::default());
                made.map_or_else(|error| error.status(), |_| 201)
            };
            // The second finds what the first looked up.
            assert_eq!([write(), write()], [201, 201]);
            death(&app.id_of(&key));
            write()
        };
        let set =
            |id: &str, what: &str| app.sql(&format!("UPDATE credentials SET {what} WHERE id = {}", app.bytes(id)));
        let revoke = |id: &str| app.admin().post(&format!("/v1/keys/{id}/revoke"), json!({})).expect(200);
        assert_eq!(after(&|_| {}), 201);
        assert_eq!(after(&|id| drop(revoke(id))), 401);
        // A death that leaves no record, one after which somebody else writes, and one by time alone.
        assert_eq!(after(&|id| set(id, "revoked_at = 0, revoke_reason = 'x'")), 401);
        assert_eq!(
            after(&|id| {
                revoke(id);
                app.idp().post("/Users", user("other@example.com")).expect(201);
            }),
            401
        );
        assert_eq!(after(&|_| app.clock.advance(TimeDelta::days(4_000))), 401);
    });
}

#[test]
fn a_node_that_stands_still_in_a_change_keeps_nobody_waiting_for_long() {
    for_each_app(|app| {
        // On SQLite all writes of a server go through one thread.
        if app.service.is_embedded() {
            return;
        }
        let (idp, other) = (app.idp(), app.beside(TimeDelta::zero()));
        app.overtaken(
            "UPDATE log_heads",
            || idp.post("/Users", user("still@example.com")),
            || drop(other.idp().post("/Users", user("late@example.com")).expect(201)),
        );
        // What it had not committed is there if it did it again by itself; either way it can go on.
        let filter = "/Users?filter=userName+eq+%22still@example.com%22";
        if idp.get(filter).expect(200)["totalResults"] == json!(0) {
            drop(idp.post("/Users", user("still@example.com")).expect(201));
        }
        assert_eq!(idp.get("/Users").expect(200)["totalResults"], 2);
    });
}
