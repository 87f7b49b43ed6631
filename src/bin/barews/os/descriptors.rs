//! How many descriptors the process may have: a soft limit, which is often 1,024 for the sake of
//! programs that use `select`, and a hard one, up to which anybody may raise it.

use std::ffi::c_int;

/// An `unsigned long` in glibc and Bionic, 64 bits everywhere else. That FreeBSD's has a sign
/// makes no difference: it is never set.
#[cfg(any(all(target_os = "linux", not(target_env = "musl")), target_os = "android"))]
type Number = std::ffi::c_ulong;
#[cfg(not(any(all(target_os = "linux", not(target_env = "musl")), target_os = "android")))]
type Number = u64;

/// Whether what is said here of the system is known to be true.
const KNOWN: bool = cfg!(any(
    target_os = "macos",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    all(
        any(target_os = "linux", target_os = "android"),
        not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64"))
    ),
));

#[repr(C)]
struct Limit {
    soft: Number,
    hard: Number,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const RLIMIT_NOFILE: c_int = 7;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const RLIMIT_NOFILE: c_int = 8;

/// The most that macOS takes for a soft limit where the hard one is none (`OPEN_MAX`).
const OPEN_MAX: Number = 10_240;

// std links the C library already.
unsafe extern "C" {
    fn getrlimit(resource: c_int, limit: *mut Limit) -> c_int;
    fn setrlimit(resource: c_int, limit: *const Limit) -> c_int;
}

/// Raises the soft limit of descriptors to the hard one, as far as the system lets us; the limit
/// then, or `None` where it cannot be told.
pub fn raise() -> Option<u64> {
    let mut limit = Limit { soft: 0, hard: 0 };
    // SAFETY: `limit` is a `struct rlimit` that lives through the call, which writes it only.
    if !KNOWN || unsafe { getrlimit(RLIMIT_NOFILE, &mut limit) } != 0 {
        return None;
    }
    for soft in [limit.hard, OPEN_MAX.min(limit.hard)] {
        let raised = Limit { soft, hard: limit.hard };
        // SAFETY: `raised` is a `struct rlimit` that lives through the call, which reads it
        // only. Nothing of ours depends on the limit being low.
        if soft > limit.soft && unsafe { setrlimit(RLIMIT_NOFILE, &raised) } == 0 {
            limit.soft = soft;
        }
    }
    // `Number` is what the system has.
    #[allow(clippy::useless_conversion)]
    Some(u64::from(limit.soft))
}
