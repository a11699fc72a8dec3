//! The description of the API, once it is written.

/// The document as it is served, and its tag.
pub(in crate::http) struct Description {
    pub(super) text: String,
    /// What stands between the quotes of the tag.
    pub(super) opaque: String,
}
