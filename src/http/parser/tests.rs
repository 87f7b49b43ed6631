use std::fmt::Write as _;

use super::super::testing::{BAD, R0, RICH, read};
use super::*;

/// What comes of feeding these pieces one after the other: how many bytes were used, and the head
/// in writing, or nothing if it is not complete.
fn feed_all<'a>(
    limits: HeadLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(usize, Option<String>), HeadError> {
    let mut parser = HeadParser::new(limits);
    let mut total = 0;
    for piece in pieces {
        let (used, head) = parser.feed(piece)?;
        total += used;
        if let Some(head) = head {
            return Ok((total, Some(format!("{head:?}"))));
        }
        assert_eq!(used, piece.len(), "what asks for more has used all");
    }
    Ok((total, None))
}

fn feed(bytes: impl AsRef<[u8]>) -> Result<(usize, Option<String>), HeadError> {
    feed_all(HeadLimits::default(), [bytes.as_ref()])
}

/// The position of the byte that fails, fed one by one, and how.
fn failure(bytes: impl AsRef<[u8]>) -> Option<(usize, HeadError)> {
    failure_within(HeadLimits::default(), bytes)
}

fn failure_within(limits: HeadLimits, bytes: impl AsRef<[u8]>) -> Option<(usize, HeadError)> {
    let mut parser = HeadParser::new(limits);
    for (position, byte) in bytes.as_ref().chunks(1).enumerate() {
        match parser.feed(byte) {
            Ok((_, None)) => {}
            Ok((_, Some(_))) => return None,
            Err(error) => return Some((position, error)),
        }
    }
    None
}

#[test]
fn a_rich_head_is_read() {
    let mut parser = HeadParser::new(HeadLimits::default());
    let (used, head) = parser.feed(RICH).unwrap();
    let head = head.unwrap();
    assert_eq!(&RICH[used..], b"\x81\x80\0\0\0\0");
    assert_eq!(head.method(), "GET");
    assert_eq!(head.target(), "wss://a.example:9001/x?y=1");
    assert_eq!(head.minor_version(), 1);
    let headers: Vec<(&str, &[u8])> = head.headers().collect();
    let wanted: [(&str, &[u8]); 5] = [
        ("Host", b"a"),
        ("X-Empty", b""),
        ("X-Space", b""),
        ("x-obs", b"\xff\x80 in  side"),
        ("Host", b"b"),
    ];
    assert_eq!(headers, wanted);
}

#[test]
fn each_bad_head_fails_at_its_first_bad_byte() {
    for &(bytes, position, error) in BAD {
        let text = bytes.escape_ascii();
        assert_eq!(failure(bytes), Some((position, error)), "{text}");
    }
}

#[test]
fn every_split_gives_the_same() {
    for bytes in BAD.iter().map(|bad| bad.0).chain([R0.as_bytes(), RICH]) {
        let whole = feed(bytes);
        assert_eq!(feed_all(HeadLimits::default(), bytes.chunks(1)), whole);
        for first in 0..=bytes.len() {
            let (a, rest) = bytes.split_at(first);
            for second in 0..=rest.len() {
                let (b, c) = rest.split_at(second);
                let split = feed_all(HeadLimits::default(), [a, b, c]);
                assert_eq!(split, whole, "{}", bytes.escape_ascii());
            }
        }
    }
}

#[test]
fn every_byte_in_every_place_gives_the_same_in_one_piece_and_in_single_bytes() {
    for place in 0..R0.len() {
        let mut bytes = R0.as_bytes().to_vec();
        for byte in 0..=255_u8 {
            bytes[place] = byte;
            let single = feed_all(HeadLimits::default(), bytes.chunks(1));
            assert_eq!(single, feed(&bytes), "{}", bytes.escape_ascii());
        }
    }
}

/// Whether the head with this byte between the two parts is read.
fn reads_with(before: &str, byte: u8, after: &str) -> bool {
    let bytes = [before.as_bytes(), &[byte], after.as_bytes()].concat();
    match feed(&bytes) {
        Ok((used, head)) => used == bytes.len() && head.is_some(),
        Err(_) => false,
    }
}

