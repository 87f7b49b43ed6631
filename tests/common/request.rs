//! Requests, right and wrong.

/// The answer to the key of [`r0`] (§1.3).
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The valid request that the wrong ones are made from, with the key of the example in §1.3.
pub fn r0() -> Request {
    let lines = [
        "GET / HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    Request { lines: lines.map(|line| line.as_bytes().to_vec()).to_vec() }
}

/// A request head, line by line.
#[derive(Clone)]
pub struct Request {
    /// Without their CRLF. The first is the request line.
    lines: Vec<Vec<u8>>,
}

impl Request {
    /// A request of a request line and no headers.
    pub fn new(line: impl AsRef<[u8]>) -> Self {
        Self { lines: vec![line.as_ref().to_vec()] }
    }

    /// Replaces the request line.
    pub fn line(mut self, line: impl AsRef<[u8]>) -> Self {
        self.lines[0] = line.as_ref().to_vec();
        self
    }

    /// Replaces the target of a GET.
    pub fn target(self, target: &str) -> Self {
        self.line(format!("GET {target} HTTP/1.1"))
    }

    /// Drops all headers of this name.
    pub fn without(mut self, name: &str) -> Self {
        let start = format!("{name}:").into_bytes();
        let named = |line: &[u8]| {
            line.get(..start.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(&start))
        };
        let before = self.lines.len();
        self.lines.retain(|line| !named(line));
        assert!(self.lines.len() < before, "there is no {name} to drop");
        self
    }

    /// Adds a header line.
    pub fn add(mut self, line: impl AsRef<[u8]>) -> Self {
        self.lines.push(line.as_ref().to_vec());
        self
    }

    /// Adds a header line ahead of the others.
    pub fn add_first(mut self, line: impl AsRef<[u8]>) -> Self {
        self.lines.insert(1, line.as_ref().to_vec());
        self
    }

    /// Puts this value in the place of the header's.
    pub fn set(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let line = [name.as_bytes(), b": ", value.as_ref()].concat();
        self.without(name).add(line)
    }

    /// The bytes, each line with its CRLF and an empty one at the end.
    pub fn bytes(&self) -> Vec<u8> {
        self.ended_by("\r\n")
    }

    /// The same with another end of line.
    pub fn ended_by(&self, end: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in self.lines.iter().map(Vec::as_slice).chain([&b""[..]]) {
            bytes.extend(line);
            bytes.extend(end.as_bytes());
        }
        bytes
    }
}
