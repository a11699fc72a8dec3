//! The signed form, which services verify by themselves.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use super::super::catalogue::billing;
use super::{PATH, map, seq, service};
use crate::support::app::*;

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
