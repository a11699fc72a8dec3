//! Connections: nobody holds one for nothing, and nobody who holds many keeps anybody else out.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use keyroll::http;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::app::TestApp;
use crate::support::server::{BULK, GROUP, Installation, SEARCH, Server, USER, connect, read_answer};

/// Nothing that is waited for takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the server ends the connection, however it does.
fn is_ended(mut stream: TcpStream) -> bool {
    let mut rest = vec![];
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

/// A request whose body in chunks has only begun.
fn begun(line: &str, key: &str) -> String {
    let bearer = if key.is_empty() { String::new() } else { format!("Authorization: Bearer {key}\r\n") };
    format!(
        "{line} HTTP/1.1\r\nHost: x\r\n{bearer}Content-Type: application/scim+json\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\n{{ \r\n"
    )
}

#[test]
fn an_answer_that_does_not_wait_for_the_body_ends_the_connection() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    let keys = server.keys();
    let identity = place.run(&["key", "issue", "--owner", "operator", "--grant", "keyroll:users:read", "--json"]);
    let reader = identity.expect(0).json()["key"].as_str().unwrap().to_owned();
    let too_large =
        format!("{}100000\r\n{}\r\n", begun("POST /scim/v2/Users", &keys.provisioning), "n".repeat(1 << 20));
    let chunk = too_large[too_large.find("100000\r\n").unwrap()..].to_owned();
    let too_large = too_large + &chunk.repeat(16);
    let cases = [
        (begun("POST /scim/v2/Users", ""), 401),
        (begun("POST /scim/v2/Users", "nonsense"), 401),
        (begun("POST /v1/keys", &reader), 403),
        (begun("POST /nowhere", &keys.provisioning), 404),
        (begun("POST /healthz", ""), 405),
        (begun("PATCH /scim/v2/Schemas", &keys.provisioning), 405),
        (
            begun("POST /scim/v2/Users/.search", &keys.provisioning).replace("Host: x", "Accept: text/html\r\nHost: x"),
            406,
        ),
        (too_large, 413),
        // Nobody looks at the body, and nobody waits for it.
        (begun("GET /healthz", ""), 200),
        (begun("GET /scim/v2/Schemas", ""), 200),
    ];
    let answered = cases.map(|(request, status)| {
        let mut stream = connect(server.address);
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read_answer(&mut stream).unwrap().expect(status);
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
        (stream, status)
    });
    for (stream, status) in answered {
        assert!(is_ended(stream), "the connection is still open behind {status}");
    }
}

#[test]
fn without_a_key_a_connection_is_for_one_request() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    let request = |key: &str| {
        let bearer = if key.is_empty() { String::new() } else { format!("Authorization: Bearer {key}\r\n") };
        format!("GET /scim/v2/ServiceProviderConfig HTTP/1.1\r\nHost: x\r\n{bearer}\r\n")
    };
    let mut stream = connect(server.address);
    for _ in 0..3 {
        stream.write_all(request(&server.keys().provisioning).as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).unwrap().expect(200).header("connection"), None);
    }
    stream.write_all(request("").as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().expect(200).header("connection"), Some("close"));
    assert!(is_ended(stream));
}

