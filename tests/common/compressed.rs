//! Compressed connections: a client that offers, and conversations as tables.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread;

use barews::{Accept, Chunk, Config, Connection, Deflate, Error, Message, MessageType, Upgrade};

use super::client::Response;
use super::deflate::Inflater;
use super::{
    ACCEPT, Ended, Faults, Frame, PATIENCE, RawClient, Script, TestServer, close, echo, handshake,
    on_event_loop, r0,
};

/// The name of the extension, which is an offer by itself.
pub const OFFER: &str = "permessage-deflate";

/// More than this is not sent one byte a segment all the way.
const DRIBBLED: usize = 2 << 10;

/// The default configuration with compression, changed.
pub fn compressing(change: impl FnOnce(&mut Config, &mut Deflate)) -> Config {
    let (mut config, mut deflate) = (Config::default(), Deflate::default());
    change(&mut config, &mut deflate);
    config.compression = Some(deflate);
    config
}

/// The same, where what is sent is never compressed: what comes back tells of receiving alone.
pub fn inflating(change: impl FnOnce(&mut Config, &mut Deflate)) -> Config {
    compressing(|config, deflate| {
        (deflate.threshold, deflate.threshold_no_context) = (usize::MAX, usize::MAX);
        change(config, deflate);
    })
}

/// Opens a WebSocket with this offer; the client, and the answer to the offer.
pub fn open(addr: SocketAddr, offer: &str) -> (RawClient, Option<String>) {
    let mut client = RawClient::connect_tls(addr);
    client.send(r0().add(format!("Sec-WebSocket-Extensions: {offer}")).bytes());
    let answer = upgraded(&client.read_response());
    (client, answer)
}

/// The same, where the offer must be taken.
pub fn open_compressed(addr: SocketAddr, offer: &str) -> RawClient {
    let (client, answer) = open(addr, offer);
    assert!(answer.as_ref().is_some_and(|answer| answer.starts_with(OFFER)), "{answer:?}");
    client
}

/// Holds the response that opens a WebSocket to §4.2.2; what it says of extensions.
pub fn upgraded(response: &Response) -> Option<String> {
    assert_eq!(response.status, 101, "{response:?}");
    assert_eq!(response.header("sec-websocket-accept"), Some(ACCEPT));
    response.header("sec-websocket-extensions").map(str::to_owned)
}

/// Reads a message and what it says; whether it was compressed, and in how many frames it came.
/// Control frames may not come.
pub fn read_message(client: &mut RawClient, inflater: &mut Inflater) -> (bool, usize, Frame) {
    let (is_compressed, mut message) = client.read_marked_frame().expect("a message");
    assert!(matches!(message.opcode, 1 | 2), "a message, not {message:?}");
    let mut frames = 1;
    while !message.fin {
        let (is_marked, next) = client.read_marked_frame().expect("a fragment");
        assert!(!is_marked && next.opcode == 0, "a fragment, not {next:?}");
        message.payload.extend(next.payload);
        message.fin = next.fin;
        frames += 1;
    }
    if is_compressed {
        let payload = inflater.message(&message.payload);
        message.payload = payload.unwrap_or_else(|wrong| panic!("{wrong}: {message:?}"));
    }
    (is_compressed, frames, message)
}

/// A connection that has agreed to this offer and its client, both for the test to drive.
pub fn compressed_pair(config: &Config, offer: &str) -> (Connection, RawClient) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = listener.local_addr().expect("local_addr");
    let request = r0().add(format!("Sec-WebSocket-Extensions: {offer}")).bytes();
    // On a thread of its own, for what TLS has to say to it first.
    let client = thread::spawn(move || {
        let mut client = RawClient::connect_tls(addr);
        client.send(request);
        client
    });
    let (stream, _) = listener.accept().expect("accept");
    stream.set_nodelay(true).expect("set_nodelay");
    let mut config = config.clone();
    config.timeouts.idle_timeout = config.timeouts.idle_timeout.min(PATIENCE);
    let upgrade = handshake(stream, &config);
    let mut client = client.join().expect("no panic");
    let conn = upgrade.accept(&Accept::new()).expect("a valid answer");
    assert!(conn.compression().is_some(), "{offer} was declined");
    upgraded(&client.read_response());
    (conn, client)
}

