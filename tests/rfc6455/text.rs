//! §8.1: text is UTF-8, and a connection fails on the first byte that cannot be.

use barews::ProtocolError::TextNotUtf8;

use crate::common::{CONT, Case, Frame, PING, TEXT, TestServer, echoes, fails, frame, hex};

const INVALID_DATA: u16 = 1007;
const TEXT_PART: u8 = 0x01;
const CONT_PART: u8 = 0x00;

/// A text frame that is not text.
fn bad(payload: &str) -> Case {
    fails(frame(TEXT, hex(payload)), [], INVALID_DATA, TextNotUtf8)
}

/// A text frame that is.
fn good(payload: &str) -> Case {
    echoes(frame(TEXT, hex(payload)), [Frame::text(hex(payload))])
}

conversations! {
    w32_text_ff => [
        bad("ff"),
        bad("fe"),
        bad("48656c6c6f ff"),
        bad("ff 48656c6c6f"),
        // A continuation byte where none belongs.
        bad("80"),
        bad("bf"),
        bad("61 80"),
        bad("c3a9 a9"),
    ];
    w33_text_ends_inside_a_character => [
        bad("c3"),
        bad("e2"),
        bad("e298"),
        bad("f0"),
        bad("f09f"),
        bad("f09f98"),
        bad("48656c6c6f c3"),
        fails(hex("01 81 m 61 80 81 m c3"), [], INVALID_DATA, TextNotUtf8),
        fails(hex("01 81 m c3 80 80 m"), [], INVALID_DATA, TextNotUtf8),
        fails(hex("01 82 m e298 00 80 m 80 80 m"), [], INVALID_DATA, TextNotUtf8),
    ];
    w34_overlong => [
        bad("c080"),
        bad("e08080"),
        bad("f0808080"),
        bad("c0af"),
        bad("c1bf"),
        bad("e09fbf"),
        bad("f08fbfbf"),
        bad("f880808080"),
        bad("fc8080808080"),
    ];
    w35_surrogates => [bad("eda080"), bad("edbfbf"), bad("edaf80 edb080"), bad("eda0")];
    w36_above_10ffff => [
        bad("f4908080"),
        bad("f5"),
        bad("f5808080"),
        bad("f7bfbfbf"),
        bad("f48fbfbf f490"),
    ];
    w37_a_character_over_two_fragments => [
        echoes(hex("01 82 m f09f 80 82 m 9880"), [Frame::text("\u{1f600}")]),
        echoes(hex("01 81 m f0 00 81 m 9f 00 81 m 98 80 81 m 80"), [Frame::text("\u{1f600}")]),
        echoes(hex("01 81 m c3 00 80 m 80 81 m a9"), [Frame::text("\u{e9}")]),
        echoes(
            [frame(TEXT_PART, [0xe2]), frame(PING, [0xff]), frame(CONT, [0x98, 0x83])].concat(),
            [Frame::pong([0xff]), Frame::text("\u{2603}")],
        ),
    ];
    w39_a_character_that_goes_wrong_in_the_next_fragment => [
        fails(hex("01 81 m f4 80 81 m 90"), [], INVALID_DATA, TextNotUtf8),
        fails(hex("01 81 m f4 00 81 m 90"), [], INVALID_DATA, TextNotUtf8),
        fails(hex("01 81 m e0 80 81 m 9f"), [], INVALID_DATA, TextNotUtf8),
        fails(hex("01 81 m ed 80 81 m a0"), [], INVALID_DATA, TextNotUtf8),
        fails(hex("01 81 m f0 80 81 m 8f"), [], INVALID_DATA, TextNotUtf8),
        fails(hex("01 81 m c3 80 81 m 28"), [], INVALID_DATA, TextNotUtf8),
        fails(hex("01 82 m e298 80 81 m 61"), [], INVALID_DATA, TextNotUtf8),
    ];
    /// Both ends of every range of RFC 3629, and what else has a reputation.
    every_kind_of_character => [
        good("00"),
        good("7f"),
        good("c280 dfbf"),
        good("e0a080 ecbfbf ed8080 ed9fbf ee8080 efbfbf"),
        good("f0908080 f3bfbfbf f4808080 f48fbfbf"),
        // A byte order mark, and code points that are no characters.
        good("efbbbf 61"),
        good("efbfbe efb790 f09fbfbf"),
        good("cebae1bdb9cf83cebcceb5"),
    ];
    /// After a failed text, nothing; after a good one, the next begins anew.
    texts_do_not_mix => [
        fails(
            [frame(TEXT, "\u{e9}"), frame(TEXT, [0xa9])].concat(),
            [Frame::text("\u{e9}")],
            INVALID_DATA,
            TextNotUtf8,
        ),
        echoes(
            [frame(TEXT, "\u{e9}"), frame(0x82, [0xc3]), frame(TEXT, "\u{e9}")].concat(),
            [Frame::text("\u{e9}"), Frame::binary([0xc3]), Frame::text("\u{e9}")],
        ),
    ];
    /// In the middle of much that is right, at every offset that a validator by blocks could miss.
    one_bad_byte_in_a_long_text => [
        long(0), long(1), long(2), long(3), long(31), long(32), long(63), long(64), long(65),
        long(127), long(511), long(4095), long(4096), long(9998), long(9999),
    ];
}