#[test]
fn a_client_that_sends_no_more_still_has_its_answer() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    let create = |n: usize| {
        let data = json!({"schemas": [USER], "userName": format!("user{n}")});
        json!({"method": "POST", "path": "/Users", "bulkId": format!("b{n}"), "data": data})
    };
    let job = json!({"schemas": [BULK], "Operations": (0..300).map(create).collect::<Vec<_>>()}).to_string();
    let (key, length) = (server.keys().provisioning, job.len());
    let head = format!(
        "POST /scim/v2/Bulk HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut stream = connect(server.address);
    stream.write_all((head + &job).as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(answer.matches("\"status\":\"201\"").count(), 300);
}

/// Connections whose requests were refused and go on for ever.
fn hold(server: &Server, count: usize) -> Vec<TcpStream> {
    let request = begun("POST /scim/v2/Users", "");
    let held = (0..count).map(|_| {
        let mut stream = connect(server.address);
        // It may be cut already.
        let _ = stream.write_all(request.as_bytes());
        stream
    });
    held.collect()
}

#[test]
fn who_holds_connections_without_a_key_keeps_nobody_out() {
    for place in Installation::each() {
        let server = place.serve_with_files("-n 512");
        let idp = server.idp();
        idp.get("/scim/v2/Users").expect(200);
        let held = hold(&server, 510);
        // Who is there already stays; who is new gets in.
        for _ in 0..20 {
            idp.get("/scim/v2/Users").expect(200);
            server.idp().get("/scim/v2/Users").expect(200);
            server.client("").get("/healthz").expect(200);
        }
        drop(held);
        server.terminate();
        let (_, _, log) = server.wait();
        assert!(log.contains("512 files may be open: room for "), "{log}");
        assert!(log.contains("there is no room for more connections: 1 were cut so far"), "{log}");
        assert!(!log.contains("Too many open files"), "{log}");
    }
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_goes() {
    let server = Installation::sqlite().serve_with_files("-S -n 300");
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = line.split_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
    assert!(numbers[0] == numbers[1] && numbers[0] != "300", "{line}");
    let files = numbers[0].to_owned();
    server.terminate();
    assert!(server.wait().2.contains(&format!("{files} files may be open: room for ")));
}

/// The server in this process, on a socket.
pub fn served(app: &TestApp, stall: Duration) -> SocketAddr {
    let nowhere = std::path::Path::new("/nonexistent");
    let listening = http::listen("127.0.0.1:0".parse().unwrap(), nowhere, false).unwrap();
    let (address, service) = (listening.address, app.service.clone());
    let settings = http::Settings { stall, ..http::Settings::default() };
    std::thread::spawn(move || http::serve(listening, service, settings, || {}));
    address
}

/// A client with hardly any room for what it is sent.
pub fn narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(1_024).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

#[test]
fn who_takes_nothing_of_an_answer_is_cut_off_whatever_it_is() {
    let app = TestApp::sqlite();
    let create = |n: usize| {
        let data = json!({"schemas": [USER], "userName": format!("user{n}"), "displayName": "n".repeat(200)});
        json!({"method": "POST", "path": "/Users", "bulkId": format!("b{n}"), "data": data})
    };
    let job = json!({"schemas": [BULK], "Operations": (0..300).map(create).collect::<Vec<_>>()});
    let done = app.idp().post("/Bulk", job).expect(200);
    let id = |result: &Value| result["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let members: Vec<Value> =
        done["Operations"].as_array().unwrap().iter().map(|result| json!({"value": id(result)})).collect();
    let group = app.idp().post("/Groups", json!({"schemas": [GROUP], "displayName": "all", "members": members}));
    let group = group.expect(201).id();

    let address = served(&app, Duration::from_secs(1));
    let (idp, admin) = (app.idp().key().to_owned(), app.admin().key().to_owned());
    let operation = json!({"method": "DELETE", "path": "/Users/nobody"});
    let job = json!({"schemas": [BULK], "Operations": vec![operation; 300]});
    let search = json!({"schemas": [SEARCH], "count": 1_000});
    let requests = [
        (&idp, "GET", format!("/scim/v2/Groups/{group}"), Value::Null),
        (&idp, "GET", "/scim/v2/Users?count=1000".to_owned(), Value::Null),
        (&idp, "GET", "/scim/v2?count=1000".to_owned(), Value::Null),
        (&idp, "POST", "/scim/v2/Users/.search".to_owned(), search),
        (&idp, "POST", "/scim/v2/Bulk".to_owned(), job),
        (&admin, "GET", "/v1/changes?after=-1".to_owned(), Value::Null),
    ];
    let streams = requests.map(|(key, method, path, body)| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let accept = if path.contains("changes") { "Accept: text/event-stream\r\n" } else { "" };
        let mut stream = narrow(address);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{accept}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        (stream, path)
    });
    for (mut stream, path) in streams {
        let started = Instant::now();
        while is_held(&stream) {
            assert!(started.elapsed() < PATIENCE, "{path} is not cut off");
        }
        // What it had room for, and then no end but an error.
        let mut taken = vec![];
        let error = stream.read_to_end(&mut taken).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{path}");
        assert!(taken.starts_with(b"HTTP/1.1 200 OK\r\n") && taken.len() < 20_000, "{path}: {}", taken.len());
    }
}

#[test]
fn no_piece_of_an_answer_waits_for_the_one_before() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    let mut stream = connect(server.address);
    // Without a key that works a connection ends with its first answer.
    let bearer = server.keys().provisioning;
    let request = format!("GET /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 200);
    let connection = inode(&stream).unwrap();
    let folder = format!("/proc/{}/fd", server.pid());
    let is_it = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|to| to.to_str() == Some(&format!("socket:[{connection}]")))
    };
    let found = fs::read_dir(folder).unwrap().map(Result::unwrap).find(is_it).unwrap();
    let number = found.file_name().to_str().unwrap().parse().unwrap();
    let process = Pid::from_raw(server.pid().try_into().unwrap()).unwrap();
    let process = pidfd_open(process, PidfdFlags::empty()).unwrap();
    match pidfd_getfd(process, number, PidfdGetfdFlags::empty()) {
        Ok(socket) => assert!(Socket::from(socket).tcp_nodelay().unwrap()),
        // Some containers let nobody look at what another process holds.
        Err(error) => println!("nothing is known of the server's socket: {error}"),
    }
}

/// The number of the socket at the other side of a connection.
fn inode(stream: &TcpStream) -> Option<String> {
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    let line = sockets.lines().find(|line| line.contains(&other_side(stream)))?;
    line.split_whitespace().nth(9).map(str::to_owned)
}

/// Whether the other side of a connection is still there, as the kernel of this machine tells.
fn is_held(stream: &TcpStream) -> bool {
    fs::read_to_string("/proc/net/tcp").unwrap().contains(&other_side(stream))
}

/// The other side of a connection as the kernel lists it.
fn other_side(stream: &TcpStream) -> String {
    let (own, other) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    format!("0100007F:{:04X} 0100007F:{:04X} ", other.port(), own.port())
}
