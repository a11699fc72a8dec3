//! The worker of the real program.

use super::ask;
use crate::support::server::{Installation, unwarned};
use crate::support::until;

/// 900 memberships that were ended, as was all that the log tells, more than 400 days ago.
fn age(place: &Installation) {
    place.sql(
        "UPDATE log_records SET time = time - 34646400000000; \
         INSERT INTO memberships (tenant, group_key, member_key, from_seq, until_seq, nested) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) \
         SELECT t.key, 1, n.i, 0, 3, FALSE FROM n CROSS JOIN tenants t;",
    );
}

#[test]
fn a_server_works_beside_its_requests_and_a_command_does_not() {
    for place in Installation::each() {
        let left = || ask(&place.database_url(), "SELECT count(*) FROM memberships");
        place.run(&["init"]).expect(0);
        age(&place);
        place.run(&["user", "list"]).expect(0);
        assert_eq!(left(), 900);
        let server = place.serve(&[]);
        until("the sweep", || (left() == 0).then(|| server.client("").get("/healthz").expect(200)));
        server.terminate();
        let (status, _, told) = server.wait();
        assert_eq!((status.code(), unwarned(&told)), (Some(0), String::new()));
    }
}
