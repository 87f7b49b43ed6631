//! §6.1: several messages at once, and messages out of whatever can be read.

use std::io::{self, ErrorKind, Read};
use std::thread;

use barews::{Config, Error, Message, MessageType, Receiver, Sender};

use crate::common::{Frame, RawClient, ms, noise, pair, with_timeouts};

/// A fragment of text that is not the last, and one that follows.
const TEXT_PART: u8 = 0x01;
const BINARY_PART: u8 = 0x02;
const CONT_PART: u8 = 0x00;
const LAST: u8 = 0x80;

/// What is left of a message when its source fails.
const REASON: &str = "a message was left unfinished";

fn halves() -> (Receiver, Sender, RawClient) {
    let config: Config = with_timeouts(|timeouts| timeouts.close = ms(100));
    let (conn, client) = pair(&config);
    let (receiver, sender) = conn.split();
    (receiver, sender, client)
}

/// Gives so many bytes, some with each read, and then fails so.
struct Faulty(usize, ErrorKind);

impl Read for Faulty {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.0.min(buf.len()).min(10_000);
        self.0 -= len;
        buf[..len].fill(b'a');
        if len > 0 { Ok(len) } else { Err(self.1.into()) }
    }
}

#[test]
fn many_messages_at_once() {
    let (_receiver, sender, mut client) = halves();
    let texts: Vec<String> = (0..5000).map(|number| format!("{number}")).collect();
    let long: Vec<Vec<u8>> =
        [100_000, 16 << 10, (16 << 10) + 1, 0, 65_535, 3].map(|len| vec![b'x'; len]).into();
    let mixed = texts[..10].iter().map(Message::from).chain(long.iter().map(Message::from));
    let (mixed, all, expected) = (mixed.collect::<Vec<_>>(), texts.clone(), long.clone());
    let reader = thread::spawn(move || {
        for text in &all {
            client.expect(&Frame::text(text));
        }
        for text in &all[..10] {
            client.expect(&Frame::text(text));
        }
        for bytes in &expected {
            client.expect(&Frame::binary(bytes));
        }
        client.expect(&Frame::text("end"));
    });
    sender.send_all(&texts).unwrap();
    sender.send_all(mixed).unwrap();
    sender.send_all::<Message<'_>>([]).unwrap();
    sender.send_all(["end"]).unwrap();
    reader.join().unwrap();
    sender.close(barews::CloseCode::NORMAL, "").unwrap();
    assert!(matches!(sender.send_all(["late"]), Err(Error::Closed)));
}

#[test]
fn a_message_of_known_length() {
    let (_receiver, sender, mut client) = halves();
    let noise: Vec<u8> = noise(7).take(3_000_000).collect();
    for len in [0, 1, 125, 126, 65_535, 65_536, 65_537, 3_000_000] {
        let (sender, source) = (sender.clone(), noise.clone());
        // What the source has beyond it stays there.
        let sending = thread::spawn(move || {
            let mut source = &source[..];
            sender.send_sized(MessageType::Binary, len as u64, &mut source).unwrap();
            source.len()
        });
        client.expect(&Frame::binary(&noise[..len]));
        assert_eq!(sending.join().unwrap(), noise.len() - len);
    }
    let text = "\u{2603}".repeat(50_000);
    let sending = sender.clone();
    let source = text.clone();
    let sending = thread::spawn(move || {
        sending.send_sized(MessageType::Text, source.len() as u64, source.as_bytes())
    });
    client.expect(&Frame::text(&text));
    sending.join().unwrap().unwrap();
}

/// The undivided connection does the same, and goes on after a source that failed in time.
#[test]
fn an_undivided_connection() {
    let (mut conn, mut client) = pair(&with_timeouts(|timeouts| timeouts.close = ms(100)));
    conn.write("before").unwrap();
    let sent = conn.send_sized(MessageType::Binary, 10, &[0; 9][..]);
    assert!(matches!(sent, Err(Error::Source(_))));
    conn.write("behind").unwrap();
    conn.send_sized(MessageType::Binary, 3, &b"abc"[..]).unwrap();
    for frame in [Frame::text("before"), Frame::text("behind"), Frame::binary("abc")] {
        client.expect(&frame);
    }
}

