//! ETags and the conditions on them (RFC 7644 §3.14).
//!
//! Tags are weak, since projections of one version differ. HTTP's strong comparison would make `If-Match`
//! useless with them, so opaque values are compared and `W/` is ignored.

use crate::service::Error;

/// The conditional headers of a request, or the `version` of a Bulk operation.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
}

impl Conditions {
    /// Refuses a change of a version that the client has not seen.
    pub(in crate::service) fn check_write(&self, version: i64) -> Result<(), Error> {
        match &self.if_match {
            Some(tags) if !names(tags, version) => Err(Error::PreconditionFailed),
            _ => Ok(()),
        }
    }

    /// Whether the client has this version already.
    pub(in crate::service) fn is_unmodified(&self, version: i64) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| names(tags, version))
    }
}

/// The tag of a version: `W/"3"`.
pub(in crate::service) fn etag(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// Whether a list of tags names the version, or is `*`.
fn names(tags: &str, version: i64) -> bool {
    tags.split(',').map(str::trim).any(|tag| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == "*" || opaque == version.to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn tags_compare_without_their_weakness() {
        for tags in ["W/\"3\"", "\"3\"", "*", "W/\"1\", W/\"3\"", "3"] {
            assert!(names(tags, 3), "{tags}");
        }
        for tags in ["W/\"4\"", "", "\"33\"", "W/3x"] {
            assert!(!names(tags, 3), "{tags}");
        }
    }
}
