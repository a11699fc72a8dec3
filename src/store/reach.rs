//! Connecting to one of several machines, so that one that is silent keeps nobody waiting.
//!
//! libpq asks them one after the other, and a machine that is gone without a word costs as long as a connection is
//! waited for. After a failover the new primary is there meanwhile, or comes to be it behind its back.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use diesel::pg::PgConnection;
use diesel::{Connection, ConnectionError, ConnectionResult};

use super::error::{Error, Result};
use super::monotonic::now;

/// How long a machine that does not answer is the only one that is asked, and how often those are asked again that
/// would not serve.
const STEP: Duration = Duration::from_millis(250);

/// When a machine is asked again that was silent; twice as long after each time. The first packet to one that could not
/// be reached is sent again ever more seldom, so that it would be found late.
const AGAIN: Duration = Duration::from_secs(1);

/// A machine of the URL.
struct Machine {
    url: String,
    asked: Option<Instant>,
    under_way: u32,
    /// How it last answered.
    refused: Option<String>,
}

/// Where an attempt tells how it ended.
type Reply = Sender<(usize, ConnectionResult<PgConnection>)>;

/// Connects to the first machine of a URL that takes the session.
///
/// # Errors
/// [`Error::Unavailable`] if every one has refused, or was silent for as long as the URL allows.
pub(super) fn connect(url: &str) -> Result<PgConnection> {
    // What its query names, sockets of this machine above all, is left to libpq.
    let is_named = !url.contains(":///");
    let connected = if is_named { race(apart(url)) } else { PgConnection::establish(url) };
    connected.map_err(|error| {
        let error = without_quoted(error.to_string().trim_end());
        Error::Unavailable(format!("cannot connect to PostgreSQL: {error}: check the database URL and the server"))
    })
}

/// Asks one after the other without waiting for the one before; the first to connect wins. Those that refused are
/// asked again as long as one is silent: a standby that is promoted meanwhile is found.
fn race(urls: Vec<String>) -> ConnectionResult<PgConnection> {
    let mut machines: Vec<Machine> = urls.into_iter().map(Machine::new).collect();
    let (reply, replies) = channel();
    loop {
        if let Some((n, machine)) = machines.iter_mut().enumerate().find(|(_, machine)| machine.asked.is_none()) {
            machine.ask(n, &reply)?;
        }
        match replies.recv_timeout(STEP) {
            Ok((_, Ok(connection))) => return Ok(connection),
            Ok((n, Err(error))) => {
                if let Some(machine) = machines.get_mut(n) {
                    machine.under_way -= 1;
                    machine.refused = Some(error.to_string().trim_end().to_owned());
                }
                if machines.iter().all(|machine| machine.refused.is_some()) {
                    let all: Vec<String> = machines.into_iter().filter_map(|machine| machine.refused).collect();
                    return Err(failed(all.join("; ")));
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                for (n, machine) in machines.iter_mut().enumerate().filter(|(_, machine)| machine.is_due()) {
                    machine.ask(n, &reply)?;
                }
            }
            // Not while the sender is here.
            Err(RecvTimeoutError::Disconnected) => return Err(failed("nobody asks any more".to_owned())),
        }
    }
}

impl Machine {
    fn new(url: String) -> Machine {
        Machine { url, asked: None, under_way: 0, refused: None }
    }

    /// Whether it is to be asked again.
    fn is_due(&self) -> bool {
        let Some(silent) = self.asked.map(|asked| asked.elapsed()) else { return false };
        match self.under_way.checked_sub(1) {
            None => true,
            Some(times) => silent >= AGAIN * (1 << times.min(8)),
        }
    }

    /// Asks it on a thread of its own, which ends when libpq gives up. A session that comes too late is closed.
    fn ask(&mut self, n: usize, reply: &Reply) -> ConnectionResult<()> {
        (self.asked, self.under_way) = (Some(now()), self.under_way + 1);
        let (url, reply) = (self.url.clone(), reply.clone());
        let attempt = move || drop(reply.send((n, PgConnection::establish(&url))));
        let started = std::thread::Builder::new().name("keyroll-reach".to_owned()).spawn(attempt);
        started.map(|_| ()).map_err(|error| failed(format!("cannot start a thread: {error}")))
    }
}

fn failed(text: String) -> ConnectionError {
    ConnectionError::BadConnection(text)
}

/// The URL of each machine that a URL names, in any order: nodes shall not all ask the same one first. Machines that
/// are named in its query stay together, for libpq.
pub(super) fn apart(url: &str) -> Vec<String> {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, rest) = rest.split_at_checked(end)?;
        Some(match place.rsplit_once('@') {
            Some((who, hosts)) => (format!("{scheme}://{who}@"), hosts, rest),
            None => (format!("{scheme}://"), place, rest),
        })
    });
    let Some((before, hosts, after)) = parts else { return vec![url.to_owned()] };
    let mut urls: Vec<String> = hosts.split(',').map(|host| [&before, host, after].concat()).collect();
    let random = RandomState::new();
    urls.sort_by_cached_key(|url| random.hash_one(url));
    urls
}

/// What libpq says without what it quotes: of a URL that it reads otherwise than was meant, that may be a part of
/// the password.
fn without_quoted(message: &str) -> String {
    let parts = message.split('"').enumerate();
    parts.map(|(n, part)| if n % 2 == 1 { "\"…\"" } else { part }).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_url_is_one_for_each_of_its_machines() {
        let sorted = |url| {
            let mut urls = apart(url);
            urls.sort();
            urls
        };
        let three = sorted("postgres://me:p,w@a,b:1,[::1]:2/k?x=1,2");
        assert_eq!(
            three,
            ["postgres://me:p,w@[::1]:2/k?x=1,2", "postgres://me:p,w@a/k?x=1,2", "postgres://me:p,w@b:1/k?x=1,2"]
        );
        assert_eq!(sorted("postgres://a,b?x=1"), ["postgres://a?x=1", "postgres://b?x=1"]);
        for one in ["postgres:///k?host=a,b&user=x", "postgres://a/k", "postgres://a", "host=a,b"] {
            assert_eq!(sorted(one), [one]);
        }
    }

    #[test]
    fn a_machine_that_was_silent_is_asked_again() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://{}/k?connect_timeout=3&sslmode=disable", silent.local_addr().unwrap());
        let error = connect(&url).err().unwrap().to_string();
        assert!(error.contains("timeout expired"), "{error}");
        silent.set_nonblocking(true).unwrap();
        let asked = std::iter::from_fn(|| silent.accept().ok()).count();
        // At once, after a second, and perhaps just before the first one ends.
        assert!((2..=3).contains(&asked), "{asked}");
    }

    #[test]
    fn machines_that_are_silent_are_waited_for_at_once() {
        // They take connections and say nothing; the third refuses them.
        let [one, two, gone] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [a, b, c] = [&one, &two, &gone].map(|listener| listener.local_addr().unwrap());
        drop(gone);
        let begun = now();
        let error = connect(&format!("postgres://{a},{b},{c}/k?connect_timeout=2&sslmode=disable")).err().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(4), "one after the other");
        let text = error.to_string();
        let told = [text.matches("timeout expired").count(), text.matches("Connection refused").count()];
        assert_eq!(told, [2, 1], "{text}");
    }
}
