//! A client that speaks TLS, and the certificate that it trusts.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, LazyLock};

use barews::SelfSigned;
use barews::rustls::crypto::ring;
use barews::rustls::pki_types::ServerName;
use barews::rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion, version,
};

/// The certificate of all servers under test.
pub static CERTIFICATE: LazyLock<SelfSigned> =
    LazyLock::new(|| SelfSigned::new(["localhost"]).expect("a certificate"));

/// The settings of a server under test. It gives no tickets: a client that leaves with some of
/// them unread would reset the stream.
pub static SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
    let mut config = ServerConfig::clone(&CERTIFICATE.config());
    config.send_tls13_tickets = 0;
    Arc::new(config)
});

/// The settings of a client that speaks TLS 1.3.
pub static CLIENT: LazyLock<Arc<ClientConfig>> =
    LazyLock::new(|| Arc::new(client_config(&version::TLS13)));

/// The settings of a client that speaks this version.
pub fn client_config(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CERTIFICATE.certificate_der().clone()).expect("a root");
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version that the provider has")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A client's session.
pub fn session(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut conn = ClientConnection::new(Arc::clone(config), name).expect("a session");
    // One write takes what it is given, as a socket does.
    conn.set_buffer_limit(None);
    conn
}

/// TLS over TCP, as blocking as the socket.
pub struct TlsClient {
    pub tcp: TcpStream,
    pub conn: ClientConnection,
}

impl TlsClient {
    /// Does the handshake. If the server will not, the first read finds the end of the stream.
    pub fn connect(tcp: TcpStream) -> Self {
        let mut client = Self { tcp, conn: session(&CLIENT) };
        let _ = client.conn.complete_io(&mut client.tcp);
        client
    }

    /// Whether there is anything to be read: plaintext or an end, since the server sends nothing
    /// else after its handshake.
    pub fn peek(&mut self) -> io::Result<bool> {
        let state = self.conn.process_new_packets();
        if state.is_ok_and(|state| state.plaintext_bytes_to_read() == 0) {
            self.tcp.peek(&mut [0])?;
        }
        Ok(true)
    }

    /// Sends what the session has to say.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.conn.wants_write() {
            self.conn.write_tls(&mut self.tcp)?;
        }
        Ok(())
    }
}

impl Read for TlsClient {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.conn.reader().read(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The end of the stream without a close_notify, as TCP has it.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.conn.read_tls(&mut self.tcp)?;
            let state = self.conn.process_new_packets();
            state.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
    }
}

impl Write for TlsClient {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // What had no room before comes first.
        self.flush()?;
        let len = self.conn.writer().write(buf)?;
        match self.flush() {
            // The session has it, and it must not be given it again.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(len),
            flushed => flushed.map(|()| len),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
