//! What a request is accepted with reaches the handler, both halves and the report of an error; and
//! what it says of itself is read as its RFC has it.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::channel;

use barews::{
    Accept, BoxError, CloseCode, Config, ConnectionLimits, Error, Request, Response, Server,
    Status, TrySendError, UpgradeError,
};

use crate::common::{
    CONT, Frame, PATIENCE, TEXT, TestServer, close, frame, ms, pair, r0, with_timeouts,
};

#[derive(Debug, Clone, PartialEq)]
struct User(String);

/// One value of each type, the last; the whole, its halves and the report of the error have them.
#[test]
fn what_is_attached_goes_along() {
    let (told, reports) = channel();
    let server = TestServer::with_handler(
        |server| {
            server
                .on_upgrade(|request| {
                    assert_eq!(request.attached::<User>(), None, "not accepted yet");
                    let accept = Accept::new().attach(User("nobody".into())).attach(7_u32);
                    Ok(accept.attach(User("Ali".into())).select_subprotocol(request, &["chat"]))
                })
                .on_error(move |context, error| {
                    let user = context.request().and_then(|request| request.attached::<User>());
                    let _ = told.send((user.cloned(), error.to_string()));
                })
        },
        |mut conn| {
            let ali = Some(&User("Ali".into()));
            assert_eq!((conn.attached(), conn.attached()), (ali, Some(&7_u32)));
            assert_eq!(conn.attached::<String>(), None);
            let beside = conn.sender();
            let peer = conn.peer_addr();
            let (receiver, sender) = conn.split();
            for request in [receiver.request(), sender.request(), beside.request()] {
                assert_eq!((request.path(), request.peer_addr()), ("/room", peer));
            }
            assert_eq!((receiver.attached(), sender.attached()), (ali, ali));
            assert_eq!(receiver.subprotocol(), Some("chat"));
            assert_eq!((sender.subprotocol(), sender.peer_addr()), (Some("chat"), peer));
            assert!(sender.same_connection(&beside));
            for shown in [format!("{receiver:?}"), format!("{sender:?}")] {
                assert!(shown.contains("/room") && shown.contains("chat"), "{shown}");
            }
            sender.send("all is here")?;
            Err("on purpose".into())
        },
    );
    let mut client = server.connect();
    client.send(r0().target("/room").add("Sec-WebSocket-Protocol: chat").bytes());
    assert_eq!(client.read_response().status, 101);
    client.expect(&Frame::text("all is here"));
    client.expect_close(1011);
    let (user, error) = reports.recv_timeout(PATIENCE).expect("a report");
    assert_eq!((user, error), (Some(User("Ali".into())), "on purpose".to_owned()));
}

/// A value lives as long as the connection, and no longer.
#[test]
fn what_is_attached_is_dropped_with_the_connection() {
    let value = Arc::new(());
    let weak = Arc::downgrade(&value);
    let accept = Accept::new().attach(value);
    let mut server = TestServer::with_handler(
        |server| server.on_upgrade(move |_| Ok(accept.clone())),
        |conn| {
            assert!(conn.attached::<Arc<()>>().is_some());
            Ok(())
        },
    );
    let mut client = server.open();
    client.expect_close(1000);
    assert!(weak.upgrade().is_some(), "the callback has one too");
    server.stop(PATIENCE);
    assert_eq!(weak.strong_count(), 0);
}

fn limited(limits: &ConnectionLimits) -> TestServer {
    let limits = limits.clone();
    TestServer::echo_with(|server| {
        server.on_upgrade(move |request| match request.path() {
            "/own" => Ok(Accept::new().limits(limits.clone())),
            _ => Ok(Accept::new()),
        })
    })
}

/// Smaller for one and larger for another, while a third has what the server has.
#[test]
fn a_connection_has_limits_of_its_own() {
    let small = ConnectionLimits {
        max_message_size: Some(10),
        max_fragments: Some(2),
        ..ConnectionLimits::default()
    };
    let server = limited(&small);
    let own = || {
        let mut client = server.connect();
        client.send(r0().target("/own").bytes());
        client.expect_upgrade();
        client
    };
    let mut client = own();
    client.send([frame(TEXT, "x".repeat(10)), frame(TEXT, "x".repeat(11))].concat());
    client.expect(&Frame::text("x".repeat(10)));
    client.expect_close(1009);
    let mut client = own();
    client.send([frame(0x01, "a"), frame(0x00, "b"), frame(CONT, "c")].concat());
    // Too many are what a policy forbids, or too big: the same as with the server's own.
    let refused = client.read_frame().expect("a Close").close_parts().0;
    assert!([1008, 1009].contains(&refused), "{refused}");
    let mut client = server.open();
    client.send(frame(TEXT, "x".repeat(100_000)));
    client.expect(&Frame::text("x".repeat(100_000)));
    client.finish();
    let large = ConnectionLimits { max_message_size: Some(17 << 20), ..Default::default() };
    let server = limited(&large);
    let mut client = server.connect();
    client.send(r0().target("/own").bytes());
    client.expect_upgrade();
    let message = vec![1; (16 << 20) + 1];
    client.send(frame(0x82, &message));
    client.expect(&Frame::binary(&message));
    client.finish();
}

