//! RFC 6455 §10.4: how much a peer may ask for, which is counted once it is inflated.

use std::time::{Duration, Instant};

use barews::{Config, Error};

use crate::common::compressed::{
    OFFER, bad, compressed_pair, compressing, converse_with, good, inflating, open, open_compressed,
};
use crate::common::deflate::{Bits, bomb};
use crate::common::{
    BINARY, CONT, Frame, PATIENCE, PING, RSV1, RawClient, TestServer, close, frame, ms, noise,
};
use crate::frames::{
    CONT_PART, DEFLATED, DEFLATED_BINARY, DEFLATED_BINARY_PART, DEFLATED_PART, HZ,
};

const POLICY: u16 = 1008;
const TOO_BIG: u16 = 1009;
const TRY_AGAIN_LATER: u16 = 1013;

/// Inflates messages up to this length.
fn up_to(len: u64) -> Config {
    inflating(|config, _| config.limits.max_message_size = len)
}

/// So many zeros, in fixed codes.
fn zeros(len: usize) -> Bits {
    let bits = Bits::new().fixed(false).text([0]);
    let (copies, rest) = ((len - 1) / 258, (len - 1) % 258);
    let bits = (0..copies).fold(bits, |bits, _| bits.copy(258, 1));
    bits.text(vec![0; rest]).end()
}

/// A compressed message in two fragments, cut at `cut`.
fn in_two(payload: &[u8], cut: usize) -> Vec<u8> {
    [frame(DEFLATED_BINARY_PART, &payload[..cut]), frame(CONT, &payload[cut..])].concat()
}

/// 1 GiB of zeros, of which no byte more than the limit is made.
#[test]
fn row_40_bombs() {
    let payload = bomb(1024);
    assert!(payload.len() < 1_100_000, "{}", payload.len());
    let server = TestServer::echo(up_to(100_000));
    for sent in [frame(DEFLATED_BINARY, &payload), in_two(&payload, 10), in_two(&payload, 500)] {
        let mut client = open_compressed(server.addr, OFFER);
        let _ = client.try_send(&sent);
        client.expect_close(TOO_BIG);
        let peer = client.addr;
        drop(client);
        let ended = server.ended(peer);
        assert!(matches!(ended.result, Err(Error::Protocol(_))), "{ended:?}");
    }
    // What has come of it is enough.
    let mut client = open_compressed(server.addr, OFFER);
    client.send(&frame(DEFLATED_BINARY, &payload)[..1000]);
    client.expect_close(TOO_BIG);
}

#[test]
fn row_41_exactly_the_limit_and_one_byte_more() {
    for limit in [1, 2, 63, 64, 100, 4095, 4096, 20_000, 65_536] {
        let cases = |bits: fn(usize) -> Bits| {
            let [exact, more] = [limit, limit + 1].map(|len| bits(len).message());
            [
                good(frame(DEFLATED_BINARY, &exact), [Frame::binary(vec![0; limit])]),
                good(in_two(&exact, exact.len() - 1), [Frame::binary(vec![0; limit])]),
                bad(frame(DEFLATED_BINARY, &more), [], TOO_BIG),
                bad(in_two(&more, more.len() - 1), [], TOO_BIG),
            ]
        };
        converse_with("limit", &up_to(limit as u64), OFFER, &cases(zeros));
        if limit < 65_535 {
            let stored = |len| Bits::new().stored(false, vec![0; len]);
            converse_with("limit", &up_to(limit as u64), OFFER, &cases(stored));
        }
    }
}

/// Nothing may be said, and nothing is what is said.
#[test]
fn row_42_a_limit_of_zero() {
    let cases = [
        good(frame(DEFLATED, [0]), [Frame::text("")]),
        good(frame(DEFLATED, ""), [Frame::text("")]),
        good(frame(DEFLATED, Bits::new().fixed(false).end().message()), [Frame::text("")]),
        good([frame(DEFLATED_PART, ""), frame(CONT, [0])].concat(), [Frame::text("")]),
        bad(frame(DEFLATED, HZ), [], TOO_BIG),
        bad(frame(DEFLATED_PART, &HZ[..3]), [], TOO_BIG),
        bad(frame(0x81, "x"), [], TOO_BIG),
    ];
    converse_with("zero", &up_to(0), OFFER, &cases);
}

