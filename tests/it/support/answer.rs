//! What the server answered, and how to look at it.

use std::fmt;
use std::io::Read;
use std::ops::Index;

use actix_web::dev::Payload;
use actix_web::test::{TestRequest, init_service, read_body};
use flate2::read::GzDecoder;
use keyroll::http;
use serde_json::{Value, json};

use super::described::DESCRIBED;

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The JSON, or null where there is none.
    pub body: Value,
    pub text: String,
    /// What was sent: packed, if a header says so.
    pub bytes: Vec<u8>,
}

/// The headers that a snapshot shows.
const SHOWN: &[&str] =
    &["allow", "content-location", "etag", "keyroll-tolerance", "location", "retry-after", "www-authenticate"];

impl Answer {
    /// Each in a System of its own, so that threads do not wait for each other.
    pub fn to(request: TestRequest, shared: &http::Shared) -> Answer {
        Answer::with(request, None, shared)
    }

    /// The same for a request whose body comes as it comes.
    pub fn with(request: TestRequest, body: Option<Payload>, shared: &http::Shared) -> Answer {
        let mut request = request.to_request();
        let (method, path) = (request.method().to_string(), request.path().to_owned());
        if let Some(body) = body {
            request = request.replace_payload(body).0;
        }
        let answer = actix_web::rt::System::new().block_on(async {
            let service = init_service(http::app(shared.clone())).await;
            let response = actix_web::test::call_service(&service, request).await;
            let headers = response.headers().iter();
            let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
            let status = response.status().as_u16();
            let bytes = read_body(response).await.to_vec();
            let answer = Answer { status, headers, body: Value::Null, text: String::new(), bytes };
            let mut text = String::new();
            match answer.header("content-encoding") {
                "gzip" => GzDecoder::new(answer.bytes.as_slice()).read_to_string(&mut text).unwrap(),
                _ => answer.bytes.as_slice().read_to_string(&mut text).unwrap(),
            };
            // A stream of events is no JSON as a whole.
            let is_json = !text.is_empty() && answer.header("content-type").contains("json");
            let body = if is_json { serde_json::from_str(&text).unwrap() } else { Value::Null };
            Answer { body, text, ..answer }
        });
        DESCRIBED.check(&method, &path, &answer);
        answer
    }

    /// This answer, if it has the status; or the test fails and shows it.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// What it shows, without how far a change has come that may have taken access away.
    pub fn shown(&self) -> Value {
        let mut body = self.body.clone();
        body.as_object_mut().unwrap().remove("propagation");
        body
    }

    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    #[track_caller]
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id: {self}")).to_owned()
    }

    /// The detail of a SCIM error, whose form is checked: RFC 7644 §3.12.
    #[track_caller]
    pub fn scim_error(&self, status: u16, scim_type: &str) -> &str {
        assert_eq!(self.status, status, "{self}");
        assert_eq!(self.header("content-type"), "application/scim+json", "{self}");
        assert_eq!(self.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{self}");
        assert_eq!(self.body["status"], json!(status.to_string()), "{self}");
        assert_eq!(self.body.get("scimType").and_then(Value::as_str).unwrap_or_default(), scim_type, "{self}");
        self.body["detail"].as_str().unwrap()
    }

    /// The detail of a problem, whose form is checked: RFC 9457.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> &str {
        assert_eq!(self.status, status, "{self}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self}");
        assert_eq!(self.body["status"], json!(status), "{self}");
        assert_eq!(self.body["code"], json!(code), "{self}");
        assert_eq!(self.body["request_id"], json!(self.header("x-request-id")), "{self}");
        self.body["detail"].as_str().unwrap()
    }

    /// The values of one member of every resource of a list: `answer.each("userName")`.
    #[track_caller]
    pub fn each(&self, name: &str) -> Vec<&str> {
        let resources = self.body["Resources"].as_array().unwrap_or_else(|| panic!("no list: {self}"));
        resources.iter().map(|resource| resource[name].as_str().unwrap_or_default()).collect()
    }

    /// The ids of the members of a group.
    pub fn members(&self) -> Vec<&str> {
        let members = self.body["members"].as_array();
        members.into_iter().flatten().map(|member| member["value"].as_str().unwrap()).collect()
    }
}

impl Index<&str> for Answer {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        &self.body[name]
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for name in SHOWN {
            for (_, value) in self.headers.iter().filter(|(key, _)| key == name) {
                writeln!(f, "{name}: {value}")?;
            }
        }
        match &self.body {
            Value::Null => Ok(()),
            body => f.write_str(&pretty(body, "")),
        }
    }
}

/// JSON over several lines where one would be long.
fn pretty(value: &Value, indent: &str) -> String {
    let short = value.to_string();
    if short.len() + indent.len() <= 90 {
        return short;
    }
    let deeper = format!("{indent}  ");
    let (open, items, close) = match value {
        Value::Array(items) => ('[', items.iter().map(|item| pretty(item, &deeper)).collect::<Vec<_>>(), ']'),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{}: {}", json!(name), pretty(value, &deeper));
            ('{', members.iter().map(member).collect(), '}')
        }
        _ => return short,
    };
    format!("{open}\n{deeper}{}\n{indent}{close}", items.join(&format!(",\n{deeper}")))
}
