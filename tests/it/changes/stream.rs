//! Server-sent events: the same changes, as an EventSource reads them.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::{Value, json};

use super::{READ, last, seqs};
use crate::support::server::{Client, Installation, USER};

/// What an EventSource would dispatch.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    id: i64,
    kind: String,
    data: Value,
}

impl Event {
    pub(super) fn seq(&self) -> i64 {
        assert_eq!((self.data["seq"].as_i64(), self.data["kind"].as_str()), (Some(self.id), Some(self.kind.as_str())));
        self.id
    }
}

/// An open stream.
pub(super) struct Events {
    headers: ureq::http::HeaderMap,
    lines: Box<dyn BufRead + Send>,
    last_id: Option<i64>,
}

impl Events {
    pub(super) fn open(client: &Client, query: &str, last_event_id: Option<&str>) -> Events {
        let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60))).build().new_agent();
        let mut request = agent
            .get(format!("http://{}/v1/changes{query}", client.address))
            .header("authorization", format!("Bearer {}", client.key))
            .header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let (head, body) = request.call().unwrap().into_parts();
        Events { headers: head.headers, lines: Box::new(BufReader::new(body.into_reader())), last_id: None }
    }

    /// The next block of lines: its id, its event if it has data. `None` at the end.
    fn block(&mut self) -> Option<(Option<i64>, Option<Event>)> {
        let (mut id, mut kind, mut data, mut any) = (None, String::new(), None, false);
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                assert!(!any, "the stream ends in the middle of an event");
                return None;
            }
            let line = line.strip_suffix('\n').unwrap();
            any = true;
            match line.split_once(": ").unwrap_or((line, "")) {
                ("", _) => break,
                ("id", text) => id = Some(text.parse().unwrap()),
                ("event", text) => kind = text.to_owned(),
                ("data", text) => data = Some(serde_json::from_str(text).unwrap()),
                ("retry" | ":", _) => {}
                _ => panic!("{line:?}"),
            }
        }
        self.last_id = id.or(self.last_id);
        Some((id, data.map(|data| Event { id: id.unwrap(), kind, data })))
    }

    /// The next event; `None` at the end of the stream.
    pub(super) fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.block()?.1 {
                return Some(event);
            }
        }
    }

    /// The next id, with an event or without.
    pub(super) fn next_id(&mut self) -> Option<i64> {
        loop {
            if let Some(id) = self.block()?.0 {
                return Some(id);
            }
        }
    }
}

#[test]
fn a_stream_tells_what_the_pages_tell_and_resumes_anywhere() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let (idp, admin) = (server.idp(), server.admin());
        let add = |name: &str| {
            let body = json!({"schemas": [USER], "userName": name});
            idp.post("/scim/v2/Users", &body).expect(201);
        };
        add("ann");
        let page = admin.get("/v1/changes?wait=0").expect(200).json();
        let changes = page["changes"].as_array().unwrap();
        let mut events = Events::open(&admin, "", None);
        let header = |name: &str| events.headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!((header("cache-control"), header("x-accel-buffering")), ("no-store".to_owned(), "no".to_owned()));
        for change in changes {
            let event = events.next().unwrap();
            assert_eq!((event.seq(), &event.data), (change["seq"].as_i64().unwrap(), change));
        }
        let end = changes.len() as i64 - 1;
        add("ben");
        assert_eq!(events.next().unwrap().seq(), end + 1);
        // Whoever comes back says where it was, whatever its URL says; without, the URL counts.
        for seq in 0..=end {
            assert_eq!(Events::open(&admin, "?after=0", Some(&seq.to_string())).next().unwrap().seq(), seq + 1);
            assert_eq!(Events::open(&admin, &format!("?after={seq}"), None).next().unwrap().seq(), seq + 1);
        }
    }
}

#[test]
fn what_the_filter_leaves_out_moves_the_id_without_an_event() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let (idp, admin) = (server.idp(), server.admin());
        let end = last(&admin);
        let mut events = Events::open(&admin, "?kind=user.deleted", None);
        assert_eq!(events.next_id(), Some(end));
        let mut first = Events::open(&admin, "?kind=tenant.created", None);
        assert_eq!((first.next().unwrap().seq(), first.block().unwrap()), (0, (Some(end), None)));
        let body = json!({"schemas": [USER], "userName": "ann"});
        let id = idp.post("/scim/v2/Users", &body).expect(201).json()["id"].as_str().unwrap().to_owned();
        assert_eq!(events.block().unwrap(), (Some(end + 1), None));
        idp.delete(&format!("/scim/v2/Users/{id}")).expect(204);
        assert_eq!(events.next().unwrap().kind, "user.deleted");
        // A client that comes back with such an id misses nothing and sees nothing twice.
        let resumed = Events::open(&admin, "?kind=user.deleted", Some(&(end + 1).to_string())).next().unwrap();
        assert_eq!(resumed.kind, "user.deleted");
    }
}

