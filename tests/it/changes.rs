//! The change feed: every record once and in order, as pages, by long-poll and as a stream.

mod service;
mod stream;
mod waiting;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp, for_each_app, user};
use crate::support::postgres;
use crate::support::server::Client;
use keyroll::service::keys::Owner;

const READ: &str = "keyroll:changes:read";

/// The numbers of the changes in an answer.
fn seqs(body: &Value) -> Vec<i64> {
    body["changes"].as_array().unwrap().iter().map(|change| change["seq"].as_i64().unwrap()).collect()
}

/// The number of the last record, read in pages.
fn last(client: &Client) -> i64 {
    let mut next = -1;
    loop {
        let body = client.get(&format!("/v1/changes?wait=0&after={next}")).expect(200).json();
        if seqs(&body).is_empty() {
            return next;
        }
        next = body["next"].as_i64().unwrap();
    }
}

#[test]
fn pages_follow_each_other_without_a_gap() {
    for_each_app(|app| {
        let service = app.with_key(&app.issue_on_host(Owner::Operator, &[READ]));
        let idp = app.idp();
        let id = idp.post("/Users", user("mira@example.com")).expect(201).id();
        idp.delete(&format!("/Users/{id}")).expect(204);
        let whole = service.get("/v1/changes?wait=0").expect(200);
        assert_eq!(whole.header("cache-control"), "no-store");
        assert_snapshot!(service.get("/v1/changes?after=7&wait=0"), @r#"
        200
        {
          "changes": [
            {
              "seq": 8,
              "kind": "user.created",
              "time": "2026-01-05T09:00:00.000000Z",
              "subject": {"id":"019b8d62-7a80-7000-8000-000000000009","type":"user"},
              "change": {"paths":["schemas","userName","active"]}
            },
            {
              "seq": 9,
              "kind": "user.deleted",
              "time": "2026-01-05T09:00:00.000000Z",
              "subject": {"id":"019b8d62-7a80-7000-8000-000000000009","type":"user"},
              "change": {"groups":[]}
            }
          ],
          "next": 9
        }
        "#);
        // The same as the log has it, from its first record on.
        let log = app.service.tail_log(&app.host(), 100).unwrap();
        let changes = whole["changes"].as_array().unwrap();
        assert_eq!(changes.len(), log.len());
        for (change, record) in changes.iter().zip(&log) {
            for (name, told) in [("seq", "seq"), ("action", "kind"), ("time", "time"), ("subject", "subject")] {
                assert_eq!(record[name], change[told]);
            }
            assert_eq!((&record["change"], change.as_object().unwrap().len()), (&change["change"], 5));
        }
        assert_eq!(whole["next"], json!(log.len() - 1));
        for count in 1..=log.len() {
            let (mut next, mut seen) = (-1, vec![]);
            while next < log.len() as i64 - 1 {
                let page = service.get(&format!("/v1/changes?after={next}&count={count}&wait=0")).expect(200);
                seen.extend(seqs(&page.body));
                next = page["next"].as_i64().unwrap();
            }
            assert_eq!(seen, (0..log.len() as i64).collect::<Vec<_>>(), "in pages of {count}");
        }
    });
}

#[test]
fn a_filter_moves_on_over_what_it_leaves_out() {
    for_each_app(|app| {
        let idp = app.idp();
        for name in ["ann", "ben"] {
            let id = idp.post("/Users", user(name)).expect(201).id();
            idp.delete(&format!("/Users/{id}")).expect(204);
        }
        let log = app.service.tail_log(&app.host(), 100).unwrap();
        let end = log.len() as i64 - 1;
        let numbers = |wanted: &dyn Fn(&str) -> bool| -> Vec<i64> {
            let wanted = log.iter().filter(|record| wanted(record["action"].as_str().unwrap()));
            wanted.map(|record| record["seq"].as_i64().unwrap()).collect()
        };
        let get = |query: &str| app.admin().get(&format!("/v1/changes?wait=0&{query}")).expect(200);
        let check = |query: &str, wanted: &dyn Fn(&str) -> bool| {
            let page = get(query);
            assert_eq!((seqs(&page.body), page["next"].clone()), (numbers(wanted), json!(end)), "{query}");
        };
        check("kind=user.deleted", &|kind| kind == "user.deleted");
        check("kind=user.created,user.deleted", &|kind| kind == "user.created" || kind == "user.deleted");
        check("kind=tenant.created&kind=user.deleted", &|kind| kind == "tenant.created" || kind == "user.deleted");
        check("kind=principal.*", &|kind| kind.starts_with("principal."));
        check("kind=role.created", &|_| false);
        // A page looks at so many records, whatever it shows.
        let page = get("kind=user.deleted&count=3");
        assert_eq!((seqs(&page.body), &page["next"]), (vec![], &json!(2)));
        // With nothing new it stays where it was.
        let page = get(&format!("after={end}"));
        assert_eq!(page.text, format!(r#"{{"changes":[],"next":{end}}}"#));
    });
}

#[test]
fn what_cannot_be_answered_is_refused() {
    for_each_app(|app| {
        let admin = app.admin();
        let refused = |query: &str| admin.get(&format!("/v1/changes?{query}"));
        for wrong in ["after=x", "after=-2", "after=", "after=1.5", "count=0", "count=1001", "count=x", "wait=26"] {
            let answer = refused(wrong);
            let detail = answer.problem(400, "malformed");
            assert!(detail.starts_with(wrong.split('=').next().unwrap()), "{wrong}: {detail}");
        }
        for wrong in ["kind=", "kind=user", "kind=*", "kind=a.b,,c.d"] {
            let detail = "kind: expected kinds such as user.created or group.*";
            assert_eq!(refused(wrong).problem(400, "malformed"), detail);
        }
        let stream = [("accept", "text/event-stream"), ("last-event-id", "x")];
        let answer = admin.send("GET", "/v1/changes", &stream, "");
        assert_eq!(answer.problem(400, "malformed"), "Last-Event-ID: expected the number of a change");
        // Who waited there would miss everything up to 99.
        let ahead = refused("after=99");
        let detail = ahead.problem(409, "ahead_of_log");
        assert_eq!(detail, "after: 99 is not in the log, which ends at 6: it is not the log that was read before");

        let stream = [("accept", "text/event-stream")];
        let both = |actor: &crate::support::app::Actor<'_>| -> [Answer; 2] {
            [actor.get("/v1/changes?wait=0"), actor.send("GET", "/v1/changes", &stream, "")]
        };
        for answer in both(&app.anonymous()) {
            answer.problem(401, "unauthenticated");
        }
        let other = app.with_key(&app.issue_on_host(Owner::Operator, &["keyroll:keys:read"]));
        for answer in both(&other) {
            assert_eq!(answer.problem(403, "forbidden"), "this key does not hold keyroll:changes:read");
        }
        for answer in both(&app.idp()) {
            assert_eq!(answer.problem(403, "forbidden"), "a provisioning key may use SCIM only");
        }
    });
}

#[test]
fn a_tenant_sees_its_own_changes_alone() {
    for_each_app(|app| {
        let (other_idp, other_admin) = app.tenant("second");
        other_idp.post("/Users", user("zoe@example.com")).expect(201);
        let mine = app.admin().get("/v1/changes?wait=0").expect(200);
        let theirs = other_admin.get("/v1/changes?wait=0").expect(200);
        assert_eq!((mine["next"].clone(), theirs["next"].clone()), (json!(6), json!(7)));
        assert!(!mine.text.contains("user.created"));
    });
}

#[test]
fn a_log_with_a_hole_is_not_read_across() {
    let story = |app: TestApp| {
        let service = app.with_key(&app.issue_on_host(Owner::Operator, &[READ]));
        let ends = [
            "DELETE FROM log_records WHERE seq = 3",
            "UPDATE log_records SET seq = 3 WHERE seq = 4",
            "DELETE FROM log_records WHERE seq > 2",
        ];
        for sql in ends {
            app.sql(sql);
            service.get("/v1/changes?wait=0").problem(500, "internal");
            service.get("/v1/changes?wait=0&after=2").problem(500, "internal");
            // What lies before the hole can be had.
            let page = service.get("/v1/changes?wait=0&count=3").expect(200);
            assert_eq!((seqs(&page.body), &page["next"]), (vec![0, 1, 2], &json!(2)));
        }
    };
    story(TestApp::sqlite());
    if let Some(url) = postgres::url() {
        story(TestApp::on(&url));
    }
}
