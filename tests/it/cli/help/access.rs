//! The help of roles, apis, mappings and access.

use super::help;

#[test]
fn help_of_roles() {
    insta::assert_snapshot!(help(&["role"]), @r#"
    Define roles: named sets of permissions

    Usage: keyroll role [OPTIONS] <COMMAND>

    Commands:
      list     List roles, built-in ones included
      show     Show a role
      create   Define a role
      replace  Replace the definition of a role; what is not given is empty, and whoever holds it gains and loses at once
      delete   Delete a role that no mapping and no other role names
      holders  List who holds a role, and by what
      help     Print this message or the help of the given subcommand(s)

    Options:
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["role", "create"]), @r#"
    Define a role

    Usage: keyroll role create [OPTIONS] <NAME>

    Arguments:
      <NAME>  The role's name, such as billing.viewer

    Options:
          --permission <PERMISSION>     What it gives, api:resource:action; each part may be *
          --include <ROLE>              A role whose permissions it gives, too
          --assertable-by <CONNECTION>  A connection that may assert it for a user
          --description <TEXT>          For people
          --json                        Print JSON
          --data-dir <DIR>              The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>          sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>            The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>               The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                        Print help
    "#);
}

#[test]
fn help_of_apis() {
    insta::assert_snapshot!(help(&["api"]), @r#"
    Register downstream apis and their permissions

    Usage: keyroll api [OPTIONS] <COMMAND>

    Commands:
      list     List apis, Keyroll's own included
      show     Show an api
      create   Register an api
      replace  Replace an api; what is not given is empty
      delete   Delete an api that no role uses
      help     Print this message or the help of the given subcommand(s)

    Options:
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["api", "create"]), @r#"
    Register an api

    Usage: keyroll api create [OPTIONS] <NAME>

    Arguments:
      <NAME>  The api's name, such as billing: the first part of its permissions

    Options:
          --permission <PERMISSION>         What it offers, resource:action
          --route <METHOD PATH PERMISSION>  Which request needs which permission, such as "GET /v2/invoices/{id} invoices:read"
          --open                            Whether roles may name permissions that are not listed
          --owner-team <TEAM>               Who looks after it
          --description <TEXT>              For people
          --json                            Print JSON
          --data-dir <DIR>                  The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>              sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>                The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>                   The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                            Print help
    "#);
}

#[test]
fn help_of_mappings() {
    insta::assert_snapshot!(help(&["mapping"]), @r#"
    Say who gets which role

    Usage: keyroll mapping [OPTIONS] <COMMAND>

    Commands:
      list    List mappings
      show    Show a mapping
      create  Give a role to whoever is in a group, matches a rule, is said to by the identity provider, or is named
      delete  Delete a mapping; whoever held its role by nothing else loses it at once
      help    Print this message or the help of the given subcommand(s)

    Options:
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["mapping", "delete"]), @r#"
    Delete a mapping; whoever held its role by nothing else loses it at once

    Usage: keyroll mapping delete [OPTIONS] <ID>

    Arguments:
      <ID>  The mapping's id

    Options:
          --json                Print JSON
          --dry-run             Tell who would lose what and delete nothing
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["mapping", "create"]), @r#"
    Give a role to whoever is in a group, matches a rule, is said to by the identity provider, or is named

    Usage: keyroll mapping create [OPTIONS] --role <ROLE> <--group <NAME>|--group-id <ID>|--group-external-id <ID>|--rule <FILTER>|--asserted <ATTRIBUTE=VALUE>|--user <ID|userName|operator>>

    Options:
          --role <ROLE>                  The role that is given
          --group <NAME>                 Members of the group with this displayName, which may come later
          --group-id <ID>                Members of the group with this id
          --group-external-id <ID>       Members of the group that a connection calls so
          --rule <FILTER>                Users that match a SCIM filter, such as 'userType eq "Contractor"'
          --asserted <ATTRIBUTE=VALUE>   Users whose identity provider sends this value, such as roles=viewer
          --user <ID|userName|operator>  One user or agent: an id, a userName, or operator
          --reason <TEXT>                Why this person has it; needed with --user
          --expires-at <TIME>            Until when this person has it, such as 2027-01-31T00:00:00Z
          --json                         Print JSON
          --data-dir <DIR>               The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>           sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>             The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>                The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                         Print help
    "#);
}

#[test]
fn help_of_access() {
    insta::assert_snapshot!(help(&["access"]), @r#"
    Show who may do what, and why

    Usage: keyroll access [OPTIONS] <COMMAND>

    Commands:
      show     Show what somebody may do, and every reason for it
      explain  Tell whether somebody may do something, and why or what is nearest; a no exits with 1
      help     Print this message or the help of the given subcommand(s)

    Options:
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["access", "show"]), @r#"
    Show what somebody may do, and every reason for it

    Usage: keyroll access show [OPTIONS] <USER>

    Arguments:
      <USER>  Whom: an id, a userName, an agent's name, or operator

    Options:
          --at <TIME>           At a past time instead of now: 2027-01-31T09:30:00Z, or 2027-01-31, the end of that day in UTC
          --json                Print JSON
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    insta::assert_snapshot!(help(&["access", "explain"]), @r#"
    Tell whether somebody may do something, and why or what is nearest; a no exits with 1

    Usage: keyroll access explain [OPTIONS] <USER> <PERMISSION>

    Arguments:
      <USER>        Whom: an id, a userName, an agent's name, or operator
      <PERMISSION>  What, such as billing:invoices:read

    Options:
          --at <TIME>           At a past time instead of now: 2027-01-31T09:30:00Z, or 2027-01-31, the end of that day in UTC
          --json                Print JSON
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
}
