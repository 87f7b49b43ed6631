//! What can go wrong, before the upgrade and after.

use std::fmt;
use std::io;

use crate::http::{HandshakeError, InvalidResponse, Status};
use crate::proto::{CloseCode, ProtocolError};
use crate::session::opening::Outcome;
use crate::session::{Deadline, Overloaded, ReceiveError};

/// Why a call on a connection failed.
///
/// [`RecvTimeout`](Self::RecvTimeout), [`TooLong`](Self::TooLong), [`EmptyBuffer`](Self::EmptyBuffer) and
/// [`InvalidCloseCode`](Self::InvalidCloseCode) leave the connection as it was, and
/// [`Closed`](Self::Closed) leaves the closing handshake to go on. A [`Sender`](crate::Sender), or a
/// [`Connection`](crate::Connection) beside one, that could not send for others gets
/// [`DeadlineExceeded`](Self::DeadlineExceeded), and has sent nothing; nor has a [`Source`](Self::Source) that fails
/// before anything of it is sent. After any other the connection is over: the peer has been told why, where it could be.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed, or ended with no Close frame (`UnexpectedEof`).
    Io(io::Error),
    /// The peer broke the protocol. It was answered with the violation's close code (§7.1.7).
    Protocol(ProtocolError),
    /// The time set by [`set_recv_timeout`](crate::Connection::set_recv_timeout) passed. Nothing
    /// is lost: the next call goes on where this one stopped.
    RecvTimeout,
    /// The peer was too slow or silent; it was answered with 1008, where it still could be.
    DeadlineExceeded(Deadline),
    /// All connections together hold as much of long messages as they may, or as much for
    /// compression, or memory has run out; the peer was answered with 1013.
    Overloaded,
    /// The connection is closed, or closing: nothing can be sent any more (§5.5.1).
    Closed,
    /// The payload of a Ping is longer than 125 bytes (§5.5). Nothing was sent.
    TooLong,
    /// The code must not stand in a Close frame (§7.4). Nothing was sent.
    InvalidCloseCode(CloseCode),
    /// The slice to receive into is empty: nothing could ever be received. Nothing was.
    EmptyBuffer,
    /// What was to be sent could not be read from its source, or is no text: see
    /// [`send_sized`](crate::Sender::send_sized) and [`copy_from`](crate::MessageWriter::copy_from).
    Source(io::Error),
}

/// Why a stream did not become a connection. The peer has been answered, where it could be and had
/// asked for something.
#[derive(Debug)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The stream failed, or ended before the request did.
    Io(io::Error),
    /// The stream ended, or was reset, before its first byte: nobody asked for anything. So do
    /// probes of a load balancer, port scanners, and browsers that connect ahead.
    NoRequest,
    /// No stream could be accepted, for the system has run out of descriptors or memory: peers
    /// wait, and nobody has answered them. Accepting goes on after a rest of 5 ms, which doubles up
    /// to 1 s while it fails again.
    Accept(io::Error),
    /// The request did not end within the handshake timeout; answered with 408. Neither did the
    /// handshake of TLS, if there was to be one; then there is no answer.
    TimedOut,
    /// The handshake of TLS failed, or what followed it did before the request was read. Where the
    /// peer is to blame, it was sent an alert.
    #[cfg(feature = "tls")]
    Tls(rustls::Error),
    /// The request is malformed or asks for nothing that this server does; answered with
    /// [`HandshakeError::status`].
    Refused(HandshakeError),
    /// The application answered with this status instead: any that
    /// [`on_upgrade`](crate::Server::on_upgrade) rejects a request with, and of those that
    /// [`on_request`](crate::Server::on_request) gives, 400 and above. A page that was served is no
    /// error. Also the 503 of a server that shuts down, for a stream that came as it stopped.
    Rejected(Status),
    /// [`on_upgrade`](crate::Server::on_upgrade) or [`on_request`](crate::Server::on_request)
    /// panicked, and said this; the peer got 500. Or it was the [`Transport`](crate::Transport), or
    /// what [wraps](crate::Listener::wrapped) a stream in it; then the stream just ended.
    Panicked(String),
    /// The [`ConnectionLimits`](crate::ConnectionLimits) that a request was accepted with contradict
    /// each other or the server's, and this is what would be right; the peer got 500.
    InvalidLimits(String),
    /// The application's answer cannot be sent; the peer got 500.
    InvalidResponse(InvalidResponse),
    /// As many connections as there may be are open, in all or from this address; answered with
    /// 503, or over TLS not at all: that would take a handshake.
    TooManyConnections,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Protocol(violation) => violation.fmt(f),
            Self::RecvTimeout => f.write_str("no message came in time"),
            Self::DeadlineExceeded(wait) => f.write_str(wait.reason()),
            Self::Overloaded => f.write_str("too many bytes of unfinished messages"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::TooLong => f.write_str("a ping carries at most 125 bytes"),
            Self::InvalidCloseCode(code) => write!(f, "close code {code} must not be sent"),
            Self::EmptyBuffer => f.write_str("there is no room to receive into"),
            Self::Source(error) => write!(f, "what was to be sent could not be read: {error}"),
        }
    }
}

