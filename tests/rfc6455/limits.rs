//! §10.4: how much a peer may ask for. Every maximum is inclusive.

use std::time::Instant;

use barews::http::{HandshakeError, HeadError};
use barews::{Config, Error, Limits, ProtocolError};

use crate::common::{
    BINARY, CONT, Faults, Frame, PING, Request, TEXT, TestServer, Unopened, accept, close, frame,
    head, ms, r0, refused, run_script, with_limits,
};

const POLICY_VIOLATION: u16 = 1008;
const TOO_BIG: u16 = 1009;
const TRY_AGAIN_LATER: u16 = 1013;

/// First bytes of fragments.
const BINARY_PART: u8 = 0x02;
const CONT_PART: u8 = 0x00;

/// Sends frames, and expects the connection to fail.
fn fails(server: &TestServer, sent: &[u8], code: u16, violation: ProtocolError) {
    let mut client = server.open();
    client.send(sent);
    assert_eq!(client.expect_close(code), violation.to_string());
    let peer = client.addr;
    drop(client);
    match server.ended(peer).result {
        Err(Error::Protocol(other)) => assert_eq!(other, violation),
        result => panic!("{result:?}"),
    }
}

/// A header line of so many bytes, without its CRLF.
fn header_of(len: usize) -> String {
    format!("X: {}", "x".repeat(len - 3))
}

/// A valid request with one header, a cookie, that makes its head this many bytes long in all.
fn cookie_of(len: usize) -> Request {
    let left = len - r0().add("Cookie: ").bytes().len();
    r0().add(format!("Cookie: {}", "c".repeat(left)))
}

/// A valid request whose head has so many bytes in all.
fn head_of(len: usize) -> Request {
    let mut request = r0();
    loop {
        let left = len - request.bytes().len();
        // A line has two bytes more than its text, and no line may be left too short to be one.
        let line = left.min(8_000) - 2;
        request = request.add(header_of(if left - line - 2 < 10 { left - 2 } else { line }));
        if request.bytes().len() == len {
            return request;
        }
    }
}

/// A valid request with so many headers.
fn headers_of(count: usize) -> Request {
    (0..count - 5).fold(r0(), |request, n| request.add(format!("X{n}:")))
}

/// A valid request with a request line of so many bytes.
fn request_line_of(len: usize) -> Request {
    r0().target(&format!("/{}", "a".repeat(len - "GET / HTTP/1.1".len())))
}

#[test]
fn heads_that_reach_the_limits() {
    accept([
        request_line_of(8_192),
        r0().add(header_of(8_192)),
        r0().add(header_of(8_192)).add(header_of(8_192)).add(header_of(8_192)),
        headers_of(100),
        head_of(32 << 10),
        r0().add(header_of(8_193)),
        cookie_of(32 << 10),
    ]);
}

refusals! {
    h43_request_line_of_8193_bytes => [
        refused(request_line_of(8_193), 414, HeadError::RequestLineTooLong),
        refused(request_line_of(20_000), 414, HeadError::RequestLineTooLong),
        refused(r0().line("G".repeat(8_193)), 414, HeadError::RequestLineTooLong),
        refused("G".repeat(60_000), 414, HeadError::RequestLineTooLong),
    ];
    h44_header_of_32_kib_and_one => [
        refused(r0().add(header_of((32 << 10) + 1)), 431, HeadError::HeadTooLarge),
        refused(r0().add("x".repeat((32 << 10) + 1)), 431, HeadError::HeadTooLarge),
        refused(r0().add(format!("X:{}", " ".repeat(32 << 10))), 431, HeadError::HeadTooLarge),
        refused(cookie_of((32 << 10) + 1), 431, HeadError::HeadTooLarge),
    ];
    h45_101_headers => [
        refused(headers_of(101), 431, HeadError::TooManyHeaders),
        refused(headers_of(1_000), 431, HeadError::TooManyHeaders),
    ];
    h46_head_of_32_kib_and_one => [
        refused(head_of((32 << 10) + 1), 431, HeadError::HeadTooLarge),
        refused(head_of(60_000), 431, HeadError::HeadTooLarge),
    ];
}

/// Refused long before its end; what follows is thrown away, so that the client gets to read why.
#[test]
fn h47_header_of_20_mb() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(&r0().add("X: ").bytes()[..r0().bytes().len()]);
    let start = Instant::now();
    let sent = client.flood(&[b'x'; 10_000], 20_000_000, ms(10_000));
    assert_eq!(sent, 20_000_000, "all of it was taken");
    let response = client.read_response();
    assert_eq!(response.status, 431);
    let peer = client.addr;
    drop(client);
    let refusal = HandshakeError::Head(HeadError::HeadTooLarge);
    assert_eq!(server.unopened(peer), Unopened::Refused(refusal));
    assert!(start.elapsed() < ms(5000), "{:?}", start.elapsed());
}

