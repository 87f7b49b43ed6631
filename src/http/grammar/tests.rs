use super::*;

#[test]
fn the_classes_are_those_of_the_rfcs() {
    for byte in 0..=255_u8 {
        let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert_eq!(is_token_byte(byte), token);
        let value = matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        assert_eq!(is_value_byte(byte), value);
        assert_eq!(is_target_byte(byte), matches!(byte, b'!'..=b'~') && byte != b'#');
        let host = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte);
        assert_eq!(is_host(&[byte]), host);
    }
    assert!(!is_token(b"") && is_token(b"a") && !is_token(b"a b"));
}

#[test]
fn lists_go_on_over_lines() {
    let list = |lines: &[&'static str]| {
        let lines = lines.iter().map(|line| line.as_bytes());
        let list: Vec<&[u8]> = elements(lines).collect();
        list.join(b"|".as_slice())
    };
    assert_eq!(list(&[]), b"");
    assert_eq!(list(&["", " ", ",", " , \t,"]), b"");
    assert_eq!(list(&["a"]), b"a");
    assert_eq!(list(&["a,b ,\tc", ",,d e\t,"]), b"a|b|c|d e");
}

#[test]
fn names_of_the_handshake() {
    for name in ["Sec-WebSocket-Key", "sec-websocket-", "SEC-WEBSOCKET-X"] {
        assert!(is_websocket_field(name));
    }
    for name in ["Sec-WebSocket", "Sec-WebSockets-Key", "X-Sec-WebSocket-Key", ""] {
        assert!(!is_websocket_field(name));
    }
}

#[test]
fn upgrade_protocols() {
    for protocol in ["a", "a/1", "websocket/13", "h2c"] {
        assert!(is_upgrade_protocol(protocol.as_bytes()), "{protocol}");
    }
    for protocol in ["", "/", "a/", "/1", "a/1/2", "a b", "a;b", "\"a\""] {
        assert!(!is_upgrade_protocol(protocol.as_bytes()), "{protocol}");
    }
}

/// What a `Host` may be.
#[rustfmt::skip]
const HOSTS: [&str; 23] = [
    "a", "localhost:9001", "a.example.", "127.0.0.1:80", "999.1.1.1", "a:", "a:0", "a:65535",
    "a:00080", "xn--bcher-kva", "a_b", "%41%ff", "a%2f", "[::1]", "[::1]:9001", "[::]:",
    "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]", "[1::ABcd:0]",
    "[::ffff:1.2.3.4]", "[1:2:3:4:5:6:255.0.10.9]", "[1::0.0.0.0]",
];

/// And what it may not.
#[rustfmt::skip]
const NO_HOSTS: [&str; 58] = [
    "", ":", ":80", "a:65536", "a:99999999999999999999", "a:8a", "a:-1", "a:+1", "a: 1", "a:1:2",
    "::1", "u@a", "a,b", "a b", "a/", "a/b", "a?b", "a\\b", "a#b", "\"a\"", "a[", "%", "%4",
    "%4g", "a%", "%%41", "\u{e9}", "http://a", "[]", "[", "[::1", "[::1]a", "[::1]:x",
    "[::1]:65536", "[[::1]]", "[a]", "[:]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]",
    "[1:2:3:4:5:6:7:8::]", "[1::2::3]", "[:::]", "[:1::]", "[1::2:]", "[12345::]", "[g::]",
    "[1g::]", "[::1.2.3]", "[::1.2.3.4.5]", "[::1.2.3.256]", "[::1.2.3.04]", "[::1.2.3.]",
    "[1.2.3.4::]", "[1.2.3.4]", "[1:2:3:4:5:6:7:1.2.3.4]", "[::1%25eth0]", "[v1.a]", "[ ::1]",
];

#[test]
fn hosts() {
    for host in HOSTS {
        assert!(is_host(host.as_bytes()), "{host}");
    }
    for host in NO_HOSTS {
        assert!(!is_host(host.as_bytes()), "{host}");
    }
}

/// How many extensions there are, or `None` if the line breaks the grammar.
fn count(line: &str) -> Option<usize> {
    extensions(line.as_bytes()).map(|extension| extension.map(|_| 1)).sum()
}

#[test]
fn extension_lists() {
    for (line, count) in [
        ("", 0),
        (" ,\t, ", 0),
        ("a", 1),
        ("a,b", 2),
        (",a , ,b\t,", 2),
        ("permessage-deflate; client_max_window_bits", 1),
        ("a;b=c;d=\"e\" ; f = g , h", 2),
        ("a; b=\"\\c\\d\"", 1),
        ("a; b = \t\"c\"", 1),
    ] {
        assert_eq!(self::count(line), Some(count), "{line}");
    }
    for line in [
        ";",
        "=",
        "a b",
        "a;",
        "a;;b",
        "a; ;b",
        "a;b=",
        "a;b=;c",
        "a;=b",
        "a=b",
        "a;b=c=d",
        "a;b c",
        "a;b=c d",
        "\"a\"",
        "a;\"b\"",
        "a;b=\"",
        "a;b=\"c",
        "a;b=\"\"",
        "a;b=\"c d\"",
        "a;b=\"c,d\"",
        "a;b=\"c\"d",
        "a;b=\"c\\\"",
        "a;b=\"\\\"\"",
        "a;b=\"\\\\\"",
        "a;b=\"c\\",
        "a,;b",
        "a;,b",
        "(a)",
        "a;b=\u{e9}",
        "a;b=\"\u{e9}\"",
    ] {
        assert_eq!(count(line), None, "{line}");
    }
    // H64: a string without an end.
    let endless = format!("a; b=\"{}", "\\c".repeat(4_000));
    assert_eq!(count(&endless), None);
    assert_eq!(count(&format!("{endless}\"")), Some(1));
}

#[test]
fn what_breaks_the_grammar_ends_the_list() {
    let found: Vec<_> = extensions(b"a;b, c , d;, e").collect();
    assert_eq!(found, [Some((&b"a"[..], &b";b, c , d;, e"[..])), Some((b"c", b", d;, e")), None]);
}

#[cfg(feature = "deflate")]
#[test]
fn parameters_end_with_their_extension_and_are_unquoted() {
    let read = |line: &str| {
        let shown = |(name, value): (&[u8], Option<Vec<u8>>)| {
            let name = name.escape_ascii();
            value.map_or(format!("{name}"), |value| format!("{name}={}", value.escape_ascii()))
        };
        let extension = |(name, behind): (&[u8], _)| {
            let parameters =
                parameters(behind).map(|(name, value)| (name, value.map(Iterator::collect)));
            let parts =
                [format!("{}", name.escape_ascii())].into_iter().chain(parameters.map(shown));
            parts.collect::<Vec<_>>().join("|")
        };
        extensions(line.as_bytes()).flatten().map(extension).collect::<Vec<_>>()
    };
    assert_eq!(read(" a , b;c,d"), ["a", "b|c", "d"]);
    assert_eq!(read("a;b=c;d=\"e\" ; f\t=  g,h ;i = \t\"\\j\" "), ["a|b=c|d=e|f=g", "h|i=j"]);
    assert_eq!(read("a; b=\"\\1\\0\"; b=\"1\\0\"; b=10; b"), ["a|b=10|b=10|b=10|b"]);
    assert_eq!(read("a;b=c;d;"), [""; 0]);
}
