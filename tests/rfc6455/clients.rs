//! A client that somebody else wrote: what it takes for a conversation, this server must too.

use tungstenite::client::{IntoClientRequest, client};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::{Error, Message, WebSocket};

use crate::common::TestServer;
use crate::common::stream::Stream;

type Client = WebSocket<Stream>;

fn connect(server: &TestServer) -> Client {
    let stream = server.connect().into_stream();
    let (client, response) = client(format!("ws://{}/", server.addr), stream).expect("a handshake");
    assert_eq!(response.status(), 101);
    client
}

/// Closes, and reads to the end.
fn close(mut client: Client) {
    let frame = CloseFrame { code: CloseCode::from(3456), reason: "done".into() };
    client.close(Some(frame.clone())).expect("close");
    loop {
        match client.read() {
            Ok(Message::Close(theirs)) => assert_eq!(theirs, Some(frame.clone())),
            Err(Error::ConnectionClosed) => return,
            other => panic!("{other:?}"),
        }
    }
}

fn echoes(client: &mut Client, message: Message) {
    client.send(message.clone()).expect("send");
    let echo = client.read().expect("read");
    assert!(echo == message, "{} bytes came back as {}", message.len(), echo.len());
}

#[test]
fn text_and_binary_of_many_lengths() {
    let server = TestServer::start();
    let mut client = connect(&server);
    for len in [0, 1, 125, 126, 127, 1000, 4095, 4096, 65_535, 65_536, 65_537, 300_000] {
        echoes(&mut client, Message::binary((0..len).map(|n| n as u8).collect::<Vec<u8>>()));
        echoes(&mut client, Message::text("\u{2603}".repeat(len / 3)));
    }
    let peer = client.get_ref().tcp().local_addr().expect("local_addr");
    close(client);
    let ended = server.ended(peer);
    assert!(ended.result.is_ok() && ended.messages == 24, "{ended:?}");
}

#[test]
fn messages_of_16_mib() {
    let server = TestServer::start();
    let mut client = connect(&server);
    echoes(&mut client, Message::binary(vec![0xc3; 16 << 20]));
    echoes(&mut client, Message::text("\u{1f600}".repeat(4 << 20)));
    close(client);
}

#[test]
fn fragmented_messages() {
    let server = TestServer::start();
    let mut client = connect(&server);
    let text = "h\u{e9}llo \u{2603} \u{1f600}".repeat(100);
    for size in [1, 7, 100, 1000] {
        for (data, whole) in [
            (Data::Text, Message::text(text.clone())),
            (Data::Binary, Message::binary(text.clone().into_bytes())),
        ] {
            let parts: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            for (index, part) in parts.iter().enumerate() {
                let opcode = OpCode::Data(if index == 0 { data } else { Data::Continue });
                let last = index + 1 == parts.len();
                let frame = Frame::message(part.to_vec(), opcode, last);
                client.write(Message::Frame(frame)).expect("write");
            }
            client.flush().expect("flush");
            let echo = client.read().expect("read");
            assert!(echo == whole, "in parts of {size}");
        }
    }
    close(client);
}

#[test]
fn pings() {
    let server = TestServer::start();
    let mut client = connect(&server);
    for len in [0, 1, 124, 125] {
        client.send(Message::Ping(vec![b'p'; len].into())).expect("send");
        assert_eq!(client.read().expect("read"), Message::Pong(vec![b'p'; len].into()));
    }
    client.send(Message::Pong("unsolicited".into())).expect("send");
    echoes(&mut client, Message::text("still here"));
    close(client);
}

/// Many messages before the first answer is read.
#[test]
fn a_batch() {
    let server = TestServer::start();
    let mut client = connect(&server);
    for n in 0..1000 {
        client.write(Message::text(n.to_string())).expect("write");
    }
    client.flush().expect("flush");
    for n in 0..1000 {
        assert_eq!(client.read().expect("read"), Message::text(n.to_string()));
    }
    close(client);
}

/// A close without a code, and a stream that just ends.
#[test]
fn other_ends() {
    let server = TestServer::start();
    let mut client = connect(&server);
    client.close(None).expect("close");
    assert_eq!(client.read().expect("read"), Message::Close(None));
    assert!(matches!(client.read(), Err(Error::ConnectionClosed)));
    drop(client);
    let mut client = connect(&server);
    echoes(&mut client, Message::text("no goodbye"));
    drop(client);
}

/// Its checks of the response are not ours: subprotocols and all.
#[test]
fn a_subprotocol() {
    let server = TestServer::echo_with(|server| {
        server.on_upgrade(|request| {
            Ok(barews::Accept::new().select_subprotocol(request, &["chat", "superchat"]))
        })
    });
    let mut request = format!("ws://{}/", server.addr).into_client_request().expect("a request");
    let offer = "soap, superchat".parse().expect("a value");
    request.headers_mut().insert("Sec-WebSocket-Protocol", offer);
    let stream = server.connect().into_stream();
    let (client, response) = client(request, stream).expect("a handshake");
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "superchat");
    close(client);
}