impl Error {
    /// The close code that the peer was told (§7.4), if this ended the connection and it could be
    /// told anything.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Protocol(error) => Some(error.close_code()),
            Self::DeadlineExceeded(deadline) => deadline.close_code(),
            Self::Overloaded => Some(CloseCode::TRY_AGAIN_LATER),
            Self::Io(_)
            | Self::RecvTimeout
            | Self::Closed
            | Self::TooLong
            | Self::InvalidCloseCode(_)
            | Self::EmptyBuffer
            | Self::Source(_) => None,
        }
    }

    /// Whether the peer is simply gone: it reset the stream, or ended it with no Close frame, or the
    /// connection was closed before.
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Io(error) => is_gone(error),
            _ => false,
        }
    }

    /// Whether it ends the connection.
    pub(crate) fn is_fatal(&self) -> bool {
        match self {
            Self::RecvTimeout | Self::TooLong | Self::InvalidCloseCode(_) => false,
            // The closing handshake goes on.
            Self::EmptyBuffer | Self::Closed => false,
            // Whoever has begun a message ends the connection for it.
            Self::Source(_) => false,
            Self::Io(_) | Self::Protocol(_) | Self::DeadlineExceeded(_) | Self::Overloaded => true,
        }
    }
}

impl UpgradeError {
    /// Whether the peer is simply gone: it asked for nothing, or reset or ended the stream before its
    /// request was complete or answered.
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::NoRequest => true,
            Self::Io(error) => is_gone(error),
            _ => false,
        }
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NoRequest => f.write_str("the stream ended before its first byte"),
            Self::Accept(error) => write!(f, "no connection could be accepted: {error}"),
            Self::TimedOut => f.write_str("the request took too long"),
            #[cfg(feature = "tls")]
            Self::Tls(error) => write!(f, "TLS: {}", Explained(error)),
            Self::Refused(error) => error.fmt(f),
            Self::Rejected(status) => write!(f, "answered with {status}"),
            Self::Panicked(said) => write!(f, "a callback panicked: {said}"),
            Self::InvalidLimits(wrong) => write!(f, "the connection's limits are wrong: {wrong}"),
            Self::InvalidResponse(error) => error.fmt(f),
            Self::TooManyConnections => f.write_str("too many connections"),
        }
    }
}

/// An error of TLS, with what the operator of a server can do about it.
#[cfg(feature = "tls")]
struct Explained<'a>(&'a rustls::Error);

#[cfg(feature = "tls")]
impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use rustls::AlertDescription as Alert;
        use rustls::Error::{AlertReceived, InvalidMessage, PeerIncompatible};
        match self.0 {
            AlertReceived(alert @ (Alert::UnknownCA | Alert::BadCertificate)) => {
                write!(f, "the peer does not trust our certificate ({alert:?})")
            }
            AlertReceived(alert @ Alert::CertificateExpired) => {
                write!(f, "the peer finds our certificate expired ({alert:?})")
            }
            AlertReceived(alert @ Alert::CertificateUnknown) => {
                write!(f, "the peer does not accept our certificate ({alert:?})")
            }
            AlertReceived(alert) => write!(f, "the peer gave up ({alert:?})"),
            PeerIncompatible(why) => write!(f, "nothing in common with the peer ({why:?})"),
            InvalidMessage(why) => write!(f, "the peer does not speak TLS ({why:?})"),
            error => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) | Self::Source(error) => Some(error),
            Self::Protocol(violation) => Some(violation),
            _ => None,
        }
    }
}

