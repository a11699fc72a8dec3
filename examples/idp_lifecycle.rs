//! A company's month, as its identity provider and an admin live it: joiners, movers, leavers, and after
//! each step the question that matters: whose keys work? At its end it reports who may do what, one line
//! for each person: `userName roles permissions`.
//!
//! ```text
//! cargo run --release -- serve                # prints the three arguments
//! cargo run --release --example idp_lifecycle -- SCIM_BASE_URL PROVISIONING_KEY ADMIN_KEY
//! ```
//!
//! The people are in `examples/joiners.csv`: when they join, move, leave, return and are deleted. Every
//! answer of the server is compared with what the file says; the first difference ends the program.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a program for people"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};

const PEOPLE: &str = include_str!("joiners.csv");
const DAYS: u32 = 30;
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A line of the file: on which day what happens.
#[derive(Clone, Debug, Deserialize)]
struct Person {
    user_name: String,
    given_name: String,
    family_name: String,
    department: String,
    joins: u32,
    moves: Option<u32>,
    moves_to: Option<String>,
    leaves: Option<u32>,
    returns: Option<u32>,
    is_deleted: Option<u32>,
}

/// A person in the company: what the server knows and what their key must answer.
struct Employee {
    person: Person,
    id: String,
    key: String,
    group: String,
    expected: &'static str,
}

/// The two sides of the server.
struct Company {
    agent: ureq::Agent,
    scim: String,
    api: String,
    provisioning_key: String,
    admin_key: String,
}

impl Company {
    fn send(&self, method: &str, url: &str, key: &str, body: Option<&Value>) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("Authorization", format!("Bearer {key}"))
            .header("Content-Type", "application/scim+json");
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.agent.run(request.body(body).expect("a request"));
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
        let text = answer.body_mut().read_to_string().expect("text");
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// What the identity provider sends; the answer must have this status.
    fn idp(&self, method: &str, path: &str, body: Option<&Value>, status: u16) -> Value {
        let (got, answer) = self.send(method, &format!("{}{path}", self.scim), &self.provisioning_key, body);
        assert_eq!(got, status, "{method} {path}: {answer}");
        answer
    }

    /// What an admin sends.
    fn admin(&self, path: &str, body: &Value, status: u16) -> Value {
        let (got, answer) = self.send("POST", &format!("{}{path}", self.api), &self.admin_key, Some(body));
        assert_eq!(got, status, "POST {path}: {answer}");
        answer
    }

    /// What an admin asks.
    fn ask(&self, path: &str) -> Value {
        let (got, answer) = self.send("GET", &format!("{}{path}", self.api), &self.admin_key, None);
        assert_eq!(got, 200, "GET {path}: {answer}");
        answer
    }

    /// What a service asks when a request with this key comes in.
    fn verify(&self, key: &str) -> String {
        text(&self.admin("/verify", &json!({"key": key}), 200), "code")
    }

    fn patch(&self, path: &str, operations: &Value) {
        // Large groups are not echoed: 200 and 204 are both right.
        let body = json!({"schemas": [PATCH], "Operations": operations});
        self.idp("PATCH", &format!("{path}?attributes=id"), Some(&body), 200);
    }

    fn join(&self, person: Person, groups: &BTreeMap<String, String>) -> Employee {
        let body = json!({
            "schemas": [USER, ENTERPRISE], "userName": person.user_name, "externalId": person.user_name,
            "name": {"givenName": person.given_name, "familyName": person.family_name},
            "emails": [{"value": person.user_name, "type": "work", "primary": true}],
            ENTERPRISE: {"department": person.department},
        });
        let id = text(&self.idp("POST", "/Users", Some(&body), 201), "id");
        let group = groups.get(&person.department).expect("a department").clone();
        self.patch(&format!("/Groups/{group}"), &json!([{"op": "add", "path": "members", "value": [{"value": id}]}]));
        let issue = json!({"name": "laptop", "owner": {"type": "user", "id": id}, "expires_in": "P30D"});
        let key = text(&self.admin("/keys", &issue, 201), "key");
        Employee { person, id, key, group, expected: "VALID" }
    }

    /// Moves somebody to another department: out of one group, into another.
    fn relocate(&self, employee: &mut Employee, to: &str, groups: &BTreeMap<String, String>) {
        let id = &employee.id;
        let target = groups.get(to).expect("a department").clone();
        let out = json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]);
        self.patch(&format!("/Groups/{}", employee.group), &out);
        self.patch(&format!("/Groups/{target}"), &json!([{"op": "add", "path": "members", "value": [{"value": id}]}]));
        let department = json!([{"op": "replace", "path": format!("{ENTERPRISE}:department"), "value": to}]);
        self.patch(&format!("/Users/{id}"), &department);
        let user = self.idp("GET", &format!("/Users/{id}"), None, 200);
        assert_eq!(user["groups"][0]["value"], json!(target), "{user}");
        assert_eq!(user["groups"][0]["display"], json!(to), "{user}");
        employee.group = target;
    }

    /// Switches somebody off or on, as Entra writes it.
    fn set_active(&self, employee: &mut Employee, active: bool) {
        let value = if active { "True" } else { "False" };
        let body = json!([{"op": "Replace", "path": "active", "value": value}]);
        self.patch(&format!("/Users/{}", employee.id), &body);
        employee.expected = if active { "VALID" } else { "OWNER_INACTIVE" };
    }

    fn delete(&self, employee: &mut Employee) {
        self.idp("DELETE", &format!("/Users/{}", employee.id), None, 204);
        self.idp("GET", &format!("/Users/{}", employee.id), None, 404);
        employee.expected = "REVOKED";
    }
}

