use super::super::testing::{R0, read, with};
use super::lines::RESERVED;
use super::*;

fn text(response: &Response) -> String {
    String::from_utf8(response.encode(None).unwrap()).unwrap()
}

#[test]
fn a_status_is_101_or_final() {
    for code in 0..=u16::MAX {
        let status = Status::new(code);
        assert_eq!(status.map(Status::code), (200..600).contains(&code).then_some(code));
    }
    assert_eq!(Status::SWITCHING_PROTOCOLS.to_string(), "101 Switching Protocols");
    assert_eq!(Status::new(404), Some(Status::NOT_FOUND));
    assert_eq!(Status::new(499).unwrap().reason_phrase(), "");
}

#[test]
fn a_response_is_plain_text_unless_it_says_otherwise() {
    assert_eq!(
        text(&Response::new(Status::NOT_FOUND, "no\n")),
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 3\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nno\n"
    );
    let page = Response::new(Status::OK, "<p>")
        .header("content-type", "text/plain")
        .header("Set-Cookie", "a")
        .header("Content-Type", "text/html")
        .header("Set-Cookie", "b\u{e9}\t");
    assert_eq!(
        text(&page),
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\nSet-Cookie: a\r\n\
         Content-Type: text/html\r\nSet-Cookie: b\u{e9}\t\r\n\r\n<p>"
    );
    assert_eq!((page.status(), page.body()), (Status::OK, b"<p>".as_slice()));
}

