//! What a query asks for: from the URL (RFC 7644 §3.4.2) or from the body of `/.search` (§3.4.3).

use serde_json::{Map, Value};

use super::{SEARCH_URN, expect_schema, member};
use crate::scim::error::{Error, ScimType};
use crate::scim::tolerance::Tolerances;

/// A query, its names and filter not yet resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchRequest {
    /// Names to return.
    pub attributes: Vec<String>,
    /// Names to leave out.
    pub excluded_attributes: Vec<String>,
    /// The filter, not empty.
    pub filter: Option<String>,
    /// The name to sort by.
    pub sort_by: Option<String>,
    /// Whether to sort downwards.
    pub descending: bool,
    /// The place of the first result; at least 1.
    pub start_index: Option<u64>,
    /// The most results; 0 asks for the total only.
    pub count: Option<u64>,
    /// The cursor: `Some("")` asks for the first page of paging by cursor (RFC 9865 §2).
    pub cursor: Option<String>,
}

impl SearchRequest {
    /// Reads the parameters of a URL, percent-decoded. Unknown ones are ignored (RFC 7644 §3.4.2).
    pub fn from_query(pairs: &[(String, String)]) -> Result<Self, Error> {
        let one = |name: &str| -> Result<Option<&str>, Error> {
            let exact = pairs.iter().any(|(key, _)| key == name);
            let named = |key: &str| if exact { key == name } else { key.eq_ignore_ascii_case(name) };
            let mut values = pairs.iter().filter(|(key, _)| named(key)).map(|(_, value)| value.as_str());
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(Error::value(format!("{name}: is there twice"))),
                (first, None) => Ok(first),
            }
        };
        let list = |name: &str| one(name).map(|list| list.map(names).unwrap_or_default());
        let cursor = one("cursor")?;
        let number = |name: &str| match one(name)? {
            Some(text) => integer(text).map(Some).ok_or_else(|| not_integer(name, cursor.is_some())),
            None => Ok(None),
        };
        SearchRequest {
            attributes: list("attributes")?,
            excluded_attributes: list("excludedAttributes")?,
            filter: one("filter")?.map(str::to_owned),
            sort_by: one("sortBy")?.map(str::to_owned),
            descending: descending(one("sortOrder")?)?,
            start_index: number("startIndex")?.map(|n| at_least(n, 1)),
            count: number("count")?.map(|n| at_least(n, 0)),
            cursor: cursor.map(str::to_owned),
        }
        .checked()
    }

    /// Reads the body of `/.search`.
    pub fn from_body(body: &Value, tolerances: &mut Tolerances) -> Result<Self, Error> {
        let body = body.as_object().ok_or_else(|| Error::syntax("expected a SearchRequest as an object"))?;
        expect_schema(member(body, "schemas"), SEARCH_URN, tolerances)?;
        let cursor = text(body, "cursor")?;
        let number = |name: &str| match member(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(n)) => {
                integer(&n.to_string()).map(Some).ok_or_else(|| not_integer(name, cursor.is_some()))
            }
            Some(_) => Err(not_integer(name, cursor.is_some())),
        };
        SearchRequest {
            attributes: list(body, "attributes")?,
            excluded_attributes: list(body, "excludedAttributes")?,
            filter: text(body, "filter")?.map(str::to_owned),
            sort_by: text(body, "sortBy")?.map(str::to_owned),
            descending: descending(text(body, "sortOrder")?)?,
            start_index: number("startIndex")?.map(|n| at_least(n, 1)),
            count: number("count")?.map(|n| at_least(n, 0)),
            cursor: cursor.map(str::to_owned),
        }
        .checked()
    }

    fn checked(mut self) -> Result<Self, Error> {
        if self.filter.as_deref().is_some_and(|filter| filter.trim().is_empty()) {
            return Err(Error::filter("filter: is empty"));
        }
        if self.cursor.is_some() && self.start_index.is_some() {
            return Err(Error::value("cursor and startIndex exclude each other"));
        }
        self.sort_by = self.sort_by.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        Ok(self)
    }
}

/// A comma-separated list of names.
fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// A whole number; one that is too large for the type is as good as the largest.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some(if negative { -magnitude } else { magnitude })
}

/// RFC 7644 §3.4.2.4: what is below the least is the least.
fn at_least(number: i64, least: u64) -> u64 {
    u64::try_from(number).unwrap_or(0).max(least)
}

/// RFC 9865 §2.1 has a code of its own for `count`.
fn not_integer(name: &str, with_cursor: bool) -> Error {
    let scim_type = if with_cursor && name == "count" { ScimType::InvalidCount } else { ScimType::InvalidValue };
    Error::new(scim_type, format!("{name}: expected an integer"))
}

fn descending(order: Option<&str>) -> Result<bool, Error> {
    match order {
        None => Ok(false),
        Some(order) if order.eq_ignore_ascii_case("ascending") => Ok(false),
        Some(order) if order.eq_ignore_ascii_case("descending") => Ok(true),
        Some(_) => Err(Error::value("sortOrder: expected ascending or descending")),
    }
}

fn text<'v>(body: &'v Map<String, Value>, name: &str) -> Result<Option<&'v str>, Error> {
    match member(body, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::value(format!("{name}: expected a string"))),
    }
}

