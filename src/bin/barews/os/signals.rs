//! SIGHUP, SIGINT and SIGTERM, which std does not know.
//!
//! The signals are blocked before any thread starts, and every thread inherits that; then one
//! thread waits for them in `sigwait`, where it may do whatever a thread may. No handler ever
//! runs in the middle of something else. SIGQUIT is left as it is: it ends the program at once,
//! when nothing else helps.

use std::ffi::c_int;
use std::ptr;

/// The terminal has gone, or files are to be read again. POSIX fixes this number and the other two (`kill -1`, `-2`, `-15`).
pub const SIGHUP: c_int = 1;
const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;

/// Signals that ask the program to stop.
pub struct Signals(Set);

/// A `sigset_t`, or more: 128 bytes are what glibc and musl have, and nobody has a larger one.
#[repr(C, align(8))]
struct Set([u8; 128]);

#[cfg(any(target_os = "linux", target_os = "android"))]
const SIG_BLOCK: c_int = 0;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SIG_BLOCK: c_int = 1;

/// What may stand in the place of a handler's address, everywhere.
const SIG_DFL: usize = 0;
const SIG_IGN: usize = 1;

// std links the C library already.
unsafe extern "C" {
    fn sigemptyset(set: *mut Set) -> c_int;
    fn sigaddset(set: *mut Set, signal: c_int) -> c_int;
    fn sigdelset(set: *mut Set, signal: c_int) -> c_int;
    fn pthread_sigmask(how: c_int, set: *const Set, old: *mut Set) -> c_int;
    fn sigwait(set: *const Set, signal: *mut c_int) -> c_int;
    fn signal(signal: c_int, handler: usize) -> usize;
}

impl Signals {
    /// Blocks the signals in this thread and all that it will start. Call it before any starts,
    /// and have a thread wait at once: until then nothing but SIGKILL ends the program.
    ///
    /// SIGHUP is left out where it is ignored already, as `nohup` has it, unless it `reloads`: then
    /// it ends nothing, and whoever sends it means it.
    pub fn block(reloads: bool) -> Self {
        let mut set = Set([0; 128]);
        // SAFETY: `set` is at least as large as a `sigset_t` and as aligned, and lives through all
        // calls, which only write inside it; the old mask is not asked for. `signal` is given no
        // handler that could run, and what it tells is compared and not called. There is no other
        // thread yet, and no other code that sets what SIGHUP does.
        unsafe {
            sigemptyset(&mut set);
            sigaddset(&mut set, SIGHUP);
            sigaddset(&mut set, SIGINT);
            sigaddset(&mut set, SIGTERM);
            pthread_sigmask(SIG_BLOCK, &set, ptr::null_mut());
            // The only way to ask, but for a struct that each system has its own layout for. A
            // blocked signal would be waited for though it is ignored.
            if signal(SIGHUP, SIG_DFL) == SIG_IGN && !reloads {
                signal(SIGHUP, SIG_IGN);
                sigdelset(&mut set, SIGHUP);
            }
        }
        Self(set)
    }

    /// Waits for the next one and returns its number.
    pub fn wait(&self) -> i32 {
        let mut signal = 0;
        // SAFETY: the set was filled by `block`, and `signal` is a `c_int` to write to. The only
        // error is a set with signals that do not exist, and then `signal` stays 0.
        unsafe {
            sigwait(&self.0, &mut signal);
        }
        signal
    }
}
