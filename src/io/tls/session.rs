//! A session of TLS, without its stream: ciphertext in, plaintext out, and back.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use crate::io::tls_info::TlsInfo;

/// See the [module](self).
pub(super) struct Session {
    conn: ServerConnection,
    /// Whether anything has come of the peer.
    heard: bool,
    /// Whether the last read was short of a record, or of room: a larger one is worth its memory.
    hungry: bool,
    /// Why nothing more comes.
    end: Option<End>,
    /// Ciphertext that has come and was not decrypted yet; empty but for moments.
    retained: Vec<u8>,
    /// How much of it was.
    decrypted: usize,
}

/// What a read has led to.
pub(super) enum Received {
    /// So many bytes of plaintext, not none.
    Plaintext(usize),
    /// No plaintext yet.
    Nothing,
    /// Nor will there be any.
    End(End),
}

/// Why nothing more comes of the peer.
#[derive(Clone)]
pub(super) enum End {
    /// The stream ended.
    Stream,
    /// The peer said that it would send no more.
    CloseNotify,
    /// It speaks HTTP without TLS.
    PlainHttp,
    /// It broke the rules of TLS, or said that we did.
    Failed(rustls::Error),
}

/// A stream that nothing comes from.
struct Silent;

/// A record with its header, in bytes, as long as it may be (RFC 5246 §6.2.3).
const MAX_RECORD: usize = 5 + (16 << 10) + 2048;

/// How much is encrypted for one call that writes, in bytes: a message of 64 KiB with its header, in
/// five records. It is what a peer that does not read may hold.
const MAX_PIECE: usize = 5 * (16 << 10);

impl Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Session {
    /// # Errors
    ///
    /// `InvalidInput` for settings that no session can have.
    pub(super) fn new(config: Arc<ServerConfig>) -> io::Result<Self> {
        if config.max_early_data_size > 0 {
            let text = "TLS early data can be sent again by anybody: max_early_data_size must be 0";
            return Err(io::Error::new(ErrorKind::InvalidInput, text));
        }
        let conn = ServerConnection::new(config);
        let mut conn = conn.map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        conn.set_buffer_limit(Some(MAX_PIECE));
        Ok(Self {
            conn,
            heard: false,
            hungry: false,
            end: None,
            retained: Vec::new(),
            decrypted: 0,
        })
    }

    /// Whether the handshake is done.
    pub(super) fn is_open(&self) -> bool {
        !self.conn.is_handshaking() && !matches!(self.end, Some(End::Failed(_)))
    }

    /// What comes from now on is a connection's, which may be idle.
    pub(super) fn begin_traffic(&mut self) {
        self.hungry = false;
    }

    /// Whether anything has come of the peer.
    pub(super) fn was_heard(&self) -> bool {
        self.heard
    }

    pub(super) fn info(&self) -> Option<TlsInfo> {
        TlsInfo::of(&self.conn)
    }

    /// How much should be read with memory of its own, since the caller's `len` bytes are too few,
    /// or `None` if they are right.
    pub(super) fn room_to_read(&self, len: usize) -> Option<usize> {
        (self.hungry && len < MAX_RECORD).then_some(MAX_RECORD)
    }

    /// Gives back memory, if the peer has been silent for a while.
    pub(super) fn trim(&mut self) {
        // A read makes the buffer for records that have not come whole small again, if it is empty.
        // This one has nothing to give.
        let _ = self.conn.read_tls(&mut Silent);
    }

    /// Decrypts what was read with [memory of its own](Self::room_to_read), as much as there is room
    /// for; nothing is the end of the stream.
    pub(super) fn decrypt_owned(&mut self, bytes: Vec<u8>, buf: &mut [u8]) -> Received {
        debug_assert!(self.retained.is_empty());
        self.note(&bytes, MAX_RECORD);
        self.retained = bytes;
        let received = self.decrypt_retained(buf);
        self.hungry |= matches!(received, Received::Nothing);
        received
    }

