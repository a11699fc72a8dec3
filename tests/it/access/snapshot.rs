//! `GET /v1/mappings`: what services keep. Equal tags mean equal bytes, and the tag moves with what is shown.

use std::collections::HashMap;

use insta::assert_snapshot;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use keyroll::service::keys::Owner;
use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;
use crate::support::random::Random;

const PATH: &str = "/v1/mappings";
const READ: &str = "keyroll:mappings:read";

/// A service with a key of its own.
fn service(app: &TestApp) -> Actor<'_> {
    app.with_key(&app.issue_on_host(Owner::Operator, &[READ]))
}

fn map(app: &TestApp, role: &str, source: Value) -> String {
    app.admin().post(PATH, json!({"role": role, "source": source})).expect(201).id()
}

/// The tag, the number in the body, and that they are the same.
fn seq(answer: &Answer) -> i64 {
    let seq = answer["as_of_seq"].as_i64().unwrap();
    assert_eq!(answer.header("etag"), format!("\"{seq}\""));
    seq
}

/// The tag of the same, packed.
fn packed_tag(plain: &Answer) -> String {
    format!("\"{}-gzip\"", seq(plain))
}

#[test]
fn the_fixed_shape_and_what_a_service_needs_beside_it() {
    for_each_app(|app| {
        billing(app);
        let finance =
            app.idp().post("/Groups", and(group("Finance", &[]), json!({"externalId": "f-1"}))).expect(201).id();
        map(app, "billing.viewer", json!({"group": {"displayName": "finance"}}));
        map(app, "billing.viewer", json!({"group": {"externalId": "f-1"}}));
        map(app, "billing.viewer", json!({"group": {"displayName": "Later"}}));
        let answer = service(app).get(PATH).expect(200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("vary"), "Accept-Encoding");
        assert_eq!(answer["mappings"][1]["groups"][0]["id"], json!(finance));
        assert_snapshot!(answer, @r#"
        200
        etag: "12"
        {
          "as_of_seq": 12,
          "mappings": [
            {
              "id": "019b8d62-7a80-7000-8000-000000000007",
              "role": "keyroll.admin",
              "permissions": ["keyroll:*:*"],
              "source": {
                "person": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000002"},
                "reason": "init",
                "expires_at": null
              }
            },
            {
              "id": "019b8d62-7a80-7000-8000-000000000009",
              "role": "billing.viewer",
              "permissions": ["billing:invoices:read"],
              "source": {"group":{"displayName":"finance"}},
              "groups": [
                {
                  "id": "019b8d62-7a80-7000-8000-000000000008",
                  "displayName": "Finance",
                  "externalIds": ["f-1"]
                }
              ]
            },
            {
              "id": "019b8d62-7a80-7000-8000-00000000000a",
              "role": "billing.viewer",
              "permissions": ["billing:invoices:read"],
              "source": {"group":{"externalId":"f-1"}},
              "groups": [
                {
                  "id": "019b8d62-7a80-7000-8000-000000000008",
                  "displayName": "Finance",
                  "externalIds": ["f-1"]
                }
              ]
            },
            {
              "id": "019b8d62-7a80-7000-8000-00000000000b",
              "role": "billing.viewer",
              "permissions": ["billing:invoices:read"],
              "source": {"group":{"displayName":"Later"}},
              "groups": []
            }
          ]
        }
        "#);
    });
}

/// One that has ended by itself is still there: no record says that it has.
#[test]
fn time_alone_changes_nothing() {
    for_each_app(|app| {
        billing(app);
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let person = json!({"person": {"type": "user", "id": mira}, "reason": "stand-in",
            "expires_at": "2026-01-05T09:30:00Z"});
        let id = map(app, "billing.viewer", person);
        let answer = service(app).get(PATH).expect(200);
        assert_eq!(answer["mappings"][1]["source"]["expires_at"], json!("2026-01-05T09:30:00.000Z"));
        // One by one they are shown alike.
        assert_eq!(answer["mappings"][1], app.admin().get(&format!("{PATH}/{id}")).expect(200).body);
        app.clock.advance(chrono::TimeDelta::hours(1));
        assert_eq!(service(app).get(PATH).expect(200).text, answer.text);
    });
}

#[test]
fn the_tag_moves_with_what_is_shown_and_with_nothing_else() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        map(app, "billing.viewer", json!({"group": {"displayName": "Finance"}}));
        let service = service(app);
        let mut last = seq(&service.get(PATH).expect(200));
        let mut moves = |what: &str, expected: bool| {
            let now = seq(&service.get(PATH).expect(200));
            assert_eq!(now > last, expected, "{what}: {last} → {now}");
            last = now;
        };
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        moves("a user comes", false);
        let other = idp.post("/Groups", group("Other", &[&mira])).expect(201).id();
        moves("a group comes that nobody mapped", false);
        let finance = idp.post("/Groups", group("Finance", &[&mira])).expect(201).id();
        moves("the mapped group comes", true);
        let path = format!("/Groups/{finance}");
        idp.patch(&path, add("members", json!([{"value": other}]))).expect(200);
        moves("a group joins the mapped one", false);
        idp.patch(&path, remove("members")).expect(200);
        idp.patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
        idp.delete(&format!("/Users/{mira}")).expect(204);
        moves("members and users go", false);
        idp.patch(&path, replace("externalId", "f-1")).expect(200);
        moves("the mapped group has an externalId", true);
        idp.patch(&path, replace("displayName", "FINANCE")).expect(200);
        moves("the mapped group is written otherwise", true);
        idp.patch(&path, replace("displayName", "FINANCE")).expect(200);
        moves("nothing has changed", false);
        idp.patch(&path, replace("displayName", "Money")).expect(200);
        moves("the mapped group is no longer called so", true);
        idp.delete(&path).expect(204);
        moves("it goes when it is no longer mapped", false);
        idp.patch(&format!("/Groups/{other}"), replace("displayName", "Finance")).expect(200);
        moves("another group takes the name", true);
        idp.delete(&format!("/Groups/{other}")).expect(204);
        moves("the mapped group goes", true);
        admin.post("/v1/roles", json!({"name": "clerk", "includes": ["billing.viewer"]})).expect(201);
        moves("a role comes", true);
        admin.put("/v1/roles/clerk", json!({"description": "x"})).expect(200);
        moves("a role changes", true);
        admin.post("/v1/apis", json!({"name": "open", "open": true})).expect(201);
        moves("an api comes", true);
        let id = map(app, "clerk", json!({"rule": "title pr"}));
        moves("a mapping comes", true);
        admin.delete(&format!("{PATH}/{id}")).expect(204);
        moves("a mapping goes", true);
        admin.delete("/v1/roles/billing.viewer").problem(409, "in_use");
        app.issue_on_host(Owner::Operator, &[READ]);
        moves("a refusal and a key", false);
    });
}

