//! The help texts: what people read first. A change of a flag shows here.

mod access;

use crate::support::server::finish;

fn help(command: &[&str]) -> String {
    let mut help = std::process::Command::new(env!("CARGO_BIN_EXE_keyroll"));
    help.env_clear().args(command).arg("--help");
    finish(help).expect(0).stdout
}

#[test]
fn help_of_the_program_and_its_server() {
    insta::assert_snapshot!(help(&[]), @r#"
    A SCIM 2.0 provisioning server whose API keys die with their owner

    Usage: keyroll [OPTIONS] <COMMAND>

    Commands:
      serve    Serve SCIM and the API; on an empty database do first what init does
      init     Make the database, tenant, operator and connection, and print their keys once
      key      Issue and list keys, hold them back, change them, find whose one is, revoke them
      user     List, suspend and delete people
      agent    Make, list and suspend agents: services, jobs, AI agents
      role     Define roles: named sets of permissions
      mapping  Say who gets which role
      api      Register downstream apis and their permissions
      access   Show who may do what, and why
      apply    Bring apis, roles and mappings to what a file says, all of it or nothing
      backup   Write all data into a folder, while servers go on, or check such a folder
      restore  Put a backup in the place of the database, once no server runs on it
      nodes    Show the servers on this database, and whether each is still there
      log      Check and show the log
      scan     Find keys in files, in what is staged in git, or in all of its history
      help     Print this message or the help of the given subcommand(s)

    Options:
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
      -V, --version             Print version
    "#);
    insta::assert_snapshot!(help(&["serve"]), @r#"
    Serve SCIM and the API; on an empty database do first what init does

    Usage: keyroll serve [OPTIONS]

    Options:
          --listen <ADDRESS>             The address to listen on; port 0 takes a free one and prints it [env: KEYROLL_LISTEN=]
          --behind-proxy <CIDR>...       The proxies that end TLS and may connect; needed to listen off loopback [env: KEYROLL_BEHIND_PROXY=]
          --rate-limit <N/min|off>       SCIM requests of a connection: N/min, or off [env: KEYROLL_RATE_LIMIT=]
          --require-synchronous-standby  Acknowledge nothing that no synchronous standby of PostgreSQL has [env: KEYROLL_REQUIRE_SYNCHRONOUS_STANDBY=]
          --log-level <LEVEL>            What is logged: error, warn, info, debug, trace, or a list such as info,keyroll::http=debug [env: KEYROLL_LOG=]
          --log-format <text|json>       How lines of the log are written [env: KEYROLL_LOG_FORMAT=]
          --data-dir <DIR>               The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>           sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>             The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>                The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                         Print help
    "#);
    insta::assert_snapshot!(help(&["init"]), @r#"
    Make the database, tenant, operator and connection, and print their keys once

    Usage: keyroll init [OPTIONS]

    Options:
          --json                Print JSON
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
}

#[test]
fn help_of_the_search_for_keys() {
    insta::assert_snapshot!(help(&["scan"]), @r#"
    Find keys in files, in what is staged in git, or in all of its history

    Usage: keyroll scan [OPTIONS] [PATH]...

    Arguments:
      [PATH]...  Files and folders; with --staged or --history, repositories: without any, that of the working folder

    Options:
          --stdin               Search standard input
          --staged              Search what is staged in git, as a commit would take it
          --history             Search whatever git has ever kept: all branches, tags, stashes and reflogs, messages included
          --json                Print JSON
          --sarif               Print SARIF 2.1.0, as services that show findings beside code read it
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
}

#[test]
fn help_of_keys() {
    insta::assert_snapshot!(help(&["key"]), @r#"
    Issue and list keys, hold them back, change them, find whose one is, revoke them

    Usage: keyroll key [OPTIONS] <COMMAND>

    Commands:
      issue       Issue a key; it is shown this once
      list        List keys, each with its owner and the status that verification would tell
      show        Show the record of a key
      identify    Tell whose a key is that somebody found: by its public part, a hash of its text, or its text
      effective   Tell which permissions a key has at this moment, and why it lacks the others
      hold        Hold a key back until it is released
      release     Release a key that was held back, for that reason alone
      rename      Give a key another name
      narrow      Take permissions away from a key
      extend      Give a key a later end
      rotate      Give a key a successor, which may do the same; the new key is shown this once
      revoke-all  Revoke every key of a user or an agent for good
      revoke      Revoke a key for good
      help        Print this message or the help of the given subcommand(s)

    Options:
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["key", "issue"]), @r#"
    Issue a key; it is shown this once

    Usage: keyroll key issue [OPTIONS] <--owner <ID|NAME|operator>|--connection <NAME>>

    Options:
          --owner <ID|NAME|operator>  Whose key: an id, a userName, an agent's name, or operator
          --connection <NAME>         A provisioning key of this connection
          --grant <PERMISSION>        What the key may do at most, api:resource:action; without it the key proves who its owner is, and the operator's may do everything
          --ip <NETWORK>              The grant counts for requests from this network alone
          --environment <NAME>        The grant counts for this environment alone
          --between <FROM-TO@ZONE>    The grant counts in these hours alone, such as 08:00-20:00@Europe/Paris
          --certificate <X5T>         The grant counts for a client with this certificate alone: its x5t#S256
          --expires-in <DURATION>     How long it lives, such as P90D
          --name <NAME>               A name for people [default: ""]
          --json                      Print JSON
          --data-dir <DIR>            The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>        sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>          The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>             The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                      Print help
    "#);
    insta::assert_snapshot!(help(&["key", "revoke"]), @r#"
    Revoke a key for good

    Usage: keyroll key revoke [OPTIONS] <ID|->

    Arguments:
      <ID|->  The key's id; or -, and its text on standard input or as it is asked for

    Options:
          --reason <REASON>     Why: a code of a–z and _, for the log; or a text, which is kept beside the log until the owner is deleted
          --json                Print JSON
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
}

#[test]
fn help_of_people_and_the_log() {
    insta::assert_snapshot!(help(&["user"]), @r#"
    List, suspend and delete people

    Usage: keyroll user [OPTIONS] <COMMAND>

    Commands:
      list      List people and agents, local ones included
      show      Show one
      suspend   Suspend by an admin's hold, which no identity provider lifts; the keys stop working at once
      activate  Lift an admin's hold
      delete    Delete, as DELETE in SCIM does; every key is revoked
      help      Print this message or the help of the given subcommand(s)

    Options:
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["log"]), @r#"
    Check and show the log

    Usage: keyroll log [OPTIONS] <COMMAND>

    Commands:
      verify       Check that every record follows its predecessor, up to the head, and that Keyroll wrote every key's row
      tail         Show the newest records, one JSON object per line
      accept-fork  Accept that what was acknowledged after a record is lost, so that servers answer again
      help         Print this message or the help of the given subcommand(s)

    Options:
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["log", "tail"]), @r#"
    Show the newest records, one JSON object per line

    Usage: keyroll log tail [OPTIONS]

    Options:
      -n, --count <COUNT>       How many [default: 20]
          --json                Print JSON (it always is)
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
}

#[test]
fn help_of_files() {
    insta::assert_snapshot!(help(&["apply"]), @r#"
    Bring apis, roles and mappings to what a file says, all of it or nothing

    Usage: keyroll apply [OPTIONS] --file <FILE>

    Options:
      -f, --file <FILE>         The file, such as examples/access.toml; - reads standard input
          --dry-run             Tell what would change, and who would gain and lose what; change nothing
          --prune               Remove what the file does not name; mappings that other commands on the host made stay
          --force               Remove these as well
          --json                Print JSON
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
}

#[test]
fn help_of_agents() {
    insta::assert_snapshot!(help(&["agent"]), @r#"
    Make, list and suspend agents: services, jobs, AI agents

    Usage: keyroll agent [OPTIONS] <COMMAND>

    Commands:
      list      List agents, whoever made them
      show      Show an agent
      create    Make an agent that no identity provider needs to know of: a service, a job, an AI agent
      replace   Replace what was said about an agent that an admin made; what is not given is cleared
      suspend   Suspend by an admin's hold, which no identity provider lifts; the keys stop working at once
      activate  Lift an admin's hold
      delete    Delete an agent; every key is revoked
      help      Print this message or the help of the given subcommand(s)

    Options:
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["agent", "create"]), @r#"
    Make an agent that no identity provider needs to know of: a service, a job, an AI agent

    Usage: keyroll agent create [OPTIONS] <NAME>

    Arguments:
      <NAME>  Its name, which no other agent has

    Options:
          --sponsor <ID|userName|operator>  Who answers for it: an id, a userName, or operator; its keys work as long as one of them is live
          --display-name <TEXT>             The name to show
          --description <TEXT>              What it does
          --json                            Print JSON
          --data-dir <DIR>                  The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>              sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>                The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>                   The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                            Print help
    "#);
    insta::assert_snapshot!(help(&["key", "list"]), @r#"
    List keys, each with its owner and the status that verification would tell

    Usage: keyroll key list [OPTIONS]

    Options:
          --owner <ID|NAME|operator>        Only those of this owner: an id, a userName, the name of an agent or of a connection, or operator
          --class <u|s|p>                   Only those of people (u), of agents (s), or of connections (p)
          --status <STATUS>                 Only those with this status [possible values: active, retiring, suspended, owner_inactive, expired, revoked, tampered]
          --expires-before <DATE|DURATION>  Only those that end before a date, a time, or a duration from now, such as P14D; the first to end first
          --json                            Print JSON
          --data-dir <DIR>                  The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>              sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>                The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>                   The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                            Print help
    "#);
}