/// As much is read as a head may have; the rest is thrown away.
#[test]
fn h47_no_more_than_33_kib_are_buffered() {
    let line = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 20_000_000]].concat();
    let outcome = run_script(line, Faults::default());
    let buffered = outcome.read - outcome.drained;
    assert!(((32 << 10) + 1..=33 << 10).contains(&buffered), "{buffered}");
    assert!(outcome.drained > 19_000_000, "{}", outcome.drained);
    assert!(outcome.output.starts_with(b"HTTP/1.1 431 "), "{outcome:?}");
}

#[test]
fn limits_of_a_head_can_be_set() {
    let server = TestServer::echo(with_limits(|limits| {
        *limits = Limits {
            max_request_line: 30,
            max_header_line: 50,
            max_headers: 6,
            max_head_size: 200,
            ..limits.clone()
        };
    }));
    for (request, status) in [
        (r0(), 101),
        (request_line_of(30), 101),
        (request_line_of(31), 414),
        (r0().add(header_of(20)), 101),
        (r0().add(header_of(51)), 431),
        (headers_of(6), 101),
        (headers_of(7), 431),
        (head_of(200), 101),
        (head_of(201), 431),
    ] {
        let mut client = server.connect();
        client.send(request.bytes());
        match status {
            101 => drop(client.expect_upgrade()),
            status => drop(client.expect_refusal(status)),
        }
    }
}

#[test]
fn w21_a_message_of_exactly_the_maximum() {
    let server = TestServer::start();
    let mut client = server.open();
    let len = 16 << 20;
    client.send(head(BINARY, len as u64));
    client.send(vec![0x5a; len]);
    client.expect(&Frame::binary(vec![0x5a; len]));
    // And the same in two fragments, once more on the same connection.
    client.send([head(BINARY_PART, len as u64 - 1), vec![0x5a; len - 1]].concat());
    client.send(frame(CONT, [0x5a]));
    client.expect(&Frame::binary(vec![0x5a; len]));
    client.finish();
}

#[test]
fn w22_one_more_than_the_maximum() {
    let server = TestServer::echo(with_limits(|limits| limits.max_message_size = 1000));
    let mut client = server.open();
    client.send(frame(TEXT, "x".repeat(1000)));
    client.expect(&Frame::text("x".repeat(1000)));
    client.send([frame(0x01, "x".repeat(999)), frame(CONT_PART, "x"), frame(CONT, "")].concat());
    client.expect(&Frame::text("x".repeat(1000)));
    client.finish();

    let too_big = ProtocolError::MessageTooBig(1000);
    fails(&server, &head(TEXT, 1001), TOO_BIG, too_big);
    let part = frame(BINARY_PART, vec![0; 1000]);
    fails(&server, &[part.clone(), head(CONT, 1)].concat(), TOO_BIG, too_big);
    fails(&server, &[part.clone(), head(CONT_PART, 1)].concat(), TOO_BIG, too_big);
    let halves = [frame(BINARY_PART, vec![0; 500]), head(CONT_PART, 501)].concat();
    fails(&server, &halves, TOO_BIG, too_big);
    // The sum cannot overflow.
    fails(&server, &[part, head(CONT, i64::MAX as u64)].concat(), TOO_BIG, too_big);
    // Control frames do not count.
    let mut client = server.open();
    client.send([frame(BINARY_PART, vec![0; 1000]), frame(PING, "x"), frame(CONT, "")].concat());
    client.expect(&Frame::new(0x8a, "x"));
    client.expect(&Frame::binary(vec![0; 1000]));
    client.finish();
}

/// With no limit but the arithmetic's, a declared length takes no memory.
#[test]
fn a_declared_length_reserves_nothing() {
    let server = TestServer::echo(with_limits(|limits| limits.max_message_size = u64::MAX));
    let mut client = server.open();
    client.send([head(BINARY, i64::MAX as u64), vec![0; 100_000]].concat());
    client.send_eof();
    match server.ended(client.addr).result {
        Err(Error::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof),
        result => panic!("{result:?}"),
    }
    // No message passes the limit of the wire (§5.2).
    let too_big = ProtocolError::MessageTooBig(i64::MAX as u64);
    let more = [frame(BINARY_PART, "x"), head(CONT, i64::MAX as u64)].concat();
    fails(&server, &more, TOO_BIG, too_big);
}

#[test]
fn fragments_up_to_the_maximum() {
    let server = TestServer::echo(with_limits(|limits| limits.max_fragments = 3));
    let mut client = server.open();
    let three = [frame(0x01, "a"), frame(CONT_PART, ""), frame(CONT, "b")].concat();
    for _ in 0..2 {
        client.send(&three);
        client.expect(&Frame::text("ab"));
    }
    client.finish();
    let too_many = ProtocolError::TooManyFragments(3);
    let four = [frame(0x01, "a"), frame(CONT_PART, ""), frame(CONT_PART, ""), frame(CONT, "")];
    fails(&server, &four.concat(), POLICY_VIOLATION, too_many);
}

