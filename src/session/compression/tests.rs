use super::*;
use crate::config::Deflate;
use crate::proto::MessageType;
use crate::session::assembler::Target;
use crate::session::{Budget, MessageAssembler};

const OFFER: DeflateOffer = DeflateOffer {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: None,
    client_max_window_bits: Some(None),
};

fn codecs(change: impl FnOnce(&mut Deflate)) -> Arc<Codecs> {
    let mut settings = Deflate { threshold: 0, threshold_no_context: 0, ..Deflate::default() };
    change(&mut settings);
    Arc::new(Codecs::new(settings))
}

fn answer(codecs: &Arc<Codecs>, offer: &DeflateOffer) -> String {
    agree(codecs, offer, 1 << 20).params.to_string()
}

#[test]
fn what_is_agreed_on_by_default() {
    let codecs = codecs(|_| ());
    let bits = "permessage-deflate; client_max_window_bits=12";
    assert_eq!(answer(&codecs, &OFFER), bits);
    let agreed = agree(&codecs, &OFFER, 1);
    assert_eq!(codecs.stats().histories, (4 << 10) + (2 << 10));
    drop(agreed);
    assert_eq!(codecs.stats().histories, 0);
    // Who gives no choice is remembered as far as its window reaches.
    let none = DeflateOffer { client_max_window_bits: None, ..OFFER };
    let agreed = agree(&codecs, &none, 1);
    assert_eq!(codecs.stats().histories, (32 << 10) + (2 << 10));
    drop(agreed);
    let small = DeflateOffer {
        server_max_window_bits: Some(8),
        client_max_window_bits: Some(Some(8)),
        ..OFFER
    };
    let agreed = agree(&codecs, &small, 1);
    assert_eq!(codecs.stats().histories, 512 + 256);
    assert_eq!(agreed.params.server_max_window_bits, Some(8));
}

#[test]
fn without_memory_for_histories_it_goes_without() {
    // For one and a half.
    let codecs = codecs(|settings| settings.max_memory = 18 << 10);
    let first = agree(&codecs, &OFFER, 1);
    let without = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                   client_max_window_bits=12";
    assert_eq!(answer(&codecs, &OFFER), without);
    assert_eq!(codecs.stats().histories, 6 << 10, "nothing is left of the attempt");
    drop(first);
    assert_eq!(answer(&codecs, &OFFER), "permessage-deflate; client_max_window_bits=12");
}

#[test]
fn a_history_of_nothing_is_no_takeover() {
    let codecs = codecs(|settings| settings.history = 0);
    let expected = "permessage-deflate; server_no_context_takeover; client_max_window_bits=12";
    assert_eq!(answer(&codecs, &OFFER), expected);
}

/// The other end of a connection: it inflates what the first one sends.
fn other_end(codecs: &Arc<Codecs>, params: DeflateParams) -> Inflation {
    let past = match params.server_no_context_takeover {
        true => codecs.no_past(),
        false => codecs.past(1 << params.server_window_bits()).unwrap(),
    };
    Inflation::new(codecs, past, 1 << 20)
}

fn receive(inflation: &mut Inflation, payload: &[u8]) -> Vec<u8> {
    let mut assembler = MessageAssembler::new(&Arc::new(Budget::new(1 << 30)), 0);
    let (mut buf, mut at) = (Vec::new(), 0);
    loop {
        let target = &mut Target::Message(&mut assembler, &mut buf);
        let fed = inflation.feed(MessageType::Binary, &payload[at..], true, target).unwrap();
        at += fed.used;
        if fed.done {
            break;
        }
    }
    assembler.finish(&mut buf);
    buf
}

/// What is sent is what the other end has, however whole messages, fragments and what is too short or
/// too random come between.
#[test]
fn both_sides_remember_the_same() {
    let text = "the same words again, and the same words once more; ".repeat(30).into_bytes();
    let noise: Vec<u8> =
        (0..900u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    for server_max_window_bits in [None, Some(8), Some(9), Some(12)] {
        for server_no_context_takeover in [false, true] {
            let codecs = codecs(|_| ());
            let offer =
                DeflateOffer { server_max_window_bits, server_no_context_takeover, ..OFFER };
            let Agreed { params, mut deflation, .. } = agree(&codecs, &offer, 1);
            let mut other = other_end(&codecs, params);
            let mut out = Vec::new();
            for message in [&text[..100], &noise, b"", &text[40..90], &text, b"x", &text[7..1007]] {
                if deflation.deflate(message, &mut out).is_some() {
                    assert_eq!(receive(&mut other, &out), message);
                    deflation.sent(message, out.len());
                } else {
                    assert!(message.len() < 2 || message == noise);
                }
                let mut fragments = deflation.begin().unwrap();
                let mut payload = Vec::new();
                for fragment in message.chunks(300) {
                    fragments.fragment(fragment, false, &mut out).unwrap();
                    deflation.sent(fragment, out.len());
                    payload.extend_from_slice(&out);
                }
                let last = &text[..message.len() % 3];
                fragments.fragment(last, true, &mut out).unwrap();
                deflation.sent(last, out.len());
                payload.extend_from_slice(&out);
                assert_eq!(receive(&mut other, &payload), [message, last].concat());
            }
        }
    }
}
