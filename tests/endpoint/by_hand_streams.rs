//! Paths that speak for themselves, on every kind of stream: over TLS, after input that nobody has
//! read, beside an offer of compression.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::common::{Binary, PATIENCE, TEXT, frame, r0};
#[cfg(any(feature = "deflate", feature = "tls"))]
use crate::common::{Frame, RawClient};

/// What the key of `r0` is answered with where nothing is agreed on.
const HEAD_LEN: usize = 129;

/// Whatever else has come, and is read by nobody.
#[test]
fn a_reset_after_pipelined_input() {
    let binary = Binary::serve(&[]);
    for (target, echoes) in [("/reset/0", 0), ("/reset/2", 2)] {
        let mut tcp = TcpStream::connect(binary.addr).expect("connect");
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let many = frame(TEXT, "a").repeat(1000);
        tcp.write_all(&[r0().target(target).bytes(), many].concat()).unwrap();
        // What was sent before a reset may be lost with it, so all that is sure is the reset.
        let mut bytes = Vec::new();
        let error = tcp.read_to_end(&mut bytes).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{target}");
        assert!(bytes.len() <= HEAD_LEN + 3 * echoes, "{}", bytes.escape_ascii());
    }
}

/// It tells of nothing that a stream of our own making could keep.
#[test]
#[cfg(feature = "deflate")]
fn compression_is_never_agreed_on() {
    let binary = Binary::serve(&["--deflate", "--faults"]);
    let offer = |target: &str| {
        let mut client = RawClient::connect(binary.addr);
        let request = r0().target(target).add("Sec-WebSocket-Extensions: permessage-deflate");
        client.send(request.bytes());
        client
    };
    for target in [
        "/slow/1000000",
        "/close/1000?delay=60000",
        "/close/1000?reply=none",
        "/handshake/upper-case",
        "/invalid/rsv",
    ] {
        let mut client = offer(target);
        let response = client.read_response();
        assert_eq!(response.header("sec-websocket-extensions"), None, "{target}");
        if !target.starts_with("/invalid") {
            client.send(frame(TEXT, "a".repeat(2000)));
            client.expect(&Frame::text("a".repeat(2000)));
        }
    }
    // Others speak as the library does.
    let response = offer("/close/1000?after=1").read_response();
    assert!(response.header("sec-websocket-extensions").is_some());
}

#[cfg(feature = "tls")]
mod over_tls {
    use super::*;
    use crate::common::{PONG, close};
    use crate::tls::{connect, handshake, self_signed, trusting};

    /// Reads on, over TCP, to the end, which is a reset.
    #[track_caller]
    fn expect_reset(tcp: &mut TcpStream) {
        let error = std::io::copy(tcp, &mut std::io::sink()).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    /// TCP is reset beneath it, and an alert would be no reset.
    #[test]
    fn a_reset_is_one() {
        let (binary, pem, _) = self_signed(&["--faults"]);
        let config = trusting(&pem);
        for target in ["/reset/0", "/handshake/reset"] {
            let mut client = handshake(&binary, &config);
            client.write_all(&r0().target(target).bytes()).unwrap();
            client.flush().unwrap();
            expect_reset(&mut client.tcp);
        }
        let mut client = connect(&binary, &config);
        client.send(r0().target("/reset/2").bytes());
        client.expect_upgrade();
        for text in ["a", "b"] {
            client.send(frame(TEXT, text));
            client.expect(&Frame::text(text));
        }
        let Err(error) = client.into_stream().read(&mut [0]) else { panic!("no reset") };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn each_speaks_as_over_tcp() {
        let (binary, pem, _) = self_signed(&["--faults"]);
        let config = trusting(&pem);
        let ask = |target: &str| {
            let mut client = connect(&binary, &config);
            client.send(r0().target(target).bytes());
            client
        };
        for target in ["/handshake/slow?every=0", "/handshake/http10", "/slow/1000000"] {
            let mut client = ask(target);
            let head = client.read_bytes(HEAD_LEN);
            assert!(head.starts_with(b"HTTP/1.") && head.ends_with(b"\r\n\r\n"), "{target}");
            client.send([frame(0x89, "p"), frame(TEXT, "a")].concat());
            client.expect(&Frame::new(PONG, "p"));
            client.expect(&Frame::text("a"));
            client.finish();
        }
        let mut client = ask("/handshake/with-frame");
        client.read_bytes(HEAD_LEN);
        client.expect(&Frame::text("Hello"));
        client.finish();
        let mut client = ask("/close/4000?delay=50&reason=late");
        client.expect_upgrade();
        client.expect(&Frame::close(4000, "late"));
        client.send(close(4000, ""));
        client.expect_eof();
        let mut client = ask("/handshake/cut");
        assert_eq!(client.read_bytes(HEAD_LEN / 2), ask_head(&mut ask("/handshake/http10")));
        client.expect_eof();
    }

    /// The first half of a right answer, but for its version.
    fn ask_head(client: &mut RawClient) -> Vec<u8> {
        let mut head = client.read_bytes(HEAD_LEN);
        head.truncate(HEAD_LEN / 2);
        head[..8].copy_from_slice(b"HTTP/1.1");
        head
    }
}

/// A Unix-domain socket has no reset: its stream ends in the middle of the answer.
#[test]
#[cfg(target_os = "linux")]
fn a_unix_socket_just_ends() {
    use std::os::unix::net::UnixStream;

    use crate::common::command;

    let path = std::env::temp_dir().join(format!("barews-by-hand-{}", std::process::id()));
    let address = format!("unix:{}", path.display());
    let mut program = Binary::start(&mut command(&["--faults", &address]));
    program.line_with("listening");
    for kind in ["reset", "cut"] {
        let mut client = UnixStream::connect(&path).expect("connect");
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(&r0().target(&format!("/handshake/{kind}")).bytes()).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("the end");
        assert_eq!(answer.len(), HEAD_LEN / 2, "{kind}: {}", answer.escape_ascii());
    }
}
