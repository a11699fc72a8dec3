//! Who is connected, and who has to leave when there is no more room.
//!
//! A connection costs memory and two open files, whoever holds it, and nobody needs a key to open one. So
//! there is a cap; whoever comes when it is reached takes the place of somebody who has shown no key. Peers
//! that may not talk to the server at all have a cap of their own. Those that may have none: all that comes
//! through a proxy comes from one peer.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::ErrorKind;
use std::net::{IpAddr, Shutdown};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use rlimit::Resource;
use socket2::SockRef;
use tokio::io::Interest;

/// More than these are never held, however many files may be open: each takes some 25 KiB.
const CONNECTIONS_MAX: usize = 10_000;
/// Files that the process opens beside connections: database, keys, log, ends of pipes.
const FILES_BESIDE: usize = 96;
/// The same for each worker.
const FILES_OF_WORKER: usize = 8;
/// A connection is one file for the server and one for whoever has to cut it, or waits for its end.
const FILES_OF_CONNECTION: usize = 2;
/// What is left to a single peer that may not talk to the server.
const STRANGERS_SHARE: usize = 8;
/// Connections of a worker that were accepted and not counted yet.
const ARRIVING: usize = 8;

/// All connections of the server.
pub(super) struct Connections {
    max: usize,
    stall: Duration,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// By age.
    all: BTreeMap<u64, Entry>,
    /// Those on which no key was shown, or the last one did not work.
    unknown: BTreeSet<u64>,
    strangers: HashMap<IpAddr, BTreeSet<u64>>,
    next: u64,
    cut: u64,
}

struct Entry {
    socket: Arc<TcpStream>,
    /// The peer, if it may not talk to the server.
    stranger: Option<IpAddr>,
    state: Arc<State>,
}

/// What a connection is doing.
#[derive(Default)]
struct State {
    known: AtomicBool,
    busy: AtomicBool,
}

/// A connection's place among the others, as long as it is open.
pub(super) struct Link {
    number: u64,
    socket: Arc<TcpStream>,
    state: Arc<State>,
    connections: Arc<Connections>,
}

impl Connections {
    /// Raises the limit of open files as far as the system lets it, and makes room for as many connections as
    /// it then allows; gives that with how many a worker may accept. Who takes nothing for as long as `stall` is
    /// cut off.
    pub(super) fn new(workers: usize, stall: Duration) -> (Connections, usize) {
        let raised = rlimit::increase_nofile_limit(u64::MAX).or_else(|_| Resource::NOFILE.get_soft());
        let files = raised.unwrap_or_else(|error| {
            log::warn!("cannot learn how many files may be open: {error}");
            1_024
        });
        let max = room(usize::try_from(files).unwrap_or(usize::MAX), workers);
        log::info!("{files} files may be open: room for {max} connections");
        let per_worker = max.div_ceil(workers.max(1)) + ARRIVING;
        (Connections { max, stall, open: Mutex::default() }, per_worker)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a connection; what is kept of it goes to its requests. `admits` says who may talk.
    pub(super) fn enter(self: &Arc<Self>, io: &dyn Any, kept: &mut Extensions, admits: impl Fn(IpAddr) -> bool) {
        let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
        // The kernel ends it when sent data stays unacknowledged, or unsent data behind a closed window, for so
        // long: whatever is answered, only progress counts, and no time in all.
        if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(self.stall)) {
            log::warn!("a client that takes nothing will not be cut off: {error}");
        }
        let stranger = stream.peer_addr().ok().map(|peer| peer.ip()).filter(|peer| !admits(*peer));
        match stream.as_fd().try_clone_to_owned().and_then(|socket| TcpStream::from_std(socket.into())) {
            Ok(socket) => {
                kept.insert(self.place(socket, stranger));
            }
            // Nobody could cut it: it does not stay.
            Err(error) => {
                log::warn!("a connection was refused: {error}");
                let _ = SockRef::from(stream).shutdown(Shutdown::Both);
            }
        }
    }

