//! A client that speaks TLS in memory, for what is counted and not timed: its server's side is.

use std::io::{self, IoSlice, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use barews::rustls::crypto::ring;
use barews::rustls::pki_types::ServerName;
use barews::rustls::{ClientConfig, ClientConnection, RootCertStore};
use barews::{SelfSigned, Transport};

/// Says one thing once the handshake is done, and then another so many times, no more of it than one
/// record with a read. Takes all that is written, and does not look at it after the handshake.
pub struct Client(Mutex<State>);

struct State {
    session: ClientConnection,
    /// What it has to say.
    first: Vec<u8>,
    then: Vec<u8>,
    times: usize,
    /// The same as ciphertext, as far as that can be known, and how much of it was read.
    ciphertext: Vec<u8>,
    read: usize,
    /// What is left of the record that was begun.
    record: usize,
}

/// A record's header: its type, a version, and how long the rest is (RFC 8446 §5.1).
const HEADER: usize = 5;

impl Client {
    /// # Panics
    ///
    /// If there is no randomness to be had.
    #[must_use]
    pub fn new(server: &SelfSigned, first: &[u8], then: &[u8], times: usize) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(server.certificate_der().clone()).expect("a certificate");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("the provider has them");
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST).into());
        let mut session = ClientConnection::new(Arc::new(config), name).expect("a session");
        session.set_buffer_limit(None);
        Self(Mutex::new(State {
            session,
            first: first.to_vec(),
            then: then.to_vec(),
            times,
            ciphertext: Vec::new(),
            read: 0,
            record: 0,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }
}

impl State {
    /// Takes what the server has to say in the handshake.
    fn hear(&mut self, mut ciphertext: &[u8]) {
        while self.session.is_handshaking() && !ciphertext.is_empty() {
            self.session.read_tls(&mut ciphertext).expect("memory can be read");
            self.session.process_new_packets().expect("a handshake without a fault");
        }
    }

    /// Encrypts all that there is to say now.
    fn speak(&mut self) {
        if !self.session.is_handshaking() {
            let (first, then) = (std::mem::take(&mut self.first), self.then.clone());
            let times = std::mem::take(&mut self.times);
            let all = std::iter::once(&first).chain(std::iter::repeat_n(&then, times));
            all.for_each(|text| self.session.writer().write_all(text).expect("no limit"));
        }
        while self.session.wants_write() {
            self.session.write_tls(&mut self.ciphertext).expect("memory takes all");
        }
    }
}

impl Transport for Client {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.read == state.ciphertext.len() {
            state.speak();
        }
        let rest = &state.ciphertext[state.read..];
        let record = match *rest {
            [_, _, _, high, low, ..] if state.record == 0 => {
                HEADER + usize::from(u16::from_be_bytes([high, low]))
            }
            _ => state.record,
        };
        let len = buf.len().min(record);
        buf[..len].copy_from_slice(&rest[..len]);
        state.read += len;
        state.record = record - len;
        Ok(len)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state();
        bufs.iter().for_each(|buf| state.hear(buf));
        Ok(bufs.iter().map(|buf| buf.len()).sum())
    }

    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}
