//! §4.2.1 item 1: the client's handshake is an HTTP request, and held to RFC 9112.
//!
//! All errors here are of the kind that makes two parties disagree about where a request ends or
//! what it says, so nothing is repaired.

use barews::http::HandshakeError;
use barews::http::HeadError::*;

use crate::common::{Request, TestServer, accept, malformed, r0, refuse, refused};

/// A lower or mixed case method is another method (RFC 9110 §9.1), and so is any but GET.
const NOT_GET: u16 = 405;

refusals! {
    h1_post => [
        refused(r0().line("POST / HTTP/1.1"), NOT_GET, HandshakeError::MethodNotGet),
        refused(r0().line("PUT / HTTP/1.1"), NOT_GET, HandshakeError::MethodNotGet),
        refused(r0().line("OPTIONS / HTTP/1.1"), NOT_GET, HandshakeError::MethodNotGet),
        refused(r0().line("GETS / HTTP/1.1"), NOT_GET, HandshakeError::MethodNotGet),
        refused(r0().line("GE / HTTP/1.1"), NOT_GET, HandshakeError::MethodNotGet),
        refused(
            r0().line("POST / HTTP/1.1").add("Content-Length: 0"), NOT_GET, HandshakeError::MethodNotGet,
        ),
    ];
    h2_lower_case_get => [
        refused(r0().line("get / HTTP/1.1"), NOT_GET, HandshakeError::MethodNotGet),
        refused(r0().line("Get / HTTP/1.1"), NOT_GET, HandshakeError::MethodNotGet),
    ];
    a_method_that_is_no_token => [
        malformed(r0().line("G(T / HTTP/1.1"), InvalidMethod),
        malformed(r0().line("G\u{c9}T / HTTP/1.1"), InvalidMethod),
        malformed(r0().line("/ HTTP/1.1"), InvalidMethod),
        malformed(r0().line(": / HTTP/1.1"), InvalidMethod),
    ];
    h3_http_1_0 => [
        refused(r0().line("GET / HTTP/1.0"), 400, HandshakeError::HttpTooOld),
        refused(r0().line("GET / HTTP/1.0").without("Host"), 400, HandshakeError::HttpTooOld),
    ];
    http_0_9 => [
        malformed("GET /\r\n\r\n", InvalidVersion),
        refused(r0().line("GET / HTTP/0.9"), 505, UnsupportedVersion),
    ];
    h4_http_2 => [
        refused(r0().line("GET / HTTP/2.0"), 505, UnsupportedVersion),
        refused(r0().line("GET / HTTP/3.0"), 505, UnsupportedVersion),
        refused(r0().line("GET / HTTP/9.9"), 505, UnsupportedVersion),
    ];
    a_version_that_is_none => [
        malformed(r0().line("GET / http/1.1"), InvalidVersion),
        malformed(r0().line("GET / HTTP/1."), InvalidVersion),
        malformed(r0().line("GET / HTTP/1"), InvalidVersion),
        malformed(r0().line("GET / HTTP/1.10"), InvalidVersion),
        malformed(r0().line("GET / HTTP/1a1"), InvalidVersion),
        malformed(r0().line("GET / HTTP/11"), InvalidVersion),
        malformed(r0().line("GET / HTTP/1,1"), InvalidVersion),
        malformed(r0().line("GET / HTTPS/1.1"), InvalidVersion),
        malformed(r0().line("GET / "), InvalidVersion),
        malformed(r0().line("GET / HTTP/1.1 x"), InvalidVersion),
    ];
    h30_fragment_in_the_target => [
        malformed(r0().target("/a#b"), InvalidTarget),
        malformed(r0().target("/#"), InvalidTarget),
        malformed(r0().target("/?a#b"), InvalidTarget),
        malformed(r0().target("ws://localhost/a#b"), InvalidTarget),
    ];
    a_target_that_is_neither_path_nor_uri => [
        malformed(r0().target("*"), InvalidTarget),
        malformed(r0().target("a"), InvalidTarget),
        malformed(r0().target("?a"), InvalidTarget),
        malformed(r0().target("localhost:80"), InvalidTarget),
        malformed(r0().target("ftp://localhost/"), InvalidTarget),
        malformed(r0().target("wss:/localhost/"), InvalidTarget),
        malformed(r0().target("ws:///"), InvalidTarget),
        malformed(r0().target("http://?a"), InvalidTarget),
        malformed(r0().target("http://"), InvalidTarget),
        malformed(r0().target("http"), InvalidTarget),
        malformed(r0().target("ws://user@localhost/"), UserInfo),
        malformed(r0().target("ws://user:secret@localhost/"), UserInfo),
        malformed(r0().target("ws://@localhost/"), UserInfo),
        refused(r0().target("ws://a:b/"), 400, HandshakeError::InvalidAuthority),
        refused(r0().target("ws://[::1/"), 400, HandshakeError::InvalidAuthority),
        refused(r0().target("ws://a,b/"), 400, HandshakeError::InvalidAuthority),
    ];
    a_target_with_a_byte_that_no_uri_has => [
        malformed(r0().target("/\u{e9}"), InvalidTarget),
        malformed(r0().target("/\x01"), InvalidTarget),
        malformed(r0().target("/a\x7f"), InvalidTarget),
        malformed(r0().target("/a\x0b"), InvalidTarget),
        malformed(r0().line(b"GET /\xff HTTP/1.1"), InvalidTarget),
        malformed(r0().target("ws://local\x01host/"), InvalidTarget),
    ];
    h32_obs_fold => [
        malformed(r0().add("X: a").add(" b"), FoldedLine),
        malformed(r0().add("X: a").add("\tb"), FoldedLine),
        malformed(r0().add("X: a").add(" "), FoldedLine),
        malformed(r0().add("X:").add(" b: c"), FoldedLine),
    ];
    h33_space_ahead_of_the_first_header => [
        malformed(r0().add_first(" X: a"), LeadingSpace),
        malformed(r0().add_first("\tX: a"), LeadingSpace),
        malformed(r0().add_first(" "), LeadingSpace),
    ];
    h34_bare_lf => [
        malformed(r0().ended_by("\n"), BareLf),
        malformed(r0().add("X: a\nY: b"), BareLf),
        malformed(r0().line("GET / HTTP/1.1\nX: a"), BareLf),
        malformed(r0().add("X\n"), BareLf),
        malformed(b"\n".iter().copied().chain(r0().bytes()).collect::<Vec<u8>>(), BareLf),
        malformed([&r0().bytes()[..r0().bytes().len() - 2], b"\n"].concat(), BareLf),
    ];
    a_lone_cr => [
        malformed(r0().ended_by("\r"), BareCr),
        malformed(r0().add("X: a\rb"), BareCr),
        malformed(r0().add("X: a\r"), BareCr),
        malformed(r0().line("GET / HTTP/1.1\r"), BareCr),
        malformed(r0().line("GET / HTTP/1.1\rX: a"), BareCr),
        malformed([&r0().bytes()[..r0().bytes().len() - 1], b"x"].concat(), BareCr),
        malformed(r0().add("X\r: a"), MissingColon),
        malformed(r0().line("GET /\r HTTP/1.1"), InvalidVersion),
    ];
    h36_no_colon => [
        malformed(r0().add("X"), MissingColon),
        malformed(r0().add("X=a"), InvalidName),
        malformed(r0().add_first("Host"), MissingColon),
    ];
    h37_space_before_the_colon => [
        malformed(r0().without("Host").add("Host : a"), SpaceInName),
        malformed(r0().add("X\t: a"), SpaceInName),
        malformed(r0().add("X y: a"), SpaceInName),
    ];
    h38_empty_name => [
        malformed(r0().add(": a"), EmptyName),
        malformed(r0().add_first(":"), EmptyName),
    ];
    h40_a_name_that_is_no_token => [
        malformed(r0().add("X(y): a"), InvalidName),
        malformed(r0().add("X\"y\": a"), InvalidName),
        malformed(r0().add("X/y: a"), InvalidName),
        malformed(r0().add("X[y]: a"), InvalidName),
        malformed(r0().add("X{y}: a"), InvalidName),
        malformed(r0().add("X@y: a"), InvalidName),
        malformed(r0().add("X,y: a"), InvalidName),
        malformed(r0().add("X;y: a"), InvalidName),
        malformed(r0().add("X\\y: a"), InvalidName),
        malformed(r0().add("X\x7f: a"), InvalidName),
        malformed(r0().add("\u{e9}: a"), InvalidName),
        malformed(r0().add("(x: a"), InvalidName),
    ];
    h42_control_in_a_value => [
        malformed(r0().add("X: \x01"), InvalidValue),
        malformed(r0().add("X: a\x7f"), InvalidValue),
        malformed(r0().add("X: a\x1bb"), InvalidValue),
        malformed(r0().add("X: \x0b"), InvalidValue),
        malformed(r0().add("X: a\x0cb"), InvalidValue),
        malformed(r0().add("X: a\x08"), InvalidValue),
        malformed(r0().set("Host", "local\x01host"), InvalidValue),
    ];
    h51_content_length_and_a_body => [
        refused(
            [r0().add("Content-Length: 5").bytes(), b"Hello".to_vec()].concat(), 400, HandshakeError::Body,
        ),
        refused(r0().add("Content-Length: 5"), 400, HandshakeError::Body),
        refused(r0().add("Content-Length: 05"), 400, HandshakeError::Body),
        refused(r0().add("content-length: 18446744073709551617"), 400, HandshakeError::Body),
        refused(r0().add("Content-Length: +5"), 400, HandshakeError::InvalidContentLength),
        refused(r0().add("Content-Length: -0"), 400, HandshakeError::InvalidContentLength),
        refused(r0().add("Content-Length: 0x0"), 400, HandshakeError::InvalidContentLength),
        refused(r0().add("Content-Length: 0, 0"), 400, HandshakeError::InvalidContentLength),
        refused(r0().add("Content-Length: 0 0"), 400, HandshakeError::InvalidContentLength),
        refused(r0().add("Content-Length:"), 400, HandshakeError::InvalidContentLength),
        refused(
            r0().add("Content-Length: 0").add("Content-Length: 0"),
            400,
            HandshakeError::RepeatedContentLength,
        ),
        refused(
            r0().add("Content-Length: 0").add("Content-Length: 5"),
            400,
            HandshakeError::RepeatedContentLength,
        ),
    ];
    h54_transfer_encoding => [
        refused(r0().add("Transfer-Encoding: chunked"), 400, HandshakeError::TransferEncoding),
        refused(r0().add("transfer-encoding: CHUNKED"), 400, HandshakeError::TransferEncoding),
        refused(r0().add("Transfer-Encoding: identity"), 400, HandshakeError::TransferEncoding),
        refused(r0().add("Transfer-Encoding: xchunked"), 400, HandshakeError::TransferEncoding),
        refused(r0().add("Transfer-Encoding:"), 400, HandshakeError::TransferEncoding),
    ];
    h55_transfer_encoding_and_content_length => [
        refused(
            r0().add("Transfer-Encoding: chunked").add("Content-Length: 5"),
            400,
            HandshakeError::TransferEncoding,
        ),
        refused(
            r0().add("Content-Length: 0").add("Transfer-Encoding: chunked"),
            400,
            HandshakeError::TransferEncoding,
        ),
    ];
    an_expectation_of_something_else => [
        refused(r0().add("Expect: 200-ok"), 417, HandshakeError::Expectation),
        refused(r0().add("Expect: 100-continue, 200-ok"), 417, HandshakeError::Expectation),
        refused(r0().add("Expect: \"100-continue\""), 417, HandshakeError::Expectation),
    ];
    h59_two_empty_lines_ahead_of_the_request => [
        malformed([b"\r\n\r\n".to_vec(), r0().bytes()].concat(), EmptyLines),
        malformed([b"\r\n \r\n".to_vec(), r0().bytes()].concat(), InvalidMethod),
        malformed([b"\r".to_vec(), r0().bytes()].concat(), BareCr),
    ];
    h61_white_space_in_the_request_line => [
        malformed(r0().line("GET  / HTTP/1.1"), InvalidTarget),
        malformed(r0().line("GET /  HTTP/1.1"), InvalidVersion),
        malformed(r0().line("GET\t/ HTTP/1.1"), InvalidMethod),
        malformed(r0().line("GET /\tHTTP/1.1"), InvalidTarget),
        malformed(r0().line("GET /a b HTTP/1.1"), InvalidVersion),
        malformed(r0().line(" GET / HTTP/1.1"), InvalidMethod),
        malformed(r0().line("\tGET / HTTP/1.1"), InvalidMethod),
        malformed(r0().line("GET / HTTP/1.1 "), InvalidVersion),
        malformed(r0().line("GET / HTTP/1.1\t"), InvalidVersion),
    ];
    h62_tls_client_hello => [
        malformed(b"\x16\x03\x01\x00\xee\x01\x00\x00\xea\x03\x03".to_vec(), TlsClientHello),
        malformed(b"\x16\x03\x03\x40\x00".to_vec(), TlsClientHello),
        malformed(b"\x16\x00\x00".to_vec(), InvalidMethod),
    ];
}

