//! Settings, certificates, and ends before the request.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use barews::http::{HandshakeError, HeadError};
use barews::rustls::pki_types::PrivatePkcs8KeyDer;
use barews::rustls::server::WebPkiClientVerifier;
use barews::rustls::{
    AlertDescription, ClientConfig, Error as TlsError, InvalidMessage, ProtocolVersion,
    RootCertStore, ServerConfig, version,
};
use barews::{Response, SelfSigned, Server, Status, TlsStream};
use socket2::SockRef;

use crate::common::tls::{CERTIFICATE, CLIENT, SERVER, client_config, session};
use crate::common::{
    Frame, PATIENCE, TEXT, TestServer, Unopened, frame, ms, r0, run, with_limits, with_timeouts,
};
use crate::{by_hand, ciphertext, connect, connect_with, dial, echo_server, server_with};

#[test]
fn both_versions_and_what_was_agreed_on() {
    let server = echo_server(|server| {
        server.on_request(|request| {
            let tls = request.tls().expect("it came over TLS");
            let text = format!(
                "{:?} {:?} {:?} {} {}",
                tls.protocol_version(),
                tls.server_name(),
                tls.alpn_protocol().map(<[u8]>::escape_ascii).map(|alpn| alpn.to_string()),
                tls.peer_certificates().len(),
                tls.is_resumed(),
            );
            Response::new(Status::OK, text)
        })
    });
    for (version, name) in
        [(&version::TLS12, ProtocolVersion::TLSv1_2), (&version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut config = client_config(version);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let mut client = connect_with(server.addr, &config).opened();
        client.send(frame(TEXT, "over TLS"));
        client.expect(&Frame::text("over TLS"));
        client.finish();
        let mut client = connect_with(server.addr, &config);
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let body = client.read_response().body;
        let expected = format!("{name:?} Some(\"localhost\") Some(\"http/1.1\") 0 ");
        let body = String::from_utf8(body).unwrap();
        assert!(body.starts_with(&expected), "{body}");
    }
    // Without TLS there is nothing to tell.
    let plain = TestServer::echo_with(|server| {
        server
            .on_request(|request| Response::new(Status::OK, format!("{}", request.tls().is_none())))
    });
    let mut client = plain.connect();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.read_response().body, b"true");
}

/// A server that wants to know who comes is told by `Request::tls`, before it accepts.
#[test]
fn a_clients_certificate() {
    let identity = SelfSigned::new(["client"]).unwrap();
    let key = barews::rustls::pki_types::PrivateKeyDer::from(
        <PrivatePkcs8KeyDer as barews::rustls::pki_types::pem::PemObject>::from_pem_slice(
            identity.key_pem().as_bytes(),
        )
        .unwrap(),
    );
    let mut roots = RootCertStore::empty();
    roots.add(identity.certificate_der().clone()).unwrap();
    let provider = Arc::new(barews::rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_cert_resolver(Arc::new(Resolver));
    let (sender, seen) = channel();
    let server = TestServer::echo_with(|server| {
        server.tls(Arc::new(config)).on_upgrade(move |request| {
            let _ = sender.send(request.tls().unwrap().peer_certificates().to_vec());
            Ok(barews::Accept::new())
        })
    });
    // Its use is that of a server, which is not what a client should have.
    let mut trusting = RootCertStore::empty();
    trusting.add(CERTIFICATE.certificate_der().clone()).unwrap();
    let with_certificate = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusting)
        .with_client_auth_cert(vec![identity.certificate_der().clone()], key)
        .unwrap();
    let mut client = connect_with(server.addr, &Arc::new(with_certificate));
    let _ = client.try_send(r0().bytes());
    let unopened = server.unopened(client.addr);
    assert!(matches!(unopened, Unopened::Tls(TlsError::InvalidCertificate(_))), "{unopened:?}");
    // Without one, none of it comes to a request.
    let mut client = connect(server.addr);
    let _ = client.try_send(r0().bytes());
    let unopened = server.unopened(client.addr);
    assert_eq!(unopened, Unopened::Tls(TlsError::NoCertificatesPresented));
    assert!(seen.try_recv().is_err());
}

/// Always the one certificate.
#[derive(Debug)]
struct Resolver;

impl barews::rustls::server::ResolvesServerCert for Resolver {
    fn resolve(
        &self,
        _: barews::rustls::server::ClientHello<'_>,
    ) -> Option<Arc<barews::rustls::sign::CertifiedKey>> {
        Some(CERTIFICATE.certified_key())
    }
}

