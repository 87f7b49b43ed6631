//! §7.2.2: what a compressed message may hold, and where it must end.

use crate::common::compressed::{bad, compressing, converse_with, good, inflating};
use crate::common::deflate::{Bits, Deflater, Inflater};
use crate::common::{CONT, Frame, PING, TEXT, frame, hex};
use crate::frames::{
    AGAIN, CONT_PART, DEFLATED, DEFLATED_BINARY, DEFLATED_BINARY_PART, DEFLATED_PART, HZ,
};

/// RFC 6455 §7.4.1: the data is not what it is said to be.
pub const INVALID: u16 = 1007;

/// A compressed text in one frame.
fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(DEFLATED, payload)
}

/// The same in fragments of these bytes.
pub fn fragments<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let parts: Vec<_> = parts.into_iter().collect();
    let first = |at| match at {
        0 => DEFLATED_PART,
        at if at == parts.len() - 1 => CONT,
        _ => CONT_PART,
    };
    parts.iter().enumerate().flat_map(|(at, part)| frame(first(at), part)).collect()
}

/// "Hello" in a block of its own, its last one or not.
fn hello(last: bool) -> Bits {
    Bits::new().fixed(last).text("Hello").end()
}

/// Lengths of codes: 8 for each byte's and 9 for the rest, 257 + `more` in all.
fn literals(more: usize) -> Vec<u8> {
    let mut lens = vec![8; 255];
    lens.resize(257, 9);
    lens.resize(257 + more, 0);
    lens
}

