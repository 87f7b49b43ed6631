//! An echo over TLS, with a certificate from files.

use std::fs;
use std::net::TcpStream;
use std::sync::Arc;

use barews::SelfSigned;
use barews::rustls::pki_types::ServerName;
use barews::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tungstenite::{Error, Message};

use crate::common::PATIENCE;
use crate::program::{Folder, start};

#[test]
fn a_client_that_trusts_the_certificate_has_its_echo() {
    let folder = Folder::new("tls");
    let (chain, key) = (folder.0.join("chain.pem"), folder.0.join("key.pem"));
    let own = SelfSigned::new(["localhost"]).expect("a certificate");
    fs::write(&chain, own.certificate_pem()).unwrap();
    fs::write(&key, own.key_pem()).unwrap();
    let example = start("tls", &[chain.to_str().unwrap(), key.to_str().unwrap()]);

    let mut roots = RootCertStore::empty();
    roots.add(own.certificate_der().clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(example.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let stream = StreamOwned::new(session, stream);
    let (mut client, _) = tungstenite::client("wss://localhost/", stream).unwrap();
    for message in [Message::text("h\u{e9}llo"), Message::binary(vec![7; 1 << 20])] {
        client.send(message.clone()).unwrap();
        assert_eq!(client.read().unwrap(), message);
    }
    client.close(None).unwrap();
    assert!(matches!(client.read(), Ok(Message::Close(None))));
    assert!(matches!(client.read(), Err(Error::ConnectionClosed | Error::Io(_))));
}
