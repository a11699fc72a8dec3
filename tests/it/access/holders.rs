//! `GET /v1/roles/{name}/holders`, and what the removal of a mapping would take away.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;

const HOLDERS: &str = "/v1/roles/billing.viewer/holders";

/// Maps a role to a source; gives the id of the mapping.
fn map(app: &TestApp, role: &str, source: Value) -> String {
    app.admin().post("/v1/mappings", json!({"role": role, "source": source})).expect(201).id()
}

fn join(app: &TestApp, name: &str) -> String {
    app.idp().post("/Users", user(&format!("{name}@example.com"))).expect(201).id()
}

fn ids<'a>(answer: &'a Answer, list: &str) -> Vec<&'a str> {
    answer[list].as_array().unwrap().iter().map(|one| one["principal"]["id"].as_str().unwrap()).collect()
}

/// Mira and Tom hold `billing.viewer` by the role `clerk`, Tom by himself as well; Eve would, were she live.
fn clerks(app: &TestApp) -> [String; 2] {
    billing(app);
    let (idp, admin) = (app.idp(), app.admin());
    admin.post("/v1/roles", json!({"name": "clerk", "includes": ["billing.viewer"]})).expect(201);
    let (mira, tom, eve) = (join(app, "mira"), join(app, "tom"), join(app, "eve"));
    let inner = idp.post("/Groups", group("Berlin", &[&mira, &tom, &eve])).expect(201).id();
    idp.post("/Groups", group("Finance", &[&inner, &mira])).expect(201);
    map(app, "clerk", json!({"group": {"displayName": "FINANCE"}}));
    map(app, "billing.viewer", json!({"person": {"type": "user", "id": tom}, "reason": "on call"}));
    idp.patch(&format!("/Users/{eve}"), replace("active", false)).expect(200);
    [mira, tom]
}

#[test]
fn everybody_who_holds_a_role_is_listed_with_every_reason() {
    for_each_app(|app| {
        clerks(app);
        assert_snapshot!(app.admin().get(HOLDERS).expect(200), @r#"
            200
            {
              "role": "billing.viewer",
              "holders": [
                {
                  "principal": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000008"},
                  "reasons": [
                    {
                      "mapping": "019b8d62-7a80-7000-8000-00000000000d",
                      "source": "group",
                      "via": ["clerk"],
                      "path": [{"id":"019b8d62-7a80-7000-8000-00000000000c","displayName":"Finance"}],
                      "direct": true,
                      "since": "2026-01-05T09:00:00.000000Z",
                      "until": null
                    },
                    {
                      "mapping": "019b8d62-7a80-7000-8000-00000000000d",
                      "source": "group",
                      "via": ["clerk"],
                      "path": [
                        {"id":"019b8d62-7a80-7000-8000-00000000000c","displayName":"Finance"},
                        {"id":"019b8d62-7a80-7000-8000-00000000000b","displayName":"Berlin"}
                      ],
                      "direct": false,
                      "since": "2026-01-05T09:00:00.000000Z",
                      "until": null
                    }
                  ]
                },
                {
                  "principal": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000009"},
                  "reasons": [
                    {
                      "mapping": "019b8d62-7a80-7000-8000-00000000000d",
                      "source": "group",
                      "via": ["clerk"],
                      "path": [
                        {"id":"019b8d62-7a80-7000-8000-00000000000c","displayName":"Finance"},
                        {"id":"019b8d62-7a80-7000-8000-00000000000b","displayName":"Berlin"}
                      ],
                      "direct": false,
                      "since": "2026-01-05T09:00:00.000000Z",
                      "until": null
                    },
                    {
                      "mapping": "019b8d62-7a80-7000-8000-00000000000e",
                      "source": "person",
                      "since": "2026-01-05T09:00:00.000000Z",
                      "until": null
                    }
                  ]
                }
              ],
              "next": null,
              "as_of_seq": 18
            }
            "#);
    });
}

#[test]
fn pages_go_on_where_another_one_ended() {
    for_each_app(|app| {
        let ([mira, tom], admin) = (clerks(app), app.admin());
        let first = admin.get(&format!("{HOLDERS}?count=1")).expect(200);
        assert_eq!(ids(&first, "holders"), [mira.as_str()]);
        let next = first["next"].as_str().unwrap();
        let second = admin.get(&format!("{HOLDERS}?count=1&cursor={next}")).expect(200);
        assert_eq!((ids(&second, "holders"), &second["next"]), (vec![tom.as_str()], &Value::Null));
        assert_eq!(ids(&admin.get("/v1/roles/clerk/holders").expect(200), "holders"), [mira, tom]);
    });
}

#[test]
fn local_principals_and_agents_hold_roles_too() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = join(app, "mira");
        let owned = and(agent("deploy"), json!({"owners": [{"value": mira}]}));
        let deploy = idp.post("/Agents", owned).expect(201).id();
        let operator = admin.get("/v1/users/operator").expect(200).id();
        map(app, "keyroll.admin", json!({"person": {"type": "agent", "id": deploy}, "reason": "x"}));
        let pages = |count: usize| {
            let (mut found, mut cursor) = (vec![], String::new());
            loop {
                let path = format!("/v1/roles/keyroll.admin/holders?count={count}&cursor={cursor}");
                let page = admin.get(&path).expect(200);
                found.extend(ids(&page, "holders").into_iter().map(str::to_owned));
                match page["next"].as_str() {
                    Some(next) => next.clone_into(&mut cursor),
                    None => return found,
                }
            }
        };
        assert_eq!(pages(1), [operator.clone(), deploy.clone()]);
        assert_eq!(pages(9), [operator.clone(), deploy]);
        // Without its sponsor the agent is not live.
        idp.patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
        assert_eq!(pages(1), [operator]);
    });
}

