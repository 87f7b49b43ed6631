//! §4.2: the server's side of the opening handshake.

use barews::Config;
use barews::http::{HandshakeError, HeadError};

use crate::common::{
    Frame, Request, TEXT, TestServer, Unopened, accept, frame, malformed, r0, refused,
};

/// The status of a request that would be fine if it asked for WebSocket 13 (RFC 9110 §15.5.22).
const UPGRADE: u16 = 426;

refusals! {
    h7_no_host => [refused(r0().without("Host"), 400, HandshakeError::MissingHost)];
    h8_two_hosts => [
        refused(r0().add("Host: localhost"), 400, HandshakeError::RepeatedHost),
        refused(r0().add("host: other"), 400, HandshakeError::RepeatedHost),
        refused(r0().set("Host", "").add("Host: localhost"), 400, HandshakeError::RepeatedHost),
    ];
    a_host_that_is_none => [
        refused(r0().set("Host", ""), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "a b"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "a, b"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "a,b"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "a/b"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "user@a"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "http://a"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "a:b"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "a:65536"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "a:-1"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "a:80:80"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", ":80"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "::1"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "[::1"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "[::1]x"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "[]"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "[::1::2]"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "[1.2.3.4]"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "a%4"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "\u{e9}"), 400, HandshakeError::InvalidHost),
        refused(r0().set("Host", "a\tb"), 400, HandshakeError::InvalidHost),
    ];
    h10_no_upgrade => [refused(r0().without("Upgrade"), UPGRADE, HandshakeError::MissingUpgrade)];
    h12_another_protocol => [
        refused(r0().set("Upgrade", "notwebsocket"), UPGRADE, HandshakeError::UpgradeNotWebSocket),
        refused(r0().set("Upgrade", "websocket2"), UPGRADE, HandshakeError::UpgradeNotWebSocket),
        refused(r0().set("Upgrade", "web socket"), 400, HandshakeError::InvalidUpgrade),
        refused(r0().set("Upgrade", "h2c"), UPGRADE, HandshakeError::UpgradeNotWebSocket),
        refused(r0().set("Upgrade", "h2c, x-websocket"), UPGRADE, HandshakeError::UpgradeNotWebSocket),
        refused(r0().set("Upgrade", ""), UPGRADE, HandshakeError::UpgradeNotWebSocket),
        refused(r0().set("Upgrade", ","), UPGRADE, HandshakeError::UpgradeNotWebSocket),
        refused(r0().set("Upgrade", "\"websocket\""), 400, HandshakeError::InvalidUpgrade),
        refused(r0().set("Upgrade", "websocket;q=1"), 400, HandshakeError::InvalidUpgrade),
        refused(r0().set("Upgrade", "websocket, (x)"), 400, HandshakeError::InvalidUpgrade),
    ];
    h13_a_version_of_the_protocol => [
        refused(r0().set("Upgrade", "websocket/13"), UPGRADE, HandshakeError::UpgradeNotWebSocket),
        refused(r0().set("Upgrade", "WebSocket/13, h2c"), UPGRADE, HandshakeError::UpgradeNotWebSocket),
        refused(r0().set("Upgrade", "websocket/"), 400, HandshakeError::InvalidUpgrade),
    ];
    h15_connection_without_upgrade => [
        refused(r0().set("Connection", "x-upgrade"), UPGRADE, HandshakeError::ConnectionNotUpgrade),
        refused(r0().without("Connection"), UPGRADE, HandshakeError::ConnectionNotUpgrade),
        refused(r0().set("Connection", ""), UPGRADE, HandshakeError::ConnectionNotUpgrade),
        refused(r0().set("Connection", "keep-alive"), UPGRADE, HandshakeError::ConnectionNotUpgrade),
        refused(r0().set("Connection", "upgrades"), UPGRADE, HandshakeError::ConnectionNotUpgrade),
        refused(r0().set("Connection", "Upgrade-Insecure"), UPGRADE, HandshakeError::ConnectionNotUpgrade),
        refused(r0().set("Connection", "keep-alive Upgrade"), 400, HandshakeError::InvalidConnection),
        refused(r0().set("Connection", "\"Upgrade\""), 400, HandshakeError::InvalidConnection),
        refused(r0().set("Connection", "Upgrade;x"), 400, HandshakeError::InvalidConnection),
    ];
    h17_no_key => [refused(r0().without("Sec-WebSocket-Key"), 400, HandshakeError::MissingKey)];
    h18_two_keys => [
        refused(
            r0().add("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, HandshakeError::RepeatedKey,
        ),
        refused(
            r0().add("sec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA=="), 400, HandshakeError::RepeatedKey,
        ),
        refused(r0().add("Sec-WebSocket-Key:"), 400, HandshakeError::RepeatedKey),
    ];
    h19_a_key_of_another_length => [
        // 15, 17, 18, 24, 0 and 1 bytes.
        refused(key("AAAAAAAAAAAAAAAAAAAA"), 400, HandshakeError::InvalidKey),
        refused(key("AAAAAAAAAAAAAAAAAAAAAAA="), 400, HandshakeError::InvalidKey),
        refused(key("AAAAAAAAAAAAAAAAAAAAAAAA"), 400, HandshakeError::InvalidKey),
        refused(key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 400, HandshakeError::InvalidKey),
        refused(key(""), 400, HandshakeError::InvalidKey),
        refused(key("AA=="), 400, HandshakeError::InvalidKey),
        refused(key(&"A".repeat(4096)), 400, HandshakeError::InvalidKey),
    ];
    h20_a_key_that_is_not_base64 => [
        refused(key("not base64 of any kind!!"), 400, HandshakeError::InvalidKey),
        // The alphabet that is safe in URLs.
        refused(key("_-_-_-_-_-_-_-_-_-_-_w=="), 400, HandshakeError::InvalidKey),
        // Padding that is missing, short, long, or in the middle.
        refused(key("dGhlIHNhbXBsZSBub25jZQ"), 400, HandshakeError::InvalidKey),
        refused(key("dGhlIHNhbXBsZSBub25jZQ="), 400, HandshakeError::InvalidKey),
        refused(key("dGhlIHNhbXBsZSBub25jZQ==="), 400, HandshakeError::InvalidKey),
        refused(key("dGhlIHNhbXBsZSBub25jZ==="), 400, HandshakeError::InvalidKey),
        refused(key("dGhlIHNhbXBs==ZSBub25jZQ"), 400, HandshakeError::InvalidKey),
        refused(key("dGhlIHNhbXBsZSBub25jZQ=A"), 400, HandshakeError::InvalidKey),
        refused(key("========================"), 400, HandshakeError::InvalidKey),
        // White space inside it, and what else cannot be.
        refused(key("dGhlIHNhbXBs ZSBub25jZQ=="), 400, HandshakeError::InvalidKey),
        refused(key("dGhlIHNhbXB ZSBub25jZQ=="), 400, HandshakeError::InvalidKey),
        refused(key("\"dGhlIHNhbXBsZSBub25jZQ==\""), 400, HandshakeError::InvalidKey),
        refused(key("dGhlIHNhbXBsZSBub25jZQ==,"), 400, HandshakeError::InvalidKey),
        refused(key("dGhlIHNhbXBsZSBub25jZ\u{e9}="), 400, HandshakeError::InvalidKey),
    ];
    h22_no_version => [
        refused(r0().without("Sec-WebSocket-Version"), UPGRADE, HandshakeError::MissingVersion),
    ];
    h23_another_version => [
        refused(version("0"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("8"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("14"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("99"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("13, 8"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("8, 13"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("013"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("+13"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("-13"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("13.0"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("1 3"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("13;"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("269"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version(""), UPGRADE, HandshakeError::UnsupportedVersion),
        // Another version's key is not ours to judge.
        refused(version("8").set("Sec-WebSocket-Key", "?"), UPGRADE, HandshakeError::UnsupportedVersion),
        refused(version("8").without("Sec-WebSocket-Key"), UPGRADE, HandshakeError::UnsupportedVersion),
    ];
    h25_two_versions => [
        refused(r0().add("Sec-WebSocket-Version: 13"), 400, HandshakeError::RepeatedVersion),
        refused(r0().add("Sec-WebSocket-Version: 8"), 400, HandshakeError::RepeatedVersion),
        refused(r0().add("Sec-WebSocket-Version:"), 400, HandshakeError::RepeatedVersion),
    ];
    h65_a_protocol_with_spaces_inside => [
        refused(protocols(&format!("b{}x", " ".repeat(8000))), 400, HandshakeError::InvalidSubprotocol),
    ];
    h68_protocols_that_are_no_list_of_tokens => [
        malformed(protocols("a\0"), HeadError::InvalidValue),
        refused(protocols("a,a"), 400, HandshakeError::RepeatedSubprotocol),
        refused(protocols("a, b, a"), 400, HandshakeError::RepeatedSubprotocol),
        refused(protocols("a").add("Sec-WebSocket-Protocol: a"), 400, HandshakeError::RepeatedSubprotocol),
        refused(protocols(""), 400, HandshakeError::InvalidSubprotocol),
        refused(protocols(","), 400, HandshakeError::InvalidSubprotocol),
        refused(protocols("a b"), 400, HandshakeError::InvalidSubprotocol),
        refused(protocols("a;b"), 400, HandshakeError::InvalidSubprotocol),
        refused(protocols("\"a\""), 400, HandshakeError::InvalidSubprotocol),
        refused(protocols("a, \u{e9}"), 400, HandshakeError::InvalidSubprotocol),
    ];
    extensions_that_break_the_grammar => [
        refused(extensions("a;"), 400, HandshakeError::InvalidExtensions),
        refused(extensions(";a"), 400, HandshakeError::InvalidExtensions),
        refused(extensions("a; b="), 400, HandshakeError::InvalidExtensions),
        refused(extensions("a; =b"), 400, HandshakeError::InvalidExtensions),
        refused(extensions("a b"), 400, HandshakeError::InvalidExtensions),
        refused(extensions("a=b"), 400, HandshakeError::InvalidExtensions),
        refused(extensions("a; b=\"c"), 400, HandshakeError::InvalidExtensions),
        refused(extensions("a; b=\"\""), 400, HandshakeError::InvalidExtensions),
        refused(extensions("a; b=\"c d\""), 400, HandshakeError::InvalidExtensions),
        refused(extensions("a; b=\"c\"d"), 400, HandshakeError::InvalidExtensions),
        refused(extensions("a; b=\"\\"), 400, HandshakeError::InvalidExtensions),
        refused(
            extensions("a").add("Sec-WebSocket-Extensions: ;"), 400, HandshakeError::InvalidExtensions,
        ),
    ];
    a_plain_request => [
        refused(Request::new("GET / HTTP/1.1").add("Host: a"), 400, HandshakeError::NotWebSocket),
        refused(Request::new("GET / HTTP/1.0"), 400, HandshakeError::NotWebSocket),
        refused(Request::new("POST / HTTP/1.1").add("Host: a"), 400, HandshakeError::NotWebSocket),
    ];
}

#[test]
fn h11_websocket_among_other_protocols() {
    accept(
        ["h2c, WebSocket", "WEBSOCKET", "websocket,h2c", ",websocket,,", "h2c/1 ,\twebsocket"]
            .map(|value| r0().set("Upgrade", value)),
    );
    accept([
        r0().set("Upgrade", "h2c").add("Upgrade: websocket"),
        r0().add("UPGRADE: h2c"),
        r0().without("Upgrade").add("upgrade:websocket"),
    ]);
}

#[test]
fn h14_upgrade_among_other_options() {
    accept(
        ["keep-alive, UPGRADE", "upgrade", "Upgrade,keep-alive", ", ,Upgrade", "a,b\t,\tupgrade"]
            .map(|value| r0().set("Connection", value)),
    );
    accept([
        r0().set("Connection", "keep-alive").add("Connection: Upgrade"),
        r0().add("connection: close"),
    ]);
}

#[test]
fn a_host_of_any_form() {
    let hosts = [
        "localhost:9001",
        "EXAMPLE.com",
        "127.0.0.1",
        "127.0.0.1:65535",
        "a:",
        "[::1]:80",
        "[::]",
        "[1:2:3:4:5:6:7.8.9.10]",
        "a_b~c",
        "%41",
    ];
    accept(hosts.map(|host| r0().set("Host", host)));
}

#[test]
fn h21_white_space_around_the_key() {
    const KEY: &str = "Sec-WebSocket-Key:";
    let lines = [
        format!("{KEY}dGhlIHNhbXBsZSBub25jZQ=="),
        format!("{KEY}     dGhlIHNhbXBsZSBub25jZQ==    "),
        format!("{KEY}\tdGhlIHNhbXBsZSBub25jZQ==\t \t"),
    ];
    accept(lines.map(|line| r0().without("Sec-WebSocket-Key").add(line)));
}

/// The answer is made of the key as it was sent. §4.1 gives the first as an example, whose unused
/// bits are not zero.
#[test]
fn any_key_of_16_bytes() {
    let server = TestServer::start();
    for (sent, accept) in [
        ("AQIDBAUGBwgJCgsMDQ4PEC==", "OfS0wDaT5NoxF2gqm7Zj2YtetzM="),
        ("/+/+/+/+/+/+/+/+/+/+/w==", "YdypOIlszlAa8WZtOS9miNhQsaE="),
    ] {
        let mut client = server.connect();
        client.send(key(sent).bytes());
        client.expect_upgrade_for(accept);
        client.finish();
    }
}

/// Extensions are declined by not being named in the answer (§9.1).
#[test]
fn extensions_are_declined() {
    accept(
        [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "a; b=c, d; e=\"f\"; g",
            "a;b = \"\\c\" ,, d",
            "",
            ",",
        ]
        .map(extensions),
    );
    accept([extensions("a").add("Sec-WebSocket-Extensions: b; c=1")]);
}

/// Subprotocols are declined in the same way, unless the application chooses one.
#[test]
fn protocols_are_declined() {
    accept(["chat", "chat, superchat", "a,,b", "v1.json!#$%&'*+-.^_`|~"].map(protocols));
    accept([protocols("a").add("Sec-WebSocket-Protocol: b")]);
}

#[test]
fn h26_origins() {
    let origins = ["https://example.com", "http://localhost:8080"].map(str::to_owned).to_vec();
    let server = TestServer::echo(Config { origins, ..Config::default() });
    for allowed in
        [r0(), r0().add("Origin: https://example.com"), r0().add("oRIGIN: http://localhost:8080")]
    {
        let mut client = server.connect();
        client.send(allowed.bytes());
        client.expect_upgrade();
        client.finish();
    }
    for other in [
        "https://example.org",
        "http://example.com",
        "https://example.com:8443",
        "https://example.com/",
        "https://example.com.evil.org",
        "https://example.co",
        "",
        "*",
        "https://example.com, http://localhost:8080",
    ] {
        let mut client = server.connect();
        client.send(r0().add(format!("Origin: {other}")).bytes());
        client.expect_refusal(403);
        let peer = client.addr;
        drop(client);
        assert_eq!(server.unopened(peer), Unopened::Refused(HandshakeError::OriginNotAllowed));
    }
}

#[test]
fn h27_origin_null_or_twice() {
    let origins = vec!["https://example.com".to_owned()];
    let server = TestServer::echo(Config { origins, ..Config::default() });
    let twice = r0().add("Origin: https://example.com").add("Origin: https://example.com");
    for (request, status, refusal) in [
        (r0().add("Origin: null"), 403, HandshakeError::OriginNotAllowed),
        (twice, 400, HandshakeError::RepeatedOrigin),
    ] {
        let mut client = server.connect();
        client.send(request.bytes());
        client.expect_refusal(status);
        let peer = client.addr;
        drop(client);
        assert_eq!(server.unopened(peer), Unopened::Refused(refusal));
    }
}

/// With no list, every origin is let in, whatever it is.
#[test]
fn any_origin_without_a_list() {
    accept(["null", "https://example.com", ""].map(|origin| r0().add(format!("Origin: {origin}"))));
}

#[test]
fn h48_one_byte_a_segment() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.dribble(&r0().add("X: a").bytes());
    client.expect_upgrade();
    client.finish();
}

/// Frames may follow the request without waiting for the answer, cut anywhere.
#[test]
fn h57_request_and_frames_in_one_segment() {
    let server = TestServer::start();
    let request = r0().bytes();
    let sent = [request.clone(), frame(TEXT, "first"), frame(TEXT, "x".repeat(5000))].concat();
    for cut in [sent.len(), request.len() - 1, request.len() + 1, request.len() + 9, 3000] {
        let mut client = server.connect();
        client.send(&sent[..cut]);
        client.send(&sent[cut..]);
        client.expect_upgrade();
        client.expect(&Frame::text("first"));
        client.expect(&Frame::text("x".repeat(5000)));
        client.finish();
    }
}

fn key(key: &str) -> Request {
    r0().set("Sec-WebSocket-Key", key)
}

fn version(version: &str) -> Request {
    r0().set("Sec-WebSocket-Version", version)
}

fn protocols(offers: &str) -> Request {
    r0().add(format!("Sec-WebSocket-Protocol: {offers}"))
}

fn extensions(offers: &str) -> Request {
    r0().add(format!("Sec-WebSocket-Extensions: {offers}"))
}
