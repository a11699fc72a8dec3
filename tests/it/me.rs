//! `/Me`: the resource of the key's owner (RFC 7644 §3.11).

use serde_json::json;

use crate::support::app::*;

#[test]
fn a_person_sees_itself() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", and(user("mira@example.com"), json!({"externalId": "7"}))).expect(201).id();
        idp.post("/Groups", group("team", &[&mira])).expect(201);
        let me = app.with_key(&app.issue(&mira));
        let place = format!("https://keyroll.example/scim/v2/Users/{mira}");
        let answer = me.get("/Me").expect(200);
        assert_eq!((answer.header("content-location"), answer.header("etag")), (place.as_str(), "W/\"1\""));
        assert_eq!((&answer["meta"]["location"], &answer["userName"]), (&json!(place), &json!("mira@example.com")));
        assert_eq!(answer["groups"][0]["display"], json!("team"));
        // What the identity provider calls it is between the two of them.
        assert_eq!(answer["externalId"], json!(null));
        let named = me.get("/Me?attributes=userName").expect(200);
        assert_eq!(named.body, json!({"schemas": [USER], "userName": "mira@example.com", "id": mira}));
        let head = me.send("HEAD", "/Me", &[], "").expect(200);
        assert_eq!(head.header("etag"), "W/\"1\"");
        assert_eq!(me.send("GET", "/Me", &[("if-none-match", "W/\"1\"")], "").status, 304);
    });
}

#[test]
fn nobody_writes_by_that_name() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let me = app.with_key(&app.issue(&mira));
        for answer in [
            me.put("/Me", user("x@example.com")),
            me.patch("/Me", replace("active", false)),
            me.delete("/Me"),
            me.post("/Me", user("x@example.com")),
        ] {
            answer.scim_error(403, "");
        }
        assert_eq!(me.get("/Me").expect(200).header("etag"), "W/\"1\"");
    });
}

#[test]
fn a_provisioning_key_has_no_resource() {
    for_each_app(|app| {
        let idp = app.idp();
        assert_eq!(idp.get("/Me").scim_error(501, ""), "a provisioning key has no resource of its own");
        app.anonymous().get("/Me").scim_error(401, "");
        app.admin().get("/Me").scim_error(404, "");
        for answer in [idp.patch("/Me", replace("active", false)), idp.delete("/Me")] {
            answer.scim_error(501, "");
        }
    });
}