/// One conversation on a connection that inflates, and answers without compression.
#[derive(Clone)]
pub struct Case {
    sent: Vec<u8>,
    /// What the server sends before its Close.
    answers: Vec<Frame>,
    /// The code of its Close; 1000 is the answer to the client's own.
    code: u16,
}

/// Nothing is wrong, and a Close 1000 ends it.
pub fn good(sent: impl AsRef<[u8]>, answers: impl Into<Vec<Frame>>) -> Case {
    let sent = [sent.as_ref(), &close(1000, "")].concat();
    Case { sent, answers: answers.into(), code: 1000 }
}

/// The server fails the connection with this code, without waiting for more.
pub fn bad(sent: impl AsRef<[u8]>, answers: impl Into<Vec<Frame>>, code: u16) -> Case {
    Case { sent: sent.as_ref().to_vec(), answers: answers.into(), code }
}

impl Case {
    /// Holds what the server sent against what was to be. `frames` ends with its Close.
    fn check_frames(&self, frames: &[Frame]) {
        let (last, answers) = frames.split_last().expect("a Close at least");
        assert_eq!(answers, self.answers);
        let (code, reason) = last.close_parts();
        assert_eq!(code, self.code, "{reason}");
        assert_eq!(reason.is_empty(), code == 1000, "{reason}");
    }

    /// Holds what the API said against the same.
    fn check_api(&self, ended: &Ended) {
        let close_frame = ended.close_frame.as_ref().map(|frame| frame.code.0);
        match &ended.result {
            Ok(()) => assert_eq!((close_frame, self.code), (Some(1000), 1000)),
            Err(error) => {
                let code = error.close_code().map(|code| code.0);
                assert_eq!((code, close_frame), (Some(self.code), None), "{error}");
            }
        }
        let messages = self.answers.iter().filter(|frame| matches!(frame.opcode, 1 | 2));
        assert_eq!(ended.messages, messages.count());
    }
}

/// How a handler receives, and in which pieces the stream comes.
const WAYS: [(Receive, Faults); 9] = [
    (Receive::Whole, Faults::NONE),
    (Receive::Whole, Faults::ONE_BYTE_READS),
    (Receive::Whole, Faults::WOULD_BLOCK),
    (Receive::Parts(1), Faults::NONE),
    (Receive::Parts(2), Faults::ONE_BYTE_READS),
    (Receive::Parts(7), Faults::INTERRUPTED),
    (Receive::Parts(4096), Faults::ONE_BYTE_READS),
    (Receive::Split, Faults::NONE),
    (Receive::Split, Faults::ONE_BYTE_READS),
];

/// How a handler receives.
#[derive(Debug, Clone, Copy)]
pub enum Receive {
    /// By `recv`.
    Whole,
    /// By `recv_chunk`, into so many bytes.
    Parts(usize),
    /// By `recv`, in halves.
    Split,
}

impl Receive {
    /// Sends back what comes.
    pub fn echo(self, mut conn: Connection) -> Ended {
        match self {
            Self::Whole => echo(&mut conn),
            Self::Parts(size) => echo_parts(&mut conn, size),
            Self::Split => echo_split(conn),
        }
    }
}