/// 10,000 bytes of which one is wrong.
fn long(at: usize) -> Case {
    let mut text = vec![b'a'; 10_000];
    text[at] = 0xff;
    fails(frame(TEXT, text), [], INVALID_DATA, TextNotUtf8)
}

/// §8.1 by way of §7.1.7: what has come is wrong already, so the rest is not waited for.
#[test]
fn fails_before_the_message_ends() {
    let server = TestServer::start();
    for sent in [
        // In a fragment that others are to follow, in the middle of a frame, and in one that is
        // too long to have come yet.
        frame(TEXT_PART, [0xff]),
        [frame(TEXT_PART, [0xf4]), frame(CONT_PART, [0x90])].concat(),
        hex("81 ff 0000000000800000 m 61 ff"),
        hex("81 fe 0100 m eda0"),
    ] {
        let mut client = server.open();
        client.send(sent);
        client.expect_close(INVALID_DATA);
    }
}

/// Characters of all lengths at all offsets, cut into fragments of every small size.
#[test]
fn characters_cut_anywhere() {
    let text = "a\u{e9}\u{2603}\u{1f600}".repeat(20);
    let server = TestServer::start();
    let mut client = server.open();
    for size in 1..=11 {
        let parts: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let mut sent = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let opcode = if index == 0 { TEXT_PART } else { CONT_PART };
            let fin = if index + 1 == parts.len() { 0x80 } else { 0 };
            sent.extend(frame(opcode | fin, part));
        }
        client.send(sent);
        client.expect(&Frame::text(&text));
    }
    client.finish();
}

/// What is long is read to another place than where it belongs: each byte must come to its own.
#[test]
fn long_texts_arrive_as_they_were_sent() {
    let server = TestServer::start();
    let mut client = server.open();
    for len in [65_535, 65_540, 70_000, 262_144, 300_001, 1_500_000] {
        let text = numbered(len);
        // Once with memory that is new, once with what is there.
        for _ in 0..2 {
            client.send(frame(TEXT, &text));
            client.expect(&Frame::text(&text));
        }
        let (first, rest) = text.as_bytes().split_at(len / 3);
        client.send([frame(TEXT_PART, first), frame(PING, "?"), frame(CONT, rest)].concat());
        client.expect(&Frame::pong("?"));
        client.expect(&Frame::text(&text));
    }
    client.finish();
}

#[test]
fn one_bad_byte_in_a_text_that_is_longer_than_a_read() {
    let server = TestServer::start();
    let text = numbered(600_000).into_bytes();
    for at in [241, 242, 4095, 65_536, 262_143, 262_144, 300_000, 599_990] {
        let mut text = text.clone();
        text[at] = 0xff;
        let mut client = server.open();
        // Nothing after it is waited for.
        let _ = client.try_send(frame(TEXT, text));
        client.expect_close(INVALID_DATA);
    }
}

/// A text that says everywhere where it is.
fn numbered(len: usize) -> String {
    let mut text = String::new();
    while text.len() < len {
        text += &format!("{}\u{2603}", text.len());
    }
    text.truncate(text.floor_char_boundary(len));
    text
}
