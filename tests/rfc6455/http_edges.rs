//! §4: what HTTP has beside the handshake, as its RFCs have it: RFC 9110, RFC 9112, and as much of
//! RFC 9113 as says no to it.

use std::time::SystemTime;

use barews::http::{HandshakeError, HeadError};
use barews::{Accept, Config, Response, Status};

use crate::common::client::Response as Answer;
use crate::common::{
    PATIENCE, Request, TestServer, Unopened, accept, ms, r0, with_limits, with_timeouts,
};

fn plain(line: &str) -> Request {
    Request::new(line).add("Host: a")
}

/// A server that answers plain requests, with all that it was asked.
fn answering() -> TestServer {
    TestServer::echo_with(|server| {
        server.on_request(|request| {
            let asked = format!("{} {}\n", request.method(), request.path());
            Response::new(Status::OK, asked)
        })
    })
}

/// A server that soon has waited enough for a request.
fn hasty() -> TestServer {
    TestServer::echo(with_timeouts(|timeouts| timeouts.handshake = ms(500)))
}

/// Sends a request, and reads the answer and the end of the stream.
fn ask(server: &TestServer, request: impl Into<Vec<u8>>, status: u16) -> Answer {
    let mut client = server.connect();
    client.send(request.into());
    client.expect_refusal(status)
}

/// The same, with what the API said of it.
fn refused(server: &TestServer, request: impl Into<Vec<u8>>, status: u16) -> (String, Unopened) {
    let mut client = server.connect();
    client.send(request.into());
    let answer = client.expect_refusal(status);
    let peer = client.addr;
    drop(client);
    (String::from_utf8(answer.body).unwrap(), server.unopened(peer))
}

/// Sends bytes, and gives all that comes back.
fn exchange(server: &TestServer, bytes: &[u8]) -> Vec<u8> {
    let mut client = server.connect();
    client.send(bytes);
    client.read_all()
}

/// Holds a date to RFC 9110 §5.6.7, and to the clock.
fn assert_now(date: &str) {
    let parts: Vec<&str> = date.split([' ', ':']).collect();
    let [weekday, day, month, year, hour, minute, second, "GMT"] = parts[..] else {
        panic!("{date}")
    };
    assert_eq!(date.len(), 29, "{date}");
    let months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    let month = months.split(' ').position(|name| name == month).expect(date);
    let [day, year, hour, minute, second] =
        [day, year, hour, minute, second].map(|digits| digits.parse::<usize>().expect(date));
    // The days of all years before this one, and of the months of this one.
    // Until 2100.
    let leap = |year: usize| year.is_multiple_of(4);
    let before: usize = (1970..year).map(|year| 365 + usize::from(leap(year))).sum();
    let lengths = [31, 28 + usize::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = before + lengths[..month].iter().sum::<usize>() + day - 1;
    let weekdays = ["Thu,", "Fri,", "Sat,", "Sun,", "Mon,", "Tue,", "Wed,"];
    assert_eq!(weekday, weekdays[days % 7], "{date}");
    let told = ((days * 24 + hour) * 60 + minute) * 60 + second;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(told as u64) <= 60, "{date} is not now");
}

/// RFC 9110 §6.6.1: but for 101, where it may be, and is left out.
#[test]
fn edge_s_every_answer_is_dated() {
    let origins = vec!["https://a.example".to_owned()];
    let config = Config { origins, ..Config::default() };
    let server = TestServer::echo_with(|server| {
        server
            .config(config)
            .on_request(|request| match request.path() {
                "/" => Response::new(Status::OK, "fine\n"),
                "/none" => Response::new(Status::NO_CONTENT, ""),
                "/wrong" => Response::new(Status::OK, "fine\n").header("Upgrade", "ours to say"),
                _ => panic!("as the test has it"),
            })
            .on_upgrade(|request| match request.path() {
                "/" => Ok(Accept::new()),
                _ => Err(Response::new(Status::NOT_FOUND, "no such place\n")),
            })
    });
    let hasty = hasty();
    for (request, status) in [
        (plain("GET / HTTP/1.1").bytes(), 200),
        (plain("HEAD / HTTP/1.1").bytes(), 200),
        (plain("GET /none HTTP/1.1").bytes(), 204),
        (plain("GET /wrong HTTP/1.1").bytes(), 500),
        (plain("GET /panic HTTP/1.1").bytes(), 500),
        (r0().target("/nowhere").bytes(), 404),
        (r0().add("Origin: https://b.example").bytes(), 403),
        (r0().without("Upgrade").bytes(), 426),
        (r0().line("POST / HTTP/1.1").bytes(), 405),
        (b"\0".to_vec(), 400),
        (vec![b'G'; 9_000], 414),
        (b"GET / HTTP/1.1\r\n".to_vec(), 408),
    ] {
        let answer = exchange(if status == 408 { &hasty } else { &server }, &request);
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let (head, _) = answer.split_once("\r\n\r\n").expect("a head");
        let dates: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("Date: ")).collect();
        assert_eq!(dates.len(), 1, "{answer}");
        assert_now(dates[0]);
    }
    // 101, and 503 to who is one too many.
    let server = TestServer::echo(with_limits(|limits| limits.max_connections = 1));
    let mut client = server.connect();
    client.send(r0().bytes());
    assert_eq!(client.expect_upgrade().header("date"), None);
    let mut late = server.connect();
    if let Some(answer) = late.expect_turned_away() {
        assert_now(answer.header("date").expect("a date"));
    }
    client.finish();
}

