//! ThreadPool for connections, each kept for another if one comes soon.
//!
//! To start a thread and end it takes about as long as a handshake, an echo and a close together.
//! So one whose connection has ended waits a moment for the next.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::io::expiry::Expiry;
use crate::session::headroom::{self, Share};

/// How long a thread should wait for another connection.
pub(crate) const THREAD_KEEPALIVE: Duration = Duration::from_millis(100);

/// std's own stack size, in bytes.
const STACK: usize = 2 << 20;

/// What a thread is for. It does not panic.
type Job = Box<dyn FnOnce() + Send>;

/// The threads of a server.
pub(crate) struct ThreadPool {
    stack_size: Option<usize>,
    /// How long one waits for another job.
    linger: Duration,
    waiting: Mutex<Waiting>,
    /// Signalled for each job.
    called: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// How many threads wait for a job; never fewer than there are jobs.
    threads: usize,
    jobs: VecDeque<Job>,
}

impl ThreadPool {
    /// None yet; their stacks in bytes, std's default for `None`.
    pub(crate) fn new(stack_size: Option<usize>, linger: Duration) -> Self {
        Self { stack_size, linger, waiting: Mutex::default(), called: Condvar::new() }
    }

    /// Has a thread do this job at once: one that waits, or a new one.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had; the job is dropped.
    pub(crate) fn start(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut waiting = self.lock();
        if waiting.threads > waiting.jobs.len() {
            waiting.jobs.push_back(Box::new(job));
            drop(waiting);
            self.called.notify_one();
            return Ok(());
        }
        drop(waiting);
        let mut builder = thread::Builder::new().name("barews".to_owned());
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        let threads = Arc::clone(self);
        let share = Share::new();
        let work = move || {
            let _share = share;
            job();
            while let Some(next) = threads.wait() {
                next();
            }
        };
        // To start a thread that finds no memory for itself would be the end of the process.
        let stack = self.stack_size.unwrap_or(STACK);
        match headroom::start_thread(stack, || builder.spawn(work)) {
            Some(spawned) => spawned.map(drop),
            None => Err(ErrorKind::OutOfMemory.into()),
        }
    }

    /// The next job, if one comes soon.
    fn wait(&self) -> Option<Job> {
        let deadline = Expiry::after(self.linger);
        let mut waiting = self.lock();
        waiting.threads += 1;
        while waiting.jobs.is_empty()
            && let Some(left) = deadline.left()
        {
            let woken = self.called.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.threads -= 1;
        waiting.jobs.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread::ThreadId;

    /// Starts a job that says in which thread it runs, and ends when it is told to.
    fn start(threads: &Arc<ThreadPool>) -> (ThreadId, impl FnOnce()) {
        let (say, said) = channel();
        let (end, ended) = channel::<()>();
        threads
            .start(move || {
                say.send(thread::current().id()).unwrap();
                let _ = ended.recv();
            })
            .unwrap();
        (said.recv().unwrap(), move || drop(end))
    }

    /// Turns round until it is so.
    fn until(is_so: impl Fn() -> bool) {
        let patience = Expiry::after(Duration::from_secs(20));
        while !is_so() {
            assert!(patience.left().is_some(), "it took too long");
            thread::yield_now();
        }
    }

    #[test]
    fn a_thread_serves_again() {
        let threads = Arc::new(ThreadPool::new(None, Duration::from_secs(60)));
        let (first, end_first) = start(&threads);
        let (second, end_second) = start(&threads);
        assert_ne!(first, second);
        end_first();
        until(|| threads.lock().threads == 1);
        let (third, end_third) = start(&threads);
        assert_eq!(third, first);
        end_second();
        end_third();
        until(|| threads.lock().threads == 2);
    }

    #[test]
    fn a_thread_does_not_stay() {
        let threads = Arc::new(ThreadPool::new(None, Duration::from_millis(1)));
        let (_, end) = start(&threads);
        end();
        // Each holds the pool as long as it lives.
        until(|| Arc::strong_count(&threads) == 1);
        assert_eq!(threads.lock().threads, 0);
    }
}
