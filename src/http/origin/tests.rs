use super::super::response::Status;
use super::super::testing::{changed, read, with};
use super::*;

/// A request to this host, from a page of this origin.
fn request(host: &str, origin: &str) -> RequestHead {
    let lines = format!("Host: {host}\r\nOrigin: {origin}");
    read(changed("Host: server.example.com", &lines)).unwrap()
}

fn list(origins: &[&str]) -> Vec<String> {
    origins.iter().map(|origin| (*origin).to_owned()).collect()
}

#[test]
fn edge_z_origins_are_compared_as_urls_are() {
    let is_let_in = |listed: &str, sent: &str| {
        assert!(Origin::parse(listed).is_ok(), "{listed}");
        check_origin(&request("a", sent), &list(&["https://other.example", listed])).is_ok()
    };
    for (listed, sent) in [
        ("https://example.com", "https://example.com"),
        ("HTTPS://Example.COM", "https://example.com"),
        ("https://example.com:443", "https://example.com"),
        ("https://example.com:", "https://example.com"),
        ("https://example.com", "https://example.com:443"),
        ("http://example.com:80", "http://EXAMPLE.com"),
        ("http://example.com:8080", "http://example.com:08080"),
        ("http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080"),
        ("http://[2001:DB8::1:2]", "http://[2001:db8:0::1:2]:80"),
        ("http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("app://localhost:80", "app://localhost:80"),
        ("file://", "file://"),
    ] {
        assert!(is_let_in(listed, sent), "{listed} {sent}");
    }
    for (listed, sent) in [
        ("https://example.com", "http://example.com"),
        ("https://example.com", "https://example.com:80"),
        ("https://example.com:8443", "https://example.com"),
        ("https://example.com", "https://example.com."),
        ("https://example.com", "https://www.example.com"),
        ("https://example.com", "https://example.com.evil.example"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com", "https://example.com, https://example.com"),
        ("https://example.com", "https://user@example.com"),
        ("https://example.com", "https://ex%61mple.com"),
        ("https://example.com", "example.com"),
        ("https://example.com", "*"),
        ("https://example.com", "null"),
        ("https://example.com", ""),
        ("https://example.com", "\u{e9}"),
        ("app://localhost:80", "app://localhost"),
        ("http://[::1]", "http://[::2]"),
        ("file://", "file:///a"),
    ] {
        assert!(!is_let_in(listed, sent), "{listed} {sent}");
    }
}

#[test]
fn edge_z_what_no_browser_sends_is_refused_with_what_would_be_right() {
    for (wrong, right) in [
        ("https://example.com/", "write https://example.com"),
        ("https://example.com:8443/a/b?c#d", "write https://example.com:8443"),
        ("https://example.com?", "write https://example.com"),
        ("example.com", "write https://example.com"),
        ("//example.com/", "write https://example.com"),
        ("example.com:8080", "write https://example.com:8080"),
        ("localhost:8080", "write http://localhost:8080"),
        ("127.0.0.1:8080", "write http://127.0.0.1:8080"),
        ("[::1]:8080", "write http://[::1]:8080"),
        ("https:example.com", "write https://example.com"),
        ("wss://example.com/ws", "write https://example.com"),
        ("WS://localhost:9001", "write http://localhost:9001"),
        ("https://user:secret@example.com", "write https://example.com"),
        ("https://a.example,https://b.example/", "write https://a.example and https://b.example"),
        (" https://a.example ", "write https://a.example"),
        ("a.example; b.example:1", "write https://a.example and https://b.example:1"),
        ("*", "list no origin to let in all"),
        ("", "list no origin to let in all"),
        ("NULL", "it cannot be let in, unless all are"),
        ("https://*.example.com", "write it like"),
        ("https://b\u{fc}cher.example", "write it like"),
        ("http://::1:80", "write it like"),
        ("http://[::1", "write it like"),
        ("http://127.1", "write it like"),
        ("http://256.0.0.1", "write it like"),
        ("https://example.com:65536", "write it like"),
        ("https://example.com:https", "write it like"),
        ("https://ex%61mple.com", "write it like"),
        ("https://", "write it like"),
        (":443", "write it like"),
        ("1http://a", "write it like"),
        ("://a", "write http://a"),
        ("file:///home/a", "write file://"),
    ] {
        let told = Origin::parse(wrong).expect_err(wrong).to_string();
        assert!(told.starts_with(&format!("{wrong:?} ")), "{told}");
        assert!(told.contains(right), "{told}, and not {right}");
        assert!(!told.contains(|c: char| c.is_control()), "{told}");
        // And it matches nobody, itself included.
        let head = request("a", wrong);
        let list = list(&[wrong, "https://other.example"]);
        assert_eq!(check_origin(&head, &list), Err(HandshakeError::OriginNotAllowed), "{wrong}");
    }
}

#[test]
fn edge_z_the_servers_own_page_is_let_in() {
    let listed = list(&["https://app.example", "http://echo.example:9001"]);
    for (host, origin) in [
        ("localhost:9001", "http://localhost:9001"),
        ("LOCALHOST", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost:443", "https://localhost"),
        ("127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("192.168.0.7:9001", "http://192.168.0.7:9001"),
        ("[::1]:9001", "http://[::1]:9001"),
        ("[0::1]", "http://[::1]:80"),
        ("barews:9001", "http://barews:9001"),
        ("a.localhost:9001", "http://a.localhost:9001"),
        // A proxy ends TLS, and has proven the name.
        ("ws.example", "https://ws.example"),
        ("ws.example:443", "https://WS.example"),
        ("ws.example:8443", "https://ws.example:8443"),
        ("echo.example:1234", "http://echo.example:1234"),
        ("app.example", "http://app.example"),
    ] {
        assert_eq!(check_origin(&request(host, origin), &listed), Ok(()), "{host} {origin}");
    }
    // The target's host stands for the other.
    let absolute = |origin| {
        let request = changed("/chat", "http://localhost:9001/chat");
        read(request.replace("Host: server", &format!("Origin: {origin}\r\nHost: server"))).unwrap()
    };
    assert_eq!(check_origin(&absolute("http://localhost:9001"), &listed), Ok(()));
    let other = check_origin(&absolute("https://server.example.com"), &listed);
    assert_eq!(other, Err(HandshakeError::OriginNotAllowed));
}

#[test]
fn edge_z_a_page_of_another_server_is_not_let_in() {
    let listed = list(&["https://app.example"]);
    for (host, origin) in [
        ("localhost:9001", "http://evil.example:9001"),
        ("localhost", "http://evil-localhost"),
        // Other ports and hosts are other servers.
        ("localhost:9001", "http://localhost:3000"),
        ("localhost:9001", "http://localhost"),
        ("localhost:80", "https://localhost"),
        ("localhost:9001", "http://127.0.0.1:9001"),
        ("localhost:9001", "app://localhost:9001"),
        ("localhost:9001", "null"),
        ("localhost:9001", "http://localhost:9001/"),
    ] {
        let result = check_origin(&request(host, origin), &listed);
        assert_eq!(result, Err(HandshakeError::OriginNotAllowed), "{host} {origin}");
        // Who lists none lets in all.
        assert_eq!(check_origin(&request(host, origin), &[]), Ok(()), "{host} {origin}");
    }
}

#[test]
fn edge_z_a_refused_origin_is_named() {
    let reason = |origin: &[u8]| {
        let (start, end) = (b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: ", b"\r\n\r\n");
        let head = read([start, origin, end].concat()).unwrap();
        let reason = HandshakeError::OriginNotAllowed.reason(&head);
        let response = HandshakeError::OriginNotAllowed.response_to(&head);
        assert_eq!(response.body(), format!("{reason}\n").as_bytes());
        assert_eq!(
            HandshakeError::NotWebSocket.reason(&head),
            HandshakeError::NotWebSocket.to_string()
        );
        reason
    };
    assert_eq!(reason(b"https://evil.example"), "the origin https://evil.example is not allowed");
    assert_eq!(reason(b"a\tb\xe2\x80\xae c"), "the origin a?b????c is not allowed");
    assert_eq!(reason(b""), "this origin is not allowed");
    let long = reason(&[b'a'; 5_000]);
    assert_eq!(long, format!("the origin {}... is not allowed", "a".repeat(100)));
}

#[test]
fn origins() {
    let origin = |lines: &str| read(with(lines)).unwrap();
    let allowed = ["https://a.example".to_owned(), "null".to_owned()];
    let none = origin("");
    let good = origin("Origin: https://a.example\r\n");
    // H26.
    for head in [&none, &good] {
        assert_eq!(check_origin(head, &allowed), Ok(()));
    }
    // H26, H27.
    for bad in ["null", "https://b.example", "https://a.example:80", "", "*"] {
        let head = origin(&format!("Origin: {bad}\r\n"));
        assert_eq!(check_origin(&head, &allowed), Err(HandshakeError::OriginNotAllowed), "{bad}");
        assert_eq!(check_origin(&head, &[]), Ok(()), "{bad}");
    }
    let twice = origin("Origin: https://a.example\r\nOrigin: https://a.example\r\n");
    for list in [&allowed[..], &[]] {
        assert_eq!(check_origin(&twice, list), Err(HandshakeError::RepeatedOrigin));
    }
    assert_eq!(HandshakeError::OriginNotAllowed.status(), Status::FORBIDDEN);
}
