//! Movers: a key loses what its owner loses, on the next request, and gets it back with it.

use std::sync::Barrier;

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use super::catalogue::billing;
use super::keys::{ask, give, key};
use crate::support::app::*;

const READ: &str = "billing:invoices:read";
const VALID: &str = "VALID";
const LACKS: &str = "INSUFFICIENT_PERMISSIONS";

/// A user, in the group Finance, which is mapped to a role that may read invoices; and its key.
struct Company<'a> {
    app: &'a TestApp,
    mira: String,
    finance: String,
    mapping: String,
    key: String,
}

impl<'a> Company<'a> {
    fn new(app: &'a TestApp) -> Company<'a> {
        billing(app);
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let finance = app.idp().post("/Groups", group("Finance", &[&mira])).expect(201).id();
        let mapping = map(app, json!({"group": {"displayName": "Finance"}}));
        let key = key(app, &mira, &[READ]);
        Company { app, mira, finance: format!("/Groups/{finance}"), mapping, key }
    }

    #[track_caller]
    fn expect(&self, code: &str) {
        assert_eq!(ask(self.app, &self.key, READ), code);
        // It lives on: only what it may do is less.
        let alone = if code == LACKS { VALID } else { code };
        assert_eq!(self.app.verify(&self.key), alone);
    }
}

fn map(app: &TestApp, source: Value) -> String {
    app.admin().post("/v1/mappings", json!({"role": "billing.viewer", "source": source})).expect(201).id()
}

#[test]
fn a_movers_key_loses_a_permission_on_the_next_request() {
    for_each_app(|app| {
        let company = Company::new(app);
        let (idp, mira, finance) = (app.idp(), &company.mira, &company.finance);
        company.expect(VALID);
        idp.patch(finance, remove(&format!("members[value eq \"{mira}\"]"))).expect(200);
        company.expect(LACKS);
        idp.patch(finance, add("members", json!([{"value": mira}]))).expect(200);
        company.expect(VALID);
        idp.put(finance, group("Finance", &[])).expect(200);
        company.expect(LACKS);
        let set = |op: &str| json!({"op": op, "path": "members", "value": [{"value": mira}]});
        let job = |op: &str| bulk(json!([{"method": "PATCH", "path": finance, "data": patch(json!([set(op)]))}]));
        idp.post("/Bulk", job("add")).expect(200);
        company.expect(VALID);
        idp.post("/Bulk", job("remove")).expect(200);
        company.expect(LACKS);
        // Through a group inside.
        let berlin = idp.post("/Groups", group("Berlin", &[mira])).expect(201).id();
        idp.patch(finance, add("members", json!([{"value": berlin}]))).expect(200);
        company.expect(VALID);
        idp.patch(&format!("/Groups/{berlin}"), remove("members")).expect(200);
        company.expect(LACKS);
        idp.patch(finance, add("members", json!([{"value": mira}]))).expect(200);
        company.expect(VALID);
        // Another name is not the one that is mapped.
        idp.patch(finance, replace("displayName", "Money")).expect(200);
        company.expect(LACKS);
        idp.patch(finance, replace("displayName", "finance")).expect(200);
        company.expect(VALID);
        idp.delete(finance).expect(204);
        company.expect(LACKS);
        idp.post("/Groups", group("FINANCE", &[mira])).expect(201);
        company.expect(VALID);
        // No key was edited for any of this.
        let of_keys = app.actions().into_iter().filter(|action| action.starts_with("credential."));
        assert_eq!(of_keys.collect::<Vec<_>>(), ["credential.issued"]);
    });
}

#[test]
fn a_key_loses_what_roles_mappings_and_apis_no_longer_give() {
    for_each_app(|app| {
        let company = Company::new(app);
        let (idp, admin) = (app.idp(), app.admin());
        let role = |permissions: Value| {
            admin.put("/v1/roles/billing.viewer", json!({"permissions": permissions})).expect(200);
        };
        company.expect(VALID);
        role(json!([]));
        company.expect(LACKS);
        role(json!(["billing:*:*"]));
        company.expect(VALID);
        // What no api offers is nothing, whoever holds a pattern for it.
        let api = |name: &str| {
            let permissions = json!([{"name": name}, {"name": "receipts:read"}]);
            admin.put("/v1/apis/billing", json!({"permissions": permissions})).expect(200);
        };
        api("invoices:list");
        company.expect(LACKS);
        api("invoices:read");
        company.expect(VALID);
        admin.delete(&format!("/v1/mappings/{}", company.mapping)).expect(204);
        company.expect(LACKS);
        // For a time, and no longer.
        let end = (DateTime::from_timestamp_millis(START).unwrap() + TimeDelta::hours(1)).to_rfc3339();
        let person = json!({"type": "user", "id": company.mira});
        map(app, json!({"person": person, "reason": "stand_in", "expires_at": end}));
        company.expect(VALID);
        app.clock.advance(TimeDelta::hours(1) - TimeDelta::milliseconds(1));
        company.expect(VALID);
        app.clock.advance(TimeDelta::milliseconds(1));
        company.expect(LACKS);
        // By an attribute.
        map(app, json!({"rule": "title eq \"Clerk\""}));
        let path = format!("/Users/{}", company.mira);
        idp.patch(&path, replace("title", "clerk")).expect(200);
        company.expect(VALID);
        idp.patch(&path, replace("title", "Guest")).expect(200);
        company.expect(LACKS);
        idp.patch(&path, replace("title", "Clerk")).expect(200);
        company.expect(VALID);
        idp.patch(&path, replace("active", false)).expect(200);
        company.expect("OWNER_INACTIVE");
        idp.patch(&path, replace("active", true)).expect(200);
        company.expect(VALID);
        admin.post(&format!("/v1/users/{}/suspend", company.mira), json!({})).expect(200);
        company.expect("OWNER_INACTIVE");
        admin.post(&format!("/v1/users/{}/activate", company.mira), json!({})).expect(200);
        company.expect(VALID);
        app.clock.advance(TimeDelta::days(90));
        assert_eq!(ask_later(app, &company.key), "EXPIRED");
    });
}

/// The admin's first key has expired by then as well.
fn ask_later(app: &TestApp, key: &str) -> String {
    let admin = app.with_key(&app.issue_on_host(keyroll::service::keys::Owner::Operator, &[]));
    let answer = admin.post("/v1/verify", json!({"key": key, "permission": READ})).expect(200);
    answer["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_key_that_calls_keyroll_loses_it_alike() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let mapping = give(app, "user", &mira, "keyroll.auditor");
        let auditor = app.with_key(&key(app, &mira, &["keyroll:*:read"]));
        auditor.get("/v1/keys").expect(200);
        auditor.post("/v1/verify", json!({"key": "x"})).problem(403, "forbidden");
        admin.delete(&format!("/v1/mappings/{mapping}")).expect(204);
        let refused = auditor.get("/v1/keys");
        assert_eq!(refused.problem(403, "forbidden"), "this key does not hold keyroll:keys:read");
        auditor.get("/v1/whoami").expect(200);
        // By a group: the identity provider may take it away.
        let audit = idp.post("/Groups", group("Audit", &[&mira])).expect(201).id();
        let source = json!({"group": {"id": audit}});
        admin.post("/v1/mappings", json!({"role": "keyroll.auditor", "source": source})).expect(201);
        auditor.get("/v1/users").expect(200);
        auditor.get("/Users").expect(200);
        idp.patch(&format!("/Groups/{audit}"), remove("members")).expect(200);
        auditor.get("/v1/users").problem(403, "forbidden");
        auditor.get("/Users").scim_error(403, "");
    });
}

