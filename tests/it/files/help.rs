//! The help texts of backups.

use insta::assert_snapshot;

use crate::support::server::finish;

#[test]
fn help_of_backups() {
    let help = |command: &str| {
        let mut help = std::process::Command::new(env!("CARGO_BIN_EXE_keyroll"));
        help.env_clear().args([command, "--help"]);
        finish(help).expect(0).stdout
    };
    assert_snapshot!(help("backup"), @r#"
    Write all data into a folder, while servers go on, or check such a folder

    Usage: keyroll backup [OPTIONS] <DIR>

    Arguments:
      <DIR>  The folder: a new one, or with --check that of a backup

    Options:
          --check               Check a backup: its MAC and hash, both keys, the chain of the log, and the row of each key
          --json                Print JSON
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
    assert_snapshot!(help("restore"), @r#"
    Put a backup in the place of the database, once no server runs on it

    Usage: keyroll restore [OPTIONS] <DIR>

    Arguments:
      <DIR>  The folder of the backup

    Options:
          --replace             Replace what the database holds; a SQLite file stays beside it as keyroll.db.replaced
          --json                Print JSON
          --data-dir <DIR>      The folder of root.key and of the embedded database [env: KEYROLL_DATA_DIR=]
          --database-url <URL>  sqlite:PATH or postgres://… [env: KEYROLL_DATABASE_URL]
          --public-url <URL>    The base of every URL that is given out [env: KEYROLL_PUBLIC_URL=]
          --config <FILE>       The settings file, instead of keyroll.toml in the working folder [env: KEYROLL_CONFIG=]
      -h, --help                Print help
    "#);
}