#[test]
fn edge_s_every_response_is_dated_once() {
    let date = Some(Date::from_unix(784_111_777));
    for code in (200..=599).filter(|code| !matches!(code, 204 | 205 | 304 | 426)) {
        let response = Response::new(Status::new(code).unwrap(), "a");
        let wanted = format!(
            "HTTP/1.1 {}\r\nConnection: close\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Length: 1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
            response.status(),
        );
        let head = String::from_utf8(response.encode_head_only(date).unwrap()).unwrap();
        assert_eq!(head, wanted);
        let whole = String::from_utf8(response.encode(date).unwrap()).unwrap();
        assert_eq!(whole, format!("{wanted}a"));
        assert!(!text(&response).contains("Date"));
    }
    // The application's own stands in its place, and the last of several.
    let own = Response::new(Status::OK, "").header("DATE", "x").header("date", "then").encode(date);
    assert_eq!(
        String::from_utf8(own.unwrap()).unwrap(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\ndate: then\r\n\r\n"
    );
}

#[test]
fn a_response_may_be_empty_or_of_no_known_status() {
    assert_eq!(
        text(&Response::new(Status::new(599).unwrap(), "")),
        "HTTP/1.1 599 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn a_head_request_gets_all_but_the_body() {
    let response = Response::new(Status::OK, "body");
    let head = response.encode_head_only(None).unwrap();
    assert_eq!([head.as_slice(), b"body"].concat(), response.encode(None).unwrap());
    assert!(head.ends_with(b"\r\n\r\n"));
}

#[test]
fn some_statuses_have_no_body() {
    for (code, length) in [(204, ""), (205, "Content-Length: 0\r\n"), (304, "")] {
        let status = Status::new(code).unwrap();
        let encoded = text(&Response::new(status, ""));
        let reason = status.reason_phrase();
        let wanted = format!("HTTP/1.1 {code} {reason}\r\nConnection: close\r\n{length}\r\n");
        assert_eq!(encoded, wanted);
        let with_body = Response::new(status, "a");
        assert_eq!(with_body.encode(None), Err(InvalidResponse::BodyNotAllowed));
        assert_eq!(with_body.encode_head_only(None), Err(InvalidResponse::BodyNotAllowed));
    }
    let interim = Response::new(Status::SWITCHING_PROTOCOLS, "");
    assert_eq!(interim.encode(None), Err(InvalidResponse::NotFinal));
}

#[test]
fn a_426_says_what_to_upgrade_to() {
    assert_eq!(
        text(&Response::new(Status::UPGRADE_REQUIRED, "")),
        "HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn no_header_can_split_a_reply_or_take_the_servers_place() {
    let head = read(R0).unwrap();
    let both = |name: &str, value: &str| {
        let response = Response::new(Status::OK, "").header(name, value).encode(None);
        let accept = Accept::new().header(name, value).encode(&head, "key", None);
        assert_eq!(response.as_ref().err(), accept.as_ref().err());
        response.err()
    };
    for byte in 0..=127_u8 {
        let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let name = format!("X{}Y", char::from(byte));
        assert_eq!(both(&name, "v"), (!token).then_some(InvalidResponse::HeaderName));
        let value = format!("x{}y", char::from(byte));
        let control = byte.is_ascii_control() && byte != b'\t';
        assert_eq!(both("X", &value), control.then_some(InvalidResponse::HeaderValue));
    }
    assert_eq!(both("", "v"), Some(InvalidResponse::HeaderName));
    assert_eq!(both("X\u{e9}", "v"), Some(InvalidResponse::HeaderName));
    assert_eq!(both("X", "\u{e9}"), None);
    assert_eq!(both("X", "a\r\nSet-Cookie: b"), Some(InvalidResponse::HeaderValue));
    for name in RESERVED.iter().copied().chain([
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Version",
    ]) {
        for name in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            assert_eq!(both(&name, "v"), Some(InvalidResponse::ReservedHeader));
        }
    }
}

#[test]
fn the_101_is_that_of_the_rfc() {
    // §1.3, with an extra header behind it.
    let head = read(with("Sec-WebSocket-Protocol: chat, superchat\r\n")).unwrap();
    let accept = Accept::new().subprotocol("chat");
    let wanted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: chat\r\n\r\n";
    let encoded = accept.encode(&head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", None).unwrap();
    assert_eq!(String::from_utf8(encoded).unwrap(), wanted);
    let encoded = Accept::new().header("Set-Cookie", "a").encode(&head, "key", None);
    let wanted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: key\r\nSet-Cookie: a\r\n\r\n";
    assert_eq!(String::from_utf8(encoded.unwrap()).unwrap(), wanted);
}

#[test]
fn the_client_s_first_choice_that_is_supported_is_chosen() {
    let head = read(with("Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n")).unwrap();
    for (supported, chosen) in [
        (&["b"][..], Some("b")),
        (&["c", "b"], Some("b")),
        (&["c"], Some("c")),
        (&["B", "a "], None),
        (&[], None),
    ] {
        let accept = Accept::new().subprotocol("x").select_subprotocol(&head, supported);
        assert_eq!(accept.selected_subprotocol(), chosen);
        let encoded = String::from_utf8(accept.encode(&head, "", None).unwrap()).unwrap();
        assert_eq!(
            encoded.matches("Sec-WebSocket-Protocol").count(),
            usize::from(chosen.is_some())
        );
        assert!(!encoded.contains("Extensions"));
    }
}

#[test]
fn only_what_was_offered_can_be_chosen() {
    let offers = read(with("Sec-WebSocket-Protocol: a, b\r\n")).unwrap();
    let none = read(R0).unwrap();
    for protocol in ["A", "c", "a, b", "", "a\r\nX: y"] {
        let accept = Accept::new().subprotocol(protocol);
        for head in [&offers, &none] {
            let encoded = accept.encode(head, "key", None);
            assert_eq!(encoded, Err(InvalidResponse::SubprotocolNotOffered));
        }
    }
    assert!(Accept::new().subprotocol("b").encode(&offers, "key", None).is_ok());
}

#[test]
fn every_status_has_its_words_and_others_have_none() {
    let mut named = 0;
    for code in 0..=999 {
        match Status::new(code) {
            Some(status) => {
                assert_eq!(status.code(), code);
                assert_eq!(status.to_string(), format!("{code} {}", status.reason_phrase()));
                let words = status.reason_phrase();
                assert!(words.is_empty() || words.starts_with(|c: char| c.is_ascii_uppercase()));
                named += usize::from(!words.is_empty());
            }
            None => assert!(!(200..=599).contains(&code), "{code}"),
        }
    }
    // All but 101, which is no final one.
    assert_eq!(named, 25);
    assert_eq!(Status::SWITCHING_PROTOCOLS.to_string(), "101 Switching Protocols");
    assert_eq!(Status::NOT_FOUND.to_string(), "404 Not Found");
}

#[test]
fn what_is_wrong_with_a_reply_is_told_in_a_line_of_its_own() {
    use std::collections::HashSet;
    let all = [
        InvalidResponse::HeaderName,
        InvalidResponse::HeaderValue,
        InvalidResponse::ReservedHeader,
        InvalidResponse::NotFinal,
        InvalidResponse::BodyNotAllowed,
        InvalidResponse::SubprotocolNotOffered,
    ];
    let lines: HashSet<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), all.len());
    assert!(lines.iter().all(|line| !line.is_empty() && !line.contains('\n')));
}

#[test]
fn the_101_names_the_extensions_that_are_accepted() {
    let head = read(with("Sec-WebSocket-Protocol: chat\r\n")).unwrap();
    let accept = Accept::new().subprotocol("chat").header("X", "y");
    let encode = |extensions| accept.encode(&head, "key", extensions);
    let encoded = String::from_utf8(encode(Some("a; b=10, c")).unwrap()).unwrap();
    let lines = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: a; b=10, c\r\nX: y\r\n";
    assert!(encoded.ends_with(&format!("{lines}\r\n")), "{encoded}");
    for wrong in ["a\r\nX: z", "a\n", "a\0"] {
        assert_eq!(encode(Some(wrong)), Err(InvalidResponse::HeaderValue), "{wrong:?}");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn compression_is_on_until_it_is_turned_off() {
    assert!(Accept::new().compresses());
    assert!(!Accept::new().compress(false).compresses());
    assert!(Accept::new().compress(false).compress(true).compresses());
}
