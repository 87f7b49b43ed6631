//! RFC 6455 §8.1: text is UTF-8 once it is inflated, and not before.

use crate::common::compressed::{bad, compressed_pair, good, inflating};
use crate::common::deflate::Bits;
use crate::common::{CONT, Frame, PING, TEXT, frame};
use crate::frames::{CONT_PART, DEFLATED, DEFLATED_BINARY, DEFLATED_PART, TEXT_PART};

/// RFC 6455 §7.4.1: the data is not what it is said to be.
const INVALID: u16 = 1007;

/// Characters of one to four bytes.
const ALL_LENGTHS: &str = "a\u{e4}\u{20ac}\u{1f600}z";

/// Bytes in a stored block.
fn stored(text: impl AsRef<[u8]>) -> Bits {
    Bits::new().stored(false, text)
}

/// Bytes in a block of fixed codes.
fn fixed(text: impl AsRef<[u8]>) -> Bits {
    Bits::new().fixed(false).text(text).end()
}

/// A stream, cut at `cut`.
fn cut(payload: &[u8], cut: usize) -> Vec<u8> {
    [frame(DEFLATED_PART, &payload[..cut]), frame(CONT, &payload[cut..])].concat()
}

compressed! {
    row_36_a_bad_byte_between_good_ones => [
        bad(frame(DEFLATED, bad_in_the_middle().message()), [], INVALID),
        bad(cut(&bad_in_the_middle().message(), 5), [], INVALID),
        // In binary all bytes are good.
        good(frame(DEFLATED_BINARY, bad_in_the_middle().message()), [
            Frame::binary([&[0x61; 100][..], &[0xff], &[0x62; 100]].concat()),
        ]),
    ];
    row_37_a_character_that_is_cut_off => [
        bad(frame(DEFLATED, stored(b"\x61\xc3").message()), [], INVALID),
        bad(frame(DEFLATED, fixed(b"\x61\xc3").message()), [], INVALID),
        bad(frame(DEFLATED, fixed(b"\xe2\x82").message()), [], INVALID),
        bad(frame(DEFLATED, fixed(b"\xf0\x9f\x98").message()), [], INVALID),
        bad(frame(DEFLATED, stored(b"a\xf0").stored(false, b"\x9f\x98").message()), [], INVALID),
        // Whether the message ends with a final block or not, or with an empty fragment.
        bad(frame(DEFLATED, Bits::new().stored(true, b"\x61\xc3").bytes()), [], INVALID),
        bad(frame(DEFLATED, Bits::new().stored(true, b"\x61\xc3").message()), [], INVALID),
        bad([frame(DEFLATED_PART, fixed(b"\xc3").message()), frame(CONT, "")].concat(), [], INVALID),
        // The next message begins anew.
        bad(
            [frame(DEFLATED, fixed(b"\xc3").message()), frame(DEFLATED, fixed(b"\xa4").message())].concat(),
            [],
            INVALID,
        ),
        bad([frame(DEFLATED, [0]), frame(DEFLATED, fixed(b"\xa4").message())].concat(), [Frame::text("")], INVALID),
    ];
    what_is_no_utf_8 => [
        bad(frame(DEFLATED, fixed(b"\xc0\xaf").message()), [], INVALID),
        bad(frame(DEFLATED, fixed(b"\xed\xa0\x80").message()), [], INVALID),
        bad(frame(DEFLATED, fixed(b"\xf4\x90\x80\x80").message()), [], INVALID),
        bad(frame(DEFLATED, fixed(b"\xf8\x88\x80\x80\x80").message()), [], INVALID),
        bad(frame(DEFLATED, fixed(b"\x80").message()), [], INVALID),
        // A reference that begins inside a character.
        bad(frame(DEFLATED, Bits::new().fixed(false).text("\u{20ac}").copy(3, 2).end().message()), [], INVALID),
        good(
            frame(DEFLATED, Bits::new().fixed(false).text("\u{20ac}").copy(6, 3).end().message()),
            [Frame::text("\u{20ac}\u{20ac}\u{20ac}")],
        ),
    ];
    row_38_characters_cut_by_blocks_and_fragments => [
        good(frame(DEFLATED, one_byte_blocks().message()), [Frame::text(ALL_LENGTHS)]),
        good(cut(&one_byte_blocks().message(), 23), [Frame::text(ALL_LENGTHS)]),
        good(
            [
                frame(DEFLATED_PART, ""),
                one_byte_blocks().bytes().chunks(1).flat_map(|byte| frame(CONT_PART, byte)).collect(),
                frame(CONT, [0]),
            ]
            .concat(),
            [Frame::text(ALL_LENGTHS)],
        ),
        good(frame(DEFLATED, final_blocks().bytes()), [Frame::text(ALL_LENGTHS)]),
    ];
    row_39_bad_text_of_a_message_that_never_ends => [
        bad(frame(DEFLATED_PART, fixed(b"\xc3\x28").bytes()), [], INVALID),
        bad(frame(DEFLATED_PART, stored(b"good\xff").bytes()), [], INVALID),
        bad([frame(DEFLATED_PART, stored(b"\xe2\x82").bytes()), frame(CONT_PART, stored(b"x").bytes())].concat(), [], INVALID),
        bad([frame(DEFLATED_PART, stored(b"\xe2").bytes()), frame(PING, "p"), frame(CONT_PART, stored(b"\x28").bytes())].concat(), [Frame::pong("p")], INVALID),
        // Not even the frame has ended: all but its last bytes have come.
        bad({
            let bytes = frame(DEFLATED, stored([&b"\xff"[..], &[b'x'; 1000]].concat()).message());
            bytes[..100].to_vec()
        }, [], INVALID),
    ];
    /// Where one kind of message ends, the other's text goes on as it should.
    compressed_text_and_plain_text_in_turn => [
        good(
            [
                frame(DEFLATED, fixed(ALL_LENGTHS).message()),
                frame(TEXT_PART, &ALL_LENGTHS.as_bytes()[..2]),
                frame(CONT, &ALL_LENGTHS.as_bytes()[2..]),
                frame(DEFLATED_BINARY, fixed(b"\xc3").message()),
                frame(DEFLATED, fixed(ALL_LENGTHS).message()),
            ]
            .concat(),
            [Frame::text(ALL_LENGTHS), Frame::text(ALL_LENGTHS), Frame::binary(b"\xc3"), Frame::text(ALL_LENGTHS)],
        ),
        bad(
            [frame(DEFLATED_BINARY, fixed(b"\xc3").message()), frame(TEXT, b"\xa4")].concat(),
            [Frame::binary(b"\xc3")],
            INVALID,
        ),
    ];
}

