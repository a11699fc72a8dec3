//! Credentials: who owns a key, what it may do at most, and whether it works now.

mod grant;
mod life;
mod when;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::class::Class;
use super::id::Id;
use super::permission::Permissions;
use super::principal::Principal;
use super::secret::{self, Digest};

pub use self::grant::{Covered, Grant, GrantPart};
pub use self::life::{Hold, Refused};
pub use self::when::{Between, Circumstances, Thumbprint, When, is_environment};

/// The lifetime of a key when none is asked for.
pub const LIFETIME_DEFAULT: TimeDelta = TimeDelta::days(90);
/// The longest lifetime of a key.
pub const LIFETIME_MAX: TimeDelta = TimeDelta::days(365);
/// The lifetime of a connection's first provisioning key.
pub const LIFETIME_PROVISIONING: TimeDelta = TimeDelta::days(180);

/// The answer to "does this key work", in the order in which the reasons are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// No such key, or not of this tenant, or not its secret.
    NotFound,
    /// Revoked, or its owner was deleted.
    Revoked,
    /// Past its expiry.
    Expired,
    /// Its owner is not live.
    OwnerInactive,
    /// Held back for a reason of its own.
    Suspended,
    /// What it was asked for hangs on a condition that does not hold.
    ConditionFailed,
    /// It works, but not for what was asked: its ceiling or its owner's access lacks that.
    InsufficientPermissions,
    /// It works.
    Valid,
}

impl Verdict {
    /// The code in answers.
    pub fn code(self) -> &'static str {
        match self {
            Verdict::NotFound => "NOT_FOUND",
            Verdict::Revoked => "REVOKED",
            Verdict::Expired => "EXPIRED",
            Verdict::OwnerInactive => "OWNER_INACTIVE",
            Verdict::Suspended => "SUSPENDED",
            Verdict::ConditionFailed => "CONDITION_FAILED",
            Verdict::InsufficientPermissions => "INSUFFICIENT_PERMISSIONS",
            Verdict::Valid => "VALID",
        }
    }
}

/// What is shown of how a key stands: what verification would tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "KeyStatus", rename_all = "snake_case")]
pub enum Status {
    /// It works.
    Active,
    /// It works until its successor takes over.
    Retiring,
    /// Held back for a reason of its own.
    Suspended,
    /// Its owner is not live.
    OwnerInactive,
    /// Past its expiry.
    Expired,
    /// Revoked, or its owner was deleted.
    Revoked,
    /// Its row was changed from outside: verification does not find it.
    Tampered,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 7] = [
        Status::Active,
        Status::Retiring,
        Status::Suspended,
        Status::OwnerInactive,
        Status::Expired,
        Status::Revoked,
        Status::Tampered,
    ];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Retiring => "retiring",
            Status::Suspended => "suspended",
            Status::OwnerInactive => "owner_inactive",
            Status::Expired => "expired",
            Status::Revoked => "revoked",
            Status::Tampered => "tampered",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether a key that has it has not come to its end.
    pub fn is_unexpired(self) -> bool {
        matches!(self, Status::Active | Status::Retiring | Status::Suspended | Status::OwnerInactive)
    }

    /// Whether a key that has it works.
    pub fn is_working(self) -> bool {
        matches!(self, Status::Active | Status::Retiring)
    }
}

/// The record of a key. The secret is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// Its id.
    pub id: Id,
    /// The one principal that owns it.
    pub owner: Id,
    /// What it is for.
    pub class: Class,
    /// The connection that it provisions for; class p only.
    pub connection: Option<Id>,
    /// The public part of the key.
    pub selector: String,
    /// The keyed hash of the secret.
    pub digest: Digest,
    /// A name for people.
    pub name: String,
    /// Its ceiling.
    pub grant: Grant,
    /// When it was issued.
    pub created_at: DateTime<Utc>,
    /// Who issued it: a credential's owner, or `None` for the host.
    pub created_by: Option<Id>,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
    /// Stored reasons for suspension; those derived from the owner are not among them.
    pub reasons: Vec<String>,
    /// When and why it was revoked.
    pub revoked: Option<Revocation>,
    /// Counts the changes of the row.
    pub version: i64,
    /// The SHA-256 of its text, by which somebody else's finding of it is told apart: it says nothing of what the key
    /// may do. None of keys that are older than that.
    pub text_hash: Option<[u8; 32]>,
    /// The first of the keys that replace one another; itself, if it replaces none.
    pub lineage: Id,
    /// Which of the two of a lineage that may work at once it is. The database holds that there are no more.
    pub slot: Option<Slot>,
    /// The key that it replaces.
    pub predecessor: Option<Id>,
    /// When it gives way to its successor.
    pub retirement: Option<Retirement>,
    /// When it was first used; known of a key that replaces another one. It only ever comes, and no MAC is over it.
    pub first_used_at: Option<DateTime<Utc>>,
}

/// Which key of a lineage one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The newest.
    Current,
    /// The one before, which has not given way yet.
    Retiring,
}

