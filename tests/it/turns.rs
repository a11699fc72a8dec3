//! Searches that no index answers: a few at a time, in the order in which they came, and no longer than somebody
//! waits for them.

use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use keyroll::domain::log::RequestRef;
use keyroll::scim::message::SearchRequest;
use keyroll::scim::schema::registry;
use keyroll::service::directory::search::Turn;
use keyroll::service::{Error, Service};
use serde_json::json;

use crate::support::app::{for_each_app, user};
use crate::support::server::{Installation, Server, USER, connect, encode};

/// Waits for a turn; it comes through what is returned.
fn queue(service: &Service) -> Receiver<Turn> {
    let (hand_on, turn) = channel();
    service.wait_for_turn(move |turn| hand_on.send(turn).map_err(|unsent| unsent.0));
    turn
}

fn at_once(service: &Service) -> Option<Turn> {
    queue(service).try_recv().ok()
}

#[test]
fn searches_wait_for_their_turn_in_the_order_in_which_they_came() {
    for_each_app(|app| {
        let (idp, service) = (app.idp(), &app.service);
        idp.post("/Users", user("ann@example.com")).expect(201);
        let mut held: Vec<Turn> = (0..4).map(|_| at_once(service).unwrap()).collect();
        let (first, gone, second) = (queue(service), queue(service), queue(service));
        drop(gone);
        assert!(first.try_recv().is_err() && second.try_recv().is_err());
        // A place that becomes free is the first one's, whoever else looks for one.
        drop(held.pop());
        held.push(first.try_recv().unwrap());
        assert!(at_once(service).is_none() && second.try_recv().is_err());
        // Who has gone is passed over.
        drop(held.pop());
        held.push(second.try_recv().unwrap());

        // Whoever cannot wait is told so, and whose turn it is searches.
        let context = service.enter(idp.key(), RequestRef::default(), None).unwrap();
        let (users, filter) = (registry().by_name("User"), Some("title co \"x\"".to_owned()));
        let request = SearchRequest { filter, ..SearchRequest::default() };
        let refused = service.search(&context, users, &request).unwrap_err();
        assert!(matches!(refused, Error::Crowded) && refused.status() == 503, "{refused}");
        let turn = held.pop().unwrap();
        service.in_turn(turn.clone()).search(&context, users, &request).unwrap();
        held.push(turn);

        // Over HTTP everybody waits, and holds up nobody who needs no place.
        std::thread::scope(|scope| {
            let path = format!("/Users?filter={}", encode("userName co \"ann\" and title co \"x\""));
            let ask = |path: String| move || app.idp().get(&path).expect(200)["totalResults"].clone();
            let asked: Vec<_> = (0..12).map(|_| scope.spawn(ask(path.clone()))).collect();
            (0..12).for_each(|_| drop(idp.get("/Users?count=1").expect(200)));
            drop(held);
            asked.into_iter().for_each(|one| assert_eq!(one.join().unwrap(), json!(0)));
        });
    });
}

/// A search that compares texts never ends, in sessions that are opened from now on.
const ENDLESS: &str = "CREATE SCHEMA slow; \
    CREATE FUNCTION slow.strpos(text, text) RETURNS integer LANGUAGE sql VOLATILE AS \
    $$ SELECT CASE WHEN pg_sleep(1000) IS NULL THEN 0 ELSE 1 END $$; \
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, slow, pg_catalog', current_database()); END $$";

const SEARCHING: &str = "FROM pg_stat_activity \
    WHERE datname = current_database() AND wait_event = 'PgSleep' AND pid <> pg_backend_pid()";

/// Waits until so many searches are under way: much less long than a statement may take.
fn searching(conn: &mut PgConnection, count: i64) {
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        let sql = diesel::dsl::sql::<BigInt>(&format!("SELECT count(*) {SEARCHING}"));
        let found: i64 = sql.get_result(conn).unwrap();
        if found == count {
            return;
        }
        assert!(Instant::now() < end, "{found} searches are under way");
        conn.batch_execute("SELECT pg_sleep(0.01)").unwrap();
    }
}

/// A server whose searches never end, what is sent for one, and another session on its database.
fn endless() -> Option<(Server, String, PgConnection)> {
    let place = Installation::postgres()?;
    let first = place.serve(&[]);
    let ann = json!({"schemas": [USER], "userName": "ann", "displayName": "Ann Moor"});
    first.idp().post("/scim/v2/Users", &ann).expect(201);
    drop(first);
    let mut other = PgConnection::establish(&place.database_url()).unwrap();
    other.batch_execute(ENDLESS).unwrap();
    Some((place.serve(&[]), format!("/scim/v2/Users?filter={}", encode("displayName co \"moor\"")), other))
}

#[test]
fn a_search_that_the_database_ends_is_answered_and_gives_its_place_back() {
    let Some((server, path, mut other)) = endless() else { return };
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| server.idp().get(&path).expect(503))).collect();
        searching(&mut other, 4);
        other.batch_execute(&format!("SELECT pg_cancel_backend(pid) {SEARCHING}")).unwrap();
        for answer in asked.into_iter().map(|one| one.join().unwrap()) {
            assert_eq!(answer.error(), "503 -: the database took too long over this: ask for less, or try again");
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    });
    other.batch_execute("DROP FUNCTION slow.strpos(text, text)").unwrap();
    assert_eq!(server.idp().get(&path).expect(200).json()["totalResults"], 1);
}

#[test]
fn a_search_whose_client_has_gone_ends_and_gives_its_place_back() {
    let Some((server, path, mut other)) = endless() else { return };
    let idp = server.idp();
    let request = format!("GET {path} HTTP/1.1\r\nHost: k\r\nAuthorization: Bearer {}\r\n\r\n", idp.key);
    // Some have sent their next requests already.
    let ask = |n: usize| {
        let mut stream = connect(idp.address);
        stream.write_all(request.repeat(1 + n % 2).as_bytes()).unwrap();
        stream
    };
    let clients: Vec<_> = (0..4).map(ask).collect();
    searching(&mut other, 4);
    drop(clients);
    searching(&mut other, 0);
    other.batch_execute("DROP FUNCTION slow.strpos(text, text)").unwrap();
    assert_eq!(idp.get(&path).expect(200).json()["totalResults"], 1);
}