#[test]
fn who_has_it_is_told_so() {
    for_each_app(|app| {
        billing(app);
        map(app, "billing.viewer", json!({"group": {"displayName": "Finance"}}));
        let service = service(app);
        let plain = service.get(PATH).expect(200);
        let tag = plain.header("etag").to_owned();
        let packed_tag = packed_tag(&plain);
        let ask = |name: &str, tags: &str, coding: &str| {
            service.send("GET", PATH, &[(name, tags), ("accept-encoding", coding)], "")
        };
        for tags in [tag.clone(), format!("W/{tag}"), format!("\"0\" , {tag}"), "*".to_owned()] {
            let answer = ask("if-none-match", &tags, "identity").expect(304);
            assert_eq!((answer.header("etag"), answer.text.as_str()), (tag.as_str(), ""));
            assert_eq!(answer.header("vary"), "Accept-Encoding");
            assert_eq!(answer.header("cache-control"), "private, no-cache");
        }
        // Each form is judged by its own tag.
        let answer = ask("if-none-match", &packed_tag, "gzip").expect(304);
        assert_eq!((answer.header("etag"), answer.header("content-encoding")), (packed_tag.as_str(), ""));
        for (tags, coding) in [(&packed_tag, "identity"), (&tag, "gzip"), (&"\"1\"".to_owned(), "identity")] {
            assert_eq!(ask("if-none-match", tags, coding).expect(200).body, plain.body);
        }
        assert_eq!(ask("if-match", &tag, "identity").expect(200).body, plain.body);
        ask("if-match", "\"1\"", "identity").problem(412, "precondition_failed");
        let head = service.send("HEAD", PATH, &[], "").expect(200);
        assert_eq!(head.header("etag"), tag);
    });
}

