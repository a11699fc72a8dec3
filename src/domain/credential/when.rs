//! When a part of a grant counts: typed conditions on a request, each of which holds or does not. There is no language
//! to write others in.

use std::net::IpAddr;

use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Networks or environments in one condition.
const VALUES_MAX: usize = 100;
/// Letters of an environment's name.
const ENVIRONMENT_MAX: usize = 64;

/// What is known of a request beside the key that it shows. What nobody told is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// When it is.
    pub at: DateTime<Utc>,
    /// Where it comes from.
    pub ip: Option<IpAddr>,
    /// Which environment it is for: `prod`, `test`.
    pub environment: Option<String>,
    /// The certificate that the client showed: its `x5t#S256`.
    pub certificate: Option<Thumbprint>,
}

/// All that must hold for a part of a grant to count; what is not there is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Conditions")]
pub struct When {
    /// The request comes from one of these networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "networks")]
    #[schemars(with = "Vec<String>", length(min = 1, max = VALUES_MAX))]
    pub ip: Vec<IpNet>,
    /// The hours of the day: from, to (not included; past midnight if it is the earlier one), and the IANA name of the zone.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "told")]
    #[schemars(with = "(String, String, String)")]
    pub between: Option<Between>,
    /// The request is for one of these environments.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "environments")]
    #[schemars(with = "Vec<String>", length(min = 1, max = VALUES_MAX))]
    pub environment: Vec<String>,
    /// The client showed the certificate with this SHA-256 (`x5t#S256`, RFC 8705 §3.1).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "told")]
    pub certificate: Option<Thumbprint>,
}

impl When {
    /// Whether nothing is asked.
    pub fn is_always(&self) -> bool {
        *self == When::default()
    }

    /// Whether all of it holds. What a request does not tell does not hold.
    pub fn holds(&self, given: &Circumstances) -> bool {
        let from = given.ip.map(|ip| ip.to_canonical());
        let is_near = || from.is_some_and(|ip| self.ip.iter().any(|net| net.contains(&ip)));
        let environment = given.environment.as_ref();
        (self.ip.is_empty() || is_near())
            && self.between.as_ref().is_none_or(|between| between.contains(given.at))
            && (self.environment.is_empty() || environment.is_some_and(|one| self.environment.contains(one)))
            && self.certificate.as_ref().is_none_or(|own| given.certificate.as_ref() == Some(own))
    }
}

/// Hours of the day, in some zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Between {
    from: NaiveTime,
    to: NaiveTime,
    zone: Tz,
}

impl Between {
    /// Reads `08:00`, `20:00`, `Europe/Paris`; `None` for what is no time or zone, and for hours that are none.
    pub fn parse(from: &str, to: &str, zone: &str) -> Option<Between> {
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| text.len() == 5);
        let (from, to) = (time(from)?, time(to)?);
        (from != to).then_some(Between { from, to, zone: zone.parse().ok()? })
    }

    fn contains(&self, at: DateTime<Utc>) -> bool {
        let time = at.with_timezone(&self.zone).time();
        match self.from < self.to {
            true => self.from <= time && time < self.to,
            false => self.from <= time || time < self.to,
        }
    }

    fn texts(&self) -> [String; 3] {
        let time = |time: NaiveTime| time.format("%H:%M").to_string();
        [time(self.from), time(self.to), self.zone.name().to_owned()]
    }
}

impl Serialize for Between {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.texts().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Between {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let parsed = match texts.as_slice() {
            [from, to, zone] => Between::parse(from, to, zone),
            _ => None,
        };
        parsed.ok_or_else(|| {
            D::Error::custom("expected [from, to, zone], such as [\"08:00\", \"20:00\", \"Europe/Paris\"]")
        })
    }
}

/// The SHA-256 of a certificate (DER), in base64url without padding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thumbprint(String);

impl Thumbprint {
    /// Reads 43 letters of base64url that are 32 bytes.
    pub fn parse(text: &str) -> Option<Thumbprint> {
        let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        // The last letter bears four bits: its others are nothing.
        let is_last = text.ends_with(|last| "AEIMQUYcgkosw048".contains(last));
        (text.len() == 43 && text.bytes().all(is_letter) && is_last).then(|| Thumbprint(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Thumbprint::parse(&text).ok_or_else(|| D::Error::custom("expected an x5t#S256: 43 letters of base64url"))
    }
}

impl JsonSchema for Thumbprint {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Thumbprint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"})
    }
}

/// What stands there is not null.
fn told<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn some<T, E: serde::de::Error>(values: Vec<T>) -> Result<Vec<T>, E> {
    // An empty list would hold for nobody, or for all: nobody knows which is meant.
    match values.len() {
        1..=VALUES_MAX => Ok(values),
        _ => Err(E::custom(format!("expected one to {VALUES_MAX} values"))),
    }
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = some(Vec::<String>::deserialize(deserializer)?)?;
    let network = |text: &String| {
        let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        // An IPv4 address in IPv6's clothes is compared as what it is.
        let net = net.filter(|net| !matches!(net.addr(), IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()));
        net.ok_or_else(|| D::Error::custom("expected networks, such as 203.0.113.0/24 or 2001:db8::/32"))
    };
    texts.iter().map(|text| network(text).map(|net| net.trunc())).collect()
}

fn environments<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = some(Vec::<String>::deserialize(deserializer)?)?;
    match names.iter().all(|name| is_environment(name)) {
        true => Ok(names),
        false => {
            Err(D::Error::custom(format!("expected names of a–z, 0–9, _, . and -, at most {ENVIRONMENT_MAX} letters")))
        }
    }
}