/// A Ping comes sooner to the one that has asked for it, and its silence ends sooner.
#[test]
fn a_connection_has_times_of_its_own() {
    let quick = ConnectionLimits {
        ping_interval: Some(ms(50)),
        idle_timeout: Some(ms(150)),
        ..ConnectionLimits::default()
    };
    let server = limited(&quick);
    let mut calm = server.open();
    let mut client = server.connect();
    client.send(r0().target("/own").bytes());
    client.expect_upgrade();
    client.expect(&Frame::new(0x89, ""));
    client.expect_close(1008);
    assert!(!calm.heard_within(ms(10)), "the others have the server's");
    calm.send(close(1000, ""));
    calm.expect_close(1000);
}

/// The time for a write is the connection's own too: a peer that does not read is given up sooner.
#[test]
fn a_connection_gives_its_writes_a_time_of_its_own() {
    let (told, results) = channel();
    let limits = ConnectionLimits { write: Some(ms(200)), ..ConnectionLimits::default() };
    let server = TestServer::with_handler(
        |server| server.on_upgrade(move |_| Ok(Accept::new().limits(limits.clone()))),
        move |mut conn| {
            // Each write adds a second for what it has in it, so many small ones.
            let result = loop {
                if let Err(error) = conn.send(&vec![0; 60_000]) {
                    break error;
                }
            };
            told.send(matches!(result, Error::DeadlineExceeded(barews::Deadline::Write)))?;
            Ok(())
        },
    );
    let client = server.open();
    assert!(results.recv_timeout(ms(9_000)).expect("well before the server's ten seconds"));
    drop(client);
}

/// Limits that contradict each other: 500, and the program is told what would be right.
#[test]
fn limits_that_make_no_sense_are_told() {
    let (told, reports) = channel();
    let server = TestServer::with_handler(
        |server| {
            let wrong = ConnectionLimits {
                ping_interval: Some(ms(10)),
                idle_timeout: Some(ms(5)),
                ..ConnectionLimits::default()
            };
            server.on_upgrade(move |_| Ok(Accept::new().limits(wrong.clone()))).on_error(
                move |context, error| {
                    let error = error.downcast_ref::<UpgradeError>();
                    let Some(UpgradeError::InvalidLimits(wrong)) = error else {
                        panic!("{error:?}")
                    };
                    told.send((wrong.clone(), context.is_disconnect())).unwrap();
                },
            )
        },
        |_| panic!("it never opens"),
    );
    let mut client = server.connect();
    client.send(r0().bytes());
    client.expect_refusal(500);
    let (wrong, is_disconnect) = reports.recv_timeout(PATIENCE).expect("a report");
    assert!(wrong.contains("ping sooner") && !is_disconnect, "{wrong}");
}

