//! The socket of a session, so that a wait for a server that stands still can be ended from here.
//!
//! A machine whose processes are stopped goes on acknowledging what it is sent, so no time limit of TCP ends a wait for its
//! answer. Once another primary has taken over, nobody needs that answer any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::connection::Conn;

/// The sockets of sessions that are open, each with the timeline that its server wrote.
#[derive(Default)]
pub(super) struct Sockets(Mutex<Vec<(i64, Weak<Socket>)>>);

impl Sockets {
    fn all(&self) -> MutexGuard<'_, Vec<(i64, Weak<Socket>)>> {
        // Nothing that holds the lock can leave it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a new session's.
    pub(super) fn add(&self, timeline: i64, socket: &Arc<Socket>) {
        let mut all = self.all();
        all.retain(|(_, socket)| socket.strong_count() > 0);
        all.push((timeline, Arc::downgrade(socket)));
    }

    /// Ends whatever waits for a server that another primary has overtaken.
    pub(super) fn cut_before(&self, timeline: i64) {
        let older: Vec<_> = self.all().extract_if(.., |(own, _)| *own < timeline).collect();
        older.iter().filter_map(|(_, socket)| socket.upgrade()).for_each(|socket| socket.cut());
    }
}

/// The socket of a session over TCP; where it cannot be told which one that is, it stays as it is.
pub(super) use self::platform::Socket;

#[cfg(target_os = "linux")]
mod platform {
    use std::fs;
    use std::net::SocketAddr;
    use std::os::fd::OwnedFd;

    use diesel::sql_types::{Integer, Nullable};
    use rustix::net::{Shutdown, getpeername, getsockname, shutdown};
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    use super::Conn;

    pub(in crate::store) struct Socket(OwnedFd);

    impl Socket {
        /// The socket of a session. libpq does not hand it out: among those of this process it is the one whose two ends
        /// are the ports that the server names. Through a proxy there is none, nor on a socket of this machine.
        pub(in crate::store) fn of(conn: &mut Conn) -> Option<Socket> {
            type Ports = (Nullable<Integer>, Nullable<Integer>);
            const SQL: &str = "SELECT inet_client_port(), inet_server_port()";
            let ports = conn.load_sql::<Ports, (Option<i32>, Option<i32>)>(SQL, &[]).ok()?.pop()?;
            let (own, server) = (u16::try_from(ports.0?).ok()?, u16::try_from(ports.1?).ok()?);
            let process = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
            for entry in fs::read_dir("/proc/self/fd").ok()?.flatten() {
                let is_socket = fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
                let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()).filter(|_| is_socket)
                else {
                    continue;
                };
                let Ok(socket) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) else { continue };
                let ends = [getsockname(&socket).ok(), getpeername(&socket).ok().flatten()];
                let ports = ends.map(|end| SocketAddr::try_from(end?).ok().map(|end| end.port()));
                if ports == [Some(own), Some(server)] {
                    return Some(Socket(socket));
                }
            }
            None
        }

        /// Ends it for whoever waits for it.
        pub(super) fn cut(&self) {
            if let Err(error) = shutdown(&self.0, Shutdown::Both) {
                log::debug!("a session of the database that was overtaken has ended already: {error}");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::Conn;

    pub(in crate::store) struct Socket;

    impl Socket {
        pub(in crate::store) fn of(_: &mut Conn) -> Option<Socket> {
            None
        }

        pub(super) fn cut(&self) {}
    }
}