/// An array of names; one string with commas, as in a URL, is accepted too.
fn list(body: &Map<String, Value>, name: &str) -> Result<Vec<String>, Error> {
    let refused = || Error::value(format!("{name}: expected an array of names"));
    match member(body, name) {
        None | Some(Value::Null) => Ok(vec![]),
        Some(Value::String(list)) => Ok(names(list)),
        Some(Value::Array(list)) => {
            list.iter().map(|item| item.as_str().map(|s| s.trim().to_owned()).ok_or_else(refused)).collect()
        }
        Some(_) => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::tolerance::Dialect;

    /// The fields that are set, or the scimType and the detail.
    fn shown(result: Result<SearchRequest, Error>) -> String {
        let search = match result {
            Ok(search) => search,
            Err(error) => return format!("{}: {}", error.scim_type.map_or("", ScimType::name), error.detail),
        };
        let mut parts = vec![];
        for (name, list) in [("a", &search.attributes), ("x", &search.excluded_attributes)] {
            if !list.is_empty() {
                parts.push(format!("{name}={}", list.join("+")));
            }
        }
        for (name, text) in [("f", &search.filter), ("s", &search.sort_by), ("c", &search.cursor)] {
            parts.extend(text.iter().map(|text| format!("{name}={text}")));
        }
        for (name, number) in [("i", search.start_index), ("n", search.count)] {
            parts.extend(number.iter().map(|number| format!("{name}={number}")));
        }
        parts.extend(search.descending.then(|| "down".to_owned()));
        parts.join(" ")
    }

    fn check(query: &str, expected: &str) {
        let pairs: Vec<_> = query.split('&').filter(|p| !p.is_empty()).collect();
        let pair = |p: &&str| p.split_once('=').map_or((p.to_string(), String::new()), |(k, v)| (k.into(), v.into()));
        let pairs: Vec<(String, String)> = pairs.iter().map(pair).collect();
        assert_eq!(shown(SearchRequest::from_query(&pairs)), expected, "{query}");
    }

    fn check_body(body: &str, expected: &str) {
        let body = serde_json::from_str(&body.replace("{S}", SEARCH_URN)).unwrap();
        let got = shown(SearchRequest::from_body(&body, &mut Tolerances::new(Dialect::Rfc)));
        assert_eq!(got.replace(SEARCH_URN, "{S}"), expected);
    }

    #[test]
    fn reads_parameters() {
        check("", "");
        check("attributes=a, b,,c.d", "a=a+b+c.d");
        check("excludedAttributes=members&unknown=1&unknown=2", "x=members");
        check("filter=a eq \"b\"&sortBy=a&sortOrder=descending", "f=a eq \"b\" s=a down");
        check("sortOrder=Ascending&sortBy=", "");
        check("sortOrder=up", "invalidValue: sortOrder: expected ascending or descending");
        check("filter=", "invalidFilter: filter: is empty");
        check("filter= ", "invalidFilter: filter: is empty");
        check("STARTINDEX=2&Count=3", "i=2 n=3");
        check("count=3&COUNT=4", "n=3");
        check("count=3&count=4", "invalidValue: count: is there twice");
    }

    #[test]
    fn reads_pages() {
        check("startIndex=0&count=-1", "i=1 n=0");
        check("startIndex=-5&count=0", "i=1 n=0");
        check("count=99999999999999999999", "n=9223372036854775807");
        check("count=1.5", "invalidValue: count: expected an integer");
        check("count=", "invalidValue: count: expected an integer");
        check("startIndex=x", "invalidValue: startIndex: expected an integer");
        check("cursor", "c=");
        check("cursor=&count=10", "c= n=10");
        check("cursor=abc&count=-1", "c=abc n=0");
        check("cursor=&count=x", "invalidCount: count: expected an integer");
        check("cursor=&startIndex=1", "invalidValue: cursor and startIndex exclude each other");
    }

    #[test]
    fn reads_bodies() {
        check_body(r#"{"schemas":["{S}"]}"#, "");
        check_body(r#"{"filter":"a pr"}"#, "invalidSyntax: schemas: {S} is missing");
        check_body(r#"{"schemas":["{S}"],"Attributes":["a"," b"],"FILTER":"a pr","x":1}"#, "a=a+b f=a pr");
        check_body(r#"{"schemas":["{S}"],"excludedAttributes":"a,b","startIndex":0,"count":-3}"#, "x=a+b i=1 n=0");
        check_body(r#"{"schemas":["{S}"],"sortBy":"a","sortOrder":"descending","cursor":""}"#, "s=a c= down");
        check_body(r#"{"schemas":["{S}"],"filter":null,"count":null,"attributes":null}"#, "");
        check_body(r#"{"schemas":["{S}"],"attributes":[1]}"#, "invalidValue: attributes: expected an array of names");
        check_body(r#"{"schemas":["{S}"],"attributes":{}}"#, "invalidValue: attributes: expected an array of names");
        check_body(r#"{"schemas":["{S}"],"filter":1}"#, "invalidValue: filter: expected a string");
        check_body(r#"{"schemas":["{S}"],"filter":""}"#, "invalidFilter: filter: is empty");
        check_body(r#"{"schemas":["{S}"],"count":1.5}"#, "invalidValue: count: expected an integer");
        check_body(r#"{"schemas":["{S}"],"count":"5"}"#, "invalidValue: count: expected an integer");
        check_body(r#"{"schemas":["{S}"],"cursor":"","count":"5"}"#, "invalidCount: count: expected an integer");
        check_body("[]", "invalidSyntax: expected a SearchRequest as an object");
    }
}
