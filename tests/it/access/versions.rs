//! Tags of apis, roles and mappings: equal tags mean equal bytes, and who names a tag changes that version alone.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;

/// An api, a role inside another one, a third role, and a mapping to the outer one.
struct Scene<'a> {
    app: &'a TestApp,
    mapping: String,
    /// What each version of each item looked like.
    seen: HashMap<(String, String), String>,
}

const API: &str = "/v1/apis/billing";
const INNER: &str = "/v1/roles/billing.viewer";
const OUTER: &str = "/v1/roles/outer";
const OTHER: &str = "/v1/roles/other";
const FIXED: [&str; 2] = ["/v1/roles/keyroll.auditor", "/v1/apis/keyroll"];

fn outer(includes: &[&str], description: &str) -> Value {
    json!({"description": description, "includes": includes})
}

fn grant(app: &TestApp, role: &str, reason: &str) -> Value {
    let operator = app.admin().get("/v1/users/operator").expect(200).id();
    json!({"role": role, "source": {"person": {"type": "user", "id": operator}, "reason": reason}})
}

impl<'a> Scene<'a> {
    fn new(app: &'a TestApp) -> Scene<'a> {
        billing(app);
        let admin = app.admin();
        admin.post("/v1/roles", and(json!({"name": "outer"}), outer(&["billing.viewer"], ""))).expect(201);
        admin.post("/v1/roles", json!({"name": "other"})).expect(201);
        let mapping = admin.post("/v1/mappings", grant(app, "outer", "first")).expect(201);
        assert_eq!(mapping.header("etag"), last(app));
        Scene { app, mapping: mapping.header("location").to_owned(), seen: HashMap::new() }
    }

    /// The tag and the bytes of each item.
    fn look(&mut self) -> Vec<(String, String, String)> {
        let paths = [API, INNER, OUTER, OTHER, &self.mapping].into_iter().chain(FIXED);
        let look = |path: &str| {
            let answer = self.app.admin().get(path).expect(200);
            (path.to_owned(), answer.header("etag").to_owned(), answer.text)
        };
        let found: Vec<_> = paths.map(look).collect();
        for (path, tag, text) in &found {
            let known = self.seen.entry((path.clone(), tag.clone())).or_insert_with(|| text.clone());
            assert_eq!(known, text, "{path}: one tag, two answers");
        }
        found
    }

    /// A change, and whose tags it moves.
    #[track_caller]
    fn check(&mut self, moved: &[&str], change: impl FnOnce(&TestApp)) {
        let before = self.look();
        change(self.app);
        let after = self.look();
        let pairs = before.iter().zip(&after);
        let found: BTreeSet<&str> =
            pairs.filter(|(before, after)| before.1 != after.1).map(|(_, (path, ..))| path.as_str()).collect();
        assert_eq!(found, moved.iter().copied().collect());
        for (_, tag, _) in after.iter().filter(|(path, ..)| moved.contains(&path.as_str())) {
            assert_eq!(*tag, last(self.app), "the record that did it");
        }
    }
}

/// The tag that the last record makes.
fn last(app: &TestApp) -> String {
    format!("\"{}\"", app.service.tail_log(&app.host(), 1).unwrap()[0]["seq"])
}

/// The tag of an answer that is the same as what is read then.
#[track_caller]
fn put(app: &TestApp, path: &str, body: Value) {
    let done = app.admin().put(path, body).expect(200);
    let read = app.admin().get(path).expect(200);
    assert_eq!((done.header("etag"), &done.shown()), (read.header("etag"), &read.body));
}

#[test]
fn tags_move_with_what_is_shown() {
    for_each_app(|app| {
        let mut scene = Scene::new(app);
        let mapping = scene.mapping.clone();
        let routes = json!([{"method": "GET", "path": "/v2/invoices/{id}", "permission": "invoices:read"}]);
        let api = |text: &str| {
            json!({"description": text, "permissions": [{"name": "invoices:read"}, {"name": "invoices:write"}],
                "routes": routes})
        };
        scene.check(&[API], |app| put(app, API, api("x")));
        scene.check(&[INNER, OUTER, &mapping], |app| {
            put(app, INNER, json!({"permissions": ["billing:invoices:read", "billing:invoices:write"]}));
        });
        scene.check(&[OUTER, &mapping], |app| put(app, OUTER, outer(&["billing.viewer"], "y")));
        scene.check(&[OTHER], |app| put(app, OTHER, json!({"description": "z"})));
        scene.check(&[&mapping], |app| put(app, &mapping, grant(app, "outer", "second")));
        // The same again is no other version.
        let records = app.log().len();
        scene.check(&[], |app| {
            put(app, API, api("x"));
            put(app, OUTER, outer(&["billing.viewer"], "y"));
            put(app, OTHER, json!({"description": "z"}));
            put(app, &mapping, grant(app, "outer", "second"));
        });
        assert_eq!(app.log().len(), records);
        // Neither are people, groups, or other mappings.
        scene.check(&[], |app| {
            app.idp().post("/Groups", group("Finance", &[])).expect(201);
            let source = json!({"group": {"displayName": "Finance"}});
            app.admin().post("/v1/mappings", json!({"role": "outer", "source": source})).expect(201);
        });
        scene.check(&[OUTER, &mapping], |app| put(app, OUTER, outer(&[], "y")));
        scene.check(&[INNER], |app| put(app, INNER, json!({"permissions": ["billing:invoices:read"]})));
        scene.check(&[&mapping], |app| put(app, &mapping, grant(app, "other", "second")));
        scene.check(&[OUTER], |app| put(app, OUTER, outer(&["billing.viewer"], "y")));
        scene.check(&[OTHER, &mapping], |app| put(app, OTHER, outer(&["keyroll.auditor"], "")));
        // What is made anew is another version of the same name.
        app.admin().put(OTHER, json!({})).expect(200);
        put(app, &mapping, grant(app, "outer", "second"));
        scene.check(&[OTHER], |app| {
            app.admin().delete(OTHER).expect(204);
            let made = app.admin().post("/v1/roles", json!({"name": "other"})).expect(201);
            assert_eq!(made.header("etag"), last(app));
        });
    });
}

#[test]
fn who_has_a_version_is_not_sent_it_again() {
    for_each_app(|app| {
        let mut scene = Scene::new(app);
        for (path, tag, text) in scene.look() {
            let get = |name: &str, tags: &str| app.admin().send("GET", &path, &[(name, tags)], "");
            for tags in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
                let answer = get("if-none-match", &tags);
                assert_eq!((answer.status, answer.text.as_str(), answer.header("etag")), (304, "", tag.as_str()));
                assert_eq!(get("if-match", &tags).expect(200).text, text);
            }
            // A header without a value asks for nothing.
            for name in ["if-none-match", "if-match"] {
                assert_eq!(get(name, "").expect(200).text, text);
            }
            for tags in ["\"999\"", "999", "\"\""] {
                let answer = get("if-none-match", tags).expect(200);
                assert_eq!((&answer.text, answer.header("cache-control")), (&text, "private, no-cache"));
                get("if-match", tags).problem(412, "precondition_failed");
            }
            assert_eq!(tag == "\"0\"", FIXED.contains(&path.as_str()), "{path}: {tag}");
        }
    });
}

