use super::*;

/// How far into its memory a message may begin, in bytes.
const OFFSET: usize = 1000;

fn assembler(budget: u64) -> MessageAssembler {
    MessageAssembler::new(&Arc::new(Budget::new(budget)), 0)
}

/// Another one on the same budget.
fn beside(one: &MessageAssembler) -> MessageAssembler {
    MessageAssembler { charge: one.charge.beside(), ..assembler(0) }
}

fn add(message: &mut MessageAssembler, bytes: &[u8]) {
    message.append(bytes).unwrap();
}

/// Reads as a stream would that always has so many bytes at hand, until `len` have come.
fn read(one: &mut MessageAssembler, len: usize, at_hand: usize) -> Result<usize, Overloaded> {
    let mut reads = 0;
    while one.filled < len {
        let room = one.room_behind((len - one.filled) as u64, false)?.0;
        let len = room.len().min(at_hand);
        room[..len].fill(7);
        one.add(len)?;
        reads += 1;
    }
    Ok(reads)
}

#[test]
fn the_budget_is_charged_while_a_long_message_grows_and_given_back_at_its_end() {
    let mut one = assembler(128 << 10);
    let mut other = beside(&one);
    add(&mut one, &[1; 16 << 10]);
    assert_eq!(one.charged(), 0);
    add(&mut one, &[1; 1]);
    assert_eq!(one.charged(), 32 << 10);
    add(&mut other, &[2; 64 << 10]);
    assert!(matches!(one.append(&[1; 64 << 10]), Err(Overloaded)));
    let mut buf = Vec::new();
    other.finish(&mut buf);
    assert_eq!(buf, [2; 64 << 10]);
    assert!(matches!(one.append(&[1; 64 << 10]), Err(Overloaded)), "it is still in use");
    other.release();
    add(&mut one, &[1; 64 << 10]);
    assert!(matches!(other.append(&[2; 48 << 10]), Err(Overloaded)));
    drop(one);
    assert!(other.append(&[2; 128 << 10]).is_ok());
}

#[test]
fn a_finished_message_is_what_was_added_and_memory_is_used_again() {
    let mut message = assembler(1 << 30);
    let mut buf = b"old and longer".to_vec();
    add(&mut message, b"new");
    message.finish(&mut buf);
    assert_eq!(buf, b"new");
    add(&mut message, b"");
    message.finish(&mut buf);
    assert_eq!(buf, b"");
    // One memory serves for all messages of its size, and is let go for much smaller ones.
    buf = vec![0; 1 << 20];
    let at = buf.as_ptr();
    for len in [1 << 20, 1 << 19] {
        message.begin(&mut buf, len as u64);
        add(&mut message, &vec![7; len]);
        message.finish(&mut buf);
        assert_eq!((buf.len(), buf.as_ptr()), (len, at));
    }
    message.begin(&mut buf, 5);
    add(&mut message, b"small");
    message.finish(&mut buf);
    assert_eq!(buf, b"small");
    assert!(buf.capacity() + message.capacity() < 1 << 10);
}

/// Else a peer could have memory of an old message held, or charged, by a mere header.
#[test]
fn edge_i_memory_that_is_borrowed_stays_kept_or_is_let_go() {
    let mut message = assembler(16 << 20);
    for (had, announced, kept) in [
        (16 << 10, 1, 16 << 10),
        (64 << 10, 1, 64 << 10),
        (128 << 10, 1, 0),
        (512 << 10, 128 << 10, 512 << 10),
        // More than a sixteenth of the budget.
        (2 << 20, u64::MAX, 0),
    ] {
        let mut buf = Vec::with_capacity(had);
        message.begin(&mut buf, announced);
        assert_eq!((message.capacity(), message.charged()), (kept, retained(kept)), "{had}");
        assert_eq!(buf.capacity(), 0);
        message.clear();
    }
    // One that another message of this size has needed is kept, until bytes have come for it.
    add(&mut message, &[1; 512 << 10]);
    let mut buf = Vec::new();
    message.finish(&mut buf);
    message.release();
    message.begin(&mut buf, 1 << 20);
    assert_eq!((message.capacity(), message.charged()), (512 << 10, 512 << 10));
    assert_eq!(read(&mut message, 496 << 10, usize::MAX).unwrap(), 2);
    assert_eq!(message.charged(), 512 << 10, "bytes come for what is charged already");
    read(&mut message, (512 << 10) + 1, 1).unwrap();
    assert!(message.charged() > 512 << 10);
}

