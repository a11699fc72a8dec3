//! Long-polls: they wait, any writer wakes them, and they hold nothing up.

use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{last, seqs};
use crate::support::server::{Client, Installation, Server, USER, connect, is_silent, read_answer};

/// A request on a connection of its own, whose answer is not read yet.
pub(super) fn ask(client: &Client, path: &str) -> TcpStream {
    let mut stream = connect(client.address);
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", client.key);
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn answer(stream: &mut TcpStream) -> Value {
    read_answer(stream).unwrap().expect(200).json()
}

fn add(server: &Server, name: &str) -> String {
    let body = json!({"schemas": [USER], "userName": name});
    server.idp().post("/scim/v2/Users", &body).expect(201).json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn whoever_writes_wakes_those_who_wait() {
    for place in Installation::each() {
        let (server, other) = (place.serve(&[]), place.serve(&[]));
        let admin = server.admin();
        let begun = last(&admin);
        type Writer<'w> = &'w dyn Fn(usize);
        let writers: [Writer<'_>; 3] =
            [&|n| drop(add(&server, &format!("own{n}"))), &|n| drop(add(&other, &format!("node{n}"))), &|_| {
                drop(place.run(&["key", "issue", "--owner", "operator"]).expect(0))
            }];
        for (next, n) in (begun..).zip(0..12) {
            // Several wait, one of them with the turn to look; all are told.
            let mut waiting: Vec<TcpStream> =
                (0..5).map(|_| ask(&admin, &format!("/v1/changes?after={next}"))).collect();
            writers[n % writers.len()](n);
            for stream in &mut waiting {
                // Whoever is not woken is told, when the time is up, that there is nothing.
                let body = answer(stream);
                assert_eq!((seqs(&body), &body["next"]), (vec![next + 1], &json!(next + 1)));
            }
        }
    }
}

#[test]
fn a_filtered_wait_goes_on_over_other_kinds() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let admin = server.admin();
        let next = last(&admin);
        let mut waiting = ask(&admin, &format!("/v1/changes?after={next}&kind=user.deleted"));
        let id = add(&server, "ann");
        server.idp().delete(&format!("/scim/v2/Users/{id}")).expect(204);
        let body = answer(&mut waiting);
        assert_eq!(body["changes"][0]["kind"], "user.deleted", "{body}");
        assert!(body["changes"][0]["seq"].as_i64().unwrap() > next + 1, "{body}");
        // Where nothing is left, what was looked at is told when the time is up.
        let end = last(&admin);
        let body = admin.get(&format!("/v1/changes?after={next}&kind=mapping.created&wait=1")).expect(200).json();
        assert_eq!(body, json!({"changes": [], "next": end}));
        let body = admin.get(&format!("/v1/changes?after={end}&wait=1")).expect(200).json();
        assert_eq!(body, json!({"changes": [], "next": end}));
    }
}

#[test]
fn a_key_that_dies_while_it_waits_is_refused() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let issued =
            place.run(&["key", "issue", "--owner", "operator", "--grant", "keyroll:changes:read", "--json"]).json();
        let service = server.client(issued["key"].as_str().unwrap());
        let next = last(&service);
        let mut waiting = ask(&service, &format!("/v1/changes?after={next}"));
        place.run(&["key", "revoke", issued["id"].as_str().unwrap()]).expect(0);
        let refused = read_answer(&mut waiting).unwrap().expect(401);
        assert_eq!(refused.json()["detail"], "the key is not valid");
    }
}

#[test]
fn a_server_that_is_told_to_stop_answers_those_who_wait() {
    for place in Installation::each() {
        let (server, other) = (place.serve(&[]), place.serve(&[]));
        let admin = server.admin();
        let next = last(&admin);
        let mut waiting: Vec<TcpStream> = (0..20).map(|_| ask(&admin, &format!("/v1/changes?after={next}"))).collect();
        let mut streams: Vec<super::stream::Events> =
            (0..20).map(|_| super::stream::Events::open(&admin, &format!("?after={next}"), None)).collect();
        // Each stream has begun; a request whose bytes were not read yet could be cut off by the end.
        streams.iter_mut().for_each(|stream| assert_eq!(stream.next_id(), Some(next)));
        // Its time is up before theirs.
        let witness = ask(&other.admin(), &format!("/v1/changes?after={next}&wait=20"));
        server.terminate();
        for stream in &mut waiting {
            assert_eq!(answer(stream), json!({"changes": [], "next": next}));
        }
        streams.iter_mut().for_each(|stream| assert!(stream.next().is_none()));
        assert!(server.wait().0.success());
        assert!(is_silent(&witness), "they were answered because their time was up");
    }
}

#[test]
fn only_so_many_wait_at_once() {
    const PLACES: usize = 500;
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    let admin = server.admin();
    let next = last(&admin);
    let mut streams: Vec<super::stream::Events> =
        (0..PLACES).map(|_| super::stream::Events::open(&admin, &format!("?after={next}"), None)).collect();
    streams.iter_mut().for_each(|stream| assert_eq!(stream.next_id(), Some(next)));
    let full = admin.get(&format!("/v1/changes?after={next}")).expect(503);
    assert_eq!((full.header("retry-after"), full.json()["code"].clone()), (Some("1"), json!("unavailable")));
    // Whoever need not wait needs no place, and nobody else notices.
    assert_eq!(seqs(&admin.get("/v1/changes?count=2").expect(200).json()), [0, 1]);
    add(&server, "ann");
    streams.iter_mut().for_each(|stream| assert_eq!(stream.next().unwrap().seq(), next + 1));
}