    fn place(self: &Arc<Self>, socket: TcpStream, stranger: Option<IpAddr>) -> Link {
        let (socket, state) = (Arc::new(socket), Arc::new(State::default()));
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.all.insert(number, Entry { socket: Arc::clone(&socket), stranger, state: Arc::clone(&state) });
        open.unknown.insert(number);
        if let Some(peer) = stranger {
            open.strangers.entry(peer).or_default().insert(number);
        }
        if let Some(victim) = open.victim(self.max, stranger) {
            open.cut(victim);
        }
        Link { number, socket, state, connections: Arc::clone(self) }
    }
}

/// For how many connections there is room.
fn room(files: usize, workers: usize) -> usize {
    let beside = FILES_BESIDE + FILES_OF_WORKER * workers;
    (files.saturating_sub(beside) / FILES_OF_CONNECTION).clamp(FILES_OF_WORKER, CONNECTIONS_MAX)
}

impl Open {
    /// Who has to leave, if anybody: the oldest without a key, then the oldest on which no request is being
    /// answered; the newest, if there is no such one.
    fn victim(&self, max: usize, stranger: Option<IpAddr>) -> Option<u64> {
        if let Some(own) = stranger.and_then(|peer| self.strangers.get(&peer))
            && own.len() > (max / STRANGERS_SHARE).max(1)
        {
            return own.first().copied();
        }
        if self.all.len() <= max {
            return None;
        }
        let newest = self.next - 1;
        let idle = || self.all.iter().find(|(_, entry)| !entry.state.busy.load(Ordering::Relaxed));
        let unknown = self.unknown.iter().copied().find(|number| *number != newest);
        unknown.or_else(|| idle().map(|(number, _)| *number)).or(Some(newest))
    }

    fn cut(&mut self, number: u64) {
        if let Some(entry) = self.leave(number) {
            // What is being read or written on it fails at once.
            let _ = SockRef::from(&*entry.socket).shutdown(Shutdown::Both);
            self.cut += 1;
            // An attack must not fill the log as well.
            if self.cut.is_power_of_two() {
                log::warn!("there is no room for more connections: {} were cut so far", self.cut);
            }
        }
    }

    fn leave(&mut self, number: u64) -> Option<Entry> {
        let entry = self.all.remove(&number)?;
        self.unknown.remove(&number);
        if let Some(peer) = entry.stranger
            && let Some(own) = self.strangers.get_mut(&peer)
        {
            own.remove(&number);
            if own.is_empty() {
                self.strangers.remove(&peer);
            }
        }
        Some(entry)
    }
}

impl Link {
    /// The connection of a request; `None` in tests without a socket.
    pub(super) fn of(request: &HttpRequest) -> Option<&Link> {
        request.conn_data()
    }

    /// Says that a request is being answered, until it is dropped.
    pub(super) fn work(&self) -> Work<'_> {
        self.state.busy.store(true, Ordering::Relaxed);
        Work(self)
    }

    /// Waits until the client has ended its side: it waits for no answer any more. The server sees that as well, and
    /// tells nobody while a request is being answered.
    pub(super) async fn departed(&self) {
        while let Ok(found) = self.socket.ready(Interest::READABLE).await {
            if found.is_read_closed() {
                return;
            }
            // Another request is there, which is the server's to read: the next event is waited for.
            let _ = self.socket.try_io(Interest::READABLE, || Err::<(), _>(ErrorKind::WouldBlock.into()));
        }
    }

    /// Says whether the last request showed a key that works.
    pub(super) fn recognise(&self, known: bool) {
        if self.state.known.swap(known, Ordering::Relaxed) == known {
            return;
        }
        let mut open = self.connections.open();
        if known {
            open.unknown.remove(&self.number);
        } else if open.all.contains_key(&self.number) {
            open.unknown.insert(self.number);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let left = self.connections.open().leave(self.number);
        drop(left);
    }
}

