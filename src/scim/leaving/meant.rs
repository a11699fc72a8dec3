//! What a name may be about, by which its value may say that somebody leaves.

/// Yes and no in other words than JSON's.
pub(in crate::scim) const YES: [&str; 6] = ["true", "1", "yes", "y", "t", "on"];
pub(in crate::scim) const NO: [&str; 6] = ["false", "0", "no", "n", "f", "off"];
/// States of whoever is there.
pub(in crate::scim) const HERE: [&str; 2] = ["active", "enabled"];
/// States of whoever leaves or has left; as names they say it by a yes.
pub(in crate::scim) const GONE: [&str; 25] = [
    "inactive",
    "disabled",
    "suspended",
    "terminated",
    "deprovisioned",
    "deactivated",
    "blocked",
    "locked",
    "lockedout",
    "expired",
    "revoked",
    "closed",
    "ended",
    "deleted",
    "removed",
    "archived",
    "left",
    "leaver",
    "departed",
    "offboarded",
    "resigned",
    "retired",
    "dismissed",
    "quit",
    "former",
];

/// Names that say it by a no, or by a state.
pub(super) const ACTIVE: [&str; 7] = ["active", "enabled", "employed", "login", "logon", "signin", "signon"];
/// Names that say it by a no behind one of [`BEFORE`]: alone they may be about anything.
const RIGHTS: [&str; 3] = ["access", "allowed", "permitted"];
/// Names that say it by a state, or by `false`.
const STATES: [&str; 2] = ["status", "state"];
/// What may stand before any of them: `isActive`, `userStatus`, `isAccountDisabled`, `canLogin`, `isSoftDeleted`. A name
/// with another word in it is about something else: `passwordLoginAllowed`, `passwordExpired`.
const BEFORE: [&str; 17] = [
    "is",
    "has",
    "can",
    "may",
    "allow",
    "account",
    "user",
    "login",
    "logon",
    "signin",
    "signon",
    "access",
    "employment",
    "employee",
    "person",
    "soft",
    "hard",
];

/// Parts that are what they stand in: `status.value`, `{"status": {"code": "inactive"}}`.
const ITSELF: [&str; 6] = ["value", "code", "key", "name", "label", "type"];

/// Letters of a name that are looked at: enough for the longest of these with all that is likely before it.
const WORD_MAX: usize = 32;

/// What a name may be about, by which its value may say that somebody leaves.
#[derive(Clone, Copy, Default)]
pub(super) struct Meant {
    active: bool,
    right: bool,
    state: bool,
    gone: bool,
}

impl Meant {
    /// What a name is about; `outer` is what is before it.
    pub(super) fn by(name: &str, outer: Meant) -> Meant {
        let last = word(name).map_or(outer, |word| Meant::of(&word));
        // Of what is no path, nobody knows which word is what it names: any may be.
        let any = if is_path(name) { "" } else { name };
        let words = any.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
        words.map(|word| Meant::of(&word.to_lowercase())).fold(last, Meant::or)
    }

    /// What any of several names is about.
    pub(super) fn by_any<'n>(names: impl Iterator<Item = &'n str>) -> Meant {
        names.map(|name| Meant::by(name, Meant::default())).fold(Meant::default(), Meant::or)
    }

    fn of(word: &str) -> Meant {
        let (whole, mut word, mut meant) = (word, word, Meant::default());
        loop {
            meant.active |= ACTIVE.contains(&word);
            meant.right |= RIGHTS.contains(&word) && word != whole;
            meant.state |= STATES.contains(&word);
            meant.gone |= GONE.contains(&word);
            match BEFORE.iter().find_map(|before| word.strip_prefix(before)) {
                Some(rest) => word = rest,
                None => return meant,
            }
        }
    }

    pub(super) fn or(self, other: Meant) -> Meant {
        Meant {
            active: self.active || other.active,
            right: self.right || other.right,
            state: self.state || other.state,
            gone: self.gone || other.gone,
        }
    }

    pub(super) fn says(self, text: &str) -> bool {
        let is_in = |words: &[&str]| words.iter().any(|own| text.eq_ignore_ascii_case(own));
        self.active && (is_in(&NO) || is_in(&GONE))
            || self.right && is_in(&NO)
            // The number of a status may mean anything.
            || self.state && (is_in(&GONE) || is_in(&["false"]))
            || self.gone && is_in(&YES)
    }
}

/// The letters of a path's last segment, in lower case; none if the value is the one of what is before the path.
pub(super) fn word(path: &str) -> Option<String> {
    let (head, tail) = match (path.split_once('['), path.rsplit_once(']')) {
        (Some((head, _)), Some((_, tail))) => (head, tail),
        _ => (path, ""),
    };
    let segments = [head, tail].into_iter().flat_map(|part| part.split(['.', ':', '/', '#']));
    let letters = |segment: &str| -> String {
        segment.chars().filter(|c| c.is_alphabetic()).take(WORD_MAX + 1).flat_map(char::to_lowercase).collect()
    };
    let mut words = segments.rev().map(letters).filter(|word| !word.is_empty());
    match words.next() {
        Some(last) if ITSELF.contains(&&*last) => words.next(),
        last => Some(last.unwrap_or_default()),
    }
}

/// Whether a name has the form of a PATCH path (RFC 7644 §3.5.2 Figure 7).
pub(super) fn is_path(name: &str) -> bool {
    let is_plain = |part: &str| part.chars().all(|c| c.is_alphanumeric() || "_-$.:/#".contains(c));
    match (name.split_once('['), name.rsplit_once(']')) {
        (Some((head, _)), Some((_, tail))) => {
            let (head, tail) = (head.trim(), tail.trim());
            !head.is_empty() && is_plain(head) && is_plain(tail)
        }
        _ => is_plain(name),
    }
}
