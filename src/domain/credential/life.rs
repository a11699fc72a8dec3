//! How a key's life goes on: each step takes the record as it is and gives the next one, or refuses (credentials.md
//! §3.2). What ended does not come back, and no step widens what a key may do.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use thiserror::Error;

use super::{Credential, Grant, LIFETIME_MAX, RetireOn, Retirement, Revocation, Slot};
use crate::domain::permission::Permission;

/// Why a key is held back, whatever its owner is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// An admin said so.
    #[default]
    AdminHold,
    /// Somebody else may know it.
    LeakSuspected,
}

impl Hold {
    /// All of them.
    pub const ALL: [Hold; 2] = [Hold::AdminHold, Hold::LeakSuspected];

    /// The name in answers and in the row.
    pub fn name(self) -> &'static str {
        match self {
            Hold::AdminHold => "admin_hold",
            Hold::LeakSuspected => "leak_suspected",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Hold> {
        Hold::ALL.into_iter().find(|hold| hold.name() == name)
    }
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// It was revoked, or its time is over.
    #[error("the key has ended, and what has ended does not come back")]
    Ended,
    /// It has a successor, and ends for that.
    #[error("the key gives way to its successor: extend that one")]
    GivesWay,
    /// It would be worth more than before.
    #[error("{0} is more than the key may do, or under fewer conditions: a grant is never widened")]
    Wider(Permission),
    /// An extension that gives nothing.
    #[error("the key works until {0} as it is")]
    NotLater(DateTime<Utc>),
    /// Longer than any key may live.
    #[error("no key works longer than 365 days from when it was issued: that is until {0}")]
    TooLong(DateTime<Utc>),
}

impl Credential {
    /// Held back for one more reason.
    ///
    /// # Errors
    /// If it has ended.
    pub fn hold(self, hold: Hold, now: DateTime<Utc>) -> Result<Credential, Refused> {
        let mut next = self.alive(now)?;
        if !next.reasons.iter().any(|reason| reason == hold.name()) {
            next.reasons.push(hold.name().to_owned());
            next.reasons.sort();
        }
        Ok(next)
    }

    /// Held back for one reason less; any other stays.
    ///
    /// # Errors
    /// If it has ended.
    pub fn release(self, hold: Hold, now: DateTime<Utc>) -> Result<Credential, Refused> {
        let mut next = self.alive(now)?;
        next.reasons.retain(|reason| reason != hold.name());
        Ok(next)
    }

    /// With a smaller ceiling.
    ///
    /// # Errors
    /// If it has ended, or a permission is not covered by the ceiling that it has, under no fewer conditions.
    pub fn narrow(self, to: Grant, now: DateTime<Utc>) -> Result<Credential, Refused> {
        let next = self.alive(now)?;
        to.parts().iter().try_for_each(|part| next.grant.check_within(part)).map_err(Refused::Wider)?;
        Ok(Credential { grant: to, ..next })
    }

    /// With a later end.
    ///
    /// # Errors
    /// If it has ended or gives way to a successor, for an end that is not later, and for one beyond [`LIFETIME_MAX`] from when it was issued.
    pub fn extend(self, until: DateTime<Utc>, now: DateTime<Utc>) -> Result<Credential, Refused> {
        let next = self.alive(now)?;
        let last = next.created_at + LIFETIME_MAX;
        match until {
            _ if next.retirement.is_some() => Err(Refused::GivesWay),
            _ if until > last => Err(Refused::TooLong(last)),
            _ if until <= next.expires_at => Err(Refused::NotLater(next.expires_at)),
            _ => Ok(Credential { expires_at: until, ..next }),
        }
    }

    /// Giving way to a successor at this time, never later than it would have before.
    ///
    /// # Errors
    /// If it has ended.
    pub fn retire(self, at: DateTime<Utc>, on: RetireOn, now: DateTime<Utc>) -> Result<Credential, Refused> {
        let next = self.alive(now)?;
        let at = at.min(next.ends_at());
        let slot = (at > now).then_some(Slot::Retiring);
        Ok(Credential { retirement: Some(Retirement { at, on }), slot, ..next })
    }

    /// Revoked for good; a key that was keeps its first reason and time.
    #[must_use]
    pub fn revoke(self, reason: &str, now: DateTime<Utc>) -> Credential {
        match self.revoked {
            Some(_) => self,
            None => {
                let revoked = Some(Revocation { at: now, reason: reason.to_owned() });
                Credential { revoked, slot: None, ..self }
            }
        }
    }

    fn alive(self, now: DateTime<Utc>) -> Result<Credential, Refused> {
        if self.revoked.is_some() || now >= self.ends_at() { Err(Refused::Ended) } else { Ok(self) }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::class::Class;
    use crate::domain::id::Id;
    use crate::domain::permission::Permissions;
    use crate::domain::secret::Digest;

    fn at(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000 + days)
    }