/// Of a frame that was not begun nothing is sent, and the connection goes on.
#[test]
fn a_source_that_fails_before_the_frame_is_begun() {
    let (_receiver, sender, mut client) = halves();
    let kind = |sent: Result<(), Error>| match sent.unwrap_err() {
        Error::Source(error) => error.kind(),
        other => panic!("{other:?}"),
    };
    let failing = Faulty(1000, ErrorKind::Other);
    assert_eq!(kind(sender.send_sized(MessageType::Text, 2000, failing)), ErrorKind::Other);
    let short = sender.send_sized(MessageType::Binary, 2000, &[0; 1999][..]);
    assert_eq!(kind(short), ErrorKind::UnexpectedEof);
    for text in [&b"\xff"[..], b"a\xe2\x98"] {
        let sent = sender.send_sized(MessageType::Text, text.len() as u64, text);
        assert_eq!(kind(sent), ErrorKind::InvalidData);
    }
    let endless = sender.send_sized(MessageType::Binary, 1 << 63, io::repeat(0));
    assert_eq!(kind(endless), ErrorKind::InvalidInput);
    sender.send("next").unwrap();
    client.expect(&Frame::text("next"));
}

/// The rest of a frame cannot be taken back, and a Close would be taken for it.
#[test]
fn a_source_that_fails_in_the_middle_of_the_frame() {
    let (mut receiver, sender, mut client) = halves();
    let reader = thread::spawn(move || receiver.recv(&mut Vec::new()).map(|_| ()));
    let sent = sender.send_sized(MessageType::Binary, 500_000, Faulty(200_000, ErrorKind::Other));
    assert!(matches!(sent, Err(Error::Source(error)) if error.kind() == ErrorKind::Other));
    let error = reader.join().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Io(io) if io.kind() == ErrorKind::InvalidData), "{error:?}");
    assert!(matches!(sender.send("late"), Err(Error::Closed)));
    let rest = client.read_rest();
    assert_eq!(rest[..10], [0x82, 127, 0, 0, 0, 0, 0, 7, 0xa1, 0x20]);
    assert!(rest[10..].iter().all(|byte| *byte == b'a') && rest.len() < 200_010);
}

#[test]
fn a_message_copied_from_a_source() {
    let (_receiver, sender, mut client) = halves();
    let copied = sender.writer(MessageType::Text).copy_from(Faulty(0, ErrorKind::Other));
    assert!(matches!(copied, Err(Error::Source(_))));
    assert_eq!(sender.writer(MessageType::Text).copy_from(io::empty()).unwrap(), 0);
    client.expect(&Frame::text(""));
    let copied = sender.writer(MessageType::Text).copy_from(&b"\xe2\x98"[..]);
    assert!(matches!(copied, Err(Error::Source(_))));
    client.expect(&Frame::new(TEXT_PART, b"\xe2\x98"));
    assert_eq!(client.expect_close(1011), REASON);
    let (_receiver, sender, mut client) = halves();
    let text = "\u{2603}".repeat(30_000);
    let (sending, source) = (sender.clone(), text.clone());
    let sending =
        thread::spawn(move || sending.writer(MessageType::Text).copy_from(source.as_bytes()));
    client.expect(&Frame::new(TEXT_PART, &text.as_bytes()[..65_536]));
    client.expect(&Frame::new(CONT_PART, &text.as_bytes()[65_536..]));
    client.expect(&Frame::new(LAST, ""));
    assert_eq!(sending.join().unwrap().unwrap(), 90_000);
    sender.send("next").unwrap();
    client.expect(&Frame::text("next"));
    let copied = sender.writer(MessageType::Binary).copy_from(Faulty(10_000, ErrorKind::TimedOut));
    assert!(matches!(copied, Err(Error::Source(error)) if error.kind() == ErrorKind::TimedOut));
    client.expect(&Frame::new(BINARY_PART, vec![b'a'; 10_000]));
    assert_eq!(client.expect_close(1011), REASON);
}
