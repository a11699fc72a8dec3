//! The server as whoever runs it sees it: how it starts, what it says of itself, how it stops.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::server::{Installation, USER, connect, raw, read_answer, unwarned};

#[test]
fn serve_prints_the_keys_once_and_never_logs_them() {
    let place = Installation::sqlite();
    let server = place.serve_with(&[], &[("KEYROLL_LOG", "trace")]);
    assert_eq!(server.printed.len(), 1);
    let printed: Value = serde_json::from_str(&server.printed[0]).unwrap();
    assert_eq!(printed["scim_base_url"], format!("http://{}/scim/v2", server.address));
    let keys = server.keys();
    server.admin().get("/v1/whoami").expect(200);
    server.terminate();
    let (status, stdout, stderr) = server.wait();
    assert_eq!((status.code(), stdout.as_str()), (Some(0), ""));
    assert!(!stderr.contains(&keys.admin) && !stderr.contains(&keys.provisioning));
    assert!(place.serve(&[]).printed.is_empty());
}

#[test]
fn a_server_goes_on_whoever_reads_what_it_says_at_its_start() {
    let place = Installation::sqlite();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut serve = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut child = serve.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut said: Vec<String> = vec![];
    for line in lines {
        said.push(line);
        if said.last().unwrap().contains("listening on") {
            break;
        }
    }
    let address = said.last().and_then(|line| line.split_once("http://")).and_then(|(_, at)| at.parse().ok());
    let answer = address.map(|at| raw(at, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    child.kill().unwrap();
    child.wait().unwrap();
    let closed = "keyroll: cannot write to standard output: Broken pipe (os error 32): ";
    let said: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix(closed)).collect();
    assert!(said[0].contains("\"keys_file\":") && !said[0].contains("krp_"), "{said:?}");
    assert_eq!(said.len(), 2);
    assert_eq!(answer.flatten().unwrap().status, 200);
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let place = Installation::sqlite();
    let server = place.serve_unread(&[("KEYROLL_LOG", "info")]);
    // Far more lines than a pipe has room for.
    for _ in 0..1_500 {
        server.admin().get("/healthz").expect(200);
    }
    server.terminate();
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn a_server_that_is_told_to_stop_finishes_what_it_accepted() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let (idle, key) = (server.idp(), server.keys().provisioning);
        idle.get("/scim/v2/Users").expect(200);
        // `100 Continue` says that the request has been accepted and its body is awaited.
        let mut accepted: Vec<_> = (0..10)
            .map(|n| {
                let body = json!({"schemas": [USER], "userName": format!("last{n}")}).to_string();
                let head = format!(
                    "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\
                     Content-Type: application/scim+json\r\nExpect: 100-continue\r\n\r\n",
                    body.len()
                );
                let mut stream = connect(server.address);
                stream.write_all(head.as_bytes()).unwrap();
                let mut go_on = [0; 25];
                stream.read_exact(&mut go_on).unwrap();
                assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
                (stream, body)
            })
            .collect();
        server.terminate();
        // Once nobody new is let in, it is stopping.
        while std::net::TcpStream::connect(server.address).is_ok() {}
        for (stream, body) in &mut accepted {
            stream.write_all(body.as_bytes()).unwrap();
        }
        for (stream, _) in &mut accepted {
            read_answer(stream).expect("an answer").expect(201);
        }
        let address = server.address;
        let (status, _, stderr) = server.wait();
        assert_eq!((status.code(), unwarned(&stderr).as_str()), (Some(0), ""));
        assert!(std::net::TcpStream::connect(address).is_err());
        let users = place.run(&["user", "list", "--json"]).expect(0).json();
        assert_eq!(users["users"].as_array().unwrap().iter().filter(|user| user["origin"] == "scim").count(), 10);
    }
}

#[test]
fn health_says_that_it_runs_and_readiness_that_it_can_work() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let nobody = server.client("");
        assert_eq!(nobody.get("/healthz").expect(200).json(), json!({"status": "ok"}));
        assert_eq!(nobody.get("/readyz").expect(200).json()["status"], "ready");
        if place.is_embedded() {
            continue;
        }
        let (name, mut cluster) = place.cluster();
        let mut run = |sql: &str| cluster.batch_execute(sql).unwrap();
        run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
        run(&format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"));
        let gone = nobody.get("/readyz").expect(503);
        assert_eq!(gone.header("retry-after"), Some("1"));
        let why = "the database is not available";
        assert_eq!(gone.json(), json!({"status": "unready", "reads": why, "writes": why}), "nothing of the driver");
        nobody.get("/healthz").expect(200);
        let read = server.idp().get("/scim/v2/Users").expect(503);
        assert_eq!((read.error().as_str(), read.header("retry-after")), ("503 -: the store is unavailable", Some("1")));
        run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
        nobody.get("/readyz").expect(200);
        server.idp().get("/scim/v2/Users").expect(200);
    }
}

#[test]
fn what_is_not_there_is_said_so_with_a_request_id() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    for (line, status) in
        [("GET /nowhere", 404), ("GET /scim/v2/Users/a/b", 404), ("TRACE /scim/v2/Users", 405), ("PUT /v1/keys", 405)]
    {
        let answer = raw(server.address, format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        let id = answer.header("x-request-id").expect("a request id");
        let body = answer.json();
        assert!(body["request_id"] == id || body["schemas"].is_array(), "{answer:?}");
    }
}