#[test]
fn edge_s_the_applications_date_stands() {
    let then = "Sun, 06 Nov 1994 08:49:37 GMT";
    let server = TestServer::echo_with(|server| {
        server
            .on_request(move |_| Response::new(Status::OK, "old\n").header("date", then))
            .on_upgrade(move |_| Ok(Accept::new().header("Date", then)))
    });
    assert_eq!(ask(&server, plain("GET / HTTP/1.1"), 200).header("date"), Some(then));
    let mut client = server.connect();
    client.send(r0().bytes());
    assert_eq!(client.expect_upgrade().header("date"), Some(then));
    client.finish();
}

/// RFC 9110 §7.8: `Upgrade` is to be ignored in HTTP/1.0; and what names no handshake is none.
#[test]
fn edge_t_plain_requests_that_look_like_handshakes() {
    let server = answering();
    for request in [
        plain("GET /healthz HTTP/1.0").add("Upgrade: websocket").add("Connection: Upgrade"),
        plain("GET /healthz HTTP/1.1").add("Upgrade: h2c").add("Connection: Upgrade"),
        plain("GET /healthz HTTP/1.1").add("Sec-WebSocket-Foo: a"),
        plain("GET /healthz HTTP/1.1").add("Sec-WebSocket-Protocol:"),
        plain("GET /healthz HTTP/1.1").add("Expect: 100-continue"),
        plain("GET /healthz HTTP/1.0").add("Expect: 200-ok"),
    ] {
        assert_eq!(ask(&server, request, 200).body, b"GET /healthz\n");
    }
    // A handshake that lost its Upgrade, or its version of HTTP, is told so.
    for (request, status, word) in [
        (r0().without("Upgrade"), 426, "Upgrade"),
        (r0().without("Upgrade").without("Sec-WebSocket-Version"), 426, "Upgrade"),
        (r0().without("Upgrade").without("Sec-WebSocket-Key"), 426, "Upgrade"),
        (r0().line("GET / HTTP/1.0"), 400, "HTTP/1.1"),
        (r0().line("GET / HTTP/1.0").without("Upgrade"), 400, "HTTP/1.1"),
    ] {
        let body = String::from_utf8(ask(&server, request, status).body).unwrap();
        assert!(body.contains(word) && body.contains("proxy"), "{body}");
    }
}