#[test]
fn what_comes_and_goes_between_two_pages_hides_nobody_else() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        let people: Vec<String> = ["a", "b", "c", "d", "e"].iter().map(|name| join(app, name)).collect();
        let members: Vec<&str> = people.iter().map(String::as_str).collect();
        let one = idp.post("/Groups", group("One", &members[..4])).expect(201).id();
        idp.post("/Groups", group("Two", &members[2..])).expect(201);
        for name in ["One", "Two"] {
            map(app, "billing.viewer", json!({"group": {"displayName": name}}));
        }
        let first = admin.get(&format!("{HOLDERS}?count=2")).expect(200);
        assert_eq!(ids(&first, "holders"), &members[..2]);
        let path = format!("/Groups/{one}");
        for gone in [members[1], members[2]] {
            idp.patch(&path, remove(&format!("members[value eq \"{gone}\"]"))).expect(200);
        }
        idp.patch(&path, add("members", json!([{"value": join(app, "f")}]))).expect(200);
        let next = first["next"].as_str().unwrap();
        let rest = admin.get(&format!("{HOLDERS}?cursor={next}")).expect(200);
        assert_eq!(ids(&rest, "holders")[..3], members[2..]);
        assert_eq!(ids(&rest, "holders").len(), 4);
    });
}

