use super::*;

/// With none at rest that others have used.
fn codecs(max_memory: u64) -> Codecs {
    Codecs {
        inflaters: Box::leak(Box::new(Idle(Mutex::default()))),
        deflaters: Box::leak(Box::new(Idle(Mutex::default()))),
        ..Codecs::new(Deflate { max_memory, ..Deflate::default() })
    }
}

/// Whether an inflater has been used before.
fn mark(lent: &mut Lent<LentInflater>) {
    lent.get().history.append(b"used");
}

#[test]
fn a_codec_is_charged_while_it_is_lent_and_used_again() {
    let codecs = codecs(2 * 3 * INFLATER_SIZE);
    let mut lent: Vec<_> = (0..3).map(|_| codecs.inflater(true, false).unwrap()).collect();
    assert!(codecs.inflater(true, false).is_none(), "one more than there is memory for");
    assert!(codecs.inflater(true, true).is_some(), "and one that is given back at once");
    assert_eq!(codecs.stats().codecs, 3 * INFLATER_SIZE);
    lent.iter_mut().for_each(mark);
    drop(lent);
    assert_eq!(codecs.stats().codecs, 0);
    assert_eq!(codecs.inflaters.lock().len(), 4);
    // What the next one is told is not what the one before was.
    let mut again = codecs.inflater(true, false).unwrap();
    let mut fresh = History::new(4);
    fresh.append(b"x");
    let mut told = |history: &mut History| {
        again.get().inflater.inflate(&[0x4b, 0x04, 0x41, 0x00], &mut [0; 9], history)
    };
    assert!(told(&mut fresh).is_err());
}

/// One that has a history of its own takes more.
#[test]
fn who_forgets_is_lent_a_history_too() {
    let codecs = codecs(2 * (INFLATER_SIZE + MAX_WINDOW as u64));
    let mut lent = codecs.inflater(false, false).unwrap();
    assert!(lent.get().history.is_reserved());
    assert!(codecs.inflater(true, false).is_none());
    mark(&mut lent);
    drop(lent);
    let mut again = codecs.inflater(false, false).unwrap();
    again.get().history.append(b"x");
    assert_eq!(
        format!("{:?}", again.get().history),
        format!("{:?}", {
            let mut history = History::new(MAX_WINDOW);
            history.append(b"x");
            history
        })
    );
}

#[test]
fn a_deflater_is_for_its_window_and_few_are_kept() {
    let codecs = codecs(1 << 30);
    drop(codecs.deflater(15).unwrap());
    let mut small = codecs.deflater(9).unwrap();
    assert!(small.get().is_for(9) && small.get().is_for(8) && !small.get().is_for(15));
    drop(small);
    let windows = || -> Vec<u8> {
        let idle = codecs.deflaters.lock();
        let bits = |deflater: &Deflater| (9..=15).find(|bits| deflater.is_for(*bits)).unwrap();
        idle.iter().map(|deflater| bits(deflater)).collect()
    };
    assert_eq!(windows(), [15, 9]);
    let all: Vec<_> = (0..20).map(|at| codecs.deflater(9 + at % 7).unwrap()).collect();
    assert_eq!(windows(), []);
    assert_eq!(codecs.stats().codecs, (0..20).map(|at| Deflater::size(9 + at % 7)).sum::<u64>());
    drop(all);
    assert_eq!(windows().len(), MAX_IDLE);
    assert_eq!(codecs.stats().codecs, 0);
}

#[test]
fn histories_have_the_other_half() {
    let codecs = codecs(20);
    let [one, other] = [10, 1].map(|len| codecs.past(len));
    assert!(one.is_some() && other.is_none());
    assert_eq!(codecs.stats().histories, 10);
    assert!(codecs.no_past().reserve());
    // Promised, and not yet there.
    let mut one = one.unwrap();
    assert!(!one.history.as_ref().unwrap().is_reserved());
    assert!(one.reserve() && one.history.as_ref().unwrap().is_reserved());
    drop(one);
    assert_eq!(codecs.stats().histories, 0);
}