    /// Decrypts of what an earlier read has left as much as there is room for.
    pub(super) fn decrypt_retained(&mut self, buf: &mut [u8]) -> Received {
        let mut len = self.take_plaintext(buf);
        while len < buf.len() && self.decrypted < self.retained.len() && self.end.is_none() {
            let retained = std::mem::take(&mut self.retained);
            self.decrypted += self.feed(&retained[self.decrypted..]);
            self.retained = retained;
            len += self.take_plaintext(&mut buf[len..]);
        }
        if self.decrypted >= self.retained.len() {
            (self.retained, self.decrypted) = (Vec::new(), 0);
        }
        self.received(len)
    }

    /// Decrypts the first `len` bytes of `buf`, of `most` that could have been read, to its
    /// beginning; none are the end of the stream.
    pub(super) fn decrypt(&mut self, buf: &mut [u8], len: usize, most: usize) -> Received {
        self.note(&buf[..len], most);
        let (mut fed, mut out) = (0, 0);
        while fed < len && self.end.is_none() {
            fed += self.feed(&buf[fed..len]);
            // Plaintext is shorter than its ciphertext. What does not fit, since it began in an
            // earlier read, is less than a record; it stays where it is.
            let room = if fed < len { fed } else { buf.len() };
            out += self.take_plaintext(&mut buf[out..room]);
        }
        self.hungry |= len > 0 && out == 0;
        self.received(out)
    }

    /// Encrypts as much as one piece has, and appends it to `out` behind what else is to be said;
    /// how much that was.
    ///
    /// # Errors
    ///
    /// If the session has failed, or its keys are used up.
    pub(super) fn encrypt(&mut self, bufs: &[IoSlice<'_>], out: &mut Vec<u8>) -> io::Result<usize> {
        // Behind what is waiting, which counts too.
        self.take_ciphertext(out);
        let len = self.conn.writer().write_vectored(bufs)?;
        self.take_ciphertext(out);
        Ok(len)
    }

    /// Appends what the session has to say.
    pub(super) fn take_ciphertext(&mut self, out: &mut Vec<u8>) {
        while self.conn.wants_write() {
            // A Vec takes all of it.
            if self.conn.write_tls(out).is_err() {
                return;
            }
        }
    }

    /// Says that we will send no more.
    pub(super) fn close(&mut self) {
        self.conn.send_close_notify();
    }

    /// Looks at what has come.
    fn note(&mut self, bytes: &[u8], most: usize) {
        match bytes.first() {
            None => self.end = self.end.take().or(Some(End::Stream)),
            // RFC 9110 §9.1: methods are in capitals; no record of TLS begins so (RFC 8446 §5.1).
            Some(first) if !self.heard && first.is_ascii_uppercase() => {
                self.end = Some(End::PlainHttp);
            }
            Some(_) => {}
        }
        self.heard |= !bytes.is_empty();
        self.hungry = bytes.len() == most;
    }

    /// Has the session take some of the ciphertext; how much.
    fn feed(&mut self, mut bytes: &[u8]) -> usize {
        // All plaintext was taken before, or is less than a record, so there is room for more. None
        // is taken behind a close_notify, where it means nothing.
        let fed = self.conn.read_tls(&mut bytes);
        match self.conn.process_new_packets() {
            Ok(state) if state.peer_has_closed() => self.end = Some(End::CloseNotify),
            Ok(_) => {}
            Err(error) => self.end = Some(End::Failed(error)),
        }
        fed.unwrap_or_else(|error| {
            let error = rustls::Error::General(error.to_string());
            self.end.get_or_insert(End::Failed(error));
            0
        })
    }

    /// Takes the plaintext that there is room for.
    fn take_plaintext(&mut self, buf: &mut [u8]) -> usize {
        let mut len = 0;
        while len < buf.len() {
            match self.conn.reader().read(&mut buf[len..]) {
                Ok(0) | Err(_) => break,
                Ok(more) => len += more,
            }
        }
        len
    }

    /// What has come before an end is received before it.
    fn received(&self, len: usize) -> Received {
        match &self.end {
            _ if len > 0 => Received::Plaintext(len),
            Some(end) => Received::End(end.clone()),
            None => Received::Nothing,
        }
    }
}