compressed! {
    row_10_block_type_11 => [
        bad(text(hex("0600")), [], INVALID),
        bad(text(hex("07")), [], INVALID),
        bad(text(hello(false).put(0b110, 3).bytes()), [], INVALID),
        bad(text(Bits::new().stored(false, "x").put(0b111, 3).bytes()), [], INVALID),
        // At once, before the message has ended.
        bad(frame(DEFLATED_PART, hex("06")), [], INVALID),
    ];
    row_11_a_stored_block_with_a_wrong_length => [
        bad(text(hex("00 0500 0000 48656c6c6f")), [], INVALID),
        bad(text(hex("00 0500 f9ff 48656c6c6f 00")), [], INVALID),
        bad(text(hex("00 0000 0000")), [], INVALID),
        bad(frame(DEFLATED_PART, hex("00 0500 0000")), [], INVALID),
        // Longer than what is there.
        bad(text(hex("00 0600 f9ff 48656c6c6f")), [], INVALID),
        bad(text(hex("00 ffff 0000 48656c6c6f 00")), [], INVALID),
    ];
    row_12_codes_that_are_none => [
        bad(text(hex("05 e0 81 08 84 00 00 00")), [], INVALID),
        // Too many of one length.
        bad(text(Bits::new().dynamic(false, &[7; 257], &[1]).end().message()), [], INVALID),
        // Too few, and more than one of them.
        bad(text(incomplete().put(0, 20).message()), [], INVALID),
        // No end of a block.
        bad(text(Bits::new().dynamic(false, &no_end(), &[1]).put(0, 20).message()), [], INVALID),
        // More lengths than there are symbols.
        bad(text(Bits::new().dynamic_head(false, 287, 1).put(0, 2000).message()), [], INVALID),
        bad(text(Bits::new().dynamic_head(false, 288, 30).put(0, 2000).message()), [], INVALID),
        bad(text(Bits::new().dynamic_head(false, 257, 31).put(0, 2000).message()), [], INVALID),
        bad(text(Bits::new().dynamic_head(false, 257, 32).put(0, 2000).message()), [], INVALID),
        // A repetition of nothing: symbol 16 comes first.
        bad(text(repetition(0, 16)), [], INVALID),
        // And one that goes on beyond the last length.
        bad(text(repetition(250, 18)), [], INVALID),
        // A code of code lengths that is none: all of them one bit, and none at all.
        bad(text(Bits::new().put(0b100, 3).put(0, 10).put(15, 4).put(0x3ffff, 57).put(0, 300).message()), [], INVALID),
        bad(text(Bits::new().put(0b100, 3).put(0, 14).put(0, 12).put(0, 300).message()), [], INVALID),
        // Distances that have more codes than there is room for.
        bad(text(Bits::new().dynamic(false, &literals(0), &[1, 1, 1]).end().message()), [], INVALID),
    ];
    /// A code of one distance, and one of none where none is used, are right (RFC 1951 §3.2.7).
    codes_that_have_one_symbol_or_none => [
        good(text(Bits::new().dynamic(false, &literals(0), &[0]).text("Hi").end().message()), [Frame::text("Hi")]),
        good(text(Bits::new().dynamic(false, &literals(0), &[1]).text("Hi").end().message()), [Frame::text("Hi")]),
        good(
            text(Bits::new().dynamic(false, &with_lengths(), &[1]).text("a").copy(5, 1).end().message()),
            [Frame::text("aaaaaa")],
        ),
        good(text(Bits::new().dynamic(false, &literals(0), &[0; 30]).text("Hi").end().message()), [Frame::text("Hi")]),
        // All symbols that there are.
        good(
            text(Bits::new().dynamic(false, &literals(29), &[5; 30].map(|len| len - 1)[..16]).text("Hi").end().message()),
            [Frame::text("Hi")],
        ),
    ];
    row_13_a_distance_before_the_first_message => [
        bad(text(hex("4b 04 41 00")), [], INVALID),
        // And the one before the very first byte.
        bad(text(Bits::new().fixed(false).copy(3, 1).end().message()), [], INVALID),
        bad(text(Bits::new().fixed(false).text("a").copy(3, 2).end().message()), [], INVALID),
        good(text(Bits::new().fixed(false).text("a").copy(3, 1).end().message()), [Frame::text("aaaa")]),
        bad(text(AGAIN), [], INVALID),
        bad(frame(DEFLATED_PART, AGAIN), [], INVALID),
        bad([text(""), text(AGAIN)].concat(), [Frame::text("")], INVALID),
        bad([frame(TEXT, "Hello"), text(AGAIN)].concat(), [Frame::text("Hello")], INVALID),
    ];
    /// To the first byte of what was said, and one further.
    a_distance_to_the_first_byte => [
        good(
            [text(HZ), text(Bits::new().fixed(false).copy(5, 5).end().message())].concat(),
            [Frame::text("Hello"), Frame::text("Hello")],
        ),
        bad(
            [text(HZ), text(Bits::new().fixed(false).copy(5, 6).end().message())].concat(),
            [Frame::text("Hello")],
            INVALID,
        ),
        good(
            [text(HZ), text(Bits::new().fixed(false).text("!").copy(5, 6).end().message())].concat(),
            [Frame::text("Hello"), Frame::text("!Hello")],
        ),
        // A copy that runs from the message before into this one.
        good(
            [text(HZ), text(Bits::new().fixed(false).copy(13, 5).end().message())].concat(),
            [Frame::text("Hello"), Frame::text("HelloHelloHel")],
        ),
    ];
    /// Symbols that stand for nothing (RFC 1951 §3.2.6).
    lengths_and_distances_that_are_none => [
        bad(text(Bits::new().fixed(false).text("a").literal_symbol(286).put(0, 5).end().message()), [], INVALID),
        bad(text(Bits::new().fixed(false).text("a").literal_symbol(287).put(0, 5).end().message()), [], INVALID),
        // Distances 30 and 31.
        bad(text(Bits::new().fixed(false).text("a").literal_symbol(257).put(0b01111, 5).message()), [], INVALID),
        bad(text(Bits::new().fixed(false).text("a").literal_symbol(257).put(0b11111, 5).message()), [], INVALID),
    ];
    row_14_a_stream_that_was_cut => [
        bad(text(&HZ[..3]), [], INVALID),
        bad(text(&hello(false).text("").message()[..4]), [], INVALID),
        bad(text(&Bits::new().stored(false, "Hello").message()[..8]), [], INVALID),
        bad(fragments([&HZ[..2], &HZ[2..3]]), [], INVALID),
        bad(fragments([&HZ[..3], &[]]), [], INVALID),
        bad([text(HZ), text(&AGAIN[..3])].concat(), [Frame::text("Hello")], INVALID),
    ];
    row_15_the_last_byte_is_missing => [
        bad(text(&HZ[..6]), [], INVALID),
        bad(fragments([&HZ[..1], &HZ[1..6]]), [], INVALID),
        bad([text(HZ), text(&AGAIN[..4])].concat(), [Frame::text("Hello")], INVALID),
        bad(text(hex("00 0500 faff 48656c6c6f")), [], INVALID),
    ];
    /// What would take the end of the sync flush for data of its own.
    row_16_a_stored_block_that_would_swallow_the_tail => [
        bad(text(hex("00 0400 fbff")), [], INVALID),
        bad(text(hex("00 0900 f6ff")), [], INVALID),
        bad(text(hex("00 0500 faff 48")), [], INVALID),
        bad(text(hex("00 0d00 f2ff 48656c6c")), [], INVALID),
        bad(text(hex("01 0400 fbff")), [], INVALID),
        bad(text(hex("00 0100 feff")), [], INVALID),
    ];
    row_17_a_stored_block => [
        good(text(hex("00 0500 faff 48656c6c6f 00")), [Frame::text("Hello")]),
        good(frame(DEFLATED_BINARY, hex("00 0500 faff 48656c6c6f 00")), [Frame::binary("Hello")]),
        // The bits up to the border of the byte are of no account.
        good(text(hex("f8 0500 faff 48656c6c6f f8")), [Frame::text("Hello")]),
        good(text(Bits::new().stored(false, vec![b'x'; 65_535]).message()), [Frame::text([b'x'; 65_535])]),
    ];
    row_18_a_final_block => [
        good(text(hex("f3 48 cd c9 c9 07 00 00")), [Frame::text("Hello")]),
        good([text(hex("f3 48 cd c9 c9 07 00 00")), text(HZ)].concat(), [Frame::text("Hello"), Frame::text("Hello")]),
        good(text(Bits::new().stored(true, "Hello").message()), [Frame::text("Hello")]),
        good(text(Bits::new().dynamic(true, &literals(0), &[1]).text("Hello").end().raw([0]).bytes()), [Frame::text("Hello")]),
        // It ends no history: what follows may refer to it.
        good([text(hex("f3 48 cd c9 c9 07 00 00")), text(AGAIN)].concat(), [Frame::text("Hello"), Frame::text("Hello")]),
        good([text(HZ), text(Bits::new().fixed(true).copy(5, 5).end().raw([0]).bytes())].concat(), [Frame::text("Hello"), Frame::text("Hello")]),
    ];
    /// §7.2.1 takes four bytes off an empty stored block, whether that is a final one or not.
    row_19_the_empty_block_at_the_end_is_final => [
        good(text(hex("01")), [Frame::text("")]),
        good(text(hello(false).put(1, 3).bytes()), [Frame::text("Hello")]),
        good(text(Bits::new().stored(false, "Hello").put(1, 3).bytes()), [Frame::text("Hello")]),
        good(text(hex("f3 48 cd c9 c9 07 00 01")), [Frame::text("Hello")]),
        good([text(hello(false).put(1, 3).bytes()), text(AGAIN)].concat(), [Frame::text("Hello"), Frame::text("Hello")]),
        good(fragments([&hello(false).bytes()[..3], &hello(false).put(1, 3).bytes()[3..]]), [Frame::text("Hello")]),
    ];
    row_20_a_final_block_and_nothing_behind_it => [
        good(text(hex("f3 48 cd c9 c9 07 00")), [Frame::text("Hello")]),
        good([text(hex("f3 48 cd c9 c9 07 00")), text(AGAIN)].concat(), [Frame::text("Hello"), Frame::text("Hello")]),
        good(text(hex("03 00")), [Frame::text("")]),
        good(text(hex("01 0000 ffff")), [Frame::text("")]),
        good(text(hex("01 0500 faff 48656c6c6f")), [Frame::text("Hello")]),
        good(fragments([&hex("f3 48 cd c9 c9 07 00")[..], &[]]), [Frame::text("Hello")]),
        good(fragments([&hex("f3 48 cd c9 c9 07")[..], &[0], &[], &[]]), [Frame::text("Hello")]),
    ];
    row_21_two_blocks => [
        good(text(hex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00")), [Frame::text("Hello")]),
        good(text(hex("f2 48 05 00 00 00 ff ff 00 00 00 ff ff ca c9 c9 07 00")), [Frame::text("Hello")]),
        // Blocks of all types, of which the last ones say nothing.
        good(
            text(
                Bits::new()
                    .fixed(false).text("a").end()
                    .dynamic(false, &literals(0), &[1]).text("b").end()
                    .stored(false, "c")
                    .fixed(false).copy(6, 3).end()
                    .fixed(false).end()
                    .dynamic(false, &literals(0), &[1]).end()
                    .stored(false, "")
                    .message(),
            ),
            [Frame::text("abcabcabc")],
        ),
    ];
    row_22_final_blocks_in_a_row => [
        // In the middle of a message, and of a fragmented one.
        good(text(hex("f3 48 cd c9 c9 07 00 f2 48 cd c9 c9 07 00")), [Frame::text("HelloHello")]),
        good(text([&hex("f3 48 cd c9 c9 07 00")[..], &AGAIN[..]].concat()), [Frame::text("HelloHello")]),
        good(
            fragments([&hex("f3 48 cd c9 c9 07 00")[..], &AGAIN[..2], &AGAIN[2..]]),
            [Frame::text("HelloHello")],
        ),
        good(
            fragments([&hex("f3 48 cd")[..], &hex("c9 c9 07 00 f2 00")[..], &AGAIN[2..]]),
            [Frame::text("HelloHello")],
        ),
        good(text(hex("f3 48 cd c9 c9 07 00").repeat(3)), [Frame::text("Hello".repeat(3))]),
        good(text(Bits::new().stored(true, "").repeat(100).message()), [Frame::text("")]),
        good(text(hex("03 00").repeat(100)), [Frame::text("")]),
        good(text(Bits::new().stored(true, "ab").repeat(50).stored(false, "").message()), [Frame::text("ab".repeat(50))]),
        good([text(hex("03 00 00")), text(HZ), text(hex("03 00 03 00")), text(AGAIN)].concat(), [
            Frame::text(""), Frame::text("Hello"), Frame::text(""), Frame::text("Hello"),
        ]),
        // What is behind a final block must be good too, and end.
        bad(text(hex("f3 48 cd c9 c9 07 00 06")), [], INVALID),
        bad(text(hex("f3 48 cd c9 c9 07 00 f2 48 cd")), [], INVALID),
        bad(text(hex("f3 48 cd c9 c9 07 00 00 00 00 ff ff")), [], INVALID),
        bad(text(hex("f3 48 cd c9 c9 07 00 f2 48 cd c9 c9 07")), [], INVALID),
    ];
    row_23_context_takeover => [
        good([text(HZ), text(AGAIN)].concat(), [Frame::text("Hello"), Frame::text("Hello")]),
        good([text(HZ), text(AGAIN).repeat(500)].concat(), vec![Frame::text("Hello"); 501]),
        good([text(HZ), frame(DEFLATED_BINARY, AGAIN)].concat(), [Frame::text("Hello"), Frame::binary("Hello")]),
        good(
            [fragments([&HZ[..3], &HZ[3..]]), fragments([&AGAIN[..1], &AGAIN[1..]])].concat(),
            [Frame::text("Hello"), Frame::text("Hello")],
        ),
    ];
    row_24_what_is_not_compressed_is_not_in_the_window => [
        good([text(HZ), frame(TEXT, "plain"), text(AGAIN)].concat(), [
            Frame::text("Hello"), Frame::text("plain"), Frame::text("Hello"),
        ]),
        good([text(HZ), frame(0x01, "pl"), frame(CONT, "ain"), frame(PING, HZ), text(AGAIN)].concat(), [
            Frame::text("Hello"), Frame::text("plain"), Frame::pong(HZ), Frame::text("Hello"),
        ]),
    ];
    row_26_empty_messages => [
        good(text([0]), [Frame::text("")]),
        good(frame(DEFLATED_BINARY, [0]), [Frame::binary("")]),
        good(text([0]).repeat(20), vec![Frame::text(""); 20]),
        good([text(HZ), text([0]), text(AGAIN)].concat(), [Frame::text("Hello"), Frame::text(""), Frame::text("Hello")]),
        good(text(hex("02 00")), [Frame::text("")]),
        bad(text(hex("02 00 00")), [], INVALID),
    ];
    row_27_empty_messages_in_fragments => [
        good(fragments([&[][..], &[0]]), [Frame::text("")]),
        good(fragments([&[0][..], &[]]), [Frame::text("")]),
        good(fragments([&[][..], &[], &[0], &[], &[]]), [Frame::text("")]),
        good(fragments([&[0][..], &[0, 0, 0xff, 0xff], &[0]]), [Frame::text("")]),
        // No byte at all: Firefox has been seen to send this.
        good(text(""), [Frame::text("")]),
        good(fragments([&[][..], &[]]), [Frame::text("")]),
        good(frame(DEFLATED_BINARY, ""), [Frame::binary("")]),
        good([text(HZ), text(""), text(AGAIN)].concat(), [Frame::text("Hello"), Frame::text(""), Frame::text("Hello")]),
    ];
    row_28_empty_fragments => [
        good(fragments([&[], &HZ[..3], &[], &HZ[3..], &[]]), [Frame::text("Hello")]),
        good(fragments([&[], &[], &[], &HZ[..]]), [Frame::text("Hello")]),
        good(fragments([&HZ[..], &[], &[], &[]]), [Frame::text("Hello")]),
    ];
    row_29_pings_between_fragments => [
        good(
            [
                frame(DEFLATED_PART, ""),
                frame(PING, "0"),
                frame(CONT_PART, &HZ[..3]),
                frame(PING, "1"),
                frame(PING, ""),
                frame(CONT, &HZ[3..]),
                frame(PING, "2"),
            ]
            .concat(),
            [Frame::pong("0"), Frame::pong("1"), Frame::pong(""), Frame::text("Hello"), Frame::pong("2")],
        ),
    ];
    row_30_one_byte_a_frame => [
        good(fragments(HZ.chunks(1)), [Frame::text("Hello")]),
        good(
            [
                frame(DEFLATED_PART, &HZ[..1]),
                HZ[1..6].iter().flat_map(|byte| [frame(PING, [*byte]), frame(CONT_PART, [*byte])].concat()).collect(),
                frame(CONT, &HZ[6..]),
            ]
            .concat(),
            [
                HZ[1..6].iter().map(|byte| Frame::pong([*byte])).collect(),
                vec![Frame::text("Hello")],
            ]
            .concat(),
        ),
        good(fragments(Bits::new().stored(false, "Hello").stored(true, "Hello").message().chunks(1)), [Frame::text("HelloHello")]),
        good(
            fragments(Bits::new().dynamic(false, &literals(0), &[1]).text("Hello").end().message().chunks(1)),
            [Frame::text("Hello")],
        ),
    ];
    row_31_the_tail_was_not_taken_off => [
        bad(text([&HZ[..], &[0, 0, 0xff, 0xff]].concat()), [], INVALID),
        bad(fragments([&HZ[..], &[0, 0, 0xff, 0xff]]), [], INVALID),
        bad(text(hex("00 00 00 ff ff")), [], INVALID),
        bad(text(hex("00 0500 faff 48656c6c6f 00 00 00 ff ff")), [], INVALID),
        // Nor were parts of it.
        bad(text([&HZ[..], &[0]].concat()), [], INVALID),
        bad(text([&HZ[..], &[0, 0]].concat()), [], INVALID),
        bad(text([&HZ[..], &[0, 0, 0xff]].concat()), [], INVALID),
        bad(text([&HZ[..], &[0xff]].concat()), [], INVALID),
        bad(text([&HZ[..], &[0, 0, 0xff, 0xff, 0, 0, 0, 0xff, 0xff]].concat()), [], INVALID),
    ];
    row_32_no_deflate_at_all => [
        bad(text([0xff; 100]), [], INVALID),
        bad(text("Hello, this is plain"), [], INVALID),
        bad(text(hex("78 9c f3 48 cd c9 c9 07 00 05 8c 01 f5")), [], INVALID),
        bad(text(hex("1f 8b 08 00 00 00 00 00 00 03 f3 48 cd c9 c9 07 00 82 89 d1 f7 05 00 00 00")), [], INVALID),
        bad(text(hex("28 b5 2f fd 04 00 29 00 00 48 65 6c 6c 6f")), [], INVALID),
        bad(frame(DEFLATED_BINARY_PART, [0xff; 100]), [], INVALID),
    ];
    row_33_compressed_without_rsv1 => [
        bad(frame(TEXT, HZ), [], INVALID),
        good(frame(0x82, HZ), [Frame::binary(HZ)]),
    ];
}

/// Codes that leave room for others.
fn incomplete() -> Bits {
    let mut lens = vec![0; 257];
    (lens[97], lens[98], lens[256]) = (2, 3, 2);
    Bits::new().dynamic(false, &lens, &[1])
}

/// Codes of all bytes, and none of the end.
fn no_end() -> Vec<u8> {
    let mut lens = vec![8; 256];
    lens.push(0);
    lens
}

/// Codes of "a", the end and a length of 5.
fn with_lengths() -> Vec<u8> {
    let mut lens = vec![0; 260];
    (lens[97], lens[256], lens[259]) = (1, 2, 2);
    lens
}

/// A dynamic block whose code of code lengths has 1, 16 and 18, which `symbol` is one of, and gives
/// so many lengths before that.
fn repetition(before: usize, symbol: usize) -> Vec<u8> {
    // In the order of the header: 16, 17, 18, 0 and so on up to 1, the last but one.
    let mut bits = Bits::new().put(0b100, 3).put(0, 5).put(0, 5).put(18 - 4, 4);
    for at in 0..18 {
        bits = bits.put([2, 0, 2].get(at).copied().unwrap_or(usize::from(at == 17)), 3);
    }
    // 1 is "0", 16 is "10" and 18 is "11".
    bits = bits.put(0, before as u32);
    let code = if symbol == 16 { 0b01 } else { 0b11 };
    bits.put(code, 2).put(0x7f, 7).put(0, 1000).message()
}

/// Takeover that was given up: each message is by itself.
#[test]
fn row_25_no_context_takeover() {
    let offer = "permessage-deflate; client_no_context_takeover";
    let config = inflating(|_, _| ());
    let own = inflating(|_, deflate| deflate.client_no_context_takeover = true);
    let cases = [
        bad([text(HZ), text(AGAIN)].concat(), [Frame::text("Hello")], INVALID),
        good(text(HZ).repeat(3), vec![Frame::text("Hello"); 3]),
        bad(
            [text(HZ), text([0]), text(AGAIN)].concat(),
            [Frame::text("Hello"), Frame::text("")],
            INVALID,
        ),
        // Within a message a final block ends nothing.
        good(
            text([&hex("f3 48 cd c9 c9 07 00")[..], &AGAIN[..]].concat()),
            [Frame::text("HelloHello")],
        ),
        bad(
            [text(hex("f3 48 cd c9 c9 07 00 00")), text(AGAIN)].concat(),
            [Frame::text("Hello")],
            INVALID,
        ),
        good(fragments([&HZ[..3], &HZ[3..]]), [Frame::text("Hello")]),
    ];
    converse_with("row_25", &config, offer, &cases);
    converse_with("row_25", &own, "permessage-deflate", &cases);
}

/// All that can be cut off a message is missed, and so is any byte that is too much.
#[test]
fn every_message_that_was_cut_anywhere() {
    let streams = [
        HZ.to_vec(),
        Bits::new().stored(false, "Hello, Hello").message(),
        Bits::new().dynamic(false, &literals(0), &[1]).text("Hello").end().message(),
        Bits::new().fixed(false).text("ab").copy(258, 2).copy(3, 1).end().message(),
        Bits::new().stored(false, "ab").fixed(false).copy(9, 2).end().stored(false, "c").message(),
        hex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00"),
        [[0xf2, 0x48, 5].as_slice(), &[0, 0, 0, 0xff, 0xff].repeat(3), &hex("ca c9 c9 07 00")]
            .concat(),
    ];
    let mut cases = Vec::new();
    for stream in streams {
        for len in 0..=stream.len() {
            let payload = &stream[..len];
            let sent = frame(DEFLATED_BINARY, payload);
            cases.push(match Inflater::new(15, true).message(payload) {
                Ok(message) => good(sent, [Frame::binary(message)]),
                Err(_) if len == 0 => good(sent, [Frame::binary("")]),
                Err(_) => bad(sent, [], INVALID),
            });
        }
    }
    converse_with("cut", &inflating(|_, _| ()), "permessage-deflate", &cases);
}

/// Every bit that may be wrong in a short message: what is accepted says what another inflater says.
#[test]
fn every_bit_flipped() {
    let streams = [
        HZ.to_vec(),
        Bits::new().stored(false, "Hi").message(),
        Bits::new().fixed(false).text("ab").copy(20, 2).end().message(),
        Bits::new().dynamic(false, &with_lengths(), &[1]).text("a").copy(5, 1).end().message(),
    ];
    let mut cases = Vec::new();
    for stream in streams {
        for bit in 0..8 * stream.len() {
            let mut payload = stream.clone();
            payload[bit / 8] ^= 1 << (bit % 8);
            let message = Inflater::new(15, true).message(&payload);
            let sent = frame(DEFLATED_BINARY, &payload);
            match message {
                Ok(message) => cases.push(good(sent, [Frame::binary(message)])),
                // The final bit makes no message wrong.
                Err(_) if bit == 0 => {}
                Err(_) => cases.push(bad(sent, [], INVALID)),
            }
        }
    }
    converse_with("flipped", &inflating(|_, _| ()), "permessage-deflate", &cases);
}

/// With a server of the default settings, which asks for 12 bits where a client leaves it the choice.
#[test]
fn the_default_settings() {
    let cases =
        [good([text(HZ), text(AGAIN)].concat(), [Frame::text("Hello"), Frame::text("Hello")])];
    converse_with(
        "defaults",
        &compressing(|_, _| ()),
        "permessage-deflate; client_max_window_bits",
        &cases,
    );
}

/// Streams with a few bytes changed, cut or added: accepted are those that another inflater accepts,
/// and they say the same.
#[test]
fn streams_that_are_changed_at_random() {
    use barews::{Accept, Upgrade};

    use crate::common::compressed::{Receive, frames};
    use crate::common::{Faults, Script, close, noise, r0};

    let said = b"{\"type\":\"update\"}, {\"type\":\"update\"}, \"Hello\"";
    let streams = [
        Deflater::new(15, true).message(said),
        Bits::new().stored(false, "ab").fixed(false).copy(9, 2).end().stored(false, "c").message(),
        Bits::new().dynamic(false, &literals(0), &[1]).text("Hello").end().message(),
        Bits::new().fixed(true).text("ab").end().raw([]).stored(true, "c").message(),
        hex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00"),
    ];
    let config = inflating(|_, _| ());
    let request = r0().add("Sec-WebSocket-Extensions: permessage-deflate").bytes();
    let mut random = noise(7692);
    let mut next = |below: usize| {
        let high = usize::from(random.next().expect("noise without end"));
        (high << 8 | usize::from(random.next().expect("noise without end"))) % below
    };
    let mut accepted = 0;
    for round in 0..3000 {
        let mut payload = streams[round % streams.len()].clone();
        for _ in 0..=next(3) {
            let at = next(payload.len());
            match next(4) {
                0 => payload.truncate(at + 1),
                1 => payload.insert(at, next(256) as u8),
                2 => payload[at] = next(256) as u8,
                _ => payload[at] ^= 1 << next(8),
            }
        }
        let expected = Inflater::new(15, true).message(&payload);
        let sent = [&request[..], &frame(DEFLATED_BINARY, &payload), &close(1000, "")].concat();
        let script = Script::new(sent, Faults::NONE);
        let upgrade = Upgrade::handshake(script.clone(), &config).expect("a valid request");
        let receive = [Receive::Whole, Receive::Parts(3)][round % 2];
        receive.echo(upgrade.accept(&Accept::new()).expect("a valid answer"));
        match (&frames(&script.output())[..], expected) {
            ([message, close], Ok(said)) => {
                accepted += 1;
                assert!(*message == Frame::binary(said), "{payload:02x?}");
                assert_eq!(close.close_parts().0, 1000);
            }
            ([close], Err(_)) => assert_eq!(close.close_parts().0, INVALID, "{payload:02x?}"),
            // A final block with nothing behind it is the one thing that only the server accepts.
            ([message, _], Err(_)) => {
                let whole = [&payload[..], &[0]].concat();
                let said = Inflater::new(15, true).message(&whole);
                assert_eq!(said.as_ref(), Ok(&message.payload), "{payload:02x?}");
            }
            (other, said) => panic!("{payload:02x?}: {other:?}, {said:?}"),
        }
    }
    assert!(accepted > 100, "{accepted}");
}