/// 61 a hundred times, ff, 62 a hundred times.
fn bad_in_the_middle() -> Bits {
    let bits = Bits::new().fixed(false).text("a").copy(99, 1).text([0xff]);
    bits.text("b").copy(99, 1).end()
}

/// A block for each byte.
fn one_byte_blocks() -> Bits {
    let bytes = ALL_LENGTHS.as_bytes().chunks(1);
    bytes.fold(Bits::new(), |bits, byte| bits.stored(false, byte))
}

/// A stream for each byte.
fn final_blocks() -> Bits {
    let bytes = ALL_LENGTHS.as_bytes().chunks(1);
    bytes.fold(Bits::new(), |bits, byte| bits.stored(true, byte))
}

/// By `recv_chunk` with slices of every small size, and with messages whose inflating stops in the
/// middle of a character wherever it can.
#[test]
fn row_38_slices_of_every_size() {
    let (mut conn, mut client) = compressed_pair(&inflating(|_, _| ()), "permessage-deflate");
    let text = ALL_LENGTHS.repeat(40);
    let payloads = [
        fixed(&text).message(),
        Bits::new().fixed(false).text(ALL_LENGTHS).copy(220, 11).copy(209, 11).end().message(),
        one_byte_blocks().repeat(40).message(),
    ];
    for payload in payloads {
        for size in (1..=20).chain([100, 439, 440, 441, 4096]) {
            client.send(frame(DEFLATED, &payload));
            let (mut out, mut message) = (vec![0; size], Vec::new());
            loop {
                let chunk = conn.recv_chunk(&mut out).expect("a part").expect("not the end");
                message.extend(&out[..chunk.len]);
                assert!(chunk.len > 0 || chunk.fin, "a part of nothing that ends nothing");
                assert_eq!(chunk.kind, barews::MessageType::Text);
                if chunk.fin {
                    break;
                }
            }
            assert_eq!(String::from_utf8(message).expect("text"), text);
        }
    }
    drop(client);
}

/// A character that is cut wherever the inflating stops for want of room: the memory of a message
/// grows in steps.
#[test]
fn row_38_steps_of_every_size() {
    for before in 0..4 {
        let filler = Bits::new().stored(false, vec![b'x'; before]).fixed(false).text(ALL_LENGTHS);
        let filler = (0..400).fold(filler, |bits, _| bits.copy(253, 11)).end();
        let text = ["x".repeat(before), ALL_LENGTHS.repeat(1 + 400 * 23)].concat();
        let cases = [good(frame(DEFLATED, filler.message()), [Frame::text(text)])];
        crate::common::compressed::converse_compressed("steps", &cases);
    }
}
