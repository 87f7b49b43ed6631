//! Honest clients in a thread of their own: how they fare while others misbehave must not depend
//! on how busy the harness is with those.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::Habit;
use crate::plan::{finish, open_with};
use crate::reactor::Reactor;
use crate::stream::Target;
use crate::tally::Tally;

pub(crate) struct Company {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Tally>,
}

impl Company {
    /// Opens `count` connections that echo messages of `len` bytes `every` so often, and returns
    /// when they are open, or have failed to. They take these offers in turn, if there are any.
    pub(crate) fn start(
        server: Target,
        count: usize,
        every: Duration,
        len: usize,
        offers: &'static [&'static str],
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = channel();
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let (mut reactor, tally) = (Reactor::new(), Tally::shared());
                open_with(
                    &mut reactor,
                    &server,
                    0..count,
                    Habit::Every(every, len),
                    offers,
                    &tally,
                );
                let _ = ready.send(());
                while !stop.load(Ordering::Relaxed) {
                    reactor.turn(Instant::now() + Duration::from_millis(100));
                }
                finish(&mut reactor, &tally);
                let tally = tally.borrow();
                tally.clone()
            }
        });
        // An error is a panic of the thread, which `finish` will pass on.
        let _ = is_ready.recv();
        Self { stop, thread }
    }

    /// Ends all connections, and tells what they have seen.
    pub(crate) fn finish(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the honest clients do not panic")
    }
}
