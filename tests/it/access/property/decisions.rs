//! What services are told is what brute force says: evaluations, searches and explanations.

use serde_json::{Value, json};

use super::Story;
use crate::support::app::*;

/// What AuthZEN and `explain` say of everybody is what they hold.
pub fn check_decisions(story: &mut Story<'_>) {
    let permissions: Vec<String> = story.world.roles.values().map(|role| role.permission.clone()).collect();
    let Some(asked) = story.pick(&permissions) else { return };
    let (resource, action) = asked.rsplit_once(':').unwrap();
    let subject = |(id, is_agent): &(String, bool)| json!({"type": if *is_agent { "agent" } else { "user" }, "id": id});
    let evaluations: Vec<Value> = story.everybody.iter().map(|one| json!({"subject": subject(one)})).collect();
    let question = json!({"action": {"name": action}, "resource": {"type": resource, "id": "1"}});
    let admin = story.app.admin();
    let all = admin.post("/access/v1/evaluations", and(question.clone(), json!({"evaluations": evaluations})));
    for (n, one) in story.everybody.iter().enumerate() {
        let held = story.world.permissions(&story.world.access(&one.0, story.minute));
        let expected = held.contains(&asked);
        assert_eq!(all["evaluations"][n]["decision"], json!(expected), "{asked}, {one:?}: {all}");
        let own = and(question.clone(), json!({"subject": subject(one)}));
        let alone = admin.post("/access/v1/evaluation", own.clone()).expect(200);
        assert_eq!(alone["decision"], json!(expected), "{asked}, {one:?}");
        let explained = json!({"principal": subject(one), "permission": asked});
        let explained = admin.post("/v1/access/explain", explained).expect(200);
        assert_eq!(explained["allowed"], json!(expected), "{asked}: {explained}");
        assert_eq!(explained["reasons"] == json!([]), !expected, "{asked}: {explained}");
        // The api is open: what was granted by name is found, and nothing else.
        let found = admin.post("/access/v1/search/action", own.clone()).expect(200);
        let of_type =
            |own: &String| own.rsplit_once(':').filter(|(of, _)| *of == resource).map(|(_, name)| name.to_owned());
        let names: Vec<Value> = held.iter().filter_map(of_type).map(|name| json!({"name": name})).collect();
        assert_eq!(found["results"], json!(names), "{asked}, {one:?}");
        let found = admin.post("/access/v1/search/resource", own).expect(200);
        assert_eq!(found["page"]["count"], json!(u8::from(expected)), "{asked}, {one:?}");
    }
}

/// The subjects that AuthZEN finds, page by page, are those that hold a permission.
pub fn check_subjects(story: &mut Story<'_>) {
    let permissions: Vec<String> = story.world.roles.values().map(|role| role.permission.clone()).collect();
    let Some(asked) = story.pick(&permissions) else { return };
    let (resource, action) = asked.rsplit_once(':').unwrap();
    let limit = 1 + story.random.below(4);
    for (kind, agents) in [("user", false), ("agent", true)] {
        let question = json!({"subject": {"type": kind}, "action": {"name": action},
            "resource": {"type": resource, "id": "1"}});
        let (mut found, mut token) = (vec![], json!(""));
        loop {
            let page = and(question.clone(), json!({"page": {"limit": limit, "token": token}}));
            let page = story.app.admin().post("/access/v1/search/subject", page).expect(200);
            let results = page["results"].as_array().unwrap();
            assert!(results.len() <= limit && results.iter().all(|one| one["type"] == json!(kind)), "{page}");
            found.extend(results.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            token = page["page"]["next_token"].clone();
            if token == json!("") {
                break;
            }
        }
        found.sort();
        let may = |id: &&String| story.world.permissions(&story.world.access(id, story.minute)).contains(&asked);
        let mut expected: Vec<String> = story
            .everybody
            .iter()
            .filter(|(_, agent)| *agent == agents)
            .map(|(id, _)| id)
            .filter(may)
            .cloned()
            .collect();
        expected.sort();
        assert_eq!(found, expected, "{asked}, {kind}");
    }
}