#[test]
fn each_byte_value_is_allowed_just_where_the_grammar_has_it() {
    for byte in 0..=255_u8 {
        let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let target = (0x21..=0x7e).contains(&byte) && byte != b'#';
        let value = matches!(byte, b'\t' | 0x20..=0x7e | 0x80..=0xff);
        let end = " HTTP/1.1\r\n\r\n";
        assert_eq!(reads_with("G", byte, "T / HTTP/1.1\r\n\r\n"), token);
        assert_eq!(reads_with("", byte, "ET / HTTP/1.1\r\n\r\n"), token);
        assert_eq!(reads_with("GET /", byte, end), target);
        assert_eq!(reads_with("GET /a", byte, &format!("b{end}")), target);
        let authority = target && byte != b'@';
        assert_eq!(reads_with("GET ws://a", byte, end), authority);
        let start = "GET / HTTP/1.1\r\n";
        let name = token || byte == b':';
        assert_eq!(reads_with(&format!("{start}N"), byte, "N: v\r\n\r\n"), name);
        assert_eq!(reads_with(start, byte, "N: v\r\n\r\n"), token);
        assert_eq!(reads_with(&format!("{start}N: v"), byte, "v\r\n\r\n"), value);
        assert_eq!(reads_with(&format!("{start}N:"), byte, "\r\n\r\n"), value);
        let digit = byte.is_ascii_digit();
        assert_eq!(reads_with("GET / HTTP/1.", byte, "\r\n\r\n"), digit);
        assert_eq!(reads_with("GET / HTTP/", byte, ".1\r\n\r\n"), byte == b'1');
    }
}

/// The request line of a head, this many bytes long.
fn request_line(length: usize) -> String {
    let padding = "a".repeat(length - "GET / HTTP/1.1".len());
    format!("GET /{padding} HTTP/1.1")
}

#[test]
fn the_request_line_may_have_8192_bytes() {
    let (passes, fails) = (request_line(8_192), request_line(8_193));
    assert!(matches!(feed(format!("{passes}\r\n\r\n")), Ok((8_196, Some(_)))));
    assert_eq!(failure(fails), Some((8_192, HeadError::RequestLineTooLong)));
    // The empty line ahead of it does not count.
    assert!(feed(format!("\r\n{passes}\r\n\r\n")).is_ok());
    // A line that never gets to its target ends at the same place.
    assert_eq!(failure("G".repeat(9_000)), Some((8_192, HeadError::RequestLineTooLong)));
}

#[test]
fn a_header_line_may_have_as_many_bytes_as_its_limit() {
    let limits = HeadLimits { max_header_line: 8_192, ..HeadLimits::default() };
    let start = "GET / HTTP/1.1\r\n";
    for (name, value) in [("N: ", "v"), ("N:", " "), ("", "n")] {
        let line = format!("{name}{}", value.repeat(8_192 - name.len()));
        let place = start.len() + line.len();
        let error = HeadError::HeaderLineTooLong;
        assert_eq!(failure_within(limits, format!("{start}{line}{value}")), Some((place, error)));
        // What is full may still end, if it is a header at all.
        let ended = failure_within(limits, format!("{start}{line}\r\n\r\n"));
        let no_colon = name.is_empty().then_some((place, HeadError::MissingColon));
        assert_eq!(ended, no_colon);
    }
}

/// A head is full before a line of it is.
#[test]
fn edge_u_a_header_line_may_take_what_the_head_may() {
    let (start, end) = ("GET / HTTP/1.1\r\nCookie: ", "\r\n\r\n");
    let head = |len: usize| format!("{start}{}{end}", "c".repeat(len - start.len() - end.len()));
    for len in [8_193, 9_000, 32_768] {
        assert!(matches!(feed(head(len)), Ok((used, Some(_))) if used == len), "{len}");
    }
    assert_eq!(feed(head(32_769)), Err(HeadError::HeadTooLarge));
    assert_eq!(failure(head(60_000)), Some((32_768, HeadError::HeadTooLarge)));
}

