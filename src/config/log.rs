//! What is logged, and how lines are written.

use clap::ValueEnum;
use serde::Deserialize;

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people: `[2026-11-29T17:00:00Z INFO  keyroll::http] …`.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or a list of levels and of modules with theirs.
    pub filter: String,
    /// How lines are written.
    pub format: Format,
}

const EXPECTED: &str = "expected error, warn, info, debug, trace or off, or a list such as info,keyroll::http=debug";

impl Log {
    pub(super) fn new(filter: Option<String>, format: Option<Format>) -> Result<Log, String> {
        // Commands other than serve have no flag for it.
        let variable = || std::env::var_os("KEYROLL_LOG").and_then(|text| text.into_string().ok());
        let filter = filter.or_else(variable).unwrap_or_else(|| "info".to_owned());
        let filter = level(&filter).map_err(|expected| format!("--log-level: {expected}"))?;
        Ok(Log { filter, format: format.unwrap_or_default() })
    }
}

/// A filter as an argument: what cannot be read is refused here, since the logger would repeat it.
pub(super) fn level(text: &str) -> Result<String, &'static str> {
    let is_level = |text: &str| text.parse::<::log::LevelFilter>().is_ok();
    let is_module = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
    };
    let is_directive = |one: &str| match one.split_once('=') {
        Some((module, level)) => is_module(module) && is_level(level),
        None => is_level(one),
    };
    if text.split(',').map(str::trim).all(is_directive) { Ok(text.to_owned()) } else { Err(EXPECTED) }
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn a_filter_is_a_level_or_a_list_of_them() {
        for good in ["info", "WARN", "off", "info,keyroll::http=debug", "warn, actix_server=error"] {
            assert_eq!(level(good), Ok(good.to_owned()));
        }
        for bad in ["", "loud", "info,", "keyroll", "keyroll=loud", "info/secret", "=info", "a b=info"] {
            assert_eq!(level(bad), Err(super::EXPECTED), "{bad}");
        }
    }
}