#[test]
fn h6_http_1_2() {
    accept(["1.1", "1.2", "1.9"].map(|version| r0().line(format!("GET / HTTP/{version}"))));
}

/// Origin-form of any kind, and absolute-form, which every server must take (RFC 9112 §3.2.2).
#[test]
fn h29_absolute_form() {
    let targets = [
        "http://localhost/",
        "ws://localhost/",
        "https://localhost/",
        "wss://localhost/",
        "WS://LOCALHOST/",
        "ws://localhost",
        "ws://localhost?a=b",
        "ws://other:9001/chat?room=1",
        "ws://[::1]:80/",
        "ws://127.0.0.1:/",
        "/chat?room=1&a=%20;b",
        "//",
        "/?",
        "/a@b",
        "/%zz",
        "/ws://a/",
    ];
    accept(targets.map(|target| r0().target(target)));
}

#[test]
fn h39_nul_anywhere() {
    let good = r0().bytes();
    let server = TestServer::start();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] = 0;
        println!("a NUL at {at}: {}", bad.escape_ascii());
        let mut client = server.connect();
        client.send(&bad);
        client.expect_refusal(400);
    }
}

/// What a value may hold: visible characters, spaces, tabs and bytes from 80 up (RFC 9110 §5.5).
#[test]
fn values_that_are_fine() {
    let lines: [&[u8]; 8] = [
        b"X: a\tb",
        b"X:",
        b"X:   ",
        b"X:a",
        b"X: \t a \t ",
        b"X: \x80\xff\xc3\xa9",
        b"X: \"(),/:;<=>?@[\\]{}",
        b"!#$%&'*+-.^_`|~09azAZ: a",
    ];
    accept(lines.map(|line| r0().add(line)));
}

/// No body is no body, however many digits say so.
#[test]
fn h53_content_length_0() {
    accept(
        ["0", "00", "000000000000000000000000"]
            .map(|len| r0().add(format!("Content-Length: {len}"))),
    );
}

#[test]
fn h59_one_empty_line_ahead_of_the_request() {
    accept([[b"\r\n".to_vec(), r0().bytes()].concat()]);
}

/// Only the first request counts; what follows is never read as another.
#[test]
fn h56_a_second_request_behind_a_bad_one() {
    let bad = r0().set("Sec-WebSocket-Version", "777").bytes();
    let plain = Request::new("GET / HTTP/1.1").add("Host: localhost").bytes();
    let cases = [
        refused([bad.clone(), r0().bytes()].concat(), 426, HandshakeError::UnsupportedVersion),
        refused([bad, plain.clone()].concat(), 426, HandshakeError::UnsupportedVersion),
        refused([plain, r0().bytes()].concat(), 400, HandshakeError::NotWebSocket),
    ];
    refuse("h56", &cases);
}
