//! What glibc's allocator is told; others need no telling.
//!
//! It keeps what is freed below 128 KiB, and gives back to the system only what lies at the end of
//! its memory. What a connection keeps there for long holds up all that was freed below it. So while
//! anybody is connected, a thread looks for what was freed, and has whole pages of it given back:
//! after messages of 64 KiB, 300 connections held 76 KiB each, and 15 with it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How often to look. The library frees what was not used for 2 s.
const INTERVAL: Duration = Duration::from_millis(500);

/// How much must have been freed since, to be worth the trouble, in bytes.
const MIN_FREED: u32 = 128 << 10;

/// What part of the time may be spent on it: one in so many.
const MAX_SHARE: u32 = 50;

/// The thread that looks, if there is one.
static THREAD: OnceLock<Thread> = OnceLock::new();

/// How many are connected.
static CONNECTED: AtomicUsize = AtomicUsize::new(0);

/// Somebody is connected, until this is dropped.
pub struct Connected(());

/// Has what long messages give back go to the system, and all threads share one region of memory
/// for the rest. glibc gives threads regions of their own, and reserves 64 MiB of addresses for each:
/// under a limit of the address space (`ulimit -v`) seven of them take what 512 MiB had left for
/// messages. Nothing is allocated for a message once its connection is warm, so threads hardly ever
/// meet there.
///
/// To be called before there is a second thread.
pub fn set_up() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::set_up();
}

/// Starts the thread that gives back what was freed. Without it, all works as well, and holds more.
pub fn start_trimming() {
    let thread = thread::Builder::new().name("memory".to_owned()).stack_size(64 << 10);
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return;
    }
    if let Ok(thread) = thread.spawn(trim) {
        // It is started once.
        let _ = THREAD.set(thread.thread().clone());
    }
}

impl Connected {
    pub fn new() -> Self {
        if CONNECTED.fetch_add(1, Ordering::Relaxed) == 0
            && let Some(thread) = THREAD.get()
        {
            thread.unpark();
        }
        Self(())
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        CONNECTED.fetch_sub(1, Ordering::Relaxed);
    }
}

fn trim() {
    // What is free and was given back is counted as free, too.
    let mut known = free();
    loop {
        // Once more after the last one has left.
        let is_last = CONNECTED.load(Ordering::Relaxed) == 0;
        thread::sleep(INTERVAL);
        let free_now = free();
        known = known.min(free_now);
        if free_now - known >= MIN_FREED {
            let start = Instant::now();
            give_back();
            known = free();
            // Others wait for memory meanwhile.
            thread::sleep(start.elapsed() * MAX_SHARE);
        }
        while is_last && CONNECTED.load(Ordering::Relaxed) == 0 {
            thread::park();
        }
    }
}

fn free() -> u32 {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return glibc::free();
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    0
}

fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::give_back();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    // From `malloc.h`.
    const M_MMAP_THRESHOLD: c_int = -3;
    const M_ARENA_MAX: c_int = -8;

    /// Of `malloc.h`, in the form that every glibc has.
    #[repr(C)]
    struct Mallinfo {
        before: [c_int; 8],
        /// Free bytes, modulo 2^32.
        fordblks: c_int,
        keepcost: c_int,
    }

    unsafe extern "C" {
        fn mallopt(param: c_int, value: c_int) -> c_int;
        fn mallinfo() -> Mallinfo;
        fn malloc_trim(pad: usize) -> c_int;
    }

    pub(super) fn set_up() {
        // The threshold is glibc's own, which it would raise with the first long block that is freed.
        for (param, value) in [(M_MMAP_THRESHOLD, 128 << 10), (M_ARENA_MAX, 1)] {
            // SAFETY: the declaration is that of `malloc.h`, and numbers are all it takes. If it
            // fails, things stay as they are.
            unsafe { mallopt(param, value) };
        }
    }

    pub(super) fn free() -> u32 {
        // SAFETY: it takes nothing, and may be called at any time.
        unsafe { mallinfo() }.fordblks as u32
    }

    pub(super) fn give_back() {
        // SAFETY: it takes a number, and may be called at any time.
        unsafe { malloc_trim(0) };
    }
}