#[test]
fn what_many_sources_give_is_merged() {
    for_each_app(|app| {
        billing(app);
        let admin = app.admin();
        let person = |n: usize| {
            let kind = if n.is_multiple_of(7) { "Contractor" } else { "Employee" };
            let data = and(user(&format!("u{n}@example.com")), json!({"userType": kind}));
            json!({"method": "POST", "path": "/Users", "bulkId": n.to_string(), "data": data})
        };
        let made = app.idp().post("/Bulk", bulk((0..120).map(person).collect())).expect(200);
        let location = |one: &Value| one["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let people: Vec<String> = made["Operations"].as_array().unwrap().iter().map(location).collect();
        let put = |name: &str, of: &dyn Fn(usize) -> bool| {
            let members: Vec<&str> = (0..120).filter(|n| of(*n)).map(|n| people[n].as_str()).collect();
            app.idp().post("/Groups", group(name, &members)).expect(201).id()
        };
        // More than is read at once of one of several groups.
        put("Even", &|n| n.is_multiple_of(2));
        let inner = put("Third", &|n| n.is_multiple_of(3));
        put("Late", &|n| n >= 100);
        app.idp().post("/Groups", group("AccessFacts", &[&inner])).expect(201);
        for name in ["Even", "AccessFacts", "Late"] {
            map(app, "billing.viewer", json!({"group": {"displayName": name}}));
        }
        map(app, "billing.viewer", json!({"rule": "userType eq \"contractor\""}));
        map(app, "billing.viewer", json!({"person": {"type": "user", "id": people[95]}, "reason": "x"}));
        let holds =
            |n: &usize| n.is_multiple_of(2) || n.is_multiple_of(3) || *n >= 100 || n.is_multiple_of(7) || *n == 95;
        let expected: Vec<&str> = (0..120).filter(holds).map(|n| people[n].as_str()).collect();
        for count in [1_000, 60, 17] {
            let (mut found, mut cursor) = (vec![], String::new());
            loop {
                let page = admin.get(&format!("{HOLDERS}?count={count}&cursor={cursor}")).expect(200);
                found.extend(ids(&page, "holders").into_iter().map(str::to_owned));
                match page["next"].as_str() {
                    Some(next) => next.clone_into(&mut cursor),
                    None => break,
                }
            }
            assert_eq!(found, expected, "pages of {count}");
        }
    });
}

#[test]
fn every_kind_of_rule_and_assertion_finds_its_users() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        let role = json!({"permissions": ["billing:invoices:read"], "assertable_by": ["default"]});
        admin.put("/v1/roles/billing.viewer", role).expect(200);
        let long = "x".repeat(600);
        let people: Vec<String> = [
            json!({"userType": "Contractor"}),
            json!({"name": {"familyName": "Smith"}, "title": "Chief"}),
            json!({"name": {"familyName": "SMITH"}}),
            json!({"roles": [{"value": "Viewer"}]}),
            json!({"entitlements": [{"value": long.clone() + "A"}]}),
            json!({"entitlements": [{"value": long.clone() + "B"}]}),
        ]
        .into_iter()
        .enumerate()
        .map(|(n, more)| idp.post("/Users", and(user(&format!("u{n}@example.com")), more)).expect(201).id())
        .collect();
        let of = |source: Value| {
            let id = map(app, "billing.viewer", source);
            let answer = admin.get(HOLDERS).expect(200);
            let found: Vec<usize> =
                ids(&answer, "holders").iter().map(|id| people.iter().position(|own| own == id).unwrap()).collect();
            let losses = admin.delete(&format!("/v1/mappings/{id}?dry_run=true")).expect(200);
            assert_eq!(ids(&losses, "losses"), ids(&answer, "holders"));
            admin.delete(&format!("/v1/mappings/{id}")).expect(204);
            found
        };
        let rule = |text: &str| of(json!({ "rule": text }));
        assert_eq!(rule("userType eq \"contractor\""), [0]);
        assert_eq!(rule("name.familyName eq \"smith\""), [1, 2]);
        assert_eq!(rule("name.familyName eq \"smith\" and title pr"), [1]);
        assert_eq!(rule("name.familyName eq \"smith\" or userName eq \"u5@example.com\""), [1, 2, 5]);
        assert_eq!(rule("userName sw \"u\" and not (userType pr)"), [1, 2, 3, 4, 5]);
        assert_eq!(rule("name.familyName eq \"none\""), Vec::<usize>::new());
        let asserted = |attribute: &str, value: &str| of(json!({"asserted": {"attribute": attribute, "value": value}}));
        assert_eq!(asserted("roles", "viewer"), [3]);
        assert_eq!(asserted("entitlements", "viewer"), Vec::<usize>::new());
        assert_eq!(asserted("entitlements", &(long.clone() + "b")), [5]);
    });
}

#[test]
fn a_page_looks_only_so_far() {
    for_each_app(|app| {
        billing(app);
        join(app, "mira");
        // Six thousand documents that no rule is about.
        app.sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) \
             INSERT INTO resources (tenant, id, type, connection, display, document, version, created, modified) \
             SELECT r.tenant, CAST(substr('0123456789abcdef' || CAST(1000000 + i AS TEXT), 8) AS ID), 'User', \
             r.connection, NULL, '{\"userType\":\"Employee\"}', 1, 0, 0 FROM n CROSS JOIN resources r"
                .replace(" AS ID)", if app.service.is_embedded() { " AS BLOB)" } else { " AS BYTEA)" })
                .as_str(),
        );
        let tom = app.idp().post("/Users", and(user("tom@example.com"), json!({"userType": "Boss"}))).expect(201).id();
        map(app, "billing.viewer", json!({"rule": "userType eq \"boss\""}));
        let first = app.admin().get(HOLDERS).expect(200);
        assert_eq!(first["holders"], json!([]));
        let next = first["next"].as_str().unwrap();
        let second = app.admin().get(&format!("{HOLDERS}?cursor={next}")).expect(200);
        assert_eq!((ids(&second, "holders"), &second["next"]), (vec![tom.as_str()], &Value::Null));
    });
}

