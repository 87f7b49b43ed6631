//! The connection itself: how it receives, and what it can become.

use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "deflate")]
use crate::connection::compression::Compression;
use crate::connection::lifecycle::ConnectionShared;
use crate::connection::message::{Chunk, Message};
use crate::connection::message_reader::MessageReader;
use crate::connection::raw_stream::RawStream;
use crate::connection::receiver::Receiver;
use crate::connection::request::Request;
use crate::connection::sender::Sender;
use crate::connection_limits::OpenLimits;
use crate::error::Error;
use crate::proto::{CloseCode, CloseFrame};
#[cfg(feature = "deflate")]
use crate::session::compression::Agreed;

/// An open WebSocket connection, for use by one thread; [`split`](Self::split) it for two.
///
/// Pings, Pongs, the keep-alive (heartbeat) and the closing handshake are handled inside
/// [`recv`](Self::recv) and [`recv_chunk`](Self::recv_chunk), so one of them should be waiting
/// most of the time. What is queued for sending goes out before they wait.
///
/// Dropping an open connection closes it with 1000, or with 1011 if the thread panics; inside
/// [`Server::run`](crate::Server::run), the handler's result decides.
pub struct Connection {
    pub(super) receiver: Receiver,
    pub(super) sender: Sender,
    /// Whether compression was agreed on.
    #[cfg(feature = "deflate")]
    pub(super) is_compressed: bool,
}

impl Connection {
    pub(crate) fn new(
        shared: Arc<ConnectionShared>,
        request: Arc<Request>,
        limits: Arc<OpenLimits>,
        rest: Vec<u8>,
    ) -> Self {
        shared.set_request(request);
        let sender = Sender { shared: Arc::clone(&shared) };
        let receiver = Receiver::new(shared, limits, rest);
        #[cfg(feature = "tls")]
        let receiver = match sender.shared.request().tls() {
            Some(_) => receiver.with_records(),
            None => receiver,
        };
        Self {
            receiver,
            sender,
            #[cfg(feature = "deflate")]
            is_compressed: false,
        }
    }

    /// Leaves the answer to the request to the handler; nothing was sent.
    pub(crate) fn hijack(&mut self) {
        self.sender.shared.writer.hand_over();
        self.receiver.reader.hand_over();
    }

    /// Leaves the end of the connection to somebody else.
    pub(crate) fn closed_by_server(&mut self) -> Arc<ConnectionShared> {
        self.receiver.closed_by_server = true;
        Arc::clone(&self.sender.shared)
    }

