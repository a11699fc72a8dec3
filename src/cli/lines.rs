//! The log lines of a server that writes them to a file or a pipe: one thread writes those of a moment
//! together. A system call for each line would be a tenth of what a cached answer costs.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a line may wait for others.
const TOGETHER: Duration = Duration::from_millis(10);

/// Whoever adds a line to so many bytes writes all of them.
const WAITING_BYTES_MAX: usize = 1 << 16;

/// Where lines go; the last value that is dropped has written all of them.
#[derive(Clone)]
pub(super) struct Lines(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    lines: Mutex<Vec<u8>>,
    first: Condvar,
}

impl Lines {
    /// Starts the thread that writes lines.
    pub(super) fn start() -> io::Result<Lines> {
        let lines = Lines(Arc::default());
        let waiting = Arc::clone(&lines.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                waiting.wait();
                // Nobody is left to be told of a log that cannot be written.
                let _ = waiting.write();
            }
        })?;
        Ok(lines)
    }
}

impl Waiting {
    fn lines(&self) -> MutexGuard<'_, Vec<u8>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a line, and a little for others.
    fn wait(&self) {
        let lines = self.first.wait_while(self.lines(), |lines| lines.is_empty());
        drop(self.first.wait_timeout(lines.unwrap_or_else(PoisonError::into_inner), TOGETHER));
    }

    /// Writes what is there. Whoever has standard error locked writes what was there first.
    fn write(&self) -> io::Result<()> {
        let mut to = io::stderr().lock();
        let lines = std::mem::take(&mut *self.lines());
        to.write_all(&lines)
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lines();
        if lines.is_empty() {
            self.0.first.notify_one();
        }
        lines.extend_from_slice(line);
        if lines.len() >= WAITING_BYTES_MAX {
            drop(lines);
            self.0.write()?;
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
        let _ = self.0.write();
    }
}
