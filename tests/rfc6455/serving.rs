//! The server around the connections: what the application decides, what becomes of its failures,
//! and how it all ends.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;

use barews::http::InvalidResponse;
use barews::{Accept, Config, Message, Reject, Response, Server, Status, Upgrade, UpgradeError};

use crate::common::{
    Frame, PATIENCE, RawClient, Request, TEXT, TestServer, Unopened, close, frame, hex, r0,
};

fn plain(line: &str) -> Vec<u8> {
    Request::new(line).add("Host: localhost").bytes()
}

#[test]
fn h67_one_subprotocol_is_chosen() {
    let server = TestServer::with_handler(
        |server| {
            server.on_upgrade(|request| Ok(Accept::new().select_subprotocol(request, &["b", "c"])))
        },
        |mut conn| {
            let chosen = conn.subprotocol().map(str::to_owned);
            conn.send(&format!("{chosen:?}"))?;
            Ok(conn.close(barews::CloseCode::NORMAL, "")?)
        },
    );
    for (offers, chosen) in [
        (vec!["a, b"], Some("b")),
        (vec!["a,b,c"], Some("b")),
        (vec!["c, b"], Some("c")),
        (vec!["a", "b"], Some("b")),
        (vec!["a"], None),
        (vec!["B"], None),
        (vec![], None),
    ] {
        let mut request = r0();
        for offer in offers {
            request = request.add(format!("Sec-WebSocket-Protocol: {offer}"));
        }
        let mut client = server.connect();
        client.send([request.bytes(), close(1000, "")].concat());
        let response = client.expect_upgrade();
        assert_eq!(response.header("sec-websocket-protocol"), chosen);
        client.expect(&Frame::text(format!("{:?}", chosen)));
        client.expect_close(1000);
    }
}

#[test]
fn headers_of_the_answer() {
    let server = TestServer::echo_with(|server| {
        server.on_upgrade(|_| Ok(Accept::new().header("Set-Cookie", "a=b").header("X", "")))
    });
    let mut client = server.connect();
    client.send(r0().bytes());
    let response = client.expect_upgrade();
    assert_eq!(response.header("set-cookie"), Some("a=b"));
    assert_eq!(response.header("x"), Some(""));
    client.finish();
}

/// An answer that would break the response is not sent: 500, and the server's owner hears why.
#[test]
fn answers_that_cannot_be_sent() {
    let bad: [(fn() -> Accept, InvalidResponse); 6] = [
        (|| Accept::new().subprotocol("never offered"), InvalidResponse::SubprotocolNotOffered),
        (|| Accept::new().header("X", "a\r\nY: b"), InvalidResponse::HeaderValue),
        (|| Accept::new().header("X y", "a"), InvalidResponse::HeaderName),
        (|| Accept::new().header("Connection", "close"), InvalidResponse::ReservedHeader),
        (|| Accept::new().header("sec-websocket-accept", "a"), InvalidResponse::ReservedHeader),
        (|| Accept::new().header("Content-Length", "5"), InvalidResponse::ReservedHeader),
    ];
    for (accept, error) in bad {
        let server = TestServer::echo_with(|server| server.on_upgrade(move |_| Ok(accept())));
        let mut client = server.connect();
        client.send(r0().bytes());
        client.expect_refusal(500);
        let peer = client.addr;
        drop(client);
        assert_eq!(server.unopened(peer), Unopened::InvalidResponse(error));
    }
    let response = Response::new(Status::OK, "").header("X", "a\nb");
    let server = TestServer::echo_with(|server| server.on_request(move |_| response.clone()));
    let mut client = server.connect();
    client.send(plain("GET / HTTP/1.1"));
    client.expect_refusal(500);
    let peer = client.addr;
    drop(client);
    assert_eq!(server.unopened(peer), Unopened::InvalidResponse(InvalidResponse::HeaderValue));
}

#[test]
fn requests_that_the_application_rejects() {
    let server = TestServer::echo_with(|server| {
        server.on_upgrade(|request| {
            let code = request.path()[1..].parse().expect("a number");
            let status = Status::new(code).expect("a final status");
            Err(Reject::new(status, "no\n").header("X-Why", "tested"))
        })
    });
    for code in [200, 302, 401, 403, 404, 426, 429, 503, 599] {
        let mut client = server.connect();
        // A frame sent ahead is no reason to answer otherwise.
        client.send([r0().target(&format!("/{code}")).bytes(), frame(TEXT, "early")].concat());
        let response = client.expect_refusal(code);
        assert_eq!(response.header("x-why"), Some("tested"));
        assert_eq!(response.body, b"no\n");
        let peer = client.addr;
        drop(client);
        assert_eq!(server.unopened(peer), Unopened::Answered(code));
    }
}

