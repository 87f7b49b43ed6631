//! `tungstenite` on blocking sockets, a thread for each connection, as its `server` and
//! `autobahn-server` examples have it.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;

use barews::rustls::{ServerConfig, ServerConnection, StreamOwned};
use nix::sys::socket::{MsgFlags, recv};
use tungstenite::{Error, Result, WebSocket, accept};

pub(crate) fn serve(
    addr: &str,
    echo: impl Fn(TcpStream) -> Result<()> + Clone + Send + 'static,
) -> io::Result<()> {
    for stream in TcpListener::bind(addr)?.incoming() {
        let (stream, echo) = (stream?, echo.clone());
        thread::spawn(move || {
            stream.set_nodelay(true)?;
            echo(stream)
        });
    }
    Ok(())
}

/// Over the blocking stream that rustls has.
pub(crate) fn serve_tls(addr: &str, config: Arc<ServerConfig>) -> io::Result<()> {
    serve(addr, move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        send_each(StreamOwned::new(session, stream))
    })
}

/// The example: `send` writes and flushes.
pub(crate) fn send_each(stream: impl Read + Write) -> Result<()> {
    let mut socket = handshake(stream)?;
    loop {
        let message = socket.read()?;
        if message.is_text() || message.is_binary() {
            socket.send(message)?;
        }
    }
}

/// `write` only queues; what is queued is flushed when no more input is there.
pub(crate) fn send_batches(stream: TcpStream) -> Result<()> {
    let mut socket = handshake(Eager { stream, wait: true })?;
    loop {
        // In the handshake and after a flush, the socket is waited for.
        socket.get_mut().wait = false;
        let message = match socket.read() {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.flush()?;
                socket.get_mut().wait = true;
                socket.read()?
            }
            read => read?,
        };
        if message.is_text() || message.is_binary() {
            socket.write(message)?;
        }
    }
}

fn handshake<S: Read + Write>(stream: S) -> Result<WebSocket<S>> {
    accept(stream).map_err(|error| Error::Io(io::Error::other(error.to_string())))
}

/// A blocking stream that can be asked to read only what is there already.
struct Eager {
    stream: TcpStream,
    wait: bool,
}

impl Read for Eager {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.wait {
            true => self.stream.read(buf),
            false => Ok(recv(self.stream.as_raw_fd(), buf, MsgFlags::MSG_DONTWAIT)?),
        }
    }
}

impl Write for Eager {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
