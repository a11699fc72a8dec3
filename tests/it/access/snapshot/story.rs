//! Whatever happens to groups and mappings, the snapshot says what brute force says, in the same bytes under one tag.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::catalogue::billing;
use super::{PATH, seq, service};
use crate::support::app::*;
use crate::support::random::Random;

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
