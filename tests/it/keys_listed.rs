//! Which keys there are: lists by owner, class, status and end, page by page; and whose they are.

use std::slice;

use chrono::TimeDelta;
use keyroll::service::keys::Owner;
use keyroll::service::keys::request::GrantTexts;
use serde_json::{Value, json};

use crate::support::app::*;

fn hire(app: &TestApp, name: &str) -> String {
    app.idp().post("/Users", user(name)).expect(201).id()
}

/// A key of a user that lives so long; its id.
fn issue(app: &TestApp, owner: &str, expires_in: &str) -> String {
    let body = json!({"owner": {"type": "user", "id": owner}, "expires_in": expires_in});
    app.admin().post("/v1/keys", body).expect(201).id()
}

/// The ids on a page, and where the next one begins.
fn page(app: &TestApp, query: &str) -> (Vec<String>, Option<String>) {
    let answer = app.admin().get(&format!("/v1/keys?{query}")).expect(200);
    let ids = answer["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned());
    (ids.collect(), answer["next"].as_str().map(str::to_owned))
}

/// The ids on all pages of a question, read `count` at a time.
fn all(app: &TestApp, query: &str, count: usize) -> Vec<String> {
    let (mut ids, mut cursor) = (vec![], String::new());
    loop {
        let (mut some, next) = page(app, &format!("{query}&count={count}&cursor={cursor}"));
        assert!(some.len() <= count);
        ids.append(&mut some);
        let Some(next) = next else { return ids };
        cursor = next;
    }
}

#[test]
fn the_status_is_the_one_that_verification_tells() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let [mira, rolf, tom] = ["mira@example.com", "rolf@example.com", "tom@example.com"].map(|name| hire(app, name));
        let deploy = idp.post("/Agents", and(agent("deploy"), json!({"owners": [{"value": rolf}]}))).expect(201).id();
        let service = json!({"owner": {"type": "agent", "id": deploy}});
        let service = admin.post("/v1/keys", service).expect(201).id();
        let active = issue(app, &mira, "P30D");
        let (revoked, expired, tampered) =
            (issue(app, &mira, "P30D"), issue(app, &mira, "P1D"), issue(app, &mira, "P30D"));
        let (held, gone) = (issue(app, &rolf, "P30D"), issue(app, &tom, "P30D"));
        admin.post(&format!("/v1/keys/{revoked}/revoke"), json!({})).expect(200);
        app.sql(&format!("UPDATE credentials SET expires_at = expires_at + 1 WHERE id = {}", app.bytes(&tampered)));
        idp.patch(&format!("/Users/{rolf}"), replace("active", false)).expect(200);
        idp.delete(&format!("/Users/{tom}")).expect(204);
        app.clock.advance(TimeDelta::days(2));
        let of = |id: &str| {
            let key = admin.get(&format!("/v1/keys/{id}")).expect(200);
            json!([key["status"], key["owner"]["name"]])
        };
        assert_eq!(of(&active), json!(["active", "mira@example.com"]));
        assert_eq!(of(&revoked), json!(["revoked", "mira@example.com"]));
        assert_eq!(of(&expired), json!(["expired", "mira@example.com"]));
        assert_eq!(of(&held), json!(["owner_inactive", "rolf@example.com"]));
        assert_eq!(of(&service), json!(["owner_inactive", "deploy"]));
        // Of who was deleted no name is kept, of who was edited nothing is believed.
        assert_eq!(of(&gone), json!(["revoked", null]));
        assert_eq!(of(&tampered), json!(["tampered", null]));
        // Init's two, which work.
        let (first, _) = page(app, "owner=operator");
        let (provisioning, _) = page(app, "class=p");
        for (status, ids) in [
            ("active", vec![&first[0], &provisioning[0], &active]),
            ("suspended", vec![]),
            ("owner_inactive", vec![&service, &held]),
            ("expired", vec![&expired]),
            ("revoked", vec![&revoked, &gone]),
            ("tampered", vec![&tampered]),
        ] {
            assert_eq!(all(app, &format!("status={status}"), 1).iter().collect::<Vec<_>>(), ids, "{status}");
        }
        assert_eq!(all(app, "class=s", 1), [service]);
        assert_eq!(all(app, "class=u&owner=MIRA@example.com&status=active", 2), *slice::from_ref(&active));
        assert_eq!(all(app, &format!("owner={mira}&status=active"), 2), [active]);
        assert_eq!(all(app, "owner=deploy&class=u", 2), Vec::<String>::new());
    });
}

