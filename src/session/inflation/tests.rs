use super::*;
use crate::config::Deflate;
use crate::proto::deflate::{Deflater, History, INFLATER_SIZE, TAIL};
use crate::session::{Budget, MessageAssembler};

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

struct Receiver {
    codecs: Arc<Codecs>,
    inflation: Inflation,
    assembler: MessageAssembler,
    buf: Vec<u8>,
}

impl Receiver {
    fn new(max_message_size: u64) -> Self {
        Self::with_budget(max_message_size, 1 << 30)
    }

    fn with_budget(max_message_size: u64, max_buffered_bytes: u64) -> Self {
        let settings = Deflate { max_memory: 4 * INFLATER_SIZE, ..Deflate::default() };
        let codecs = Arc::new(Codecs::new(settings));
        let inflation = Inflation::new(&codecs, codecs.past(4 << 10).unwrap(), max_message_size);
        let assembler = MessageAssembler::new(&Arc::new(Budget::new(max_buffered_bytes)), 0);
        Self { codecs, inflation, assembler, buf: Vec::new() }
    }

    /// Feeds a part of a message until it is done; the message if that ends it.
    fn feed(
        &mut self,
        kind: MessageType,
        mut part: &[u8],
        fin: bool,
    ) -> Result<Option<Vec<u8>>, InflateError> {
        loop {
            let target = &mut Target::Message(&mut self.assembler, &mut self.buf);
            let Inflated { used, done, .. } = self.inflation.feed(kind, part, fin, target)?;
            part = &part[used..];
            if done {
                break;
            }
        }
        Ok(fin.then(|| {
            self.assembler.finish(&mut self.buf);
            self.buf.clone()
        }))
    }

    fn text(&mut self, part: &[u8], fin: bool) -> Result<Option<Vec<u8>>, InflateError> {
        self.feed(MessageType::Text, part, fin)
    }
}

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut deflater = Deflater::new(15);
    deflater.begin(&History::new(0), 6);
    let mut out = vec![0; message.len() + message.len() / 8 + 64];
    let written = deflater.deflate(message, &mut out).written;
    out.truncate(written - TAIL.len());
    out
}

#[test]
fn an_inflater_is_lent_from_the_first_part_to_the_last() {
    let mut receiver = Receiver::new(100);
    for _ in 0..3 {
        for byte in &HELLO[..6] {
            assert_eq!(receiver.text(&[*byte], false), Ok(None));
            assert_eq!(receiver.codecs.stats().codecs, INFLATER_SIZE);
        }
        assert_eq!(receiver.text(&HELLO[6..], true), Ok(Some(b"Hello".to_vec())));
        assert_eq!(receiver.codecs.stats().codecs, 0);
    }
    let stats = receiver.codecs.stats();
    assert_eq!((stats.received_compressed, stats.received), (3 * 7, 3 * 5));
    // A failure gives it back as well.
    assert_eq!(receiver.text(&HELLO[..4], true), Err(ProtocolError::IncompleteDeflate.into()));
    assert_eq!(receiver.codecs.stats().codecs, 0);
    receiver.assembler.clear();
    // Where all are lent, a short message waits for its end as it came; a long one is refused.
    let other = [(); 2].map(|()| receiver.codecs.inflater(true, false));
    assert_eq!(receiver.text(&HELLO, true), Ok(Some(b"Hello".to_vec())));
    for _ in 0..2 {
        for byte in &HELLO[..6] {
            assert_eq!(receiver.text(&[*byte], false), Ok(None));
        }
        assert_eq!(receiver.text(&HELLO[6..], true), Ok(Some(b"Hello".to_vec())));
    }
    let long = deflated(&[b'a'; 100]);
    let mut cut = long.clone();
    cut.truncate(3);
    assert_eq!(receiver.text(&cut, false), Ok(None));
    assert_eq!(receiver.text(&long[3..], true), Ok(Some(vec![b'a'; 100])));
    assert_eq!(receiver.text(&[0; MAX_DEFERRED], false), Ok(None));
    assert_eq!(receiver.text(&[0; 1], false), Err(InflateError::Overloaded));
    receiver.inflation.deferred.clear();
    // One that gets an inflater meanwhile goes on with it.
    assert_eq!(receiver.text(&HELLO[..2], false), Ok(None));
    drop(other);
    assert_eq!(receiver.text(&HELLO[2..5], false), Ok(None));
    assert_eq!(receiver.codecs.stats().codecs, INFLATER_SIZE);
    assert_eq!(receiver.text(&HELLO[5..], true), Ok(Some(b"Hello".to_vec())));
}

#[test]
fn the_limit_holds_for_what_is_inflated() {
    for (len, error) in [(1000, None), (1001, Some(ProtocolError::MessageTooBig(1000)))] {
        let message = vec![b'a'; len];
        let got = Receiver::new(1000).text(&deflated(&message), true);
        assert_eq!(got, error.map_or(Ok(Some(message)), |error| Err(error.into())));
    }
    assert_eq!(Receiver::new(0).text(&[0x00], true), Ok(Some(Vec::new())));
    let mut bomb = Receiver::new(1 << 20);
    let too_big = ProtocolError::MessageTooBig(1 << 20);
    assert_eq!(bomb.text(&deflated(&vec![0; 8 << 20]), true), Err(too_big.into()));
    assert!(bomb.assembler.capacity() <= (1 << 20) + 1, "{}", bomb.assembler.capacity());
    let mut overloaded = Receiver::with_budget(1 << 20, 256 << 10);
    let got = overloaded.text(&deflated(&vec![0; 1 << 20]), true);
    assert_eq!(got, Err(InflateError::Overloaded));
}

#[test]
fn text_is_checked_as_it_comes_out() {
    let not_utf8 = Err(ProtocolError::TextNotUtf8.into());
    let bad = [&[b'a'; 100][..], &[0xff], &[b'b'; 100]].concat();
    assert_eq!(Receiver::new(1000).text(&deflated(&bad), false), not_utf8, "before its end");
    let cut = deflated(b"a\xc3");
    assert_eq!(Receiver::new(1000).text(&cut, true), not_utf8);
    assert_eq!(
        Receiver::new(1000).feed(MessageType::Binary, &cut, true),
        Ok(Some(b"a\xc3".to_vec()))
    );
    let text = "äöü€𐍈".repeat(50);
    let payload = deflated(text.as_bytes());
    for len in [1, 2, 3, 50, payload.len()] {
        let mut receiver = Receiver::new(1000);
        let mut parts = payload.chunks(len).peekable();
        let mut message = None;
        while let Some(part) = parts.next() {
            message = receiver.text(part, parts.peek().is_none()).unwrap();
        }
        assert_eq!(message.as_deref(), Some(text.as_bytes()));
    }
}

/// However small the slice, it is filled, and the end is told with the last byte or behind it.
#[test]
fn a_slice_is_filled_as_far_as_it_goes() {
    let message: Vec<u8> = (0..1000u32).flat_map(|at| (at / 3).to_be_bytes()).collect();
    let payload = deflated(&message);
    for room in [1, 2, 7, 4000, 4001] {
        let mut receiver = Receiver::new(4000);
        let (mut got, mut part) = (Vec::new(), &payload[..]);
        let mut out = vec![0; room];
        loop {
            let target = &mut Target::Slice(&mut receiver.assembler, &mut out);
            let Inflated { used, len, done } =
                receiver.inflation.feed(MessageType::Binary, part, true, target).unwrap();
            got.extend_from_slice(&out[..len]);
            part = &part[used..];
            assert!(len > 0 || done);
            if done {
                break;
            }
        }
        assert_eq!(got, message);
    }
}
