//! §5: frames, masking, fragmentation and control frames.

use barews::ProtocolError::*;

use crate::common::{
    BINARY, CONT, Frame, PING, PONG, TEXT, TestServer, close, echoes, fails, frame, head, hex,
    masked,
};

const PROTOCOL_ERROR: u16 = 1002;
const TOO_BIG: u16 = 1009;

/// First bytes of fragments: FIN is clear.
const TEXT_PART: u8 = 0x01;
const BINARY_PART: u8 = 0x02;
const CONT_PART: u8 = 0x00;

/// The default limit of a message.
const MAX: u64 = 16 << 20;

conversations! {
    /// Unmasked frames of every kind, empty ones too (§5.1).
    w1_unmasked => [
        fails(hex("81 05 48656c6c6f"), [], PROTOCOL_ERROR, Unmasked),
        fails(hex("81 00"), [], PROTOCOL_ERROR, Unmasked),
        fails(hex("82 7e 0080"), [], PROTOCOL_ERROR, Unmasked),
        fails(hex("82 7f 0000000000010000"), [], PROTOCOL_ERROR, Unmasked),
        fails(hex("89 00"), [], PROTOCOL_ERROR, Unmasked),
        fails(hex("8a 00"), [], PROTOCOL_ERROR, Unmasked),
        fails(hex("88 02 03e8"), [], PROTOCOL_ERROR, Unmasked),
        fails(hex("01 80 m 80 00"), [], PROTOCOL_ERROR, Unmasked),
    ];
    w3_rsv1 => [
        fails(hex("c1 80 m"), [], PROTOCOL_ERROR, ReservedBits(4)),
        fails(hex("c2 80 m"), [], PROTOCOL_ERROR, ReservedBits(4)),
    ];
    w4_rsv2 => [fails(hex("a1 80 m"), [], PROTOCOL_ERROR, ReservedBits(2))];
    w5_rsv3 => [fails(hex("91 80 m"), [], PROTOCOL_ERROR, ReservedBits(1))];
    w6_reserved_bits_on_other_frames => [
        fails(hex("c9 80 m"), [], PROTOCOL_ERROR, ReservedBits(4)),
        fails(hex("01 80 m c0 80 m"), [], PROTOCOL_ERROR, ReservedBits(4)),
        fails(hex("01 80 m 40 80 m"), [], PROTOCOL_ERROR, ReservedBits(4)),
        fails(hex("f8 80 m"), [], PROTOCOL_ERROR, ReservedBits(7)),
        fails(hex("9a 80 m"), [], PROTOCOL_ERROR, ReservedBits(1)),
        fails(hex("b1 80 m"), [], PROTOCOL_ERROR, ReservedBits(3)),
    ];
    w7_reserved_data_opcodes => [
        fails(hex("83 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(3)),
        fails(hex("84 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(4)),
        fails(hex("85 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(5)),
        fails(hex("86 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(6)),
        fails(hex("87 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(7)),
        fails(hex("03 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(3)),
        fails(hex("01 80 m 83 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(3)),
    ];
    w8_reserved_control_opcodes => [
        fails(hex("8b 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(0xb)),
        fails(hex("8c 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(0xc)),
        fails(hex("8d 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(0xd)),
        fails(hex("8e 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(0xe)),
        fails(hex("8f 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(0xf)),
        fails(hex("0b 80 m"), [], PROTOCOL_ERROR, ReservedOpCode(0xb)),
        fails(hex("8f ff ffffffffffffffff m"), [], PROTOCOL_ERROR, ReservedOpCode(0xf)),
    ];
    /// Judged by the header: not a byte of the payload has come.
    w10_oversized_control => [
        fails(hex("89 fe 007e m"), [], PROTOCOL_ERROR, OversizedControl(126)),
        fails(hex("89 fe"), [], PROTOCOL_ERROR, OversizedControl(126)),
        fails(hex("8a fe 007e m"), [], PROTOCOL_ERROR, OversizedControl(126)),
        fails(hex("88 fe 007e m"), [], PROTOCOL_ERROR, OversizedControl(126)),
        fails(hex("89 ff 0000000000010000 m"), [], PROTOCOL_ERROR, OversizedControl(127)),
        fails(hex("89 fe 0001 m 61"), [], PROTOCOL_ERROR, OversizedControl(126)),
        fails(frame(PING, "x".repeat(126)), [], PROTOCOL_ERROR, OversizedControl(126)),
    ];
    w12_fragmented_ping => [
        fails(hex("09 80 m"), [], PROTOCOL_ERROR, FragmentedControl),
        fails(hex("0a 80 m"), [], PROTOCOL_ERROR, FragmentedControl),
        fails(hex("09 80 m 80 80 m"), [], PROTOCOL_ERROR, FragmentedControl),
        fails(hex("01 80 m 09 80 m"), [], PROTOCOL_ERROR, FragmentedControl),
    ];
    w13_fragmented_close => [
        fails(hex("08 80 m"), [], PROTOCOL_ERROR, FragmentedControl),
        fails(hex("08 82 m 03e8"), [], PROTOCOL_ERROR, FragmentedControl),
    ];
    w14_length_125_in_16_bits => [
        fails(hex("81 fe 007d m"), [], PROTOCOL_ERROR, LengthNotMinimal(125)),
        fails(hex("82 fe 0001 m"), [], PROTOCOL_ERROR, LengthNotMinimal(1)),
        fails(hex("01 80 m 80 fe 007d m"), [], PROTOCOL_ERROR, LengthNotMinimal(125)),
    ];
    w15_length_0_in_16_bits => [
        fails(hex("82 fe 0000 m"), [], PROTOCOL_ERROR, LengthNotMinimal(0)),
    ];
    w16_length_65535_in_64_bits => [
        fails(hex("82 ff 000000000000ffff m"), [], PROTOCOL_ERROR, LengthNotMinimal(65_535)),
        fails(hex("82 ff 000000000000007e m"), [], PROTOCOL_ERROR, LengthNotMinimal(126)),
        fails(hex("82 ff 0000000000000000 m"), [], PROTOCOL_ERROR, LengthNotMinimal(0)),
    ];
    w17_highest_bit_of_the_length => [
        fails(hex("82 ff 8000000000000000 m"), [], PROTOCOL_ERROR, LengthTooLarge(1 << 63)),
        fails(hex("82 ff 8000000000000001 m"), [], PROTOCOL_ERROR, LengthTooLarge(1 << 63 | 1)),
    ];
    w18_length_of_all_ones => [
        fails(hex("82 ff ffffffffffffffff m"), [], PROTOCOL_ERROR, LengthTooLarge(u64::MAX)),
    ];
    /// The largest length that §5.2 allows, at once and after a part of the message.
    w19_length_2_to_the_63_less_1 => [
        fails(hex("82 ff 7fffffffffffffff m"), [], TOO_BIG, MessageTooBig(MAX)),
        fails(hex("81 ff 7fffffffffffffff m"), [], TOO_BIG, MessageTooBig(MAX)),
        fails(hex("02 81 m 61 80 ff 7fffffffffffffff m"), [], TOO_BIG, MessageTooBig(MAX)),
    ];
    w20_length_of_the_maximum_and_one => [
        fails(head(BINARY, MAX + 1), [], TOO_BIG, MessageTooBig(MAX)),
        fails(head(TEXT, MAX + 1), [], TOO_BIG, MessageTooBig(MAX)),
        fails(head(TEXT_PART, MAX + 1), [], TOO_BIG, MessageTooBig(MAX)),
    ];
    w22_fragments_of_the_maximum_and_one => [
        fails([hex("02 81 m 61"), head(CONT, MAX)].concat(), [], TOO_BIG, MessageTooBig(MAX)),
        fails([hex("02 81 m 61"), head(CONT_PART, MAX)].concat(), [], TOO_BIG, MessageTooBig(MAX)),
    ];
    w24_continuation_of_nothing => [
        fails(hex("80 80 m"), [], PROTOCOL_ERROR, UnexpectedContinuation),
        fails(hex("00 80 m"), [], PROTOCOL_ERROR, UnexpectedContinuation),
        // The message before is complete, or only a control frame came before.
        fails(
            [frame(TEXT_PART, "a"), frame(CONT, "b"), frame(CONT, "c")].concat(),
            [Frame::text("ab")],
            PROTOCOL_ERROR,
            UnexpectedContinuation,
        ),
        fails(
            [frame(PING, ""), frame(CONT, "")].concat(),
            [Frame::pong("")],
            PROTOCOL_ERROR,
            UnexpectedContinuation,
        ),
    ];
    w25_a_message_inside_another => [
        fails(hex("01 81 m 61 81 81 m 62"), [], PROTOCOL_ERROR, UnfinishedMessage),
        fails(hex("01 81 m 61 01 81 m 62"), [], PROTOCOL_ERROR, UnfinishedMessage),
        fails(hex("02 80 m 82 80 m"), [], PROTOCOL_ERROR, UnfinishedMessage),
        fails(hex("01 80 m 82 80 m"), [], PROTOCOL_ERROR, UnfinishedMessage),
        fails(hex("02 80 m 00 80 m 81 80 m"), [], PROTOCOL_ERROR, UnfinishedMessage),
    ];
    w27_ping_between_fragments => [
        echoes(
            [frame(TEXT_PART, "a"), frame(PING, "p"), frame(CONT, "b")].concat(),
            [Frame::pong("p"), Frame::text("ab")],
        ),
        // Several, of the largest size, and pongs that nobody asked for.
        echoes(
            [
                frame(BINARY_PART, "a"),
                frame(PING, "p".repeat(125)),
                frame(PONG, "x"),
                frame(CONT_PART, "b"),
                frame(PING, ""),
                frame(CONT, ""),
            ]
            .concat(),
            [Frame::pong("p".repeat(125)), Frame::pong(""), Frame::binary("ab")],
        ),
        echoes(
            [frame(TEXT_PART, ""), frame(PING, "p"), frame(PING, "q"), frame(CONT, "")].concat(),
            [Frame::pong("p"), Frame::pong("q"), Frame::text("")],
        ),
    ];
    w30_empty_text => [
        echoes(hex("81 80 m"), [Frame::text("")]),
        echoes(hex("82 80 m"), [Frame::binary("")]),
        echoes(hex("81 80 37fa213d 82 80 37fa213d"), [Frame::text(""), Frame::binary("")]),
    ];
    w31_empty_fragments => [
        echoes(hex("01 80 m 00 80 m 80 80 m"), [Frame::text("")]),
        echoes(hex("02 80 m 80 80 m"), [Frame::binary("")]),
        echoes(hex("01 80 m 00 81 m 61 80 80 m"), [Frame::text("a")]),
    ];
    w40_binary_ff => [
        echoes(hex("82 81 m ff"), [Frame::binary([0xff])]),
        echoes(hex("02 81 m c3 80 81 m 28"), [Frame::binary([0xc3, 0x28])]),
        echoes(
            [masked(BINARY, [0xff; 4], (0..=255).collect::<Vec<u8>>())].concat(),
            [Frame::binary((0..=255).collect::<Vec<u8>>())],
        ),
    ];
    /// 14 bytes of header, which is as long as they get.
    w54_the_longest_header => [
        echoes(frame(BINARY, vec![7; 65_536]), [Frame::binary(vec![7; 65_536])]),
        echoes(frame(TEXT, "x".repeat(70_000)), [Frame::text("x".repeat(70_000))]),
    ];
    w55_ping_of_125_bytes => [
        echoes(frame(PING, "p".repeat(125)), [Frame::pong("p".repeat(125))]),
        echoes(frame(PING, [0xff; 125]), [Frame::pong([0xff; 125])]),
        echoes(frame(PING, ""), [Frame::pong("")]),
        echoes(masked(PING, [0; 4], "Hello"), [Frame::pong("Hello")]),
    ];
    w56_unsolicited_pong => [
        echoes(frame(PONG, ""), []),
        echoes(frame(PONG, "p".repeat(125)), []),
        echoes([frame(PONG, "x"), frame(TEXT, "a"), frame(PONG, "y")].concat(), [Frame::text("a")]),
    ];
    w65_a_good_message_and_a_bad_frame => [
        fails(
            [frame(TEXT, "good"), hex("83 80 m")].concat(),
            [Frame::text("good")],
            PROTOCOL_ERROR,
            ReservedOpCode(3),
        ),
        fails(
            [frame(PING, "good"), frame(BINARY, "good"), hex("81 05")].concat(),
            [Frame::pong("good"), Frame::binary("good")],
            PROTOCOL_ERROR,
            Unmasked,
        ),
        // Nothing behind the bad frame counts, not even a Close.
        fails(
            [hex("83 80 m"), frame(TEXT, "late"), frame(PING, "late"), close(1000, "")].concat(),
            [],
            PROTOCOL_ERROR,
            ReservedOpCode(3),
        ),
    ];
    /// The examples of §5.7 that a client can send.
    examples => [
        echoes(hex("81 85 37fa213d 7f9f4d5158"), [Frame::text("Hello")]),
        echoes(hex("89 85 37fa213d 7f9f4d5158"), [Frame::pong("Hello")]),
        echoes(hex("01 83 m 48656c 80 82 m 6c6f"), [Frame::text("Hello")]),
    ];
    /// Every length at which the encoding changes, and those around it (§5.2).
    lengths => [
        echoes(frame(BINARY, vec![1; 124]), [Frame::binary(vec![1; 124])]),
        echoes(frame(BINARY, vec![1; 125]), [Frame::binary(vec![1; 125])]),
        echoes(frame(BINARY, vec![1; 126]), [Frame::binary(vec![1; 126])]),
        echoes(frame(BINARY, vec![1; 127]), [Frame::binary(vec![1; 127])]),
        echoes(frame(BINARY, vec![1; 128]), [Frame::binary(vec![1; 128])]),
        echoes(frame(TEXT, vec![b'a'; 4095]), [Frame::text(vec![b'a'; 4095])]),
        echoes(frame(TEXT, vec![b'a'; 4097]), [Frame::text(vec![b'a'; 4097])]),
        echoes(frame(BINARY, vec![1; 65_535]), [Frame::binary(vec![1; 65_535])]),
        echoes(frame(BINARY, vec![1; 65_537]), [Frame::binary(vec![1; 65_537])]),
    ];
    /// Each frame has a key of its own, and where it stands in the message is of no account.
    masks => [
        echoes(
            [
                masked(TEXT_PART, [1, 2, 3, 4], "abc"),
                masked(CONT_PART, [0x80, 0, 0xff, 0x7f], "defgh"),
                masked(PING, [9, 8, 7, 6], "ping"),
                masked(CONT, [0; 4], "i"),
                masked(TEXT, [0xff; 4], "next"),
            ]
            .concat(),
            [Frame::pong("ping"), Frame::text("abcdefghi"), Frame::text("next")],
        ),
    ];
    /// The kind of a message is that of its first frame, and the next may be another.
    kinds => [
        echoes(
            [
                frame(BINARY_PART, "a"),
                frame(CONT, "b"),
                frame(TEXT, "c"),
                frame(TEXT_PART, "d"),
                frame(CONT, "e"),
                frame(BINARY, "f"),
            ]
            .concat(),
            [Frame::binary("ab"), Frame::text("c"), Frame::text("de"), Frame::binary("f")],
        ),
    ];
    many_small_fragments => [
        echoes(
            [
                frame(TEXT_PART, ""),
                (0..1000).flat_map(|_| frame(CONT_PART, "x")).collect(),
                frame(CONT, "."),
            ]
            .concat(),
            [Frame::text("x".repeat(1000) + ".")],
        ),
    ];
    many_messages_at_once => [
        echoes(
            (0..500).flat_map(|n| frame(TEXT, n.to_string())).collect::<Vec<u8>>(),
            (0..500).map(|n| Frame::text(n.to_string())).collect::<Vec<Frame>>(),
        ),
        echoes(
            (0..500).flat_map(|n| frame(PING, n.to_string())).collect::<Vec<u8>>(),
            (0..500).map(|n| Frame::pong(n.to_string())).collect::<Vec<Frame>>(),
        ),
    ];
}

/// Every header of two bytes that §5.2 and §5.5 forbid, out of all 65,536: nothing is awaited
/// beyond the byte that is wrong.
#[test]
fn every_forbidden_first_byte() {
    let server = TestServer::start();
    for first in 0..=u8::MAX {
        let (fin, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0xf);
        let control = opcode >= 8;
        let known = matches!(opcode, 0..=2 | 8..=10);
        if reserved == 0 && known && (fin || !control) {
            continue;
        }
        let mut client = server.open();
        client.send([first]);
        client.expect_close(PROTOCOL_ERROR);
    }
}

/// A Ping is answered at once, though the frame around which it came is not complete.
#[test]
fn a_pong_does_not_wait_for_the_message() {
    let server = TestServer::start();
    let mut client = server.open();
    client.send([frame(TEXT_PART, "a"), frame(PING, "now")].concat());
    client.expect(&Frame::pong("now"));
    client.send(frame(CONT, "b"));
    client.expect(&Frame::text("ab"));
    client.finish();
}