#[test]
fn what_ends_soon_comes_first() {
    for_each_app(|app| {
        let [mira, rolf] = ["mira@example.com", "rolf@example.com"].map(|name| hire(app, name));
        let [late, soon, past, same] = ["P20D", "P5D", "PT1H", "P5D"].map(|length| issue(app, &mira, length));
        let other = issue(app, &rolf, "P6D");
        app.clock.advance(TimeDelta::hours(2));
        for count in 1..6 {
            assert_eq!(all(app, "expires_before=P14D", count), [&past, &soon, &same, &other].map(String::clone));
            assert_eq!(all(app, "expires_before=P14D&status=active", count), [&soon, &same, &other].map(String::clone));
            assert_eq!(all(app, "expires_before=P14D&status=expired", count), *slice::from_ref(&past));
            // Of one owner they come in the order in which they were issued.
            let own = all(app, "expires_before=P30D&owner=mira@example.com", count);
            assert_eq!(own, [&late, &soon, &past, &same].map(String::clone));
        }
        assert_eq!(all(app, "expires_before=P14D&class=p", 2), Vec::<String>::new());
        assert_eq!(all(app, "expires_before=2026-01-06", 2), *slice::from_ref(&past));
        assert_eq!(all(app, &format!("expires_before={}", encode("2026-01-10T09:00:00Z")), 2), *slice::from_ref(&past));
        let moment = encode("2026-01-10T10:00:00.001+01:00");
        assert_eq!(all(app, &format!("expires_before={moment}"), 2), [&past, &soon, &same].map(String::clone));
        // Two weeks from now are two weeks from the first page on, however long the pages take.
        let _ = issue(app, &mira, "P5DT30M");
        let (first, next) = page(app, "expires_before=P5D&count=1");
        assert_eq!(first, [past]);
        app.clock.advance(TimeDelta::minutes(59));
        let rest = page(app, &format!("expires_before=P5D&count=5&cursor={}", next.unwrap()));
        assert_eq!(rest, (vec![soon, same], None));
    });
}

#[test]
fn a_cursor_is_good_for_its_question() {
    for_each_app(|app| {
        let mira = hire(app, "mira@example.com");
        (0..3).for_each(|_| drop(issue(app, &mira, "P5D")));
        let (_, next) = page(app, "owner=mira@example.com&count=1");
        let next = next.unwrap();
        let ask = |query: &str| app.admin().get(&format!("/v1/keys?{query}"));
        ask(&format!("owner=mira@example.com&count=2&cursor={next}")).expect(200);
        for other in ["count=1", "owner=operator", "owner=mira@example.com&class=u", "expires_before=P14D"] {
            assert_eq!(
                ask(&format!("{other}&cursor={next}")).expect(400)["detail"],
                json!("cursor: it belongs to another query")
            );
        }
        app.clock.advance(TimeDelta::hours(2));
        assert_eq!(
            ask(&format!("owner=mira@example.com&cursor={next}")).expect(400)["detail"],
            json!("cursor: it is too old, begin again")
        );
        for (query, detail) in [
            ("class=x", "class: u, s or p"),
            ("class=", "class: u, s or p"),
            ("status=live", "status: one of active, retiring, suspended, owner_inactive, expired, revoked, tampered"),
            ("owner=nobody", "owner: nobody has this id or name"),
            (
                "expires_before=soon",
                "expires_before: a date, a time, or a duration from now, such as 2027-01-31 or P14D",
            ),
            ("expires_befor=P14D", "expires_befor: no parameter of this"),
            ("status=active&status=revoked", "status: is there twice"),
        ] {
            assert_eq!(ask(query).problem(400, "malformed"), detail, "{query}");
        }
    });
}

