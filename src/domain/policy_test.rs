//! A policy that grew by changes is the one that is arranged at once.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Items by number, each as some record made it.
#[derive(Clone, Default)]
struct Catalogue {
    apis: Numbered<Api>,
    roles: Numbered<Role>,
    mappings: Numbered<Mapping>,
}

type Numbered<T> = BTreeMap<u8, (T, i64)>;

/// What is put or removed: the kind, the number of the item, and what it says; `None` removes it.
type Step = (u8, u8, Option<u8>);

fn id(number: u8) -> Id {
    Id::from_bytes(&[number; 16]).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn mapping(number: u8, content: u8) -> Mapping {
    let name = content / 6 % 3;
    let source = match content % 6 {
        0 => json!({"group": {"id": id(name).to_string()}}),
        1 => json!({"group": {"displayName": (["Ops", "ops", "Sales"][usize::from(name)])}}),
        2 => json!({"group": {"externalId": format!("g{name}")}}),
        3 => json!({"rule": format!("title eq \"t{name}\"")}),
        4 => json!({"asserted": {"attribute": "roles", "value": (["V", "v", "w"][usize::from(name)])}}),
        _ => json!({"person": {"type": "agent", "id": id(name).to_string()}, "reason": "r", "expires_at": null}),
    };
    Mapping::new(id(number), ["r0", "r1", "keyroll.admin"][usize::from(content % 3)], read(source))
}

impl Catalogue {
    fn apply(&mut self, (kind, number, content): Step, seq: i64) {
        match (kind, content) {
            (0, None) => drop(self.apis.remove(&number)),
            (1, None) => drop(self.roles.remove(&number)),
            (_, None) => drop(self.mappings.remove(&number)),
            (0, Some(content)) => {
                let api = json!({"name": format!("a{number}"), "description": content.to_string(), "open": true});
                self.apis.insert(number, (read(api), seq));
            }
            (1, Some(content)) => {
                let includes: Vec<String> = if content % 2 == 0 { vec!["r0".to_owned()] } else { vec![] };
                let role = json!({"name": format!("r{number}"), "includes": includes,
                    "permissions": [format!("a{}:x{}:read", content % 3, content % 4)]});
                self.roles.insert(number, (read(role), seq));
            }
            (_, Some(content)) => drop(self.mappings.insert(number, (mapping(number, content), seq))),
        }
    }

    fn all(&self) -> CatalogueChange {
        CatalogueChange {
            apis: self.apis.values().cloned().collect(),
            roles: self.roles.values().cloned().collect(),
            mappings: self.mappings.values().cloned().collect(),
            gone: Removed::default(),
        }
    }

    /// What has changed since another: replaced items have gone and come.
    fn since(&self, before: &Catalogue) -> CatalogueChange {
        fn other<T: Clone>(these: &Numbered<T>, those: &Numbered<T>) -> Vec<(T, i64)> {
            let differs = |(number, one): &(&u8, &(T, i64))| those.get(number).map(|one| one.1) != Some(one.1);
            these.iter().filter(differs).map(|(_, one)| one.clone()).collect()
        }
        let gone = Removed {
            apis: other(&before.apis, &self.apis).into_iter().map(|(api, _)| api.name).collect(),
            roles: other(&before.roles, &self.roles).into_iter().map(|(role, _)| role.name).collect(),
            mappings: other(&before.mappings, &self.mappings).into_iter().map(|(mapping, _)| mapping.id).collect(),
        };
        CatalogueChange {
            apis: other(&self.apis, &before.apis),
            roles: other(&self.roles, &before.roles),
            mappings: other(&self.mappings, &before.mappings),
            gone,
        }
    }
}

/// All that a policy answers.
fn seen(policy: &Policy) -> Vec<String> {
    let mut seen = vec![format!("{:?} {:?}", policy.apis(), policy.roles())];
    seen.extend(policy.apis().keys().map(|api| policy.api_version(api).to_string()));
    for name in policy.roles().keys() {
        seen.push(format!("{:?} {:?} {}", policy.gains(name), policy.permissions(name), policy.role_version(name)));
    }
    seen.extend(policy.mappings().map(|one| format!("{:?} {} {:?}", one.mapping, one.from_seq, one.rule)));
    seen.push(format!("{:?}", policy.rules().map(|(at, _)| at).collect::<Vec<_>>()));
    for number in 0..3 {
        let display = Some(["Ops", "oPS", "sales"][usize::from(number)].to_owned());
        let external_ids = vec![format!("g{number}")];
        let group = GroupFacts { key: 0, id: id(number), display, external_ids };
        seen.push(format!("{:?} {:?}", policy.of_group(&group), policy.of_person(&id(number))));
        seen.push(format!("{:?} {:?}", policy.of_asserted("roles", "v"), policy.of_asserted("roles", "W")));
        seen.push(format!("{:?}", policy.find(&id(number)).map(|(at, one)| (at, one.mapping.id))));
    }
    let flags = [policy.has_groups(), policy.has_external_ids(), policy.has_asserted(), policy.reads_documents()];
    seen.push(format!("{flags:?} {} {}", policy.keyroll_by_agents(), policy.keyroll_by_scim()));
    seen
}

proptest! {
    #[test]
    fn changes_lead_where_a_new_start_leads(
        rounds in proptest::collection::vec(
            proptest::collection::vec((0u8..6, 0u8..4, proptest::option::weighted(0.7, 0u8..18)), 0..6), 1..6)
    ) {
        let (mut now, mut grown, mut seq) = (Catalogue::default(), Policy::default(), 0);
        for round in rounds {
            let before = now.clone();
            for step in round {
                seq += 1;
                now.apply(step, seq);
            }
            grown = grown.with(now.since(&before));
            prop_assert_eq!(seen(&grown), seen(&Policy::default().with(now.all())));
            // What is known already changes nothing.
            grown = grown.with(now.since(&before));
            prop_assert_eq!(seen(&grown), seen(&Policy::default().with(now.all())));
        }
    }
}
