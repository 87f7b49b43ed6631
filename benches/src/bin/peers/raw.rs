//! No protocol at all: the limit of a design with a thread for each connection.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::offset::Memory;

/// For each connection, in bytes.
pub(crate) const BUFFER: usize = 256 << 10;

pub(crate) fn serve(addr: &str) -> io::Result<()> {
    for stream in TcpListener::bind(addr)?.incoming() {
        let stream = stream?;
        thread::Builder::new().spawn(move || echo(stream))?;
    }
    Ok(())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut memory = Memory::new(BUFFER);
    let buf = memory.get();
    loop {
        match stream.read(buf)? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n])?,
        }
    }
}
