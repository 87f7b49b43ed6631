//! The closing handshake (§7) as a state machine, and what control frames call for.
//!
//! Each end sends one Close frame and receives one; the order does not matter, and nothing is
//! sent after it. So all there is to remember is which of the two has passed:
//!
//! ```text
//!            we send            they answer
//!   Open ─────────────▶ Sent ─────────────▶ Closed
//!     └───────────────────────────────────────▲
//!        they send, and we answer at once (§5.5.1)
//! ```
//!
//! A failed connection is not waited for: our Close is the last word (§7.1.7).

use crate::proto::{CloseCode, Event, encoder};

/// How far the closing handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Closing {
    /// Neither end has sent a Close frame.
    #[default]
    Open,
    /// Our Close is sent, theirs is due.
    Sent,
    /// Both are through, or the connection has failed: nothing is due.
    Closed,
}

impl Closing {
    /// Whether frames may still be sent (§5.5.1: none after a Close).
    #[must_use]
    pub fn may_send(self) -> bool {
        self == Self::Open
    }

    /// Writes to `out` what an event calls for: a Pong for a Ping, a Close for a Close.
    /// `control` is the payload of the event's frame.
    pub fn answer(&mut self, event: &Event, control: &[u8], out: &mut Vec<u8>) {
        match event {
            // §5.5.2: a Ping is answered unless a Close has passed.
            Event::Ping if self.may_send() => encoder::pong(control, out),
            Event::Close(theirs) => {
                if self.may_send() {
                    // §5.5.1: the answer usually repeats the code; ours repeats it all.
                    encoder::close(theirs.code, &theirs.reason, out);
                }
                *self = Self::Closed;
            }
            Event::Ping | Event::Pong | Event::Data { .. } | Event::NeedMore => {}
        }
    }

    /// Starts the closing handshake (§7.1.2) by writing our Close to `out`, unless a Close has
    /// passed.
    pub fn start(&mut self, code: CloseCode, reason: &str, out: &mut Vec<u8>) {
        if self.may_send() {
            encoder::close(code, reason, out);
            *self = Self::Sent;
        }
    }

    /// Fails the connection (§7.1.7): writes our Close to `out`, unless a Close has passed, and
    /// waits for none.
    pub fn fail(&mut self, code: CloseCode, reason: &str, out: &mut Vec<u8>) {
        self.start(code, reason, out);
        *self = Self::Closed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::CloseFrame;

    fn close_event(code: u16, reason: &str) -> Event {
        Event::Close(CloseFrame { code: CloseCode(code), reason: reason.into() })
    }

    #[test]
    fn a_close_is_mirrored_once() {
        let (mut closing, mut out) = (Closing::Open, Vec::new());
        closing.answer(&close_event(1000, "bye"), b"", &mut out);
        assert_eq!(out, b"\x88\x05\x03\xe8bye");
        assert_eq!(closing, Closing::Closed);
        closing.answer(&close_event(1000, "bye"), b"", &mut out);
        closing.start(CloseCode::NORMAL, "", &mut out);
        closing.fail(CloseCode::NORMAL, "", &mut out);
        closing.answer(&Event::Ping, b"x", &mut out);
        assert_eq!(out, b"\x88\x05\x03\xe8bye");
    }

    #[test]
    fn an_empty_close_is_answered_by_an_empty_one() {
        let (mut closing, mut out) = (Closing::Open, Vec::new());
        closing.answer(&close_event(1005, ""), b"", &mut out);
        assert_eq!(out, b"\x88\x00");
    }

    #[test]
    fn when_both_close_at_once_each_sends_one() {
        let (mut closing, mut out) = (Closing::Open, Vec::new());
        closing.start(CloseCode::GOING_AWAY, "", &mut out);
        assert_eq!(closing, Closing::Sent);
        closing.answer(&Event::Ping, b"", &mut out);
        closing.answer(&close_event(1000, ""), b"", &mut out);
        assert_eq!(out, b"\x88\x02\x03\xe9");
        assert_eq!(closing, Closing::Closed);
    }

    #[test]
    fn pings_are_answered_byte_for_byte_while_open() {
        let (mut closing, mut out) = (Closing::Open, Vec::new());
        closing.answer(&Event::Ping, b"Hello", &mut out);
        closing.answer(&Event::Pong, b"Hello", &mut out);
        closing.answer(&Event::NeedMore, b"", &mut out);
        assert_eq!(out, b"\x8a\x05Hello");
        assert_eq!(closing, Closing::Open);
    }

    #[test]
    fn a_failure_is_the_last_word() {
        let (mut closing, mut out) = (Closing::Open, Vec::new());
        closing.fail(CloseCode::PROTOCOL_ERROR, "", &mut out);
        assert_eq!(out, b"\x88\x02\x03\xea");
        assert_eq!(closing, Closing::Closed);
    }
}
