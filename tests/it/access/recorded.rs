//! What a record says of the access that its cause has changed: mappings and roles.

use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;

/// A user to whom a mapping of every source applies, and another who has nothing: their ids, and those of the
/// mappings in their order.
fn staff(app: &TestApp) -> (String, String, Vec<String>) {
    billing(app);
    let (idp, admin) = (app.idp(), app.admin());
    let clerk = json!({"name": "clerk", "includes": ["billing.viewer"], "assertable_by": ["default"]});
    admin.post("/v1/roles", clerk).expect(201);
    let more = json!({"userType": "Contractor", "roles": [{"value": "books"}]});
    let mira = idp.post("/Users", and(user("mira@example.com"), more)).expect(201).id();
    let rolf = idp.post("/Users", user("rolf@example.com")).expect(201).id();
    let inner = idp.post("/Groups", group("inner", &[&mira])).expect(201).id();
    idp.post("/Groups", group("Finance", &[&inner])).expect(201);
    let sources = [
        json!({"group": {"displayName": "Finance"}}),
        json!({"rule": "userType eq \"Contractor\""}),
        json!({"asserted": {"attribute": "roles", "value": "books"}}),
        json!({"person": {"type": "user", "id": mira}, "reason": "on call"}),
    ];
    let map = |source: Value| admin.post("/v1/mappings", json!({"role": "clerk", "source": source})).expect(201).id();
    (mira, rolf, sources.map(map).to_vec())
}

/// What the last record with this action says.
#[track_caller]
fn last(app: &TestApp, action: &str) -> Value {
    let log = app.log();
    let found = log.iter().rfind(|record| record["action"] == action);
    found.unwrap_or_else(|| panic!("no {action}"))["change"].clone()
}

#[test]
fn who_leaves_is_recorded_with_what_is_lost() {
    for_each_app(|app| {
        let (mira, rolf, mappings) = staff(app);
        let (idp, admin) = (app.idp(), app.admin());
        let all = json!({"mappings": mappings, "roles": ["billing.viewer", "clerk"]});
        let active = |id: &str, value: bool| {
            idp.patch(&format!("/Users/{id}"), replace("active", json!(value))).expect(200);
        };
        active(&mira, false);
        assert_eq!(last(app, "principal.suspended"), all);
        active(&mira, true);
        assert_eq!(last(app, "principal.activated"), all);
        admin.post(&format!("/v1/users/{mira}/suspend"), json!({})).expect(200);
        assert_eq!(last(app, "principal.suspended"), and(json!({"reason": "admin_hold"}), all.clone()));
        idp.delete(&format!("/Users/{mira}")).expect(204);
        let mut deleted = last(app, "user.deleted");
        assert_eq!(deleted.as_object_mut().unwrap().remove("groups").unwrap().as_array().unwrap().len(), 1);
        assert_eq!(deleted, all);
        active(&rolf, false);
        assert_eq!(last(app, "principal.suspended"), json!({}));
        idp.delete(&format!("/Users/{rolf}")).expect(204);
        assert_eq!(last(app, "user.deleted"), json!({"groups": []}));
        app.check_log();
    });
}

#[test]
fn a_change_of_the_catalogue_is_recorded_with_who_builds_on_it() {
    for_each_app(|app| {
        let (_, _, mappings) = staff(app);
        let admin = app.admin();
        let viewer = json!({"description": "reads", "permissions": ["billing:invoices:read"]});
        admin.put("/v1/roles/billing.viewer", viewer).expect(200);
        let expected = json!({"mappings": mappings, "roles": ["clerk"], "paths": ["description"]});
        assert_eq!(last(app, "role.replaced"), expected);
        let api = json!({"permissions": [{"name": "invoices:read"}, {"name": "invoices:write"}]});
        admin.put("/v1/apis/billing", api).expect(200);
        let expected = json!({"roles": ["billing.viewer"], "paths": ["permissions", "routes"]});
        assert_eq!(last(app, "api.replaced"), expected);
    });
}

#[test]
fn a_name_that_a_mapping_waits_for_is_recorded_when_it_goes() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        let team = format!("/Groups/{}", idp.post("/Groups", group("Finance", &[])).expect(201).id());
        let map = |source: Value| {
            let mapping = json!({"role": "billing.viewer", "source": {"group": source}});
            admin.post("/v1/mappings", mapping).expect(201).id()
        };
        let by_name = map(json!({"displayName": "finance"}));
        map(json!({"id": team.rsplit('/').next().unwrap()}));
        let renamed = |name: &str, group: &str| {
            idp.patch(group, replace("displayName", name)).expect(200);
            last(app, "group.patched")
        };
        let concerned = json!({"paths": ["displayName"], "mappings": [by_name], "roles": ["billing.viewer"]});
        // Another letter case is the same name.
        assert_eq!(renamed("FINANCE", &team), json!({"paths": ["displayName"]}));
        assert_eq!(renamed("Money", &team), and(concerned.clone(), json!({"orphaned": [by_name]})));
        // By that name it applies again; the group's id is no name.
        assert_eq!(renamed("Finance", &team), concerned);
        // Where another group has the name, the mapping goes on.
        app.sql("UPDATE connections SET unique_group_names = FALSE");
        idp.post("/Groups", group("finance", &[])).expect(201);
        assert_eq!(renamed("Money", &team), concerned);
    });
}
