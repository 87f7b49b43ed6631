//! Threads that are kept for a while when their job is done.
//!
//! To start a thread and end it takes about as long as a handshake, an echo and a close together.
//! So one whose connection has ended waits a moment for the next.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::session::headroom::{self, Share};

/// How long a thread of a server waits for another job.
pub(crate) const THREAD_KEEPALIVE: Duration = Duration::from_millis(100);

/// std's own stack size, in bytes.
const DEFAULT_STACK_SIZE: usize = 2 << 20;

/// It does not panic.
type Job = Box<dyn FnOnce() + Send>;

/// The threads of a server.
pub(crate) struct ThreadPool {
    stack_size: Option<usize>,
    keepalive: Duration,
    queue: Mutex<Queue>,
    /// Signalled for each job.
    job_added: Condvar,
}

#[derive(Default)]
struct Queue {
    /// How many threads wait for a job; never fewer than there are jobs.
    idle_threads: usize,
    jobs: VecDeque<Job>,
}

impl ThreadPool {
    /// Starts no thread yet. The size of their stacks is in bytes, std's default for `None`.
    pub(crate) fn new(stack_size: Option<usize>, keepalive: Duration) -> Self {
        Self { stack_size, keepalive, queue: Mutex::default(), job_added: Condvar::new() }
    }

    /// Runs a job at once: on a thread that is idle, or on a new one.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had; the job is dropped.
    pub(crate) fn start(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut queue = self.lock();
        if queue.idle_threads > queue.jobs.len() {
            queue.jobs.push_back(Box::new(job));
            drop(queue);
            self.job_added.notify_one();
            return Ok(());
        }
        drop(queue);
        let stack_size = self.stack_size.unwrap_or(DEFAULT_STACK_SIZE);
        let mut builder = thread::Builder::new().name("barews".to_owned());
        if self.stack_size.is_some() {
            builder = builder.stack_size(stack_size);
        }
        let (pool, share) = (Arc::clone(self), Share::new());
        let run = move || {
            let _share = share;
            job();
            while let Some(next) = pool.next_job() {
                next();
            }
        };
        // To start a thread that finds no memory for itself would be the end of the process.
        let spawned = headroom::start_thread(stack_size, || builder.spawn(run));
        spawned.unwrap_or_else(|| Err(ErrorKind::OutOfMemory.into())).map(drop)
    }

    /// The next job, if one comes soon.
    fn next_job(&self) -> Option<Job> {
        let mut queue = self.lock();
        queue.idle_threads += 1;
        let is_empty = |queue: &mut Queue| queue.jobs.is_empty();
        let waited = self.job_added.wait_timeout_while(queue, self.keepalive, is_empty);
        (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.idle_threads -= 1;
        queue.jobs.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::expiry::Expiry;
    use std::sync::mpsc::channel;
    use std::thread::ThreadId;

    /// Starts a job that says in which thread it runs, and ends when it is told to.
    fn start(pool: &Arc<ThreadPool>) -> (ThreadId, impl FnOnce()) {
        let (say, said) = channel();
        let (end, ended) = channel::<()>();
        pool.start(move || {
            say.send(thread::current().id()).unwrap();
            let _ = ended.recv();
        })
        .unwrap();
        (said.recv().unwrap(), move || drop(end))
    }

    /// Turns round until it is so.
    fn until(is_so: impl Fn() -> bool) {
        let deadline = Expiry::after(Duration::from_secs(20));
        while !is_so() {
            assert!(deadline.left().is_some(), "it took too long");
            thread::yield_now();
        }
    }

    #[test]
    fn a_thread_serves_again() {
        let pool = Arc::new(ThreadPool::new(None, Duration::from_secs(60)));
        let (first, end_first) = start(&pool);
        let (second, end_second) = start(&pool);
        assert_ne!(first, second);
        end_first();
        until(|| pool.lock().idle_threads == 1);
        let (third, end_third) = start(&pool);
        assert_eq!(third, first);
        end_second();
        end_third();
        until(|| pool.lock().idle_threads == 2);
    }

    #[test]
    fn a_thread_does_not_stay() {
        let pool = Arc::new(ThreadPool::new(None, Duration::from_millis(1)));
        let (_, end) = start(&pool);
        end();
        // Each holds the pool as long as it lives.
        until(|| Arc::strong_count(&pool) == 1);
        assert_eq!(pool.lock().idle_threads, 0);
    }
}
