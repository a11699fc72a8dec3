//! Each tolerance, in each dialect: accepted and named, or refused.

use keyroll::scim::tolerance::{Dialect, Tolerance};
use serde_json::{Value, json};

use crate::support::app::*;

const DIALECTS: [Dialect; 5] = [Dialect::Auto, Dialect::Rfc, Dialect::Entra, Dialect::Okta, Dialect::Strict];

/// A PATCH of a User that needs this tolerance and no other, and what one attribute is afterwards.
fn request(tolerance: Tolerance) -> Option<(Value, &'static str, Value)> {
    let emails = json!([{"value": "work@example.com", "type": "work"}, {"value": "home@example.com", "type": "home"}]);
    let other = |elements: &Value| {
        let mut elements = elements.clone();
        elements.as_array_mut().unwrap().push(json!({"type": "other", "value": "new@example.com"}));
        elements
    };
    let one = |operation: Value| patch(json!([operation]));
    Some(match tolerance {
        Tolerance::OpCase => (one(json!({"op": "Replace", "path": "title", "value": "x"})), "title", json!("x")),
        Tolerance::BooleanText => (replace("active", "False"), "active", json!(false)),
        Tolerance::RemoveValues => {
            let value = json!([{"value": "home@example.com", "type": "home"}]);
            (one(json!({"op": "remove", "path": "emails", "value": value})), "emails", json!([emails[0]]))
        }
        Tolerance::ReplaceCreates => {
            (replace("emails[type eq \"other\"].value", "new@example.com"), "emails", other(&emails))
        }
        Tolerance::AddCreates => (add("emails[type eq \"other\"].value", "new@example.com"), "emails", other(&emails)),
        Tolerance::ComplexBare => {
            (replace(&format!("{ENTERPRISE}:manager"), "7"), ENTERPRISE, json!({"manager": {"value": "7"}}))
        }
        Tolerance::EmptyText => (replace("active", ""), "active", Value::Null),
        Tolerance::PathKeys => {
            (one(json!({"op": "replace", "value": {"name.givenName": "M"}})), "name", json!({"givenName": "M"}))
        }
        Tolerance::UnknownSchema => {
            (one(json!({"op": "replace", "value": {"urn:example:x": {"a": 1}, "title": "x"}})), "title", json!("x"))
        }
        Tolerance::UnknownAttribute => {
            (one(json!({"op": "replace", "value": {"shoeSize": 43, "title": "x"}})), "title", json!("x"))
        }
        Tolerance::SchemasMissing => {
            (json!({"Operations": [{"op": "replace", "path": "title", "value": "x"}]}), "title", json!("x"))
        }
        Tolerance::ReadOnlyIgnored => {
            (one(json!({"op": "replace", "value": {"id": "7", "title": "x"}})), "title", json!("x"))
        }
        Tolerance::Password => (replace("password", "9xPq"), "password", Value::Null),
        Tolerance::UnquotedText => (remove("emails[type eq home]"), "emails", json!([emails[0]])),
        Tolerance::RemoveAbsent => (remove("emails[type eq \"other\"]"), "emails", emails),
        Tolerance::ListOfOne => (replace("title", json!(["x"])), "title", json!("x")),
        Tolerance::NoOperations => (patch(json!([])), "title", json!("Dr")),
        Tolerance::EmptyPath => {
            (one(json!({"op": "replace", "path": "", "value": {"title": "x"}})), "title", json!("x"))
        }
        Tolerance::OverLimit => (replace("title", "x".repeat(65_537)), "title", json!("Dr")),
        Tolerance::Beside => {
            let off = json!({"op": "replace", "path": "active", "value": false});
            (patch(json!([{"op": "replace", "path": "title", "value": {"x": 1}}, off])), "active", json!(false))
        }
        Tolerance::BareOperation => {
            let lone = json!({"op": "replace", "path": "title", "value": "x"});
            (json!({"schemas": [PATCH], "Operations": lone}), "title", json!("x"))
        }
        Tolerance::OtherOp => (one(json!({"op": "update", "path": "title", "value": "x"})), "title", json!("x")),
        Tolerance::SeveralActive => (replace("active", json!([true, false])), "active", json!(false)),
        // Users refer to nobody who has to be there: see `leavers`.
        Tolerance::UnknownReference => return None,
        // A PATCH is no job: see `bulk`.
        Tolerance::SharedBulkId => return None,
        // Nor have they members.
        Tolerance::PathlessRemove | Tolerance::MemberValue | Tolerance::MemberSpelling => return None,
        // No published attribute is a number; names in filters are below, and discovery has its own tests.
        Tolerance::NumberText | Tolerance::BareExtensionName | Tolerance::PlainConfig => return None,
    })
}

