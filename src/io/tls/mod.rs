//! TLS over a blocking stream, with both directions in use at once.
//!
//! A session of TLS is one state for both directions. It is behind a lock that nobody holds while a
//! call on the socket blocks, so who reads and who writes meet only while bytes are decrypted or
//! encrypted:
//!
//! ```text
//!   read    ciphertext ─▶ the caller's own buffer ─▶ [session] ─▶ plaintext, in the same buffer
//!   write   plaintext, at most 80 KiB ─▶ [session] ─▶ ciphertext ─▶ [outgoing] ─▶ one call
//! ```
//!
//! Whoever writes holds `outgoing`, so that ciphertext goes out in the order in which it was made.
//! The order of the locks is `outgoing`, `session`.
//!
//! The handshake happens inside the first reads, and these write too. From then on a read never
//! does: it would have to wait for a peer that does not read. What a session wants to answer (RFC
//! 8446 §4.6.3: a KeyUpdate) goes out ahead of the next write, and there is never more than one
//! such answer. Last words, an alert or a close_notify, are written if there is room at once.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustls::ServerConfig;

use crate::io::any_stream::Stream;
use crate::io::tls_info::TlsInfo;
use crate::io::transport::Transport;

mod timeout;
mod session;
mod outgoing;
mod self_signed;

pub use self_signed::SelfSigned;

use outgoing::Outgoing;
use session::{End, Received, Session};
use timeout::Timeout;

/// The server's side of TLS over another stream: a [`Transport`] for
/// [`Upgrade::handshake`](crate::Upgrade::handshake) or [`Listener::wrapped`](crate::Listener::wrapped).
/// A server that speaks nothing but TLS is made by [`Server::tls`](crate::Server::tls).
///
/// It receives and sends at once, on two threads or more, and neither waits for the other. The
/// handshake of TLS is part of the first read, and so bounded by the handshake deadline.
///
/// The end of the peer's stream is taken for what it is, also if no close_notify came before it: a
/// WebSocket has a Close of its own, which tells a whole conversation from one that was cut.
///
/// ```no_run
/// use barews::{Accept, Config, SelfSigned, TlsStream, Upgrade};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = SelfSigned::new(["localhost"])?.config();
/// let listener = std::net::TcpListener::bind("127.0.0.1:9001")?;
/// let (stream, _) = listener.accept()?;
/// let stream = TlsStream::new(stream, tls)?;
/// let mut conn = Upgrade::handshake(stream, &Config::default())?.accept(&Accept::new())?;
/// conn.send("hello")?;
/// # Ok(())
/// # }
/// ```
pub struct TlsStream {
    stream: Stream,
    session: Mutex<Session>,
    /// Ciphertext on its way out; whoever writes to the stream holds this.
    outgoing: Mutex<Outgoing>,
    phase: AtomicU8,
    /// The timeouts that were asked for.
    read_timeout: Timeout,
    write_timeout: Timeout,
}

/// The handshake goes on; only who reads writes.
const HANDSHAKE: u8 = 0;
/// Plaintext may pass.
const OPEN: u8 = 1;
/// The peer speaks no TLS but HTTP, and may be told so in HTTP.
const PLAIN: u8 = 2;
/// It has failed, or was ended in its handshake. What comes is thrown away.
const OVER: u8 = 3;

/// How much is read in one call, in bytes. Its decryption is how long a writer may wait for the
/// session.
const MAX_READ: usize = 128 << 10;

/// How long last words may take where there is no mode that does not block.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(1);

/// What reads as plain HTTP came where TLS was due.
#[derive(Debug)]
pub(crate) struct PlainHttp;

impl TlsStream {
    /// TLS over `stream`, to be spoken with these settings; reads and writes nothing yet.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for settings that no session can have, and for
    /// those that allow early data ([`ServerConfig::max_early_data_size`]): whoever records a
    /// request could have it answered again.
    pub fn new(stream: impl Transport, config: Arc<ServerConfig>) -> io::Result<Self> {
        Self::over(Stream::Other(Box::new(stream)), config)
    }

