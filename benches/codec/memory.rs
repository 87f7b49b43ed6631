//! A stream in memory: what is read was prepared, what is written is kept.

use std::io::{self, Read, Write};

pub(crate) struct Memory<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) output: Vec<u8>,
}

impl<'a> Memory<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input, output: Vec::new() }
    }
}

impl Read for Memory<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.input.read(buf)
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.output.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
