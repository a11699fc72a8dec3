//! Settings: flags over `KEYROLL_*` environment over `keyroll.toml` (design §10).
//!
//! What cannot be honoured refuses to start, with a message that names the fix: unknown keys, unknown
//! variables, addresses off this machine without a proxy, databases off it without TLS. A message names the
//! setting and never its value, which may be a password, or part of one.

mod database_url;
mod file;
mod log;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

pub use self::file::FILE;
pub use self::log::{Format, Log};

/// Where data, database and URLs are: every command takes these.
#[derive(Args, Clone, Debug, Default)]
pub struct Place {
    /// The folder of root.key and of the embedded database
    #[arg(long, env = "KEYROLL_DATA_DIR", value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// sqlite:PATH or postgres://…
    #[arg(long, env = "KEYROLL_DATABASE_URL", value_name = "URL", hide_env_values = true, global = true)]
    pub database_url: Option<String>,
    /// The base of every URL that is given out
    #[arg(long, env = "KEYROLL_PUBLIC_URL", value_name = "URL", global = true)]
    pub public_url: Option<String>,
    /// The settings file, instead of keyroll.toml in the working folder
    #[arg(long, env = "KEYROLL_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

/// What only `serve` takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Serving {
    /// The address to listen on; port 0 takes a free one and prints it
    #[arg(long, env = "KEYROLL_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The proxies that end TLS and may connect; needed to listen off loopback
    #[arg(long, env = "KEYROLL_BEHIND_PROXY", value_name = "CIDR", num_args = 1.., value_delimiter = ',')]
    pub behind_proxy: Vec<IpNet>,
    /// SCIM requests of a connection: N/min, or off
    #[arg(long, env = "KEYROLL_RATE_LIMIT", value_name = "N/min|off", value_parser = rate)]
    pub rate_limit: Option<String>,
    /// Acknowledge nothing that no synchronous standby of PostgreSQL has
    #[arg(long, env = STANDBY)]
    pub require_synchronous_standby: bool,
    /// What is logged: error, warn, info, debug, trace, or a list such as info,keyroll::http=debug
    #[arg(long, env = "KEYROLL_LOG", value_name = "LEVEL", value_parser = log::level)]
    pub log_level: Option<String>,
    /// How lines of the log are written
    #[arg(long, env = "KEYROLL_LOG_FORMAT", value_name = "text|json", hide_possible_values = true)]
    pub log_format: Option<Format>,
}

/// The settings that hold.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of `root.key`.
    pub data_dir: PathBuf,
    /// The database.
    pub database_url: String,
    /// The base of URLs, if one was given.
    pub public_url: Option<String>,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The proxies that may connect.
    pub behind_proxy: Vec<IpNet>,
    /// SCIM requests of a connection per minute; `None` is no limit.
    pub requests_per_minute: Option<u32>,
    /// Whether nothing may be acknowledged that no synchronous standby has.
    pub require_synchronous_standby: bool,
    /// What is logged, and how.
    pub log: Log,
}

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const DATA_DIR: &str = "keyroll-data";
const STANDBY: &str = "KEYROLL_REQUIRE_SYNCHRONOUS_STANDBY";
const RATE_LIMIT: &str = "6000/min";

impl Config {
    /// Puts flags, environment and file together.
    ///
    /// # Errors
    /// What cannot be honoured, and what to do about it.
    pub fn load(place: &Place, serving: &Serving) -> Result<Config, String> {
        let file = file::read(place.config.as_deref())?;
        let data_dir = place.data_dir.clone().or(file.data_dir).unwrap_or_else(|| DATA_DIR.into());
        // Each message about a file in it would repeat what may be a password.
        if database_url::is_url(&data_dir.to_string_lossy()) {
            return Err("--data-dir: expected the path of a folder, not a URL".to_owned());
        }
        let url = place.database_url.clone().or(file.database_url);
        let database_url = url.unwrap_or_else(|| format!("sqlite:{}", data_dir.join("keyroll.db").display()));
        database_url::check(&database_url, |name| std::env::var_os(name)?.into_string().ok())?;
        let public_url = place.public_url.clone().or(file.public_url).map(check_public_url).transpose()?;
        let listen = serving.listen.or(file.listen).unwrap_or(LISTEN);
        let flags = &serving.behind_proxy;
        let behind_proxy = if flags.is_empty() { file.behind_proxy } else { flags.clone() };
        if !listen.ip().is_loopback() && behind_proxy.is_empty() {
            return Err(
                "--listen: off loopback this would send keys in the clear: end TLS in a proxy and name it with \
                 --behind-proxy CIDR, or listen on 127.0.0.1"
                    .to_owned(),
            );
        }
        let rate = serving.rate_limit.clone().or(file.rate_limit).unwrap_or_else(|| RATE_LIMIT.to_owned());
        let requests_per_minute = parse_rate(&rate).map_err(|expected| format!("--rate-limit: {expected}"))?;
        let log = Log::new(serving.log_level.clone().or(file.log_level), serving.log_format.or(file.log_format))?;
        // Every command writes, and only one has the flag.
        let named = std::env::var_os(STANDBY).is_some_and(|value| is_yes(&value.to_string_lossy()));
        let require_synchronous_standby =
            serving.require_synchronous_standby || named || file.require_synchronous_standby.unwrap_or_default();
        if require_synchronous_standby && database_url.starts_with("sqlite:") {
            return Err(
                "--require-synchronous-standby: the embedded database has no standby: leave it out, or name a \
                 PostgreSQL with --database-url postgres://…"
                    .to_owned(),
            );
        }
        Ok(Config {
            data_dir,
            database_url,
            public_url,
            listen,
            behind_proxy,
            requests_per_minute,
            require_synchronous_standby,
            log,
        })
    }

