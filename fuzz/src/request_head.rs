//! Any split of any bytes gives the same head, or the same error at the same byte: a head exactly
//! if a naive parser reads one within the limits, an error at the first byte that no good head
//! could have there, and a limit to the byte.
//!
//! The first byte chooses limits, the next two a split; the bytes are the rest.

use barews::http::{HeadError, HeadLimits, HeadParser, RequestHead};

use super::bytes::{Bytes, pieces};

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (limits, seed) = (limits(&mut bytes), bytes.short());
    let stream = bytes.rest();
    let naive = Request::read(stream).filter(|request| request.fits(&limits));
    let end = feed(limits, stream.chunks(1).collect());
    match (&end, &naive) {
        (End::Head(head, used), Some(request)) => request.assert_is(head, *used),
        (End::More, None) => assert!(Measures::of(stream).fits(&limits)),
        (&End::Error(error, at), None) => assert_place(error, &stream[..at], &limits),
        _ => panic!("{end:?} for {}", stream.escape_ascii()),
    }
    for seed in [0, seed] {
        end.assert_same(&feed(limits, pieces(seed, stream)));
    }
}

fn limits(bytes: &mut Bytes<'_>) -> HeadLimits {
    if bytes.byte() & 1 == 0 {
        return HeadLimits::default();
    }
    let [max_request_line, max_header_line, headers, head] = bytes.array().map(usize::from);
    HeadLimits {
        max_request_line,
        max_header_line,
        max_headers: headers % 8,
        max_head_size: head * 2,
    }
}

#[derive(Debug)]
enum End {
    More,
    Head(RequestHead, usize),
    /// And how many bytes all calls before the last one had; of single bytes, the one that fails.
    Error(HeadError, usize),
}

fn feed(limits: HeadLimits, pieces: Vec<&[u8]>) -> End {
    let mut parser = HeadParser::new(limits);
    let (mut at, mut end) = (0, End::More);
    for piece in pieces {
        match (&end, parser.feed(piece)) {
            (End::More, Ok((used, None))) => assert_eq!(used, piece.len()),
            (End::More, Ok((used, Some(head)))) => end = End::Head(head, at + used),
            (End::More, Err(error)) => end = End::Error(error, at),
            (End::Head(..), again) => assert!(matches!(again, Ok((0, None))), "a second head"),
            (End::Error(error, _), again) => assert_eq!(again.err(), Some(*error), "recovered"),
        }
        at += piece.len();
    }
    end
}

impl End {
    /// Holds another split to the one into single bytes.
    fn assert_same(&self, other: &End) {
        match (self, other) {
            (End::More, End::More) => {}
            (End::Head(head, used), End::Head(other, used_too)) => {
                assert_eq!((format!("{head:?}"), used), (format!("{other:?}"), used_too));
            }
            (End::Error(error, at), End::Error(other, from)) => {
                assert!(error == other && from <= at);
            }
            _ => panic!("{self:?} became {other:?}"),
        }
    }
}

/// An error stands where a limit is passed, or where what came before could still have gone on.
fn assert_place(error: HeadError, before: &[u8], limits: &HeadLimits) {
    let measures = Measures::of(before);
    assert!(measures.fits(limits), "{error:?} comes late");
    let HeadLimits { max_request_line, max_header_line, max_headers, max_head_size } = *limits;
    match error {
        HeadError::HeadTooLarge => assert_eq!(measures.head, max_head_size),
        HeadError::TooManyHeaders => assert_eq!(measures.headers, max_headers),
        HeadError::RequestLineTooLong => assert_eq!(measures.request_line, max_request_line),
        HeadError::HeaderLineTooLong => assert_eq!(measures.last_line, max_header_line),
        // What is told from a bad method or target takes some bytes more.
        HeadError::TlsClientHello => assert_eq!(before, b"\x16"),
        HeadError::Http2Preface => assert_eq!(before, b"PRI * HTTP/2."),
        HeadError::InvalidMethod if before == b"\x16" => {}
        HeadError::InvalidTarget | HeadError::BareLf if before.starts_with(b"PRI *") => {
            assert!(b"PRI * HTTP/2.0".starts_with(before));
        }
        _ => assert!(could_go_on(before), "{error:?} after {}", before.escape_ascii()),
    }
}

/// Whether there is an end that makes a good head of this beginning.
fn could_go_on(start: &[u8]) -> bool {
    const HEADS: [&[u8]; 3] = [
        b"\r\nG / HTTP/1.1\r\nA: \r\n\r\n",
        b"G https://a HTTP/1.1\r\nA: \r\n\r\n",
        b"G wss://a HTTP/1.1\r\nA: \r\n\r\n",
    ];
    let ends = HEADS.iter().flat_map(|head| (0..head.len()).map(|from| &head[from..]));
    ends.into_iter().any(|end| Request::read(&[start, end].concat()).is_some())
}

/// What the limits measure, in bytes that may go on.
#[derive(Default)]
struct Measures {
    head: usize,
    request_line: usize,
    longest_header: usize,
    /// The line that is not ended; a header, if the request line has ended.
    last_line: usize,
    headers: usize,
}

