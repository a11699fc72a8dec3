//! The example service, which follows the feed through a restart of the server.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::READ;
use crate::support::server::{Installation, Server, USER};

/// The example, as `cargo test` builds it beside the program.
struct Example {
    child: Child,
    changes: Receiver<Value>,
}

impl Example {
    fn start(server: &Server, key: &str, file: &Path) -> Example {
        let program = Path::new(env!("CARGO_BIN_EXE_keyroll")).with_file_name("examples").join("service_reader");
        assert!(program.exists(), "build the examples: cargo build --examples");
        let mut child = Command::new(program)
            .arg(format!("http://{}", server.address))
            .arg(file)
            .env("KEYROLL_SERVICE_KEY", key)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, changes) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Example { child, changes }
    }

    /// What it prints next.
    fn next(&self) -> Value {
        self.changes.recv_timeout(Duration::from_secs(60)).unwrap()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn add(server: &Server, name: &str) {
    server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name})).expect(201);
}

#[test]
fn the_example_misses_and_repeats_nothing_through_a_restart() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let listen = server.address.to_string();
        let issued = place.run(&["key", "issue", "--owner", "operator", "--grant", READ, "--json"]).expect(0).json();
        let (key, id) = (issued["key"].as_str().unwrap(), issued["id"].as_str().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("position.txt");
        let mut example = Example::start(&server, key, &file);
        let mut seen = vec![];
        let mut server = server;
        for round in 0..3 {
            for n in 0..10 {
                add(&server, &format!("before{round}-{n}"));
                seen.push(example.next());
            }
            // It is somewhere in the middle of these when the server goes.
            (0..10).for_each(|n| add(&server, &format!("middle{round}-{n}")));
            server.terminate();
            assert!(server.wait().0.success());
            // What the host does meanwhile is in the log as well.
            place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0);
            server = place.serve(&["--listen", &listen]);
        }
        add(&server, "last");
        let log = place.run(&["log", "tail", "--count", "1000", "--json"]).expect(0);
        let log: Vec<Value> = log.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        seen.extend((seen.len()..log.len()).map(|_| example.next()));
        for (seq, (change, record)) in seen.iter().zip(&log).enumerate() {
            let told = json!({
                "seq": seq, "kind": record["action"], "time": record["time"], "subject": record["subject"],
                "change": record["change"],
            });
            assert_eq!((change, &record["seq"]), (&told, &json!(seq)));
        }
        // When its key is gone it ends and says so, and it has seen nothing more.
        place.run(&["key", "revoke", id]).expect(0);
        assert_eq!(example.child.wait().unwrap().code(), Some(1));
        let mut said = String::new();
        example.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.lines().last().unwrap().contains("401"), "{said}");
        assert!(!said.contains(key));
        assert!(example.changes.try_iter().next().is_none());
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), (log.len() - 1).to_string());
    }
}
