use super::super::response::{Response, Status};
use super::super::testing::{R0, changed, read, with, without};
use super::*;

/// What becomes of a request, as far as this layer decides: the 101 or the response.
fn judge(request: impl AsRef<[u8]>) -> Result<Handshake, HandshakeError> {
    check(&read(request)?)
}

/// The bytes of the answer to a request that is refused.
fn refused(refusal: HandshakeError) -> String {
    String::from_utf8(refusal.response().encode(None).unwrap()).unwrap()
}

/// R0 with another value for one of its headers.
fn set(name: &str, value: &str) -> String {
    let lines = R0.lines().map(|line| match line.split_once(": ") {
        Some((other, _)) if other == name => format!("{name}: {value}\r\n"),
        _ => format!("{line}\r\n"),
    });
    lines.collect()
}

#[track_caller]
fn assert_passes(requests: &[String]) {
    for request in requests {
        let handshake = judge(request);
        assert!(handshake.is_ok(), "{handshake:?}: {request}");
    }
}

#[track_caller]
fn assert_refused(refusal: HandshakeError, requests: &[String]) {
    for request in requests {
        assert_eq!(judge(request), Err(refusal), "{request}");
    }
}

#[test]
fn the_example_of_the_rfc_is_accepted() {
    // §1.3.
    let request = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    let head = read(request).unwrap();
    let handshake = check(&head).unwrap();
    let accept = Accept::new().select_subprotocol(&head, &["chat"]);
    let reply = handshake.encode(&head, &accept, None).unwrap();
    assert_eq!(
        String::from_utf8(reply).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    );
}

