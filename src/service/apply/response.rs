//! What `keyroll apply` tells.

use serde::Serialize;

use crate::domain::mapping::Source;
use crate::domain::{Api, Id, Role};
use crate::service::catalogue::source;
use crate::service::reports::effects::{Effect, Effects};

/// What was done, or would be.
#[derive(Debug, Serialize)]
pub struct Applied {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// What changes, in this order.
    pub changes: Vec<AppliedChange>,
    /// How many entries of the file are there already.
    pub unchanged: usize,
    /// What the file does not name, and stays.
    pub left: Vec<LeftItem>,
    /// Of a dry run: set if more would gain or lose something than are told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub effects_truncated: bool,
    /// Of a dry run: who would gain and lose what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effects: Option<Vec<Effect>>,
}

impl Applied {
    pub(in crate::service::apply) fn with(self, Effects { list, truncated }: Effects) -> Applied {
        Applied { effects_truncated: truncated, effects: Some(list), ..self }
    }
}

/// One change.
#[derive(Debug, Serialize)]
pub struct AppliedChange {
    /// `create`, `replace` or `delete`.
    pub change: &'static str,
    /// `api`, `role` or `mapping`.
    pub kind: &'static str,
    /// The name; a mapping has none.
    pub name: Option<String>,
    /// What was there.
    pub before: Option<Definition>,
    /// What is there then.
    pub after: Option<Definition>,
}

/// An api, a role or a mapping.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Definition {
    /// An api.
    Api(Api),
    /// A role.
    Role(Role),
    /// A mapping.
    Mapping {
        /// The role that it gives.
        role: String,
        /// Who gets it.
        #[serde(serialize_with = "source::as_sent")]
        source: Source,
    },
}

/// What a file does not name.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum LeftItem {
    /// An api.
    Api {
        /// Its name.
        name: String,
        /// Why it stays even with `--prune`.
        stays: Option<String>,
    },
    /// A role.
    Role {
        /// Its name.
        name: String,
        /// Why it stays even with `--prune`.
        stays: Option<String>,
    },
    /// A mapping.
    Mapping {
        /// Its id.
        id: Id,
        /// The role that it gives.
        role: String,
        /// Who gets it.
        #[serde(serialize_with = "source::as_sent")]
        source: Source,
        /// Why it stays even with `--prune`.
        stays: Option<String>,
    },
}