/// Exactly the default maximum passes, and one more does not.
#[test]
fn w60_empty_continuations() {
    let server = TestServer::start();
    let continued = |count: usize| [frame(0x01, ""), frame(CONT_PART, "").repeat(count)].concat();
    let mut client = server.open();
    client.send([continued(131_070), frame(CONT, "")].concat());
    client.expect(&Frame::text(""));
    client.finish();
    let too_many = ProtocolError::TooManyFragments(131_072);
    fails(&server, &continued(131_072), POLICY_VIOLATION, too_many);
    // More than is drained: the Close may be lost to the reset that follows.
    let mut client = server.open();
    let _ = client.try_send(continued(200_000));
    let last = client.try_read_frame();
    assert!(last.is_none_or(|frame| frame.close_parts().0 == POLICY_VIOLATION));
    let peer = client.addr;
    drop(client);
    let result = server.ended(peer).result;
    assert!(matches!(result, Err(Error::Protocol(other)) if other == too_many), "{result:?}");
}

#[test]
fn w59_1_mib_in_1_byte_fragments() {
    let server = TestServer::start();
    let mut client = server.open();
    let _ = client.try_send([frame(0x01, "x"), frame(CONT_PART, "x").repeat(1 << 20)].concat());
    let last = client.try_read_frame();
    assert!(last.is_none_or(|frame| frame.close_parts().0 == POLICY_VIOLATION));
    let peer = client.addr;
    drop(client);
    let result = server.ended(peer).result;
    let too_many = ProtocolError::TooManyFragments(131_072);
    assert!(matches!(result, Err(Error::Protocol(other)) if other == too_many), "{result:?}");
}

/// The budget of unfinished messages is for all connections together, and given back.
#[test]
fn unfinished_messages_within_the_budget() {
    // Less than is drained, so that a refusal ends without a reset.
    const PART: usize = 60_000;
    let server = TestServer::echo(with_limits(|limits| limits.max_buffered_bytes = 100_000));
    // The answer to the Ping tells that the part was received.
    let part = [frame(BINARY_PART, vec![1; PART]), frame(PING, "")].concat();
    let mut first = server.open();
    first.send(&part);
    first.expect(&Frame::pong(""));

    let mut second = server.open();
    second.send(&part);
    second.expect_close(TRY_AGAIN_LATER);
    let peer = second.addr;
    drop(second);
    let result = server.ended(peer).result;
    assert!(matches!(result, Err(Error::Overloaded)), "{result:?}");

    // Small messages need no budget, and the first goes on as if nothing had been.
    let mut third = server.open();
    third.send(frame(TEXT, "small"));
    third.expect(&Frame::text("small"));
    first.send(frame(CONT, [2; 10]));
    first.expect(&Frame::binary([&[1; PART][..], &[2; 10]].concat()));
    // It holds its budget until the next `recv`, of which the answer to a Ping tells.
    first.send(frame(PING, ""));
    first.expect(&Frame::pong(""));
    // Given back when the message is complete, and when the connection ends half-way.
    for _ in 0..5 {
        third.send(&part);
        third.expect(&Frame::pong(""));
        third.send(frame(CONT, ""));
        third.expect(&Frame::binary([1; PART]));
    }
    third.finish();
    for _ in 0..5 {
        let mut client = server.open();
        client.send(&part);
        client.expect(&Frame::pong(""));
        client.send_eof();
        server.ended(client.addr);
    }
    first.send(&part);
    first.expect(&Frame::pong(""));
    first.send(close(1000, ""));
    first.expect_close(1000);
}

/// One connection more than the limit is answered with 503, until another ends.
#[test]
fn connections_up_to_the_maximum() {
    for limits in [
        Limits { max_connections: 2, ..Limits::default() },
        Limits { max_connections_per_ip: 2, ..Limits::default() },
    ] {
        let server = TestServer::echo(Config { limits, ..Config::default() });
        let mut first = server.open();
        let mut second = server.open();
        for _ in 0..3 {
            let mut third = server.connect();
            third.send(r0().bytes());
            third.expect_turned_away();
            assert_eq!(server.unopened(third.addr), Unopened::TooManyConnections);
        }
        // The others have noticed nothing.
        for client in [&mut first, &mut second] {
            client.send(frame(TEXT, "still here"));
            client.expect(&Frame::text("still here"));
        }
        // One ends properly, and one by a reset.
        first.finish();
        drop(first);
        open_in_time(&server);
        second.send(frame(TEXT, "unread"));
        assert!(second.heard_within(ms(10_000)));
        drop(second);
        let mut third = open_in_time(&server);
        third.finish();
    }
}

/// A connection, as soon as there is room for one.
fn open_in_time(server: &TestServer) -> crate::common::RawClient {
    let start = Instant::now();
    loop {
        let mut client = server.connect();
        client.send(r0().bytes());
        let status = if client.is_cut_off() { 503 } else { client.read_response().status };
        match status {
            101 => return client,
            status => assert_eq!(status, 503),
        }
        assert!(start.elapsed() < ms(5000), "no place was given back");
    }
}
