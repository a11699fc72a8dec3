//! Dialects: what identity providers send beside the RFCs, one named tolerance each.
//!
//! The table below is the whole of it: a name for the `Keyroll-Tolerance` header, the dialects in which
//! it holds, and a line of documentation. To add one, add a line here, the branch that asks
//! [`Tolerances::allow`], and a test of its own.

mod spared;

pub use spared::{Names, TEXT_BYTES_MAX, Tolerances, told_path};

/// Which deviations from the RFCs a connection accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// Everything that no two providers contradict each other about.
    #[default]
    Auto,
    /// RFC 7643 and RFC 7644 as written.
    Rfc,
    /// Microsoft Entra ID.
    Entra,
    /// Okta.
    Okta,
    /// The interoperability profile: unknown attributes are refused.
    Strict,
}

impl Dialect {
    /// The name in settings, storage and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Auto => "auto",
            Dialect::Rfc => "rfc",
            Dialect::Entra => "entra",
            Dialect::Okta => "okta",
            Dialect::Strict => "strict",
        }
    }

    /// Whether it bears with what a provider sends beside the RFCs rather than stop it: design §5.
    pub fn is_lenient(self) -> bool {
        matches!(self, Dialect::Auto | Dialect::Entra | Dialect::Okta)
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Dialect> {
        [Dialect::Auto, Dialect::Rfc, Dialect::Entra, Dialect::Okta, Dialect::Strict]
            .into_iter()
            .find(|d| d.name() == name)
    }
}

macro_rules! tolerances {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, [$($dialect:ident),+];)*) => {
        /// One named deviation from the RFCs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Tolerance { $($(#[doc = $doc])+ $variant,)* }

        impl Tolerance {
            /// Every tolerance, in the order of the table.
            pub const ALL: &'static [Tolerance] = &[$(Tolerance::$variant,)*];

            /// The name that responses carry.
            pub fn name(self) -> &'static str {
                match self { $(Tolerance::$variant => $name,)* }
            }

            /// The dialects in which it holds.
            pub fn dialects(self) -> &'static [Dialect] {
                match self { $(Tolerance::$variant => &[$(Dialect::$dialect,)+],)* }
            }

            /// What it means, for people.
            pub fn about(self) -> &'static str {
                match self { $(Tolerance::$variant => concat!($($doc,)+),)* }
            }
        }
    };
}

tolerances! {
    /// `op` in any letter case, or with blanks around it: `Add`, `Replace`, `Remove`.
    OpCase = "entra-001", [Auto, Entra, Okta];
    /// Booleans as strings: `"True"`, `"false"`, in values and in filters. In values other words and numbers too
    /// (`"no"`, `"off"`, `0`), and for `active` a state (`"inactive"`, `"suspended"`).
    BooleanText = "entra-002", [Auto, Entra, Okta];
    /// `remove` with a list of values takes away those elements only.
    RemoveValues = "entra-003", [Auto, Entra, Okta];
    /// `replace` on an element that does not exist creates it from the `eq` terms of its filter.
    ReplaceCreates = "entra-004", [Auto, Entra];
    /// `add` on an element that does not exist creates it from the `eq` terms of its filter.
    AddCreates = "entra-005", [Auto, Entra, Okta];
    /// A complex attribute as a bare string, or as a list of one: `manager`.
    ComplexBare = "entra-006", [Auto, Entra, Okta];
    /// `""` unassigns an attribute that is not required.
    EmptyText = "entra-007", [Auto, Entra, Okta];
    /// Path-less values whose keys are paths: `name.givenName`, `emails[type eq "work"].value`.
    PathKeys = "entra-008", [Auto, Entra, Okta];
    /// Unknown schema URNs in `schemas` or as keys are dropped.
    UnknownSchema = "entra-009", [Auto, Entra, Okta];
    /// Attributes of extensions without their URN in filters: `manager eq "…"`.
    BareExtensionName = "entra-010", [Auto, Entra];
    /// Unknown attributes are dropped.
    UnknownAttribute = "auto-001", [Auto, Rfc, Entra, Okta];
    /// `schemas` is missing, or does not name what the message is.
    SchemasMissing = "okta-001", [Auto, Entra, Okta];
    /// A PATCH of `password`, which no schema here has, changes nothing.
    Password = "okta-003", [Auto, Entra, Okta];
    /// Read-only attributes in path-less values are left alone.
    ReadOnlyIgnored = "okta-002", [Auto, Rfc, Entra, Okta];
    /// Removing an element that is not there succeeds.
    RemoveAbsent = "auto-002", [Auto, Rfc, Entra, Okta];
    /// Numbers as strings.
    NumberText = "auto-003", [Auto, Entra, Okta];
    /// A list of one where one value is expected: `["false"]`; where a boolean is, also an object with a `value`. Lists in
    /// a list are one list.
    ListOfOne = "auto-004", [Auto, Entra, Okta];
    /// A PATCH without operations changes nothing.
    NoOperations = "auto-005", [Auto, Entra, Okta];
    /// A PATCH path that is `""` or the URN of the type's own schema is no path; nor is one that is no text, beside a
    /// value that says who has access.
    EmptyPath = "auto-006", [Auto, Entra, Okta];
    /// Members and owners without an id, or whose id nobody has, are dropped; so is a reference to an operation of a job that made nothing,
    /// beside what makes somebody leave.
    UnknownReference = "auto-007", [Auto, Entra, Okta];
    /// A text over its limit is dropped; so is one that nobody can keep: with U+0000, half a character, or bytes that
    /// are no UTF-8. What is required keeps the value that it has, and a name is what can be kept of it.
    OverLimit = "auto-008", [Auto, Entra, Okta];
    /// Beside a deactivation, and beside a change of members or owners, what cannot be done is dropped.
    Beside = "auto-009", [Auto, Entra, Okta];
    /// `Operations` that is one operation, and no list of them, of a PATCH or a job.
    BareOperation = "auto-010", [Auto, Entra, Okta];
    /// An `op` that is missing or another word (`update`, `delete`), where only one thing can be meant by it.
    OtherOp = "auto-011", [Auto, Entra, Okta];
    /// `active` several times in one object: if one of them says not active, that holds.
    SeveralActive = "auto-012", [Auto, Entra, Okta];
    /// A `remove` without a path whose value names members or owners.
    PathlessRemove = "auto-014", [Auto, Entra, Okta];
    /// The `value` of members or owners where they themselves are meant: `members[value eq "…"].value`, `members.value`.
    MemberValue = "auto-015", [Auto, Entra, Okta];
    /// The id of a member or an owner in another spelling, in a value or in a filter: in upper case, with blanks or braces
    /// around it, as `urn:uuid:`, with U+0000, at the end of a URL, as a list of one, as `id`, or by `$ref` alone.
    MemberSpelling = "auto-016", [Auto, Entra, Okta];
    /// Operations of a job that have one bulkId: only what refers to it fails.
    SharedBulkId = "auto-017", [Auto, Entra, Okta];
    /// A word without double quotes after `eq`, bare or in single ones, in filters and value paths:
    /// `userName eq akadmin` (authentik, and an example of Microsoft's).
    UnquotedText = "authentik-001", [Auto, Entra, Okta];
    /// ServiceProviderConfig without `RolesAndEntitlements`, for a client (scim2-client) that refuses members
    /// of drafts.
    PlainConfig = "scim2-001", [Auto, Rfc];
}
