use super::*;
use crate::config::Deflate;

fn deflation(change: impl FnOnce(&mut Deflate)) -> (Arc<Codecs>, Deflation) {
    let mut settings = Deflate::default();
    change(&mut settings);
    let codecs = Arc::new(Codecs::new(settings));
    let past = codecs.past(2 << 10).unwrap();
    let deflation = Deflation::new(&codecs, past, 15);
    (codecs, deflation)
}

#[test]
fn a_message_is_deflated_if_that_makes_it_shorter() {
    let (codecs, mut deflation) = deflation(|_| ());
    let mut out = vec![7; 10];
    assert!(deflation.deflate(&[b'a'; 1000], &mut out).is_some());
    assert!(out.len() < 20 && out.ends_with(&[0x00]), "{out:x?}");
    deflation.sent(&[b'a'; 1000], out.len());
    let stats = codecs.stats();
    assert_eq!((stats.sent, stats.sent_compressed), (1000, out.len() as u64));
    for noise in [&b""[..], b"a", b"ab", &[1, 200, 30, 244, 55, 60, 171, 8]] {
        assert!(deflation.deflate(noise, &mut out).is_none(), "{noise:?}");
    }
    assert_eq!(codecs.stats(), stats);
}

/// Only what was sent may be referred to.
#[test]
fn what_was_not_sent_is_not_remembered() {
    let (_, mut deflation) = deflation(|_| ());
    let message: Vec<u8> = (0..200u8).collect();
    let mut out = Vec::new();
    for _ in 0..2 {
        assert!(deflation.deflate(&message, &mut out).is_none());
    }
    deflation.sent(&message, out.len());
    assert!(deflation.deflate(&message, &mut out).is_some() && out.len() < 10);
}

#[test]
fn without_memory_for_a_codec_messages_are_sent_as_they_are() {
    let (codecs, mut deflation) =
        deflation(|settings| settings.max_memory = 2 * Deflater::size(15));
    let lent = codecs.deflater(15);
    assert!(deflation.deflate(&[b'a'; 1000], &mut Vec::new()).is_none());
    assert!(deflation.begin().is_none());
    drop(lent);
    assert!(deflation.begin().is_some());
}

#[test]
fn a_fragment_can_be_inflated_by_itself_and_the_last_one_ends_in_an_empty_block() {
    let (_, mut deflation) = deflation(|_| ());
    let mut out = Vec::new();
    let mut fragments = deflation.begin().unwrap();
    fragments.fragment(b"one", false, &mut out).unwrap();
    assert!(out.ends_with(&TAIL));
    fragments.fragment(b"two", true, &mut out).unwrap();
    assert!(out.ends_with(&[0x00]) && !out.ends_with(&TAIL));
    for before in [&b""[..], b"one"] {
        let mut fragments = deflation.begin().unwrap();
        if !before.is_empty() {
            fragments.fragment(before, false, &mut out).unwrap();
        }
        fragments.fragment(b"", true, &mut out).unwrap();
        assert_eq!(out, EMPTY);
    }
    // Bytes that do not get shorter have room, too.
    let noise: Vec<u8> =
        (0..70_000u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let mut fragments = deflation.begin().unwrap();
    fragments.fragment(&noise, true, &mut out).unwrap();
    assert!(out.len() < noise.len() + noise.len() / 8 + 64);
}

#[test]
fn a_message_is_worth_it_sooner_if_it_can_refer_to_another() {
    let (codecs, deflation) = deflation(|_| ());
    assert_eq!(deflation.threshold(), 32);
    assert_eq!(Deflation::new(&codecs, codecs.no_past(), 15).threshold(), 256);
}

#[test]
fn a_message_for_many_refers_to_none_before_it() {
    let (_, mut deflation) = deflation(|_| ());
    let message = b"the same words, the same words, the same words";
    let alone = deflation.deflate_alone(message).unwrap();
    deflation.sent(message, alone.len());
    assert_eq!(deflation.deflate_alone(message), Some(alone.clone()));
    // One of this connection alone may.
    let mut out = Vec::new();
    assert!(deflation.deflate(message, &mut out).is_some() && out.len() < alone.len());
    assert_eq!(deflation.deflate_alone(b"abc"), None);
}

/// A peer that does not read keeps what was deflated for it.
#[test]
fn what_is_long_once_it_is_deflated_is_charged() {
    let (codecs, mut deflation) = deflation(|settings| settings.max_memory = 1400 << 10);
    // Each byte is one of 16: half as long.
    let mut state = 1u64;
    let mut nibble = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 60) as u8
    };
    let long: Vec<u8> = (0..600_000).map(|_| nibble()).collect();
    let mut out = Vec::new();
    let charge = deflation.deflate(&long[..300_000], &mut out);
    assert!(charge.is_some() && codecs.stats().codecs >= out.len() as u64);
    drop(charge);
    assert_eq!(codecs.stats().codecs, 0);
    assert!(deflation.deflate(&long, &mut out).is_none(), "it is sent as it is");
    // Zeros are short at once.
    assert!(deflation.deflate(&vec![0; 1 << 20], &mut out).is_some());
    assert!(out.capacity() < 4 << 20);
}
