//! Rooms, and who is in them.

use crate::common::{BINARY, Binary, Frame, RawClient, TEXT, close, frame, r0};
use crate::program::start;

/// Opens a room as somebody, who is told of it.
fn join(example: &Binary, room: &str, name: &str) -> RawClient {
    let mut client = RawClient::connect(example.addr);
    client.send(r0().target(&format!("/{room}?name={name}")).bytes());
    client.expect_upgrade();
    hears(&mut client, &format!("* {name} has come"));
    client
}

fn hears(client: &mut RawClient, text: &str) {
    client.expect(&Frame::text(text));
}

#[test]
fn all_in_a_room_hear_it_and_nobody_else() {
    let example = start("chat", &[]);
    let mut ann = join(&example, "room", "Ann");
    let mut bob = join(&example, "room", "Bob");
    hears(&mut ann, "* Bob has come");
    let mut eve = join(&example, "other", "Eve");
    ann.send(frame(TEXT, "h\u{e9}llo"));
    hears(&mut ann, "Ann: h\u{e9}llo");
    hears(&mut bob, "Ann: h\u{e9}llo");
    bob.finish();
    hears(&mut ann, "* Bob has gone");
    // Without a Close.
    join(&example, "room", "Bob").reset();
    hears(&mut ann, "* Bob has come");
    hears(&mut ann, "* Bob has gone");
    ann.finish();
    eve.finish();
}

#[test]
fn one_who_does_not_read_is_closed_and_holds_up_nobody() {
    const SENT: usize = 4096;
    let example = start("chat", &[]);
    let mut ann = join(&example, "room", "Ann");
    let mut bob = join(&example, "room", "Bob");
    hears(&mut ann, "* Bob has come");
    let said = "x".repeat(4 << 10);
    let (message, heard) = (frame(TEXT, &said), Frame::text(format!("Ann: {said}")));
    // What the system keeps for one who does not read is some MiB; this is more.
    // In batches, for Bob is to read again before the write timeout ends his connection.
    for _ in 0..SENT / 16 {
        ann.send(message.repeat(16));
        (0..16).for_each(|_| ann.expect(&heard));
    }
    #[cfg(target_os = "linux")]
    assert!(example.peak_memory() < 16 << 20, "{} bytes", example.peak_memory());
    // What was on its way comes whole, then the Close.
    let mut received = 0;
    let last = loop {
        match bob.read_frame() {
            Some(next) if next == heard => received += 1,
            last => break last,
        }
    };
    assert!(received > 0 && received < SENT, "{received} of {SENT}");
    assert_eq!(last, Some(Frame::close(1013, "you read too slowly")));
    bob.send(close(1013, ""));
    bob.expect_eof();
    hears(&mut ann, "* Bob has gone");
    ann.finish();
}

#[test]
fn what_is_no_chat_is_refused() {
    let example = start("chat", &[]);
    let long = format!("/room?name={}", "n".repeat(33));
    for target in ["/room", "/room?name=", "/room?nam=Ann", "/room?name=a%0ab", &long] {
        let mut client = RawClient::connect(example.addr);
        client.send(r0().target(target).bytes());
        client.expect_refusal(400);
    }
    let mut client = join(&example, "room", "Ann");
    client.send(frame(TEXT, [b'x'; 4097]));
    client.expect_close(1009);
    let mut client = join(&example, "room", "Bob");
    client.send(frame(BINARY, "x"));
    // Those who leave hear of it no more.
    let close = client.read_frame().expect("a Close");
    assert_eq!(close.close_parts(), (1003, "a chat is text"));
}
