//! Memory to read into that begins half a page off.
//!
//! Where a processor has the habit that `compare` looks for, the kernel copies to the start of a large
//! allocation at a twentieth of its speed, and what should be a limit would be none.

const PAGE: usize = 4096;

pub(crate) struct Memory {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Memory {
    pub(crate) fn new(len: usize) -> Self {
        let bytes = vec![0; len + PAGE];
        let start = (PAGE + PAGE / 2 - bytes.as_ptr().addr() % PAGE) % PAGE;
        Self { bytes, start, len }
    }

    pub(crate) fn get(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..self.len]
    }
}