/// Who is it? By cookie or by bearer, and a refusal in JSON.
fn sign_in(request: &Request) -> Result<Accept, Response> {
    let token = request.bearer().or_else(|| request.cookie("session"));
    let token = token.map(str::to_owned).or_else(|| Some(request.query_value("token")?.into()));
    match token.as_deref() {
        Some("sesame") => Ok(Accept::new().attach(User("Ali".into()))),
        Some("closed") => Err(Status::FORBIDDEN.into()),
        _ => Err(Response::json(Status::UNAUTHORIZED, r#"{"error":"who is it?"}"#)
            .header("WWW-Authenticate", "Bearer")),
    }
}

#[test]
fn credentials_are_read_and_refused() {
    let server = TestServer::echo_with(|server| server.on_upgrade(sign_in));
    for request in [
        r0().add("Authorization: bearer sesame"),
        r0().add("Cookie: a=b").add("cookie: x=y;session=\"sesame\"; session=no"),
        r0().target("/?a=b&token=%73esame"),
    ] {
        let mut client = server.connect();
        client.send(request.bytes());
        client.expect_upgrade();
        client.finish();
    }
    for request in [
        r0(),
        r0().add("Authorization: Bearer no"),
        r0().add("Authorization: Bearer sesame").add("Authorization: Bearer sesame"),
        r0().add("Authorization: Basic sesame").add("Cookie: Session=sesame"),
        r0().add(b"Cookie: session=\xff; session=sesame"),
    ] {
        let mut client = server.connect();
        client.send(request.bytes());
        let response = client.read_response();
        assert_eq!((response.status, &response.body[..]), (401, &br#"{"error":"who is it?"}"#[..]));
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        client.expect_eof();
    }
    let mut client = server.connect();
    client.send(r0().add("Cookie: session=closed").bytes());
    assert_eq!(client.expect_refusal(403).body, b"403 Forbidden\n");
}

/// What is shown for a log has no secrets in it.
#[test]
fn what_is_shown_has_no_secrets() {
    let (told, shown) = channel();
    let server = TestServer::with_handler(
        |server| {
            server.on_upgrade(move |request| {
                let accept = Accept::new().header("Set-Cookie", "id=secret").attach("secret");
                told.send(format!("{request:?} {accept:?}")).unwrap();
                Err(Response::new(Status::OK, "secret").header("Set-Cookie", "id=secret"))
            })
        },
        |_| Ok(()),
    );
    let mut client = server.connect();
    let secrets = ["Cookie: id=secret", "authorization: Bearer secret"];
    client.send(secrets.into_iter().fold(r0().add("X: shown"), |r0, line| r0.add(line)).bytes());
    assert_eq!(client.read_response().body, b"secret");
    let shown = shown.recv_timeout(PATIENCE).unwrap();
    assert!(shown.contains("shown") && shown.contains("authorization"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
    let (conn, _client) = pair(&Config::default());
    assert!(format!("{conn:?}").contains("is_closed: false"));
    assert!(format!("{:?}", Server::bind("127.0.0.1:0").unwrap()).contains("127.0.0.1"));
}

/// A log that leaves out who is just gone needs one question, however deep the error lies.
#[test]
fn a_disconnect_is_known_for_one() {
    #[derive(Debug)]
    struct Outer(std::io::Error);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt(f)
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let (told, reports) = channel();
    let server = TestServer::with_handler(
        |server| server.on_error(move |context, _| told.send(context.is_disconnect()).unwrap()),
        |mut conn| {
            let how = conn.request().path().to_owned();
            let gone = conn.recv(&mut Vec::new()).map(drop);
            Err(match how.as_str() {
                "/plain" => gone.unwrap_err().into(),
                "/wrapped" => Outer(std::io::Error::from(gone.unwrap_err())).into(),
                // The application's own stream.
                "/other" => BoxError::from(std::io::Error::from(ErrorKind::ConnectionReset)),
                "/queue" => TrySendError::Closed.into(),
                "/full" => TrySendError::Full.into(),
                "/late" => Outer(Error::DeadlineExceeded(barews::Deadline::Idle).into()).into(),
                _ => "an error of its own".into(),
            })
        },
    );
    for (path, expected) in [
        ("/plain", true),
        ("/wrapped", true),
        ("/queue", true),
        ("/full", false),
        ("/other", false),
        ("/late", false),
        ("/", false),
    ] {
        let mut client = server.connect();
        client.send(r0().target(path).bytes());
        client.expect_upgrade();
        drop(client);
        assert_eq!(reports.recv_timeout(PATIENCE), Ok(expected), "{path}");
    }
    drop(server.connect());
    assert_eq!(reports.recv_timeout(PATIENCE), Ok(true), "who asked for nothing");
}

/// 1012 and 1014 are registered, and pass both ways.
#[test]
fn registered_codes_pass_both_ways() {
    for code in [CloseCode::SERVICE_RESTART, CloseCode::BAD_GATEWAY] {
        let (mut conn, mut client) = pair(&with_timeouts(|timeouts| timeouts.close = PATIENCE));
        let server = std::thread::spawn(move || {
            conn.close(code, "").expect("it may be sent");
            conn.close_frame().cloned()
        });
        client.expect(&Frame::close(code.into(), ""));
        client.send(close(code.into(), ""));
        client.expect_eof();
        drop(client);
        assert_eq!(server.join().unwrap().expect("a Close").code, code);
    }
}
