//! §6: which frames may have RSV1 set, and what it says.

use crate::common::compressed::{bad, good};
use crate::common::{BINARY, CONT, Frame, PING, RSV1, TEXT, TestServer, close, frame, hex, masked};

const PROTOCOL_ERROR: u16 = 1002;

/// First bytes of frames of compressed messages.
pub const DEFLATED: u8 = TEXT | RSV1;
pub const DEFLATED_BINARY: u8 = BINARY | RSV1;
pub const DEFLATED_PART: u8 = 0x01 | RSV1;
pub const DEFLATED_BINARY_PART: u8 = 0x02 | RSV1;

/// First bytes of fragments that RSV1 is not set on.
pub const TEXT_PART: u8 = 0x01;
pub const BINARY_PART: u8 = 0x02;
pub const CONT_PART: u8 = 0x00;

/// "Hello" (§7.2.3.1).
pub const HZ: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// The same message again (§7.2.3.2).
pub const AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];

/// Nothing was agreed on: whatever is set is an error, as ever.
#[test]
fn row_1_rsv1_where_nothing_was_agreed_on() {
    let config = crate::common::compressed::compressing(|_, _| ());
    for config in [config, barews::Config::default()] {
        let server = TestServer::echo(config);
        for first in [DEFLATED, DEFLATED_BINARY, DEFLATED_PART, DEFLATED_BINARY_PART, 0xc0, 0xf1] {
            let mut client = server.open();
            client.send(frame(first, HZ));
            client.expect_close(PROTOCOL_ERROR);
        }
    }
}