/// Plain HTTP is answered in plain HTTP, however it comes.
#[test]
fn plain_http_is_told_what_to_speak() {
    let server = echo_server(|server| server);
    for piece in [1, 7, usize::MAX] {
        let mut client = crate::common::RawClient::connect(server.addr);
        let request = r0().bytes();
        for piece in request.chunks(piece.min(request.len())) {
            client.try_send(piece).expect("it is read, and not cut off");
        }
        let response = client.expect_refusal(400);
        let body = String::from_utf8(response.body).unwrap();
        assert!(body.contains("TLS") && body.contains("wss://"), "{body}");
        let refused = Unopened::Refused(HandshakeError::Head(HeadError::PlainHttp));
        assert_eq!(server.unopened(client.addr), refused);
    }
}

/// What is neither gets an alert (RFC 8446 §6.2), and costs nothing but its stream.
#[test]
fn neither_http_nor_tls() {
    let server = echo_server(|server| server);
    for bytes in
        [&b"\0\0\0\0\0\0\0\0"[..], b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\0\x05hello", b"\x80"]
    {
        let mut tcp = dial(server.addr);
        tcp.write_all(bytes).unwrap();
        let _ = tcp.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).expect("a good end");
        let unopened = server.unopened(tcp.local_addr().unwrap());
        match unopened {
            // rustls has no alert for it.
            Unopened::Tls(TlsError::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge)) => {
                assert!(answer.is_empty(), "{answer:?}");
            }
            // A fatal alert, in a record of its own.
            Unopened::Tls(_) => assert_eq!(answer[..6], [0x15, 3, 3, 0, 2, 2], "{answer:?}"),
            // A byte is not enough to tell.
            Unopened::Io(kind) => {
                assert_eq!((kind, answer.len()), (std::io::ErrorKind::UnexpectedEof, 0));
            }
            other => panic!("{other:?}"),
        }
    }
    connect(server.addr).opened().finish();
}

