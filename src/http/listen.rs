//! Where the server listens: a socket of its own, one that its supervisor holds for it, or a place beside a
//! server of the same data folder that is about to go.
//!
//! A restart loses no client. Under a supervisor that holds the socket (systemd's `LISTEN_FDS`) whoever connects
//! meanwhile waits in its queue. Without one, the next server is started first and listens beside the old one,
//! which is told to stop then and finishes what it has: a connection that it had not taken yet is cut, and its
//! client's next one reaches the new server.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Result};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use socket2::{Domain, Socket, Type};

/// Connections that may wait to be taken: as many as the system lets.
const BACKLOG: i32 = 4_096;

/// A socket that listens.
pub struct Listening {
    listener: TcpListener,
    /// A supervisor holds it too.
    is_held: bool,
    /// Its real address: port 0 has become a number.
    pub address: SocketAddr,
    /// Another server of this data folder listens there, too.
    pub is_beside: bool,
    /// Tells others that a server of this data folder has this address.
    mark: Option<Mark>,
}

/// The socket that the supervisor holds, or else one at this address: beside a server of the same data folder if
/// there is one, and never beside anybody else.
///
/// # Errors
/// If there is none to be had, or one was handed over that takes connections from off this machine although no
/// proxy was named.
pub fn listen(address: SocketAddr, data_dir: &Path, has_proxy: bool) -> Result<Listening> {
    if let Some(listener) = ListenFd::from_env().take_tcp_listener(0)? {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() && !has_proxy {
            let fix = "the socket that was handed over is off loopback: name the proxy with --behind-proxy CIDR";
            return Err(Error::new(ErrorKind::PermissionDenied, fix));
        }
        return Ok(Listening { listener, address, is_held: true, is_beside: false, mark: None });
    }
    let (listener, is_beside) = match open(address, false) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_ours(&mark(data_dir, address)) => {
            (open(address, true)?, true)
        }
        opened => (opened?, false),
    };
    let address = listener.local_addr()?;
    Ok(Listening { listener, address, is_held: false, is_beside, mark: None })
}

impl Listening {
    /// The socket, and the means to close it, unless others hold it, before those who are connected have to go.
    pub(super) fn into_parts(self) -> Result<(TcpListener, Option<Own>)> {
        let own =
            if self.is_held { None } else { Some(Own { socket: self.listener.try_clone()?.into(), _mark: self.mark }) };
        Ok((self.listener, own))
    }

    /// Lets servers that start later on the same data folder listen beside this one, as long as it runs.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn share(&mut self, data_dir: &Path) -> Result<()> {
        self.mark = Some(Mark::set(mark(data_dir, self.address))?);
        Ok(())
    }
}

/// A file with a lock on it, which goes with the last server that has one.
struct Mark {
    path: PathBuf,
    file: File,
}

impl Mark {
    fn set(path: PathBuf) -> Result<Mark> {
        loop {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            file.lock_shared()?;
            // One that is taken away at this moment tells nobody anything.
            let is_there =
                std::fs::metadata(&path).is_ok_and(|found| found.ino() == file.metadata().map_or(0, |own| own.ino()));
            if is_there {
                return Ok(Mark { path, file });
            }
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // Whoever listens beside this server has a lock on it, too.
        if self.file.try_lock().is_ok()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            log::debug!("{} is left behind: {error}", self.path.display());
        }
    }
}

/// A socket that this process alone listens on.
pub(super) struct Own {
    socket: Socket,
    _mark: Option<Mark>,
}

impl Own {
    /// Takes no connection any more, whoever else holds the socket in this process. Connections that nobody took
    /// are cut; who tries again reaches the server beside this one, and no longer this one.
    pub(super) fn close(&self) {
        if let Err(error) = self.socket.shutdown(Shutdown::Both) {
            log::debug!("the socket was closed already: {error}");
        }
    }
}

/// The file that a server holds a lock on while it has this address.
fn mark(data_dir: &Path, address: SocketAddr) -> PathBuf {
    data_dir.join(format!("listening-{address}"))
}

fn is_ours(mark: &Path) -> bool {
    let file = File::open(mark);
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Binds alone unless `beside`, and lets others bind beside it only then: the system lets none but processes of
/// the same user, and those that look at the mark first.
fn open(address: SocketAddr, beside: bool) -> Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of the server before that still take leave are in nobody's way.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(beside)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
