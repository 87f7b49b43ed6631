//! A server over TLS, and clients whose every byte is the test's.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use barews::rustls::{ClientConfig, ClientConnection};
use barews::{BoxError, Connection, Server};

use crate::common::client::RawClient;
use crate::common::stream::Stream;
use crate::common::tls::{CLIENT, SERVER, TlsClient, session};
use crate::common::{PATIENCE, TestServer};

/// An echo server over TLS.
pub fn echo_server(set_up: impl FnOnce(Server) -> Server) -> TestServer {
    TestServer::echo_with(|server| set_up(server.tls(Arc::clone(&SERVER))))
}

/// A server over TLS with a handler of the test's own.
pub fn server_with<H>(handler: H) -> TestServer
where
    H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
{
    TestServer::with_handler(|server| server.tls(Arc::clone(&SERVER)), handler)
}

/// A TCP connection, all of whose calls are bounded.
pub fn dial(addr: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(addr).expect("connect");
    tcp.set_nodelay(true).expect("set_nodelay");
    tcp.set_read_timeout(Some(PATIENCE)).expect("set_read_timeout");
    tcp.set_write_timeout(Some(PATIENCE)).expect("set_write_timeout");
    tcp
}

/// A client after the handshake of TLS, with settings of its own.
pub fn connect_with(addr: SocketAddr, config: &Arc<ClientConfig>) -> RawClient {
    let mut client = TlsClient { tcp: dial(addr), conn: session(config) };
    client.conn.complete_io(&mut client.tcp).expect("a handshake");
    RawClient::over(Stream::Tls(Box::new(client)))
}

/// The same with the usual settings.
pub fn connect(addr: SocketAddr) -> RawClient {
    connect_with(addr, &CLIENT)
}

/// A client whose session and socket are the test's to drive, with the handshake done.
pub fn by_hand(addr: SocketAddr) -> (TcpStream, ClientConnection) {
    let (mut tcp, mut conn) = (dial(addr), session(&CLIENT));
    conn.complete_io(&mut tcp).expect("a handshake");
    (tcp, conn)
}

/// The ciphertext that a session has to send.
pub fn ciphertext(conn: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while conn.wants_write() {
        conn.write_tls(&mut bytes).expect("a Vec takes it");
    }
    bytes
}

/// The ciphertext of this plaintext.
pub fn encrypt(conn: &mut ClientConnection, plaintext: &[u8]) -> Vec<u8> {
    conn.writer().write_all(plaintext).expect("a session that is open");
    ciphertext(conn)
}

/// Reads so much plaintext.
pub fn read_plaintext(tcp: &mut TcpStream, conn: &mut ClientConnection, len: usize) -> Vec<u8> {
    let (mut plaintext, mut done) = (vec![0; len], 0);
    while done < len {
        match conn.reader().read(&mut plaintext[done..]) {
            Ok(0) => panic!("the end, after {done} of {len} bytes"),
            Ok(more) => done += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(conn.read_tls(tcp).expect("ciphertext") > 0, "{done} of {len} bytes");
                conn.process_new_packets().expect("records");
            }
            Err(error) => panic!("{error}, after {done} of {len} bytes"),
        }
    }
    plaintext
}
