//! What is said of a command line that cannot be read: which argument it is, never what stands there. Values are
//! keys and passwords, and a URL that was meant for a setting may stand anywhere.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Command};

use crate::config::{Place, Serving};
use crate::domain::secret::resembles_key;

/// The same error without the value of any setting, nor one that may be a URL.
pub(super) fn without_values(mut error: clap::Error) -> clap::Error {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return error;
    }
    // Of a setting that is one of a few words, a wrong word is told.
    let is_choice =
        matches!(error.get(ContextKind::ValidValue), Some(ContextValue::Strings(words)) if !words.is_empty());
    let is_setting = matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(text)) if is_setting(text));
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        let hidden = match (kind, error.get(kind)) {
            // An empty one is told from one that is wrong.
            (ContextKind::InvalidValue, Some(ContextValue::String(text)))
                if !text.is_empty() && (is_setting && !(is_choice && is_word(text)) || may_be_secret(text)) =>
            {
                "…".to_owned()
            }
            (ContextKind::InvalidArg, Some(ContextValue::String(text))) if !is_own(text) => flag(text),
            (ContextKind::InvalidSubcommand, Some(ContextValue::String(text))) if !is_word(text) => "…".to_owned(),
            _ => continue,
        };
        error.insert(kind, ContextValue::String(hidden));
    }
    // It repeats what it is about.
    if matches!(error.kind(), ErrorKind::UnknownArgument) {
        error.remove(ContextKind::TrailingArg);
        error.remove(ContextKind::Suggested);
    }
    error
}

/// Whether an argument as the help shows it is a setting.
fn is_setting(argument: &str) -> bool {
    let settings = Serving::augment_args(Place::augment_args(Command::new("")));
    let flag = argument.split(' ').next().unwrap_or_default().trim_start_matches('-');
    settings.get_arguments().any(|setting| setting.get_long() == Some(flag))
}

/// A URL may have a password in it, and a key is one.
fn may_be_secret(value: &str) -> bool {
    value.contains("://") || resembles_key(value)
}

/// An argument as the help shows it: `--listen <ADDRESS>`.
fn is_own(text: &str) -> bool {
    text.contains('<') || is_word(text.trim_start_matches('-'))
}

/// The name of a flag that there is not, without what stands behind it.
fn flag(text: &str) -> String {
    let name = text.split('=').next().unwrap_or_default();
    if name.starts_with("--") && is_word(name.trim_start_matches('-')) { name.to_owned() } else { "…".to_owned() }
}

/// A word that could be a command or a flag that is spelt wrongly.
fn is_word(text: &str) -> bool {
    (1..=24).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}