/// A client that does not trust the certificate says so, and the operator hears it.
#[test]
fn a_client_that_does_not_trust_us() {
    let (sender, said) = channel();
    let server = Server::bind("127.0.0.1:0").unwrap().tls(SERVER.clone());
    let server = server.on_error(move |_, error| sender.send(error.to_string()).unwrap());
    let (addr, handle) = (server.local_addr().unwrap(), server.shutdown_handle());
    let thread = std::thread::spawn(move || run(server, |_| Ok(())));
    let stranger = SelfSigned::new(["localhost"]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(stranger.certificate_der().clone()).unwrap();
    let provider = Arc::new(barews::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (mut tcp, mut conn) = (dial(addr), session(&Arc::new(config)));
    conn.complete_io(&mut tcp).expect_err("it does not trust us");
    let said = said.recv_timeout(PATIENCE).unwrap();
    assert!(said.contains("does not trust our certificate"), "{said}");
    handle.shutdown(PATIENCE);
    thread.join().unwrap().unwrap();
}

/// Who connects and leaves has asked for nothing; who leaves in the middle of a handshake has.
#[test]
fn ends_before_the_request() {
    let server = echo_server(|server| server);
    let hello = ciphertext(&mut session(&CLIENT));
    let reset = |tcp: &std::net::TcpStream| {
        SockRef::from(tcp).set_linger(Some(Duration::ZERO)).unwrap();
    };
    for (sent, resets, unopened) in [
        (0, false, Unopened::NoRequest),
        (0, true, Unopened::NoRequest),
        (1, false, Unopened::Io(std::io::ErrorKind::UnexpectedEof)),
        (hello.len() - 1, false, Unopened::Io(std::io::ErrorKind::UnexpectedEof)),
        (hello.len(), false, Unopened::Io(std::io::ErrorKind::UnexpectedEof)),
        (hello.len(), true, Unopened::Io(std::io::ErrorKind::ConnectionReset)),
    ] {
        let mut tcp = dial(server.addr);
        tcp.write_all(&hello[..sent]).unwrap();
        if sent == hello.len() {
            // Our flight is on its way, and is taken.
            tcp.read_exact(&mut [0; 5]).unwrap();
            let mut rest = vec![0; 64 << 10];
            tcp.set_read_timeout(Some(ms(100))).unwrap();
            while tcp.read(&mut rest).is_ok() {}
        }
        if resets {
            reset(&tcp);
        }
        let peer = tcp.local_addr().unwrap();
        drop(tcp);
        assert_eq!(server.unopened(peer), unopened, "{sent} bytes, reset {resets}");
    }
    // With the handshake done, but no byte of a request.
    let client = connect(server.addr);
    let peer = client.addr;
    drop(client);
    assert_eq!(server.unopened(peer), Unopened::NoRequest);
    let (mut tcp, mut conn) = by_hand(server.addr);
    conn.send_close_notify();
    tcp.write_all(&ciphertext(&mut conn)).unwrap();
    assert_eq!(server.unopened(tcp.local_addr().unwrap()), Unopened::NoRequest);
}

/// An alert of the peer's after its handshake, and none of ours in answer.
#[test]
fn an_alert_in_place_of_a_request() {
    let server = echo_server(|server| server);
    let (mut tcp, _) = by_hand(server.addr);
    // A plaintext alert is no record of this session.
    tcp.write_all(b"\x15\x03\x03\0\x02\x02\x28").unwrap();
    let unopened = server.unopened(tcp.local_addr().unwrap());
    let decrypt = Unopened::Tls(TlsError::DecryptError);
    let alert = Unopened::Tls(TlsError::AlertReceived(AlertDescription::HandshakeFailure));
    assert!(unopened == decrypt || unopened == alert, "{unopened:?}");
}

/// One that is too many is turned away before anything is computed for it.
#[test]
fn the_cap_holds_before_the_handshake() {
    let server = echo_server(|server| server.config(with_limits(|l| l.max_connections = 1)));
    let mut first = connect(server.addr).opened();
    let mut tcp = dial(server.addr);
    tcp.write_all(&ciphertext(&mut session(&CLIENT))).unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).expect("a good end");
    assert!(answer.is_empty(), "{answer:?}");
    assert_eq!(server.unopened(tcp.local_addr().unwrap()), Unopened::TooManyConnections);
    first.finish();
}

/// A shutdown cuts those in their handshake, and tells the others.
#[test]
fn a_shutdown() {
    let mut server = echo_server(|server| {
        server.config(with_timeouts(|timeouts| timeouts.handshake = PATIENCE))
    });
    let mut open = connect(server.addr).opened();
    let silent = dial(server.addr);
    let mut half = dial(server.addr);
    half.write_all(&ciphertext(&mut session(&CLIENT))).unwrap();
    half.read_exact(&mut [0; 5]).unwrap();
    let no_request = connect(server.addr);
    let thread = std::thread::spawn(move || {
        assert_eq!(open.read_frame().expect("a Close").close_parts().0, 1001);
        open.send(crate::common::close(1001, ""));
        open.expect_eof();
    });
    assert!(server.stop(PATIENCE) < ms(5000));
    thread.join().unwrap();
    drop((silent, half, no_request));
}

/// Early data could be played again, so it is refused where the settings are.
#[test]
fn early_data_is_refused() {
    let mut config = ServerConfig::clone(&SERVER);
    config.max_early_data_size = 1;
    let config = Arc::new(config);
    let server = Server::bind("127.0.0.1:0").unwrap().tls(config.clone());
    let error = run(server, |_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
    let server = server_with(|_| Ok(()));
    let error = TlsStream::new(dial(server.addr), config).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
}

#[test]
fn certificates_that_cannot_be() {
    assert!(SelfSigned::new([""; 0]).is_err());
    assert!(SelfSigned::new(["\u{2603}"]).is_err());
    let tls = SelfSigned::new(["localhost", "*.example.com", "127.0.0.1", "::1"]).unwrap();
    let pem = tls.certificate_pem();
    let parsed = <barews::rustls::pki_types::CertificateDer as
        barews::rustls::pki_types::pem::PemObject>::from_pem_slice(pem.as_bytes());
    assert_eq!(&parsed.unwrap(), tls.certificate_der());
    assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
}

/// The time of a handshake counts as that of the request.
#[test]
fn the_handshake_deadline_is_one_for_both() {
    let deadline = ms(300);
    let server = echo_server(|server| {
        server.config(with_timeouts(|timeouts| {
            timeouts.handshake = deadline;
            timeouts.close = deadline;
        }))
    });
    let start = Instant::now();
    let mut client = connect(server.addr);
    client.expect_refusal(408);
    let spent = start.elapsed();
    assert!(spent >= deadline - ms(20) && spent < deadline + ms(1500), "{spent:?}");
    assert_eq!(server.unopened(client.addr), Unopened::TimedOut);
}
