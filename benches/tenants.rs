//! What a tenant's reads cost while another tenant writes, with one more tenant in the database and with a thousand:
//! `cargo bench --bench tenants`. The two of a pair are to be the same.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

mod support;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};

use keyroll::domain::log::RequestRef;
use keyroll::scim::schema::registry;
use keyroll::service::Service;
use keyroll::service::conditions::Conditions;
use keyroll::service::directory::resources::Wanted;
use keyroll::service::request;

fn user(n: usize) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": format!("user{n}@north.example")})
}

/// A tenant: its provisioning key, its admin's key, and a user in it.
fn tenant(service: &Service, name: &str) -> (String, String, String) {
    let made = service.init(name).unwrap();
    let key = |name: &str| made[name].as_str().unwrap().to_owned();
    let idp = service.enter(&key("provisioning_key"), RequestRef::default(), None).unwrap();
    let users = registry().by_name("User").unwrap();
    let answer = service.create_resource(&idp, users, user(0).to_string().as_bytes(), &Wanted::default()).unwrap();
    (key("provisioning_key"), key("admin_key"), answer.location.rsplit('/').next().unwrap().to_owned())
}

fn beside_a_writer(c: &mut Criterion) {
    let users = registry().by_name("User").unwrap();
    for others in [1, 1_000] {
        let (_folder, service) = support::service();
        let (idp, admin, id) = tenant(&service, "default");
        let writers: Vec<_> = (0..others).map(|n| tenant(&service, &format!("tenant{n}"))).collect();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (key, ..) = &writers[0];
                for n in 1.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let context = service.enter(key, RequestRef::default(), None).unwrap();
                    service
                        .create_resource(&context, users, user(n).to_string().as_bytes(), &Wanted::default())
                        .unwrap();
                }
            });
            c.bench_function(&format!("beside {others}/read"), |b| {
                b.iter(|| {
                    let context = service.enter(&idp, RequestRef::default(), None).unwrap();
                    service
                        .read_resource(&context, users, black_box(&id), &Wanted::default(), &Conditions::default())
                        .unwrap()
                })
            });
            let asked = request::read_value(&json!({"key": idp})).unwrap();
            c.bench_function(&format!("beside {others}/verify"), |b| {
                b.iter(|| {
                    let context = service.enter(&admin, RequestRef::default(), None).unwrap();
                    service.verify(&context, black_box(&asked)).unwrap()
                })
            });
            stop.store(true, Ordering::Relaxed);
        });
    }
}

criterion_group!(benches, beside_a_writer);
criterion_main!(benches);
