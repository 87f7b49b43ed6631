//! For how long this program has run, which is less time than has passed where it stood still: a machine does so for
//! a second now and then, or has no time for us. What must come soon is held to this.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::ms;

/// How often it is looked whether we run, and from when on that is late.
const TICK: Duration = ms(10);
const LATE: Duration = ms(30);

struct Ticks {
    last: Instant,
    /// When one came late, and by how much.
    late: Vec<(Instant, Duration)>,
}

static TICKS: LazyLock<Mutex<Ticks>> = LazyLock::new(|| {
    thread::spawn(|| {
        loop {
            thread::sleep(TICK);
            ticks().tick();
        }
    });
    Mutex::new(Ticks { last: Instant::now(), late: Vec::new() })
});

fn ticks() -> MutexGuard<'static, Ticks> {
    TICKS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ticks {
    fn tick(&mut self) {
        let now = Instant::now();
        if now - self.last > LATE {
            self.late.push((now, now - self.last));
        }
        self.last = now;
    }
}

/// Has it noticed from now on if we stand still; whoever has a client or a server need not.
pub fn watch() {
    drop(ticks());
}

/// For how long we have run since then.
pub fn awake(since: Instant) -> Duration {
    let mut ticks = ticks();
    // It may be the first one that runs after we stood still.
    ticks.tick();
    let recent = ticks.late.iter().rev().take_while(|(until, _)| *until > since);
    let lost = recent.map(|(until, by)| (*by).min(*until - since)).sum();
    since.elapsed().saturating_sub(lost)
}
