//! Bulk jobs (RFC 7644 §3.7): the envelope, one operation, its result.
//!
//! Operations stay text until their turn: a job of 16 MiB is never a tree of values, and an operation
//! that is malformed fails alone.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{BULK_REQUEST_URN, BULK_RESPONSE_URN, expect_schema, member};
use crate::scim::Beside;
use crate::scim::error::Error;
use crate::scim::json::{self, Limits};
use crate::scim::tolerance::{Tolerance, Tolerances};

/// What the base URL ends in.
const BASE: &str = "/scim/v2/";

/// A member of an object, its value still text.
type Member<'b> = (Cow<'b, str>, &'b RawValue);

/// The envelope of a job.
#[derive(Debug)]
pub struct BulkRequest<'b> {
    /// Stop when this many operations failed; `None` is never.
    pub fail_on_errors: Option<u64>,
    /// The operations, at least one, not yet read.
    pub operations: Vec<&'b RawValue>,
    /// What says beside them that somebody leaves: it may be about any of them.
    pub beside: Option<Beside>,
}

/// Whether a message has no such member.
fn is_other(name: &str, own: &[&str]) -> bool {
    !own.iter().any(|own| name.eq_ignore_ascii_case(own))
}

impl<'b> BulkRequest<'b> {
    /// Reads the envelope only.
    pub fn parse(bytes: &'b [u8], limits: &Limits, tolerances: &mut Tolerances) -> Result<Self, Error> {
        let members = named(json::raw_object(bytes, limits)?, tolerances)?;
        let raw = |name: &str| members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, raw)| *raw);
        let read = |name: &str| raw(name).map(|raw| json::parse(raw.get().as_bytes(), limits)).transpose();
        expect_schema(read("schemas")?.as_ref(), BULK_REQUEST_URN, tolerances)?;
        let is_lenient = tolerances.dialect().is_lenient();
        let fail_on_errors = match read("failOnErrors")? {
            None | Some(Value::Null) => None,
            Some(value) => {
                let text = value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
                let count = value.as_u64().or_else(|| text.trim_end_matches(".0").parse().ok().filter(|_| is_lenient));
                // What cannot be read stops no job: what is left undone by it may be a removal.
                let count = count.or_else(|| is_lenient.then_some(0));
                let count = count.ok_or_else(|| Error::value("failOnErrors: expected an integer from 0 on"))?;
                // RFC 7644 §3.7 gives 0 no meaning; it reads as no threshold.
                Some(count).filter(|count| *count > 0)
            }
        };
        let operations = raw("Operations").ok_or_else(|| Error::syntax("Operations: is missing"))?;
        let operations = match operations.get().as_bytes().first() {
            Some(b'[') => flat(json::raw_array(operations)?, tolerances)?,
            Some(b'{') if tolerances.allow(Tolerance::BareOperation) => vec![operations],
            _ => return Err(Error::syntax("Operations: expected an array")),
        };
        if operations.is_empty() {
            return Err(Error::syntax("Operations: is empty"));
        }
        let mut others = members.iter().filter(|(name, _)| is_other(name, &["schemas", "failOnErrors", "Operations"]));
        let beside = others
            .find_map(|(name, raw)| Beside::of("job", name, &json::parse::<Value>(raw.get().as_bytes(), limits).ok()?));
        Ok(BulkRequest { fail_on_errors, operations, beside })
    }
}

/// Members by their names, without what cannot be kept of these, where the dialect bears that: as other bodies are read.
fn named<'b>(members: Vec<Member<'b>>, tolerances: &mut Tolerances) -> Result<Vec<Member<'b>>, Error> {
    let is_odd = members.iter().any(|(name, _)| name.contains('\0'));
    if !is_odd || !tolerances.allow(Tolerance::OverLimit) {
        return Ok(members);
    }
    let (mut found, mut seen) = (Vec::with_capacity(members.len()), HashSet::new());
    for (name, raw) in members {
        let name = name.replace('\0', "");
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(Error::syntax("two names of one object are the same without what cannot be kept of them"));
        }
        found.push((name.into(), raw));
    }
    Ok(found)
}

