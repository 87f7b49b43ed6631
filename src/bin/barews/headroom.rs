//! Memory that is left for what cannot be refused, where the library does not see to it.

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Beyond what any machine has. Where the optimiser leaves the allocation out, it is there.
    #[test]
    fn edge_b_what_is_not_there_is_not_found() {
        assert!(is_left(0));
        assert!(!is_left(usize::MAX / 4));
    }
}
