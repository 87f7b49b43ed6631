//! The least that an echo of frames can be, on the same blocking sockets and threads: what any
//! WebSocket server of this design has to do, whatever else it does.
//!
//! Headers are read and written and payloads unmasked, in place, in the buffer of the raw echo.
//! No rule is checked, no message is put together or handed to anybody, a text is any bytes, a
//! control frame is echoed like the rest, and nobody watches the clock.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::offset::Memory;
use crate::raw::BUFFER;

pub(crate) fn serve(addr: &str) -> io::Result<()> {
    for stream in TcpListener::bind(addr)?.incoming() {
        let stream = stream?;
        thread::Builder::new().spawn(move || {
            stream.set_nodelay(true)?;
            let socket =
                tungstenite::accept(stream).map_err(|e| io::Error::other(e.to_string()))?;
            echo(socket.into_inner())
        })?;
    }
    Ok(())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut memory = Memory::new(BUFFER);
    let mut frames = Frames { buf: memory.get(), len: 0, left: 0, key: [0; 4] };
    loop {
        match stream.read(&mut frames.buf[frames.len..])? {
            0 => return Ok(()),
            n => frames.len += n,
        }
        let used = frames.answer(&mut stream)?;
        frames.buf.copy_within(used..frames.len, 0);
        frames.len -= used;
    }
}

struct Frames<'a> {
    buf: &'a mut [u8],
    /// How much of `buf` has come.
    len: usize,
    /// Bytes of the payload under way that are still to come, and their key.
    left: usize,
    key: [u8; 4],
}

impl Frames<'_> {
    /// Turns what has come into its echo and sends it; all but the start of a header is used.
    fn answer(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        // An answer has no key, so its end never overtakes what is still to be read.
        let (mut from, mut to) = (0, 0);
        loop {
            let len = self.left.min(self.len - from);
            self.unmask(from, to, len);
            (from, to, self.left) = (from + len, to + len, self.left - len);
            self.key.rotate_left(len % 4);
            let Some((header, left)) = header(&self.buf[from..self.len]) else { break };
            self.buf.copy_within(from..from + header, to);
            self.buf[to + 1] &= 0x7f;
            self.key.copy_from_slice(&self.buf[from + header..from + header + 4]);
            (from, to, self.left) = (from + header + 4, to + header, left);
        }
        if to > 0 {
            stream.write_all(&self.buf[..to])?;
        }
        Ok(from)
    }

    /// Unmasks `len` bytes on their way from one place in the buffer to one before it.
    fn unmask(&mut self, from: usize, to: usize, len: usize) {
        let mut done = 0;
        while len - done >= 64 {
            done += self.unmask_block::<64>(from + done, to + done);
        }
        while len - done >= 4 {
            done += self.unmask_block::<4>(from + done, to + done);
        }
        for (i, key) in (done..len).zip(self.key) {
            self.buf[to + i] = self.buf[from + i] ^ key;
        }
    }

    #[inline(always)]
    fn unmask_block<const N: usize>(&mut self, from: usize, to: usize) -> usize {
        let mut block = [0; N];
        block.copy_from_slice(&self.buf[from..from + N]);
        for four in block.chunks_exact_mut(4) {
            four.iter_mut().zip(self.key).for_each(|(byte, key)| *byte ^= key);
        }
        self.buf[to..to + N].copy_from_slice(&block);
        N
    }
}

/// How long a header is, without its key, and how long the payload behind it; `None` unless all of
/// the header has come.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let (len, payload) = match *bytes.get(1)? & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(*bytes[2..].first_chunk()?))),
        127 => (10, u64::from_be_bytes(*bytes[2..].first_chunk()?)),
        len => (2, u64::from(len)),
    };
    (bytes.len() >= len + 4).then_some((len, payload as usize))
}