/// RFC 9110 §9.3.2: whatever is wrong with it, and however it ends.
#[test]
fn edge_t_no_answer_to_head_has_a_body() {
    let server = TestServer::echo_with(|server| {
        server.on_request(|_| Response::new(Status::OK, "").header("Upgrade", "ours to say"))
    });
    let hasty = hasty();
    for (request, status) in [
        ("HEAD / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), 400),
        ("HEAD a HTTP/1.1\r\n".to_owned(), 400),
        ("HEAD / HTTP/2.0\r\n".to_owned(), 505),
        ("HEAD / HTTP/1.1\r\nHost: a\n".to_owned(), 400),
        (format!("HEAD /{}", "a".repeat(9_000)), 414),
        (format!("HEAD / HTTP/1.1\r\nX: {}", "a".repeat(40_000)), 431),
        (format!("HEAD / HTTP/1.1\r\n{}", "X: a\r\n".repeat(101)), 431),
        ("HEAD / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n".to_owned(), 400),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nExpect: a\r\n\r\n".to_owned(), 417),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n".to_owned(), 405),
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 500),
        ("HEAD / HTTP/1.1\r\nHost: a\r\n".to_owned(), 408),
    ] {
        let server = if status == 408 { &hasty } else { &server };
        let answer = String::from_utf8(exchange(server, request.as_bytes())).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        // It has the length of the body that GET would have.
        assert!(answer.contains("\r\nContent-Length: "), "{answer}");
        assert!(!answer.contains("\r\nContent-Length: 0\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

/// RFC 9112 §3.2.4: well-formed, and about the server as a whole.
#[test]
fn edge_t_options_asterisk_is_a_plain_request() {
    let (server, default) = (answering(), TestServer::start());
    assert_eq!(ask(&server, plain("OPTIONS * HTTP/1.1"), 200).body, b"OPTIONS *\n");
    let (_, unopened) = refused(&default, plain("OPTIONS * HTTP/1.1"), 400);
    assert_eq!(unopened, Unopened::Refused(HandshakeError::NotWebSocket));
    // It is no target for others, and no way to a connection.
    ask(&server, plain("GET * HTTP/1.1"), 400);
    ask(&server, r0().line("OPTIONS * HTTP/1.1"), 405);
}

/// RFC 9110 §7.8 allows the first, which asks for a 100 ahead of a body that is not there (§10.1.1).
/// The second offers nothing.
#[test]
fn edge_t_handshakes_that_say_more_than_they_need_to() {
    accept([
        r0().add("Expect: 100-continue"),
        r0().add("expect: 100-Continue"),
        r0().add("Sec-WebSocket-Extensions:"),
        r0().add("Sec-WebSocket-Extensions: , ,"),
    ]);
    let server = TestServer::start();
    let other = r0().add("Expect: 200-ok");
    let answer = ask(&server, other, 417);
    assert!(String::from_utf8(answer.body).unwrap().contains("Expect"));
}

#[test]
fn edge_u_a_long_cookie_is_let_in() {
    accept([8_193, 8_700, 32_000].map(|len| r0().add(format!("Cookie: {}", "c".repeat(len - 8)))));
    let server = TestServer::echo(with_limits(|limits| limits.max_header_line = 8_192));
    ask(&server, r0().add(format!("Cookie: {}", "c".repeat(8_185))), 431);
}

/// RFC 9110 §15.5.22; `expect_refusal` has the rest.
#[test]
fn edge_v_a_426_of_the_applications_says_what_to_upgrade_to() {
    let plain = plain("GET /chat HTTP/1.1");
    let server = TestServer::echo_with(|server| {
        server.on_request(|_| Response::new(Status::new(426).unwrap(), "a WebSocket only\n"))
    });
    assert_eq!(ask(&server, &plain, 426).body, b"a WebSocket only\n");
    ask(&TestServer::start(), &plain, 400);
}

#[test]
fn edge_w_tls_on_a_plain_port_is_called_that() {
    let server = TestServer::start();
    // The start of a ClientHello of curl's, and of an old one.
    for hello in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\x16\x03\x00\x00\x01\x01"]
    {
        let (body, unopened) = refused(&server, hello, 400);
        assert!(body.contains("TLS on a plain port") && body.contains("ws://"), "{body}");
        assert_eq!(unopened, Unopened::Refused(HeadError::TlsClientHello.into()));
    }
}

/// RFC 9113 §6.8: length 8, type 7, no flags, stream 0; last stream 0, HTTP_1_1_REQUIRED (§7).
const GOAWAY: [u8; 17] = *b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0d";

#[test]
fn edge_w_http_2_is_told_to_come_back_in_http_1_1() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // For as long as 50,000 records of TLS take.
    let server = TestServer::echo(with_timeouts(|timeouts| timeouts.close = PATIENCE));
    let settings = [PREFACE, b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"].concat();
    let busy = [&settings[..], &[0; 50_000]].concat();
    for bytes in [PREFACE, &settings, &busy] {
        for size in [1, usize::MAX] {
            let mut client = server.connect();
            for piece in bytes.chunks(size.min(bytes.len())) {
                client.try_send(piece).expect("it is read, and not cut off");
            }
            client.send_eof();
            assert_eq!(client.read_all(), GOAWAY);
            let refusal = HandshakeError::Head(HeadError::Http2Preface);
            assert_eq!(server.unopened(client.addr), Unopened::Refused(refusal));
        }
    }
    // Other requests in HTTP/2.0 are none, and get an answer that can be read.
    ask(&server, r0().line("GET / HTTP/2.0"), 505);
    ask(&server, r0().line("PRI * HTTP/1.1"), 400);
}

#[test]
fn edge_z_origins_on_a_list() {
    let origins = ["HTTPS://Example.com:443", "http://[0::1]:8080"].map(str::to_owned).to_vec();
    let server = TestServer::echo(Config { origins, ..Config::default() });
    let from = |host: &str, origin: &str| r0().set("Host", host).add(format!("Origin: {origin}"));
    let port = server.addr.port();
    let (own, own_name) = (format!("127.0.0.1:{port}"), format!("localhost:{port}"));
    for request in [
        from("a", "https://example.com"),
        from("a", "http://[::1]:8080"),
        // Our own page, be there a proxy that ends TLS or none.
        from(&own, &format!("http://{own}")),
        from(&own_name, &format!("http://{own_name}")),
        from("ws.example", "https://ws.example"),
        from("ws.example:9001", "http://ws.example:9001"),
    ] {
        let mut client = server.connect();
        client.send(request.bytes());
        client.expect_upgrade();
        client.finish();
    }
    for (host, origin) in [
        ("a", "https://evil.example"),
        (&own, "http://127.0.0.1:1"),
        ("ws.example", "http://evil.example"),
    ] {
        let (body, unopened) = refused(&server, from(host, origin), 403);
        assert_eq!(body, format!("the origin {origin} is not allowed\n"));
        assert_eq!(unopened, Unopened::Refused(HandshakeError::OriginNotAllowed));
    }
}
