//! The threads that write what is queued, a few for all queues of the process.
//!
//! ```text
//!   push ──▶ ready ──▶ a turn of the queue: one batch, written without waiting
//!              ▲          ├─ more is queued ──▶ behind the others that are ready
//!              └──────────┤
//!                         ├─ the peer has no room, or others write ──▶ later ──▶ the next turn
//!                         └─ nothing is left: it sleeps until somebody pushes again
//! ```
//!
//! No thread waits for a peer: it comes again after a millisecond, and each time in vain after twice as
//! long as before, up to a tenth of a second. So peers that do not read cost ten calls a second each.
//!
//! A thread is started for each of the first queues, as many as the machine has cores, and they end when
//! the last queue does. They are no server's own: who serves connections without a server has no threads
//! of its own for each of them either. What a transport does in a panic costs its connection alone.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::sender::backlog::{Backlog, Flush};
use crate::connection::sender::quietly::quietly;
use crate::connection::sender::turn::{self, After, Spare, Turn};
use crate::session::headroom;

/// How many threads there are at the most, on whatever machine.
const MAX_FLUSHERS: usize = 16;

/// Stack size of a thread, in bytes. Compression takes a few KiB of it.
const STACK_SIZE: usize = 128 << 10;

/// Which of the threads writes what is in a queue; the threads are there as long as somebody has one.
pub(super) struct Assignment {
    flusher: Arc<Flusher>,
    _flushers: Arc<Flushers>,
}

/// All the threads.
#[derive(Default)]
struct Flushers(Mutex<Assigned>);

#[derive(Default)]
struct Assigned {
    flushers: Vec<Arc<Flusher>>,
    /// Which is the next queue's.
    next: usize,
}

/// What a thread has to do.
#[derive(Default)]
struct Flusher {
    state: Mutex<State>,
    /// Signalled when there is something to do and the thread sleeps.
    woken: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<Backlog>>,
    is_asleep: bool,
    /// Whether no queue is left.
    is_over: bool,
}

static FLUSHERS: Mutex<Weak<Flushers>> = Mutex::new(Weak::new());

/// How many there may be on this machine. Asked once: Linux answers out of several files.
static MOST: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from).min(MAX_FLUSHERS));

impl Assignment {
    /// For a new queue.
    ///
    /// # Errors
    ///
    /// If there is no thread, and none to be had.
    pub(super) fn new() -> io::Result<Self> {
        let mut weak = FLUSHERS.lock().unwrap_or_else(PoisonError::into_inner);
        let flushers = weak.upgrade().unwrap_or_else(|| {
            let new = Arc::default();
            *weak = Arc::downgrade(&new);
            new
        });
        drop(weak);
        let flusher = flushers.assign()?;
        Ok(Self { flusher, _flushers: flushers })
    }
}

impl Flush for Assignment {
    fn push(&self, backlog: Arc<Backlog>) {
        self.flusher.push(backlog);
    }
}

impl Flushers {
    fn assign(&self) -> io::Result<Arc<Flusher>> {
        let mut assigned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Assigned { flushers, next } = &mut *assigned;
        if flushers.len() < *MOST {
            match start() {
                Ok(flusher) => flushers.push(flusher),
                Err(error) if flushers.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        *next = (*next + 1) % flushers.len();
        Ok(Arc::clone(&flushers[*next]))
    }
}

impl Drop for Flushers {
    fn drop(&mut self) {
        let assigned = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for flusher in &assigned.flushers {
            flusher.lock().is_over = true;
            flusher.woken.notify_one();
        }
    }
}

/// Starts a thread.
fn start() -> io::Result<Arc<Flusher>> {
    let flusher = Arc::<Flusher>::default();
    let builder = thread::Builder::new().name("barews-flush".to_owned()).stack_size(STACK_SIZE);
    let run = {
        let flusher = Arc::clone(&flusher);
        move || flusher.run()
    };
    let spawned = headroom::start_thread(STACK_SIZE, || builder.spawn(run));
    spawned.unwrap_or_else(|| Err(ErrorKind::OutOfMemory.into())).map(|_| flusher)
}

impl Flusher {
    fn push(&self, backlog: Arc<Backlog>) {
        let mut state = self.lock();
        state.ready.push_back(backlog);
        if mem::take(&mut state.is_asleep) {
            self.woken.notify_one();
        }
    }

    fn run(&self) {
        let mut spare = Spare::default();
        let mut later = Later::default();
        let mut ready = VecDeque::new();
        while self.wait(&later, &mut ready) {
            let now = Instant::now();
            while let Some(turn) = later.pop_due(now) {
                self.take(turn, &mut spare, &mut later);
            }
            for backlog in ready.drain(..) {
                self.take(Turn::new(backlog), &mut spare, &mut later);
            }
            // A moment in which many were ready leaves no trace.
            ready.shrink_to(1024);
        }
    }

    /// Waits for something to do; whether there is more to come. What is ready is in `ready` then.
    fn wait(&self, later: &Later, ready: &mut VecDeque<Arc<Backlog>>) -> bool {
        let mut state = self.lock();
        while state.ready.is_empty() {
            let wait = match later.next() {
                None if state.is_over => return false,
                None => Duration::from_secs(3600),
                Some(at) => at.saturating_duration_since(Instant::now()),
            };
            if wait.is_zero() {
                break;
            }
            state.is_asleep = true;
            let waited = self.woken.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.is_asleep = false;
        }
        mem::swap(&mut state.ready, ready);
        true
    }

    /// A queue's turn.
    fn take(&self, turn: Turn, spare: &mut Spare, later: &mut Later) {
        let backlog = Arc::clone(turn.backlog());
        match catch_unwind(AssertUnwindSafe(|| turn.take(spare))) {
            Ok(After::Done) => {}
            Ok(After::Again(backlog)) => self.lock().ready.push_back(backlog),
            Ok(After::Pause(turn, pause)) => later.push(Instant::now() + pause, turn),
            Err(panic) => {
                // What it carries may panic when it is dropped.
                mem::forget(panic);
                quietly(|| turn::abandon(&backlog));
            }
        }
        // The last one may drop what is the application's, and that may panic too.
        quietly(|| drop(backlog));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns that go on at some time.
#[derive(Default)]
struct Later {
    turns: BTreeMap<(Instant, u64), Turn>,
    /// Tells those of one time apart.
    count: u64,
}

impl Later {
    fn push(&mut self, at: Instant, turn: Turn) {
        self.count += 1;
        self.turns.insert((at, self.count), turn);
    }

    /// When the first of them is due.
    fn next(&self) -> Option<Instant> {
        self.turns.first_key_value().map(|((at, _), _)| *at)
    }

    fn pop_due(&mut self, now: Instant) -> Option<Turn> {
        let first = self.turns.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }
}