    fn permissions(texts: &[&str]) -> Permissions {
        Permissions::parse(texts.iter().copied()).unwrap()
    }

    /// Issued on day 0 for ninety days.
    fn key() -> Credential {
        Credential {
            id: Id::NIL,
            owner: Id::NIL,
            class: Class::User,
            connection: None,
            selector: "000000TEST01".to_owned(),
            digest: Digest([0; 32]),
            name: String::new(),
            grant: Grant::of(permissions(&["billing:*:read"])),
            created_at: at(0),
            created_by: None,
            expires_at: at(90),
            reasons: vec![],
            revoked: None,
            version: 1,
            text_hash: None,
            lineage: Id::NIL,
            slot: Some(Slot::Current),
            predecessor: None,
            retirement: None,
            first_used_at: None,
        }
    }

    fn grant(texts: &[&str]) -> Grant {
        Grant::of(permissions(texts))
    }

    #[test]
    fn reasons_are_a_set_and_each_goes_by_itself() {
        let held = key().hold(Hold::LeakSuspected, at(1)).unwrap().hold(Hold::AdminHold, at(1)).unwrap();
        assert_eq!(held.reasons, ["admin_hold", "leak_suspected"]);
        assert_eq!(held.clone().hold(Hold::AdminHold, at(2)).unwrap(), held);
        let left = held.release(Hold::AdminHold, at(2)).unwrap();
        assert_eq!(left.reasons, ["leak_suspected"]);
        assert_eq!(left.clone().release(Hold::AdminHold, at(2)).unwrap(), left);
        assert_eq!(left.release(Hold::LeakSuspected, at(2)).unwrap(), key());
    }

    #[test]
    fn a_grant_only_shrinks() {
        let small = key().narrow(grant(&["billing:invoices:read"]), at(1)).unwrap();
        assert_eq!(small.grant, grant(&["billing:invoices:read"]));
        for wider in ["billing:*:read", "billing:invoices:write", "*:*:*", "keyroll:keys:issue"] {
            let refused = small.clone().narrow(grant(&["billing:invoices:read", wider]), at(1));
            assert_eq!(refused, Err(Refused::Wider(Permission::parse(wider).unwrap())));
        }
        let identity = Credential { grant: Grant::Identity, ..key() };
        assert!(matches!(identity.narrow(grant(&["billing:invoices:read"]), at(1)), Err(Refused::Wider(_))));
    }

    #[test]
    fn an_end_moves_away_and_not_too_far() {
        assert_eq!(key().extend(at(200), at(89)).unwrap().expires_at, at(200));
        assert_eq!(key().extend(at(365), at(89)).unwrap().expires_at, at(365));
        assert_eq!(key().extend(at(366), at(89)), Err(Refused::TooLong(at(365))));
        assert_eq!(key().extend(at(90), at(1)), Err(Refused::NotLater(at(90))));
        assert_eq!(key().extend(at(2), at(1)), Err(Refused::NotLater(at(90))));
    }

    #[test]
    fn whoever_gives_way_ends_no_later_for_anything() {
        let retiring = key().retire(at(7), RetireOn::Deadline, at(6)).unwrap();
        assert_eq!((retiring.ends_at(), retiring.slot), (at(7), Some(Slot::Retiring)));
        assert_eq!(retiring.clone().retire(at(9), RetireOn::FirstUse, at(6)).unwrap().ends_at(), at(7));
        assert_eq!(retiring.clone().extend(at(200), at(6)), Err(Refused::GivesWay));
        assert_eq!(retiring.clone().retire(at(9), RetireOn::Deadline, at(7)), Err(Refused::Ended));
        assert_eq!(retiring.retire(at(6), RetireOn::Deadline, at(6)).unwrap().slot, None);
        assert_eq!(key().retire(at(99), RetireOn::Deadline, at(6)).unwrap().ends_at(), at(90));
    }

    #[test]
    fn what_has_ended_does_not_come_back() {
        let expired = (key(), at(90));
        let revoked = (key().revoke("requested", at(3)), at(4));
        for (ended, now) in [expired, revoked] {
            assert_eq!(ended.clone().hold(Hold::AdminHold, now), Err(Refused::Ended));
            assert_eq!(ended.clone().release(Hold::AdminHold, now), Err(Refused::Ended));
            assert_eq!(ended.clone().narrow(grant(&["billing:invoices:read"]), now), Err(Refused::Ended));
            assert_eq!(ended.clone().extend(at(200), now), Err(Refused::Ended));
        }
        let once = key().revoke("requested", at(3));
        assert_eq!(once.clone().revoke("other", at(4)), once);
    }
}