#[test]
fn a_list_reads_a_bounded_number_of_rows_for_each_answer() {
    for_each_app(|app| {
        let mira = hire(app, "mira@example.com");
        let first = issue(app, &mira, "P5D");
        let columns = "owner, class, connection, digest, name, permissions, created_at, created_by, expires_at, reasons, \
             revoked_at, revoke_reason, version, mac, tenant";
        let (id, selector, numbers) = match app.service.is_embedded() {
            true => (
                "randomblob(16)",
                "hex(randomblob(6))",
                "(WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12000) SELECT n FROM n)",
            ),
            false => ("decode(md5(n::text), 'hex')", "substr(md5(n::text), 1, 12)", "generate_series(1, 12000)"),
        };
        app.sql(&format!(
            "INSERT INTO credentials (id, selector, {columns}) SELECT {id}, {selector}, {columns} FROM credentials, \
             {numbers} AS numbers (n) WHERE id = {}",
            app.bytes(&first)
        ).replace("numbers (n)", if app.service.is_embedded() { "numbers" } else { "numbers (n)" }));
        // So many are the host's to issue.
        let owner = Owner::Named("mira@example.com".to_owned());
        let last = app
            .service
            .issue_key_on_host(&app.host(), owner, "", &GrantTexts::of(&[]), Some("P5D"))
            .unwrap()
            .record
            .id
            .to_string();
        for query in
            ["owner=mira@example.com&status=active", "expires_before=P14D&status=active", "class=u&status=active"]
        {
            let (some, next) = page(app, &format!("{query}&count=5"));
            assert!(some.ends_with(slice::from_ref(&first)), "{query}: {some:?}");
            let (rest, end) = page(app, &format!("{query}&count=5&cursor={}", next.unwrap()));
            assert_eq!((rest, end), (vec![last.clone()], None), "{query}");
        }
        assert_eq!(page(app, "status=tampered&count=1000").0.len(), 1_000);
    });
}

#[test]
fn a_free_reason_is_kept_beside_the_log_until_its_owner_goes() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let [mira, rolf] = ["mira@example.com", "rolf@example.com"].map(|name| hire(app, name));
        let (own, other) = (issue(app, &mira, "P5D"), issue(app, &rolf, "P5D"));
        let why = "Left on a train:\nMira said so on Monday, ä";
        let revoke = |id: &str, reason: &str| {
            admin.post(&format!("/v1/keys/{id}/revoke"), json!({"reason": reason})).expect(200)
        };
        let revoked = revoke(&own, why);
        assert_eq!((&revoked["revoke_reason"], &revoked["revoke_note"]), (&json!("requested"), &json!(why)));
        assert_eq!(revoke(&own, "Another reason").body, revoked.shown());
        revoke(&other, "Rolf's own");
        let of = |id: &str| admin.get(&format!("/v1/keys/{id}")).expect(200)["revoke_note"].clone();
        assert_eq!(of(&own), json!(why));
        assert_eq!(admin.get("/v1/keys?owner=mira@example.com").expect(200)["keys"][0]["revoke_note"], json!(why));
        let log = json!(app.log()).to_string();
        assert!(!log.contains("train") && !log.contains("Rolf"), "{log}");
        idp.delete(&format!("/Users/{mira}")).expect(204);
        assert_eq!((of(&own), of(&other)), (Value::Null, json!("Rolf's own")));
        // A key's text is not kept in plain, whatever it is written into.
        let leaked = app.issue_on_host(Owner::Operator, &[]);
        let id = app.id_of(&leaked);
        let refused = admin.post(&format!("/v1/keys/{id}/revoke"), json!({"reason": format!("found {leaked}")}));
        assert_eq!(refused.problem(422, "invalid"), "reason: a key's text stands in it: it is not kept");
        let named = json!({"owner": {"type": "user", "id": rolf}, "name": format!("{leaked}0")});
        assert_eq!(
            admin.post("/v1/keys", named).problem(422, "invalid"),
            "name: a key's text stands in it: it is not kept"
        );
        assert!(!refused.text.contains(&leaked[17..]));
    });
}

#[test]
fn a_text_names_a_key_only_whole() {
    for_each_app(|app| {
        let mira = hire(app, "mira@example.com");
        let key = app.issue(&mira);
        let named = |text: &str| app.service.key_with_text(&app.host(), text).map(|id| id.to_string());
        assert_eq!(named(&key).unwrap(), app.id_of(&key));
        // The right selector with another secret, and the key of another tenant.
        let (secret, other) = (&key[17..60], "0".repeat(43));
        let (_, stranger) = app.tenant("second");
        for text in [&checksummed(&key[..60].replace(secret, &other)), stranger.key()] {
            assert_eq!(named(text).unwrap_err().status(), 404);
        }
        for text in ["", "x", &key[..65], &format!("{key} "), &checksummed(&key[..59])] {
            assert_eq!(named(text).unwrap_err().status(), 400, "{text}");
        }
    });
}
