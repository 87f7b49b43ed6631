//! Opening handshakes as tables: those that the server refuses, and those that it accepts.

use barews::http::{HandshakeError, HeadError};

use super::{
    Faults, Frame, RawClient, Request, TEXT, TestServer, Unopened, close, frame, on_event_loop,
    unchanged,
};

/// More than this is not sent one byte a segment all the way.
const DRIBBLED: usize = 2 << 10;

/// A request that is refused.
#[derive(Clone)]
pub struct Refused {
    pub request: Vec<u8>,
    pub status: u16,
    refusal: HandshakeError,
}

/// Bytes that are answered with this status, for this reason.
pub fn refused(
    request: impl Into<Vec<u8>>,
    status: u16,
    refusal: impl Into<HandshakeError>,
) -> Refused {
    Refused { request: request.into(), status, refusal: refusal.into() }
}

/// A head that is not well-formed: 400.
pub fn malformed(request: impl Into<Vec<u8>>, error: HeadError) -> Refused {
    refused(request, 400, error)
}

impl From<&Request> for Vec<u8> {
    fn from(request: &Request) -> Self {
        request.bytes()
    }
}

impl From<Request> for Vec<u8> {
    fn from(request: Request) -> Self {
        request.bytes()
    }
}

impl Refused {
    /// Holds what the API said against what was to be.
    pub fn check(&self, unopened: &Unopened) {
        assert_eq!(unopened, &Unopened::Refused(self.refusal));
    }
}

/// Sends the requests to a server, each in one write and again in one byte a segment, and each
/// must be refused.
pub fn refuse(name: &str, cases: &[Refused]) {
    let server = TestServer::start();
    for (number, case) in cases.iter().enumerate() {
        for dribbled in [false, true] {
            println!("{name}, case {number}, dribbled {dribbled}:\n{}", shown(&case.request));
            let mut client = server.connect();
            send(&mut client, &case.request, dribbled);
            client.expect_refusal(case.status);
            let peer = client.addr;
            drop(client);
            case.check(&server.unopened(peer));
        }
    }
}

/// Sends the requests to a server, each in one write and again in one byte a segment, and each
/// must open a connection; and so they do over a stream with faults that pass (rows F1 to F4).
pub fn accept<R: Into<Vec<u8>>>(requests: impl IntoIterator<Item = R>) {
    let server = TestServer::start();
    for request in requests {
        let request = request.into();
        for dribbled in [false, true] {
            println!("dribbled {dribbled}:\n{}", shown(&request));
            let mut client = server.connect();
            send(&mut client, &request, dribbled);
            let response = client.expect_upgrade();
            assert_eq!(response.header("sec-websocket-protocol"), None);
            client.send(frame(TEXT, "open"));
            client.expect(&Frame::text("open"));
            client.finish();
        }
        // There is no event loop over a stream in memory.
        if on_event_loop() {
            continue;
        }
        let whole = [&request[..], &frame(TEXT, "open"), &close(1000, "")].concat();
        for faults in [
            Faults::ONE_BYTE_READS,
            Faults::ONE_BYTE_WRITES,
            Faults::INTERRUPTED,
            Faults::WOULD_BLOCK,
        ] {
            unchanged(&shown(&request), &whole, faults);
        }
    }
}

fn send(client: &mut RawClient, request: &[u8], dribbled: bool) {
    let slow = if dribbled { request.len().min(DRIBBLED) } else { 0 };
    client.dribble(&request[..slow]);
    // The server may have heard enough before the end.
    let _ = client.try_send(&request[slow..]);
}

fn shown(request: &[u8]) -> String {
    request[..request.len().min(400)].escape_ascii().to_string().replace(r"\r\n", "\n")
}

/// Defines a test for each row of requests that are refused, and `all` for those who try them
/// again elsewhere.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident => [$($case:expr),+ $(,)?];)+) => {
        $(
            $(#[$doc])*
            #[test]
            fn $name() {
                $crate::common::refuse(stringify!($name), &[$($case),+]);
            }
        )+

        /// Every refused request of this file, with the name of its test.
        #[allow(dead_code, reason = "over TLS nobody has them again")]
        pub fn all() -> Vec<(&'static str, $crate::common::Refused)> {
            vec![$($((stringify!($name), $case)),+),+]
        }
    };
}
