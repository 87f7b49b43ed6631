//! A client that sends any bytes, and reads what comes back strictly.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::stream::Stream;
use super::{ACCEPT, Frame, PATIENCE, PROMPT, awake, r0};

/// A connection to a server under test.
pub struct RawClient {
    stream: BufReader<Stream>,
    /// Our own address, by which the server's reports are told apart.
    pub addr: SocketAddr,
}

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// In their order, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl RawClient {
    /// Connects, and sends nothing.
    pub fn connect(addr: SocketAddr) -> Self {
        #[cfg(target_os = "linux")]
        if super::unix::over_unix() {
            return Self::over(Stream::Unix(super::unix::dial(addr)));
        }
        Self::over(Stream::Tcp(Self::dial(addr)))
    }

    /// Connects over TLS where the tests are run over that, and sends nothing of HTTP.
    pub fn connect_tls(addr: SocketAddr) -> Self {
        #[cfg(feature = "tls")]
        if super::over_tls() {
            let tls = super::tls::TlsClient::connect(Self::dial(addr));
            return Self::over(Stream::Tls(Box::new(tls)));
        }
        Self::connect(addr)
    }

    /// A client over a stream that is connected.
    pub fn over(stream: Stream) -> Self {
        super::awake::watch();
        let addr = match &stream {
            #[cfg(target_os = "linux")]
            Stream::Unix(stream) => super::unix::stand_in(stream),
            stream => stream.tcp().local_addr().expect("local_addr"),
        };
        Self { stream: BufReader::new(stream), addr }
    }

    fn dial(addr: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("connect");
        stream.set_nodelay(true).expect("set_nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("set_read_timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("set_write_timeout");
        stream
    }

    /// Connects and opens a WebSocket.
    pub fn open(addr: SocketAddr) -> Self {
        Self::connect(addr).opened()
    }

    /// Opens a WebSocket.
    pub fn opened(mut self) -> Self {
        self.send(r0().bytes());
        self.expect_upgrade();
        self
    }

    /// The address of the server.
    pub fn server(&self) -> SocketAddr {
        self.stream.get_ref().tcp().peer_addr().expect("peer_addr")
    }

    /// Sends bytes in one write.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("send");
    }

    /// The same, where the server may have cut the stream already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Stream::Unix(stream) = self.stream.get_mut() {
            return stream.write_all(&super::unix::named(bytes.as_ref(), self.addr));
        }
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Sends one byte a segment. The server may have heard enough before the end.
    pub fn dribble(&mut self, bytes: &[u8]) {
        for byte in bytes.chunks(1) {
            if self.try_send(byte).is_err() {
                return;
            }
        }
    }

    /// Sends `bytes` again and again until the server cuts the stream, or no longer reads for
    /// `wait`. Returns how many bytes went out.
    pub fn flood(&mut self, bytes: &[u8], most: u64, wait: Duration) -> u64 {
        self.stream.get_ref().socket().set_write_timeout(Some(wait)).expect("set_write_timeout");
        let mut sent = 0;
        while sent < most {
            match self.stream.get_mut().write(bytes) {
                Ok(len) if len == bytes.len() => sent += len as u64,
                Ok(_) | Err(_) => break,
            }
        }
        sent
    }

    /// Ends our side of the stream.
    pub fn send_eof(&mut self) {
        self.stream.get_mut().end().expect("shutdown");
    }

    /// Leaves with a reset.
    pub fn reset(self) {
        // Without the option it would be an orderly end, if all has been read.
        self.stream.get_ref().socket().set_linger(Some(Duration::ZERO)).expect("set_linger");
    }

    /// The same, and waits until the system knows of it at the other side too.
    #[allow(dead_code, reason = "for those whose server does not read meanwhile")]
    pub fn reset_at_both_sides(self) {
        let ends = match self.stream.get_ref() {
            #[cfg(target_os = "linux")]
            Stream::Unix(_) => return self.reset(),
            stream => [stream.tcp().local_addr(), stream.tcp().peer_addr()],
        };
        let ports = ends.map(|end| format!(":{:04X} ", end.expect("an address").port()));
        self.reset();
        let start = Instant::now();
        // One of IPv4 alone, and of Linux.
        let table = || std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        while table().lines().any(|line| ports.iter().all(|port| line.contains(port))) {
            assert!(start.elapsed() < PATIENCE, "it is still there");
        }
    }

    /// Waits for anything from the server, be it the end of the stream; whether it came.
    pub fn heard_within(&mut self, wait: Duration) -> bool {
        self.stream.get_ref().socket().set_read_timeout(Some(wait)).expect("set_read_timeout");
        let heard = !self.stream.buffer().is_empty() || self.stream.get_mut().peek();
        self.stream.get_ref().socket().set_read_timeout(Some(PATIENCE)).expect("set_read_timeout");
        heard
    }

    /// Reads a response with its body, if its status has one.
    pub fn read_response(&mut self) -> Response {
        let status_line = self.read_line();
        let rest = status_line.strip_prefix("HTTP/1.1 ").expect("a status line");
        let (status, _) = rest.split_once(' ').expect("a space ahead of the reason phrase");
        let mut response =
            Response { status: status.parse().expect("digits"), headers: vec![], body: vec![] };
        loop {
            let line = self.read_line();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").expect("a header line");
            response.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        if response.status != 101 {
            let len = response.header("content-length").map(|len| len.parse().expect("digits"));
            response.body = vec![0; len.unwrap_or(0)];
            self.stream.read_exact(&mut response.body).expect("the whole body");
        }
        response
    }

    /// Reads the response that opens a WebSocket, and holds it to §4.2.2.
    pub fn expect_upgrade(&mut self) -> Response {
        self.expect_upgrade_for(ACCEPT)
    }

    /// The same for another key than the usual one, with this answer to it.
    pub fn expect_upgrade_for(&mut self, accept: &str) -> Response {
        let response = self.read_response();
        assert_eq!(response.status, 101, "{response:?}");
        assert_eq!(response.header("upgrade"), Some("websocket"));
        assert_eq!(response.header("connection"), Some("Upgrade"));
        assert_eq!(response.header("sec-websocket-accept"), Some(accept));
        for absent in ["sec-websocket-extensions", "content-length", "transfer-encoding"] {
            assert_eq!(response.header(absent), None, "{absent}");
        }
        response
    }

    /// Reads the response that refuses a request: this status, a line of text, and the end of the
    /// stream with nothing behind it.
    pub fn expect_refusal(&mut self, status: u16) -> Response {
        let response = self.read_response();
        assert_eq!(response.status, status, "{response:?}");
        let connection = response.header("connection").expect("a Connection header");
        assert_eq!(connection.split(", ").next(), Some("close"), "{connection}");
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.header("sec-websocket-accept"), None);
        assert!(response.header("content-length").is_some());
        // RFC 9110 §6.6.1.
        assert!(response.header("date").is_some(), "{response:?}");
        let body = std::str::from_utf8(&response.body).expect("text");
        assert!(body.len() > 1 && body.find('\n') == Some(body.len() - 1), "one line: {body:?}");
        if status == 426 {
            // RFC 9110 §15.5.22 and §4.4.
            assert_eq!(response.header("upgrade"), Some("websocket"));
            assert_eq!(connection, "close, Upgrade");
            assert_eq!(response.header("sec-websocket-version"), Some("13"));
        }
        self.expect_eof();
        response
    }

    /// Reads the answer to who is one too many: 503. Over TLS there is none, since there was no
    /// handshake, and the stream ends.
    pub fn expect_turned_away(&mut self) -> Option<Response> {
        if self.is_cut_off() {
            self.expect_eof();
            return None;
        }
        let response = self.expect_refusal(503);
        assert_eq!(response.header("retry-after"), Some("1"));
        Some(response)
    }

    /// Whether the server would not speak TLS.
    pub fn is_cut_off(&self) -> bool {
        match self.stream.get_ref() {
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.conn.is_handshaking(),
            _ => false,
        }
    }

    /// Leaves the bare stream, of which nothing may have been read.
    pub fn into_stream(self) -> Stream {
        assert!(self.stream.buffer().is_empty());
        self.stream.into_inner()
    }

    /// Reads a frame; `None` is the end of the stream.
    pub fn read_frame(&mut self) -> Option<Frame> {
        Frame::read(&mut self.stream).expect("a frame")
    }

    /// The same where compression was agreed on; whether RSV1 was set.
    #[allow(unused, reason = "for the tests of compression")]
    pub fn read_marked_frame(&mut self) -> Option<(bool, Frame)> {
        Frame::read_marked(&mut self.stream).expect("a frame")
    }

    /// The same, where the stream may have been reset: that too is `None`.
    pub fn try_read_frame(&mut self) -> Option<Frame> {
        Frame::read(&mut self.stream).unwrap_or(None)
    }

    /// Reads this frame.
    pub fn expect(&mut self, frame: &Frame) {
        let next = self.read_frame();
        assert!(next.as_ref() == Some(frame), "expected {frame:?}, got {next:?}");
    }

    /// Reads a Close with this code, as the last frame, and the end of the stream soon after.
    /// Returns the reason.
    pub fn expect_close(&mut self, code: u16) -> String {
        let frame = self.read_frame().expect("a Close, not just the end of the stream");
        let (got, reason) = frame.close_parts();
        assert_eq!(got, code, "{reason}");
        self.expect_eof();
        reason.to_owned()
    }

    /// Reads the end of the stream, which must come soon and before anything else.
    pub fn expect_eof(&mut self) {
        let start = Instant::now();
        let mut rest = [0; 64];
        // What stops a process and lets it go on may interrupt a read.
        let len = loop {
            match self.stream.read(&mut rest) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.expect("the end of the stream"),
            }
        };
        assert_eq!(len, 0, "expected the end, got \"{}\"", rest[..len].escape_ascii());
        assert!(awake(start) < PROMPT, "the end took {:?}", start.elapsed());
    }

    /// So many bytes, whatever they are.
    pub fn read_bytes(&mut self, len: usize) -> Vec<u8> {
        self.try_read_bytes(len).expect("bytes")
    }

    /// The same, if they come before the end of the stream or a reset.
    #[allow(dead_code, reason = "for the slow tests")]
    pub fn try_read_bytes(&mut self, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).is_ok().then_some(bytes)
    }

    /// Bounds each later write.
    #[allow(dead_code, reason = "for the slow tests")]
    pub fn set_write_timeout(&mut self, wait: Duration) {
        self.stream.get_ref().socket().set_write_timeout(Some(wait)).expect("set_write_timeout");
    }

    /// Reads whatever comes until the stream ends or is reset.
    pub fn read_rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        rest
    }

    /// Reads whatever comes until the stream ends, which it must do well.
    pub fn read_all(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.stream.read_to_end(&mut all).expect("a good end");
        all
    }

    /// Closes with 1000, and sees the closing handshake through: what came before was right, and
    /// nothing else is on its way.
    pub fn finish(&mut self) {
        self.send(super::close(1000, ""));
        self.expect_close(1000);
    }

    fn read_line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).expect("a line");
        let line = line.strip_suffix(b"\r\n").expect("a line that ends in CRLF");
        String::from_utf8(line.to_vec()).expect("ASCII")
    }
}

impl Response {
    /// The value of a header, which is there once at the most. `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(other, _)| other == name);
        let value = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} twice in {self:?}");
        value
    }
}