/// Whatever is announced, wherever it stops, whatever was there before.
#[test]
fn edge_i_memory_and_charge_follow_what_arrives() {
    const LEN: usize = 16 << 20;
    for (had, from_kernel) in
        [0, 1, 64 << 10, 1 << 20].map(|had| [(had, false), (had, true)]).concat()
    {
        let gap = if from_kernel { MAX_OFFSET } else { 0 };
        for at_hand in [1000, 64 << 10, usize::MAX] {
            let mut message = assembler(1 << 30);
            let mut buf = vec![1; had];
            message.rest(&mut buf);
            message.begin(&mut buf, LEN as u64);
            let mut come = 0;
            loop {
                let (room, at) = message.room_behind((LEN - come) as u64, from_kernel).unwrap();
                let room = room.len() - at;
                let (memory, charged) = (message.bytes.len(), message.charged() as usize);
                let most = (2 * come).max(come + MIN_READ).max(had);
                assert!(memory <= most + gap, "{memory} for {come}");
                let kept = retained(had) as usize;
                assert!(
                    charged <= (2 * come + CHARGE_STEP).max(kept) + gap,
                    "{charged} for {come}"
                );
                assert!(come > MAX_UNCHARGED || charged == kept, "{charged} for {come}");
                let free = MAX_RETAINED_FREE;
                assert!(memory.max(come) <= charged.max(free), "{memory} but {charged}");
                if come == LEN {
                    break;
                }
                let len = room.min(at_hand).min(LEN - come);
                message.add(len).unwrap();
                come += len;
                assert!(come <= (message.charged() as usize).max(MAX_UNCHARGED));
            }
            assert!(
                (LEN..=LEN + gap.next_multiple_of(CHARGE_STEP))
                    .contains(&(message.charged() as usize))
            );
        }
    }
}

#[test]
fn edge_i_a_mere_header_leaves_the_budget_to_others() {
    let mut idle: Vec<_> = vec![assembler(1 << 20)];
    for _ in 1..1024 {
        idle.push(beside(&idle[0]));
    }
    for one in &mut idle {
        one.begin(&mut Vec::with_capacity(64 << 10), 16 << 20);
        assert!(one.room_behind(16 << 20, false).is_ok());
    }
    let mut other = beside(&idle[0]);
    add(&mut other, &[7; 1 << 20]);
    // What has come in vain is refused when it comes.
    idle[0].room_behind(16 << 20, false).unwrap();
    assert!(matches!(read(&mut idle[0], 64 << 10, usize::MAX), Err(Overloaded)));
}

#[test]
fn edge_i_reads_are_few_once_memory_is_there() {
    let mut message = assembler(1 << 30);
    let mut buf = Vec::new();
    for reads in [10, 4, 4] {
        message.begin(&mut buf, 1 << 20);
        assert_eq!(read(&mut message, 1 << 20, usize::MAX).unwrap(), reads);
        message.finish(&mut buf);
        message.release();
    }
}

/// Reads as the kernel would, each time as much as there is room for and at hand, until `len` have come; how
/// often, and how often straight to where it belongs.
fn read_behind(
    one: &mut MessageAssembler,
    len: usize,
    at_hand: usize,
) -> Result<[usize; 2], Overloaded> {
    let (mut reads, mut in_place) = (0, 0);
    while one.filled < len {
        let (filled, left) = (one.filled, len - one.filled);
        let before = filled - one.start + MAX_HEADER;
        let (room, gap) = one.room_behind(left as u64, true)?;
        assert!(gap <= MAX_OFFSET && room.len() <= left.min(MAX_READ) + gap);
        let ahead = read_offset(room.as_ptr().addr() + gap, before);
        assert!(ahead == 0 || room.len() < MIN_BEHIND + gap, "{filled} of {len}, {gap}");
        let come = at_hand.min(room.len() - gap);
        assert!(come > 0, "no room");
        room[gap..gap + come].fill(7);
        room.copy_within(gap..gap + come, 0);
        one.add(come)?;
        (reads, in_place) = (reads + 1, in_place + usize::from(gap == 0));
    }
    Ok([reads, in_place])
}