/// Whether a text can name an environment.
pub fn is_environment(name: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b);
    (1..=ENVIRONMENT_MAX).contains(&name.len()) && name.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn when(value: serde_json::Value) -> When {
        serde_json::from_value(value).unwrap()
    }

    fn at(time: &str) -> Circumstances {
        Circumstances { at: DateTime::parse_from_rfc3339(time).unwrap().to_utc(), ..Circumstances::default() }
    }

    fn from(ip: &str) -> Circumstances {
        Circumstances { ip: Some(ip.parse().unwrap()), ..Circumstances::default() }
    }

    #[test]
    fn networks_hold_for_what_lies_in_them() {
        let office = when(json!({"ip": ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7"]}));
        for near in ["203.0.113.0", "203.0.113.255", "::ffff:203.0.113.9", "2001:db8:1::1", "198.51.100.7"] {
            assert!(office.holds(&from(near)), "{near}");
        }
        for far in ["203.0.114.0", "2001:db9::1", "198.51.100.8", "::ffff:203.0.114.1"] {
            assert!(!office.holds(&from(far)), "{far}");
        }
        assert!(!office.holds(&Circumstances::default()));
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        let day = when(json!({"between": ["08:00", "20:00", "Europe/Paris"]}));
        // Summer time: two hours ahead; then one.
        for (time, holds) in [
            ("2026-07-01T05:59:59Z", false),
            ("2026-07-01T06:00:00Z", true),
            ("2026-07-01T17:59:59Z", true),
            ("2026-07-01T18:00:00Z", false),
            ("2026-12-01T06:59:59Z", false),
            ("2026-12-01T07:00:00Z", true),
        ] {
            assert_eq!(day.holds(&at(time)), holds, "{time}");
        }
        let night = when(json!({"between": ["22:00", "06:00", "UTC"]}));
        for (time, holds) in
            [("21:59:59", false), ("22:00:00", true), ("00:00:00", true), ("05:59:59", true), ("06:00:00", false)]
        {
            assert_eq!(night.holds(&at(&format!("2026-12-01T{time}Z"))), holds, "{time}");
        }
    }

    #[test]
    fn all_of_it_must_hold() {
        let print = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
        let both = when(json!({"environment": ["prod", "stage"], "certificate": print}));
        let given = Circumstances {
            environment: Some("prod".to_owned()),
            certificate: Thumbprint::parse(print),
            ..Circumstances::default()
        };
        assert!(both.holds(&given));
        assert!(!both.holds(&Circumstances { environment: Some("test".to_owned()), ..given.clone() }));
        assert!(!both.holds(&Circumstances { environment: None, ..given.clone() }));
        assert!(!both.holds(&Circumstances { certificate: None, ..given.clone() }));
        let other = Thumbprint::parse("B4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0");
        assert!(!both.holds(&Circumstances { certificate: other, ..given }));
        assert!(When::default().holds(&Circumstances::default()) && When::default().is_always());
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for odd in [
            json!({"ip": []}),
            json!({"ip": ["203.0.113.0/33"]}),
            json!({"ip": ["office"]}),
            json!({"ip": ["::ffff:203.0.113.0/120"]}),
            json!({"ip": null}),
            json!({"between": ["08:00", "20:00"]}),
            json!({"between": ["8:00", "20:00", "UTC"]}),
            json!({"between": ["08:00", "08:00", "UTC"]}),
            json!({"between": ["08:00", "24:00", "UTC"]}),
            json!({"between": ["08:00", "20:00", "Europe/Atlantis"]}),
            json!({"between": null}),
            json!({"environment": [""]}),
            json!({"environment": ["Prod"]}),
            json!({"certificate": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v1"}),
            json!({"certificate": "short"}),
            json!({"weekday": ["monday"]}),
        ] {
            assert!(serde_json::from_value::<When>(odd.clone()).is_err(), "{odd}");
        }
        let whole = json!({"ip": ["203.0.113.9/24"], "between": ["22:00", "06:00", "Europe/Paris"]});
        let read = when(whole);
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            json!({"ip": ["203.0.113.0/24"], "between": ["22:00", "06:00", "Europe/Paris"]})
        );
    }
}
