//! One empty value means the same by every way in: an element whose value was said to be empty is none.

use serde_json::{Value, json};

use crate::support::app::*;

fn stored() -> Value {
    json!([{"type": "work", "value": "q@ex.test", "primary": true}, {"type": "home", "value": "h@ex.test"}])
}

/// The e-mails after one write by each way in, all of which take the address of the work e-mail away.
fn emails(app: &TestApp, name: &str, empty: &Value) -> Vec<Value> {
    let idp = app.idp();
    let home = json!({"type": "home", "value": "h@ex.test"});
    let none = json!({"type": "work", "value": empty, "primary": true});
    let named = |name: &str, emails: Value| and(user(name), json!({"emails": emails}));
    let made = |name: &str| idp.post("/Users", named(name, stored())).expect(201).id();
    let shown = |id: &str| idp.get(&format!("/Users/{id}")).expect(200)["emails"].clone();
    let mut found = vec![];
    let posted = idp.post("/Users", named(&format!("{name}-post"), json!([none, home]))).expect(201).id();
    found.push(shown(&posted));
    let put = made(&format!("{name}-put"));
    idp.put(&format!("/Users/{put}"), named(&format!("{name}-put"), json!([none, home]))).expect(200);
    found.push(shown(&put));
    let by_path = json!({"emails[type eq \"work\"].value": empty});
    let patches = [
        replace("emails[type eq \"work\"].value", empty.clone()),
        remove("emails[type eq \"work\"].value"),
        replace("emails[type eq \"work\"]", none.clone()),
        add("emails[type eq \"work\"]", json!({"value": empty})),
        replace("emails", json!([none, home])),
        json!({"schemas": [PATCH], "Operations": [{"op": "replace", "value": by_path}]}),
        json!({"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"emails": [none, home]}}]}),
    ];
    for (n, patch) in patches.into_iter().enumerate() {
        let id = made(&format!("{name}-patch{n}"));
        idp.patch(&format!("/Users/{id}"), patch.clone()).expect(200);
        found.push(shown(&id));
        let id = made(&format!("{name}-bulk{n}"));
        let operation = json!({"method": "PATCH", "path": format!("/Users/{id}"), "data": patch});
        let done = idp.post("/Bulk", json!({"schemas": [BULK], "Operations": [operation]})).expect(200);
        assert_eq!(done["Operations"][0]["status"], "200", "{done}");
        found.push(shown(&id));
    }
    found
}

#[test]
fn an_email_without_its_address_is_none_by_every_way_in() {
    for_each_app(|app| {
        let home = json!([{"type": "home", "value": "h@ex.test"}]);
        for (name, empty) in [("null", json!(null)), ("text", json!(""))] {
            for (n, found) in emails(app, name, &empty).into_iter().enumerate() {
                assert_eq!(found, home, "{name} {n}");
            }
        }
        // A value that a filter says is empty is the one to come.
        let made = app.idp().post("/Users", user("ann@ex.test")).expect(201).id();
        let set = replace("emails[type eq \"home\" and value eq \"\"].value", "h@ex.test");
        assert_eq!(app.idp().patch(&format!("/Users/{made}"), set).expect(200)["emails"], home);
        // What was never said to have a value stays as it is.
        let addresses = json!([{"type": "work"}]);
        let made = app.idp().post("/Users", and(user("tom@ex.test"), json!({"addresses": addresses}))).expect(201);
        assert_eq!(made["addresses"], addresses);
    });
}