/// Many bytes that stand for few: they count with what they stand for, up to an eighth more than
/// the limit, and 1 KiB.
#[test]
fn row_43_bytes_that_say_nothing() {
    const MOST: usize = 1000 + 125 + 1024;
    let empty = [0, 0, 0, 0xff, 0xff];
    let payload = [&empty.repeat(MOST / 5)[..], &[0]].concat();
    assert!(payload.len() <= MOST && payload.len() + 5 > MOST);
    let more = [&empty[..], &payload].concat();
    let fragments = |payload: &[u8]| {
        let parts = payload.chunks(5).flat_map(|part| frame(CONT_PART, part));
        [frame(DEFLATED_PART, ""), parts.collect(), frame(CONT, "")].concat()
    };
    let cases = [
        good(frame(DEFLATED, &payload), [Frame::text("")]),
        good(fragments(&payload), [Frame::text("")]),
        bad(frame(DEFLATED, &more), [], TOO_BIG),
        bad(fragments(&more), [], TOO_BIG),
        // By its header alone, however long it says it is.
        bad(&frame(DEFLATED, vec![0; MOST + 1])[..8], [], TOO_BIG),
        bad(
            [&[DEFLATED, 0xff][..], &(i64::MAX as u64).to_be_bytes(), &[0; 4]].concat(),
            [],
            TOO_BIG,
        ),
        bad(
            [
                &frame(DEFLATED_PART, "")[..],
                &[0x80, 0xff],
                &(i64::MAX as u64).to_be_bytes(),
                &[0; 4],
            ]
            .concat(),
            [],
            TOO_BIG,
        ),
        // A plain message has no more than the limit.
        bad(&frame(0x81, vec![b'x'; 1001])[..8], [], TOO_BIG),
    ];
    converse_with("nothing", &up_to(1000), OFFER, &cases);
}

/// What cannot be compressed grows, by 5 bytes a block or by a bit a byte, and may.
#[test]
fn row_44_random_data_up_to_the_limit() {
    for limit in [1000, 20_000] {
        let random: Vec<u8> = noise(1).take(limit).collect();
        let stored = random.chunks(16_383).fold(Bits::new(), |bits, part| bits.stored(false, part));
        let small = random.chunks(500).fold(Bits::new(), |bits, part| bits.stored(false, part));
        let high: Vec<u8> = random.iter().map(|byte| byte | 0x90).collect();
        let fixed = Bits::new().fixed(false).text(&high).end();
        let cases = [
            good(frame(DEFLATED_BINARY, stored.message()), [Frame::binary(&random)]),
            good(frame(DEFLATED_BINARY, small.message()), [Frame::binary(&random)]),
            good(frame(DEFLATED_BINARY, fixed.message()), [Frame::binary(&high)]),
        ];
        converse_with("random", &up_to(limit as u64), OFFER, &cases);
    }
}

#[test]
fn row_45_fragments() {
    let config = inflating(|config, _| config.limits.max_fragments = 8);
    let parts = |more: usize| {
        let more = (0..more).flat_map(|_| frame(CONT_PART, ""));
        [frame(DEFLATED_PART, ""), more.collect(), frame(CONT, HZ)].concat()
    };
    let cases = [
        good(parts(6), [Frame::text("Hello")]),
        bad(parts(7), [], POLICY),
        good(
            [
                frame(DEFLATED_PART, &HZ[..1]),
                HZ[1..].iter().flat_map(|byte| frame(CONT_PART, [*byte])).collect(),
                frame(PING, "p"),
                frame(CONT, ""),
            ]
            .concat(),
            [Frame::pong("p"), Frame::text("Hello")],
        ),
        bad(
            [
                frame(DEFLATED_PART, &HZ[..1]),
                HZ[1..].iter().flat_map(|byte| frame(CONT_PART, [*byte])).collect(),
                frame(CONT_PART, ""),
                frame(CONT, ""),
            ]
            .concat(),
            [],
            POLICY,
        ),
    ];
    converse_with("fragments", &config, OFFER, &cases);
    // And the default.
    let server = TestServer::echo(inflating(|_, _| ()));
    let mut client = open_compressed(server.addr, OFFER);
    client.send(
        [
            frame(DEFLATED_PART, &HZ[..1]),
            frame(CONT_PART, "").repeat(131_070),
            frame(CONT, &HZ[1..]),
        ]
        .concat(),
    );
    client.expect(&Frame::text("Hello"));
    let _ = client
        .try_send([frame(DEFLATED_PART, &HZ[..1]), frame(CONT_PART, "").repeat(131_072)].concat());
    client.expect_close(POLICY);
}

/// Sends the first part of a message, and waits for it to be inflated; whether it was refused.
fn begin(client: &mut RawClient, payload: &[u8]) -> bool {
    client.send([frame(DEFLATED_BINARY_PART, payload), frame(PING, "")].concat());
    match client.read_frame().expect("a Pong or a Close") {
        pong if pong.opcode == 10 => false,
        close => {
            assert_eq!(close.close_parts().0, TRY_AGAIN_LATER);
            true
        }
    }
}

