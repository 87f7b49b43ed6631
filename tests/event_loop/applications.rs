//! What is the application's, and panics where nobody looks.

use std::sync::Mutex;

use super::common::*;
use super::server::{Hooks, config, handing_out, open};

/// Panics where it is dropped.
struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// The end of a connection is nobody else's, whatever was given to `on_sent`.
#[test]
fn what_is_in_a_queue_ends_no_loop() {
    let (server, senders) = handing_out(config(|_| ()), Hooks::echo());
    let (mut other, _sender) = open(&server, &senders);
    let (mut client, sender) = open(&server, &senders);
    let queue = sender.queued(1 << 20).unwrap();
    let panics = Mutex::new(Panics);
    queue.on_sent(move |_| {
        let _ = &panics;
    });
    client.send(close(1000, ""));
    let _ = client.heard_within(ms(2000));
    other.send(frame(TEXT, "still there"));
    assert!(other.heard_within(ms(2000)));
    other.expect(&Frame::text("still there"));
    std::mem::forget(queue);
}

/// The application chooses the certificate, and may panic there: that is nobody else's end.
#[cfg(feature = "tls")]
#[test]
fn a_certificate_that_panics_ends_no_loop() {
    use super::common::stream::Stream;
    use super::common::tls::{CLIENT, SERVER, TlsClient};
    use super::server::LoopServer;
    use barews::rustls::ClientConnection;
    use barews::rustls::ServerConfig;
    use barews::rustls::pki_types::ServerName;
    use barews::rustls::server::{ClientHello, ResolvesServerCert};
    use barews::rustls::sign::CertifiedKey;
    use std::net::TcpStream;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Chooses(Arc<dyn ResolvesServerCert>);
    impl ResolvesServerCert for Chooses {
        fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            assert_ne!(hello.server_name(), Some("unknown.example"), "no such name");
            self.0.resolve(hello)
        }
    }
    let mut tls = ServerConfig::clone(&SERVER);
    tls.cert_resolver = Arc::new(Chooses(Arc::clone(&tls.cert_resolver)));
    let tls = Arc::new(tls);
    let server = LoopServer::with(|server| server.config(config(|_| ())).tls(tls), Hooks::echo());
    let dial = || {
        let tcp = TcpStream::connect(server.addr).unwrap();
        tcp.set_read_timeout(Some(ms(3000))).unwrap();
        tcp
    };
    let mut other = RawClient::over(Stream::Tls(Box::new(TlsClient::connect(dial())))).opened();
    let name = ServerName::try_from("unknown.example").unwrap();
    let mut conn = ClientConnection::new(Arc::clone(&CLIENT), name).unwrap();
    let _ = conn.complete_io(&mut dial());
    other.send(frame(TEXT, "still there"));
    assert!(other.heard_within(ms(2000)));
    other.expect(&Frame::text("still there"));
}