#[test]
fn a_removal_is_tried_before_it_is_done() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        let (mira, tom) = (join(app, "mira"), join(app, "tom"));
        idp.post("/Groups", group("Finance", &[&mira, &tom])).expect(201);
        admin.post("/v1/roles", json!({"name": "clerk", "includes": ["billing.viewer"]})).expect(201);
        let by_group = map(app, "clerk", json!({"group": {"displayName": "Finance"}}));
        map(app, "billing.viewer", json!({"person": {"type": "user", "id": tom}, "reason": "x"}));
        let actions = app.actions();
        let path = format!("/v1/mappings/{by_group}");
        assert_snapshot!(admin.delete(&format!("{path}?dry_run=true")).expect(200), @r#"
            200
            {
              "dry_run": true,
              "mapping": "019b8d62-7a80-7000-8000-00000000000b",
              "losses": [
                {
                  "principal": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000008"},
                  "roles": ["billing.viewer","clerk"],
                  "permissions": ["billing:invoices:read"]
                },
                {
                  "principal": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000009"},
                  "roles": ["clerk"],
                  "permissions": []
                }
              ],
              "next": null,
              "as_of_seq": 14
            }
            "#);
        let first = admin.delete(&format!("{path}?dry_run=true&count=1")).expect(200);
        assert_eq!(ids(&first, "losses"), [mira.as_str()]);
        let next = first["next"].as_str().unwrap();
        let second = admin.delete(&format!("{path}?dry_run=true&count=1&cursor={next}")).expect(200);
        assert_eq!((ids(&second, "losses"), &second["next"]), (vec![tom.as_str()], &Value::Null));
        let next_page = format!("count=1&cursor={next}");
        for wrong in
            ["dry_run=yes", "dry_run=", "dryRun=true", "dry_run=false&dry_run=true", "dry_run=TRUE", &*next_page]
        {
            admin.delete(&format!("{path}?{wrong}")).problem(400, "malformed");
        }
        admin.get(&path).expect(200);
        assert_eq!(app.actions(), actions);
        admin.delete(&format!("{path}?dry_run=false")).expect(204);
        assert_eq!(app.actions()[actions.len()..], ["mapping.deleted"]);
        admin.delete(&format!("{path}?dry_run=true")).problem(404, "not_found");
    });
}

#[test]
fn the_way_back_is_not_even_tried() {
    let app = TestApp::sqlite();
    let access = app.admin().get("/v1/users/operator/access").expect(200);
    let mapping = access["roles"][0]["reasons"][0]["mapping"].as_str().unwrap().to_owned();
    app.admin().delete(&format!("/v1/mappings/{mapping}?dry_run=true")).problem(409, "in_use");
}

#[test]
fn a_cursor_serves_its_own_question_and_nobody_else() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        let people = [join(app, "mira"), join(app, "tom")];
        idp.post("/Groups", group("Finance", &[&people[0], &people[1]])).expect(201);
        admin.post("/v1/roles", json!({"name": "clerk", "includes": ["billing.viewer"]})).expect(201);
        let mapping = map(app, "clerk", json!({"group": {"displayName": "Finance"}}));
        let first = admin.get(&format!("{HOLDERS}?count=1")).expect(200);
        let cursor = first["next"].as_str().unwrap().to_owned();
        let (_, other) = app.tenant("second");
        let role = json!({"name": "billing.viewer", "permissions": []});
        other.post("/v1/roles", role).expect(201);
        for (actor, path) in [
            (&admin, format!("/v1/roles/clerk/holders?cursor={cursor}")),
            (&other, format!("{HOLDERS}?cursor={cursor}")),
            (&admin, format!("{HOLDERS}?cursor={}", &cursor[..cursor.len() - 4])),
            (&admin, format!("{HOLDERS}?cursor=!")),
            (&admin, format!("{HOLDERS}?count=x")),
        ] {
            actor.get(&path).problem(400, "malformed");
        }
        admin.delete(&format!("/v1/mappings/{mapping}?dry_run=true&cursor={cursor}")).problem(400, "malformed");
        app.clock.advance(chrono::TimeDelta::hours(1) + chrono::TimeDelta::seconds(1));
        let late = admin.get(&format!("{HOLDERS}?cursor={cursor}"));
        assert_eq!(late.problem(400, "malformed"), "cursor: it is too old, begin again");
        admin.get("/v1/roles/none/holders").problem(404, "not_found");
        assert_eq!(other.get(HOLDERS).expect(200)["holders"], json!([]));
        // The identity provider's key and one without the permission learn nothing.
        idp.get(HOLDERS).problem(403, "forbidden");
        app.anonymous().get(HOLDERS).problem(401, "unauthenticated");
    });
}