/// The application sees the request as it came, before the upgrade and for as long as the
/// connection lasts; and is not asked about one that is not valid.
#[test]
fn the_request_as_the_application_sees_it() {
    let (sender, requests) = channel();
    let of_upgrade = sender.clone();
    let server = TestServer::with_handler(
        move |server| {
            server.on_upgrade(move |request| {
                of_upgrade.send((request.clone(), request.peer_addr())).expect("the test waits");
                Ok(Accept::new())
            })
        },
        move |conn| {
            sender.send((conn.request().clone(), conn.peer_addr())).expect("the test waits");
            Ok(())
        },
    );
    for invalid in [r0().without("Host"), r0().set("Sec-WebSocket-Version", "8")] {
        let mut client = server.connect();
        client.send(invalid.bytes());
        client.read_response();
    }
    let mut client = server.connect();
    client.send(r0().target("/chat?room=1").add("X: a").add("x:  b\t").bytes());
    client.expect_upgrade();
    client.expect_close(1000);
    for _ in 0..2 {
        let (request, peer) = requests.recv_timeout(PATIENCE).unwrap();
        assert_eq!(peer, Some(client.addr));
        assert_eq!((request.method(), request.target()), ("GET", "/chat?room=1"));
        assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
        assert_eq!(request.minor_version(), 1);
        assert_eq!(request.header("host").as_deref(), Some("localhost"));
        assert_eq!(request.header_values("X").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(request.headers().count(), 7);
    }
    drop(client);
    assert!(requests.try_recv().is_err(), "nobody asked about the others");
}

/// Plain requests get what the application answers; a handshake that fails does not.
#[test]
fn plain_requests() {
    let server = TestServer::echo_with(|server| {
        server.on_request(|request| {
            let body = format!("{} {}\n", request.method(), request.target());
            Response::new(Status::OK, body).header("Cache-Control", "no-store")
        })
    });
    for line in ["GET /health HTTP/1.1", "POST / HTTP/1.1", "GET /old HTTP/1.0", "get / HTTP/1.1"] {
        let mut client = server.connect();
        client.send(plain(line));
        let response = client.expect_refusal(200);
        assert_eq!(response.header("cache-control"), Some("no-store"));
        let expected = line.rsplit_once(' ').unwrap().0;
        assert_eq!(response.body, format!("{expected}\n").as_bytes());
    }
    for (request, status) in [
        (r0().without("Upgrade"), 426),
        (r0().without("Sec-WebSocket-Key"), 400),
        (Request::new("GET / HTTP/1.1"), 400),
        (Request::new("POST / HTTP/1.1").add("Host: a").add("Content-Length: 1"), 400),
    ] {
        let mut client = server.connect();
        client.send(request.bytes());
        client.expect_refusal(status);
    }
    // And a handshake that is right is none of its business.
    server.open().finish();
}

/// RFC 9110 §9.3.2: the answer to HEAD is that to GET, without the body.
#[test]
fn head_has_no_body() {
    let server =
        TestServer::echo_with(|server| server.on_request(|_| Response::new(Status::OK, "12345")));
    let default = TestServer::start();
    for (server, status, length) in
        [(&server, "200 OK", Some("5")), (&default, "400 Bad Request", None)]
    {
        let mut client = server.connect();
        client.send(plain("HEAD / HTTP/1.1"));
        let response = String::from_utf8(client.read_all()).unwrap();
        assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{response}");
        assert!(response.ends_with("\r\n\r\n"), "{response}");
        assert!(response.contains("\r\nContent-Length: "), "{response}");
        if let Some(length) = length {
            assert!(response.contains(&format!("\r\nContent-Length: {length}\r\n")), "{response}");
        }
    }
}

#[test]
fn callbacks_that_panic() {
    let server = TestServer::echo_with(|server| {
        server
            .on_upgrade(|request| match request.path() {
                "/panic" => panic!("as the test has it"),
                _ => Ok(Accept::new()),
            })
            .on_request(|_| panic!("as the test has it"))
    });
    for request in [r0().target("/panic").bytes(), plain("GET / HTTP/1.1")] {
        let mut client = server.connect();
        client.send(request);
        client.expect_refusal(500);
        let peer = client.addr;
        drop(client);
        assert_eq!(server.unopened(peer), Unopened::Panicked("as the test has it".to_owned()));
    }
    server.open().finish();
}

/// How a handler ends decides how its connection does, and no other (§7.4.1).
#[test]
fn f10_handlers_that_end() {
    let server = TestServer::with_handler(
        |server| server,
        |mut conn| {
            let mut buf = Vec::new();
            while let Some(message) = conn.recv(&mut buf)? {
                match message.as_bytes() {
                    b"ok" => return Ok(()),
                    b"err" => return Err("as the test has it".into()),
                    b"panic" => panic!("as the test has it"),
                    _ => conn.send(message)?,
                }
            }
            Ok(())
        },
    );
    let mut other = server.open();
    for (word, code) in [("ok", 1000), ("err", 1011), ("panic", 1011)] {
        let mut client = server.open();
        client.send(frame(TEXT, word));
        client.expect_close(code);
        other.send(frame(TEXT, "other"));
        other.expect(&Frame::text("other"));
    }
    other.finish();
}

/// F11: a handler's panic in the middle of a message takes the rest of the connection with it.
#[test]
fn f11_a_panic_under_the_lock_of_a_message() {
    let server = TestServer::with_handler(
        |server| server,
        |conn| {
            let (_receiver, sender) = conn.split();
            let mut writer = sender.writer(barews::MessageType::Text);
            writer.write_all(b"part")?;
            panic!("as the test has it");
        },
    );
    for _ in 0..2 {
        let mut client = server.open();
        client.expect(&Frame::new(0x01, "part"));
        client.expect_close(1011);
    }
}

#[test]
fn the_owner_hears_of_errors() {
    let (sender, errors) = channel();
    let server = TestServer::with_handler(
        move |server| {
            server.on_error(move |context, error| {
                let kind = error.downcast_ref::<UpgradeError>().map(Unopened::new);
                sender
                    .send((context.peer_addr(), kind, error.to_string()))
                    .expect("the test waits");
                panic!("a panic here is nobody's business");
            })
        },
        |mut conn| match conn.request().path() {
            "/err" => Err("handler's own".into()),
            "/panic" => panic!("handler's {}", "last"),
            _ => Ok(conn.recv(&mut Vec::new()).map(drop)?),
        },
    );
    let heard = |request: Vec<u8>| {
        let mut client = server.connect();
        client.send(request);
        if client.read_response().status == 101 {
            client.expect_close(1011);
        }
        let peer = client.addr;
        drop(client);
        let (other, kind, text) = errors.recv_timeout(PATIENCE).unwrap();
        assert_eq!(other, Some(peer));
        (kind, text)
    };
    assert_eq!(heard(r0().target("/err").bytes()), (None, "handler's own".to_owned()));
    let (kind, text) = heard(r0().target("/panic").bytes());
    assert!(kind.is_none() && text.contains("handler's last"), "{text}");
    let (kind, _) = heard(plain("GET / HTTP/1.1"));
    assert!(matches!(kind, Some(Unopened::Refused(_))));
    // An error of the connection is passed on as it is, and nothing else is heard of.
    let mut client = server.open();
    client.send(hex("83 80 m"));
    client.expect_close(1002);
    let peer = client.addr;
    drop(client);
    let (other, kind, text) = errors.recv_timeout(PATIENCE).unwrap();
    assert_eq!((other, kind), (Some(peer), None));
    assert!(text.contains("opcode 0x3"), "{text}");
    server.open().finish();
    drop(server);
    let more: Vec<_> = errors.iter().collect();
    assert!(more.is_empty(), "nothing was wrong: {more:?}");
}

/// F20: a port in use is an error that says so, and a port that was given up binds again.
#[test]
fn f20_ports() {
    let mut first = TestServer::start();
    let busy = Server::bind(first.addr).map(drop).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::AddrInUse);
    first.open().finish();
    let addr = first.addr;
    first.stop(PATIENCE);
    let again = Server::bind(addr).expect("a quick restart");
    assert_eq!(again.local_addr(), Some(addr));
}