#[test]
fn it_is_packed_for_whoever_wants_it_so() {
    for_each_app(|app| {
        billing(app);
        map(app, "billing.viewer", json!({"group": {"displayName": "Finance"}}));
        let service = service(app);
        let plain = service.get(PATH).expect(200);
        let ask = |coding: &str| service.send("GET", PATH, &[("accept-encoding", coding)], "").expect(200);
        let packed = ask("br, gzip");
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert_eq!(packed.header("etag"), packed_tag(&plain));
        assert_eq!((&packed.text, packed.header("vary")), (&plain.text, "Accept-Encoding"));
        assert_eq!(ask("gzip").bytes, packed.bytes);
        let refused = ask("gzip;q=0, identity");
        assert_eq!((refused.header("content-encoding"), &refused.bytes), ("", &plain.bytes));
    });
}

#[test]
fn a_long_one_comes_in_pieces() {
    for_each_app(|app| {
        billing(app);
        // Longer than what the index holds of a name, and the same up to there.
        let name = |n: usize| format!("{}{n:04}", "Ä".repeat(990));
        for n in 0..70 {
            map(app, "billing.viewer", json!({"group": {"displayName": name(n)}}));
        }
        let group = app.idp().post("/Groups", group(&name(7).to_lowercase(), &[])).expect(201).id();
        let service = service(app);
        let plain = service.get(PATH).expect(200);
        assert!(plain.text.len() > 1 << 17, "{}", plain.text.len());
        let mappings = plain["mappings"].as_array().unwrap();
        assert_eq!(mappings.len(), 71);
        for (n, mapping) in mappings[1..].iter().enumerate() {
            assert_eq!(mapping["source"]["group"]["displayName"], json!(name(n)));
            let ids: Vec<&Value> = mapping["groups"].as_array().unwrap().iter().map(|group| &group["id"]).collect();
            assert_eq!(ids, if n == 7 { vec![&group] } else { vec![] }, "{n}");
        }
        let packed = service.send("GET", PATH, &[("accept-encoding", "gzip")], "").expect(200);
        assert_eq!(packed.text, plain.text);
        assert!(packed.bytes.len() * 5 < plain.bytes.len());
        assert_eq!(service.send("GET", PATH, &[("accept-encoding", "gzip")], "").expect(200).bytes, packed.bytes);
    });
}

#[test]
fn who_may_read_it() {
    for_each_app(|app| {
        app.anonymous().get(PATH).problem(401, "unauthenticated");
        app.idp().get(PATH).problem(403, "forbidden");
        let other = app.with_key(&app.issue_on_host(Owner::Operator, &["keyroll:changes:read"]));
        other.get(PATH).problem(403, "forbidden");
        // Nor does anybody learn by a tag how far it has come.
        other.send("GET", PATH, &[("if-none-match", "*")], "").problem(403, "forbidden");
        // Another tenant's mappings are another snapshot.
        billing(app);
        map(app, "billing.viewer", json!({"group": {"displayName": "Finance"}}));
        let (_, admin) = app.tenant("second");
        let theirs = admin.get(PATH).expect(200);
        assert_eq!(theirs["mappings"].as_array().unwrap().len(), 1);
        assert_eq!(theirs["mappings"][0]["role"], json!("keyroll.admin"));
    });
}

