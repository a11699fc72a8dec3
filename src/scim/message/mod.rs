//! Messages that are no resources: searches, lists, bulk jobs (RFC 7644 §3.4, §3.7, RFC 9865 §2).

mod bulk;
mod search;

use serde_json::{Map, Value};

use super::error::Error;
use super::tolerance::{Tolerance, Tolerances};

pub use super::error::ERROR_URN;
pub use bulk::{BulkMethod, BulkOperation, BulkRequest, BulkResult, bulk_frame};
pub use search::SearchRequest;

/// The URN of a list of results.
pub const LIST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The URN of a search in a body.
pub const SEARCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// The URN of a PATCH body.
pub const PATCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The URN of a bulk job.
pub const BULK_REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The URN of the outcome of a bulk job.
pub const BULK_RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// A page of results.
#[derive(Clone, Copy, Debug, Default)]
pub struct List<'a> {
    /// The resources, rendered already: they are the bulk of the bytes.
    pub resources: &'a [String],
    /// How many match in all; RFC 9865 §2 lets a server leave it out if it does not know.
    pub total: Option<u64>,
    /// The place of the first one, from 1 on; only when paging by index.
    pub start_index: Option<u64>,
    /// The cursor of the next page; absent on the last one.
    pub next_cursor: Option<&'a str>,
    /// The cursor of the page before; absent on the first one.
    pub previous_cursor: Option<&'a str>,
}

impl List<'_> {
    /// The JSON text of a ListResponse.
    pub fn render(&self) -> String {
        let (mut text, tail) = self.frame(Some(self.resources.len()));
        text.reserve(self.resources.iter().map(|r| r.len() + 1).sum());
        for (index, resource) in self.resources.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(resource);
        }
        text.push_str(tail);
        text
    }

    /// What stands before and behind the resources, for whoever writes so many of them one by one.
    /// `Resources` is there even if empty: clients iterate over it. Who learns only at the end how many there
    /// are ends with [`List::tail`].
    pub fn frame(&self, items: Option<usize>) -> (String, &'static str) {
        // Written as it is: a look-up would spend a tenth of its time on an object that is text in the end.
        let mut text = ["{\"schemas\":[\"", LIST_URN, "\"]"].concat();
        let numbers = [
            ("totalResults", self.total),
            ("startIndex", self.start_index),
            ("itemsPerPage", items.map(|items| items as u64)),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                text.extend([",\"", name, "\":", &number.to_string()]);
            }
        }
        for (name, cursor) in [("previousCursor", self.previous_cursor), ("nextCursor", self.next_cursor)] {
            if let Some(cursor) = cursor {
                text.extend([",\"", name, "\":", &Value::from(cursor).to_string()]);
            }
        }
        text.push_str(",\"Resources\":[");
        (text, "]}")
    }

    /// What stands behind the resources if nothing before them said how many they are.
    pub fn tail(items: usize) -> String {
        format!("],\"itemsPerPage\":{items}}}")
    }
}

/// The member of a message, in any letter case.
fn member<'v>(message: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    message.get(name).or_else(|| message.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

/// The `schemas` of a message must list its URN (RFC 7644 §3.4.3, §3.5.2, §3.7).
pub fn expect_schema(listed: Option<&Value>, urn: &str, tolerances: &mut Tolerances) -> Result<(), Error> {
    let is_urn = |value: &Value| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(urn));
    let listed = match listed {
        None | Some(Value::Null) => &[],
        Some(Value::Array(listed)) => listed.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    if listed.iter().any(is_urn) || tolerances.allow(Tolerance::SchemasMissing) {
        return Ok(());
    }
    Err(Error::syntax(format!("schemas: {urn} is missing")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::tolerance::Dialect;
    use serde_json::json;

    fn check(list: List, expected: &str) {
        let text = list.render();
        assert_eq!(text.replace(LIST_URN, "L"), expected);
        assert!(serde_json::from_str::<Value>(&text).is_ok());
    }

    #[test]
    fn lists_are_rendered() {
        check(
            List { total: Some(0), start_index: Some(1), ..List::default() },
            r#"{"schemas":["L"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}"#,
        );
        let resources = [r#"{"id":"1"}"#.to_owned(), r#"{"id":"2"}"#.to_owned()];
        check(
            List { resources: &resources, total: Some(9), start_index: Some(3), ..List::default() },
            r#"{"schemas":["L"],"totalResults":9,"startIndex":3,"itemsPerPage":2,"Resources":[{"id":"1"},{"id":"2"}]}"#,
        );
        check(
            List { next_cursor: Some("n"), previous_cursor: Some("p"), ..List::default() },
            r#"{"schemas":["L"],"itemsPerPage":0,"previousCursor":"p","nextCursor":"n","Resources":[]}"#,
        );
    }

    #[test]
    fn messages_name_their_schema() {
        let checked = |dialect, listed: Value| {
            let mut tolerances = Tolerances::new(dialect);
            let result = expect_schema(Some(&listed), "urn:X", &mut tolerances);
            result.map_or_else(|e| e.detail, |()| format!("ok{}", tolerances.header()))
        };
        assert_eq!(checked(Dialect::Rfc, json!(["urn:x", "urn:y"])), "ok");
        assert_eq!(checked(Dialect::Rfc, json!("urn:X")), "ok");
        assert_eq!(checked(Dialect::Rfc, json!(null)), "schemas: urn:X is missing");
        assert_eq!(checked(Dialect::Okta, json!([])), "okokta-001");
        assert_eq!(checked(Dialect::Okta, json!(["urn:y"])), "okokta-001");
        assert_eq!(checked(Dialect::Rfc, json!(["urn:y"])), "schemas: urn:X is missing");
    }
}