#[test]
fn edge_t_a_head_request_is_known_whatever_follows() {
    for (bytes, is_head) in [
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("HEAD /\0", true),
        ("\r\nHEAD  ", true),
        ("HEAD / HTTP/1.1\r\nX (: a", true),
        ("HEAD / HTTP/1.1\r\nX: ", true),
        ("HEAD", false),
        ("HEADS /", false),
        ("head /", false),
        ("GET /HEAD", false),
        ("", false),
        ("\0HEAD /", false),
    ] {
        for size in [1, 100] {
            let mut parser = HeadParser::new(HeadLimits::default());
            for piece in bytes.as_bytes().chunks(size) {
                let _ = parser.feed(piece);
            }
            assert_eq!(parser.is_head_request(), is_head, "{bytes:?}");
        }
    }
}

#[test]
fn edge_t_only_options_may_ask_about_the_server_as_a_whole() {
    for bytes in ["OPTIONS * HTTP/1.1\r\n\r\n", "\r\nOPTIONS * HTTP/1.0\r\n\r\n"] {
        let head = read(bytes).unwrap();
        assert_eq!((head.method(), head.target()), ("OPTIONS", "*"));
    }
}

#[test]
fn there_may_be_100_headers() {
    let head = |headers: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(headers));
    assert!(matches!(feed(head(100)), Ok((_, Some(_)))));
    let place = head(100).len() - 2;
    assert_eq!(failure(head(101)), Some((place, HeadError::TooManyHeaders)));
    let none = HeadLimits { max_headers: 0, ..HeadLimits::default() };
    assert!(matches!(feed_all(none, [head(0).as_bytes()]), Ok((_, Some(_)))));
    assert_eq!(feed_all(none, [head(1).as_bytes()]), Err(HeadError::TooManyHeaders));
}

/// A head of just this many bytes, out of headers of 100 bytes or more.
fn head_of(length: usize) -> String {
    let mut head = String::from("GET / HTTP/1.1\r\n");
    while length - head.len() > 8_000 {
        let _ = write!(head, "A: {}\r\n", "v".repeat(4_000));
    }
    let padding = length - head.len() - "A: \r\n\r\n".len();
    let _ = write!(head, "A: {}\r\n\r\n", "v".repeat(padding));
    assert_eq!(head.len(), length);
    head
}

#[test]
fn the_head_may_have_32_kib() {
    assert!(matches!(feed(head_of(32_768)), Ok((32_768, Some(_)))));
    assert_eq!(feed(head_of(32_769)), Err(HeadError::HeadTooLarge));
    assert_eq!(failure(head_of(40_000)), Some((32_768, HeadError::HeadTooLarge)));
    // An empty line ahead counts as well.
    let padded = |length| format!("\r\n{}", head_of(length));
    assert!(matches!(feed(padded(32_766)), Ok((32_768, Some(_)))));
    assert_eq!(feed(padded(32_767)), Err(HeadError::HeadTooLarge));
    // What follows the head does not.
    let followed = format!("{}frames", head_of(32_768));
    assert!(matches!(feed(followed), Ok((32_768, Some(_)))));
}

#[test]
fn limits_may_be_anything() {
    let all = |limit| HeadLimits {
        max_request_line: limit,
        max_header_line: limit,
        max_headers: limit,
        max_head_size: limit,
    };
    assert_eq!(feed_all(all(0), [b"G".as_slice()]), Err(HeadError::HeadTooLarge));
    let without_request_line = HeadLimits { max_request_line: 0, ..HeadLimits::default() };
    assert_eq!(
        feed_all(without_request_line, [b"G".as_slice()]),
        Err(HeadError::RequestLineTooLong)
    );
    assert!(feed_all(all(usize::MAX), [RICH]).is_ok());
}

