//! Settings that cannot be honoured are refused, and no value is repeated.

use crate::support::server::{Installation, finish};

#[test]
fn what_cannot_be_honoured_does_not_start() {
    let place = Installation::sqlite();
    let start = |flags: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.command(&["serve"]);
        command.args(flags).envs(variables.iter().copied());
        let output = finish(command).expect(2);
        assert_eq!(output.stdout, "");
        output.stderr
    };
    let says = |message: String, expected: &str| assert!(message.contains(expected), "{message}");
    says(
        start(&[], &[("KEYROLL_FOO", "1")]),
        "keyroll: KEYROLL_FOO is no setting of Keyroll: known are KEYROLL_DATA_DIR, ",
    );
    says(start(&["--config", "none.toml"], &[]), "keyroll: cannot read none.toml: No such file");
    let folder = place.data_dir().parent().unwrap();
    std::fs::write(folder.join("keyroll.toml"), "listen = \"127.0.0.1:0\"\nlog_levle = \"info\"\n").unwrap();
    says(start(&[], &[]), "unknown field `log_levle`, expected one of `data_dir`, `database_url`, ");
    says(start(&[], &[]), "`rate_limit`, `require_synchronous_standby`, `log_level`, `log_format`");
    std::fs::write(folder.join("keyroll.toml"), "rate_limit = \"fast\"\n").unwrap();
    says(start(&[], &[]), "rate-limit: expected a number and /min");
    // A flag wins over the file.
    says(
        start(&["--rate-limit", "off", "--listen", "0.0.0.0:0"], &[]),
        "would send keys in the clear: end TLS in a proxy and name it with --behind-proxy",
    );
    std::fs::remove_file(folder.join("keyroll.toml")).unwrap();
    let remote = start(&["--listen", "127.0.0.1:0", "--database-url", "postgres://u:secret@db.example/k"], &[]);
    says(
        remote.clone(),
        "a database on another host needs sslmode=require or stronger, or an explicit sslmode=disable",
    );
    assert!(!remote.contains("secret"));
    says(start(&["--public-url", "scim.example"], &[]), "--public-url: expected http:// or https://");
    says(start(&["--public-url", "https://id.example/k/scim/v2/"], &[]), "--public-url: leave out /scim/v2");
    let said = start(&[], &[("KEYROLL_LOG_FORMAT", "yaml")]);
    says(said.clone(), "invalid value 'yaml' for '--log-format <text|json>'");
    says(said, "[possible values: text, json]");
    assert!(!place.data_dir().exists(), "nothing was made");
    // Variables of others are left alone.
    place.serve_with(&[], &[("KEYROLL_TEST_X", "1"), ("KEYROLL_SERVICE_HOST", "x"), ("KEYROLL_PORT_80_TCP", "x")]);
}

#[test]
fn what_is_said_of_settings_repeats_no_value() {
    const SECRET: &str = "Hunter2";
    let place = Installation::sqlite();
    let folder = place.data_dir().parent().unwrap();
    let refused = |code: i32, arguments: &[&str], variables: &[(&str, &str)], names: &str| {
        let mut command = place.command(arguments);
        command.args(["--data-dir", "data"]).envs(variables.iter().copied());
        let output = finish(command).expect(code);
        assert!(output.stderr.contains(names), "{arguments:?}: {output:?}");
        assert!(!output.stderr.contains(SECRET) && output.stdout.is_empty(), "{arguments:?}: {output:?}");
    };
    let url = |rest: &str| format!("postgres://u:{SECRET}{rest}");
    for bad in [url("%zz@127.0.0.1/k"), url("@[::1/x"), url("@127.0.0.1:x/k"), format!("mysql://u:{SECRET}@h/k")] {
        refused(2, &["key", "list", "--database-url", &bad], &[], "--database-url: ");
        refused(2, &["serve"], &[("KEYROLL_DATABASE_URL", &bad)], "--database-url: ");
    }
    // What only libpq refuses, it repeats.
    for bad in ["@127.0.0.1:1/k?sslmode=disable&%s=1", "@127.0.0.1:1/k?sslmode=%s", "@127.0.0.1:1/%s?a=%s=%s"] {
        let bad = url(&bad.replace("%s", SECRET));
        refused(4, &["init", "--database-url", &bad], &[], "cannot connect to PostgreSQL");
    }
    refused(2, &["key", "list", "--database-url", "sqlite:"], &[], "--database-url: behind sqlite: expected the path");
    let good = url("@127.0.0.1/k");
    // In the wrong place it is a path.
    let behind = "--database-url: behind sqlite: expected the path of a file, not another URL";
    let file = format!("sqlite:{good}");
    refused(2, &["key", "list", "--database-url", &file], &[], behind);
    refused(2, &["serve"], &[("KEYROLL_DATABASE_URL", &file)], behind);
    let file = format!("sqlite:u:{SECRET}@h/x");
    let place_named = "the place that --database-url names";
    refused(1, &["key", "list"], &[("KEYROLL_DATABASE_URL", &file)], place_named);
    refused(2, &["serve"], &[("KEYROLL_CONFIG", &good)], "cannot read the file that --config names");
    refused(2, &["key", "list", "--config", &format!("u:{SECRET}@h")], &[], "cannot read the file that --config names");
    let output = finish(place.command(&["serve", "--data-dir", &good])).expect(2);
    assert_eq!(output.stderr.trim(), "keyroll: --data-dir: expected the path of a folder, not a URL");
    refused(2, &["serve", &good], &[], "unexpected argument");
    refused(2, &["serve", "--listen", &good], &[], "--listen <ADDRESS>");
    refused(2, &["serve"], &[("KEYROLL_LISTEN", &good)], "--listen <ADDRESS>");
    refused(2, &["serve"], &[("KEYROLL_BEHIND_PROXY", &good)], "--behind-proxy <CIDR>");
    refused(2, &["serve", "--log-level", &good], &[], "--log-level <LEVEL>");
    refused(2, &["serve"], &[("KEYROLL_LOG_FORMAT", &good)], "--log-format <text|json>");
    refused(2, &["key", "list"], &[("KEYROLL_LOG", &good)], "--log-level: expected error, warn, info");
    refused(2, &["serve", &format!("--databse-url={good}")], &[], "unexpected argument '--databse-url'");
    refused(2, &[&good], &[], "unrecognized subcommand");
    refused(2, &["key", "issue", "--grant", &good], &[], "--grant <PERMISSION>");
    refused(2, &["serve", "--public-url", &format!("https://u:{SECRET}@id.example")], &[], "--public-url: expected");
    for (line, names) in [
        (format!("listen = \"127.0.0.1:0\"\ndatabase_url = \"{good}\n"), "keyroll.toml: line 2: database_url: "),
        (format!("database-url = \"{good}\""), "keyroll.toml: a setting is written with underscores"),
        (format!("database_ulr = \"{good}\""), "keyroll.toml: unknown field `database_ulr`"),
        (format!("rate_limit = \"{good}\""), "rate-limit: expected a number"),
    ] {
        std::fs::write(folder.join("keyroll.toml"), line).unwrap();
        refused(2, &["serve"], &[], names);
    }
    assert!(!place.data_dir().exists(), "nothing was made");
    std::fs::remove_file(folder.join("keyroll.toml")).unwrap();
    for arguments in [&["init"], &["serve"]] {
        refused(1, arguments, &[("KEYROLL_DATABASE_URL", &file)], place_named);
    }
}