/// A server on a listener from elsewhere, non-blocking or not.
#[test]
fn a_listener_from_elsewhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = Server::from_listener(listener).unwrap();
    let (addr, handle) = (server.local_addr().unwrap(), server.shutdown_handle());
    let thread = thread::spawn(move || crate::common::run_echo(server, |_, _| ()));
    let mut client = RawClient::open(addr);
    client.send(frame(TEXT, "a"));
    client.expect(&Frame::text("a"));
    client.finish();
    drop(client);
    handle.shutdown(PATIENCE);
    thread.join().unwrap().unwrap();
}

/// No server at all: a stream, an `Upgrade`, and an answer of one's own.
#[test]
fn an_upgrade_of_ones_own() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let upgrade = |request: Vec<u8>| {
        let mut client = RawClient::connect(addr);
        client.send(request);
        let (stream, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.addr);
        (client, thread::spawn(move || Upgrade::handshake(stream, &Config::default())))
    };
    let (mut client, reading) = upgrade(r0().target("/a").bytes());
    let accepted = reading.join().unwrap().unwrap();
    assert_eq!(accepted.request().target(), "/a");
    let mut conn = accepted.accept(&Accept::new().header("X", "a")).unwrap();
    assert_eq!(client.expect_upgrade().header("x"), Some("a"));
    client.send([frame(TEXT, "a"), close(1000, "")].concat());
    let mut buf = Vec::new();
    assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::from("a")));
    thread::scope(|scope| {
        scope.spawn(move || client.expect_close(1000));
        assert_eq!(conn.recv(&mut buf).unwrap(), None);
    });

    let (mut client, reading) = upgrade(r0().bytes());
    let refusing = thread::spawn(move || {
        let upgrade = reading.join().unwrap().unwrap();
        upgrade.reject(&Reject::new(Status::FORBIDDEN, "no\n"))
    });
    client.expect_refusal(403);
    drop(client);
    let error = refusing.join().unwrap();
    assert!(matches!(error, UpgradeError::Rejected(Status::FORBIDDEN)), "{error:?}");

    let (mut client, reading) = upgrade(plain("GET / HTTP/1.1"));
    client.expect_refusal(400);
    drop(client);
    assert!(matches!(reading.join().unwrap(), Err(UpgradeError::Refused(_))));
}