/// Operations without the lists in their list, where the dialect bears those.
fn flat<'b>(list: Vec<&'b RawValue>, tolerances: &mut Tolerances) -> Result<Vec<&'b RawValue>, Error> {
    let mut found = Vec::with_capacity(list.len());
    for one in list {
        match one.get().starts_with('[') && tolerances.allow(Tolerance::ListOfOne) {
            true => found.extend(flat(json::raw_array(one)?, tolerances)?),
            false => found.push(one),
        }
    }
    Ok(found)
}

/// The method of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkMethod {
    /// Create.
    Post,
    /// Replace.
    Put,
    /// Change.
    Patch,
    /// Delete.
    Delete,
}

impl BulkMethod {
    const ALL: [BulkMethod; 4] = [BulkMethod::Post, BulkMethod::Put, BulkMethod::Patch, BulkMethod::Delete];

    /// Reads a name, in any letter case.
    pub fn named(name: &str) -> Option<BulkMethod> {
        BulkMethod::ALL.into_iter().find(|method| method.name().eq_ignore_ascii_case(name))
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            BulkMethod::Post => "POST",
            BulkMethod::Put => "PUT",
            BulkMethod::Patch => "PATCH",
            BulkMethod::Delete => "DELETE",
        }
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkOperation {
    /// What to do.
    pub method: BulkMethod,
    /// The client's name for the operation; POST always has one.
    pub bulk_id: Option<String>,
    /// The version that must be current, as `If-Match`.
    pub version: Option<String>,
    /// The endpoint or resource, from the base URL on, with its leading slash.
    pub path: String,
    /// The body; absent only of DELETE.
    pub data: Option<Value>,
    /// What says beside all that that somebody leaves.
    pub beside: Option<Beside>,
}

impl BulkOperation {
    /// Reads one operation, the `index`th of its job. A refusal is the operation's result: it names
    /// what could be read.
    pub fn parse(raw: &RawValue, index: usize, tolerances: &Tolerances) -> Result<Self, Box<BulkResult>> {
        let mut echo = BulkResult::default();
        let read = Self::read(raw, index, tolerances, &mut echo);
        read.map_err(|error| Box::new(echo.failed(&error)))
    }

    fn read(raw: &RawValue, index: usize, tolerances: &Tolerances, echo: &mut BulkResult) -> Result<Self, Error> {
        let at = |what: &str| Error::syntax(format!("Operations[{index}]{what}"));
        let operation = json::parse(raw.get().as_bytes(), &tolerances.json_limits())?;
        let Value::Object(mut operation) = operation else { return Err(at(": expected an object")) };
        let text = |name: &str| match member(&operation, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(at(&format!(".{name}: expected a string"))),
        };
        echo.bulk_id = text("bulkId")?;
        echo.method = text("method")?;
        let named = echo.method.as_deref().ok_or_else(|| at(".method: is missing"))?;
        // Blanks around it change nothing.
        let named = if tolerances.dialect().is_lenient() { named.trim() } else { named };
        let method = BulkMethod::named(named).ok_or_else(|| at(".method: expected POST, PUT, PATCH or DELETE"))?;
        echo.method = Some(method.name().to_owned());
        // Some clients write each member of what they know, though it is empty.
        let is_told = |text: &String| !text.is_empty() || !tolerances.dialect().is_lenient();
        echo.version = text("version")?.filter(is_told);
        echo.bulk_id = echo.bulk_id.take().filter(|id| method == BulkMethod::Post || is_told(id));
        if echo.bulk_id.as_ref().is_some_and(String::is_empty) {
            return Err(at(".bulkId: is empty"));
        }
        if method == BulkMethod::Post && echo.bulk_id.is_none() {
            return Err(at(".bulkId: is missing, and POST needs one"));
        }
        let mut path = text("path")?.ok_or_else(|| at(".path: is missing"))?;
        if tolerances.dialect().is_lenient() {
            path = from_base(&path);
        }
        if !path.starts_with('/') {
            return Err(at(".path: expected a path that starts with /"));
        }
        let data_key = operation.keys().find(|key| key.eq_ignore_ascii_case("data")).cloned();
        let data = data_key.and_then(|key| operation.remove(&key)).filter(|data| !data.is_null());
        if data.is_none() && method != BulkMethod::Delete {
            return Err(at(&format!(".data: is missing, and {} needs it", method.name())));
        }
        let data = data.filter(|_| method != BulkMethod::Delete);
        let mut others =
            operation.iter().filter(|(name, _)| is_other(name, &["method", "bulkId", "version", "path", "data"]));
        let place = format!("Operations[{index}]");
        let beside = others.find_map(|(name, value)| Beside::of(&place, name, value));
        let (bulk_id, version) = (echo.bulk_id.clone(), echo.version.take());
        Ok(BulkOperation { method, bulk_id, version, path, data, beside })
    }
}

/// A path from the base URL on, as RFC 7644 §3.7 has it: some clients send a resource's location, or leave out the slash.
fn from_base(path: &str) -> String {
    let path = path.trim();
    let slash = if path.starts_with(|c: char| c.is_ascii_alphabetic()) { "/" } else { "" };
    let path = format!("{slash}{path}");
    path.split_once(BASE).map(|(_, rest)| format!("/{rest}")).unwrap_or(path)
}

/// The outcome of one operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BulkResult {
    /// The resource; absent only of a POST that failed.
    pub location: Option<String>,
    /// The method, as far as it could be read.
    pub method: Option<String>,
    /// The client's name for the operation.
    pub bulk_id: Option<String>,
    /// The version after the operation.
    pub version: Option<String>,
    /// The HTTP status that the operation would have had alone.
    pub status: u16,
    /// Why its status is not 2xx.
    pub error: Option<Error>,
}