/// The claims of a signed snapshot, if it is one.
fn verify(app: &TestApp, token: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let set: JwkSet = serde_json::from_str(&app.anonymous().get("/.well-known/jwks.json").expect(200).text).unwrap();
    let header = decode_header(token)?;
    assert_eq!((header.typ.as_deref(), header.alg), (Some("keyroll-mappings+jwt"), Algorithm::EdDSA));
    let key = DecodingKey::from_jwk(set.find(&header.kid.unwrap()).unwrap())?;
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_issuer(&["https://keyroll.example"]);
    rules.set_required_spec_claims(&["iss", "sub", "exp"]);
    // The story's time stands still.
    rules.validate_exp = false;
    Ok(decode::<Value>(token, &key, &rules)?.claims)
}

#[test]
fn the_signed_form_is_verified_without_asking_again() {
    for_each_app(|app| {
        billing(app);
        map(app, "billing.viewer", json!({"group": {"displayName": "Finance"}}));
        app.clock.advance(chrono::TimeDelta::seconds(77));
        let signed = format!("{PATH}?form=signed");
        let service = service(app);
        let (plain, token) = (service.get(PATH).expect(200), service.get(&signed).expect(200));
        assert_eq!(token.header("content-type"), "application/jwt");
        assert_eq!(token.header("cache-control"), "private, no-cache");
        let iat = START / 1_000 + 60;
        let claims = verify(app, &token.text).unwrap();
        let tenant = app.service.tenant("default").unwrap().id.to_string();
        assert_eq!(
            claims,
            json!({"iss": "https://keyroll.example", "sub": tenant, "iat": iat, "exp": iat + 900,
                "as_of_seq": plain["as_of_seq"], "mappings": plain["mappings"]})
        );
        // In the same minute the same bytes; after it the tag is another, so that nobody keeps what ends.
        let tag = format!("\"{}-{iat}\"", seq(&plain));
        assert_eq!(token.header("etag"), tag);
        let again = |seconds: i64| {
            app.clock.advance(chrono::TimeDelta::seconds(seconds));
            service.send("GET", &signed, &[("if-none-match", &tag), ("accept-encoding", "gzip")], "")
        };
        again(42).expect(304);
        assert_eq!(service.get(&signed).expect(200).text, token.text);
        let next = again(1).expect(200);
        assert_eq!(verify(app, &next.text).unwrap()["exp"], json!(iat + 960));
        // Nothing of it can be exchanged.
        let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (ours, theirs) = (parts(&token.text), parts(&next.text));
        for forged in [[&ours[0], &theirs[1], &ours[2]], [&ours[0], &ours[1], &theirs[2]]] {
            let forged = forged.map(String::as_str).join(".");
            assert_eq!(verify(app, &forged).unwrap_err().to_string(), "InvalidSignature");
        }
        for wrong in ["", "jwt", "Signed"] {
            let detail = service.get(&format!("{PATH}?form={wrong}"));
            assert_eq!(detail.problem(400, "malformed"), "form: expected signed");
        }
    });
}

/// Groups by id, with their names and externalIds, and mappings by id.
struct Story<'a> {
    app: &'a TestApp,
    random: Random,
    groups: Vec<(String, String, String)>,
    mappings: Vec<(String, Value)>,
}

const NAMES: [&str; 4] = ["Finance", "finance", "Sales", "Räume"];
const EXTERNAL: [&str; 3] = ["", "e-1", "e-2"];

