//! Answers that are read and rendered while they are sent: whole and right, or seen to be cut; and never much
//! of them in memory.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::connections::{narrow, served};
use crate::support::app::{TestApp, for_each_app};
use crate::support::server::{BULK, Installation, SEARCH, Server, USER};

const STALL: std::time::Duration = std::time::Duration::from_secs(30);

/// A job that creates users whose documents have so many bytes and some more.
fn job(count: usize, bytes: usize) -> Value {
    let create = |n: usize| {
        let data = json!({"schemas": [USER], "userName": format!("user{n:04}"), "nickName": "n".repeat(bytes)});
        json!({"method": "POST", "path": "/Users", "bulkId": format!("b{n}"), "data": data})
    };
    json!({"schemas": [BULK], "Operations": (0..count).map(create).collect::<Vec<_>>()})
}

fn ids(page: &Value) -> Vec<&str> {
    page["Resources"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[test]
fn long_lists_are_the_same_as_their_pieces() {
    for_each_app(|app| {
        let idp = app.idp();
        let done = idp.post("/Bulk", job(400, 1_500)).expect(200);
        assert_eq!(done["Operations"].as_array().unwrap().len(), 400);
        let lists = [
            ("/Users?count=1000", 400),
            ("/Users?count=300&startIndex=51", 300),
            ("/Users?count=1000&sortBy=userName&sortOrder=descending", 400),
            ("/Users?count=1000&filter=nickName%20ew%20%22n%22&attributes=nickName,userName", 400),
            ("/Users?count=1000&excludedAttributes=meta", 400),
            ("/?count=1000", 400),
            ("/?count=1000&sortBy=userName", 400),
        ];
        for (path, count) in lists {
            let list = idp.get(path).expect(200);
            let start = if path.contains("startIndex") { 51 } else { 1 };
            let numbers = (&list["totalResults"], &list["startIndex"], &list["itemsPerPage"]);
            assert_eq!(numbers, (&json!(400), &json!(start), &json!(count)), "{path}");
            let shown = ids(&list.body);
            assert_eq!((shown.len(), shown.iter().collect::<HashSet<_>>().len()), (count, count), "{path}");
            // The same again in pages that are short enough to be sent whole.
            let mut short = vec![];
            while short.len() < count {
                let path = path.replace("count=1000", "count=40").replace("count=300", "count=40");
                let path = path.replace("&startIndex=51", "");
                let page = idp.get(&format!("{path}&startIndex={}", start + short.len())).expect(200);
                assert_eq!(page["itemsPerPage"], page["Resources"].as_array().unwrap().len());
                short.extend(page["Resources"].as_array().unwrap().iter().cloned());
            }
            short.truncate(count);
            assert_eq!(list["Resources"].as_array().unwrap(), &short, "{path}");
        }
        let searched = idp.post("/Users/.search", json!({"schemas": [SEARCH], "count": 1_000})).expect(200);
        assert_eq!(searched.body, idp.get("/Users?count=1000").expect(200).body);
        let (first, all) = (idp.get("/Users?count=250&cursor="), idp.get("/Users?count=1000"));
        let next = first["nextCursor"].as_str().unwrap();
        let second = idp.get(&format!("/Users?count=250&cursor={next}")).expect(200);
        assert_eq!([ids(&first.body), ids(&second.body)].concat(), ids(&all.body));
        assert_eq!((&first["itemsPerPage"], &second["itemsPerPage"]), (&json!(250), &json!(150)));
        assert_eq!((second.body.get("nextCursor"), second.body.get("startIndex")), (None, None));
    });
}

#[test]
fn a_long_catalogue_is_whole() {
    for_each_app(|app| {
        let (admin, idp) = (app.admin(), app.idp());
        for n in 0..200 {
            let role = json!({"name": format!("role{n:03}"), "description": "d".repeat(1_000), "permissions": []});
            admin.post("/v1/roles", role).expect(201);
        }
        let list = idp.get("/Roles?count=1000").expect(200);
        let count = ids(&list.body).len();
        assert!(count >= 200 && list.text.len() > 200_000);
        assert_eq!((&list["totalResults"], &list["itemsPerPage"]), (&json!(count), &json!(count)));
        let mut short = vec![];
        while short.len() < count {
            let page = idp.get(&format!("/Roles?count=50&startIndex={}", short.len() + 1)).expect(200);
            short.extend(page["Resources"].as_array().unwrap().iter().cloned());
        }
        assert_eq!(list["Resources"].as_array().unwrap(), &short);
    });
}

/// Asks and takes nothing yet.
fn ask(address: SocketAddr, key: &str, path: &str) -> TcpStream {
    let mut stream = narrow(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The body of an answer in chunks, and whether it came to its end.
fn take(mut stream: TcpStream) -> (String, bool) {
    let mut bytes = vec![];
    let mut piece = vec![0; 1 << 16];
    while !bytes.ends_with(b"\r\n0\r\n\r\n")
        && let Ok(length @ 1..) = stream.read(&mut piece)
    {
        bytes.extend_from_slice(&piece[..length]);
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, mut rest) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("transfer-encoding: chunked"), "{head}");
    let mut body = String::new();
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let Some(chunk) = more.get(..length) else { break };
        body.push_str(chunk);
        rest = more.get(length + 2..).unwrap_or_default();
    }
    (body, false)
}

fn each_served(story: impl Fn(&TestApp, SocketAddr)) {
    for_each_app(|app| story(app, served(app, STALL)));
}

#[test]
fn what_is_deleted_while_a_list_is_sent_is_neither_shown_nor_counted() {
    each_served(|app, address| {
        let idp = app.idp();
        idp.post("/Bulk", job(500, 12_000)).expect(200);
        let all = idp.get("/Users?count=1000&attributes=userName").expect(200);
        let stream = ask(address, idp.key(), "/scim/v2/Users?count=1000");
        // The answer has begun once there is something of it.
        assert!(stream.peek(&mut [0]).unwrap() > 0);
        for id in &ids(&all.body)[480..] {
            idp.delete(&format!("/Users/{id}")).expect(204);
        }
        let (text, is_whole) = take(stream);
        let list: Value = serde_json::from_str(&text).unwrap();
        assert!(is_whole);
        assert_eq!((&list["totalResults"], &list["itemsPerPage"]), (&json!(500), &json!(480)));
        assert_eq!(ids(&list), ids(&all.body)[..480]);
    });
}

#[test]
fn a_list_that_cannot_be_read_to_its_end_is_cut_off() {
    each_served(|app, address| {
        let idp = app.idp();
        idp.post("/Bulk", job(300, 1_500)).expect(200);
        app.sql("UPDATE resources SET document = '{' WHERE key = (SELECT MAX(key) FROM resources)");
        let (text, is_whole) = take(ask(address, idp.key(), "/scim/v2/Users?count=1000&attributes=nickName"));
        assert!(!is_whole && text.len() > 100_000);
        assert!(serde_json::from_str::<Value>(&text).is_err());
    });
}

/// What the server's peak grows by, in MiB.
fn growth(server: &Server, work: impl FnOnce()) -> u64 {
    server.reset_peak();
    let before = server.peak_kib();
    work();
    (server.peak_kib() - before) / 1_024
}

#[test]
fn pages_that_nobody_takes_stay_small() {
    for place in Installation::each() {
        let server = place.serve(&["--rate-limit", "off"]);
        let idp = server.idp();
        idp.post("/scim/v2/Bulk", &job(500, 8_000)).expect(200);
        let path = "/scim/v2/Users?count=1000";
        let whole = idp.get(path).expect(200);
        assert!(whole.body.len() > 4_000_000);
        let grown = growth(&server, || {
            let clients: Vec<TcpStream> = (0..24).map(|_| ask(server.address, &idp.key, path)).collect();
            for client in &clients {
                assert!(client.peek(&mut [0]).unwrap() > 0);
            }
            // Everybody else is served meanwhile.
            assert_eq!(idp.get(path).expect(200).body, whole.body);
        });
        assert!(grown < 64, "{grown} MiB");
    }
}

/// A user of 8 MB: a text has a limit, and a list of texts another one.
fn long_user(n: usize) -> Value {
    let address = |n: usize| json!({"formatted": format!("{n} {}", "f".repeat(60_000))});
    let addresses: Vec<Value> = (0..130).map(address).collect();
    json!({"schemas": [USER], "userName": format!("long{n}"), "addresses": addresses})
}

#[test]
fn long_resources_are_in_memory_one_at_a_time() {
    for place in Installation::each() {
        let server = place.serve(&["--rate-limit", "off"]);
        let idp = server.idp();
        for n in 0..8 {
            let made = idp.post("/scim/v2/Users?attributes=userName", &long_user(n)).expect(201);
            assert!(made.body.len() < 1_000);
        }
        let path = "/scim/v2/Users?count=1000";
        let grown = growth(&server, || {
            let clients: Vec<TcpStream> = (0..6).map(|_| ask(server.address, &idp.key, path)).collect();
            for client in &clients {
                assert!(client.peek(&mut [0]).unwrap() > 0);
            }
            let page = idp.get(path).expect(200);
            assert!(page.body.len() > 60_000_000 && page.body.ends_with("],\"itemsPerPage\":8}"));
        });
        // Seven pages would be 430 MiB, and more than one copy of each.
        assert!(grown < 320, "{grown} MiB");
        // What must be read to decide is read one by one as well.
        let filter = "/scim/v2/Users?count=1&filter=addresses.locality%20pr%20or%20addresses.formatted%20sw%20%227%22";
        assert_eq!(idp.get(filter).expect(200).json()["totalResults"], 8);
    }
}
