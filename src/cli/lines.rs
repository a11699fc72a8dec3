//! The log lines of a server that writes them to a file or a pipe: one thread writes those of a moment
//! together. A system call for each line would be a tenth of what a cached answer costs.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a line may wait for others.
const TOGETHER: Duration = Duration::from_millis(10);

/// Lines that come while so many bytes wait are dropped and counted: whoever reads them has stopped, and no
/// request may wait for that.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// How long the end of the process waits for whoever reads.
const END: Duration = Duration::from_secs(1);

/// Where lines go; the last value that is dropped has seen all of them written, if somebody reads them.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    moved: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: usize,
    is_writing: bool,
}

impl Lines {
    /// Starts the thread that writes lines.
    pub(super) fn start() -> io::Result<Lines> {
        let lines = Lines(Arc::default());
        let shared = Arc::clone(&lines.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                // Nobody is left to be told of a log that cannot be written.
                let _ = io::stderr().write_all(&shared.next());
            }
        })?;
        Ok(lines)
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a line, and a little for others.
    fn next(&self) -> Vec<u8> {
        let mut waiting = self.waiting();
        waiting.is_writing = false;
        self.moved.notify_all();
        let waiting = self.moved.wait_while(waiting, |waiting| waiting.lines.is_empty());
        let together = self.moved.wait_timeout(waiting.unwrap_or_else(PoisonError::into_inner), TOGETHER);
        let mut waiting = together.unwrap_or_else(PoisonError::into_inner).0;
        waiting.is_writing = true;
        let mut lines = std::mem::take(&mut waiting.lines);
        if waiting.dropped > 0 {
            lines.extend_from_slice(format!("{} lines were dropped: nobody read them\n", waiting.dropped).as_bytes());
            waiting.dropped = 0;
        }
        lines
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.waiting();
        if waiting.lines.is_empty() {
            self.0.moved.notify_all();
        }
        if waiting.lines.len() + line.len() > WAITING_BYTES_MAX {
            waiting.dropped += 1;
        } else {
            waiting.lines.extend_from_slice(line);
        }
        Ok(line.len())
    }

    /// The thread does it.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        drop(self.0.moved.wait_timeout_while(self.0.waiting(), END, busy));
    }
}
