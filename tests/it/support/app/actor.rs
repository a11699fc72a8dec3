//! Those who talk to the server.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::Value;

use super::{Answer, TestApp};

/// Somebody with a key, or without.
pub struct Actor<'a> {
    pub(super) app: &'a TestApp,
    pub(super) key: Option<String>,
}

impl Actor<'_> {
    /// The key in the actor's hand.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap()
    }

    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    #[must_use]
    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[], body.to_string())
    }

    #[must_use]
    pub fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, &[], body.to_string())
    }

    #[must_use]
    pub fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, &[], body.to_string())
    }

    #[must_use]
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "")
    }

    /// Any request. A body is `application/scim+json` unless a header says otherwise.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        let outside = ["/v1", "/access/", "/scim", "/healthz", "/readyz", "/.well-known", "/keyroll"]
            .iter()
            .any(|prefix| path.starts_with(prefix));
        let uri = if outside { path.to_owned() } else { format!("/scim/v2{path}") };
        let number = self.app.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let mut request = TestRequest::default().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(&uri);
        request = request.peer_addr(SocketAddr::from(([127, 0, 0, 1], 4711)));
        let given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        if !given("x-request-id") {
            request = request.insert_header(("x-request-id", format!("request-{number:04}")));
        }
        if let Some(key) = &self.key {
            request = request.insert_header(("authorization", format!("Bearer {key}")));
        }
        let body = body.as_ref();
        if !body.is_empty() {
            if !given("content-type") {
                request = request.insert_header(("content-type", "application/scim+json"));
            }
            request = request.set_payload(body.to_vec());
        }
        for header in headers {
            request = request.append_header(*header);
        }
        Answer::to(request, &self.app.shared)
    }
}