#[test]
fn another_version_is_left_alone() {
    for_each_app(|app| {
        let mut scene = Scene::new(app);
        let (admin, mapping) = (app.admin(), scene.mapping.clone());
        let bodies = [
            (API, json!({"description": "x", "permissions": [{"name": "invoices:read"}]})),
            (OUTER, outer(&["billing.viewer"], "x")),
            (OTHER, json!({"description": "x"})),
            (&mapping, grant(app, "outer", "other")),
        ];
        let stale = last(app);
        // What an included role gives is another version of the outer one and of the mapping to it.
        admin.put(API, json!({"permissions": [{"name": "invoices:read"}]})).expect(200);
        admin.put(OTHER, json!({"description": "now"})).expect(200);
        admin.put(INNER, json!({"permissions": []})).expect(200);
        let (before, records) = (scene.look(), app.log().len());
        for (path, body) in &bodies {
            let tag = admin.get(path).expect(200).header("etag").to_owned();
            for (method, path) in [("PUT", *path), ("DELETE", path), ("DELETE", &format!("{mapping}?dry_run=true"))] {
                for (name, tags) in [("if-match", stale.as_str()), ("if-match", "\"\""), ("if-match", "7")] {
                    let answer = admin.send(method, path, &[(name, tags)], body.to_string());
                    assert_eq!(answer.problem(412, "precondition_failed"), "the resource has another version");
                }
                if !path.contains('?') {
                    for tags in [tag.as_str(), "*"] {
                        let answer = admin.send(method, path, &[("if-none-match", tags)], body.to_string());
                        let detail = "If-None-Match: the resource has that version";
                        assert_eq!(answer.problem(412, "precondition_failed"), detail);
                    }
                }
            }
        }
        assert_eq!(app.log().len(), records);
        assert_eq!(scene.look(), before);
        for (path, body) in &bodies {
            let tag = admin.get(path).expect(200).header("etag").to_owned();
            let done = admin.send("PUT", path, &[("if-match", &tag)], body.to_string()).expect(200);
            assert_eq!(done.header("etag"), last(app));
            // An unchanged body is held to its tag as well.
            admin.send("PUT", path, &[("if-match", &tag)], body.to_string()).problem(412, "precondition_failed");
            admin.send("PUT", path, &[("if-match", "*")], body.to_string()).expect(200);
        }
        for path in [&mapping, OTHER, OUTER] {
            let tag = admin.get(path).expect(200).header("etag").to_owned();
            assert_eq!(admin.send("DELETE", path, &[("if-match", &format!("\"x\", {tag}"))], "").status, 204);
            admin.send("DELETE", path, &[("if-match", "*")], "").problem(404, "not_found");
        }
        admin.delete(INNER).expect(204);
        assert_eq!(admin.send("DELETE", API, &[("if-match", "*")], "").status, 204);
        admin.send("DELETE", API, &[("if-match", "\"1\"")], "").problem(404, "not_found");
        let records = app.log().len();
        for path in [FIXED[0], FIXED[1]] {
            admin.send("DELETE", path, &[("if-match", "\"0\"")], "").problem(403, "forbidden");
        }
        assert_eq!(app.log().len(), records);
    });
}