#[test]
fn what_the_kernel_copies_is_read_where_it_is_quick_and_in_no_more_reads() {
    for had in [0, 100_000, 1 << 20, (1 << 20) + MAX_OFFSET] {
        let mut message = assembler(1 << 30);
        let mut buf = vec![1; had];
        for round in 0..3 {
            for at_hand in [1000, 60_000, usize::MAX] {
                message.begin(&mut buf, 1 << 20);
                let [reads, _] = read_behind(&mut message, 1 << 20, at_hand).unwrap();
                let least = (1_usize << 20).div_ceil(at_hand.min(MAX_READ));
                // What is short of memory for a gap is read with one more.
                assert!(round == 0 || reads <= least + 1, "{reads} of {at_hand}, had {had}");
                message.finish(&mut buf);
                assert_eq!(buf, vec![7; 1 << 20]);
                message.release();
            }
        }
    }
}

/// A gap is charged like other room, and nothing is refused for it.
#[test]
fn a_gap_takes_no_more_than_it_may() {
    for len in [65_537, 100_000, 1 << 20, 16 << 20] {
        let step = (len as u64).next_multiple_of(CHARGE_STEP as u64);
        for budget in [step, 16 * (len + MAX_OFFSET) as u64] {
            let mut message = assembler(budget);
            let mut buf = Vec::new();
            for _ in 0..2 {
                message.begin(&mut buf, len as u64);
                read_behind(&mut message, len, usize::MAX).unwrap();
                let charged = message.charged();
                assert!((step..=budget.min(step + CHARGE_STEP as u64)).contains(&charged));
                assert!(message.bytes.len() as u64 <= charged);
                message.finish(&mut buf);
                assert!(buf.capacity() <= len + MAX_OFFSET, "{} for {len}", buf.capacity());
                message.release();
            }
        }
    }
    // What is free stays so, and a mere header costs nothing.
    let mut message = assembler(0);
    for len in [MAX_RETAINED_FREE, 1 << 20] {
        let mut buf = Vec::with_capacity(MAX_RETAINED_FREE);
        message.begin(&mut buf, len as u64);
        message.room_behind(len as u64, true).unwrap();
        assert_eq!((message.capacity(), message.charged()), (MAX_RETAINED_FREE, 0));
        message.clear();
    }
}

/// What is long may begin where it is quick to be copied from, for as long as it is there, and takes no more
/// than that beside.
#[test]
fn what_is_long_lies_off_the_start_of_a_page() {
    let budget = Arc::new(Budget::new(2 << 20));
    let mut message = MessageAssembler::new(&budget, OFFSET);
    let mut buf = Vec::new();
    for len in [100, MAX_RETAINED_FREE, MAX_RETAINED_FREE + 1, 1 << 20, 10] {
        message.begin(&mut buf, len as u64);
        assert!(message.is_empty());
        // Nothing has come yet when others need the memory.
        message.rest(&mut buf);
        message.begin(&mut buf, len as u64);
        let target = &mut Target::Message(&mut message, &mut buf);
        target.put(&vec![7; len / 3], (len - len / 3) as u64).unwrap();
        let at = message.start;
        while message.filled < at + len {
            let left = at + len - message.filled;
            let (room, gap) = message.room_behind(left as u64, true).unwrap();
            let come = room.len() - gap;
            room[..come].fill(7);
            message.add(come).unwrap();
        }
        let start = message.finish(&mut buf);
        assert_eq!(start, if len > MAX_RETAINED_FREE { OFFSET } else { 0 });
        assert_eq!(buf[start..], vec![7; len]);
        message.release();
    }
    // As when there is no memory to keep what nothing has come for.
    let mut other = MessageAssembler::new(&budget, OFFSET);
    message.begin(&mut Vec::with_capacity(120_000), 1 << 20);
    assert_eq!(message.charged(), 120_000);
    other.begin(&mut Vec::with_capacity(120_000), 1 << 20);
    assert_eq!((other.charged(), other.filled), (0, OFFSET));
    message.rest(&mut Vec::with_capacity(120_000));
    assert_eq!((message.capacity(), message.filled), (0, 0));
    message.begin(&mut Vec::new(), 1 << 20);
    assert_eq!(read(&mut message, 1 << 20, usize::MAX), Ok(10));
    message.clear();
    // One may be as long as all that is charged.
    message.begin(&mut Vec::new(), 2 << 20);
    let end = message.start + (2 << 20);
    read_behind(&mut message, end, usize::MAX).unwrap();
    assert_eq!((message.filled, message.charged()), (end, 2 << 20));
}

