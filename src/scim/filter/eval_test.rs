use serde_json::json;

use super::super::super::schema::registry;
use super::super::super::tolerance::{Dialect, Tolerances};
use super::super::{Unknown, bind, parse};
use super::*;

fn mira() -> Map<String, Value> {
    let document = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "id": "u1",
        "externalId": "Mira",
        "userName": "Mira@North.example",
        "name": {"familyName": "O'Malley", "givenName": "Éva"},
        "nickName": "",
        "title": null,
        "active": false,
        "emails": [
            {"value": "mira@north.example", "type": "work", "primary": true},
            {"value": "m@home.example", "type": "home"}
        ],
        "phoneNumbers": [],
        "ims": [{}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Harbour", "manager": {"value": "u9"}},
        "meta": {"resourceType": "User", "created": "2011-05-13T04:42:34Z", "lastModified": "2011-05-13T04:42:34.120Z"}
    });
    document.as_object().cloned().unwrap()
}

fn decide(text: &str) -> bool {
    let mut tolerances = Tolerances::new(Dialect::Auto);
    let filter = parse(text, &mut tolerances).unwrap();
    let user = registry().by_name("User").unwrap();
    let bound = bind(&filter, user, Unknown::NoValue, &mut tolerances).unwrap();
    matches(&bound, &mira())
}

fn check(expected: bool, filters: &[&str]) {
    for filter in filters {
        assert_eq!(decide(filter), expected, "{filter}");
    }
}

#[test]
fn strings() {
    check(
        true,
        &[
            r#"userName eq "mira@north.EXAMPLE""#,
            r#"userName eq "ｍira@north.example""#,
            r#"externalId eq "Mira""#,
            r#"name.givenName eq "e\u0301VA""#,
            r#"name.familyName co "o'mal""#,
            r#"userName sw "MIRA@""#,
            r#"userName ew "Example""#,
            r#"userName gt "mira""#,
            r#"userName ge "MIRA@north.example""#,
            r#"userName lt "mirb""#,
            r#"userName le "mira@north.example""#,
            r#"schemas eq "URN:ietf:params:scim:schemas:core:2.0:user""#,
            r#"meta.resourceType eq "User""#,
            r#"userName co """#,
        ],
    );
    check(
        false,
        &[
            r#"externalId eq "mira""#,
            r#"id eq "U1""#,
            r#"meta.resourceType eq "user""#,
            r#"userName eq "mira""#,
            r#"userName ew "mira""#,
            r#"userName gt "mira@north.example""#,
            r#"userName lt "Mira@North.example""#,
            r#"nickName co """#,
        ],
    );
}

#[test]
fn presence_and_absence() {
    check(true, &["userName pr", "active pr", "name pr", "emails pr", "emails.primary pr", "meta.created pr"]);
    check(false, &["nickName pr", "title pr", "phoneNumbers pr", "ims pr", "ims.value pr", "addresses pr", "shoe pr"]);
    check(true, &["nickName eq null", "title eq null", "active ne null", "shoe eq null", r#"shoe ne "x""#]);
    check(true, &[r#"title ne "x""#, r#"phoneNumbers.type ne "work""#, r#"not (title eq "x")"#]);
    check(false, &[r#"title eq "x""#, r#"title co "x""#, r#"title gt "a""#, "userName eq null", r#"nickName eq """#]);
    let e = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    check(true, &[&format!("{e} pr"), &format!(r#"{e}:department eq "harbour""#), &format!(r#"{e}:manager eq "u9""#)]);
    check(false, &[&format!("{e}:division pr"), &format!(r#"{e}:manager ne "u9""#)]);
}

#[test]
fn booleans_and_times() {
    check(true, &["active eq false", r#"active eq "False""#, "active ne true", "emails.primary eq true"]);
    check(false, &["active eq true", "active ne false"]);
    check(
        true,
        &[
            r#"meta.created eq "2011-05-13T04:42:34.000Z""#,
            r#"meta.created eq "2011-05-13T06:42:34+02:00""#,
            r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
            r#"meta.lastModified le "2011-05-13T04:42:34.12Z""#,
        ],
    );
    check(
        false,
        &[r#"meta.created gt "2011-05-13T05:42:34+02:00" and title pr"#, r#"meta.created ne "2011-05-13T04:42:34Z""#],
    );
}

#[test]
fn any_value_and_same_element() {
    check(
        true,
        &[
            r#"emails.type eq "work" and emails.value co "home""#,
            r#"emails[type eq "work" and value co "north"]"#,
            r#"emails co "HOME""#,
            r#"emails.type ne "work""#,
            r#"emails[not (primary eq true)]"#,
            r#"emails[primary ne true]"#,
            r#"emails[type eq "work"].value eq "MIRA@north.example""#,
            r#"name[givenName eq "éva"]"#,
            r#"not (ims[value pr])"#,
            r#"ims[value ne "x"]"#,
        ],
    );
    check(
        false,
        &[
            r#"emails[type eq "work" and value co "home"]"#,
            r#"emails[type eq "home"].primary pr"#,
            r#"phoneNumbers[type ne "work"]"#,
            r#"emails[value ne "m@home.example" and type eq "home"]"#,
        ],
    );
}

#[test]
fn logic() {
    check(true, &["title pr or userName pr and active pr", "not (title pr)", "not (title pr and userName pr)"]);
    check(false, &["(title pr or userName pr) and ims pr", "not (userName pr)"]);
}