/// A request that is being answered.
pub(super) struct Work<'l>(&'l Link);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.state.busy.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{self, TcpListener};
    use std::pin::pin;

    use actix_web::rt::Runtime;
    use actix_web::rt::time::timeout;
    use futures_util::future::poll_immediate;

    use super::*;

    /// The server's ends of new connections, and the clients'.
    struct Sockets(TcpListener, Runtime);

    impl Sockets {
        fn pair(&self) -> (TcpStream, net::TcpStream) {
            let client = net::TcpStream::connect(self.0.local_addr().unwrap()).unwrap();
            let server = self.0.accept().unwrap().0;
            server.set_nonblocking(true).unwrap();
            let _here = self.1.tokio_runtime().enter();
            (TcpStream::from_std(server).unwrap(), client)
        }
    }

    fn connections(max: usize) -> (Arc<Connections>, Sockets) {
        let sockets = Sockets(TcpListener::bind("127.0.0.1:0").unwrap(), Runtime::new().unwrap());
        (Arc::new(Connections { max, stall: Duration::from_secs(30), open: Mutex::default() }), sockets)
    }

    fn numbers(connections: &Connections) -> Vec<u64> {
        connections.open().all.keys().copied().collect()
    }

    #[test]
    fn the_oldest_without_a_key_goes_first_then_the_oldest_that_is_idle_then_who_comes() {
        let (connections, sockets) = connections(3);
        let mut clients = vec![];
        let mut enter = || {
            let (server, client) = sockets.pair();
            clients.push(client);
            connections.place(server, None)
        };
        let links = [enter(), enter(), enter()];
        links[0].recognise(true);
        let fourth = enter();
        assert_eq!(numbers(&connections), [0, 2, 3]);
        fourth.recognise(true);
        links[2].recognise(true);
        let work = links[0].work();
        let fifth = enter();
        assert_eq!(numbers(&connections), [0, 3, 4]);
        fifth.recognise(true);
        let (_third, _fourth) = (fourth.work(), fifth.work());
        let sixth = enter();
        assert_eq!(numbers(&connections), [0, 3, 4]);
        drop(work);
        // A key that works no more is none.
        fourth.recognise(false);
        drop((sixth, enter()));
        assert_eq!(numbers(&connections), [0, 4]);
        // Those that were cut have read the end.
        for cut in [1, 2, 5, 3] {
            assert_eq!(clients[cut].read(&mut [0]).unwrap(), 0, "{cut}");
        }
    }

    #[test]
    fn a_peer_that_may_not_talk_has_a_share_and_one_that_may_has_all() {
        let (connections, sockets) = connections(16);
        let stranger = Some("192.0.2.1".parse().unwrap());
        let mut held = vec![];
        let mut enter = |stranger| {
            let (server, client) = sockets.pair();
            held.push((connections.place(server, stranger), client));
        };
        (0..5).for_each(|_| enter(stranger));
        assert_eq!(numbers(&connections), [3, 4]);
        (0..14).for_each(|_| enter(None));
        assert_eq!(connections.open().all.len(), 16);
        drop(held);
        assert!(numbers(&connections).is_empty() && connections.open().strangers.is_empty());
    }

    #[test]
    fn a_client_that_has_ended_its_side_is_noticed_whatever_it_sent_before() {
        let (connections, sockets) = connections(3);
        let (server, mut client) = sockets.pair();
        let link = connections.place(server, None);
        client.write_all(b"GET / HTTP/1.1").unwrap();
        sockets.1.block_on(async {
            link.socket.readable().await.unwrap();
            let mut departed = pin!(link.departed());
            assert_eq!(poll_immediate(&mut departed).await, None);
            // It has looked at what is there, and waits for more.
            assert!(poll_immediate(link.socket.readable()).await.is_none());
            client.shutdown(Shutdown::Write).unwrap();
            timeout(Duration::from_secs(30), departed).await.unwrap();
            // What was sent is left to be read.
            assert_eq!(link.socket.try_read(&mut [0; 32]).unwrap(), 14);
        });
    }

    #[test]
    fn there_is_room_for_what_files_allow() {
        assert_eq!(room(512, 2), 200);
        assert_eq!(room(1_024, 4), 448);
        assert_eq!(room(1 << 20, 64), 10_000);
        assert_eq!(room(64, 2), 8);
    }
}
