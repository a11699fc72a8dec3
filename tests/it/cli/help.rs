//! The help texts: what people read first. A change of a flag shows here.

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
      serve  Serve SCIM and the API; on an empty database do first what init does
      init   Make the database, tenant, operator and connection, and print their keys once
      key    Issue, list and revoke keys
      user   List, suspend and delete people
      log    Check and show the log
      help   Print this message or the help of the given subcommand(s)

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
          --listen <ADDRESS>        The address to listen on; port 0 takes a free one and prints it [env: KEYROLL_LISTEN=]
          --behind-proxy <CIDR>...  The proxies that end TLS and may connect; needed to listen off loopback [env: KEYROLL_BEHIND_PROXY=]
          --rate-limit <N/min|off>  SCIM requests of a connection: N/min, or off [env: KEYROLL_RATE_LIMIT=]
          --data-dir <DIR>          The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>      sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>        The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>           The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                    Print help
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
fn help_of_keys() {
    insta::assert_snapshot!(help(&["key"]), @r#"
    Issue, list and revoke keys

    Usage: keyroll key [OPTIONS] <COMMAND>

    Commands:
      issue   Issue a key; it is shown this once
      list    List keys
      show    Show the record of a key
      revoke  Revoke a key for good
      help    Print this message or the help of the given subcommand(s)

    Options:
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["key", "issue"]), @r#"
    Issue a key; it is shown this once

    Usage: keyroll key issue [OPTIONS]

    Options:
          --owner <ID|userName|operator>  Whose key: an id, a userName, or operator
          --connection <NAME>             A provisioning key of this connection
          --grant <PERMISSION>            What the key may do at most, api:resource:action; without it the key proves who its owner is
          --expires-in <DURATION>         How long it lives, such as P90D
          --name <NAME>                   A name for people [default: ""]
          --data-dir <DIR>                The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --json                          Print JSON
          --database-url <URL>            sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>              The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>                 The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                          Print help
    "#);
    insta::assert_snapshot!(help(&["key", "revoke"]), @r#"
    Revoke a key for good

    Usage: keyroll key revoke [OPTIONS] <ID>

    Arguments:
      <ID>  The key's id

    Options:
          --reason <REASON>     Why: a code of a–z and _
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
      verify  Check that every record follows its predecessor, up to the head
      tail    Show the newest records, one JSON object per line
      help    Print this message or the help of the given subcommand(s)

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