/// The echo by `recv_chunk`.
fn echo_parts(conn: &mut Connection, size: usize) -> Ended {
    let (mut out, mut message, mut messages) = (vec![0; size], Vec::new(), 0);
    let result = loop {
        match conn.recv_chunk(&mut out) {
            Ok(Some(Chunk { kind, len, fin, .. })) => {
                assert!(len > 0 || fin, "a part of nothing that ends nothing");
                message.extend_from_slice(&out[..len]);
                if !fin {
                    continue;
                }
                messages += 1;
                let sent = match kind {
                    MessageType::Text => conn.send(std::str::from_utf8(&message).expect("text")),
                    MessageType::Binary => conn.send(Message::Binary(&message)),
                };
                if let Err(error) = sent {
                    break Err(error);
                }
                message.clear();
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    for _ in 0..2 {
        match (&result, conn.recv_chunk(&mut out)) {
            (Ok(()), Ok(None)) | (Err(_), Err(Error::Closed)) => {}
            (before, after) => panic!("first {before:?}, then {after:?}"),
        }
    }
    Ended { result, close_frame: conn.close_frame().cloned(), messages }
}

/// The echo by two halves.
fn echo_split(conn: Connection) -> Ended {
    let (mut receiver, sender) = conn.split();
    let (mut buf, mut messages) = (Vec::new(), 0);
    let result = loop {
        match receiver.recv(&mut buf) {
            Ok(Some(message)) => {
                messages += 1;
                if let Err(error) = sender.send(message) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    Ended { result, close_frame: receiver.close_frame().cloned(), messages }
}

/// Has the conversations with the default settings, and the plain offer.
pub fn converse_compressed(name: &str, cases: &[Case]) {
    converse_with(name, &inflating(|_, _| ()), OFFER, cases);
}

/// Has each conversation on a socket, in one write and in one byte a segment, and on streams in
/// memory, in every way that a handler can receive.
pub fn converse_with(name: &str, config: &Config, offer: &str, cases: &[Case]) {
    let server = TestServer::echo(config.clone());
    for (number, case) in cases.iter().enumerate() {
        let start = &case.sent[..case.sent.len().min(40)];
        for dribbled in [false, true] {
            println!("{name}, case {number}, dribbled {dribbled}: {start:02x?}");
            converse_on_tcp(&server, offer, case, dribbled);
        }
        // There is no event loop over a stream in memory.
        let ways = if on_event_loop() { &[][..] } else { &WAYS };
        for &(receive, faults) in ways {
            println!("{name}, case {number}, {receive:?}, {} bytes: {start:02x?}", faults.read);
            converse_in_memory(config, offer, case, receive, faults);
        }
    }
}

fn converse_on_tcp(server: &TestServer, offer: &str, case: &Case, dribbled: bool) {
    let mut client = open_compressed(server.addr, offer);
    let slow = if dribbled { case.sent.len().min(DRIBBLED) } else { 0 };
    client.dribble(&case.sent[..slow]);
    // The server may have heard enough before the end.
    let _ = client.try_send(&case.sent[slow..]);
    let mut frames = Vec::new();
    while frames.last().is_none_or(|frame: &Frame| frame.opcode != 8) {
        frames.push(client.read_frame().expect("a Close, not just the end of the stream"));
    }
    client.expect_eof();
    let peer = client.addr;
    drop(client);
    case.check_frames(&frames);
    case.check_api(&server.ended(peer));
}

fn converse_in_memory(config: &Config, offer: &str, case: &Case, receive: Receive, faults: Faults) {
    let request = r0().add(format!("Sec-WebSocket-Extensions: {offer}")).bytes();
    let script = Script::new([&request[..], &case.sent].concat(), faults);
    let upgrade = Upgrade::handshake(script.clone(), config).expect("a valid request");
    let conn = upgrade.accept(&Accept::new()).expect("a valid answer");
    assert!(conn.compression().is_some(), "{offer} was declined");
    let ended = receive.echo(conn);
    case.check_frames(&frames(&script.output()));
    case.check_api(&ended);
}

/// The frames behind the response.
pub fn frames(output: &[u8]) -> Vec<Frame> {
    let head = output.windows(4).position(|end| end == b"\r\n\r\n").expect("a response");
    let mut rest = &output[head + 4..];
    let mut frames = Vec::new();
    while let Some(frame) = Frame::read(&mut rest).expect("whole frames") {
        frames.push(frame);
    }
    frames
}

/// Runs the client beside the connection; when it has read what it expects, it leaves.
pub fn beside<T>(
    mut client: RawClient,
    reads: impl FnOnce(&mut RawClient) + Send,
    run: impl FnOnce() -> T,
) -> T {
    thread::scope(|scope| {
        scope.spawn(move || reads(&mut client));
        run()
    })
}

/// Defines a test for each row of conversations with the default settings.
macro_rules! compressed {
    ($($(#[$doc:meta])* $name:ident => [$($case:expr),+ $(,)?];)+) => {
        $(
            $(#[$doc])*
            #[test]
            fn $name() {
                $crate::common::compressed::converse_compressed(stringify!($name), &[$($case),+]);
            }
        )+
    };
}