compressed! {
    row_2_rsv1_on_a_continuation_of_a_compressed_message => [
        bad([frame(DEFLATED_PART, &HZ[..3]), frame(0xc0, &HZ[3..])].concat(), [], PROTOCOL_ERROR),
        bad([frame(DEFLATED_PART, &HZ[..3]), frame(0x40, &HZ[3..])].concat(), [], PROTOCOL_ERROR),
        bad([frame(DEFLATED_PART, ""), frame(0xc0, HZ)].concat(), [], PROTOCOL_ERROR),
        bad([frame(DEFLATED_PART, ""), hex("c0")].concat(), [], PROTOCOL_ERROR),
        bad(
            [frame(DEFLATED_PART, &HZ[..3]), frame(CONT_PART, &HZ[3..4]), frame(0xc0, &HZ[4..])]
                .concat(),
            [],
            PROTOCOL_ERROR,
        ),
    ];
    row_3_rsv1_on_a_continuation_of_an_uncompressed_message => [
        bad([frame(TEXT_PART, "He"), frame(0xc0, "llo")].concat(), [], PROTOCOL_ERROR),
        bad([frame(BINARY_PART, ""), frame(0x40, HZ)].concat(), [], PROTOCOL_ERROR),
        // And of no message at all.
        bad(frame(0xc0, HZ), [], PROTOCOL_ERROR),
        bad([frame(DEFLATED, HZ), frame(0xc0, HZ)].concat(), [Frame::text("Hello")], PROTOCOL_ERROR),
    ];
    row_4_rsv1_on_a_ping => [
        bad(hex("c9 80 m"), [], PROTOCOL_ERROR),
        bad(frame(PING | RSV1, HZ), [], PROTOCOL_ERROR),
        bad([frame(DEFLATED_PART, &HZ[..3]), hex("c9")].concat(), [], PROTOCOL_ERROR),
        bad([frame(DEFLATED, HZ), hex("ca 80 m")].concat(), [Frame::text("Hello")], PROTOCOL_ERROR),
    ];
    row_5_rsv1_on_a_close => [
        bad(hex("c8 82 m 03e8"), [], PROTOCOL_ERROR),
        bad(hex("c8 80 m"), [], PROTOCOL_ERROR),
        bad([frame(DEFLATED_PART, &HZ[..3]), hex("c8 82 m 03e8")].concat(), [], PROTOCOL_ERROR),
    ];
    row_6_rsv1_on_a_control_frame_that_is_wrong_anyway => [
        bad(hex("4a 80 m"), [], PROTOCOL_ERROR),
        bad(hex("49 80 m"), [], PROTOCOL_ERROR),
        bad(hex("48 80 m"), [], PROTOCOL_ERROR),
        bad(hex("c9 fe 007e m"), [], PROTOCOL_ERROR),
        bad(hex("c9 00"), [], PROTOCOL_ERROR),
    ];
    row_7_other_reserved_bits => [
        bad(hex("a1 81 m 78"), [], PROTOCOL_ERROR),
        bad(hex("91 81 m 78"), [], PROTOCOL_ERROR),
        bad(frame(0xd1, HZ), [], PROTOCOL_ERROR),
        bad(frame(0xe1, HZ), [], PROTOCOL_ERROR),
        bad(frame(0xf1, HZ), [], PROTOCOL_ERROR),
        bad(frame(0x61, HZ), [], PROTOCOL_ERROR),
        bad(frame(0x52, HZ), [], PROTOCOL_ERROR),
        bad(hex("b1 80 m"), [], PROTOCOL_ERROR),
        bad(hex("b1"), [], PROTOCOL_ERROR),
        bad(hex("d9"), [], PROTOCOL_ERROR),
        bad([frame(DEFLATED_PART, HZ), hex("90")].concat(), [], PROTOCOL_ERROR),
    ];
    row_8_rsv1_with_a_reserved_opcode => [
        bad(hex("c3 81 m 78"), [], PROTOCOL_ERROR),
        bad(hex("c7 81 m 78"), [], PROTOCOL_ERROR),
        bad(hex("cb 80 m"), [], PROTOCOL_ERROR),
        bad(hex("43"), [], PROTOCOL_ERROR),
        bad(hex("cf"), [], PROTOCOL_ERROR),
    ];
    rsv1_with_a_header_that_is_wrong => [
        // Not masked.
        bad(hex("c1 07 f248cdc9c90700"), [], PROTOCOL_ERROR),
        bad(hex("c1 00"), [], PROTOCOL_ERROR),
        bad(hex("c1 7e 0100"), [], PROTOCOL_ERROR),
        // Not in their shortest encoding.
        bad(hex("c1 fe 0007 m f248cdc9c90700"), [], PROTOCOL_ERROR),
        bad(hex("c1 ff 0000000000000007 m f248cdc9c90700"), [], PROTOCOL_ERROR),
        bad(hex("c2 ff 8000000000000000 m"), [], PROTOCOL_ERROR),
    ];
    a_compressed_message_within_another => [
        bad([frame(DEFLATED_PART, &HZ[..3]), frame(DEFLATED, HZ)].concat(), [], PROTOCOL_ERROR),
        bad([frame(DEFLATED_PART, &HZ[..3]), frame(TEXT, "x")].concat(), [], PROTOCOL_ERROR),
        bad([frame(DEFLATED_PART, ""), frame(BINARY_PART, "x")].concat(), [], PROTOCOL_ERROR),
        bad([frame(TEXT_PART, "x"), frame(DEFLATED, HZ)].concat(), [], PROTOCOL_ERROR),
        bad([frame(TEXT_PART, ""), frame(DEFLATED_BINARY_PART, HZ)].concat(), [], PROTOCOL_ERROR),
    ];
    /// A mark belongs to its own message, and not to the next.
    compressed_and_plain_messages_in_turn => [
        good(
            [
                frame(DEFLATED, HZ),
                frame(TEXT, "plain"),
                frame(DEFLATED_BINARY, AGAIN),
                frame(BINARY, HZ),
                frame(TEXT_PART, "pl"),
                frame(CONT, "ain"),
                frame(DEFLATED_PART, &AGAIN[..1]),
                frame(CONT, &AGAIN[1..]),
                frame(TEXT, ""),
                frame(DEFLATED, AGAIN),
            ]
            .concat(),
            [
                Frame::text("Hello"),
                Frame::text("plain"),
                Frame::binary("Hello"),
                Frame::binary(HZ),
                Frame::text("plain"),
                Frame::text("Hello"),
                Frame::text(""),
                Frame::text("Hello"),
            ],
        ),
        // A Ping in between takes nothing of it away, and gets nothing of it.
        good(
            [
                frame(DEFLATED_PART, &HZ[..3]),
                frame(PING, "p"),
                frame(CONT, &HZ[3..]),
                frame(PING, HZ),
                frame(TEXT, "plain"),
            ]
            .concat(),
            [
                Frame::pong("p"),
                Frame::text("Hello"),
                Frame::pong(HZ),
                Frame::text("plain"),
            ],
        ),
    ];
    keys_of_all_kinds => [
        good(
            [
                masked(DEFLATED_PART, [1, 2, 3, 4], &HZ[..1]),
                masked(CONT_PART, [0; 4], &HZ[1..4]),
                masked(CONT, [0xff; 4], &HZ[4..]),
                masked(DEFLATED, [0, 0xf2, 0, 0x48], AGAIN),
            ]
            .concat(),
            [Frame::text("Hello"), Frame::text("Hello")],
        ),
    ];
    /// A message that a Close interrupts never ends, and is no error (RFC 6455 §5.5.1).
    a_close_within_a_compressed_message => [
        good(frame(DEFLATED_PART, &HZ[..3]), []),
        good(frame(DEFLATED_PART, ""), []),
        good([frame(DEFLATED, HZ), frame(DEFLATED_PART, &AGAIN[..1])].concat(), [Frame::text("Hello")]),
    ];
}