fn text(value: &Value, member: &str) -> String {
    value.get(member).and_then(Value::as_str).unwrap_or_else(|| panic!("no {member} in {value}")).to_owned()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scim, provisioning_key, admin_key] = arguments.as_slice() else {
        println!("usage: idp_lifecycle SCIM_BASE_URL PROVISIONING_KEY ADMIN_KEY (keyroll serve prints them)");
        std::process::exit(2);
    };
    let company = Company {
        agent: ureq::Agent::config_builder().http_status_as_error(false).build().into(),
        scim: scim.clone(),
        api: scim.replace("/scim/v2", "/v1"),
        provisioning_key: provisioning_key.clone(),
        admin_key: admin_key.clone(),
    };
    let people: Vec<Person> =
        csv::Reader::from_reader(PEOPLE.as_bytes()).deserialize().collect::<Result<_, _>>().expect("the file");
    roles(&company, &people);
    let groups = departments(&company, &people);
    let started = Instant::now();
    let (employees, tally) = month(&company, &people, &groups);
    summary(&employees, &tally, started.elapsed());
    report(&company, &employees);
}

/// What the company's rooms need: everybody eats, a department enters its own room, and who works in the
/// harbour stands on the bridge. The roles are there before the groups that they are mapped from.
fn roles(company: &Company, people: &[Person]) {
    let names: std::collections::BTreeSet<&str> = people.iter().map(|person| person.department.as_str()).collect();
    let rooms = names.iter().map(|name| name.to_lowercase()).chain(["mess".to_owned(), "bridge".to_owned()]);
    let permissions: Vec<Value> = rooms.map(|room| json!({"name": format!("{room}:enter")})).collect();
    company.admin("/apis", &json!({"name": "ship", "permissions": permissions}), 201);
    company.admin("/roles", &json!({"name": "staff", "permissions": ["ship:mess:enter"]}), 201);
    company.admin("/roles", &json!({"name": "pilot", "permissions": ["ship:bridge:enter"]}), 201);
    for name in names {
        let role = name.to_lowercase();
        let body = json!({"name": role, "permissions": [format!("ship:{role}:enter")], "includes": ["staff"]});
        company.admin("/roles", &body, 201);
        company.admin("/mappings", &json!({"role": role, "source": {"group": {"displayName": name}}}), 201);
    }
    let rule = format!("{ENTERPRISE}:department eq \"Harbour\"");
    company.admin("/mappings", &json!({"role": "pilot", "source": {"rule": rule}}), 201);
}

/// Who may do what at the end.
fn report(company: &Company, employees: &[Employee]) {
    println!();
    for employee in employees {
        let access = company.ask(&format!("/users/{}/access", employee.id));
        let list = |member: &str, of: &dyn Fn(&Value) -> String| {
            let items: Vec<String> = access[member].as_array().into_iter().flatten().map(of).collect();
            if items.is_empty() { "-".to_owned() } else { items.join(",") }
        };
        let roles = list("roles", &|role| text(role, "role"));
        let permissions = list("permissions", &|permission| permission.as_str().unwrap_or_default().to_owned());
        println!("{} {roles} {permissions}", employee.person.user_name);
    }
}

/// One group for each department.
fn departments(company: &Company, people: &[Person]) -> BTreeMap<String, String> {
    let names: std::collections::BTreeSet<&str> = people.iter().map(|person| person.department.as_str()).collect();
    let create = |name: &str| {
        let body = json!({"schemas": [GROUP], "displayName": name, "externalId": name});
        (name.to_owned(), text(&company.idp("POST", "/Groups", Some(&body), 201), "id"))
    };
    names.into_iter().map(create).collect()
}

type Tally = BTreeMap<&'static str, usize>;

/// Thirty days; at the end of each one every key is asked for.
fn month(company: &Company, people: &[Person], groups: &BTreeMap<String, String>) -> (Vec<Employee>, Tally) {
    let style = ProgressStyle::with_template("day {pos:>2}/{len} {bar:40} {msg}").expect("a template");
    let bar = ProgressBar::new(u64::from(DAYS)).with_style(style);
    let (mut employees, mut tally) = (Vec::<Employee>::new(), Tally::new());
    let mut count = |what: &'static str| *tally.entry(what).or_default() += 1;
    for day in 1..=DAYS {
        for person in people.iter().filter(|person| person.joins == day) {
            employees.push(company.join(person.clone(), groups));
            count("joined");
        }
        for employee in &mut employees {
            let person = employee.person.clone();
            if let (Some(to), true) = (&person.moves_to, person.moves == Some(day)) {
                company.relocate(employee, to, groups);
                count("moved");
            }
            if person.leaves == Some(day) {
                company.set_active(employee, false);
                count("left");
            }
            if person.returns == Some(day) {
                company.set_active(employee, true);
                count("returned");
            }
            if person.is_deleted == Some(day) {
                company.delete(employee);
                count("deleted");
            }
            // The very next request after the change, and once a day for everybody else.
            assert_eq!(company.verify(&employee.key), employee.expected, "{} on day {day}", person.user_name);
            count("keys verified");
        }
        bar.set_message(format!("{} people", employees.len()));
        bar.inc(1);
    }
    bar.finish();
    (employees, tally)
}

fn summary(employees: &[Employee], tally: &Tally, took: Duration) {
    println!("\nthe month took {:.1} s", took.as_secs_f64());
    for (what, number) in tally {
        println!("{number:>6} {what}");
    }
    for verdict in ["VALID", "OWNER_INACTIVE", "REVOKED"] {
        println!("{:>6} keys are {verdict}", employees.iter().filter(|e| e.expected == verdict).count());
    }
}
