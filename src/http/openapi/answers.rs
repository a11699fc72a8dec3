//! What an operation answers when it does what was asked.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::schemas::{Describe, Schemas, add, given};

pub(super) const JSON: &str = "application/json";

/// An answer of an operation.
pub(super) struct Answer {
    pub(super) status: u16,
    what: &'static str,
    /// What the body is, by media type; none without a body.
    contents: Vec<(&'static str, Describe)>,
    headers: Vec<&'static str>,
}

impl Answer {
    /// A body of JSON.
    pub(super) fn json<T: JsonSchema>(status: u16, what: &'static str) -> Answer {
        Answer::written(status, what, given::<T>)
    }

    /// The same for what is described otherwise.
    pub(super) fn written(status: u16, what: &'static str, describe: Describe) -> Answer {
        Answer { status, what, contents: vec![(JSON, describe)], headers: vec![] }
    }

    /// No body.
    pub(super) fn empty(status: u16, what: &'static str) -> Answer {
        Answer { status, what, contents: vec![], headers: vec![] }
    }

    /// The body comes in another form as well.
    pub(super) fn or(mut self, media_type: &'static str, describe: Describe) -> Answer {
        self.contents.push((media_type, describe));
        self
    }

    /// The body comes in this form alone.
    pub(super) fn only(mut self, media_type: &'static str) -> Answer {
        self.contents.iter_mut().for_each(|(own, _)| *own = media_type);
        self
    }

    /// It carries a header, one of [`HEADERS`].
    pub(super) fn with(mut self, header: &'static str) -> Answer {
        self.headers.push(header);
        self
    }

    /// It as a Response Object.
    pub(super) fn render(&self, schemas: &mut Schemas) -> Value {
        let headers: Vec<&str> = self.headers.iter().copied().chain([REQUEST_ID]).collect();
        let mut shown = json!({"description": self.what, "headers": refer_to(&headers)});
        let contents = self
            .contents
            .iter()
            .map(|(media_type, describe)| ((*media_type).to_owned(), json!({"schema": describe(schemas)})));
        if !self.contents.is_empty() {
            add(&mut shown, "content", contents.collect::<Map<_, _>>());
        }
        shown
    }
}

pub(super) const ETAG: &str = "ETag";
pub(super) const LOCATION: &str = "Location";
pub(super) const REQUEST_ID: &str = "X-Request-Id";
pub(super) const RETRY_AFTER: &str = "Retry-After";
pub(super) const PROPAGATION: &str = "Keyroll-Propagation";
pub(super) const CHALLENGE: &str = "WWW-Authenticate";

/// The headers of answers, whether each is always there where it is named, and what it tells.
const HEADERS: [(&str, bool, &str); 6] = [
    (ETAG, true, "The tag of what is shown, for If-Match and If-None-Match."),
    (LOCATION, true, "Where it is from now on."),
    (REQUEST_ID, true, "The id of the request: the client's own if it sent one that can be logged, or a new one."),
    (RETRY_AFTER, true, "Seconds until it makes sense to try again."),
    (PROPAGATION, true, "How far it has come: `seq=…, nodes=…, acked=…, ms=…`, as in the member `propagation`."),
    (CHALLENGE, false, "What the key lacks (RFC 6750 §3), if it is the key."),
];

/// The headers as Header Objects by name.
pub(super) fn headers() -> Value {
    let shown = HEADERS.map(|(name, is_required, what)| {
        let text = json!({"type": "string"});
        (name.to_owned(), json!({"description": what, "required": is_required, "schema": text}))
    });
    Value::Object(Map::from_iter(shown))
}

/// References to headers.
pub(super) fn refer_to(names: &[&str]) -> Value {
    let refer = |name: &&str| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
    Value::Object(names.iter().map(refer).collect())
}
