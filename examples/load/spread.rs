//! How long a revoked key is still accepted anywhere: three servers on one PostgreSQL, on the database that
//! `KEYROLL_DATABASE_URL` names, and 2 000 verifications a second (goals M1 and M2).
//!
//! A key is revoked every quarter of a second at one of them, while all of them are asked for it: from when that was
//! asked, and from when it was answered, to the last answer by which the key was VALID. Then one server is cut off from
//! the database, which neither side is told.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Request, Single};
use super::servers::Keyroll;

const NODES: usize = 3;
const CLIENTS: usize = 2 * NODES;
const RATE: u64 = 2_000;
/// Keys that work, and the time between two revocations.
const KEYS: usize = 4;
const BETWEEN: Duration = Duration::from_millis(250);
/// A key that was revoked is asked for so long.
const WATCHED: Duration = Duration::from_millis(1_500);

/// A key, and when it was last accepted.
struct Key {
    id: String,
    text: String,
    /// Asked to revoke it, and told that it is.
    revoked: Mutex<Option<(Instant, Instant)>>,
    accepted: Mutex<Option<Instant>>,
}

struct Stage {
    keyroll: Keyroll,
    agent: String,
    addresses: [SocketAddr; NODES],
    asked: Mutex<VecDeque<Arc<Key>>>,
    is_over: AtomicBool,
    verified: AtomicU64,
    unavailable: [AtomicU64; NODES],
}

/// Measures so many seconds with all servers, and half as long with one cut off.
pub(super) fn measure(seconds: u64) {
    let url = std::env::var("KEYROLL_DATABASE_URL").expect("KEYROLL_DATABASE_URL: three servers need PostgreSQL");
    let keyroll = Keyroll::start();
    let (link, through) = Link::to(&url);
    let second = keyroll.beside(&url);
    let third = keyroll.beside(&through);
    let agent = keyroll.admin().post("/v1/agents", &json!({"name": "spread", "sponsors": ["operator"]}));
    let agent: Value = serde_json::from_str(&agent).expect("an agent");
    let stage = Stage {
        addresses: [keyroll.address(), second.address(), third.address()],
        agent: agent["id"].as_str().expect("an id").to_owned(),
        keyroll,
        asked: Mutex::default(),
        is_over: AtomicBool::new(false),
        verified: AtomicU64::new(0),
        unavailable: Default::default(),
    };
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let stage = &stage;
            scope.spawn(move || stage.verify(client));
        }
        stage.report("all three", stage.revoke(Duration::from_secs(seconds)));
        link.freeze(true);
        stage.report("one cut off", stage.revoke(Duration::from_secs(seconds / 2)));
        link.freeze(false);
        stage.is_over.store(true, Ordering::Relaxed);
    });
}

