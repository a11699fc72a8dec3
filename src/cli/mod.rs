//! The command line: parse, call the service, print. Exit codes: 0 done, 1 refused, 2 usage, 3 conflict,
//! 4 unavailable.

mod access;
mod agent;
mod api;
mod apply;
mod backup;
mod conditions;
mod first;
mod items;
mod key;
mod key_text;
mod lines;
mod log;
mod logger;
mod mapping;
mod names;
mod nodes;
mod print;
mod role;
mod scan;
mod serve;
mod usage;
mod user;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{self, Config, Place, Serving};
use crate::domain::log::RequestRef;
use crate::domain::principal::PrincipalKind;
use crate::domain::secret::{holds_key_text, without_keys};
use crate::domain::{Caller, Id, Permission};
use crate::service::conditions::Conditions;
use crate::service::request;
use crate::service::runtime::{SystemClock, SystemEntropy};
use crate::service::tenants::init::DEFAULT;
use crate::service::{Context, Error, Limits, Service, Settings};

/// A SCIM 2.0 provisioning server whose API keys die with their owner.
#[derive(Parser, Debug)]
#[command(name = "keyroll", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve SCIM and the API; on an empty database do first what init does
    Serve(Serving),
    /// Make the database, tenant, operator and connection, and print their keys once
    Init(Output),
    /// Issue and list keys, hold them back, change them, find whose one is, revoke them
    #[command(subcommand)]
    Key(key::Command),
    /// List, suspend and delete people
    #[command(subcommand)]
    User(user::Command),
    /// Make, list and suspend agents: services, jobs, AI agents
    #[command(subcommand)]
    Agent(agent::Command),
    /// Define roles: named sets of permissions
    #[command(subcommand)]
    Role(role::Command),
    /// Say who gets which role
    #[command(subcommand)]
    Mapping(mapping::Command),
    /// Register downstream apis and their permissions
    #[command(subcommand)]
    Api(api::Command),
    /// Show who may do what, and why
    #[command(subcommand)]
    Access(access::Command),
    /// Bring apis, roles and mappings to what a file says, all of it or nothing
    Apply(apply::Command),
    /// Write all data into a folder, while servers go on, or check such a folder
    Backup(backup::Backup),
    /// Put a backup in the place of the database, once no server runs on it
    Restore(backup::Restore),
    /// Show the servers on this database, and whether each is still there
    Nodes(Output),
    /// Check and show the log
    #[command(subcommand)]
    Log(log::Command),
    /// Find keys in files, in what is staged in git, or in all of its history
    Scan(scan::Scan),
}

/// How to print.
#[derive(Args, Clone, Copy, Debug, Default)]
struct Output {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which item of the catalogue.
#[derive(Args, Debug)]
struct Named {
    /// Its name
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Runs the program.
pub fn main() -> ExitCode {
    // Before anything else reads them: what is wrong with an argument may be told by repeating it.
    if std::env::args_os().skip(1).any(|argument| holds_key_text(&argument.to_string_lossy())) {
        return print::misused(key_text::IN_ARGUMENTS);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => usage::without_values(error).exit(),
    };
    // It asks for no settings, and whatever is wrong with them is no reason not to search.
    if let Command::Scan(asked) = &cli.command {
        return scan::run(asked);
    }
    if let Err(message) = config::check_environment(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
    {
        return print::misused(&message);
    }
    let serving = match &cli.command {
        Command::Serve(serving) => serving.clone(),
        _ => Serving::default(),
    };
    let config = match Config::load(&cli.place, &serving) {
        Ok(config) => config,
        Err(message) => return print::misused(&message),
    };
    let collects = matches!(cli.command, Command::Serve(_)) && !std::io::stderr().is_terminal();
    let lines = if collects { lines::Lines::start().ok() } else { None };
    logger::start(&config.log, lines.clone());
    let done = run(cli, &config);
    // What was logged stands before what is said at the end.
    drop(lines);
    match done {
        Ok(code) => code,
        Err(error) => print::failure(&error),
    }
}

fn run(cli: Cli, config: &Config) -> Result<ExitCode, Error> {
    match cli.command {
        Command::Access(command) => return access::run(&open(config)?, command),
        Command::Serve(_) => serve::serve(config),
        Command::Init(_) => print::json(&service(config, config.public_url_at(config.listen))?.init(DEFAULT)?),
        Command::Key(command) => key::run(&open(config)?, command),
        Command::User(command) => user::run(&open(config)?, command),
        Command::Agent(command) => agent::run(&open(config)?, command),
        Command::Role(command) => role::run(&open(config)?, command),
        Command::Mapping(command) => mapping::run(&open(config)?, command),
        Command::Api(command) => api::run(&open(config)?, command),
        Command::Apply(command) => apply::run(&open(config)?, &command),
        Command::Backup(asked) => backup::back_up(config, &asked),
        Command::Restore(asked) => backup::restore(config, &asked),
        Command::Nodes(output) => nodes::run(&open(config)?, output),
        Command::Log(command) => log::run(&open(config)?, command),
        Command::Scan(asked) => return Ok(scan::run(&asked)),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the data folder and the database beside whatever server runs on them. A question makes neither.
fn open(config: &Config) -> Result<Service, Error> {
    Service::open_present(settings(config), Arc::new(SystemClock), Arc::new(SystemEntropy))
}

fn service(config: &Config, public_url: String) -> Result<Service, Error> {
    let settings = Settings { public_url, ..settings(config) };
    Service::open(settings, Arc::new(SystemClock), Arc::new(SystemEntropy))
}

fn settings(config: &Config) -> Settings {
    Settings {
        data_dir: config.data_dir.clone(),
        database_url: config.database_url.clone(),
        require_synchronous_standby: config.require_synchronous_standby,
        readers: READERS,
        public_url: config.public_url_at(config.listen),
        limits: Limits { requests_per_minute: config.requests_per_minute, ..Limits::default() },
    }
}

/// Read connections that are kept open.
const READERS: u32 = 4;

/// The command line asks for no version.
const ANY: Conditions = Conditions { if_match: None, if_none_match: None };

/// The host itself asks, about the one tenant.
fn host(service: &Service, command: &str) -> Result<Context, Error> {
    let tenant = service.tenant(DEFAULT)?;
    let request = RequestRef { id: service.mint().to_string(), method: "CLI".into(), route: command.to_owned().into() };
    Ok(Context::new(Caller::host(tenant), request))
}

/// What flags ask for, read as a body of `/v1` that says the same.
fn asked<T: DeserializeOwned>(flags: &impl Serialize) -> Result<T, Error> {
    request::read_value(&serde_json::to_value(flags)?)
}

/// A permission as an argument.
fn permission(text: &str) -> Result<String, String> {
    let expected = || "expected api:resource:action, each of a-z, 0-9, _, . and -, or *".to_owned();
    Permission::parse(text).map(|_| text.to_owned()).ok_or_else(expected)
}

/// The same outcome; who asked for what is not there is told its name.
fn found<T>(what: &str, name: &str, outcome: Result<T, Error>) -> Result<T, Error> {
    outcome.map_err(|error| match error {
        Error::NotFound => Error::Refused(format!("there is no {what} {}", print::harmless(&without_keys(name)))),
        other => other,
    })
}

/// A principal as people name one: an id, a userName, an agent's name, or `operator`.
fn principal(service: &Service, context: &Context, name: &str) -> Result<(PrincipalKind, Id), Error> {
    let shown = found("user or agent", name, service.read_user(context, name))?;
    Ok((shown.kind, shown.id))
}