impl BulkResult {
    /// The same operation, failed.
    #[must_use]
    pub fn failed(self, error: &Error) -> Self {
        BulkResult { version: None, status: error.status, error: Some(error.clone()), ..self }
    }

    /// The element of `Operations`. `status` is a string (RFC 7644 §3.7.3).
    pub fn render(self) -> Value {
        let mut result = Map::new();
        let texts = [
            ("location", self.location),
            ("method", self.method),
            ("bulkId", self.bulk_id),
            ("version", self.version),
            ("status", Some(self.status.to_string())),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                result.insert(name.into(), text.into());
            }
        }
        if let Some(error) = self.error {
            result.insert("response".into(), error.body());
        }
        Value::Object(result)
    }
}

/// What stands before and behind the outcomes of a job's operations.
pub fn bulk_frame() -> (String, &'static str) {
    (["{\"schemas\":[\"", BULK_RESPONSE_URN, "\"],\"Operations\":["].concat(), "]}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::tolerance::Dialect;
    use serde_json::json;

    /// The limit and the operations' texts, or the detail.
    fn check(dialect: Dialect, body: &str, expected: &str) {
        let body = body.replace("{B}", BULK_REQUEST_URN);
        let mut tolerances = Tolerances::new(dialect);
        let got = match BulkRequest::parse(body.as_bytes(), &Limits::default(), &mut tolerances) {
            Ok(job) => {
                let texts: Vec<_> = job.operations.iter().map(|o| o.get()).collect();
                format!("{:?} {}", job.fail_on_errors, texts.join(" ; "))
            }
            Err(error) => error.detail,
        };
        assert_eq!(got.replace(BULK_REQUEST_URN, "{B}"), expected);
    }

    #[test]
    fn envelopes() {
        use Dialect::{Auto, Rfc};
        check(Rfc, r#"{"schemas":["{B}"],"Operations":[{"a":1,"A":1}, 2]}"#, r#"None {"a":1,"A":1} ; 2"#);
        check(Rfc, r#"{"SCHEMAS":["{B}"],"FailOnErrors":2,"operations": [1]}"#, "Some(2) 1");
        check(Rfc, r#"{"schemas":["{B}"],"failOnErrors":0,"Operations":[1]}"#, "None 1");
        let refused = "failOnErrors: expected an integer from 0 on";
        for bad in ["-1", "1.5", "\"1\"", "[]"] {
            check(Rfc, &format!(r#"{{"schemas":["{{B}}"],"failOnErrors":{bad},"Operations":[1]}}"#), refused);
        }
        check(Rfc, r#"{"Operations":[1]}"#, "schemas: {B} is missing");
        check(Auto, r#"{"Operations":[1]}"#, "None 1");
        check(Rfc, r#"{"schemas":["{B}"]}"#, "Operations: is missing");
        check(Rfc, r#"{"schemas":["{B}"],"Operations":[]}"#, "Operations: is empty");
        check(Rfc, r#"{"schemas":["{B}"],"Operations":{}}"#, "Operations: expected an array");
        check(Rfc, "1", "malformed JSON: invalid type: integer `1`, expected an object at line 1 column 1");
    }

    /// The operation as text, or its result.
    fn operation(raw: &str, expected: &str) {
        let raw: &RawValue = serde_json::from_str(raw).unwrap();
        let got = match BulkOperation::parse(raw, 3, &Tolerances::new(Dialect::Rfc)) {
            Ok(o) => {
                let data = o.data.map(|d| d.to_string()).unwrap_or_default();
                format!("{} {} {:?} {:?} {data}", o.method.name(), o.path, o.bulk_id, o.version)
            }
            Err(result) => {
                let detail = result.error.as_ref().map(|error| error.detail.as_str()).unwrap_or_default();
                format!("{} {:?} {:?} {detail}", result.status, result.method, result.bulk_id)
            }
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn operations() {
        operation(
            r#"{"METHOD":"post","bulkid":"q","Path":"/Users","Data":{"a":1}}"#,
            r#"POST /Users Some("q") None {"a":1}"#,
        );
        operation(
            r#"{"method":"DELETE","path":"/Users/1","version":"W/\"2\""}"#,
            r#"DELETE /Users/1 None Some("W/\"2\"") "#,
        );
        operation(r#"{"method":"DELETE","path":"/Users/1","data":{}}"#, "DELETE /Users/1 None None ");
        operation(r#"{"method":"PATCH","path":"/Users/1","data":[]}"#, "PATCH /Users/1 None None []");
        let refused = |raw: &str, expected: &str| operation(raw, &format!("400 {expected}"));
        refused("1", "None None Operations[3]: expected an object");
        refused(r#"{"path":"/Users"}"#, "None None Operations[3].method: is missing");
        refused(
            r#"{"method":"GET","bulkId":"q"}"#,
            r#"Some("GET") Some("q") Operations[3].method: expected POST, PUT, PATCH or DELETE"#,
        );
        refused(r#"{"method":1}"#, "None None Operations[3].method: expected a string");
        refused(r#"{"method":"PUT"}"#, r#"Some("PUT") None Operations[3].path: is missing"#);
        refused(
            r#"{"method":"PUT","path":"Users/1"}"#,
            r#"Some("PUT") None Operations[3].path: expected a path that starts with /"#,
        );
        refused(
            r#"{"method":"PUT","path":"/Users/1","data":null}"#,
            r#"Some("PUT") None Operations[3].data: is missing, and PUT needs it"#,
        );
        refused(
            r#"{"method":"POST","path":"/Users","data":{}}"#,
            r#"Some("POST") None Operations[3].bulkId: is missing, and POST needs one"#,
        );
        refused(r#"{"method":"POST","bulkId":""}"#, r#"Some("POST") Some("") Operations[3].bulkId: is empty"#);
        refused(
            r#"{"method":"PUT","path":"/Users/1","data":{"a":1,"A":1}}"#,
            r#"None None malformed JSON: the key "A" is there twice at line 1 column 51"#,
        );
    }

    #[test]
    fn results() {
        let done =
            BulkResult { location: Some("l".into()), method: Some("PUT".into()), status: 200, ..Default::default() };
        let failed = BulkResult { bulk_id: Some("q".into()), ..Default::default() }.failed(&Error::status(404, "gone"));
        let (head, tail) = bulk_frame();
        let text = format!("{head}{},{}{tail}", done.render(), failed.render());
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({"schemas": [BULK_RESPONSE_URN], "Operations": [
                {"location": "l", "method": "PUT", "status": "200"},
                {"bulkId": "q", "status": "404", "response": Error::status(404, "gone").body()},
            ]})
        );
    }
}
