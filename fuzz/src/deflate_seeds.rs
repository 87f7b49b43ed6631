//! Where the corpora of compression come from: messages and frames that are wrong, or all but wrong,
//! each with what is to become of it, and conversations of all kinds.

use super::seeds::Outcome::{self, Closed, Fails, Open};
use super::seeds::bytes;

/// "Hello", as RFC 7692 §7.2.3.1 has it.
const HELLO: &str = "f248cdc9c90700";

/// Name, what is kept between messages as in `inflate`, messages, whether the last one is good; those
/// before it are.
type Row = (&'static str, u8, &'static [&'static str], bool);

/// Compressed messages, in the notation of `seeds`.
#[rustfmt::skip]
pub const MESSAGES: &[Row] = &[
    ("hello", 7, &[HELLO], true),
    ("hello-twice", 7, &[HELLO, "f200110000"], true),
    ("hello-twice-no-takeover", 15, &[HELLO, "f200110000"], false),
    ("stored", 7, &["000500faff48656c6c6f00"], true),
    ("final", 7, &["f348cdc9c9070000"], true),
    ("final-and-nothing", 7, &["f348cdc9c90700", HELLO], true),
    ("final-and-more", 7, &["f348cdc9c90700 f200110000"], true),
    ("final-and-more-no-takeover", 15, &["f348cdc9c90700 f200110000"], true),
    ("final-stored-cut", 7, &["01"], true),
    ("final-stored-whole", 7, &["010000ffff"], true),
    ("final-zlib", 1, &["ab56ca4c51b232d451ca4bcc4d55b2522a2d4e2d523054d2512a49ad2801f2cb33124b14ca138b158a133353149252d3f28b52751412f35214c032995089bcfc72a55a00"], true),
    ("two-blocks", 7, &["f248 05000000ffff cac9c90700"], true),
    ("empty", 7, &["00", "00", "02 00"], true),
    ("nothing", 7, &["", "", HELLO], true),
    ("type-3", 7, &["0600"], false),
    ("stored-length", 7, &["000500000048656c6c6f"], false),
    ("code-lengths", 7, &["05e0810884000000"], false),
    ("no-code-lengths", 7, &["04 00*99"], false),
    ("too-many-literals", 7, &["fc 00*99"], false),
    ("repeats-nothing", 7, &["04c00500000000000000"], false),
    ("end-alone", 7, &["04e001902449922449 02 00*127 2000"], true),
    ("distance-before-all", 7, &["4b044100"], false),
    ("half", 7, &["f248cd"], false),
    ("last-byte-missing", 7, &["f248cdc9c907"], false),
    ("tail-not-taken-off", 7, &["f248cdc9c907000000ffff"], false),
    ("tail-taken-for-data", 7, &["000400fbff"], false),
    ("garbage", 7, &["ff*100"], false),
    ("zlib-header", 7, &["789cf348cdc9c90700058c01f5"], false),
    ("gzip-header", 7, &["1f8b0800000000000003f348cdc9c907008289d1f705000000"], false),
    ("dynamic", 7, &["1c8edb15443108025ba184608c51bbc9ebf65fc27af6970333b46c60f2bd0f9afdde87c871ce052de7de073232d6dae8963b624123af7bc034bf391d5e6b9a4db0b5641fc340a96ca80e5035397bd7c24532443a1896dca4408acddb1a4b62ff0f0de291d2eefdd04553e49c576aa6e8de175a0eb1b50e542bf3880df5ea2df78521b53d73c60f"], true),
    ("takeover", 1, &["aa56ca4c51b232d451ca4bcc4d55b2522a2d4e2d523054d2512a49ad2801f2cb33124b14ca138b158a133353149252d3f28b52751412f35214c032995089bcfc72a55a0000", "aa069b65846a96911179860100", "aaa6a2c30000"], true),
    ("forgotten", 0, &["ecc1310100000c02a0acb37f8855f0f1038e5a0000000080b907", "02060000"], false),
    ("not-forgotten", 0, &["ecc1310100000c02a0acb37f8855f0f1038e5a0000000080b907", "02fa1f00"], true),
    ("huffman", 7, &["04c1410ac0200c04c0af2c7bf6e2d5dfa424450f5530292994febd332f87b2d5c22997b1f176dba82c0c7b828dd92590e270198ac3ceb5ad40a622bb0486c36528e64a7e3f00"], true),
    ("runs", 1, &["ecc1310100000c02a0acb37f8855f0f1038e5a0000000080b907"], true),
    ("zeros", 2, &["ecc13101000000c2a0f54fed650ba0 00*38 801b00", "620000"], true),
];

/// Frames of a client that has agreed on compression with a window of 12 bits: name, limits of
/// `compressed_session`, frames, outcome.
#[rustfmt::skip]
pub const FRAMES: &[(&str, u8, &str, Outcome)] = &[
    ("hello", 0, "c1 87 m f248cdc9c90700", Open),
    ("hello-masked", 0, "c1 87 37fa213d c5b2ecf4fefd21", Open),
    ("hello-twice", 0, "c1 87 m f248cdc9c90700 c1 85 m f200110000", Open),
    ("plain-between", 0, "c1 87 m f248cdc9c90700 81 85 m 706c61696e c1 85 m f200110000", Open),
    ("fragments", 0, "41 83 m f248cd 80 84 m c9c90700", Open),
    ("fragments-and-ping", 0, "41 83 m f248cd 89 81 m 2a 80 84 m c9c90700", Open),
    ("empty-fragments", 0, "41 80 m 00 83 m f248cd 00 80 m 00 84 m c9c90700 80 80 m", Open),
    ("one-byte-a-frame", 0, "41 81 m f2 00 81 m 48 00 81 m cd 00 81 m c9 00 81 m c9 00 81 m 07 80 81 m 00", Open),
    ("rsv1-on-a-continuation", 0, "41 83 m f248cd c0 84 m c9c90700", Fails(1002)),
    ("rsv1-on-a-plain-continuation", 0, "01 82 m 4865 c0 83 m 6c6c6f", Fails(1002)),
    ("rsv1-on-ping", 0, "c9 80 m", Fails(1002)),
    ("rsv1-on-close", 0, "c8 82 m 03e8", Fails(1002)),
    ("rsv1-on-pong-not-fin", 0, "4a 80 m", Fails(1002)),
    ("rsv2", 0, "a1 81 m 78", Fails(1002)),
    ("rsv1-and-3", 0, "d1 87 m f248cdc9c90700", Fails(1002)),
    ("rsv1-and-opcode-3", 0, "c3 81 m 78", Fails(1002)),
    ("rsv1-in-a-message", 0, "41 83 m f248cd c1 84 m c9c90700", Fails(1002)),
    ("rsv1-unmasked", 0, "c1 07 f248cdc9c90700", Fails(1002)),
    ("rsv1-length-not-minimal", 0, "c1 fe 0007 m f248cdc9c90700", Fails(1002)),
    ("hello-then-close", 0, "c1 87 m f248cdc9c90700 88 82 m 03e8", Closed),
    ("close-between-fragments", 0, "41 83 m f248cd 88 82 m 03e8", Closed),
    ("type-3", 0, "c2 82 m 0600", Fails(1007)),
    ("half", 0, "c1 83 m f248cd", Fails(1007)),
    ("half-not-fin", 0, "41 83 m f248cd", Open),
    ("tail-not-taken-off", 0, "c1 8b m f248cdc9c907000000ffff", Fails(1007)),
    ("no-rsv1", 0, "81 87 m f248cdc9c90700", Fails(1007)),
    ("plain-with-rsv1", 0, "c1 94 m 48656c6c6f2c207468697320697320706c61696e", Fails(1007)),
    ("nothing", 0, "c1 80 m", Open),
    ("final-and-nothing", 0, "c1 87 m f348cdc9c90700 c1 87 m f248cdc9c90700", Open),
    ("final-then-fragment", 0, "41 87 m f348cdc9c90700 00 80 m 80 85 m f200110000", Open),
    ("text-cut", 0, "c1 88 m 000200fdff61c300", Fails(1007)),
    ("text-cut-by-a-block", 0, "c1 8d m 000100feffc3 000100feffa9 00", Open),
    ("text-cut-by-fragments", 0, "41 86 m 000100feffc3 80 87 m 000100feffa900", Open),
    ("text-bad-not-fin", 0, "41 87 m 000200fdffc328", Fails(1007)),
    ("binary-ff", 0, "c2 87 m 000100feffff00", Open),
    ("limit", 1, "c2 c6 m 004000bfff 78*64 00", Open),
    ("limit-and-1", 1, "c2 c7 m 004100beff 78*65 00", Fails(1009)),
    ("limit-and-1-not-fin", 1, "02 80 m 80 80 m 42 c7 m 004100beff 78*65 00", Fails(1009)),
    ("limit-and-1-fragments", 1, "42 a5 m 002000dfff 78*32 80 a6 m 002100deff 78*33", Fails(1009)),
    ("bad-text-and-limit", 1, "c1 c7 m 004100beff ff*65 00", Fails(1007)),
    ("bomb", 2, "c2 b8 m ecc13101000000c2a0f54fed650ba0 00*38 801b00", Fails(1009)),
    ("bomb-within", 0, "c2 b8 m ecc13101000000c2a0f54fed650ba0 00*38 801b00", Open),
    ("window", 0, "c2 b8 m ecc13101000000c2a0f54fed650ba0 00*38 801b00 c2 85 m 02f6ff0100", Open),
    ("window-and-1", 0, "c2 b8 m ecc13101000000c2a0f54fed650ba0 00*38 801b00 c2 85 m 020e000000", Fails(1007)),
    ("wire-limit", 1, "42 fe 0448 m", Open),
    ("wire-limit-and-1", 1, "42 fe 0449 m", Fails(1009)),
    ("empty-blocks-wire", 3, "c2 fe 0401 m 000000ffff*1", Fails(1009)),
    ("fragments-over-maximum", 1, "41 80 m 00 80 m 00 80 m 00 80 m 80 80 m", Fails(1008)),
    ("empty-maximum", 3, "c1 81 m 00 c1 80 m", Open),
    ("empty-maximum-and-1", 3, "c1 83 m 4a0400", Fails(1009)),
];

/// All seeds in the form that their targets take: target, name, bytes.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, parts: &[&[u8]]| {
        seeds.push((target, name.to_owned(), parts.concat()));
    };
    for (name, kept, messages, _) in MESSAGES {
        let messages = messages.iter().map(|message| bytes(message));
        let messages = messages.map(|message| [&[message.len() as u8], &message[..]].concat());
        let messages = messages.collect::<Vec<_>>().concat();
        add("inflate", name, &[&[*kept, 0, 7, 2, 3, 20, 0], &messages]);
        // With room for little, and pieces of some bytes.
        add("inflate", &format!("{name}-cut"), &[&[*kept, 0, 6, 1, 2, 0, 3], &messages]);
    }
    for (name, limits, frames, _) in FRAMES {
        add("compressed_session", name, &[&[*limits, 0x60, 0, 7, 9, 0], &bytes(frames)]);
        add(
            "compressed_session",
            &format!("{name}-8"),
            &[&[*limits, 2, 0, 6, 1, 0], &bytes(frames)],
        );
    }
    // Messages of 100 bytes that refer to the one before the last, and the end of what is kept.
    let further = |i: u8| {
        let stored: Vec<u8> = (0..97).map(|j: u8| j.wrapping_mul(2 * i + 1)).collect();
        let back = if i < 3 { bytes("00") } else { bytes("02fa1f00") };
        [&[102 + back.len() as u8, 0, 97, 0, 158, 255], &stored[..], &back].concat()
    };
    let messages: Vec<u8> = (0..16).flat_map(further).collect();
    for seed in [0, 1, 7] {
        add("inflate", &format!("around-{seed}"), &[&[0, 0, seed, 40, 5, 9, 255], &messages]);
    }
    for how in [3, 3 + 16, 0x60, 0, 2] {
        let again =
            [0b1_1000, 3, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 176, 1, 44, 128 + 14, 9, 190, 0, 250];
        let messages = [&again[..], &[0x0f, 0x0f]].concat().repeat(16);
        add(
            "compressed_session",
            &format!("again-{how}"),
            &[&[0, how, 0, 9, 3, 1, 5, 0, 0], &messages],
        );
    }
    for seed in 0..48_u32 {
        let step = |i: u32| ((i + 1).wrapping_mul(2_654_435_761 + 2 * seed * seed) >> 21) as u8;
        let steps: Vec<u8> = (0..200).map(step).collect();
        let (window, level, how) = (seed as u8 % 8, seed as u8 % 9, seed as u8 / 8);
        for target in ["deflate", "deflate_distance"] {
            let kept = (seed / 5) as u8;
            add(target, &format!("steps-{seed}"), &[&[window, how, level, kept], &steps]);
        }
        let head = [seed as u8 % 4, step(7), 0, seed as u8, level, 1];
        add("compressed_session", &format!("steps-{seed}"), &[&head, &steps]);
    }
    // The same text from as far as each window reaches, and from a little further.
    for bits in 0..8 {
        for more in 0..6_u8 {
            let from = ((256_u16 << bits) + u16::from(more) * 4).saturating_sub(265).to_be_bytes();
            // Of few letters, so that it is shorter when it is compressed.
            let noise = [128 + 47, 15, 128 + 46, 14].repeat(2);
            let mut steps = vec![bits, 0, 8, 7];
            for _ in 0..1 + (1 << bits) / 12 {
                steps.extend([3].iter().chain(&noise).chain(&[0]));
                steps.extend([3, 10].iter().chain(b"once again").chain(&[176 + 9]));
                steps.extend(from.iter().chain(&noise[..2]).chain(&[180, 1, more, 0]));
            }
            for target in ["deflate", "deflate_distance"] {
                add(target, &format!("far-{bits}-{more}"), &[&steps]);
            }
        }
    }
    seeds
}