impl Slot {
    /// The name in the row.
    pub fn name(self) -> &'static str {
        match self {
            Slot::Current => "current",
            Slot::Retiring => "retiring",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Slot> {
        [Slot::Current, Slot::Retiring].into_iter().find(|slot| slot.name() == name)
    }
}

/// How a key gives way to its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retirement {
    /// When at the latest.
    pub at: DateTime<Utc>,
    /// What makes it give way earlier.
    pub on: RetireOn,
}

/// What ends a key that has a successor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetireOn {
    /// Its deadline alone.
    #[default]
    Deadline,
    /// The first use of the successor, too.
    FirstUse,
}

impl RetireOn {
    /// The name in requests and in the row.
    pub fn name(self) -> &'static str {
        match self {
            RetireOn::Deadline => "deadline",
            RetireOn::FirstUse => "first_use",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<RetireOn> {
        [RetireOn::Deadline, RetireOn::FirstUse].into_iter().find(|on| on.name() == name)
    }
}

/// When and why a key was revoked: final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: DateTime<Utc>,
    /// Why: a code, since free text would be personal data in the log.
    pub reason: String,
}

impl Credential {
    /// Whether it works at `now`, given its owner and whether a live User answers for it: the first reason
    /// that applies (design §7).
    pub fn verdict(&self, owner: &Principal, sponsored: bool, now: DateTime<Utc>) -> Verdict {
        if self.revoked.is_some() || owner.deleted_at.is_some() || owner.is_past_window(now) {
            Verdict::Revoked
        } else if now >= self.ends_at() {
            Verdict::Expired
        } else if !owner.is_live_with(sponsored) {
            Verdict::OwnerInactive
        } else if !self.reasons.is_empty() {
            Verdict::Suspended
        } else {
            Verdict::Valid
        }
    }

    /// Whether its first use is not known yet, and matters: it ends the key before it, or keeps this one.
    pub fn awaits_first_use(&self) -> bool {
        self.predecessor.is_some() && self.first_used_at.is_none() && self.slot == Some(Slot::Current)
    }

    /// When it stops working by itself: at its end, or where it gives way to its successor before.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.retirement.map_or(self.expires_at, |retirement| retirement.at.min(self.expires_at))
    }

    /// The same as a status.
    pub fn status(&self, owner: &Principal, sponsored: bool, now: DateTime<Utc>) -> Status {
        match self.verdict(owner, sponsored, now) {
            Verdict::NotFound => Status::Tampered,
            Verdict::Revoked => Status::Revoked,
            Verdict::Expired => Status::Expired,
            Verdict::OwnerInactive => Status::OwnerInactive,
            Verdict::Suspended => Status::Suspended,
            Verdict::ConditionFailed | Verdict::InsufficientPermissions | Verdict::Valid => match self.retirement {
                Some(_) => Status::Retiring,
                None => Status::Active,
            },
        }
    }

    /// Every reason why it is held back, the derived ones included.
    pub fn all_reasons(&self, owner: &Principal, sponsored: bool) -> Vec<String> {
        let mut reasons = self.reasons.clone();
        if owner.deleted_at.is_none() && self.revoked.is_none() {
            let derived =
                [(!owner.is_live(), "owner_suspended"), (owner.needs_sponsor() && !sponsored, "owner_orphaned")];
            reasons.extend(derived.iter().filter(|(applies, _)| *applies).map(|(_, reason)| (*reason).to_owned()));
        }
        reasons
    }

    /// How the key is shown: `kru_8Fq2…`.
    pub fn display(&self) -> String {
        secret::display(self.class, &self.selector)
    }

    /// The bytes under the row MAC: every field that decides what the key may do and for how long.
    pub fn canonical(&self, tenant: &Id) -> Vec<u8> {
        let grant = self.grant.permissions();
        let grant = grant.as_ref().map(Permissions::texts);
        let revoked = self.revoked.as_ref().map(|r| json!([r.at.timestamp_millis(), r.reason]));
        let mut fields: Value = json!([
            "keyroll/row/v1",
            tenant,
            self.id,
            self.selector,
            self.owner,
            self.class.letter().to_string(),
            self.connection,
            grant,
            self.created_at.timestamp_millis(),
            self.expires_at.timestamp_millis(),
            self.reasons,
            revoked,
            self.version,
        ]);
        // What came later stands in rows that have it alone: all others read as before, by servers of before as well,
        // and those do not take a row that has more than they know.
        let later = self.later_fields();
        if let (Some(fields), false) = (fields.as_array_mut(), later.is_empty()) {
            fields.push(Value::Object(later));
        }
        fields.to_string().into_bytes()
    }

    fn later_fields(&self) -> Map<String, Value> {
        let millis = |time: DateTime<Utc>| Value::from(time.timestamp_millis());
        let part = |part: &GrantPart| json!([part.permissions.texts(), part.when]);
        let fields = [
            ("parts", self.grant.is_conditional().then(|| self.grant.parts().iter().map(part).collect())),
            ("lineage", (self.lineage != self.id).then(|| json!(self.lineage))),
            ("predecessor", self.predecessor.map(|id| json!(id))),
            ("retirement", self.retirement.map(|how| json!([millis(how.at), how.on.name()]))),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}
