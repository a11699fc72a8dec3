//! What a resource is known by: its id, its name, its externalId.

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

#[test]
fn other_spellings_of_an_id_are_other_ids() {
    let app = TestApp::sqlite();
    let idp = app.idp();
    let id = idp.post("/Users", user("mira@example.com")).expect(201).id();
    let spellings = [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        format!("{id}%20"),
        format!("%20{id}"),
        format!("{id}%00"),
        format!("{id}.scim"),
        format!("{}%C3%BC", &id[..35]),
        "operator".to_owned(),
        "%2e%2e".to_owned(),
        "bulkId:1".to_owned(),
        app.id(1000),
    ];
    for spelling in spellings {
        let answer = idp.get(&format!("/Users/{spelling}"));
        assert_eq!(answer.scim_error(404, ""), "not found", "{spelling}");
        assert_eq!((answer.header("etag"), answer.header("location")), ("", ""));
    }
    // The right id under the wrong type is nobody, too; a slash at the end is not part of it.
    idp.get(&format!("/Groups/{id}")).scim_error(404, "");
    // In which letters the endpoint is written does not matter; those of the id do.
    idp.get(&format!("/users/{id}")).expect(200);
    idp.get(&format!("/Users/{id}/")).expect(200);
    idp.get(&format!("/Users/%{:02x}{}", id.as_bytes()[0], &id[1..])).expect(200);
}

#[test]
fn reserved_names_are_taken() {
    for_each_app(|app| {
        let idp = app.idp();
        let reserved = "userName: names that start with keyroll: are reserved";
        for name in ["keyroll:operator", "Keyroll:x", "KEYROLL:", "ｋｅｙｒｏｌｌ:x", " keyroll:x"] {
            assert_eq!(idp.post("/Users", user(name)).scim_error(409, "uniqueness"), reserved, "{name}");
        }
        let id = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let path = format!("/Users/{id}");
        assert_eq!(idp.patch(&path, replace("userName", "keyroll:x")).scim_error(409, "uniqueness"), reserved);
        assert_eq!(idp.put(&path, user("keyroll:x")).scim_error(409, "uniqueness"), reserved);
        idp.post("/Users", user("keyrollx")).expect(201);
        assert_eq!(app.actions(), ["user.created", "user.created"]);
    });
}

#[test]
fn names_are_unique_whatever_their_case_and_width() {
    for_each_app(|app| {
        let idp = app.idp();
        let id = idp.post("/Users", user("José@example.com")).expect(201).id();
        for same in ["josé@example.com", "JOSÉ@EXAMPLE.COM", "Jose\u{301}@example.com", "ｊosé@example.com"] {
            let refused = idp.post("/Users", user(same));
            let told = format!("userName: the value is taken by {id}");
            assert_eq!(refused.scim_error(409, "uniqueness"), told, "{same}");
        }
        let other = idp.post("/Users", user("jose@example.com")).expect(201).id();
        let path = format!("/Users/{other}");
        idp.patch(&path, replace("userName", "JOSÉ@example.com")).scim_error(409, "uniqueness");
        idp.put(&path, user("josé@example.com")).scim_error(409, "uniqueness");
        // One's own name in another spelling is a change of one's own.
        let respelled = idp.patch(&format!("/Users/{id}"), replace("userName", "JOSÉ@example.com")).expect(200);
        assert_eq!(respelled["userName"], json!("JOSÉ@example.com"));
        // A name that was given up is free.
        idp.patch(&format!("/Users/{id}"), replace("userName", "pepe@example.com")).expect(200);
        idp.post("/Users", user("josé@example.com")).expect(201);

        idp.post("/Groups", group("Team", &[])).expect(201);
        idp.post("/Groups", group("TEAM", &[])).scim_error(409, "uniqueness");
        idp.post("/Agents", agent("Deploy")).expect(201);
        idp.post("/Agents", agent("deploy")).scim_error(409, "uniqueness");
        let okta = app.connect(Dialect::Okta);
        okta.post("/Groups", group("team", &[])).expect(201);
        okta.post("/Users", user("PEPE@example.com")).scim_error(409, "uniqueness");
    });
}

#[test]
fn external_ids_belong_to_a_connection_and_a_type() {
    for_each_app(|app| {
        let idp = app.idp();
        let named = |name: &str, external_id: &str| and(user(name), json!({"externalId": external_id}));
        let mira = idp.post("/Users", named("mira@example.com", "7")).expect(201).id();
        idp.post("/Groups", and(group("team", &[]), json!({"externalId": "7"}))).expect(201);
        let rolf = idp.post("/Users", named("rolf@example.com", "8")).expect(201).id();
        // Letter case counts.
        idp.post("/Users", named("ada@example.com", "A")).expect(201);
        idp.post("/Users", named("bea@example.com", "a")).expect(201);

        let okta = app.connect(Dialect::Okta);
        okta.post("/Users", named("otto@example.com", "7")).expect(201);
        assert_eq!(okta.get(&format!("/Users/{mira}")).expect(200)["externalId"], Value::Null);
        assert_eq!(idp.get(&format!("/Users/{mira}")).expect(200)["externalId"], json!("7"));
        let cleared = idp.patch(&format!("/Users/{mira}"), remove("externalId")).expect(200);
        assert_eq!((&cleared["externalId"], cleared.header("etag")), (&Value::Null, "W/\"2\""));
        idp.patch(&format!("/Users/{rolf}"), replace("externalId", "7")).expect(200);
        let put = idp.put(&format!("/Users/{rolf}"), user("rolf@example.com")).expect(200);
        assert_eq!(put["externalId"], Value::Null);
    });
}
