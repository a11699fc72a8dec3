//! Signatures: whoever has `/.well-known/jwks.json` verifies what Keyroll signed, and no other key passes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use keyroll::service::signing;
use serde_json::{Value, json};

use crate::support::app::{START, TestApp, for_each_app};
use crate::support::server::Installation;

const TYP: &str = "keyroll-test+jwt";

/// The claims, if the signature is by a key of the set and meant for us at this time.
fn verify(app: &TestApp, token: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let set: JwkSet = serde_json::from_str(&app.anonymous().get("/.well-known/jwks.json").expect(200).text).unwrap();
    let header = decode_header(token)?;
    assert_eq!((header.typ.as_deref(), header.alg), (Some(TYP), Algorithm::EdDSA));
    let key = DecodingKey::from_jwk(set.find(&header.kid.unwrap()).unwrap())?;
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_issuer(&["https://keyroll.example"]);
    // The story's time stands still.
    rules.validate_exp = false;
    Ok(decode::<Value>(token, &key, &rules)?.claims)
}

#[test]
fn what_is_signed_verifies_with_the_published_keys_alone() {
    for_each_app(|app| {
        let iat = START / 1_000;
        let claims = json!({"iss": "https://keyroll.example", "iat": iat, "exp": iat + 300, "as_of_seq": 17});
        let token = signing::sign(&app.service, TYP, &claims).unwrap();
        assert_eq!(verify(app, &token).unwrap(), claims);
        let parts: Vec<&str> = token.split('.').collect();
        let other =
            signing::sign(&app.service, TYP, &json!({"iss": "https://keyroll.example", "exp": iat + 999})).unwrap();
        let forged = [parts[0], other.split('.').nth(1).unwrap(), parts[2]].join(".");
        assert_eq!(verify(app, &forged).unwrap_err().to_string(), "InvalidSignature");
    });
}

#[test]
fn the_keys_are_public_and_may_be_kept_for_minutes() {
    for_each_app(|app| {
        let answer = app.anonymous().get("/.well-known/jwks.json");
        assert_eq!(answer.header("content-type"), "application/jwk-set+json");
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        assert_snapshot!(answer, @r#"
        200
        {
          "keys": [
            {
              "use": "sig",
              "alg": "EdDSA",
              "kid": "xW2YFZ0d7hmszPDdZcsQRNOZZwbHCuoIxiOZduAvdtM",
              "kty": "OKP",
              "crv": "Ed25519",
              "x": "ZNAxRsgFRuiZwgjU5DhaBafW-qsWqpmBp8u2s3iYUJ8"
            }
          ]
        }
        "#);
        // Everybody sees the same, whatever they send along.
        assert_eq!(app.admin().get("/.well-known/jwks.json").expect(200).body, answer.body);
        assert_eq!(app.with_key("kru_x").get("/.well-known/jwks.json").expect(200).body, answer.body);
    });
}

#[test]
fn the_key_outlives_the_server_and_is_made_for_installations_that_have_none() {
    for place in Installation::each() {
        let keys = |place: &Installation| place.serve(&[]).client("").get("/.well-known/jwks.json").expect(200).json();
        let first = keys(&place);
        let file = place.data_dir().join("signing.key");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keys(&place), first);
        // As an installation was before there were signatures.
        fs::remove_file(&file).unwrap();
        place.sql("DELETE FROM installation WHERE name = 'signing_fingerprint'");
        let second = keys(&place);
        assert_ne!(second, first);
        assert_eq!(keys(&place), second);
    }
}
