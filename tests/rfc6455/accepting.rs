//! Before a connection: how streams are accepted, who is let in, and who hears of those who are
//! not.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};

use barews::{Accept, BoxError, ErrorContext, Reject, Response, Server, Status, UpgradeError};

use crate::common::{PATIENCE, TEXT, TestServer, Unopened, frame, r0};

/// What `on_error` was told.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    peer: Option<SocketAddr>,
    /// `None` for a handler's error.
    kind: Option<Unopened>,
    /// Of the request, where there was one.
    target: Option<String>,
    text: String,
}

impl Heard {
    fn new(context: &ErrorContext<'_>, error: &BoxError) -> Self {
        Self {
            peer: context.peer_addr(),
            kind: error.downcast_ref::<UpgradeError>().map(Unopened::new),
            target: context.request().map(|request| request.target().to_owned()),
            text: error.to_string(),
        }
    }
}

/// A server whose handler fails, and whose errors come to the test.
fn overheard(set_up: impl FnOnce(Server) -> Server) -> (TestServer, Receiver<Heard>) {
    let (sender, heard) = channel();
    let server = TestServer::with_handler(
        |server| {
            set_up(server).on_error(move |context, error| {
                // The test may have heard enough.
                let _ = sender.send(Heard::new(context, error));
            })
        },
        |mut conn| {
            conn.recv(&mut Vec::new())?;
            Err("handler's own".into())
        },
    );
    (server, heard)
}

fn plain(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// Every error comes with the request that it is about, if its head could be read to its end.
#[test]
fn edge_n_errors_come_with_their_request() {
    let (server, heard) = overheard(|server| {
        server.on_upgrade(|request| match request.path() {
            "/rejected" => Err(Reject::new(Status::NOT_FOUND, "no\n")),
            "/unfit" => Ok(Accept::new().protocol("never offered")),
            _ => Ok(Accept::new()),
        })
    });
    for (request, status, target) in [
        (r0().target("/rejected").bytes(), 404, Some("/rejected")),
        (r0().target("/unfit").bytes(), 500, Some("/unfit")),
        (r0().target("/old").set("Sec-WebSocket-Version", "8").bytes(), 426, Some("/old")),
        (r0().target("/nobody").without("Host").bytes(), 400, Some("/nobody")),
        (plain("/page"), 400, Some("/page")),
        (b"GET /half HTTP/1.1\r\nbroken\r\n\r\n".to_vec(), 400, None),
    ] {
        let mut client = server.connect();
        client.send(request);
        client.expect_refusal(status);
        let peer = client.addr;
        drop(client);
        let heard = heard.recv_timeout(PATIENCE).expect("an error");
        assert_eq!((heard.peer, heard.target.as_deref()), (Some(peer), target), "{heard:?}");
        assert!(heard.kind.is_some(), "{heard:?}");
    }
    let mut client = server.connect();
    client.send(r0().target("/handled").bytes());
    client.expect_upgrade();
    client.send(frame(TEXT, "a"));
    client.expect_close(1011);
    let peer = client.addr;
    drop(client);
    let heard = heard.recv_timeout(PATIENCE).expect("an error");
    assert_eq!((heard.peer, heard.target.as_deref()), (Some(peer), Some("/handled")));
    assert_eq!((heard.kind, &*heard.text), (None, "handler's own"));
}

/// A page that was served is no error, and a rejection is one whatever its status.
#[test]
fn edge_n_success_is_no_error() {
    let (mut server, heard) = overheard(|server| {
        server.on_upgrade(|_| Err(Reject::new(Status::OK, "no\n"))).on_request(|request| {
            match request.path() {
                "/page" => Response::new(Status::OK, "a page\n"),
                "/moved" => {
                    Response::new(Status::new(302).expect("a status"), "\n").header("Location", "/")
                }
                _ => Response::new(Status::NOT_FOUND, "no\n"),
            }
        })
    });
    for (request, status) in [
        (plain("/page"), 200),
        (plain("/moved"), 302),
        (plain("/page"), 200),
        (plain("/none"), 404),
        (r0().target("/rejected").bytes(), 200),
    ] {
        let mut client = server.connect();
        client.send(request);
        assert_eq!(client.read_response().status, status);
        client.expect_eof();
    }
    server.stop(PATIENCE);
    drop(server);
    let heard = heard.iter().map(|heard| (heard.kind, heard.target));
    let mut heard: Vec<_> = heard.map(|(kind, target)| (kind.unwrap(), target.unwrap())).collect();
    heard.sort_by(|a, b| a.1.cmp(&b.1));
    let expected = [(404, "/none"), (200, "/rejected")]
        .map(|(code, at)| (Unopened::Answered(code), at.into()));
    assert_eq!(heard, expected);
}

/// What a callback said as it panicked is passed on, and the peer gets 500.
#[test]
fn edge_n_a_callback_that_panics_keeps_its_words() {
    let (server, heard) = overheard(|server| {
        server
            .on_upgrade(|request| panic!("no table for {}", request.path()))
            .on_request(|_| panic!("no page"))
    });
    for (request, target, words) in
        [(r0().target("/a").bytes(), "/a", "no table for /a"), (plain("/b"), "/b", "no page")]
    {
        let mut client = server.connect();
        client.send(request);
        client.expect_refusal(500);
        let peer = client.addr;
        drop(client);
        let heard = heard.recv_timeout(PATIENCE).expect("an error");
        assert_eq!(heard.kind, Some(Unopened::Panicked(words.to_owned())));
        assert_eq!((heard.peer, heard.target.as_deref()), (Some(peer), Some(target)));
        assert!(heard.text.contains(words), "{heard:?}");
    }
}

/// A stream that brings nothing is closed in silence, and told apart from a request cut short.
#[test]
fn edge_ac_a_stream_without_a_byte_asks_for_nothing() {
    let (server, heard) = overheard(|server| server);
    for reset in [false, true] {
        let mut client = server.connect();
        let peer = client.addr;
        if reset {
            client.reset();
        } else {
            client.send_eof();
            // Not even a 4xx.
            client.expect_eof();
        }
        let heard = heard.recv_timeout(PATIENCE).expect("an error");
        assert_eq!((heard.peer, heard.kind), (Some(peer), Some(Unopened::NoRequest)));
        assert_eq!(heard.target, None);
    }
}