/// The same over a stream that is not TCP.
#[cfg(unix)]
#[test]
fn an_upgrade_over_a_unix_stream() {
    use std::os::unix::net::UnixStream;

    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = [r0().bytes(), frame(TEXT, "a"), frame(0x82, vec![9; 9_000]), close(1000, "")];
    let thread = thread::spawn(move || {
        let upgrade = Upgrade::handshake(theirs, &Config::default()).unwrap();
        assert_eq!(upgrade.request().peer_addr(), None);
        let mut conn = upgrade.accept(&Accept::new()).unwrap();
        assert_eq!(conn.peer_addr(), None);
        crate::common::echo(&mut conn)
    });
    ours.write_all(&sent.concat()).unwrap();
    let mut head = [0; 129];
    ours.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"HTTP/1.1 101 ") && head.ends_with(b"\r\n\r\n"));
    for expected in [Frame::text("a"), Frame::binary(vec![9; 9_000]), Frame::close(1000, "")] {
        assert_eq!(Frame::read(&mut ours).unwrap(), Some(expected));
    }
    assert_eq!(Frame::read(&mut ours).unwrap(), None);
    drop(ours);
    let ended = thread.join().unwrap();
    assert!(ended.result.is_ok() && ended.messages == 2, "{ended:?}");
}

/// RFC 9110 §9.3.2: a refusal of HEAD has no body either.
#[test]
fn head_is_refused_without_a_body() {
    let server = TestServer::start();
    let handshake = String::from_utf8(r0().bytes()).unwrap().replacen("GET", "HEAD", 1);
    let no_host = "HEAD / HTTP/1.1\r\n\r\n".to_owned();
    for (request, status) in [(handshake, "HTTP/1.1 405 "), (no_host, "HTTP/1.1 400 ")] {
        let mut client = server.connect();
        client.send(request);
        let answer = String::from_utf8(client.read_all()).unwrap();
        assert!(answer.starts_with(status) && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}
