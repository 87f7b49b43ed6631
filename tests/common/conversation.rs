//! Conversations as tables: what the client sends, what the server answers, how it ends, and what
//! the API says of that.

use barews::{CloseCode, ProtocolError};

use super::{Ended, Frame, TestServer, close};

/// More than this is not sent one byte a segment all the way.
const DRIBBLED: usize = 8 << 10;

/// One conversation after the opening handshake.
#[derive(Clone)]
pub struct Case {
    /// What the client sends.
    pub sent: Vec<u8>,
    /// What the server sends before its Close.
    answers: Vec<Frame>,
    end: End,
}

#[derive(Clone)]
enum End {
    /// The server answers the client's Close with the same code and reason.
    Closed(u16, String),
    /// The server fails the connection with this code.
    Failed(u16, ProtocolError),
}

/// A conversation in which nothing is wrong: a Close 1000 ends it.
pub fn echoes(sent: impl AsRef<[u8]>, answers: impl Into<Vec<Frame>>) -> Case {
    closes([sent.as_ref(), &close(1000, "")].concat(), answers, 1000, "")
}

/// A conversation that the client closes, as it is told back; 1005 is an empty Close.
pub fn closes(
    sent: impl AsRef<[u8]>,
    answers: impl Into<Vec<Frame>>,
    code: u16,
    reason: &str,
) -> Case {
    let end = End::Closed(code, reason.to_owned());
    Case { sent: sent.as_ref().to_vec(), answers: answers.into(), end }
}

/// A conversation that the server fails.
pub fn fails(
    sent: impl AsRef<[u8]>,
    answers: impl Into<Vec<Frame>>,
    code: u16,
    violation: ProtocolError,
) -> Case {
    let end = End::Failed(code, violation);
    Case { sent: sent.as_ref().to_vec(), answers: answers.into(), end }
}

impl Case {
    /// All that the server sends, its Close at the end. The reason for a failure is the
    /// violation's own text.
    pub fn answers(&self) -> Vec<Frame> {
        let last = match &self.end {
            End::Closed(code, reason) => Frame::close(*code, reason),
            End::Failed(code, violation) => Frame::close(*code, &violation.to_string()),
        };
        [&self.answers[..], &[last]].concat()
    }

    /// Holds what the API said against what was to be.
    pub fn check(&self, ended: &Ended) {
        let close_frame = ended.close_frame.as_ref().map(|frame| (frame.code, &*frame.reason));
        match (&self.end, &ended.result) {
            (End::Closed(code, reason), Ok(())) => {
                assert_eq!(close_frame, Some((CloseCode(*code), reason.as_str())));
            }
            (End::Failed(_, violation), Err(barews::Error::Protocol(other))) => {
                assert_eq!(violation, other);
                assert_eq!(close_frame, None);
            }
            (_, result) => panic!("the API said {result:?}"),
        }
        let messages = |frame: &&Frame| matches!(frame.opcode, 1 | 2);
        assert_eq!(ended.messages, self.answers.iter().filter(messages).count());
    }
}

/// Has the conversations with a server, each in one write and again in one byte a segment.
pub fn converse(name: &str, cases: &[Case]) {
    let server = TestServer::start();
    for (number, case) in cases.iter().enumerate() {
        for dribbled in [false, true] {
            let start = case.sent[..case.sent.len().min(32)].escape_ascii();
            println!("{name}, case {number}, dribbled {dribbled}: {start}");
            let mut client = server.open();
            if dribbled {
                let (slow, fast) = case.sent.split_at(case.sent.len().min(DRIBBLED));
                client.dribble(slow);
                let _ = client.try_send(fast);
            } else {
                // The server may have heard enough before the end.
                let _ = client.try_send(&case.sent);
            }
            for answer in case.answers() {
                client.expect(&answer);
            }
            client.expect_eof();
            let peer = client.addr;
            drop(client);
            case.check(&server.ended(peer));
        }
    }
}

/// Defines a test for each row of conversations, and `all` for those who have them again
/// elsewhere.
macro_rules! conversations {
    ($($(#[$doc:meta])* $name:ident => [$($case:expr),+ $(,)?];)+) => {
        $(
            $(#[$doc])*
            #[test]
            fn $name() {
                $crate::common::converse(stringify!($name), &[$($case),+]);
            }
        )+

        /// Every conversation of this file, with the name of its test.
        #[allow(dead_code, reason = "over TLS nobody has them again")]
        pub fn all() -> Vec<(&'static str, $crate::common::Case)> {
            vec![$($((stringify!($name), $case)),+),+]
        }
    };
}