/// Unfinished messages are charged with what they have inflated to.
#[test]
fn row_46_many_unfinished_messages() {
    const LEN: usize = 256 << 10;
    const FITS: usize = 16;
    let config = inflating(|config, _| config.limits.max_buffered_bytes = (FITS * LEN) as u64);
    let server = TestServer::echo(config);
    // 2 KiB on the wire.
    let payload = zeros(LEN).message();
    let (payload, last) = payload.split_at(payload.len() - 1);
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        let mut client = open_compressed(server.addr, OFFER);
        match begin(&mut client, payload) {
            true => refused += 1,
            false => held.push(client),
        }
    }
    // A message that grows has room for as much again.
    assert!((FITS / 2..=FITS).contains(&held.len()), "{} of {FITS} were held", held.len());
    assert!(refused > 0);
    // Those who are held go on where they were, and make room for others by that.
    for client in &mut held {
        client.send(frame(CONT, last));
        client.expect(&Frame::binary(vec![0; LEN]));
        client.finish();
    }
    let mut client = open_compressed(server.addr, OFFER);
    assert!(!begin(&mut client, payload));
    client.send(frame(CONT, last));
    client.expect(&Frame::binary(vec![0; LEN]));
    client.finish();
}

/// Nor can a message that is begun hold an inflater for ever, or more of them than there is memory for.
#[test]
fn row_47_a_message_that_is_begun_and_not_ended() {
    let config = inflating(|config, deflate| {
        config.timeouts.message = ms(1500);
        deflate.max_memory = 1 << 20;
    });
    let server = TestServer::echo(config);
    // Half of 1 MiB holds ten of 48 KiB; the others wait without one.
    let mut held = Vec::new();
    for _ in 0..30 {
        let mut client = open_compressed(server.addr, OFFER);
        assert!(!begin(&mut client, &HZ[..1]));
        held.push(client);
    }
    // Nobody else is shut out by that, in one frame or two, but for a message that is long in coming.
    let mut client = open_compressed(server.addr, OFFER);
    client.send(frame(DEFLATED, HZ));
    client.expect(&Frame::text("Hello"));
    assert!(!begin(&mut client, &HZ[..3]));
    client.send(frame(CONT, &HZ[3..]));
    client.expect(&Frame::binary("Hello"));
    let mut long = open_compressed(server.addr, OFFER);
    assert!(begin(&mut long, &[0; 20 << 10]));
    for client in &mut held {
        client.expect_close(POLICY);
    }
    // Their memory is there again.
    assert!(!begin(&mut client, &HZ[..1]));
    client.send(frame(CONT, &HZ[1..]));
    client.expect(&Frame::binary("Hello"));
    client.finish();
}

/// Whatever has become of connections, nothing stays charged.
#[test]
fn row_47_what_is_charged_is_given_back() {
    let (sender, handed) = std::sync::mpsc::channel();
    let mut server = TestServer::echo_with(|server| {
        let server = server.config(compressing(|_, _| ()));
        sender.send(server.stats_handle()).expect("a receiver");
        server
    });
    let stats = handed.recv_timeout(PATIENCE).expect("a handle");
    let ends: [fn(&mut RawClient); 6] = [
        |client| client.finish(),
        |client| client.send(frame(DEFLATED_PART, &HZ[..3])),
        |client| {
            client.send(frame(DEFLATED, [6, 0]));
            client.expect_close(1007);
        },
        |client| {
            client.send([frame(DEFLATED_PART, [0xff]), close(1000, "")].concat());
            client.expect_close(1007);
        },
        |client| {
            client.send([frame(DEFLATED_PART, &HZ[..3]), close(1000, "")].concat());
            client.expect_close(1000);
        },
        |client| {
            client.send(
                [frame(DEFLATED, zeros(1000).message()), frame(0x81, "Hello".repeat(20))].concat(),
            );
            client.send_eof();
        },
    ];
    for round in 0..5 {
        for end in ends {
            let mut client = open_compressed(server.addr, OFFER);
            client.send(frame(0x81, "Hello, Hello, Hello, Hello, Hello, Hello"));
            assert!(client.read_marked_frame().is_some(), "{round}");
            end(&mut client);
        }
    }
    server.stop(ms(100));
    let stats = stats.deflate();
    assert_eq!((stats.histories, stats.codecs), (0, 0), "{stats:?}");
    assert!(stats.sent > stats.sent_compressed && stats.sent_compressed > 0, "{stats:?}");
}

