//! Who may ask for what: every route of every operation, asked by every kind of key, as one table.
//!
//! `golden/authz_matrix.txt` is the table; `KEYROLL_TEST_UPDATE_GOLDEN=1` writes it anew. A route without a
//! line in [`ASKS`] fails the test: add one with a path and a body that whoever may ask gets a 2xx for. What
//! stands in braces is made by [`MAKERS`], anew once a request has had its way.

use std::cell::Cell;
use std::path::Path;

use keyroll::domain::Id;
use keyroll::domain::Operation;
use keyroll::domain::operation::Keys;
use keyroll::domain::principal::PrincipalKind;
use keyroll::domain::role::{BUILT_IN_PREFIX, built_in};
use keyroll::service::keys::Owner;
use serde_json::{Value, json};

use crate::support::app::*;

const GOLDEN: &str = "tests/it/golden/authz_matrix.txt";

const NEW_USER: &str = r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"{new}"}"#;
const RENAME: &str = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations":[{"op":"replace","path":"title","value":"x"}]}"#;
const SEARCH: &str = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"count":1}"#;
const JOB: &str = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
    "Operations":[{"method":"POST","path":"/Users","bulkId":"1","data":
    {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"{new}"}}]}"#;
const GROUP_MAPPING: &str = r#"{"role":"{role}","source":{"group":{"displayName":"{new}"}}}"#;

const EXPLAIN: &str = r#"{"principal":{"type":"user","id":"{auditor}"},"permission":"keyroll:users:read"}"#;
const EVALUATE: &str = r#"{"subject":{"type":"user","id":"{auditor}"},"action":{"name":"read"},
    "resource":{"type":"keyroll:users","id":"1"}}"#;
const SUBJECTS: &str = r#"{"subject":{"type":"user"},"action":{"name":"read"},
    "resource":{"type":"keyroll:users","id":"1"},"page":{"limit":1}}"#;
const EVALUATE_MANY: &str = r#"{"subject":{"type":"user","id":"{auditor}"},"action":{"name":"read"},
    "resource":{"type":"keyroll:users","id":"1"},"evaluations":[{}]}"#;

