//! What `keyroll apply` asks of the service: everything or nothing, in order, with the entry in each refusal.

use keyroll::service::apply::Options;
use serde_json::{Value, json};

use crate::support::app::*;

fn apply(app: &TestApp, file: Value) -> Result<Value, String> {
    apply_with(app, file, Options::default())
}

fn apply_with(app: &TestApp, file: Value, options: Options) -> Result<Value, String> {
    let (before, mut context) = (app.actions(), app.host());
    // As the command's own records say it: what other commands made stands by itself.
    context.request.route = "apply".into();
    // A dry run says the same and changes nothing.
    let told = |options: Options| {
        let told = app.service.apply(&context, &file, options);
        told.map(|told| json!(told)).map_err(|error| error.to_string())
    };
    let dry = told(Options { dry_run: true, ..options });
    assert_eq!(app.actions(), before);
    let done = told(options);
    match (&dry, &done) {
        (Ok(dry), Ok(done)) => {
            for name in ["changes", "unchanged", "left"] {
                assert_eq!(dry[name], done[name]);
            }
        }
        (dry, done) => assert_eq!(dry, done),
    }
    if done.is_err() {
        assert_eq!(app.actions(), before, "{file}");
    }
    done
}

/// The changes in short: `create role a`.
fn told(answer: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let changes = answer["changes"].as_array().unwrap().iter();
    changes.map(|one| [&one["change"], &one["kind"], &one["name"]].map(text).join(" ")).collect()
}

#[test]
fn included_roles_come_first_and_the_whole_is_what_counts() {
    for_each_app(|app| {
        let role = |name: &str, includes: &[&str]| json!({"name": name, "includes": includes});
        let file = json!({"roles": [role("c", &["b", "a"]), role("b", &["a"]), role("a", &[])]});
        assert_eq!(told(&apply(app, file.clone()).unwrap()), ["create role a", "create role b", "create role c"]);
        assert_eq!(apply(app, file).unwrap(), json!({"dry_run": false, "changes": [], "unchanged": 3, "left": []}));
        // Turned round: at no moment of the change is there a circle.
        let file = json!({"roles": [role("a", &["b"]), role("b", &["c"]), role("c", &[])]});
        assert_eq!(told(&apply(app, file).unwrap()), ["replace role c", "replace role b", "replace role a"]);
        // A role that the file does not name takes part.
        let circle = json!({"roles": [role("c", &["a"])]});
        assert_eq!(apply(app, circle).unwrap_err(), "roles[0].includes[0]: a includes c already");
        let source = json!({"group": {"displayName": "x"}});
        let mapping = json!({"role": "a", "source": source});
        assert_eq!(told(&apply(app, json!({"mappings": [mapping]})).unwrap()), ["create mapping -"]);
        let made = app.log().last().unwrap().clone();
        assert_eq!((&made["action"], &made["change"]["role"]), (&json!("mapping.created"), &json!("a")));
        assert_eq!(made["request"]["route"], json!("apply"));
    });
}

#[test]
fn what_the_file_does_not_name_is_left_alone() {
    let app = TestApp::sqlite();
    let (idp, admin) = (app.idp(), app.admin());
    admin.post("/v1/roles", json!({"name": "kept"})).expect(201);
    let kept = json!({"role": "kept", "source": {"group": {"displayName": "x"}}});
    let kept = admin.post("/v1/mappings", kept).expect(201).id();
    idp.post("/Users", user("mira@example.com")).expect(201);
    apply(&app, json!({"roles": [{"name": "new"}]})).unwrap();
    admin.get(&format!("/v1/mappings/{kept}")).expect(200);
    admin.get("/v1/roles/kept").expect(200);
    let left = json!([
        {"kind": "role", "name": "kept", "stays": null},
        {"kind": "role", "name": "new", "stays": null},
        {"kind": "mapping", "id": kept, "role": "kept", "source": {"group": {"displayName": "x"}}, "stays": null},
    ]);
    let told = json!({"dry_run": false, "changes": [], "unchanged": 0, "left": left});
    assert_eq!(apply(&app, json!({})).unwrap(), told);
}