    /// Waits for the next message and receives it into `buf`, whose contents it replaces; the
    /// message borrows them. `None` is the end: the closing handshake is done.
    ///
    /// Hand over the same `buf` every time, and nothing is allocated once it is large enough.
    /// Of more than 64 KiB, `buf` may be given back to the system when there is nothing to hand on:
    /// after 2 s, or at once if all connections keep much ([`assembling`](crate::Limits::max_buffered_bytes)).
    ///
    /// # Errors
    ///
    /// All but [`Error::RecvTimeout`] end the connection; the peer has been told why by then, where
    /// it could be (§7.1.7). Beside a [`sender`](Self::sender), [`Error::DeadlineExceeded`] does not where others
    /// have held up what is queued.
    pub fn recv<'b>(&mut self, buf: &'b mut Vec<u8>) -> Result<Option<Message<'b>>, Error> {
        self.receiver.recv(buf)
    }

    /// Waits for the next part of a message and receives it into `out`: any size of message in
    /// constant memory. `None` is the end, as in [`recv`](Self::recv), which receives the rest if
    /// it is called in the middle of a message: as binary, since a part of a text may begin inside
    /// a character.
    ///
    /// ```
    /// # fn count(conn: &mut barews::Connection) -> Result<(), barews::Error> {
    /// let mut out = [0; 4096];
    /// let mut len = 0;
    /// while let Some(chunk) = conn.recv_chunk(&mut out)? {
    ///     len += chunk.len;
    ///     if chunk.fin {
    ///         conn.send(&format!("{len} bytes of {:?}", chunk.kind))?;
    ///         len = 0;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::EmptyBuffer`] if `out` has no room.
    pub fn recv_chunk(&mut self, out: &mut [u8]) -> Result<Option<Chunk>, Error> {
        self.receiver.recv_chunk(out)
    }

    /// The same until this point in time: [`Error::RecvTimeout`] then, and nothing is lost. For a
    /// handler that has something to do at times of its own. What is queued is sent first, within the
    /// write deadline. A timeout of [`set_recv_timeout`](Self::set_recv_timeout) does not matter here.
    /// Of a point that has passed, what has arrived is received; so a handler that is always late
    /// still hears its peer.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # fn tick(mut conn: barews::Connection) -> Result<(), barews::Error> {
    /// let mut buf = Vec::new();
    /// let mut next = Instant::now();
    /// loop {
    ///     match conn.recv_deadline(&mut buf, next) {
    ///         Ok(Some(message)) => conn.send(message)?,
    ///         Ok(None) => return Ok(()),
    ///         Err(barews::Error::RecvTimeout) => {
    ///             conn.send("tick")?;
    ///             next += Duration::from_secs(1);
    ///         }
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_deadline<'b>(
        &mut self,
        buf: &'b mut Vec<u8>,
        at: Instant,
    ) -> Result<Option<Message<'b>>, Error> {
        self.receiver.recv_deadline(buf, at)
    }

    /// Waits for the next message, to be received as it is read: any size in constant memory, for
    /// whatever takes an [`io::Read`](std::io::Read). `None` is the end, as in [`recv`](Self::recv).
    ///
    /// ```
    /// # fn store(conn: &mut barews::Connection) -> Result<(), barews::BoxError> {
    /// while let Some(mut message) = conn.reader()? {
    ///     let mut file = std::fs::File::create("received")?;
    ///     let len = std::io::copy(&mut message, &mut file)?;
    ///     conn.send(&format!("{len} bytes"))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is left of a message when its reader is dropped is thrown away by the next call of this
    /// function. To [`recv_chunk`](Self::recv_chunk) and `recv` it is the rest of a message, of which
    /// they have received a part.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn reader(&mut self) -> Result<Option<MessageReader<'_>>, Error> {
        self.receiver.reader()
    }

    /// Does what has to be done beside messages for as long as this, for a handler that only sends:
    /// sends what is queued, answers Pings, sends those of the keep-alive (heartbeat), and notices the
    /// peer's Close. Whether the connection is still open; `false` is the end, as `None` of
    /// [`recv`](Self::recv) is.
    ///
    /// Messages of the peer's are held to the same limits, and thrown away; the rest of one that is
    /// under way when the time is over is there for [`recv`](Self::recv), as binary.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn push(mut conn: barews::Connection) -> Result<(), barews::Error> {
    /// while conn.serve_control(Duration::from_secs(1))? {
    ///     conn.send("still here")?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv), but for [`Error::RecvTimeout`].
    pub fn serve_control(&mut self, for_: Duration) -> Result<bool, Error> {
        self.receiver.serve_control(for_)
    }

    /// Bounds each later `recv` and `recv_chunk`: [`Error::RecvTimeout`] after this long, and nothing
    /// is lost; zero counts as a millisecond. What is queued is sent first, within the write
    /// deadline, and only then does the time begin. `None`, the default, waits until a deadline of [`Timeouts`](crate::Timeouts).
    pub fn set_recv_timeout(&mut self, timeout: Option<Duration>) {
        self.receiver.set_recv_timeout(timeout);
    }

    /// Closes the connection (§7.1.2): sends what is queued and a Close frame, and waits for the
    /// peer's. Messages that come before it are thrown away. Does nothing if the connection is
    /// over. A reason longer than 123 bytes is cut at a character.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCloseCode`] if §7.4 keeps the code off the wire, and nothing was sent;
    /// [`Error::DeadlineExceeded`] if the peer did not answer in time; [`Error::Protocol`] and [`Error::Io`]
    /// for what else its answer, or the lack of one, can be.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if !code.is_sendable() {
            return Err(Error::InvalidCloseCode(code));
        }
        self.receiver.close(code, reason)
    }

    /// Calls `f` with each Pong's payload (§5.5.3), asked for or not, from inside the calls that
    /// receive.
    pub fn on_pong(&mut self, f: impl FnMut(&[u8]) + Send + 'static) {
        self.receiver.on_pong(f);
    }

    /// Calls `f` with each Ping's payload (§5.5.2), from inside the calls that receive. The Pong goes
    /// out all the same.
    pub fn on_ping(&mut self, f: impl FnMut(&[u8]) + Send + 'static) {
        self.receiver.on_ping(f);
    }

    /// What the peer's Close frame said, once it has come (§7.1.5, §7.1.6).
    #[must_use]
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.receiver.close_frame()
    }

    /// Divides the connection into a half that receives and one that sends, for two threads or
    /// more. What is queued goes first; if that fails, so does the next call on either half. Where others
    /// hold it up for the write timeout (see [`sender`](Self::sender)), it goes before the receiver's next wait.
    #[must_use]
    pub fn split(mut self) -> (Receiver, Sender) {
        let _ = self.flush();
        self.receiver.reader.queue.beside_senders = true;
        (self.receiver, self.sender)
    }

    /// A [`Sender`] for other threads, beside the connection, which goes on as one. What is queued
    /// goes first; if that fails, so does the next call.
    ///
    /// From now on a message of this thread takes its turn among those of senders, within the write
    /// timeout: if they leave it none, it gets [`Error::DeadlineExceeded`] as they do, and what was
    /// queued stays queued. A Pong waits for nobody.
    ///
    /// ```
    /// # fn handler(mut conn: barews::Connection) -> Result<(), barews::BoxError> {
    /// let sender = conn.sender();
    /// std::thread::spawn(move || sender.send("from another thread"));
    /// let mut buf = Vec::new();
    /// while let Some(message) = conn.recv(&mut buf)? {
    ///     conn.send(message)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sender(&mut self) -> Sender {
        let _ = self.flush();
        self.receiver.reader.queue.beside_senders = true;
        self.sender.clone()
    }

    /// Gives the connection up with no closing handshake, and hands out the stream below. What is
    /// queued by [`write`](Self::write) goes first; what waits in a [`SendQueue`](crate::SendQueue) is
    /// dropped, and what has come of an unfinished message is lost.
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush).
    pub fn into_stream(mut self) -> Result<RawStream, Error> {
        self.flush()?;
        let reader = &mut self.receiver.reader;
        let idle_timeout = reader.limits.timeouts.idle_timeout;
        Ok(RawStream::new(Arc::clone(&self.sender.shared), reader.detach(), idle_timeout))
    }
}

#[cfg(feature = "deflate")]
impl Connection {
    /// Compression may have been agreed on. No frame has been received or sent yet.
    pub(crate) fn with_compression(mut self, agreed: Option<Agreed>) -> Self {
        self.is_compressed = agreed.is_some();
        if let Some(agreed) = agreed {
            self.set_compression(agreed);
        }
        self
    }

    #[inline(never)]
    fn set_compression(&mut self, agreed: Agreed) {
        let Agreed { params, inflation, deflation } = agreed;
        self.sender.shared.set_compression(Compression::new(params, deflation));
        self.receiver.reader.set_inflation(inflation);
    }
}
