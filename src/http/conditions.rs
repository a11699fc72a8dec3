//! `If-Match` and `If-None-Match` (RFC 9110 §13.1.1, §13.1.2).

use actix_web::HttpRequest;
use actix_web::http::header::{EntityTag, Header, IF_MATCH, IF_NONE_MATCH, IfMatch, IfNoneMatch};

use crate::domain::Operation;
use crate::service::conditions::{Conditions, Tags};

/// Whether what an operation outside SCIM reads or changes has a tag by then.
pub(super) fn is_tagged(operation: Operation) -> bool {
    use Operation::{
        ApiDelete, ApiRead, ApiReplace, MappingDelete, MappingList, MappingRead, MappingReplace, OpenApi, RoleDelete,
        RoleRead, RoleReplace,
    };
    let is_item = matches!(operation, ApiRead | ApiReplace | ApiDelete | RoleRead | RoleReplace | RoleDelete);
    is_item || matches!(operation, MappingRead | MappingReplace | MappingDelete | MappingList | OpenApi)
}

/// The conditions of a request. One that nobody can read must not pass as none: it is there, and names no version. One
/// whose value is empty is not there: some clients write each header, though they have nothing for it.
pub(super) fn read(request: &HttpRequest) -> Conditions {
    let is_there = |name| request.headers().get_all(name).any(|value| !value.as_bytes().trim_ascii().is_empty());
    Conditions {
        if_match: is_there(IF_MATCH).then(|| match IfMatch::parse(request) {
            Ok(IfMatch::Any) => Tags::Any,
            Ok(IfMatch::Items(tags)) => these(&tags),
            Err(_) => these(&[]),
        }),
        if_none_match: is_there(IF_NONE_MATCH).then(|| match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => Tags::Any,
            Ok(IfNoneMatch::Items(tags)) => these(&tags),
            Err(_) => these(&[]),
        }),
    }
}

fn these(tags: &[EntityTag]) -> Tags {
    Tags::These(tags.iter().map(|tag| tag.tag().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    /// What both headers are read as: `None` without one, `*`, or the tags between commas.
    fn check(values: &[&[u8]], expected: Option<&str>) {
        let request = [IF_MATCH, IF_NONE_MATCH].into_iter().fold(TestRequest::default(), |request, name| {
            let values = values.iter().map(|value| HeaderValue::from_bytes(value).unwrap());
            values.fold(request, |request, value| request.append_header((name.clone(), value)))
        });
        let Conditions { if_match, if_none_match } = read(&request.to_http_request());
        for read in [if_match, if_none_match] {
            let read = read.map(|tags| match tags {
                Tags::Any => "*".to_owned(),
                Tags::These(tags) => tags.join(","),
            });
            assert_eq!(read.as_deref(), expected, "{values:?}");
        }
    }

    #[test]
    fn a_condition_that_cannot_be_read_is_none_that_names_a_version() {
        check(&[], None);
        check(&[b"*"], Some("*"));
        check(&[b" * "], Some("*"));
        check(&[b"W/\"3\""], Some("3"));
        check(&[b"\"3\""], Some("3"));
        check(&[b"\"x\" , W/\"3\""], Some("x,3"));
        check(&[b"W/\"1\"", b"W/\"3\""], Some("1,3"));
        check(&[b"3, \"4\""], Some("4"));
        for empty in [&b""[..], b" ", b"\t "] {
            check(&[empty], None);
            check(&[empty, empty], None);
            check(&[empty, b"W/\"3\""], Some("3"));
            check(&[empty, b"3"], Some(""));
        }
        for unread in ["W/3x", "3", "W/3", "W/\"3", "3\"", "\"\"3\"\"", "w/\"3\"", "\"", "\"3\"; x", ","] {
            check(&[unread.as_bytes()], Some(""));
        }
        check(&[b"\xff\""], Some(""));
        check(&[b"\xff", b"W/\"3\""], Some(""));
    }
}