impl Story<'_> {
    fn any(&mut self, of: &[&'static str]) -> &'static str {
        of[self.random.below(of.len())]
    }

    fn step(&mut self) {
        let (idp, admin) = (self.app.idp(), self.app.admin());
        let (name, external) = (self.any(&NAMES), self.any(&EXTERNAL));
        let at = self.random.below(self.groups.len().max(1));
        match self.random.below(9) {
            0 | 1 => {
                let made = idp.post("/Groups", and(group(name, &[]), json!({"externalId": external})));
                if made.status == 201 {
                    self.groups.push((made.id(), name.to_owned(), external.to_owned()));
                }
            }
            2 if !self.groups.is_empty() => {
                let path = format!("/Groups/{}", self.groups[at].0);
                if idp.patch(&path, replace("displayName", name)).status == 200 {
                    self.groups[at].1 = name.to_owned();
                }
            }
            3 if !self.groups.is_empty() => {
                let path = format!("/Groups/{}", self.groups[at].0);
                if idp.patch(&path, replace("externalId", external)).status == 200 {
                    self.groups[at].2 = external.to_owned();
                }
            }
            4 if !self.groups.is_empty() => {
                idp.delete(&format!("/Groups/{}", self.groups.swap_remove(at).0)).expect(204);
            }
            5 | 6 => self.make_mapping(at, name),
            7 if self.mappings.len() > 2 => {
                let at = self.random.below(self.mappings.len());
                admin.delete(&format!("{PATH}/{}", self.mappings.remove(at).0)).expect(204);
            }
            _ => {
                let id = idp.post("/Users", user(&format!("u{}", self.random.next()))).expect(201).id();
                if let Some((group, ..)) = self.groups.get(at) {
                    idp.patch(&format!("/Groups/{group}"), add("members", json!([{"value": id}]))).expect(200);
                }
            }
        }
    }

    fn make_mapping(&mut self, at: usize, name: &str) {
        let group = match (self.random.below(3), self.groups.get(at)) {
            (0, Some((id, ..))) => json!({"id": id}),
            (1, _) => json!({"externalId": EXTERNAL[1 + self.random.below(2)]}),
            _ => json!({"displayName": name}),
        };
        let body = json!({"role": "billing.viewer", "source": {"group": group}});
        let made = self.app.admin().post(PATH, body);
        if made.status == 201 {
            self.mappings.push((made.id(), group));
        }
    }

    /// The groups of each mapping, found by looking at all of them.
    fn expected(&self) -> Vec<(String, Vec<(String, String)>)> {
        let meant = |source: &Value, (id, name, external): &(String, String, String)| match source {
            _ if source["id"] == json!(id) => true,
            _ if !external.is_empty() && source["externalId"] == json!(external) => true,
            source => source["displayName"].as_str().is_some_and(|own| own.to_lowercase() == name.to_lowercase()),
        };
        let of = |source: &Value| {
            let mut found: Vec<(String, String)> = self
                .groups
                .iter()
                .filter(|group| meant(source, group))
                .map(|(id, name, external)| (id.clone(), format!("{name}/{external}")))
                .collect();
            found.sort();
            found
        };
        self.mappings.iter().map(|(id, source)| (id.clone(), of(source))).collect()
    }
}

/// What the snapshot says of the groups of each mapping.
fn shown(answer: &Answer) -> Vec<(String, Vec<(String, String)>)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let group = |group: &Value| {
        assert!(group["externalIds"].as_array().unwrap().len() < 2);
        (text(&group["id"]), format!("{}/{}", text(&group["displayName"]), text(&group["externalIds"][0])))
    };
    let mappings = answer["mappings"].as_array().unwrap().iter().filter(|one| one.get("groups").is_some());
    mappings.map(|one| (text(&one["id"]), one["groups"].as_array().unwrap().iter().map(group).collect())).collect()
}

#[test]
fn equal_tags_mean_equal_bytes() {
    for_each_app(|app| {
        billing(app);
        let service = service(app);
        let mut story = Story { app, random: Random(7), groups: vec![], mappings: vec![] };
        let (mut known, mut steps_without) = (HashMap::<String, (String, Vec<u8>)>::new(), 0);
        for step in 0..80 {
            story.step();
            let plain = service.get(PATH).expect(200);
            seq(&plain);
            assert_eq!(shown(&plain), story.expected(), "step {step}");
            let packed = service.send("GET", PATH, &[("accept-encoding", "gzip")], "").expect(200);
            let entry = (plain.text.clone(), packed.bytes.clone());
            let before = known.entry(plain.header("etag").to_owned()).or_insert_with(|| entry.clone());
            assert_eq!(*before, entry, "step {step}");
            steps_without += usize::from(known.len() <= step);
        }
        assert!(known.len() > 15 && steps_without > 0, "{} tags", known.len());
    });
}
