//! A way to PostgreSQL that can be frozen: what the server says is held until it thaws.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A listener on this machine that hands everything on to a database's socket.
pub struct Proxy {
    url: String,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    frozen: bool,
    /// Pieces that wait for the thaw.
    held: usize,
}

impl Gate {
    /// Returns when what was said may be heard.
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        if state.frozen {
            state.held += 1;
            self.moved.notify_all();
            state = self.moved.wait_while(state, |state| state.frozen).unwrap();
            state.held -= 1;
        }
    }
}

impl Proxy {
    /// A way to the database of such a URL: `postgres:///name?host=FOLDER&…`.
    pub fn to(url: &str) -> Proxy {
        let (name, query) = url.strip_prefix("postgres:///").unwrap().split_once('?').unwrap();
        let folder = query.split('&').find_map(|one| one.strip_prefix("host=")).unwrap();
        let socket = PathBuf::from(folder).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://keyroll@{}/{name}", listener.local_addr().unwrap());
        let gate = Arc::new(Gate::default());
        let own = Arc::clone(&gate);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(server) = UnixStream::connect(&socket) else { continue };
                join(client.unwrap(), server, Arc::clone(&own));
            }
        });
        Proxy { url, gate }
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        self.url.split(['@', '/']).nth(3).unwrap()
    }

    /// Holds what the server says from now on.
    pub fn freeze(&self) {
        self.gate.state.lock().unwrap().frozen = true;
    }

    pub fn thaw(&self) {
        self.gate.state.lock().unwrap().frozen = false;
        self.gate.moved.notify_all();
    }

    /// Waits until the server has said something that is held.
    pub fn wait_until_it_holds(&self) {
        let state = self.gate.state.lock().unwrap();
        drop(self.gate.moved.wait_while(state, |state| state.held == 0).unwrap());
    }
}

fn join(client: TcpStream, server: UnixStream, gate: Arc<Gate>) {
    let (mut from_client, mut to_client) = (client.try_clone().unwrap(), client);
    let (mut from_server, mut to_server) = (server.try_clone().unwrap(), server);
    thread::spawn(move || {
        copy(&mut from_client, &mut to_server, || {});
        let _ = to_server.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        copy(&mut from_server, &mut to_client, || gate.pass());
        let _ = to_client.shutdown(Shutdown::Both);
    });
}

fn copy(from: &mut impl Read, to: &mut impl Write, before: impl Fn()) {
    let mut piece = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        before();
        if to.write_all(&piece[..length]).is_err() {
            return;
        }
    }
}
