//! A server in a program, which is told to stop.

use crate::common::{Frame, RawClient, TEXT, close, frame};
use crate::program::start;

#[test]
fn a_signal_stops_it_with_a_close_for_everyone() {
    let example = start("embedded", &[]);
    let mut clients = [RawClient::open(example.addr), RawClient::open(example.addr)];
    for (client, number) in clients.iter_mut().zip(["1", "2"]) {
        client.send(frame(TEXT, "another"));
        client.expect(&Frame::text(number));
    }
    example.signal("TERM");
    for client in &mut clients {
        assert_eq!(client.read_frame().expect("a Close").close_parts().0, 1001);
        client.send(close(1001, ""));
        client.expect_eof();
    }
    let (status, lines) = example.wait();
    assert_eq!((status.code(), &*lines), (Some(0), &["2 messages in all".to_owned()][..]));
}

#[test]
fn a_second_signal_waits_for_nobody() {
    let example = start("embedded", &[]);
    let mut client = RawClient::open(example.addr);
    client.send(frame(TEXT, "another"));
    client.expect(&Frame::text("1"));
    example.signal("TERM");
    // It does not answer.
    assert_eq!(client.read_frame().expect("a Close").close_parts().0, 1001);
    example.signal("INT");
    // The first one would have given it two seconds.
    client.expect_eof();
    let (status, _) = example.wait();
    assert_eq!(status.code(), Some(0));
}