#[test]
fn refusals_name_the_entry() {
    for_each_app(|app| {
        super::catalogue::billing(app);
        app.admin().post("/v1/roles", json!({"name": "other", "permissions": ["billing:invoices:read"]})).expect(201);
        let invoices = json!([{"name": "invoices:read"}, {"name": "invoices:read"}]);
        let group = |role: &str| json!({"role": role, "source": {"group": {"displayName": "x"}}});
        let operator = |role: &str, end: Value| json!({"role": role, "source": {"person": {"type": "user", "id": "operator"}, "reason": "x", "expires_at": end}});
        let end = json!("2027-01-01T00:00:00Z");
        let cases = [
            (json!([]), "expected an object"),
            (json!({"users": []}), "users: no such member"),
            (json!({"roles": {}}), "roles: expected an array of at most 100000"),
            (json!({"roles": [1]}), "roles[0]: expected an object"),
            (json!({"apis": [{"name": "a"}, {"name": "a"}]}), "apis[1].name: a is in the file twice"),
            (
                json!({"apis": [{"name": "a", "permissions": invoices}]}),
                "apis[0].permissions[1].name: invoices:read is a duplicate",
            ),
            (json!({"apis": [{"name": "keyroll"}]}), "apis[0]: api keyroll is built in and cannot be changed"),
            // `billing.viewer` is in the file and says so itself; `other` is not.
            (
                json!({"apis": [{"name": "billing"}], "roles": [{"name": "billing.viewer"}]}),
                "apis[0]: role other uses a permission of api billing that would go",
            ),
            (
                json!({"apis": [{"name": "a"}], "roles": [{"name": "r"}, {"name": "s", "permissions": ["a:b:c"]}]}),
                "roles[1].permissions[0]: a:b:c: api a has no such permission",
            ),
            (
                json!({"roles": [{"name": "r", "permissions": ["*:*:*"]}]}),
                "roles[0].permissions[0]: *:*:*: name the api; * would seem to include keyroll and never does",
            ),
            (json!({"roles": [{"name": "keyroll.x"}]}), "roles[0].name: names of built-in roles begin with keyroll."),
            (
                json!({"roles": [{"name": "a", "includes": ["b"]}, {"name": "b", "includes": ["a"]}]}),
                "roles[0].includes[0]: b includes a already",
            ),
            (
                json!({"roles": [{"name": "a", "assertable_by": ["none"]}]}),
                "roles[0].assertable_by[0]: there is no connection none",
            ),
            (json!({"mappings": [group("none")]}), "mappings[0].role: there is no role none"),
            (json!({"mappings": [group("other"), group("other")]}), "mappings[1]: the same as mappings[0]"),
            (
                json!({"mappings": [{"role": "other", "source": {"rule": "title eq"}}]}),
                "mappings[0].source.rule: filter: expected a value at column 9",
            ),
            (
                json!({"mappings": [{"role": "other", "source": {"person": {"type": "user", "id": "ghost"}, "reason": "x"}}]}),
                "mappings[0].source.person.id: nobody has the id or userName ghost",
            ),
            (
                json!({"mappings": [operator("other", Value::Null), operator("keyroll.admin", end)]}),
                "mappings[1]: the operator stays an admin: it is the way back in",
            ),
        ];
        let (files, expected): (Vec<Value>, Vec<&str>) = cases.into_iter().unzip();
        let found: Vec<String> = files.into_iter().map(|file| apply(app, file).expect_err("a refusal")).collect();
        assert_eq!(found, expected);
        // Why it is one may be said anew.
        let reason = json!({"mappings": [operator("keyroll.admin", Value::Null)]});
        assert_eq!(told(&apply(app, reason).unwrap()), ["replace mapping -"]);
    });
}

#[test]
fn a_key_cannot_apply() {
    let app = TestApp::sqlite();
    // Nothing on the wire does; whoever calls the service with a key is refused, too.
    let keys = keyroll::domain::Operation::Apply;
    assert_eq!((keys.keys(), keys.routes().len()), (keyroll::domain::operation::Keys::Host, 0));
    app.admin().post("/v1/apply", json!({})).problem(404, "not_found");
}

#[test]
fn too_many_ways_to_a_role_are_refused() {
    let app = TestApp::sqlite();
    let names = |level: &str| (0..40).map(|n| format!("{level}{n}")).collect::<Vec<_>>();
    let mut roles: Vec<Value> = names("c").iter().map(|name| json!({"name": name})).collect();
    roles.extend(names("b").iter().map(|name| json!({"name": name, "includes": names("c")})));
    assert_eq!(apply(&app, json!({"roles": roles})).unwrap()["changes"].as_array().unwrap().len(), 80);
    let top = json!({"name": "a", "includes": names("b")});
    let refused = apply(&app, json!({"roles": [top.clone()]})).unwrap_err();
    assert_eq!(refused, "roles[0].includes: more than 1000 ways from a role to those inside it");
    assert_eq!(app.admin().post("/v1/roles", top).problem(422, "invalid"), refused.replacen("roles[0].", "", 1));
}

