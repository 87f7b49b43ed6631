//! A [`Decoder`] under observation: every single call is held to its contract.

use std::mem;

use barews::proto::{Decoder, DecoderLimits, Event, MessageType, ProtocolError};

use super::reference::{End, Item, Verdict};

/// Feeds a [`Decoder`] and keeps what comes out of it.
pub struct Watch {
    receive: Decoder,
    limits: DecoderLimits,
    items: Vec<Item>,
    partial: Vec<u8>,
    /// Bytes of all pieces so far.
    fed: usize,
    /// Bytes used, as reported.
    used: usize,
    closed: bool,
    /// How far behind the place where it belongs payload is read, when no header can come with it.
    gap: Option<usize>,
    /// The violation; the call that reported it had bytes from the first number up to the second.
    failed: Option<(ProtocolError, usize, usize)>,
}

impl Watch {
    pub fn new(limits: DecoderLimits) -> Self {
        // No payload of a message is kept: 125 bytes of a control frame, 14 of a header, and counts.
        const { assert!(size_of::<Decoder>() <= 272) };
        Self {
            receive: Decoder::new(limits),
            limits,
            items: Vec::new(),
            partial: Vec::new(),
            fed: 0,
            used: 0,
            closed: false,
            gap: None,
            failed: None,
        }
    }

    /// One that has payload read behind a gap of so many bytes.
    pub fn behind(limits: DecoderLimits, gap: usize) -> Self {
        Self { gap: Some(gap), ..Self::new(limits) }
    }

    /// Feeds a piece. `on` is told each event but data that do not end a message, and with it the
    /// payload of the control frame or the whole message; or the violation, with nothing.
    pub fn feed(&mut self, piece: &[u8], mut on: impl FnMut(Result<&Event, ProtocolError>, &[u8])) {
        let mut bytes = piece.to_vec();
        let mut at = 0;
        self.fed += piece.len();
        loop {
            let left = self.receive.payload_left();
            let input = &mut bytes[at..];
            let mut whole = vec![0xee; 3];
            let taken = self.receive.decode_message(input, usize::MAX, &mut whole);
            let is_last = input.first().is_some_and(|first| first & 0x80 != 0);
            let may_be_whole = is_last && !self.receive.is_unfinished();
            if self.receive.is_vacant() {
                let mut copy = input.to_vec();
                let placed = self.limits.message_in_place(&mut copy);
                assert_eq!(placed.clone().map(|(place, kind)| (place.end, kind)), taken);
                assert!(placed.is_none_or(|(place, _)| copy[place] == whole));
            }
            let (used, event) = match feed(&mut self.receive, input, left, self.gap) {
                Ok(answer) => answer,
                Err(violation) => {
                    assert_eq!(taken, None, "taken, but not allowed");
                    match self.failed {
                        Some((first, ..)) => assert_eq!(violation, first, "two failures"),
                        None => {
                            self.failed = Some((violation, self.used, self.fed));
                            on(Err(violation), b"");
                        }
                    }
                    assert_eq!(self.receive.feed(&mut []), Err(violation), "recovered");
                    return;
                }
            };
            assert!(self.failed.is_none(), "recovered");
            assert!(used <= input.len());
            let payload = match event {
                Event::Data { len, .. } => used - len..used,
                _ => used..used,
            };
            // Nothing but the payload is changed; what lies behind it is looked at when it is used.
            assert_eq!(input[..payload.start], piece[at..at + payload.start], "a header changed");
            if left > 0 && !input.is_empty() {
                let next = left.min(input.len() as u64);
                assert!(payload.len() as u64 == next && used == payload.len(), "payload_left");
            }
            let payload = &input[payload];
            match event {
                Event::Data { kind, fin: true, .. } if may_be_whole => {
                    assert_eq!(taken, Some((used, kind)));
                    assert_eq!(whole, payload);
                }
                _ => assert_eq!(taken, None, "taken, and there was none"),
            }
            if matches!(event, Event::NeedMore) {
                assert_eq!(used, input.len(), "more was asked for, and bytes were left");
            } else {
                self.keep(&event, payload, &mut on);
            }
            at += used;
            self.used += used;
            if matches!(event, Event::NeedMore) {
                return;
            }
        }
    }

    fn keep(
        &mut self,
        event: &Event,
        payload: &[u8],
        on: &mut impl FnMut(Result<&Event, ProtocolError>, &[u8]),
    ) {
        assert!(!self.closed, "an event after a Close");
        let control = || self.receive.control().to_vec();
        let item = match event {
            Event::NeedMore => return,
            &Event::Data { kind, fin, .. } => {
                assert!(fin || !payload.is_empty(), "an event without content");
                assert_eq!(self.receive.message_kind(), (!fin).then_some(kind));
                self.partial.extend_from_slice(payload);
                if !fin {
                    return;
                }
                Item::Message(kind, mem::take(&mut self.partial))
            }
            Event::Ping => Item::Ping(control()),
            Event::Pong => Item::Pong(control()),
            Event::Close(close) => {
                self.closed = true;
                Item::Close(close.code.0, close.reason.clone())
            }
            // RFC 7692 §6: RSV1 is a violation.
            _ => panic!("compressed, though nothing was agreed on"),
        };
        match &item {
            Item::Message(_, payload) => on(Ok(event), payload),
            _ => on(Ok(event), self.receive.control()),
        }
        self.items.push(item);
    }

    /// Holds all that came out to what should have.
    pub fn assert_is(&self, verdict: &Verdict) {
        assert_eq!(self.items, verdict.items);
        let kind = self.receive.message_kind();
        let wanted: (Option<MessageType>, &[u8]) = match &verdict.partial {
            Some((kind, bytes)) => (Some(*kind), bytes),
            None => (None, b""),
        };
        match (&verdict.end, self.failed) {
            (End::Open { unfinished }, None) => {
                assert!(!self.closed);
                assert_eq!(self.receive.is_unfinished(), *unfinished, "is_unfinished");
                assert_eq!((kind, &self.partial[..]), wanted);
                assert_eq!(self.used, self.fed);
            }
            (End::Closed, None) => {
                assert!(self.closed);
                assert!(!self.receive.is_unfinished() && kind.is_none());
                assert_eq!(self.used, self.fed, "what follows a Close is passed over");
            }
            (&End::Failed { violation, at, .. }, Some((found, from, to))) => {
                assert_eq!(found, violation);
                assert!(from < at && at <= to, "byte {at} is wrong, found in {from}..{to}");
                // Text that is cut off by the violation may stop short of the bad byte, no more.
                assert!(wanted.1.starts_with(&self.partial));
                let cut = if violation == ProtocolError::TextNotUtf8 { from } else { at };
                assert!(wanted.1.len() - self.partial.len() <= at - cut);
            }
            (end, failed) => panic!("wanted {end:?}, got {failed:?}"),
        }
    }
}

/// Feeds what comes next: `left` bytes of payload, behind a gap if there is to be one, or anything.
fn feed(
    receive: &mut Decoder,
    input: &mut [u8],
    left: u64,
    gap: Option<usize>,
) -> Result<(usize, Event), ProtocolError> {
    let len = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    let Some(gap) = gap.filter(|_| len > 0) else { return receive.feed(input) };
    let mut memory = [&vec![0xee; gap], &input[..len]].concat();
    let event = receive.feed_behind(&mut memory, gap)?;
    input[..len].copy_from_slice(&memory[..len]);
    Ok((len, event))
}