#[test]
fn every_tolerance_holds_where_the_table_says() {
    let app = TestApp::sqlite();
    for dialect in DIALECTS {
        let idp = if dialect == Dialect::Auto { app.idp() } else { app.connect(dialect) };
        for (n, tolerance) in Tolerance::ALL.iter().enumerate() {
            let Some((body, name, expected)) = request(*tolerance) else { continue };
            let emails =
                json!([{"value": "work@example.com", "type": "work"}, {"value": "home@example.com", "type": "home"}]);
            let whole =
                and(user(&format!("{}{n}@example.com", dialect.name())), json!({"title": "Dr", "emails": emails}));
            let created = idp.post("/Users", whole).expect(201);
            assert_eq!(created.header("keyroll-tolerance"), "");
            let path = format!("/Users/{}", created.id());
            let answer = idp.patch(&path, body);
            let about = format!("{tolerance:?} in {}", dialect.name());
            if tolerance.dialects().contains(&dialect) {
                assert_eq!(answer.status, 200, "{about}: {answer}");
                assert_eq!(answer.header("keyroll-tolerance"), tolerance.name(), "{about}");
                assert_eq!(answer[name], expected, "{about}");
            } else {
                assert_eq!(answer.status, 400, "{about}: {answer}");
                assert!(answer["scimType"].is_string(), "{about}: {answer}");
                assert_eq!(idp.get(&path).expect(200).body, created.body, "{about}");
            }
        }
    }
}

#[test]
fn no_number_is_published() {
    // When this fails, NumberText needs its case above.
    let schemas = TestApp::sqlite().anonymous().get("/Schemas").expect(200);
    let of_resources = schemas["Resources"].as_array().unwrap().iter().filter(|schema| {
        let id = schema["id"].as_str().unwrap();
        [USER, GROUP, AGENT, ENTERPRISE].contains(&id)
    });
    for schema in of_resources {
        let text = schema.to_string();
        assert!(!text.contains("\"integer\"") && !text.contains("\"decimal\""), "{}", schema["id"]);
    }
}

#[test]
fn an_answer_names_all_that_was_needed() {
    let app = TestApp::sqlite();
    let idp = app.idp();
    let body = json!({"userName": "mira@example.com", "active": "True", "password": "x", "title": ""});
    let created = idp.post("/Users", body).expect(201);
    assert_eq!(created.header("keyroll-tolerance"), "entra-002, entra-007, auto-001, okta-001");
    let path = format!("/Users/{}", created.id());
    let one = |title: &str| json!({"Op": "Replace", "path": "title", "value": title});
    assert_eq!(idp.patch(&path, patch(json!([one("a")]))).expect(200).header("keyroll-tolerance"), "entra-001");
    let job = bulk(json!([
        {"method": "PATCH", "path": path, "data": patch(json!([one("b")]))},
        {"method": "PATCH", "path": path, "data": replace("active", "False")},
    ]));
    assert_eq!(idp.post("/Bulk", job).expect(200).header("keyroll-tolerance"), "entra-001, entra-002");
}

#[test]
fn entra_and_okta_are_understood_without_being_named() {
    for_each_app(|app| {
        let idp = app.idp();
        // Entra ID creates, then disables, in its own words.
        let entra = json!({
            "schemas": [USER, ENTERPRISE],
            "externalId": "0a21f0f2", "userName": "mira@example.com", "active": true,
            "emails": [{"primary": true, "type": "work", "value": "mira@example.com"}],
            "meta": {"resourceType": "User"},
            "name": {"formatted": "Mira Holt", "familyName": "Holt", "givenName": "Mira"}, "roles": [],
        });
        let path = format!("/Users/{}", idp.post("/Users", entra).expect(201).id());
        let changes = patch(json!([
            {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "m.holt@example.com"},
            {"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+49 1"},
            {"op": "Replace", "value": {"name.familyName": "Holt-Berg", (format!("{ENTERPRISE}:department")): "R"}},
            {"op": "Replace", "path": "active", "value": "False"},
        ]));
        let changed = idp.patch(&path, changes).expect(200);
        assert_eq!(changed["emails"][0]["value"], json!("m.holt@example.com"));
        assert_eq!(changed["phoneNumbers"], json!([{"type": "mobile", "value": "+49 1"}]));
        assert_eq!((&changed["name"]["familyName"], &changed["active"]), (&json!("Holt-Berg"), &json!(false)));
        assert_eq!(changed[ENTERPRISE], json!({"department": "R"}));
        // Okta reads the user, changes it, and puts all of it back, `groups` and `meta` included.
        let mut whole = idp.get(&path).expect(200).body;
        whole["active"] = json!(true);
        whole["groups"] = json!([]);
        whole["password"] = json!("Hunter2");
        let put = idp.put(&path, whole).expect(200);
        assert_eq!((&put["active"], put.header("keyroll-tolerance")), (&json!(true), "auto-001"));
        let off = idp.patch(&path, patch(json!([{"op": "replace", "value": {"active": false}}]))).expect(200);
        assert_eq!((&off["active"], off.header("keyroll-tolerance")), (&json!(false), ""));
    });
}