    pub(crate) fn over(stream: Stream, config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self {
            stream,
            session: Mutex::new(Session::new(config)?),
            outgoing: Mutex::default(),
            phase: AtomicU8::new(HANDSHAKE),
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
        })
    }

    /// Whether settings can be used at all.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub(crate) fn check(config: &Arc<ServerConfig>) -> io::Result<()> {
        Session::new(Arc::clone(config)).map(drop)
    }

    /// What was agreed on, once the handshake is done, which is when the first byte has been read.
    #[must_use]
    pub fn info(&self) -> Option<TlsInfo> {
        if self.phase() != OPEN {
            return None;
        }
        self.session().ok()?.info()
    }

    /// Reads with the handshake still to be done.
    #[cold]
    fn handshake(&self, buf: &mut [u8]) -> io::Result<usize> {
        // Nobody else writes, so nobody waits for this lock.
        let mut outgoing = self.outgoing()?;
        // What the peer had no room for the last time.
        self.send_handshake(&mut outgoing)?;
        let received = self.receive(buf);
        let mut session = self.session()?;
        session.take_ciphertext(outgoing.bytes());
        let (is_done, was_heard) = (session.is_open(), session.was_heard());
        if is_done {
            session.begin_traffic();
        }
        drop(session);
        match &received {
            Err(error) if is_pause(error) => {}
            // A peer that speaks plain HTTP is told so.
            Err(_) => drop(self.advance(OVER)),
            Ok(_) => {}
        }
        let sent = self.send_handshake(&mut outgoing);
        // A peer may wait for the last of it (TLS 1.2: our Finished), and a read of an open stream
        // writes nothing. Who has sent plaintext has waited for nothing.
        if is_done && (sent.is_ok() || received.is_ok()) && self.phase() == HANDSHAKE {
            self.advance(OPEN)?;
        }
        match (received, sent) {
            (Ok(0), _) if was_heard && !is_done => Err(in_handshake(ErrorKind::UnexpectedEof)),
            (Ok(len), _) => Ok(len),
            (Err(error), Err(failed)) if is_pause(&error) && !is_pause(&failed) => Err(failed),
            (Err(error), _) if error.get_ref().is_none() && !is_pause(&error) && was_heard => {
                Err(in_handshake(error.kind()))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Reads once, or takes what was read before; `WouldBlock` if that was no plaintext.
    fn receive(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut session = self.session()?;
        let received = match session.decrypt_retained(buf) {
            Received::Nothing => None,
            received => Some(received),
        };
        let room = session.room_to_read(buf.len());
        drop(session);
        let received = match (received, room) {
            (Some(received), _) => received,
            (None, Some(room)) => {
                // The records are larger than what the caller has room for.
                let mut bytes = vec![0; room];
                let len = self.read_stream(&mut bytes)?;
                bytes.truncate(len);
                self.session()?.decrypt_owned(bytes, buf)
            }
            (None, None) => {
                let most = buf.len().min(MAX_READ);
                let len = self.read_stream(&mut buf[..most])?;
                self.session()?.decrypt(buf, len, most)
            }
        };
        match received {
            Received::Plaintext(len) => Ok(len),
            Received::Nothing => Err(ErrorKind::WouldBlock.into()),
            Received::End(End::Stream | End::CloseNotify) => Ok(0),
            Received::End(End::PlainHttp) => {
                self.phase.store(PLAIN, Ordering::Relaxed);
                Err(io::Error::new(ErrorKind::InvalidData, PlainHttp))
            }
            Received::End(End::Failed(error)) => Err(io::Error::new(ErrorKind::InvalidData, error)),
        }
    }

    /// Reads ciphertext.
    fn read_stream(&self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buf);
        if read.as_ref().is_err_and(is_pause) {
            self.session()?.trim();
        }
        read
    }

    /// Reads what nobody wants to know; `WouldBlock` if there was anything.
    #[cold]
    fn discard(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self.stream.read(buf)? {
            0 => Ok(0),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes what the handshake has to say, within the time that the read may take.
    fn send_handshake(&self, outgoing: &mut Outgoing) -> io::Result<()> {
        if outgoing.is_empty() {
            return Ok(());
        }
        self.stream.set_write_timeout(self.read_timeout.get())?;
        let sent = outgoing.write_to(&*self.stream);
        self.stream.set_write_timeout(self.write_timeout.get())?;
        sent
    }

    /// Has the session say that it ends, and why, if there is room for that at once.
    fn say_last_words(&self, what: impl FnOnce(&mut Session)) {
        // A writer that is blocked may be half-way through a record, which nothing can follow.
        let Ok(mut outgoing) = self.outgoing.try_lock() else { return };
        if !outgoing.is_empty() {
            return;
        }
        let Ok(mut session) = self.session() else { return };
        what(&mut session);
        session.take_ciphertext(outgoing.bytes());
        drop(session);
        if outgoing.is_empty() {
            return;
        }
        // The stream ends, so that nobody minds a failure.
        if self.stream.set_nonblocking(true).is_ok() {
            let _ = outgoing.write_to(&*self.stream);
            let _ = self.stream.set_nonblocking(false);
        } else if self.stream.set_write_timeout(Some(LAST_WORDS_TIMEOUT)).is_ok() {
            let _ = outgoing.write_to(&*self.stream);
            let _ = self.stream.set_write_timeout(self.write_timeout.get());
        }
    }

    fn phase(&self) -> u8 {
        // What belongs to a phase is behind the locks.
        self.phase.load(Ordering::Relaxed)
    }

    /// Leaves the handshake, unless somebody has ended it meanwhile.
    fn advance(&self, to: u8) -> io::Result<()> {
        let changed =
            self.phase.compare_exchange(HANDSHAKE, to, Ordering::Relaxed, Ordering::Relaxed);
        changed.map(drop).map_err(|_| ErrorKind::NotConnected.into())
    }

    fn session(&self) -> io::Result<MutexGuard<'_, Session>> {
        self.session.lock().map_err(|_| panicked())
    }

    fn outgoing(&self) -> io::Result<MutexGuard<'_, Outgoing>> {
        self.outgoing.lock().map_err(|_| panicked())
    }
}

impl Transport for TlsStream {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self.phase() {
            OPEN => {
                let received = self.receive(buf);
                if received.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidData) {
                    self.say_last_words(|_| ());
                    self.phase.store(OVER, Ordering::Relaxed);
                }
                received
            }
            HANDSHAKE => self.handshake(buf),
            _ => self.discard(buf),
        }
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.phase() {
            OPEN => {}
            PLAIN => return self.stream.write_vectored(bufs),
            _ => return Err(ErrorKind::NotConnected.into()),
        }
        let mut outgoing = self.outgoing()?;
        outgoing.encrypt(bufs, || self.session())?;
        outgoing.write_to(&*self.stream)?;
        Ok(outgoing.take_plaintext_len(bufs))
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.read_timeout.set(timeout);
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.write_timeout.set(timeout);
        self.stream.set_write_timeout(timeout)
    }

    /// Says so to the peer, by a close_notify, if there is room for that at once.
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            match self.phase() {
                OPEN => self.say_last_words(Session::close),
                HANDSHAKE => drop(self.advance(OVER)),
                _ => {}
            }
        }
        self.stream.shutdown(how)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.stream.set_nonblocking(nonblocking)
    }

    fn set_nodelay(&self) {
        self.stream.set_nodelay();
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.stream.peer_addr()
    }

    fn tls(&self) -> Option<TlsInfo> {
        self.info()
    }

    /// That of the stream underneath, which has nothing but ciphertext to be read or written.
    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.stream.as_fd()
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("peer_addr", &self.peer_addr()).finish_non_exhaustive()
    }
}

impl fmt::Display for PlainHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HTTP without TLS on a port for TLS")
    }
}

impl StdError for PlainHttp {}

/// Whether the call may be made again.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// The stream ended in the middle of the handshake. It has words of its own, which the end of a
/// stream that nothing came from has not.
fn in_handshake(kind: ErrorKind) -> io::Error {
    io::Error::new(kind, format!("the stream ended in the TLS handshake: {kind}"))
}

/// A thread has panicked in the middle of a change of the state.
fn panicked() -> io::Error {
    io::Error::other("the TLS session has panicked")
}