/// Lengths in 16 and 64 bits, and headers that come in two pieces, cut at every byte.
#[test]
fn rsv1_in_headers_of_every_length_cut_everywhere() {
    use crate::common::deflate::Bits;
    let server = TestServer::echo(crate::common::compressed::inflating(|_, _| ()));
    for len in [10, 125, 126, 1000, 65_535, 65_536, 70_000] {
        // Empty blocks fill it up.
        let payload = |len: usize| {
            let text = Bits::new().stored(false, b"Hi");
            let fill = (len - 8) / 5;
            let odd = (len - 8) % 5;
            let text = (0..fill).fold(text, |bits, _| bits.stored(false, b""));
            // Each empty fixed block is 10 bits: a byte and a quarter.
            let text = match odd {
                0 => text,
                1 => Bits::new().stored(false, b"Hi!").raw(&text.bytes()[7..]),
                2 => Bits::new().stored(false, b"Hi!!").raw(&text.bytes()[7..]),
                3 => Bits::new().stored(false, b"Hi!!!").raw(&text.bytes()[7..]),
                _ => Bits::new().stored(false, b"Hi!!!!").raw(&text.bytes()[7..]),
            };
            (text.message(), format!("Hi{}", "!".repeat(odd)))
        };
        let (payload, text) = payload(len);
        assert_eq!(payload.len(), len);
        let bytes = frame(DEFLATED, &payload);
        let mut client =
            crate::common::compressed::open_compressed(server.addr, "permessage-deflate");
        for cut in 1..bytes.len() - len + 2 {
            client.send(&bytes[..cut]);
            // The bytes before have been read by the time the next ones come, or they have not.
            client.send(&bytes[cut..]);
            client.expect(&Frame::text(&text));
        }
        client.send(close(1000, ""));
        client.expect_close(1000);
    }
}

/// Every first byte there is, where compression was agreed on: what is forbidden is refused with that
/// byte, and the rest is not.
#[test]
fn every_first_byte() {
    let server = TestServer::echo(crate::common::compressed::inflating(|_, _| ()));
    for first in 0..=u8::MAX {
        let (fin, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0xf);
        let is_right = match opcode {
            1 | 2 => reserved & 0x30 == 0,
            8..=10 => fin && reserved == 0,
            // A continuation of nothing is known by its whole header.
            0 if reserved == 0 => continue,
            _ => false,
        };
        let mut client =
            crate::common::compressed::open_compressed(server.addr, "permessage-deflate");
        if !is_right {
            client.send([first]);
            client.expect_close(PROTOCOL_ERROR);
            continue;
        }
        client.send(frame(first, ""));
        match (opcode, fin) {
            (1 | 2, true) => client.expect(&Frame::new(first & !RSV1, "")),
            (1 | 2, false) => {
                client.send(frame(CONT, ""));
                client.expect(&Frame::new(first & !RSV1 | 0x80, ""));
            }
            (8, _) => {
                client.expect_close(1005);
                continue;
            }
            (9, _) => client.expect(&Frame::pong("")),
            _ => {}
        }
        client.finish();
    }
}