/// Who holds the right to suspend people writes with it while `take` takes it away: after the record of
/// that, no record is the key's.
fn demoted(app: &TestApp, writer: &Actor<'_>, target: &str, ended: &str, take: impl FnOnce() + Send) {
    let barrier = Barrier::new(2);
    let write = |what: &str| writer.post(&format!("/v1/users/{target}/{what}"), json!({}));
    let own = writer.get("/v1/whoami").expect(200)["key_id"].clone();
    let first = app.log().len();
    let last = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            // Whatever the last story left, one of them is a change and recorded.
            write("activate").expect(200);
            write("suspend").expect(200);
            barrier.wait();
            let answers = ["activate", "suspend"].into_iter().cycle().take(2_000).map(write);
            answers.map(|answer| answer.status).find(|status| *status != 200)
        });
        barrier.wait();
        take();
        writing.join().unwrap()
    });
    assert!(matches!(last, Some(401 | 403)), "{last:?}");
    let log = app.log();
    let is_end = |record: &Value| record["action"] == json!(ended) && record["actor"]["id"] != own;
    let end = first + log[first..].iter().position(is_end).unwrap();
    assert!(log[first..end].iter().any(|record| record["actor"]["id"] == own));
    assert!(log[end..].iter().all(|record| record["actor"]["id"] != own), "a write after {}", log[end]);
}

#[test]
fn nothing_is_written_after_the_owner_is_demoted_a08() {
    for_each_app(|app| {
        let idp = app.idp();
        let tom = idp.post("/Users", user("tom@example.com")).expect(201).id();
        for n in 0..8 {
            let mira = idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
            let ops = idp.post("/Groups", group(&format!("ops{n}"), &[&mira])).expect(201).id();
            let source = json!({"group": {"id": ops}});
            app.admin().post("/v1/mappings", json!({"role": "keyroll.provisioner", "source": source})).expect(201);
            let writer = app.with_key(&key(app, &mira, &["keyroll:users:suspend"]));
            demoted(app, &writer, &tom, "group.patched", || {
                idp.patch(&format!("/Groups/{ops}"), remove("members")).expect(200);
            });
        }
    });
}

#[test]
fn nothing_is_written_after_the_last_sponsor_left() {
    for_each_app(|app| {
        let idp = app.idp();
        let tom = idp.post("/Users", user("tom@example.com")).expect(201).id();
        for n in 0..8 {
            let mira = idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
            let body = and(agent(&format!("bot{n}")), json!({"owners": [{"value": mira}]}));
            let bot = idp.post("/Agents", body).expect(201).id();
            give(app, "agent", &bot, "keyroll.provisioner");
            let owner = json!({"type": "agent", "id": bot});
            let grant = json!([{"permissions": ["keyroll:users:suspend"]}]);
            let issued = app.admin().post("/v1/keys", json!({"owner": owner, "grant": grant})).expect(201);
            let writer = app.with_key(issued["key"].as_str().unwrap());
            demoted(app, &writer, &tom, "user.patched", || {
                idp.patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
            });
        }
    });
}