#[test]
fn a_removal_that_takes_nobody_away_is_named_or_refused() {
    for_each_app(|app| {
        for dialect in DIALECTS {
            let idp = if dialect == Dialect::Auto { app.idp() } else { app.connect(dialect) };
            let hire =
                |tag: &str| idp.post("/Users", user(&format!("{tag}-{}@x.example", dialect.name()))).expect(201).id();
            let (mira, tom) = (hire("mira"), hire("tom"));
            let path = format!("/Groups/{}", idp.post("/Groups", group(dialect.name(), &[&mira])).expect(201).id());
            let gone = |id: &str| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")});
            let come = json!({"op": "add", "path": "members", "value": [{"value": tom}]});
            let nobody = app.id(999);
            for (n, operations) in [
                json!([gone(&tom)]),
                json!([gone(&nobody)]),
                json!([gone("x")]),
                json!([{"op": "remove", "path": "members[display eq \"x\"]"}]),
                json!([{"op": "remove", "path": format!("members[value eq \"{tom}\" or value eq \"{nobody}\"]")}]),
                json!([gone(&mira), gone(&mira)]),
                json!([{"op": "remove", "path": "members"}, gone(&mira)]),
            ]
            .into_iter()
            .enumerate()
            {
                let answer = idp.patch(&path, patch(operations.clone()));
                if dialect == Dialect::Strict {
                    assert_eq!(answer.scim_error(400, "noTarget"), "members: no element matches", "{operations}");
                    assert_eq!(idp.get(&path).expect(200).members(), [mira.as_str()], "{operations}");
                } else if n < 5 {
                    assert_eq!((answer.status, answer.header("keyroll-tolerance")), (200, "auto-002"), "{operations}");
                } else {
                    idp.patch(&path, add("members", json!([{"value": mira}]))).expect(200);
                }
            }
            // Who comes and goes in one request was there.
            let answer = idp.patch(&path, patch(json!([come, gone(&tom)]))).expect(200);
            assert_eq!(answer.members(), [mira.as_str()]);
            let either = format!("members[value eq \"{mira}\" or value eq \"{tom}\"]");
            let answer = idp.patch(&path, remove(&either)).expect(200);
            assert!(answer.members().is_empty(), "{answer}");
        }
    });
}

#[test]
fn an_attribute_of_an_extension_may_be_named_alone_in_a_filter() {
    let app = TestApp::sqlite();
    for dialect in DIALECTS {
        let idp = if dialect == Dialect::Auto { app.idp() } else { app.connect(dialect) };
        let body =
            and(user(&format!("{}@example.com", dialect.name())), json!({ENTERPRISE: {"department": dialect.name()}}));
        idp.post("/Users", body).expect(201);
        let found = idp.get(&format!("/Users?filter=department%20eq%20%22{}%22", dialect.name()));
        if Tolerance::BareExtensionName.dialects().contains(&dialect) {
            assert_eq!((found.each("userName").len(), found.header("keyroll-tolerance")), (1, "entra-010"), "{found}");
        } else {
            found.scim_error(400, "invalidFilter");
        }
    }
}

/// `KEYROLL_TEST_UPDATE_GOLDEN=1` writes the page anew.
#[test]
fn the_page_of_tolerances_names_every_one() {
    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tolerances.md");
    let mut page = "# Tolerances\n\nWhat Keyroll takes beside the standard, by the dialect of the connection. The answer's header \
        `Keyroll-Tolerance` gives the\ncodes of those that a request needed, and so does the record in the log.\n\n\
        | code | dialects | what |\n| --- | --- | --- |\n"
        .to_owned();
    for tolerance in Tolerance::ALL {
        let dialects: Vec<String> =
            tolerance.dialects().iter().map(|dialect| format!("`{}`", dialect.name())).collect();
        page += &format!("| `{}` | {} | {} |\n", tolerance.name(), dialects.join(", "), tolerance.about().trim());
    }
    if std::env::var_os("KEYROLL_TEST_UPDATE_GOLDEN").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(PAGE).unwrap(), page);
}