#[test]
fn accept_keys() {
    assert_eq!(&accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    // H21: white space around the key is no part of it.
    for request in [
        R0.to_owned(),
        set("Sec-WebSocket-Key", "\t dGhlIHNhbXBsZSBub25jZQ== \t"),
        changed("Key: ", "Key:"),
    ] {
        assert_eq!(judge(request).unwrap().accept_key(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}

#[test]
fn http_rules_hold_for_every_request() {
    for (refusal, change) in [
        // H7, H8.
        (HandshakeError::MissingHost, ("Host: a\r\n", "")),
        (HandshakeError::RepeatedHost, ("Host: a", "Host: a\r\nhost: a")),
        (HandshakeError::RepeatedHost, ("Host: a", "Host: a\r\nHost:")),
        (HandshakeError::InvalidHost, ("Host: a", "Host: ")),
        (HandshakeError::InvalidHost, ("Host: a", "Host: a, b")),
        (HandshakeError::InvalidHost, ("Host: a", "Host: u@a")),
        (HandshakeError::InvalidHost, ("Host: a", "Host: a:65536")),
        (HandshakeError::InvalidAuthority, (" / ", " http://a,b/ ")),
        (HandshakeError::InvalidAuthority, (" / ", " http://:80/ ")),
        (HandshakeError::InvalidAuthority, (" / ", " http://a:x ")),
        // H51, H54, H55.
        (HandshakeError::TransferEncoding, ("Host", "Transfer-Encoding: chunked\r\nHost")),
        (HandshakeError::TransferEncoding, ("Host", "Transfer-Encoding:\r\nHost")),
        (
            HandshakeError::TransferEncoding,
            ("Host", "Content-Length: 5\r\nTransfer-Encoding: identity\r\nHost"),
        ),
        (HandshakeError::Body, ("Host", "Content-Length: 5\r\nHost")),
        (HandshakeError::Body, ("Host", "content-length: 00010\r\nHost")),
        (HandshakeError::Body, ("Host", "Content-Length: 18446744073709551616\r\nHost")),
        (HandshakeError::InvalidContentLength, ("Host", "Content-Length:\r\nHost")),
        (HandshakeError::InvalidContentLength, ("Host", "Content-Length: +0\r\nHost")),
        (HandshakeError::InvalidContentLength, ("Host", "Content-Length: -1\r\nHost")),
        (HandshakeError::InvalidContentLength, ("Host", "Content-Length: 0, 0\r\nHost")),
        (HandshakeError::InvalidContentLength, ("Host", "Content-Length: 0x0\r\nHost")),
        (
            HandshakeError::RepeatedContentLength,
            ("Host", "Content-Length: 0\r\nContent-Length: 0\r\nHost"),
        ),
        (HandshakeError::Expectation, ("Host", "Expect: 100-continue, a\r\nHost")),
        (HandshakeError::Expectation, ("Host", "Expect: 200-ok\r\nHost")),
        (HandshakeError::Expectation, ("Host", "Expect: 100-continue=1\r\nHost")),
        (HandshakeError::RepeatedOrigin, ("Host", "Origin: http://a\r\nOrigin: http://a\r\nHost")),
    ] {
        for request in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        ] {
            let request = request.replacen(change.0, change.1, 1);
            let head = read(&request).unwrap();
            assert_eq!(check_request(&head), Err(refusal), "{request}");
            assert_eq!(check(&head), Err(refusal), "{request}");
            let unexpected = refusal == HandshakeError::Expectation;
            assert_eq!(refusal.status().code(), if unexpected { 417 } else { 400 });
        }
    }
}

#[test]
fn http_rules_let_good_requests_pass() {
    assert_passes(&[
        // H53, H29, H59, H6.
        with("Content-Length: 0\r\n"),
        with("Content-Length: 000\r\n"),
        changed("/chat", "http://server.example.com/chat?a=b"),
        changed("/chat", "ws://[::1]:9001"),
        format!("\r\n{R0}"),
        changed("HTTP/1.1", "HTTP/1.2"),
        with("Origin: null\r\n"),
    ]);
    for request in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nHost: a\r\nExpect: 200-ok\r\n\r\n"]
    {
        assert_eq!(check_request(&read(request).unwrap()), Ok(()));
    }
    let twice = read("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(check_request(&twice), Err(HandshakeError::RepeatedHost));
}

#[test]
fn an_ordinary_request_is_told_from_a_handshake() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        "HEAD / HTTP/1.0\r\n\r\n",
    ] {
        assert_eq!(judge(request), Err(HandshakeError::NotWebSocket));
    }
    // H10: what lost its Upgrade on the way is still meant as a handshake.
    assert_refused(HandshakeError::MissingUpgrade, &[without("Upgrade")]);
}

#[test]
fn edge_t_a_plain_request_may_have_what_a_handshake_has_not_alone() {
    let plain = |version: &str, lines: &str| {
        format!("GET /healthz HTTP/{version}\r\nHost: a\r\nConnection: Upgrade\r\n{lines}\r\n\r\n")
    };
    assert_refused(
        HandshakeError::NotWebSocket,
        &[
            // RFC 9110 §7.8: to be ignored.
            plain("1.0", "Upgrade: websocket"),
            plain("1.0", "Upgrade: websocket\r\nSec-WebSocket-Protocol: a"),
            plain("1.1", "Upgrade: h2c"),
            plain("1.1", "Sec-WebSocket-Foo: a"),
            plain("1.1", "Sec-WebSocket-Extensions: ;"),
            plain("1.1", "Sec-WebSocket-Protocol: a b"),
            plain("1.1", "Sec-WebSocket-Accept: a"),
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ],
    );
    // What a handshake is never without tells what was meant.
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    assert_refused(
        HandshakeError::MissingUpgrade,
        &[plain("1.1", key), plain("1.1", "sec-websocket-version: 13")],
    );
    assert_refused(HandshakeError::HttpTooOld, &[plain("1.0", key)]);
    let all = plain("1.0", &format!("Upgrade: websocket\r\n{key}\r\nSec-WebSocket-Version: 13"));
    assert_refused(HandshakeError::HttpTooOld, &[all]);
}

#[test]
fn edge_t_the_one_expectation_that_there_is_may_be_had() {
    assert_passes(&[
        with("Expect: 100-continue\r\n"),
        with("expect: 100-CONTINUE, ,100-continue\r\n"),
        with("Expect:\r\n"),
    ]);
}

#[test]
fn the_request_line_of_a_handshake() {
    // H1, H2.
    let methods = ["POST", "get", "HEAD", "GETT", "G"];
    let methods = methods.map(|method| changed("GET", method));
    assert_refused(HandshakeError::MethodNotGet, &methods);
    assert!(refused(HandshakeError::MethodNotGet).contains("\r\nAllow: GET\r\n"));
    // H3.
    assert_refused(HandshakeError::HttpTooOld, &[changed("HTTP/1.1", "HTTP/1.0")]);
}

#[test]
fn upgrade_asks_for_websocket() {
    let upgrade = |value| set("Upgrade", value);
    assert_passes(&[
        // H11.
        upgrade("h2c, WebSocket"),
        upgrade(",WEBSOCKET,"),
        upgrade("h2c/1\r\nUpgrade: websocket"),
    ]);
    // H12, H13.
    let others = ["notwebsocket", "websocket2", "websocket/13", "web, socket", "", ",", "h2c"];
    assert_refused(HandshakeError::UpgradeNotWebSocket, &others.map(upgrade));
    let malformed =
        ["web socket", "websocket;q=1", "\"a, websocket, b\"", "websocket, a/", "a/b/c"];
    assert_refused(HandshakeError::InvalidUpgrade, &malformed.map(upgrade));
}

#[test]
fn connection_has_upgrade() {
    let connection = |value| set("Connection", value);
    assert_passes(&[
        // H14.
        connection("keep-alive, UPGRADE"),
        connection("keep-alive\r\nConnection: upgrade"),
    ]);
    // H15.
    let others = ["x-upgrade", "upgrade-x", "keep-alive", "", ", ,"].map(connection);
    assert_refused(HandshakeError::ConnectionNotUpgrade, &others);
    assert_refused(HandshakeError::ConnectionNotUpgrade, &[without("Connection")]);
    let malformed = ["up grade", "upgrade;a", "\"a, upgrade, b\"", "upgrade, a/b"];
    assert_refused(HandshakeError::InvalidConnection, &malformed.map(connection));
}

#[test]
fn the_version_is_13() {
    // H22, H23, H25.
    assert_refused(HandshakeError::MissingVersion, &[without("Sec-WebSocket-Version")]);
    let others = ["0", "8", "14", "99", "777", "", "013", "+13", "1 3", "13, 8", "13,13", "a"];
    let others = others.map(|version| set("Sec-WebSocket-Version", version));
    assert_refused(HandshakeError::UnsupportedVersion, &others);
    assert_refused(
        HandshakeError::RepeatedVersion,
        &[with("Sec-WebSocket-Version: 13\r\n"), with("sec-websocket-version: 8\r\n")],
    );
    assert_passes(&[set("Sec-WebSocket-Version", " 13\t")]);
    // The version is judged before the key.
    let old = without("Sec-WebSocket-Key").replace(": 13", ": 7");
    assert_refused(HandshakeError::UnsupportedVersion, &[old]);
}

#[test]
fn the_key_is_base64_of_16_bytes() {
    let key = |key| set("Sec-WebSocket-Key", key);
    assert_passes(&[
        // The example of §4.1, whose unused bits are not zero.
        key("AQIDBAUGBwgJCgsMDQ4PEC=="),
        key("AQIDBAUGBwgJCgsMDQ4PEA=="),
        key("AQIDBAUGBwgJCgsMDQ4PEP=="),
        key("++++////++++////++++/w=="),
    ]);
    // H17, H18.
    assert_refused(HandshakeError::MissingKey, &[without("Sec-WebSocket-Key")]);
    let again = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_refused(HandshakeError::RepeatedKey, &[with(again)]);
    let malformed = [
        "",
        // H19: 15, 17, 18 and 24 bytes, and 15 with four of padding.
        "AAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAA====",
        // H20.
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "----____----____----_w==",
        "dGhlIHNhbXBsZSBub25j Q==",
        "dGhlIHNhbXBsZSBub25jZQ=A",
        "dGhlIHNhbXBsZ=Bub25jZQ==",
        "dGhlIHNhbXBs%SBub25jZQ==",
        "not base64 of anything!!",
        "\u{e9}\u{e9}lIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ];
    assert_refused(HandshakeError::InvalidKey, &malformed.map(key));
}

#[test]
fn subprotocols_are_tokens_and_all_different() {
    let offer = |value: &str| with(&format!("Sec-WebSocket-Protocol: {value}\r\n"));
    let many: Vec<String> = (0..1_000).map(|number| format!("p{number}")).collect();
    assert_passes(&[
        offer("a"),
        offer("a, A,b ,\tc"),
        offer("a\r\nSec-WebSocket-Protocol:\r\nsec-websocket-protocol: b"),
        offer(&many.join(",")),
    ]);
    // H65 among them.
    let gap = format!("b{}x", " ".repeat(8_000));
    for malformed in ["", " ", ", ,", "a b", "a/b", "a;b", "\"a\"", "a, \u{e9}", &gap] {
        assert_refused(HandshakeError::InvalidSubprotocol, &[offer(malformed)]);
    }
    let repeated = format!("{},p500", many.join(","));
    for twice in ["a,a", "a, b, c, a", "a\r\nSec-WebSocket-Protocol: a", &repeated] {
        assert_refused(HandshakeError::RepeatedSubprotocol, &[offer(twice)]);
    }
}

#[test]
fn extensions_are_read_and_declined() {
    let offer = |value: &str| with(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
    assert_passes(&[
        offer("permessage-deflate; client_max_window_bits"),
        offer("a; b=\"c\", d\r\nSec-WebSocket-Extensions: e"),
        offer("a\r\nSec-WebSocket-Extensions:"),
        offer(""),
        offer(", ,"),
    ]);
    let endless = format!("a; b=\"{}", "\\c".repeat(4_000));
    for malformed in [";", "a;", "a b", "a\r\nSec-WebSocket-Extensions: ;", &endless] {
        assert_refused(HandshakeError::InvalidExtensions, &[offer(malformed)]);
    }
}

#[test]
fn the_broader_rule_is_named_first() {
    let all_wrong = "POST http://a,b/ HTTP/1.0\r\nHost: a\r\nHost: b\r\nUpgrade: x\r\n\r\n";
    assert_refused(HandshakeError::RepeatedHost, &[all_wrong.to_owned()]);
    let upgrade = set("Upgrade", "x").replace("GET", "POST");
    assert_refused(HandshakeError::MethodNotGet, &[upgrade]);
}

#[test]
fn each_refusal_is_a_response_that_closes() {
    use HandshakeError::*;
    let mut all = vec![
        MissingHost,
        RepeatedHost,
        InvalidHost,
        InvalidAuthority,
        TransferEncoding,
        RepeatedContentLength,
        InvalidContentLength,
        Body,
        Expectation,
        RepeatedOrigin,
        NotWebSocket,
        MethodNotGet,
        HttpTooOld,
        MissingUpgrade,
        InvalidUpgrade,
        UpgradeNotWebSocket,
        InvalidConnection,
        ConnectionNotUpgrade,
        MissingVersion,
        RepeatedVersion,
        UnsupportedVersion,
        MissingKey,
        RepeatedKey,
        InvalidKey,
        InvalidSubprotocol,
        RepeatedSubprotocol,
        InvalidExtensions,
        OriginNotAllowed,
    ];
    for unread in ["\0", "GET / HTTP/2.0", "\x16\x03", "PRI * HTTP/2.0"] {
        all.push(judge(unread).unwrap_err());
    }
    for refusal in &all {
        let text = refused(*refusal);
        let code = refusal.status().code();
        assert!(text.starts_with(&format!("HTTP/1.1 {code} ")), "{text}");
        assert!(text.contains("\r\nConnection: close"), "{text}");
        assert!(text.ends_with(&format!("\r\n\r\n{refusal}\n")), "{text}");
        assert!(matches!(code, 400 | 403 | 405 | 417 | 426 | 505), "{text}");
        let upgrade = "\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\n";
        assert_eq!(text.contains(upgrade), code == 426, "{text}");
        assert!(!refusal.to_string().contains('\n'));
        let same = all.iter().filter(|other| other.to_string() == refusal.to_string());
        assert_eq!(same.count(), 1, "{refusal}");
    }
    let source = std::error::Error::source(&NotWebSocket);
    assert!(source.is_none());
    let head = judge("\0").unwrap_err();
    assert_eq!(std::error::Error::source(&head).unwrap().to_string(), head.to_string());
    let required = all.iter().filter(|refusal| refusal.status() == Status::UPGRADE_REQUIRED);
    assert_eq!(required.count(), 5);
    let body = Response::body(&NotWebSocket.response()).to_vec();
    assert_eq!(body, format!("{NotWebSocket}\n").into_bytes());
}