/// Everybody's roles and permissions, by the report on each.
fn held(app: &TestApp, ids: &[String]) -> Vec<(Vec<String>, Vec<String>)> {
    let texts = |list: &Value, of: fn(&Value) -> &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| of(one).as_str().unwrap().to_owned()).collect()
    };
    let access = |id: &String| app.admin().get(&format!("/v1/users/{id}/access")).expect(200);
    ids.iter()
        .map(access)
        .map(|one| (texts(&one["roles"], |role| &role["role"]), texts(&one["permissions"], |p| p)))
        .collect()
}

#[test]
fn a_dry_run_tells_who_gains_and_loses_what() {
    for_each_app(|app| {
        let idp = app.idp();
        let join = |n: usize| idp.post("/Users", and(user(&format!("u{n}")), json!({"title": format!("t{}", n % 3)})));
        let ids: Vec<String> = (0..7).map(|n| join(n).expect(201).id()).collect();
        let inner = idp.post("/Groups", group("Inner", &[&ids[1], &ids[2]])).expect(201).id();
        idp.post("/Groups", group("Outer", &[&inner, &ids[0]])).expect(201);
        idp.patch(&format!("/Users/{}", ids[2]), replace("active", false)).expect(200);
        let file = |permission: &str, group: &str, rule: &str, includes: &[&str]| {
            json!({
                "apis": [{"name": "shop", "open": true}],
                "roles": [
                    {"name": "seller", "permissions": [permission]},
                    {"name": "boss", "permissions": ["shop:*:*"], "includes": includes},
                ],
                "mappings": [
                    {"role": "seller", "source": {"group": {"displayName": group}}},
                    {"role": "boss", "source": {"rule": rule}},
                    {"role": "seller", "source": {"person": {"type": "user", "id": ids[5]}, "reason": "r"}},
                ],
            })
        };
        let files = [
            file("shop:a:read", "Inner", "title eq \"t0\"", &[]),
            file("shop:b:read", "Outer", "title eq \"t0\"", &["seller"]),
            file("shop:b:read", "Inner", "title eq \"t1\"", &[]),
            json!({}),
        ];
        for (n, file) in files.iter().enumerate() {
            let options = Options { prune: n % 2 == 1 || n == 3, force: true, dry_run: false };
            let before = held(app, &ids);
            let context = app.host();
            let dry = json!(app.service.apply(&context, file, Options { dry_run: true, ..options }).unwrap());
            app.service.apply(&context, file, options).unwrap();
            let after = held(app, &ids);
            let mut expected = vec![];
            for (n, id) in ids.iter().enumerate() {
                let less =
                    |a: &[String], b: &[String]| a.iter().filter(|one| !b.contains(one)).cloned().collect::<Vec<_>>();
                // What a pattern that is held covers is neither gained nor lost.
                let side = |(had, gave): &(Vec<String>, Vec<String>), (has, gives): &(Vec<String>, Vec<String>)| {
                    let covered = gives.iter().any(|one| one == "shop:*:*");
                    let permissions = if covered { vec![] } else { less(gave, gives) };
                    (less(had, has), permissions)
                };
                let (loss, gain) = (side(&before[n], &after[n]), side(&after[n], &before[n]));
                if loss != (vec![], vec![]) || gain != (vec![], vec![]) {
                    expected.push(json!({
                        "principal": {"type": "user", "id": id, "name": format!("u{n}")},
                        "gains": {"roles": gain.0, "permissions": gain.1},
                        "losses": {"roles": loss.0, "permissions": loss.1},
                    }));
                }
            }
            assert_eq!(dry["effects"], json!(expected), "file {n}");
            assert!(!expected.is_empty(), "file {n} says nothing");
        }
        assert_eq!(app.admin().get("/v1/apis").expect(200)["apis"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn what_the_file_does_not_name_stays_unless_it_is_pruned() {
    for_each_app(|app| {
        let admin = app.admin();
        let api = |name: &str| json!({"name": name, "open": true});
        let role = |name: &str, permission: &str, includes: &[&str]| json!({"name": name, "permissions": [permission], "includes": includes});
        apply(app, json!({
            "apis": [api("a"), api("b"), api("c")],
            "roles": [role("one", "a:x:y", &[]), role("two", "b:x:y", &["three"]), role("three", "c:x:y", &[])],
            "mappings": [{"role": "one", "source": {"rule": "title pr"}}, {"role": "two", "source": {"rule": "title pr"}}],
        })).unwrap();
        let by_hand = json!({"role": "two", "source": {"group": {"displayName": "G"}}});
        let by_hand = keyroll::service::request::read_value(&by_hand).unwrap();
        app.service.create_mapping(&app.host(), &by_hand).unwrap();
        admin.post("/v1/mappings", json!({"role": "three", "source": {"rule": "title eq \"x\""}})).expect(201);
        let file = json!({"apis": [api("a")], "roles": [role("one", "a:x:y", &[])]});
        let short = |list: &Value| -> Vec<String> {
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let one = |item: &Value| {
                let name = if item["kind"] == "mapping" { &item["role"] } else { &item["name"] };
                format!(
                    "{} {} {}",
                    text(&item["kind"]),
                    text(name),
                    if item["stays"].is_null() { "-" } else { "stays" }
                )
            };
            list.as_array().unwrap().iter().map(one).collect()
        };
        let left = apply(app, file.clone()).unwrap();
        assert_eq!(left["changes"], json!([]));
        let expected = [
            "api b stays",
            "api c stays",
            "role three stays",
            "role two stays",
            "mapping one -",
            "mapping two -",
            "mapping two stays",
            "mapping three -",
        ];
        assert_eq!(short(&left["left"]), expected);
        // Made on the host by hand, a mapping stays, and what it needs.
        let pruned = apply_with(app, file.clone(), Options { prune: true, ..Options::default() }).unwrap();
        assert_eq!(told(&pruned), ["delete mapping -", "delete mapping -", "delete mapping -"]);
        assert_eq!(
            short(&pruned["left"]),
            ["api b stays", "api c stays", "role three stays", "role two stays", "mapping two stays"]
        );
        let forced = Options { prune: true, force: true, dry_run: false };
        let pruned = apply_with(app, file.clone(), forced).unwrap();
        let gone = ["delete mapping -", "delete role three", "delete role two", "delete api b", "delete api c"];
        assert_eq!((told(&pruned), short(&pruned["left"])), (gone.map(str::to_owned).to_vec(), vec![]));
        let actions = app.actions();
        assert_eq!(
            actions[actions.len() - 5..],
            ["mapping.deleted", "role.deleted", "role.deleted", "api.deleted", "api.deleted"]
        );
        // Keyroll's own stay, and the operator an admin.
        let pruned = apply_with(app, json!({}), forced).unwrap();
        assert_eq!(told(&pruned), ["delete role one", "delete api a"]);
        assert_eq!(admin.get("/v1/mappings").expect(200)["mappings"].as_array().unwrap().len(), 1);
        assert_eq!(told(&apply_with(app, json!({}), forced).unwrap()), Vec::<String>::new());
        app.check_log();
    });
}

#[test]
fn a_file_that_includes_or_maps_a_role_needs_it() {
    let app = TestApp::sqlite();
    let role = |name: &str, includes: &[&str]| json!({"name": name, "permissions": ["a:x:y"], "includes": includes});
    let all = json!({"apis": [{"name": "a", "open": true}], "roles": [role("in", &[]), role("out", &["in"]), role("mapped", &[]), role("old", &[])]});
    apply(&app, all).unwrap();
    let prune = Options { prune: true, force: true, dry_run: false };
    let part =
        json!({"roles": [role("out", &["in"])], "mappings": [{"role": "mapped", "source": {"rule": "title pr"}}]});
    let done = apply_with(&app, part, prune).unwrap();
    assert_eq!(told(&done), ["create mapping -", "delete role old"]);
    let why: Vec<&Value> = done["left"].as_array().unwrap().iter().map(|one| &one["stays"]).collect();
    assert_eq!(why, ["role in uses it", "role out includes it", "a mapping of the file gives it"]);
    // A role that no longer includes another lets it go.
    let done = apply_with(&app, json!({"roles": [role("out", &[])]}), prune).unwrap();
    assert_eq!(told(&done), ["replace role out", "delete mapping -", "delete role in", "delete role mapped"]);
}
