//! Conditions of a grant, on the command line.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::domain::credential::When;
use crate::service::Error;

/// What must hold of a request for the grant to count.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Conditions {
    /// The grant counts for requests from this network alone
    #[arg(long, value_name = "NETWORK", requires = "grant", value_parser = ip)]
    ip: Vec<String>,
    /// The grant counts for this environment alone
    #[arg(long, value_name = "NAME", requires = "grant", value_parser = environment)]
    environment: Vec<String>,
    /// The grant counts in these hours alone, such as 08:00-20:00@Europe/Paris
    #[arg(long, value_name = "FROM-TO@ZONE", requires = "grant", value_parser = between)]
    between: Option<String>,
    /// The grant counts for a client with this certificate alone: its x5t#S256
    #[arg(long, value_name = "X5T", requires = "grant", value_parser = certificate)]
    certificate: Option<String>,
}

impl Conditions {
    /// The same as conditions.
    ///
    /// # Errors
    /// For more of them than may be.
    pub(super) fn when(&self) -> Result<When, Error> {
        let some = |texts: &[String]| (!texts.is_empty()).then(|| json!(texts));
        let all = [
            ("ip", some(&self.ip)),
            ("environment", some(&self.environment)),
            ("between", self.between.as_deref().and_then(hours)),
            ("certificate", self.certificate.as_ref().map(|print| json!(print))),
        ];
        let all: Map<_, _> = all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        serde_json::from_value(Value::Object(all)).map_err(|error| Error::Refused(error.to_string()))
    }
}

/// `FROM-TO@ZONE` as three texts.
fn hours(text: &str) -> Option<Value> {
    let (hours, zone) = text.split_once('@')?;
    let (from, to) = hours.split_once('-')?;
    Some(json!([from, to, zone]))
}

fn read(name: &str, value: Value, text: &str) -> Result<String, String> {
    let read = serde_json::from_value::<When>(json!({ name: value }));
    read.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn ip(text: &str) -> Result<String, String> {
    read("ip", json!([text]), text)
}

fn environment(text: &str) -> Result<String, String> {
    read("environment", json!([text]), text)
}

fn between(text: &str) -> Result<String, String> {
    read("between", hours(text).ok_or("expected hours and a zone, such as 08:00-20:00@Europe/Paris")?, text)
}

fn certificate(text: &str) -> Result<String, String> {
    read("certificate", json!(text), text)
}