    /// The base of URLs for a server on this address.
    pub fn public_url_at(&self, address: SocketAddr) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{address}"))
    }
}

/// What a variable says for a flag, as clap reads one.
fn is_yes(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "" | "n" | "no" | "f" | "false" | "off" | "0")
}

/// `6000/min` or `off`.
fn parse_rate(text: &str) -> Result<Option<u32>, String> {
    if text == "off" {
        return Ok(None);
    }
    let number = text.strip_suffix("/min").and_then(|number| number.parse::<u32>().ok()).filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| format!("expected a number and /min, such as {RATE_LIMIT}, or off"))
}

/// The same as an argument.
fn rate(text: &str) -> Result<String, String> {
    parse_rate(text).map(|_| text.to_owned())
}

fn check_public_url(url: String) -> Result<String, String> {
    let url = url.trim_end_matches('/').to_owned();
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    if rest.is_empty() || rest.starts_with('/') || rest.contains(['?', '#', ' ', '@', '"', '\\']) {
        return Err("--public-url: expected http:// or https://, a host and perhaps a path".to_owned());
    }
    // RFC 7644 §3.13: the version is part of SCIM's own path, which is put behind this one.
    if url.to_ascii_lowercase().ends_with("/scim/v2") {
        return Err("--public-url: leave out /scim/v2, which every SCIM URL gets behind it".to_owned());
    }
    Ok(url)
}

/// Variables that Keyroll knows, beside the prefixes that it leaves alone: those of its flags.
fn variables() -> Vec<String> {
    let flags = Serving::augment_args(Place::augment_args(clap::Command::new("")));
    flags.get_arguments().filter_map(|flag| Some(flag.get_env()?.to_string_lossy().into_owned())).collect()
}

const IGNORED: &[&str] = &["KEYROLL_TEST_", "KEYROLL_SERVICE_", "KEYROLL_PORT"];

/// Refuses variables that look like settings and are none: a typing error must not be a silent default.
///
/// # Errors
/// The first such variable.
pub fn check_environment(names: impl Iterator<Item = String>) -> Result<(), String> {
    let known = variables();
    for name in names.filter(|name| name.starts_with("KEYROLL_")) {
        if !known.contains(&name) && !IGNORED.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(format!("{name} is no setting of Keyroll: known are {}", known.join(", ")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_numbers_per_minute_or_off() {
        assert_eq!(parse_rate("6000/min"), Ok(Some(6000)));
        assert_eq!(parse_rate("off"), Ok(None));
        for bad in ["", "0/min", "6000", "6000/s", "-1/min", "OFF"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_variables_are_refused_and_foreign_ones_left_alone() {
        let check = |names: &[&str]| check_environment(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(check(&["PATH", "KEYROLL_LISTEN", "KEYROLL_TEST_SQLITE_ONLY", "KEYROLL_PORT_80_TCP"]), Ok(()));
        let known = "KEYROLL_DATA_DIR, KEYROLL_DATABASE_URL, KEYROLL_PUBLIC_URL, KEYROLL_CONFIG, KEYROLL_LISTEN, \
                     KEYROLL_BEHIND_PROXY, KEYROLL_RATE_LIMIT, KEYROLL_REQUIRE_SYNCHRONOUS_STANDBY, KEYROLL_LOG, \
                     KEYROLL_LOG_FORMAT";
        let said = format!("KEYROLL_LISTNE is no setting of Keyroll: known are {known}");
        assert_eq!(check(&["KEYROLL_LISTNE"]), Err(said));
    }

    #[test]
    fn off_loopback_a_proxy_is_named() {
        let serving = Serving { listen: "0.0.0.0:8080".parse().ok(), ..Serving::default() };
        assert!(Config::load(&Place::default(), &serving).unwrap_err().contains("--behind-proxy"));
        let behind_proxy = vec!["10.0.0.0/8".parse().unwrap()];
        let config = Config::load(&Place::default(), &Serving { behind_proxy, ..serving }).unwrap();
        assert_eq!(config.database_url, "sqlite:keyroll-data/keyroll.db");
        assert_eq!(config.requests_per_minute, Some(6000));
        assert_eq!(config.log, Log { filter: "info".to_owned(), format: Format::Text });
    }

    #[test]
    fn a_public_url_has_a_host_and_no_more_than_a_prefix() {
        let check = |url: &str| check_public_url(url.to_owned());
        assert_eq!(check("https://id.example/keyroll/"), Ok("https://id.example/keyroll".to_owned()));
        for bad in [
            "id.example",
            "https://",
            "https:///keyroll",
            "https://u:p@id.example",
            "https://id.example?x",
            "ftp://id.example",
        ] {
            assert_eq!(
                check(bad).unwrap_err(),
                "--public-url: expected http:// or https://, a host and perhaps a path"
            );
        }
        for bad in ["https://id.example/scim/v2", "https://id.example/keyroll/SCIM/v2//"] {
            assert!(check(bad).unwrap_err().contains("leave out /scim/v2"), "{bad}");
        }
    }
}
