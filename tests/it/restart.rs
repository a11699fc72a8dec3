//! A server that is restarted while clients ask: with one retry none of them sees a failure.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::server::{Client, Installation, Server};

/// Clients at once.
const CLIENTS: usize = 4;
/// Answers that are waited for before the next step.
const ANSWERS: usize = 200;

/// Services that verify a key all the time, each question tried twice at most.
struct Load<'l> {
    key: &'l str,
    address: SocketAddr,
    answered: AtomicUsize,
    failed: AtomicUsize,
    stopped: AtomicBool,
}

impl<'l> Load<'l> {
    fn new(key: &'l str, address: SocketAddr) -> Load<'l> {
        let (answered, failed, stopped) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        Load { key, address, answered, failed, stopped }
    }

    /// Runs the steps under load; gives the last server, how many questions were answered, and how many failed
    /// twice.
    fn during(&self, steps: impl FnOnce(&Self) -> Server) -> (Server, usize, usize) {
        let last = thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| self.ask());
            }
            let _stop = Stop(&self.stopped);
            steps(self)
        });
        (last, self.answered.load(Ordering::SeqCst), self.failed.load(Ordering::SeqCst))
    }

    fn ask(&self) {
        let client = Client::new(self.address, self.key);
        let body = json!({"key": self.key}).to_string();
        while !self.stopped.load(Ordering::SeqCst) {
            let once = || client.send("POST", "/v1/verify", &[], &body).ok().filter(|answer| answer.status == 200);
            match once().or_else(once) {
                Some(answer) if answer.json()["code"] == "VALID" => self.answered.fetch_add(1, Ordering::SeqCst),
                _ => self.failed.fetch_add(1, Ordering::SeqCst),
            };
        }
    }

    /// Waits until so many more were answered, or any failed.
    fn go_on(&self) {
        let before = self.answered.load(Ordering::SeqCst);
        while self.answered.load(Ordering::SeqCst) < before + ANSWERS && self.failed.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
    }
}

/// Ends the load, also when a step fails.
struct Stop<'l>(&'l AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn end(server: Server) -> String {
    server.terminate();
    let (status, _, stderr) = server.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    stderr
}

#[test]
fn the_next_server_listens_beside_the_one_that_goes() {
    for place in Installation::each() {
        let old = place.serve(&[]);
        let (address, keys) = (old.address, old.keys());
        let flags = ["--listen", &address.to_string()];
        // Another installation does not slip in between.
        let foreign = Installation::sqlite().start(&flags, &[]).outcome().err().expect("a refusal");
        assert!(foreign.code == 1 && foreign.stderr.contains("Address already in use"), "{foreign:?}");
        let load = Load::new(&keys.admin, address);
        let (newest, answered, failed) = load.during(|load| {
            load.go_on();
            let new = place.serve(&flags);
            load.go_on();
            end(old);
            load.go_on();
            let newest = place.serve(&flags);
            // Who did not mean to has two servers: the second says so.
            let told = end(new);
            assert!(
                told.contains(&format!("another server of this data folder listens on {address}, too: ")),
                "{told}"
            );
            load.go_on();
            newest
        });
        assert_eq!(marks(&place), [format!("listening-{address}")]);
        assert!(answered >= 4 * ANSWERS && failed == 0, "{answered} answered, {failed} failed");
        end(newest);
        assert_eq!(marks(&place), Vec::<String>::new());
    }
}

/// What tells others which addresses servers of a data folder have.
fn marks(place: &Installation) -> Vec<String> {
    let names = std::fs::read_dir(place.data_dir()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("listening-")).collect()
}

#[test]
fn a_supervisor_that_holds_the_socket_loses_nobody() {
    for place in Installation::each() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let first = place.serve_on(&held);
        assert_eq!(first.address, held.local_addr().unwrap());
        let keys = first.keys();
        let load = Load::new(&keys.admin, first.address);
        let (second, answered, failed) = load.during(|load| {
            load.go_on();
            end(first);
            // Nobody listens; who connects now waits.
            let second = place.serve_on(&held);
            load.go_on();
            second
        });
        end(second);
        assert!(answered >= 2 * ANSWERS && failed == 0, "{answered} answered, {failed} failed");
    }
}

#[test]
fn a_hangup_is_no_end() {
    let place = Installation::sqlite();
    let mut server = place.serve_with(&[], &[("KEYROLL_LOG", "info")]);
    server.signal("HUP");
    server.admin().get("/v1/whoami").expect(200);
    assert!(server.is_alive());
    let stderr = end(server);
    assert!(stderr.contains("SIGHUP: nothing is reloaded: settings are read at start"), "{stderr}");
}

#[test]
fn without_a_terminal_the_first_keys_are_in_a_file() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let printed: Value = serde_json::from_str(&server.printed[0]).unwrap();
        let names: Vec<&str> = printed.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["tenant", "scim_base_url", "keys_file"]);
        let path = place.data_dir().join("first-keys.json");
        assert_eq!(printed["keys_file"], path.to_str().unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let names: Vec<&str> = kept.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["tenant", "scim_base_url", "provisioning_key", "admin_key"]);
        server.client(kept["admin_key"].as_str().unwrap()).get("/v1/keys").expect(200);
        end(server);
        // Only the first start writes one.
        assert_eq!(place.serve(&[]).printed, Vec::<String>::new());
    }
    // What is there is of an earlier installation, and whoever needs it finds it untouched.
    let place = Installation::sqlite();
    std::fs::create_dir(place.data_dir()).unwrap();
    let path = place.data_dir().join("first-keys.json");
    std::fs::write(&path, "old").unwrap();
    let refused = place.start(&[], &[]).outcome().err().expect("a refusal");
    assert!(refused.code == 1 && refused.stderr.contains("first-keys.json is there already"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(place.serve(&[]).printed.len(), 1);
}
