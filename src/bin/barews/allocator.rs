//! What the allocator is told, and asked.

use std::hint::black_box;

/// Memory that must stay free for what cannot be refused, in bytes. As the library has it for the
/// threads of connections: more than 32 MiB, which glibc always has from the system and gives back.
const HEADROOM: usize = 33 << 20;

/// Whether `len` bytes are left for something that can be refused. It takes two system calls.
pub(crate) fn is_left(len: usize) -> bool {
    let mut memory = Vec::<u8>::new();
    let is_left = memory.try_reserve_exact(HEADROOM + len).is_ok();
    // An allocation that nobody looks at is one that the optimiser leaves out.
    black_box(&mut memory);
    is_left
}

/// Has what long messages give back go to the system, and all threads share one region of memory
/// for the rest. glibc gives threads regions of their own, and reserves 64 MiB of addresses for each:
/// under a limit of the address space (`ulimit -v`) seven of them take what 512 MiB had left for
/// messages. Nothing is allocated for a message once its connection is warm, so threads hardly ever
/// meet there.
///
/// To be called before there is a second thread.
pub(crate) fn set_up() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;

        // From `malloc.h`.
        const M_MMAP_THRESHOLD: c_int = -3;
        const M_ARENA_MAX: c_int = -8;
        unsafe extern "C" {
            fn mallopt(param: c_int, value: c_int) -> c_int;
        }
        // SAFETY: the declaration is that of `malloc.h`, and numbers are all it takes. If it fails,
        // things stay as they are.
        unsafe {
            // glibc's own, which it would raise with the first long block that is freed.
            mallopt(M_MMAP_THRESHOLD, 128 << 10);
            mallopt(M_ARENA_MAX, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beyond what any machine has. Where the optimiser leaves the allocation out, it is there.
    #[test]
    fn edge_b_what_is_not_there_is_not_found() {
        assert!(is_left(0));
        assert!(!is_left(isize::MAX as usize - HEADROOM));
    }
}