/// What is asked on each route: the route, the path, the body.
const ASKS: &[(&str, &str, &str)] = &[
    ("POST /scim/v2/{endpoint}", "/scim/v2/Users", NEW_USER),
    ("GET /scim/v2/{endpoint}/{id}", "/scim/v2/Users/{user}", ""),
    ("PUT /scim/v2/{endpoint}/{id}", "/scim/v2/Users/{user}", NEW_USER),
    ("PATCH /scim/v2/{endpoint}/{id}", "/scim/v2/Users/{user}", RENAME),
    ("DELETE /scim/v2/{endpoint}/{id}", "/scim/v2/Users/{user}", ""),
    ("GET /scim/v2/{endpoint}", "/scim/v2/Users?count=1", ""),
    ("POST /scim/v2/{endpoint}/.search", "/scim/v2/Users/.search", SEARCH),
    ("GET /scim/v2", "/scim/v2?count=1", ""),
    ("GET /scim/v2/", "/scim/v2/?count=1", ""),
    ("POST /scim/v2/.search", "/scim/v2/.search", SEARCH),
    ("GET /scim/v2/Me", "/scim/v2/Me", ""),
    ("GET /scim/v2/Roles", "/scim/v2/Roles", ""),
    ("GET /scim/v2/Roles/{id}", "/scim/v2/Roles/{role}", ""),
    ("POST /scim/v2/Roles/.search", "/scim/v2/Roles/.search", SEARCH),
    ("GET /scim/v2/Entitlements", "/scim/v2/Entitlements", ""),
    ("GET /scim/v2/Entitlements/{id}", "/scim/v2/Entitlements/keyroll:users:read", ""),
    ("POST /scim/v2/Entitlements/.search", "/scim/v2/Entitlements/.search", SEARCH),
    ("POST /scim/v2/Me", "/scim/v2/Me", NEW_USER),
    ("PUT /scim/v2/Me", "/scim/v2/Me", NEW_USER),
    ("PATCH /scim/v2/Me", "/scim/v2/Me", RENAME),
    ("DELETE /scim/v2/Me", "/scim/v2/Me", ""),
    ("POST /scim/v2/Bulk", "/scim/v2/Bulk", JOB),
    ("GET /scim/v2/ServiceProviderConfig", "/scim/v2/ServiceProviderConfig", ""),
    ("GET /scim/v2/ServiceProviderConfigs", "/scim/v2/ServiceProviderConfigs", ""),
    ("GET /scim/v2/Schemas", "/scim/v2/Schemas", ""),
    ("GET /scim/v2/Schemas/{id}", "/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", ""),
    ("GET /scim/v2/ResourceTypes", "/scim/v2/ResourceTypes", ""),
    ("GET /scim/v2/ResourceTypes/{id}", "/scim/v2/ResourceTypes/User", ""),
    ("POST /v1/keys", "/v1/keys", r#"{"owner":{"type":"user","id":"{user}"}}"#),
    ("GET /v1/keys", "/v1/keys?count=1", ""),
    ("GET /v1/keys/{id}", "/v1/keys/{key}", ""),
    ("POST /v1/keys/{id}/hold", "/v1/keys/{key}/hold", ""),
    ("POST /v1/keys/{id}/release", "/v1/keys/{key}/release", ""),
    ("PATCH /v1/keys/{id}", "/v1/keys/{key}", r#"{"name":"x"}"#),
    ("POST /v1/keys/{id}/narrow", "/v1/keys/{reader}/narrow", r#"{"grant":[{"permissions":["keyroll:keys:read"]}]}"#),
    ("POST /v1/keys/{id}/extend", "/v1/keys/{key}/extend", r#"{"expires_in":"P100D"}"#),
    ("POST /v1/keys/{id}/rotate", "/v1/keys/{key}/rotate", r#"{"reason":"compromised"}"#),
    ("GET /v1/keys/{id}/effective", "/v1/keys/{key}/effective", ""),
    ("POST /v1/keys:identify", "/v1/keys:identify", r#"{"key":"{secret}"}"#),
    ("POST /v1/exposed-credentials", "/v1/exposed-credentials", r#"{"credentials":["{secret}"]}"#),
    ("POST /v1/keys/{id}/revoke", "/v1/keys/{key}/revoke", ""),
    ("POST /v1/principals/{id}/revoke-all", "/v1/principals/{user}/revoke-all", ""),
    ("POST /v1/verify", "/v1/verify", r#"{"key":"{secret}"}"#),
    ("GET /v1/whoami", "/v1/whoami", ""),
    ("GET /v1/users", "/v1/users?count=1", ""),
    ("GET /v1/users/{id}", "/v1/users/{user}", ""),
    ("POST /v1/users/{id}/suspend", "/v1/users/{user}/suspend", ""),
    ("POST /v1/users/{id}/activate", "/v1/users/{user}/activate", ""),
    ("DELETE /v1/users/{id}", "/v1/users/{user}", ""),
    ("GET /v1/agents", "/v1/agents?count=1", ""),
    ("GET /v1/agents/{id}", "/v1/agents/{agent}", ""),
    ("POST /v1/agents", "/v1/agents", r#"{"name":"{new}"}"#),
    ("PUT /v1/agents/{id}", "/v1/agents/{own_agent}", r#"{"description":"x"}"#),
    ("POST /v1/agents/{id}/suspend", "/v1/agents/{agent}/suspend", ""),
    ("POST /v1/agents/{id}/activate", "/v1/agents/{agent}/activate", ""),
    ("DELETE /v1/agents/{id}", "/v1/agents/{agent}", ""),
    ("GET /v1/apis", "/v1/apis", ""),
    ("GET /v1/apis/{id}", "/v1/apis/{api}", ""),
    ("POST /v1/apis", "/v1/apis", r#"{"name":"{new}"}"#),
    ("PUT /v1/apis/{id}", "/v1/apis/{api}", r#"{"description":"x"}"#),
    ("DELETE /v1/apis/{id}", "/v1/apis/{api}", ""),
    ("GET /v1/roles", "/v1/roles", ""),
    ("GET /v1/roles/{id}", "/v1/roles/{role}", ""),
    ("POST /v1/roles", "/v1/roles", r#"{"name":"{new}"}"#),
    ("PUT /v1/roles/{id}", "/v1/roles/{role}", r#"{"description":"x"}"#),
    ("DELETE /v1/roles/{id}", "/v1/roles/{role}", ""),
    ("GET /v1/roles/{id}/holders", "/v1/roles/{role}/holders", ""),
    ("GET /v1/mappings", "/v1/mappings", ""),
    ("GET /v1/mappings/{id}", "/v1/mappings/{mapping}", ""),
    ("POST /v1/mappings", "/v1/mappings", GROUP_MAPPING),
    ("PUT /v1/mappings/{id}", "/v1/mappings/{mapping}", GROUP_MAPPING),
    ("DELETE /v1/mappings/{id}", "/v1/mappings/{mapping}", ""),
    ("GET /v1/users/{id}/access", "/v1/users/{user}/access", ""),
    ("GET /v1/agents/{id}/access", "/v1/agents/{agent}/access", ""),
    ("POST /v1/access/explain", "/v1/access/explain", EXPLAIN),
    ("POST /access/v1/evaluation", "/access/v1/evaluation", EVALUATE),
    ("POST /access/v1/evaluations", "/access/v1/evaluations", EVALUATE_MANY),
    ("POST /access/v1/search/subject", "/access/v1/search/subject", SUBJECTS),
    ("POST /access/v1/search/resource", "/access/v1/search/resource", EVALUATE),
    ("POST /access/v1/search/action", "/access/v1/search/action", EVALUATE),
    ("GET /.well-known/authzen-configuration", "/.well-known/authzen-configuration", ""),
    ("GET /v1/changes", "/v1/changes", ""),
    ("GET /.well-known/jwks.json", "/.well-known/jwks.json", ""),
    ("GET /v1/openapi.json", "/v1/openapi.json", ""),
    ("GET /healthz", "/healthz", ""),
    ("GET /readyz", "/readyz", ""),
];

/// Makes something of the first tenant, and names it.
type Maker = fn(&Scene<'_>) -> String;

const MAKERS: &[(&str, Maker)] = &[
    ("{user}", |scene| scene.app.idp().post("/Users", user(&scene.fresh())).expect(201).id()),
    ("{auditor}", |scene| {
        let id = scene.fill("{user}");
        scene.give(&id, "keyroll.auditor");
        id
    }),
    ("{agent}", |scene| scene.app.idp().post("/Agents", agent(&scene.fresh())).expect(201).id()),
    ("{own_agent}", |scene| scene.made("/v1/agents", json!({"name": scene.fresh()}), "id")),
    ("{reader}", |scene| {
        let owner = json!({"type": "user", "id": scene.fill("{auditor}")});
        let grant = json!([{"permissions": ["keyroll:keys:read", "keyroll:roles:read"]}]);
        scene.made("/v1/keys", json!({"owner": owner, "grant": grant}), "id")
    }),
    ("{key}", |scene| scene.app.id_of(&scene.fill("{secret}"))),
    ("{secret}", |scene| scene.app.issue(&scene.fill("{user}"))),
    ("{api}", |scene| scene.made("/v1/apis", json!({"name": scene.fresh()}), "name")),
    ("{role}", |scene| scene.made("/v1/roles", json!({"name": scene.fresh()}), "name")),
    ("{mapping}", |scene| {
        let body: Value = serde_json::from_str(&scene.fill(GROUP_MAPPING)).unwrap();
        scene.made("/v1/mappings", body, "id")
    }),
    ("{new}", |scene| scene.fresh()),
];

/// The server, and what requests are about.
struct Scene<'a> {
    app: &'a TestApp,
    number: Cell<u64>,
}

impl Scene<'_> {
    fn fresh(&self) -> String {
        self.number.set(self.number.get() + 1);
        format!("thing-{}", self.number.get())
    }

    fn made(&self, path: &str, body: Value, name: &str) -> String {
        self.app.admin().post(path, body).expect(201)[name].as_str().unwrap().to_owned()
    }

    /// A path or a body with what it names.
    fn fill(&self, text: &str) -> String {
        MAKERS.iter().fold(
            text.to_owned(),
            |text, (name, make)| {
                if text.contains(name) { text.replace(name, &make(self)) } else { text }
            },
        )
    }

    /// Gives a role to a user.
    fn give(&self, id: &str, role: &str) {
        let source = json!({"person": {"type": "user", "id": id}, "reason": "test"});
        self.app.admin().post("/v1/mappings", json!({"role": role, "source": source})).expect(201);
    }

    /// A key whose owner has a role by a mapping of a person, with a grant of that role's permissions.
    fn holder(&self, role: &keyroll::domain::Role) -> String {
        let id = self.fill("{user}");
        self.give(&id, &role.name);
        let owner = Owner::Principal(PrincipalKind::User, Id::parse(&id).unwrap());
        self.app.issue_on_host(owner, &role.permissions.texts())
    }
}

/// Where an answer of 200 says how it went.
const SAYINGS: [&str; 5] = ["/Operations/0/status", "/code", "/decision", "/evaluations/0/decision", "/allowed"];

/// The status, and what else tells an answer from a refusal: of a Bulk job the status of the operation in it,
/// of a key its code, of a question yes or no, of a search the number of results.
fn cell(answer: &Answer) -> String {
    let saying = SAYINGS.iter().find_map(|pointer| answer.body.pointer(pointer)).map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let count = || Some(answer.body.get("results")?.as_array()?.len().to_string());
    match saying.or_else(count).filter(|_| answer.status == 200) {
        Some(saying) => format!("{}:{saying}", answer.status),
        None => answer.status.to_string(),
    }
}

/// Every kind of caller: its name and how it asks.
fn callers<'a>(scene: &Scene<'a>) -> Vec<(String, Actor<'a>)> {
    let app = scene.app;
    let (other_idp, other_admin) = app.tenant("second");
    let short = |role: &keyroll::domain::Role| role.name.trim_start_matches(BUILT_IN_PREFIX).to_owned();
    let roles = built_in();
    let mut callers: Vec<(String, Actor<'a>)> =
        roles.iter().map(|role| (short(role), app.with_key(&scene.holder(role)))).collect();
    callers.push(("provisioning".to_owned(), app.idp()));
    callers.push(("identity".to_owned(), app.with_key(&scene.fill("{secret}"))));
    callers.push(("none".to_owned(), app.anonymous()));
    callers.push(("other-admin".to_owned(), other_admin));
    callers.push(("other-idp".to_owned(), other_idp));
    callers
}

/// The table: a line for each route, a column for each caller.
fn table(app: &TestApp) -> Vec<Vec<String>> {
    let scene = Scene { app, number: Cell::new(0) };
    let callers = callers(&scene);
    let mut rows = vec![vec!["operation".to_owned(), "route".to_owned()]];
    rows[0].extend(callers.iter().map(|(name, _)| name.clone()));
    for operation in Operation::ALL {
        if operation.routes().is_empty() {
            assert_eq!(operation.keys(), Keys::Host, "{} has no route", operation.name());
            rows.push(vec![operation.name().to_owned(), "host only".to_owned()]);
        }
        for (method, template) in operation.routes() {
            let route = format!("{method} {template}");
            let ask = ASKS.iter().find(|(own, ..)| *own == route);
            let (_, path, body) = ask.unwrap_or_else(|| panic!("add a line for {route} to ASKS"));
            let mut row = vec![operation.name().to_owned(), route];
            let mut ask = None;
            for (_, caller) in &callers {
                let (path, body) = ask.get_or_insert_with(|| (scene.fill(path), scene.fill(body)));
                let answer = caller.send(method, path, &[], &*body);
                row.push(cell(&answer));
                // What was changed is not what the next one should find.
                if *method != "GET" && answer.status < 300 {
                    ask = None;
                }
            }
            // Without one that may, a refusal would tell nothing.
            let answered = row.iter().skip(2).any(|cell| cell.starts_with('2'));
            assert!(answered || *operation == Operation::MeWrite, "nobody may: {row:?}");
            rows.push(row);
        }
    }
    rows
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(String::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[test]
fn every_operation_answers_every_key_as_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    let golden = |text: &str| {
        if std::env::var_os("KEYROLL_TEST_UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        std::fs::read_to_string(&path).unwrap_or_default()
    };
    for_each_app(|app| {
        let found = aligned(&table(app));
        let expected = golden(&found);
        for (found, expected) in found.lines().zip(expected.lines()) {
            assert_eq!(found, expected, "KEYROLL_TEST_UPDATE_GOLDEN=1 writes {GOLDEN} anew");
        }
        assert_eq!(found.lines().count(), expected.lines().count(), "a line more or less than in {GOLDEN}");
    });
}

#[test]
fn no_line_is_left_of_a_route_that_is_gone() {
    let routes: Vec<String> = Operation::ALL
        .iter()
        .flat_map(|operation| operation.routes())
        .map(|(method, template)| format!("{method} {template}"))
        .collect();
    for (route, ..) in ASKS {
        assert!(routes.iter().any(|own| own == route), "no operation has {route}: take it out of ASKS");
    }
}
