//! A request that stands still behind one of its statements, while others overtake it.

use std::cell::RefCell;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use diesel::connection::InstrumentationEvent;

/// Where somebody will stand still.
struct Stop {
    database: String,
    text: &'static str,
    reached: Sender<()>,
    go_on: Receiver<()>,
}

static STOPS: Mutex<Vec<Stop>> = Mutex::new(vec![]);

fn stops() -> MutexGuard<'static, Vec<Stop>> {
    STOPS.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// The database that this thread has connected to last: who listens only once there is a connection is not told.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Hears what one connection to a database sends.
pub struct Listener {
    url: String,
}

impl Default for Listener {
    fn default() -> Listener {
        Listener { url: LAST.with_borrow(String::clone) }
    }
}

impl Listener {
    pub fn hear(&mut self, event: &InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => {
                (*url).clone_into(&mut self.url);
                LAST.set(self.url.clone());
            }
            InstrumentationEvent::FinishQuery { query, .. } => {
                // Nobody else waits for the list while this connection stands still.
                let stop = {
                    let mut stops = stops();
                    let here = |stop: &Stop| self.url.contains(&stop.database) && query.to_string().contains(stop.text);
                    stops.iter().position(here).map(|at| stops.remove(at))
                };
                if let Some(stop) = stop {
                    stop.reached.send(()).unwrap();
                    // The end of the others is the sign.
                    let _ = stop.go_on.recv();
                }
            }
            _ => {}
        }
    }
}

/// The same where the request may never get there: then the others run after it. Also gives whether it did.
pub fn run_if_reached<T: Send>(
    database: &str,
    text: &'static str,
    request: impl FnOnce() -> T + Send,
    others: impl FnOnce(),
) -> (T, bool) {
    let ((reached, is_reached), (end, go_on)) = (channel(), channel::<()>());
    stops().push(Stop { database: database.to_owned(), text, reached, go_on });
    std::thread::scope(|scope| {
        let request = scope.spawn(|| {
            let answer = request();
            stops().retain(|stop| stop.database != database);
            answer
        });
        // An error is the end of a request that did not stand still.
        let reached = is_reached.recv().is_ok();
        others();
        drop(end);
        (request.join().unwrap(), reached)
    })
}

/// Runs a request on a database; the others run once it has read what the first statement with this text reads.
pub fn run<T: Send>(database: &str, text: &'static str, request: impl FnOnce() -> T + Send, others: impl FnOnce()) {
    let ((reached, is_reached), (end, go_on)) = (channel(), channel::<()>());
    stops().push(Stop { database: database.to_owned(), text, reached, go_on });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            request();
            // Whoever never got there is not waited for.
            stops().retain(|stop| stop.database != database);
        });
        is_reached.recv().unwrap_or_else(|_| panic!("nothing was sent with {text}"));
        others();
        drop(end);
    });
}