/// Of any size, in constant memory: an endless bomb is the handler's to end.
#[test]
fn row_48_parts_of_an_endless_message() {
    for limit in [1 << 62, u64::MAX, i64::MAX as u64] {
        let (mut conn, mut client) = compressed_pair(&up_to(limit), OFFER);
        let payload = bomb(64);
        client.send(frame(DEFLATED_BINARY_PART, &payload[..payload.len() - 1]));
        let mut out = [1; 5000];
        let mut len = 0_u64;
        while len < 60 << 20 {
            let chunk = conn.recv_chunk(&mut out).expect("a part").expect("not the end");
            assert!(!chunk.fin && chunk.len > 0);
            assert!(out[..chunk.len].iter().all(|&byte| byte == 0));
            len += chunk.len as u64;
        }
        let thread = std::thread::spawn(move || {
            let last = client.read_frame().expect("a Close");
            assert_eq!(last.close_parts().0, POLICY);
            client.send(close(POLICY, ""));
            client.expect_eof();
        });
        conn.close(barews::CloseCode::POLICY_VIOLATION, "enough").expect("an answer");
        thread.join().expect("no panic");
    }
}

/// Small bombs, one after the other: what comes out of each is sent back.
#[test]
fn row_49_bombs_in_a_row() {
    let server = TestServer::echo(compressing(|_, _| ()));
    let mut client = open_compressed(server.addr, OFFER);
    let mut inflater = crate::common::deflate::Inflater::new(15, true);
    let payload = bomb(1);
    for _ in 0..4 {
        client.send(frame(DEFLATED_BINARY, &payload));
        let message = crate::common::compressed::read_message(&mut client, &mut inflater);
        assert!(message.0 && message.2 == Frame::binary(vec![0; 1 << 20]));
    }
    client.finish();
}

/// Where there is no memory for histories, connections go without them, and get them again.
#[test]
fn histories_that_do_not_fit() {
    let config = compressing(|_, deflate| deflate.max_memory = 2 * (4096 + 2048 + 1000));
    let server = TestServer::echo(config);
    let offer = "permessage-deflate; client_max_window_bits";
    let with = Some("permessage-deflate; client_max_window_bits=12".to_owned());
    let without = Some(
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12"
            .to_owned(),
    );
    let (mut first, answer) = open(server.addr, offer);
    assert_eq!(answer, with);
    let (mut second, answer) = open(server.addr, offer);
    assert_eq!(answer, without);
    for client in [&mut first, &mut second] {
        client.send(frame(DEFLATED, HZ));
        client.expect(&Frame::text("Hello"));
    }
    first.send(frame(DEFLATED, crate::frames::AGAIN));
    first.expect(&Frame::text("Hello"));
    second.send(frame(DEFLATED, crate::frames::AGAIN));
    second.expect_close(1007);
    first.finish();
    let peer = first.addr;
    drop(first);
    server.ended(peer);
    let start = Instant::now();
    // Its history goes with its connection, a moment after what is told of that.
    while open(server.addr, offer).1 != with {
        assert!(start.elapsed() < PATIENCE, "the memory never came back");
    }
}

/// Without any memory there is compression all the same, as far as it needs none for long.
#[test]
fn no_memory_at_all() {
    let server = TestServer::echo(inflating(|_, deflate| deflate.max_memory = 0));
    let mut client = open_compressed(server.addr, OFFER);
    client.send(frame(DEFLATED, HZ));
    client.expect(&Frame::text("Hello"));
    assert!(!begin(&mut client, &HZ[..1]));
    client.send(frame(CONT, &HZ[1..]));
    client.expect(&Frame::binary("Hello"));
    assert!(begin(&mut client, &[0; 20 << 10]));
    let server = TestServer::echo(compressing(|_, deflate| deflate.max_memory = 0));
    let mut client = open_compressed(server.addr, OFFER);
    client.send(frame(BINARY, [7; 1000]));
    // What is sent is sent as it is.
    assert_eq!(client.read_marked_frame(), Some((false, Frame::binary([7; 1000]))));
    client.finish();
}

/// A message that dribbles has its own deadline, whatever it inflates to.
#[test]
fn the_message_deadline() {
    let server = TestServer::echo(inflating(|config, _| config.timeouts.message = ms(300)));
    let mut client = open_compressed(server.addr, OFFER);
    let start = Instant::now();
    client.send(frame(BINARY & 0x7f | RSV1, bomb(1)));
    assert!(!client.expect_close(POLICY).is_empty());
    assert!((ms(280)..Duration::from_secs(10)).contains(&start.elapsed()), "{:?}", start.elapsed());
}