impl Stage {
    fn issue(&self) -> Arc<Key> {
        let body = json!({"owner": {"type": "agent", "id": self.agent}, "expires_in": "P1D"});
        let made: Value = serde_json::from_str(&self.keyroll.admin().post("/v1/keys", &body)).expect("a key");
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        Arc::new(Key { id: text("id"), text: text("key"), revoked: Mutex::default(), accepted: Mutex::default() })
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Key>>> {
        self.asked.lock().expect("nobody panicked")
    }

    /// One client of one server, at its part of the rate.
    fn verify(&self, client: usize) {
        let node = client % NODES;
        let mut connection = Single::connect(self.addresses[node]);
        let pause = Duration::from_secs(1) * u32::try_from(CLIENTS).expect("few") / u32::try_from(RATE).expect("few");
        let (mut next, mut turn) = (Instant::now(), client);
        while !self.is_over.load(Ordering::Relaxed) {
            let key = {
                let keys = self.keys();
                turn += 1;
                if keys.is_empty() { None } else { keys.get(turn % keys.len()).cloned() }
            };
            if let Some(key) = key {
                let body = json!({"key": key.text}).to_string();
                let (status, answer) = connection.tell(&Request::post("/v1/verify", self.keyroll.admin_key(), &body));
                self.verified.fetch_add(1, Ordering::Relaxed);
                if status == 503 {
                    self.unavailable[node].fetch_add(1, Ordering::Relaxed);
                    // Who cannot know ends the connection as well.
                    connection = Single::connect(self.addresses[node]);
                } else if answer.contains(r#""code":"VALID""#) {
                    *key.accepted.lock().expect("nobody panicked") = Some(Instant::now());
                }
            }
            next += pause;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    /// Revokes keys for a while; gives them, and how many verifications there were a second.
    fn revoke(&self, time: Duration) -> (Vec<Arc<Key>>, f64) {
        let mut connection = Single::connect(self.addresses[0]);
        let (began, before, mut done) = (Instant::now(), self.verified.load(Ordering::Relaxed), vec![]);
        while began.elapsed() < time {
            let started = Instant::now();
            let fresh: Vec<_> =
                (self.keys().iter().filter(|key| !key.is_revoked()).count()..=KEYS).map(|_| self.issue()).collect();
            self.keys().extend(fresh);
            let key = self.keys().iter().find(|key| !key.is_revoked()).cloned().expect("a key");
            let asked = Instant::now();
            let revoke = Request::send("POST", &format!("/v1/keys/{}/revoke", key.id), self.keyroll.admin_key(), "{}");
            assert_eq!(connection.tell(&revoke).0, 200);
            *key.revoked.lock().expect("nobody panicked") = Some((asked, Instant::now()));
            done.push(key);
            self.keys().retain(|key| !key.is_forgotten());
            thread::sleep(BETWEEN.saturating_sub(started.elapsed()));
        }
        let rate = (self.verified.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
        thread::sleep(WATCHED);
        (done, rate)
    }

    fn report(&self, name: &str, (keys, rate): (Vec<Arc<Key>>, f64)) {
        let mut from = [vec![], vec![]];
        for key in &keys {
            let (asked, answered) = key.revoked.lock().expect("nobody panicked").expect("it was");
            let last = *key.accepted.lock().expect("nobody panicked");
            for (times, start) in from.iter_mut().zip([asked, answered]) {
                times.push(last.map_or(0, |last| last.saturating_duration_since(start).as_millis()));
            }
        }
        println!("{name}: {} revocations, {rate:.0} verifications/s", keys.len());
        for (name, mut times) in ["from the request to revoke", "from its answer"].into_iter().zip(from) {
            times.sort_unstable();
            let part = |of: usize| times[(times.len() - 1) * of / 100];
            println!("  {name:27} to the last VALID: p50 {} ms, p99 {} ms, max {} ms", part(50), part(99), part(100));
        }
        let unavailable = self.unavailable.each_ref().map(|count| count.swap(0, Ordering::Relaxed));
        println!("  answered 503, by server: {unavailable:?}");
    }
}

impl Key {
    fn is_revoked(&self) -> bool {
        self.revoked.lock().expect("nobody panicked").is_some()
    }

    fn is_forgotten(&self) -> bool {
        self.revoked.lock().expect("nobody panicked").is_some_and(|(_, answered)| answered.elapsed() > WATCHED)
    }
}

/// A way to the database that can be held up.
struct Link(Arc<AtomicBool>);

impl Link {
    /// Gives the URL that goes through it.
    fn to(url: &str) -> (Link, String) {
        let (before, rest) = url.split_once('@').expect("postgres://user@host:port/database");
        let (target, rest) = rest.split_once('/').expect("a database");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let through = format!("{before}@{}/{rest}", listener.local_addr().expect("an address"));
        let (frozen, target) = (Arc::new(AtomicBool::new(false)), target.to_owned());
        let shared = Arc::clone(&frozen);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to, frozen) = (from.try_clone(), to.try_clone(), Arc::clone(&shared));
                    thread::spawn(move || Link::pump(from.expect("a stream"), to.expect("a stream"), &frozen));
                }
            }
        });
        (Link(frozen), through)
    }

    fn pump(mut from: TcpStream, mut to: TcpStream, frozen: &AtomicBool) {
        let mut buffer = vec![0; 64 << 10];
        let _ = to.set_nodelay(true);
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            while frozen.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(5));
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }

    fn freeze(&self, frozen: bool) {
        self.0.store(frozen, Ordering::Relaxed);
    }
}