impl Measures {
    fn of(bytes: &[u8]) -> Measures {
        let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let lines = split(&bytes[start..], b"\r\n");
        let mut lines = lines.iter().map(|line| match line {
            // The CR of an end that is half there.
            [line @ .., b'\r'] => line.len(),
            line => line.len(),
        });
        let request_line = lines.next().unwrap_or(0);
        Measures {
            head: bytes.len(),
            request_line,
            longest_header: lines.clone().max().unwrap_or(0),
            last_line: lines.clone().next_back().unwrap_or(0),
            headers: lines.filter(|len| *len > 0).count(),
        }
    }

    fn fits(&self, limits: &HeadLimits) -> bool {
        self.head <= limits.max_head_size
            && self.request_line <= limits.max_request_line
            && self.longest_header <= limits.max_header_line
            && self.headers <= limits.max_headers
    }
}

/// A request head as RFC 9112 has it, read by cutting it up.
pub struct Request<'a> {
    pub method: &'a [u8],
    pub target: &'a [u8],
    /// Of an absolute target.
    pub authority: Option<&'a [u8]>,
    pub minor: u8,
    pub headers: Vec<(&'a [u8], &'a [u8])>,
    /// All bytes of the head.
    pub bytes: &'a [u8],
}

impl<'a> Request<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Request<'a>> {
        // RFC 9112 §2.2: one empty line ahead is passed over.
        let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let end = bytes[start..].windows(4).position(|end| end == b"\r\n\r\n")? + start;
        let lines = split(&bytes[start..end], b"\r\n");
        if lines.iter().any(|line| line.contains(&b'\r') || line.contains(&b'\n')) {
            return None;
        }
        // §3: method, target and version, one space between.
        let [method, target, version] = split(lines[0], b" ")[..] else { return None };
        let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] = *version else {
            return None;
        };
        let headers: Option<Vec<_>> = lines[1..].iter().map(|line| header(line)).collect();
        Some(Request {
            method: is_token(method).then_some(method)?,
            target,
            // §3.2.4: the asterisk is for OPTIONS alone.
            authority: match (method, target) {
                (b"OPTIONS", b"*") => None,
                _ => authority(target)?,
            },
            minor: minor - b'0',
            headers: headers?,
            bytes: &bytes[..end + 4],
        })
    }

    pub fn fits(&self, limits: &HeadLimits) -> bool {
        Measures::of(self.bytes).fits(limits)
    }

    fn assert_is(&self, head: &RequestHead, used: usize) {
        assert_eq!(used, self.bytes.len());
        assert_eq!(
            (head.method().as_bytes(), head.target().as_bytes()),
            (self.method, self.target)
        );
        assert_eq!(head.minor_version(), self.minor);
        assert_eq!(head.authority().map(str::as_bytes), self.authority);
        let headers = head.headers().map(|(name, value)| (name.as_bytes(), value));
        assert_eq!(headers.collect::<Vec<_>>(), self.headers);
        // RFC 3986 §3: the parts of the target make up the whole.
        let start =
            head.authority().map_or(0, |it| it.len() + head.target().find("://").unwrap() + 3);
        let query = head.query().map_or(String::new(), |query| format!("?{query}"));
        let rest = format!("{}{query}", head.path());
        let wanted = &head.target()[start..];
        assert!(rest == wanted || rest.strip_prefix('/') == Some(wanted), "{rest} of {wanted}");
    }
}

/// RFC 9112 §3.2: a path, or an absolute URI, whose authority comes out.
fn authority(target: &[u8]) -> Option<Option<&[u8]>> {
    if !target.iter().all(|byte| matches!(byte, 0x21..=0x7e) && *byte != b'#') {
        return None;
    }
    if target.starts_with(b"/") {
        return Some(None);
    }
    let colon = target.windows(3).position(|it| it == b"://")?;
    if !["http", "https", "ws", "wss"]
        .contains(&&*str::from_utf8(&target[..colon]).ok()?.to_lowercase())
    {
        return None;
    }
    let rest = &target[colon + 3..];
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let authority = &rest[..end];
    (!authority.is_empty() && !authority.contains(&b'@')).then_some(Some(authority))
}

/// RFC 9112 §5: a name and a value.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let good = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..));
    (is_token(name) && good).then_some((name, trim(value)))
}

/// RFC 9110 §5.6.2.
pub fn is_token(text: &[u8]) -> bool {
    let outside = |byte: &u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte);
    !text.is_empty() && text.iter().all(outside)
}

pub fn trim(text: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| *byte != b' ' && *byte != b'\t';
    let Some(start) = text.iter().position(is_text) else { return b"" };
    let end = text.iter().rposition(is_text).unwrap_or(start);
    &text[start..=end]
}

pub fn split<'a>(text: &'a [u8], at: &[u8]) -> Vec<&'a [u8]> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(end) = rest.windows(at.len()).position(|it| it == at) {
        parts.push(&rest[..end]);
        rest = &rest[end + at.len()..];
    }
    parts.push(rest);
    parts
}
