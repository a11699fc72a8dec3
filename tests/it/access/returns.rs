//! Who comes back after they left: the person always, what holds a permission of Keyroll by an admin's word.

use keyroll::service::keys::Owner;
use serde_json::{Value, json};

use crate::support::app::*;

/// An agent of these sponsors that reads users, and its key.
fn reader(app: &TestApp, name: &str, sponsors: &[&str]) -> (String, String) {
    let owners: Vec<Value> = sponsors.iter().map(|id| json!({"value": id})).collect();
    let id = app.idp().post("/Agents", and(agent(name), json!({"owners": owners}))).expect(201).id();
    let source = json!({"person": {"type": "agent", "id": id}, "reason": "reads"});
    app.admin().post("/v1/mappings", json!({"role": "keyroll.auditor", "source": source})).expect(201);
    let key = app.issue_on_host(Owner::Named(name.to_owned()), &["keyroll:users:read"]);
    (id, key)
}

fn hired(app: &TestApp, name: &str) -> (String, String) {
    let id = app.idp().post("/Users", user(&format!("{name}@example.com"))).expect(201).id();
    let key = app.issue(&id);
    (id, key)
}

fn active(app: &TestApp, id: &str, value: bool) {
    app.idp().patch(&format!("/Users/{id}"), replace("active", value)).expect(200);
}

#[test]
fn a_sponsor_comes_back_and_what_they_alone_answer_for_waits_for_an_admin() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        for way in ["PATCH", "PUT", "Bulk"] {
            let (mira, own) = hired(app, &format!("mira-{way}"));
            let name = format!("mira-{way}@example.com");
            let (deploy, deploys) = reader(app, &format!("deploy-{way}"), &[&mira]);
            let plain = json!({"owners": [{"value": mira}]});
            idp.post("/Agents", and(agent(&format!("plain-{way}")), plain)).expect(201);
            let plain = app.issue_on_host(Owner::Named(format!("plain-{way}")), &[]);
            active(app, &mira, false);
            let all = || [&own, &deploys, &plain].map(|key| app.verify(key));
            assert_eq!(all(), ["OWNER_INACTIVE", "OWNER_INACTIVE", "OWNER_INACTIVE"]);
            let path = format!("/Users/{mira}");
            let back = and(user(&name), json!({"active": true}));
            match way {
                "PATCH" => drop(idp.patch(&path, replace("active", true)).expect(200)),
                "PUT" => drop(idp.put(&path, back).expect(200)),
                _ => {
                    let job = bulk(json!([{"method": "PUT", "path": path, "data": back}]));
                    assert_eq!(idp.post("/Bulk", job).expect(200)["Operations"][0]["status"], json!("200"));
                }
            }
            assert_eq!(all(), ["VALID", "OWNER_INACTIVE", "VALID"], "{way}");
            let held = admin.get(&format!("/v1/users/{deploy}")).expect(200);
            assert_eq!((&held["active"], &held["admin_hold"]), (&json!(true), &json!(true)));
            let log = app.log();
            let record = log.iter().rfind(|record| record["subject"]["id"] == json!(deploy)).unwrap();
            assert_eq!(
                (&record["action"], &record["change"]["reason"], &record["change"]["roles"]),
                (&json!("principal.suspended"), &json!("sponsor_returned"), &json!(["keyroll.auditor"]))
            );
            // No word of the identity provider's lifts that; an admin's does.
            active(app, &mira, false);
            active(app, &mira, true);
            idp.patch(&format!("/Agents/{deploy}"), replace("active", true)).expect(200);
            assert_eq!(app.verify(&deploys), "OWNER_INACTIVE");
            admin.post(&format!("/v1/agents/{deploy}/activate"), json!({})).expect(200);
            assert_eq!(all(), ["VALID", "VALID", "VALID"]);
        }
        app.check_log();
    });
}

#[test]
fn a_sponsor_comes_back_to_an_agent_that_another_one_answers_for() {
    for_each_app(|app| {
        let ((mira, _), (tom, _)) = (hired(app, "mira"), hired(app, "tom"));
        let (deploy, deploys) = reader(app, "deploy", &[&mira, &tom]);
        active(app, &tom, false);
        active(app, &tom, true);
        assert_eq!(app.verify(&deploys), "VALID");
        assert_eq!(app.admin().get(&format!("/v1/users/{deploy}")).expect(200)["admin_hold"], json!(false));
        // A hold of one's own goes on, whoever comes back; a key that is no admin's sees nothing of all this.
        app.admin().post(&format!("/v1/agents/{deploy}/suspend"), json!({"reason": "audit"})).expect(200);
        let before = app.log().len();
        for id in [&mira, &tom] {
            active(app, id, false);
        }
        active(app, &mira, true);
        let actions = app.actions().split_off(before);
        assert_eq!(
            actions,
            [
                "user.patched",
                "principal.suspended",
                "user.patched",
                "principal.suspended",
                "user.patched",
                "principal.activated"
            ]
        );
    });
}

#[test]
fn a_hold_on_somebody_who_is_inactive_is_recorded() {
    for_each_app(|app| {
        let (mira, own) = hired(app, "mira");
        active(app, &mira, false);
        let before = app.log().len();
        let (suspend, activate) = (format!("/v1/users/{mira}/suspend"), format!("/v1/users/{mira}/activate"));
        for (path, reason) in [(&suspend, "leaked"), (&suspend, "again"), (&activate, "cleared"), (&activate, "again")]
        {
            app.admin().post(path, json!({"reason": reason})).expect(200);
        }
        let log = app.log();
        let told: Vec<(&Value, &Value)> =
            log.iter().skip(before).map(|record| (&record["action"], &record["change"]["reason"])).collect();
        let expected =
            [("principal.held", "leaked"), ("principal.released", "cleared")].map(|(a, b)| (json!(a), json!(b)));
        assert_eq!(told, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
        assert_eq!(app.verify(&own), "OWNER_INACTIVE");
    });
}
