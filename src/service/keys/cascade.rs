//! What a change of a principal does to its keys (`credentials.md` §3.7), decided without touching anything.

use chrono::{DateTime, Utc};

use crate::domain::Principal;

/// The consequence of a principal's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Consequence {
    /// Its keys stay as they are.
    None,
    /// It stops being live: its keys are suspended by derivation, no key row changes.
    Suspend,
    /// It is live again: its keys work again, unless they are too late.
    Activate,
}

/// Compares a principal before and after a change and sets `suspended_at`, which counts from the identity
/// provider's deactivation alone: an admin's hold has no window. Also gives whether the window has passed:
/// then the keys are revoked, whatever else holds them back.
pub(in crate::service) fn decide(
    before: Option<&Principal>,
    after: &mut Principal,
    now: DateTime<Utc>,
) -> (Consequence, bool) {
    let was_active = before.is_none_or(|before| before.active);
    let late = !was_active && after.active && after.is_past_window(now);
    match (was_active, after.active) {
        (true, false) => after.suspended_at = Some(now),
        (_, true) => after.suspended_at = None,
        (false, false) => {}
    }
    let consequence = match (before.is_none_or(Principal::is_live), after.is_live()) {
        (true, false) => Consequence::Suspend,
        (false, true) => Consequence::Activate,
        (true, true) | (false, false) => Consequence::None,
    };
    (consequence, late)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Id, principal::PrincipalKind};
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
        }
    }

    #[test]
    fn the_window_decides_what_a_reactivation_gives_back() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut gone = principal(false, false);
        assert_eq!(decide(Some(&principal(true, false)), &mut gone, now), (Consequence::Suspend, false));
        assert_eq!(gone.suspended_at, Some(now));
        let back = |after: TimeDelta| {
            let mut live = Principal { active: true, ..gone.clone() };
            (decide(Some(&gone), &mut live, now + after), live.suspended_at)
        };
        assert_eq!(back(TimeDelta::days(7) - TimeDelta::milliseconds(1)), ((Consequence::Activate, false), None));
        assert_eq!(back(TimeDelta::days(7)), ((Consequence::Activate, true), None));
    }

    #[test]
    fn an_admins_hold_outlasts_the_identity_provider() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let held = Principal { suspended_at: Some(now), ..principal(false, true) };
        let mut still = Principal { active: true, ..held.clone() };
        assert_eq!(decide(Some(&held), &mut still, now), (Consequence::None, false));
        // Too late is too late, even while the hold goes on.
        assert_eq!(decide(Some(&held), &mut still, now + TimeDelta::days(8)), (Consequence::None, false));
        let mut late = Principal { active: true, suspended_at: Some(now), ..held.clone() };
        assert_eq!(decide(Some(&held), &mut late, now + TimeDelta::days(8)), (Consequence::None, true));
        let mut created_inactive = principal(false, false);
        assert_eq!(decide(None, &mut created_inactive, now), (Consequence::Suspend, false));
    }

    #[test]
    fn an_admins_hold_has_no_window() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut held = principal(true, true);
        assert_eq!(decide(Some(&principal(true, false)), &mut held, now), (Consequence::Suspend, false));
        let mut free = Principal { admin_hold: false, ..held.clone() };
        assert_eq!(decide(Some(&held), &mut free, now + TimeDelta::days(30)), (Consequence::Activate, false));
    }
}