#[test]
fn edge_i_memory_goes_with_what_was_taken_out() {
    let mut message = assembler(1 << 30);
    add(&mut message, &[7; 1 << 20]);
    assert_eq!(message.take(&mut vec![0; 1 << 20]), 1 << 20);
    assert_eq!((message.capacity(), message.charged()), (0, 0));
}

#[test]
fn memory_is_kept_while_nothing_comes_as_far_as_all_may() {
    let mut one = assembler(16 << 20);
    let mut other = beside(&one);
    let mut long = vec![7; 600 << 10];
    let at = long.as_ptr();
    for _ in 0..2 {
        one.rest(&mut long);
        assert_eq!((long.len(), long.as_ptr(), one.charged()), (600 << 10, at, 600 << 10));
    }
    // Together it would be more than 1 MiB; what is short costs nothing.
    let mut another = vec![8; 600 << 10];
    other.rest(&mut another);
    assert_eq!((another.capacity(), other.charged()), (0, 0));
    let mut short = vec![9; MAX_RETAINED_FREE];
    other.rest(&mut short);
    assert_eq!((short.len(), other.charged()), (MAX_RETAINED_FREE, 0));

    // It goes with its connection's silence, with its buffer, with its next message and its end.
    for give_back in [
        |one: &mut MessageAssembler| one.begin(&mut vec![7; 600 << 10], 1),
        |one: &mut MessageAssembler| one.clear(),
        |one: &mut MessageAssembler| one.rest(&mut Vec::new()),
        |one: &mut MessageAssembler| *one = beside(one),
    ] {
        give_back(&mut one);
        assert_eq!(one.charged(), 0);
        let mut another = vec![8; 600 << 10];
        other.rest(&mut another);
        assert_eq!((another.len(), other.charged()), (600 << 10, 600 << 10));
        other.rest(&mut Vec::new());
        one.rest(&mut long);
        assert_eq!(one.charged(), 600 << 10);
    }
    // What is under way has its charge already.
    add(&mut other, &[1; 1 << 20]);
    let mut another = vec![8; 2 << 20];
    other.rest(&mut another);
    assert_eq!((another.len(), other.charged()), (2 << 20, 1 << 20));
}

#[test]
fn takes_out_what_fits() {
    let mut message = assembler(0);
    add(&mut message, b"abcdef");
    let mut out = [0; 4];
    assert_eq!((message.take(&mut out), &out), (4, b"abcd"));
    assert_eq!((message.take(&mut out), &out[..2]), (2, &b"ef"[..]));
    assert!(message.is_empty());
    // What is left, and what comes then, is still the message.
    add(&mut message, b"ghijk");
    message.take(&mut out);
    add(&mut message, b"l");
    let mut buf = Vec::new();
    message.finish(&mut buf);
    assert_eq!(buf, b"kl");
}

/// What a `recv` that timed out has borrowed from its caller stays charged while `recv_chunk` goes
/// on with the message.
#[test]
fn memory_stays_charged_when_the_message_goes_on_in_parts() {
    let budget = Arc::new(Budget::new(16 << 20));
    let mut message = MessageAssembler::new(&budget, 0);
    message.begin(&mut Vec::with_capacity(600 << 10), 700 << 10);
    assert_eq!(budget.charged(), 600 << 10);
    message.release();
    Target::Slice(&mut message, &mut [0; 10]).before_wait(700 << 10);
    assert_eq!((message.capacity() as u64, budget.charged()), (600 << 10, 600 << 10));
}

/// Where the budget has too little for as much again, a message that needs less goes on.
#[test]
fn a_message_takes_the_room_that_there_is() {
    let mut one = assembler(160 << 10);
    add(&mut one, &[1; 128 << 10]);
    assert_eq!(one.room_behind(u64::MAX, false).unwrap().0.len(), 32 << 10);
    assert_eq!((one.charged(), one.capacity()), (160 << 10, 160 << 10));
    one.add(32 << 10).unwrap();
    assert!(matches!(one.room_behind(1, false), Err(Overloaded)));
}
