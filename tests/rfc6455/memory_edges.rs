//! §10.4: what a message takes of the budget of all, while it is on its way.

use barews::{Connection, Error};

use crate::common::{
    BINARY, Frame, PING, RawClient, TEXT, TestServer, close, frame, head, ms, with_limits,
};

/// How many connections begin a message and leave it at that.
const IDLE: usize = 64;

/// As much as 64 KiB for each of them.
const BUDGET: u64 = (IDLE as u64) << 16;

/// First byte of a fragment.
const BINARY_PART: u8 = 0x02;
const CONT_PART: u8 = 0x00;

/// Has many clients do so and another send 20 KB, which must pass.
fn leave_the_budget(server: &TestServer, begin: impl Fn(&mut RawClient)) -> Vec<RawClient> {
    // What those before have begun counts until the server has heard of their end.
    server.settle();
    let mut idle: Vec<_> = (0..IDLE).map(|_| server.open()).collect();
    idle.iter_mut().for_each(begin);
    let mut other = server.open();
    for _ in 0..3 {
        other.send(frame(BINARY, vec![7; 20_000]));
        other.expect(&Frame::binary([7; 20_000]));
    }
    other.finish();
    idle
}

fn budget() -> TestServer {
    TestServer::echo(with_limits(|limits| limits.max_buffered_bytes = BUDGET))
}

/// Sends what begins a message. The answer to a Ping tells that it has come, since it goes out when
/// more is waited for.
fn begin(client: &mut RawClient, before: &[u8], begun: &[u8]) {
    client.send([before, &frame(PING, ""), begun].concat());
    if !before.is_empty() {
        client.expect(&Frame::binary(vec![7; 100_000]));
    }
    client.expect(&Frame::pong(""));
}

/// The header of a message of zeros, whose key changes nothing, and its first bytes.
fn begun(first: u8, len: u64, come: usize) -> Vec<u8> {
    [head(first, len), vec![0; come]].concat()
}

#[test]
fn edge_i_a_mere_header_takes_nothing_of_the_budget() {
    let server = budget();
    for (first, len) in [
        (BINARY, 125),
        (TEXT, 65_535),
        (BINARY, 65_536),
        (TEXT, 100_000),
        (BINARY, 16 << 20),
        (BINARY_PART, 16 << 20),
    ] {
        for come in [0, 1] {
            let idle =
                leave_the_budget(&server, |client| begin(client, &[], &begun(first, len, come)));
            drop(idle);
        }
    }
}

#[test]
fn edge_i_a_message_takes_what_has_come_of_it() {
    let server = budget();
    for come in [1000, 16 << 10, 32 << 10] {
        let mut idle =
            leave_the_budget(&server, |client| begin(client, &[], &begun(BINARY, 100_000, come)));
        // And goes on where it was.
        for client in &mut idle[..2] {
            client.send(vec![0; 100_000 - come]);
            client.expect(&Frame::binary(vec![0; 100_000]));
        }
    }
}

#[test]
fn edge_i_fragments_take_what_has_come_of_them() {
    let server = budget();
    let parts = [begun(BINARY_PART, 1000, 1000), begun(CONT_PART, 1 << 20, 0)].concat();
    leave_the_budget(&server, |client| begin(client, &[], &parts));
}

/// The memory of a message before is not charged to one that has not come.
#[test]
fn edge_i_a_header_behind_a_message_takes_nothing_of_the_budget() {
    let server = budget();
    for len in [60_000, 64 << 10, 100_000] {
        leave_the_budget(&server, |client| {
            client.send(frame(BINARY, vec![7; len]));
            client.expect(&Frame::binary(vec![7; len]));
            begin(client, &[], &begun(BINARY, 1 << 20, 0));
        });
    }
    let message = frame(BINARY, vec![7; 100_000]);
    leave_the_budget(&server, |client| begin(client, &message, &begun(BINARY, 1 << 20, 0)));
}

/// Nor by calls that end before anything has come.
#[test]
fn edge_i_a_recv_that_times_out_takes_nothing_of_the_budget() {
    let config = with_limits(|limits| limits.max_buffered_bytes = BUDGET);
    let echo = |mut conn: Connection| {
        let mut buf = Vec::new();
        conn.set_recv_timeout(Some(ms(5)));
        loop {
            match conn.recv(&mut buf) {
                Ok(Some(message)) => conn.send(message)?,
                Ok(None) => return Ok(()),
                Err(Error::RecvTimeout) => {}
                Err(error) => return Err(error.into()),
            }
        }
    };
    let server = TestServer::with_handler(|server| server.config(config), echo);
    let mut idle =
        leave_the_budget(&server, |client| begin(client, &[], &begun(BINARY, 1 << 20, 0)));
    for client in &mut idle[..2] {
        client.send(vec![0; 1 << 20]);
        client.expect(&Frame::binary(vec![0; 1 << 20]));
        client.send(close(1000, ""));
        client.expect_close(1000);
    }
}
