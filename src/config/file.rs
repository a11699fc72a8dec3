//! The settings file. Its messages say where and which setting, never what stands there: the line may hold a
//! password, and a quote that is missing makes the rest of the file part of it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use toml::{Table, Value};

use super::Format;
use super::database_url::may_hold_password;

/// The name of the settings file in the working folder.
pub const FILE: &str = "keyroll.toml";

/// The one table of settings: the name of each, its type, and what it is like.
macro_rules! settings {
    ($($name:ident: $kind:ty, $expected:literal;)*) => {
        /// The settings file. A key that it does not know is refused.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct File {
            $(#[serde(default)] pub(super) $name: $kind,)*
        }

        /// What each setting is like.
        const EXPECTED: &[(&str, &str)] = &[$((stringify!($name), $expected)),*];
    };
}

settings! {
    data_dir: Option<PathBuf>, "the path of a folder in quotes";
    database_url: Option<String>, "\"sqlite:PATH\" or \"postgres://…\"";
    public_url: Option<String>, "\"https://…\"";
    listen: Option<SocketAddr>, "an address and a port in quotes, such as \"127.0.0.1:8080\"";
    behind_proxy: Vec<IpNet>, "a list of networks, such as [\"10.0.0.0/24\"]";
    rate_limit: Option<String>, "\"N/min\" or \"off\"";
    require_synchronous_standby: Option<bool>, "true or false";
    log_level: Option<String>, "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"";
    log_format: Option<Format>, "\"text\" or \"json\"";
}

/// Reads the file that was named, or the one in the working folder if it is there.
pub(super) fn read(named: Option<&Path>) -> Result<File, String> {
    let path = named.unwrap_or_else(|| Path::new(FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => return Ok(File::default()),
        Err(error) => return Err(format!("cannot read {}: {error}", told(path))),
    };
    parse(&text).map_err(|message| format!("{}: {message}", told(path)))
}

/// The path of the file, unless it looks like another setting's value, which may hold a password.
fn told(path: &Path) -> String {
    let text = path.to_string_lossy();
    if may_hold_password(&text) { "the file that --config names".to_owned() } else { text.into_owned() }
}

fn parse(text: &str) -> Result<File, String> {
    let table: Table = toml::from_str(text).map_err(|error| malformed(text, &error))?;
    // One by one, so that the message can name the one that is wrong.
    for (name, value) in &table {
        let alone = Value::Table(Table::from_iter([(name.clone(), value.clone())]));
        if alone.try_into::<File>().is_err() {
            return Err(refused(name));
        }
    }
    Value::Table(table).try_into().map_err(|_| "the settings do not go together".to_owned())
}

/// Where the text stops to be TOML, and in which setting.
fn malformed(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let begins = text.lines().nth(line - 1).and_then(|line| line.split('=').next()).unwrap_or_default().trim();
    let setting = EXPECTED.iter().find(|(name, _)| *name == begins);
    match setting {
        Some((name, expected)) => format!("line {line}: {name}: expected {expected}"),
        None => format!("line {line} is no TOML: expected NAME = VALUE, with texts in quotes"),
    }
}

/// What is wrong with a setting that is there. What cannot be a name is not repeated either.
fn refused(name: &str) -> String {
    let known = || EXPECTED.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if let Some((name, expected)) = EXPECTED.iter().find(|(own, _)| *own == name) {
        return format!("{name}: expected {expected}");
    }
    let underscored = name.replace('-', "_").to_ascii_lowercase();
    if let Some((meant, _)) = EXPECTED.iter().find(|(own, _)| *own == underscored) {
        return format!("a setting is written with underscores and in lower case: {meant}");
    }
    let is_name = name.len() <= NAME_MAX && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_name {
        return format!("unknown field `{name}`, expected one of {}", known());
    }
    format!("an unknown field, expected one of {}", known())
}

/// Longer than any setting's name.
const NAME_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "postgres://keyroll:Hunter2pw@db.example/k";

    fn check(text: &str, expected: &str) {
        let message = parse(text).unwrap_err();
        assert!(message.starts_with(expected), "{text}: {message}");
        assert!(!message.contains("Hunter2pw") && !message.contains("db.example"), "{message}");
    }

    #[test]
    fn no_message_repeats_a_value() {
        check(&format!("# k\ndatabase_url = \"{URL}\nlisten = 1"), "line 2: database_url: expected \"sqlite:PATH\" or");
        check(&format!("database_url = {URL}"), "line 1: database_url: expected");
        check(&format!("database_url: {URL}"), "line 1 is no TOML: expected NAME = VALUE");
        check(
            &format!("database-url = \"{URL}\""),
            "a setting is written with underscores and in lower case: database_url",
        );
        check(&format!("Database_URL = \"{URL}\""), "a setting is written with underscores");
        check(&format!("database_ulr = \"{URL}\""), "unknown field `database_ulr`, expected one of `data_dir`, ");
        check(&format!("\"{URL}\" = 1"), "an unknown field, expected one of");
        check(&format!("listen = \"{URL}\""), "listen: expected an address and a port");
        check(&format!("behind_proxy = [\"{URL}\"]"), "behind_proxy: expected a list of networks");
        check(&format!("database_url = [\"{URL}\"]"), "database_url: expected");
        check(&format!("[database]\nurl = \"{URL}\""), "unknown field `database`");
        check(&format!("log_format = \"{URL}\""), "log_format: expected \"text\" or \"json\"");
        check(&format!("database_url = \"{URL}\"\ndatabase_url = \"{URL}\""), "line 2: database_url: ");
        assert_eq!(parse(&format!("database_url = \"{URL}\"")).unwrap().database_url.as_deref(), Some(URL));
    }

    #[test]
    fn who_misspells_a_setting_is_told_every_one() {
        let known: Vec<&str> = EXPECTED.iter().map(|(name, _)| *name).collect();
        let all = "data_dir, database_url, public_url, listen, behind_proxy, rate_limit, require_synchronous_standby, \
                   log_level, log_format";
        assert_eq!(known.join(", "), all);
        let message = parse("x = 1").unwrap_err();
        assert_eq!(message, format!("unknown field `x`, expected one of `{}`", all.replace(", ", "`, `")));
    }

    #[test]
    fn every_setting_says_what_it_expects() {
        for (name, _) in EXPECTED {
            let message = parse(&format!("{name} = {{}}")).unwrap_err();
            assert!(message.starts_with(&format!("{name}: expected")), "{message}");
        }
    }
}
