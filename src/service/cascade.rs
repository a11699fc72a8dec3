//! What a change of a principal does to its keys (`credentials.md` §3.7), decided without touching anything.

use chrono::{DateTime, Utc};

use crate::domain::Principal;

/// The consequence of a principal's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    /// Its keys stay as they are.
    None,
    /// It stops being live: its keys are suspended by derivation, no key row changes.
    Suspend,
    /// It is live again within the window: its keys work again.
    Activate,
    /// It is live again too late: its keys are revoked.
    ActivateLate,
}

/// Compares a principal before and after a change and sets `suspended_at` accordingly.
pub(super) fn decide(before: Option<&Principal>, after: &mut Principal, now: DateTime<Utc>) -> Consequence {
    let was_live = before.is_none_or(Principal::is_live);
    match (was_live, after.is_live()) {
        (true, false) => {
            after.suspended_at = Some(now);
            Consequence::Suspend
        }
        (false, true) => {
            let late = after.is_past_window(now);
            after.suspended_at = None;
            if late { Consequence::ActivateLate } else { Consequence::Activate }
        }
        (true, true) | (false, false) => Consequence::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Id, Permissions, principal::PrincipalKind};
    use chrono::TimeDelta;

    fn principal(active: bool, admin_hold: bool) -> Principal {
        Principal {
            id: Id::parse("01939e7a-5b1c-7def-8abc-0123456789ab").unwrap(),
            kind: PrincipalKind::User,
            local: false,
            name: "mira".into(),
            active,
            admin_hold,
            suspended_at: None,
            deleted_at: None,
            permissions: Permissions::default(),
        }
    }

    #[test]
    fn the_window_decides_what_a_reactivation_gives_back() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut gone = principal(false, false);
        assert_eq!(decide(Some(&principal(true, false)), &mut gone, now), Consequence::Suspend);
        assert_eq!(gone.suspended_at, Some(now));
        let back = |after: TimeDelta| {
            let mut live = Principal { active: true, ..gone.clone() };
            (decide(Some(&gone), &mut live, now + after), live.suspended_at)
        };
        assert_eq!(back(TimeDelta::days(7) - TimeDelta::milliseconds(1)), (Consequence::Activate, None));
        assert_eq!(back(TimeDelta::days(7)), (Consequence::ActivateLate, None));
    }

    #[test]
    fn an_admins_hold_outlasts_the_identity_provider() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let held = Principal { suspended_at: Some(now), ..principal(false, true) };
        let mut still = Principal { active: true, ..held.clone() };
        assert_eq!(decide(Some(&held), &mut still, now), Consequence::None);
        assert_eq!(still.suspended_at, Some(now));
        let mut created_inactive = principal(false, false);
        assert_eq!(decide(None, &mut created_inactive, now), Consequence::Suspend);
    }
}
