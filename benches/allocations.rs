//! How often a request asks for memory, from its body to its answer: `cargo bench --bench allocations`. What is asked
//! was asked before, so that nothing is read from the database.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

mod support;

use divan::{AllocProfiler, Bencher, black_box};
use serde_json::{Value, json};

use keyroll::domain::log::RequestRef;
use keyroll::scim::json::{Limits as JsonLimits, Tree, parse};
use keyroll::scim::schema::registry;
use keyroll::service::authzen::request as authzen;
use keyroll::service::conditions::Conditions;
use keyroll::service::directory::resources::Wanted;
use keyroll::service::request;
use keyroll::service::{Context, Service};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A service with one user, who has a key.
struct Installation {
    _folder: tempfile::TempDir,
    service: Service,
    idp: Context,
    admin: Context,
    user: String,
    key: String,
}

fn installation() -> Installation {
    let (folder, service) = support::service();
    let made = service.init("default").unwrap();
    let enter = |name: &str| service.enter(made[name].as_str().unwrap(), RequestRef::default(), None).unwrap();
    let (idp, admin) = (enter("provisioning_key"), enter("admin_key"));
    let mira = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "mira@north.example", "active": true,
        "name": {"givenName": "Mira", "familyName": "Vale"},
        "emails": [{"value": "mira@mail.north.example", "type": "work", "primary": true}],
    });
    let users = registry().by_name("User").unwrap();
    let made = service.create_resource(&idp, users, mira.to_string().as_bytes(), &Wanted::default()).unwrap();
    let user = made.location.rsplit('/').next().unwrap().to_owned();
    let asked: Value = json!({"name": "bench", "owner": {"type": "user", "id": user}});
    let key = service.issue_key(&admin, &request::read_value(&asked).unwrap()).unwrap().key;
    Installation { _folder: folder, service, idp, admin, user, key }
}

#[divan::bench]
fn read(bencher: Bencher<'_, '_>) {
    let Installation { service, idp, user, .. } = &installation();
    let (users, wanted, conditions) = (registry().by_name("User").unwrap(), Wanted::default(), Conditions::default());
    bencher.bench_local(|| service.read_resource(idp, users, black_box(user), &wanted, &conditions).unwrap());
}

#[divan::bench]
fn verify(bencher: Bencher<'_, '_>) {
    let Installation { service, admin, key, .. } = &installation();
    let body = json!({"key": key}).to_string();
    bencher.bench_local(|| {
        let tree: Tree<'_> = parse(black_box(body.as_bytes()), &JsonLimits::default()).unwrap();
        serde_json::to_string(&service.verify(admin, &request::read(&tree).unwrap()).unwrap()).unwrap()
    });
}

#[divan::bench]
fn evaluate(bencher: Bencher<'_, '_>) {
    let Installation { service, admin, user, .. } = &installation();
    let body = json!({"subject": {"type": "user", "id": user}, "action": {"name": "read"},
        "resource": {"type": "keyroll:users", "id": "1"}});
    let body = body.to_string();
    bencher.bench_local(|| {
        let tree: Tree<'_> = parse(black_box(body.as_bytes()), &JsonLimits::default()).unwrap();
        serde_json::to_string(&service.evaluate(admin, &authzen::read(&tree).unwrap()).unwrap()).unwrap()
    });
}