#[test]
fn memory_stays_within_the_limit_and_is_exact_in_the_end() {
    let limits = HeadLimits { max_head_size: 5_000, ..HeadLimits::default() };
    let mut parser = HeadParser::new(limits);
    for (position, byte) in head_of(5_000).as_bytes().chunks(1).enumerate() {
        let capacity = parser.bytes.capacity();
        assert!(capacity <= (2 * position).min(5_000));
        if let (_, Some(head)) = parser.feed(byte).unwrap() {
            assert_eq!((head.bytes.len(), head.fields.len()), (5_000, 1));
        }
    }
    assert_eq!(parser.bytes.capacity() + parser.fields.capacity(), 0);
    // H47: all but the first 32 KiB of an endless header is never looked at.
    let mut parser = HeadParser::new(HeadLimits::default());
    parser.feed(b"GET / HTTP/1.1\r\nA: b\r\nA: ").unwrap();
    let error = parser.feed(&vec![b'a'; 20_000_000]).unwrap_err();
    assert_eq!(error, HeadError::HeadTooLarge);
    let part = parser.take_part().expect("what was good");
    assert_eq!((part.bytes.len(), part.fields.len()), (32_768, 1));
    assert_eq!(parser.bytes.capacity() + parser.fields.capacity(), 0);
}

/// However it is cut, what came before the fault is there, and only once.
#[test]
fn edge_ac_a_part_of_a_head_tells_who_asked() {
    for (bytes, headers) in [
        ("GET /a HTTP/1.1\r\nN: v\r\nx\r\n", Some(1)),
        ("GET /a HTTP/1.1\r\nN: v\r\nM: w", Some(1)),
        ("\r\nGET /a HTTP/1.1\r\n: a", Some(0)),
        ("GET /a HTTP/1.1\r\n", Some(0)),
        ("GET /a HTTP/1.1\r", None),
        ("GET /a", None),
        ("GET /a HTTP/2.0\r\n", None),
        ("\r\nGET", None),
        ("", None),
        (R0, None),
    ] {
        for size in 1..=bytes.len().max(1) {
            let mut parser = HeadParser::new(HeadLimits::default());
            for piece in bytes.as_bytes().chunks(size) {
                let _ = parser.feed(piece);
            }
            let part = parser.take_part();
            let told = part.map(|part| (part.path().to_owned(), part.headers().count()));
            assert_eq!(told, headers.map(|count| ("/a".to_owned(), count)), "{bytes:?}");
            assert!(parser.take_part().is_none());
        }
    }
}

#[test]
fn a_failure_stays_and_a_head_comes_once() {
    let mut parser = HeadParser::new(HeadLimits::default());
    for bytes in [b"\0".as_slice(), b"", R0.as_bytes()] {
        assert_eq!(parser.feed(bytes).unwrap_err(), HeadError::InvalidMethod);
    }
    let mut parser = HeadParser::new(HeadLimits::default());
    assert!(matches!(parser.feed(b""), Ok((0, None))));
    assert!(matches!(parser.feed(R0.as_bytes()), Ok((_, Some(_)))));
    for bytes in [b"\0".as_slice(), b"", R0.as_bytes()] {
        assert!(matches!(parser.feed(bytes), Ok((0, None))));
    }
}

#[test]
fn every_minor_version_is_read() {
    for minor in 0..=9 {
        let head = read(format!("GET / HTTP/1.{minor}\r\n\r\n")).unwrap();
        assert_eq!(head.minor_version(), minor);
    }
}

#[test]
fn each_error_has_words_of_its_own_and_a_status() {
    let mut seen = Vec::new();
    for error in BAD.iter().map(|bad| bad.2) {
        assert!(matches!(error.status().code(), 400 | 505), "{error}");
        assert!(error.section().contains('§'), "{error}");
        seen.push((error.to_string(), error));
    }
    for (error, status) in [
        (HeadError::RequestLineTooLong, 414),
        (HeadError::HeaderLineTooLong, 431),
        (HeadError::TooManyHeaders, 431),
        (HeadError::HeadTooLarge, 431),
        (HeadError::UnsupportedVersion, 505),
    ] {
        assert_eq!(error.status().code(), status);
        seen.push((error.to_string(), error));
    }
    for (text, error) in &seen {
        assert!(!text.contains('\n'));
        assert!(seen.iter().all(|(t, e)| (t == text) == (e == error)));
    }
}