#[test]
fn a_stream_ends_with_its_key() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let by_admin = |id: &str| drop(server.admin().post(&format!("/v1/keys/{id}/revoke"), &json!({})).expect(200));
        let by_host = |id: &str| drop(place.run(&["key", "revoke", id]).expect(0));
        let kills: [&dyn Fn(&str); 2] = [&by_admin, &by_host];
        for kill in kills {
            let issued =
                place.run(&["key", "issue", "--owner", "operator", "--grant", READ, "--json"]).expect(0).json();
            let service = server.client(issued["key"].as_str().unwrap());
            let end = last(&service);
            let mut events = Events::open(&service, &format!("?after={end}"), None);
            assert_eq!(events.next_id(), Some(end));
            kill(issued["id"].as_str().unwrap());
            // Not even its own death is told.
            assert_eq!(events.next(), None);
            service.get("/v1/changes").expect(401);
        }
    }
}

#[test]
fn a_stream_ends_when_its_key_stops_to_work_without_a_record() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let follow = |lifetime: &str| {
            let issue = ["key", "issue", "--owner", "operator", "--grant", READ, "--expires-in", lifetime, "--json"];
            let issued = place.run(&issue).expect(0).json();
            let service = server.client(issued["key"].as_str().unwrap());
            let end = last(&server.admin());
            let mut events = Events::open(&service, &format!("?after={end}"), None);
            assert_eq!(events.next_id(), Some(end));
            events
        };
        // The server looks by itself: nothing is written when a key expires, or when somebody uses SQL.
        assert_eq!(follow("PT5S").next(), None);
        let mut events = follow("P1D");
        place.sql("UPDATE principals SET active = NOT active");
        assert_eq!(events.next(), None);
    }
}

#[test]
fn the_end_of_a_stream_is_logged_with_how_much_it_was() {
    for place in Installation::each() {
        let server = place.serve_with(&["--log-level", "info"], &[]);
        let admin = server.admin();
        let all = last(&admin) + 1;
        let open = || {
            let mut events = Events::open(&admin, "", None);
            (0..all).for_each(|_| drop(events.next().unwrap()));
            events
        };
        let said = |why: &str| format!("events={all} why=\"{why}\"");
        drop(open());
        // Something to send is how the server finds that nobody is there.
        server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "mira"})).expect(201);
        let logged = server.await_log("a stream of changes has ended");
        assert!(logged.contains("why=\"the client has gone\""), "{logged}");
        let mut events = Events::open(&admin, &format!("?after={}", last(&admin) - all), None);
        (0..all).for_each(|_| drop(events.next().unwrap()));
        server.terminate();
        assert_eq!(events.next(), None);
        let (_, _, logged) = server.wait();
        let line = logged.lines().find(|line| line.contains("the server stops")).unwrap();
        assert!(line.contains("a stream of changes has ended request=") && line.contains(" key="), "{line}");
        assert!(line.contains(" seconds=") && line.contains(&said("the server stops")), "{line}");
    }
}

#[test]
fn writers_at_once_are_told_in_order_and_once() {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    for place in Installation::each() {
        // Two nodes: neither knows what the other has just committed.
        let (a, b) = (place.serve(&[]), place.serve(&[]));
        let begun = last(&a.admin());
        let end = begun + (WRITERS * EACH) as i64;
        std::thread::scope(|scope| {
            let follow =
                |events: &mut Events| -> Vec<i64> { (0..=end).map(|_| events.next().unwrap().seq()).collect() };
            let readers = [&a, &b].map(|node| {
                scope.spawn(move || {
                    let mut events = Events::open(&node.admin(), "", None);
                    follow(&mut events)
                })
            });
            let poller = scope.spawn(|| {
                let (admin, mut next, mut seen) = (b.admin(), -1, vec![]);
                while next < end {
                    let body = admin.get(&format!("/v1/changes?after={next}&count=7")).expect(200).json();
                    seen.extend(seqs(&body));
                    next = body["next"].as_i64().unwrap();
                }
                seen
            });
            for writer in 0..WRITERS {
                let node = if writer % 2 == 0 { &a } else { &b };
                scope.spawn(move || {
                    let idp = node.idp();
                    for n in 0..EACH {
                        let body = json!({"schemas": [USER], "userName": format!("user{writer}-{n}")});
                        idp.post("/scim/v2/Users", &body).expect(201);
                    }
                });
            }
            let expected: Vec<i64> = (0..=end).collect();
            for reader in readers {
                assert_eq!(reader.join().unwrap(), expected);
            }
            assert_eq!(poller.join().unwrap(), expected);
            // Whoever comes late gets all of it at once, in several pieces.
            let mut late = Events::open(&a.admin(), "", None);
            assert_eq!(expected.iter().map(|_| late.next().unwrap().seq()).collect::<Vec<_>>(), expected);
        });
    }
}
