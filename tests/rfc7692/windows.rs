//! §7.1.2: how far messages refer back, within themselves and to those before.

use crate::common::compressed::{bad, converse_with, good, inflating};
use crate::common::deflate::{Bits, Deflater};
use crate::common::{Frame, frame};
use crate::frames::{DEFLATED, DEFLATED_BINARY};
use crate::streams::{INVALID, fragments};

/// As far back as the window that was agreed on, over many messages, and not a byte further.
#[test]
fn row_34_references_as_far_as_the_window_reaches() {
    for bits in 8..=15 {
        let offer = format!("permessage-deflate; client_max_window_bits={bits}");
        let config = inflating(|_, deflate| deflate.client_max_window_bits = 15);
        let window = 1 << bits;
        let said: Vec<u8> = crate::common::noise(bits).take(window).collect();
        // In several messages, of which the last one fills the window.
        let say = |said: &[u8]| {
            let parts = said.chunks(3000);
            let message = |part| frame(DEFLATED_BINARY, Bits::new().stored(false, part).message());
            (
                parts.clone().flat_map(message).collect::<Vec<u8>>(),
                parts.map(Frame::binary).collect(),
            )
        };
        let (sent, answers): (_, Vec<_>) = say(&said);
        let far = Bits::new().fixed(false).copy(258.min(window), window).end().message();
        let again = Frame::binary(&said[..258.min(window)]);
        let sent = [sent, frame(DEFLATED_BINARY, far)].concat();
        let cases = [good(sent, [answers, vec![again]].concat())];
        converse_with("window", &config, &offer, &cases);
        if bits == 15 {
            continue;
        }
        // Twice the window: no history goes so far, since memory is kept for what was agreed on.
        let said: Vec<u8> = crate::common::noise(bits).take(2 * window + 2).collect();
        let (sent, answers) = say(&said);
        let far = Bits::new().fixed(false).copy(3, 2 * window + 1).end().message();
        let sent = [sent, frame(DEFLATED_BINARY, far)].concat();
        converse_with("window", &config, &offer, &[bad(sent, answers, INVALID)]);
    }
}

/// A window holds within no message, where it does no harm.
#[test]
fn row_35_references_within_a_message() {
    for (bits, far) in [(8, 610), (9, 610), (9, 32_768), (12, 5000), (15, 32_768)] {
        let offer = format!("permessage-deflate; client_max_window_bits={bits}");
        let config = inflating(|_, deflate| deflate.client_max_window_bits = 15);
        let said: Vec<u8> = crate::common::noise(bits).take(far).collect();
        let payload = Bits::new().stored(false, &said).fixed(false).copy(100, far).end().message();
        let message = [&said[..], &said[..100]].concat();
        let sent = frame(DEFLATED_BINARY, payload);
        converse_with("within", &config, &offer, &[good(sent, [Frame::binary(message)])]);
    }
}

/// A conversation of many messages of all sizes, with windows of all sizes.
#[test]
fn long_conversations_with_takeover() {
    for (bits, takeover) in [(8, true), (12, true), (15, true), (10, false)] {
        let takes_over = if takeover { "" } else { "; client_no_context_takeover" };
        let offer = format!("permessage-deflate; client_max_window_bits={bits}{takes_over}");
        let config = inflating(|_, deflate| deflate.client_max_window_bits = 15);
        let mut deflater = Deflater::new(bits, takeover);
        let mut noise = crate::common::noise(bits);
        let mut sent = Vec::new();
        let mut answers = Vec::new();
        for round in 0..21 {
            let len = [0, 1, 3, 20, 300, 4096, 10_000][round % 7];
            // Half of it is what is often said.
            let words = b"{\"type\":\"update\",\"id\":";
            let message: Vec<u8> = (0..len)
                .map(|at| match at / 20 % 2 {
                    0 => words[at % words.len()],
                    _ => noise.next().expect("noise without end") & 0x7f,
                })
                .collect();
            let payload = deflater.message(&message);
            let cut = payload.len() / 3;
            if round % 3 == 0 {
                sent.extend(frame(DEFLATED, &payload));
            } else {
                sent.extend(fragments([
                    &payload[..cut],
                    &payload[cut..2 * cut],
                    &payload[2 * cut..],
                ]));
            }
            answers.push(Frame::text(message));
        }
        converse_with("long", &config, &offer, &[good(sent, answers)]);
    }
}
