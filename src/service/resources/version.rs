//! ETags and the conditions on them (RFC 7644 §3.14, RFC 9110 §13.1).
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
    /// Refuses a change of a version that the client has not seen, or has excluded.
    pub(in crate::service) fn check_write(&self, version: i64) -> Result<(), Error> {
        self.check_match(version)?;
        if self.excludes(version) {
            return Err(Error::PreconditionFailed("If-None-Match: the resource has that version"));
        }
        Ok(())
    }

    /// Whether a read finds that the client has this version already; refuses to show a version other
    /// than the one asked for.
    pub(in crate::service) fn is_unmodified(&self, version: i64) -> Result<bool, Error> {
        self.check_match(version)?;
        Ok(self.excludes(version))
    }

    fn check_match(&self, version: i64) -> Result<(), Error> {
        match &self.if_match {
            Some(tags) if !names(tags, version) => Err(Error::PreconditionFailed("the resource has another version")),
            _ => Ok(()),
        }
    }

    fn excludes(&self, version: i64) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| names(tags, version))
    }
}

/// The tag of a version: `W/"3"`.
pub(in crate::service) fn etag(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// Whether a list of tags names the version, or is `*`. What is no tag names nothing.
fn names(tags: &str, version: i64) -> bool {
    let version = version.to_string();
    let is_named = |tag: &str| {
        let quoted = tag.strip_prefix("W/").unwrap_or(tag);
        let opaque = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        opaque.is_some_and(|opaque| opaque == version)
    };
    tags.trim() == "*" || tags.split(',').map(str::trim).any(is_named)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn tags_compare_without_their_weakness() {
        for tags in ["W/\"3\"", "\"3\"", "*", "W/\"1\", W/\"3\""] {
            assert!(names(tags, 3), "{tags}");
        }
        for tags in ["W/\"4\"", "", "\"33\"", "W/3x", "3", "W/3", "W/\"3", "3\"", "\"\"3\"\"", "w/\"3\"", "\""] {
            assert!(!names(tags, 3), "{tags}");
        }
    }
}
