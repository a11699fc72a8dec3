//! What speaks PostgreSQL's language and does not keep its promises is refused at start: a PostgreSQL in disguise says
//! of itself what such a server says.

use crate::support::server::Installation;

/// An installation whose sessions find these names before PostgreSQL's own.
fn disguised(sql: &str) -> Option<Installation> {
    let place = Installation::postgres()?;
    place.run(&["init"]).expect(0);
    let (name, _) = place.cluster();
    place.sql(&format!(
        "CREATE SCHEMA disguise; {sql}; ALTER DATABASE {name} SET search_path = disguise, pg_catalog, public"
    ));
    Some(place)
}

/// What a server says last that does not start.
#[track_caller]
fn refusal(place: &Installation) -> String {
    let output = place.start(&[], &[]).outcome().err().expect("it does not start");
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{}", output.stderr);
    output.stderr.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_server_of_another_make_is_refused() {
    let version = "CREATE FUNCTION disguise.version() RETURNS text LANGUAGE sql AS \
                   $$ SELECT 'PostgreSQL 15.2-YB-2025.1.0.0-b0 on x86_64-pc-linux-gnu'::text $$";
    let Some(place) = disguised(version) else { return };
    let said = "keyroll: PostgreSQL 15.2-YB-2025.1.0.0-b0 does not tell of its commits as PostgreSQL does: use \
                PostgreSQL 13 or newer";
    assert_eq!(refusal(&place), said);
    assert_eq!(place.run(&["key", "list"]).expect(1).stderr, format!("{said}\n"));
}

#[test]
fn a_database_whose_commits_are_spread_is_refused() {
    let citus = "CREATE TABLE disguise.pg_extension (extname name); INSERT INTO disguise.pg_extension VALUES ('citus')";
    let Some(place) = disguised(citus) else { return };
    let said = "keyroll: the database has the extension citus, which spreads commits: use a database without it";
    assert_eq!(refusal(&place), said);
    assert_eq!(place.run(&["key", "list"]).expect(1).stderr, format!("{said}\n"));
}

#[test]
fn a_clock_that_commits_do_not_move_is_refused() {
    let still =
        "CREATE FUNCTION disguise.pg_current_snapshot() RETURNS text LANGUAGE sql AS $$ SELECT '10:10:'::text $$";
    let Some(place) = disguised(still) else { return };
    let said = "keyroll: a commit does not move pg_current_snapshot(), so none can be followed: use PostgreSQL itself, \
                13 or newer";
    assert_eq!(refusal(&place), said);
}