impl std::error::Error for UpgradeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) | Self::Accept(error) => Some(error),
            Self::Refused(error) => Some(error),
            Self::InvalidResponse(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            Self::NoRequest
            | Self::TimedOut
            | Self::Rejected(_)
            | Self::Panicked(_)
            | Self::InvalidLimits(_)
            | Self::TooManyConnections => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ProtocolError> for Error {
    fn from(violation: ProtocolError) -> Self {
        Self::Protocol(violation)
    }
}

impl From<Deadline> for Error {
    fn from(deadline: Deadline) -> Self {
        Self::DeadlineExceeded(deadline)
    }
}

impl From<Overloaded> for Error {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}

impl From<ReceiveError> for Error {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Protocol(error) => Self::Protocol(error),
            ReceiveError::Overloaded => Self::Overloaded,
        }
    }
}

impl From<io::Error> for UpgradeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<HandshakeError> for UpgradeError {
    fn from(error: HandshakeError) -> Self {
        Self::Refused(error)
    }
}

impl From<InvalidResponse> for UpgradeError {
    fn from(error: InvalidResponse) -> Self {
        Self::InvalidResponse(error)
    }
}

impl From<Outcome> for UpgradeError {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Refused(error) => Self::Refused(error),
            Outcome::Answered(status) => Self::Rejected(status),
            Outcome::InvalidResponse(error) => Self::InvalidResponse(error),
            Outcome::TimedOut => Self::TimedOut,
            Outcome::OutOfMemory => Self::Io(io::ErrorKind::OutOfMemory.into()),
        }
    }
}

impl From<Error> for io::Error {
    /// For callers whose own errors are [`io::Error`], such as writers through
    /// [`MessageWriter`](crate::MessageWriter).
    fn from(error: Error) -> Self {
        use io::ErrorKind;
        let kind = match error {
            // With ourselves inside, so that it can be told from one of another stream.
            Error::Io(ref error) | Error::Source(ref error) => error.kind(),
            Error::Protocol(_) => ErrorKind::InvalidData,
            Error::RecvTimeout | Error::DeadlineExceeded(_) => ErrorKind::TimedOut,
            Error::Overloaded => ErrorKind::OutOfMemory,
            Error::Closed => ErrorKind::NotConnected,
            Error::TooLong | Error::InvalidCloseCode(_) | Error::EmptyBuffer => {
                ErrorKind::InvalidInput
            }
        };
        Self::new(kind, error)
    }
}

/// Whether this is how a stream says that its other end is gone.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_connection_says_what_the_peer_was_told() {
        let io = |kind: io::ErrorKind| Error::Io(kind.into());
        // The error, the code, and whether the peer is simply gone.
        for (error, code, is_disconnect) in [
            (Error::Protocol(ProtocolError::Unmasked), Some(1002), false),
            (Error::Protocol(ProtocolError::TextNotUtf8), Some(1007), false),
            (Error::Protocol(ProtocolError::MessageTooBig(1)), Some(1009), false),
            (Error::Overloaded, Some(1013), false),
            (Error::DeadlineExceeded(Deadline::Idle), Some(1008), false),
            (Error::DeadlineExceeded(Deadline::Message), Some(1008), false),
            (Error::DeadlineExceeded(Deadline::Write), None, false),
            (Error::DeadlineExceeded(Deadline::Close), None, false),
            (io(io::ErrorKind::UnexpectedEof), None, true),
            (io(io::ErrorKind::ConnectionReset), None, true),
            (io(io::ErrorKind::BrokenPipe), None, true),
            (io(io::ErrorKind::Other), None, false),
            (Error::Closed, None, true),
            (Error::RecvTimeout, None, false),
        ] {
            assert_eq!(error.close_code(), code.map(CloseCode), "{error:?}");
            assert_eq!(error.is_disconnect(), is_disconnect, "{error:?}");
            // Who is told a code is told no more.
            assert!(code.is_none() || error.is_fatal(), "{error:?}");
        }
    }
}
