//! Classes of keys.

use schemars::JsonSchema;

/// What a key is for; the letter in its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "KeyClass")]
pub enum Class {
    /// `kru_`: a person's.
    #[schemars(rename = "u")]
    User,
    /// `krs_`: an agent's.
    #[schemars(rename = "s")]
    Service,
    /// `krp_`: a connection's, for SCIM.
    #[schemars(rename = "p")]
    Provisioning,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 3] = [Class::User, Class::Service, Class::Provisioning];

    /// The letter in the prefix.
    pub fn letter(self) -> char {
        match self {
            Class::User => 'u',
            Class::Service => 's',
            Class::Provisioning => 'p',
        }
    }

    /// Reads a letter.
    pub fn from_letter(letter: char) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.letter() == letter)
    }
}
